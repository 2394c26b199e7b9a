//! Every target with its seeds, with what has been found, and with some thousand inputs made of
//! these, the same at each run.
//!
//! Before an input is fed it is written to `<target folder>/tmp/<target>-last`, so that it is there
//! if the process ends.

use std::{env, fs, path::Path};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tidegate_fuzz::{Target, csv, gzip, json_lines, log, metadata, rest, segment, wire, zstd};

/// How many inputs are made up, unless `TIDEGATE_FUZZ_INPUTS` says otherwise.
const INPUTS: usize = 1000;
/// How many changes an input has at most.
const CHANGES: usize = 4;
/// Numbers at which something is likely to turn over.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'\n', b'"', b'-'];

fn inputs() -> usize {
    let told = env::var("TIDEGATE_FUZZ_INPUTS").ok();
    told.map_or(INPUTS, |told| told.parse().expect("TIDEGATE_FUZZ_INPUTS is a number"))
}

fn played(target: &Target) {
    let last = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-last", target.name));
    let play = |input: &[u8]| {
        fs::write(&last, input).expect("the target folder can be written to");
        target.play(input);
    };
    let seeds = target.seeds();
    assert!(!seeds.is_empty(), "there are fixtures");
    seeds.iter().for_each(|seed| play(seed));
    let regressions = target.regressions();
    regressions.iter().for_each(|(_, input)| play(input));
    let all = seeds.into_iter().chain(regressions.into_iter().map(|(_, input)| input));
    let all = all.collect::<Vec<_>>();
    let mut random = StdRng::seed_from_u64(0);
    for _ in 0..inputs() {
        play(&changed(&all, &mut random));
    }
    fs::remove_file(&last).expect("it was written");
}

/// One of the inputs, changed in some places.
fn changed(all: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut input = all.choose(random).expect("there are seeds").clone();
    for _ in 0..random.random_range(1..=CHANGES) {
        change(&mut input, all, random);
    }
    input
}

fn change(input: &mut Vec<u8>, all: &[Vec<u8>], random: &mut StdRng) {
    let at = random.random_range(0..=input.len());
    let behind = random.random_range(at..=input.len());
    match random.random_range(0..7) {
        0 => input.truncate(at),
        1 => input.insert(at, *EDGES.choose(random).expect("there are some")),
        2 => drop(input.drain(at..behind.min(at + 16))),
        3 => {
            let copy = input[at..behind.min(at + 64)].to_vec();
            input.splice(at..at, copy);
        }
        4 => {
            let other = all.choose(random).expect("there are seeds");
            let from = random.random_range(0..=other.len());
            input.truncate(at);
            input.extend(&other[from..]);
        }
        5 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.next_u32() as u8),
        _ => {
            let edge = *EDGES.choose(random).expect("there are some");
            input.iter_mut().skip(at).take(random.random_range(1..9)).for_each(|byte| *byte = edge);
        }
    }
}

macro_rules! plays {
    ($($target:ident),*) => {
        $(
            #[test]
            fn $target() {
                played(&$target::TARGET);
            }
        )*
    };
}

plays!(metadata, segment, wire, log, rest, csv, json_lines, gzip, zstd);
