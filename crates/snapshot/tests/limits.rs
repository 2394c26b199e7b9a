//! A few bytes never stand for more than anybody could hold or walk through.

use std::cell::Cell;

use serde_json::Value;
use tidegate_snapshot::{
    codec,
    described::{Described, Type},
    wire::{Walk, decode_as, put_varint, skip},
};

/// What everything that reads a value says of it: how many bytes it has, or nothing.
fn length(notation: &str, bytes: &[u8]) -> Option<usize> {
    let of = Described::parse(notation);
    let mut rest = bytes;
    let skipped = skip(&mut rest, &of.root, &of.definitions).map(|()| bytes.len() - rest.len());
    let (walked, mut out) = (Cell::new(bytes), Vec::new());
    let written = codec::encode(&Walk::new(&of, &walked), &mut out);
    assert_eq!(written.is_ok(), skipped.is_ok(), "{notation} {bytes:?}: {written:?} {skipped:?}");
    let read = decode_as::<Value>(&of, &mut &*bytes);
    assert_eq!(read.is_ok(), skipped.is_ok(), "{notation} {bytes:?}: {read:?} {skipped:?}");
    skipped.ok()
}

fn announced(count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_varint(count.into(), &mut bytes);
    bytes
}

#[test]
fn a_list_of_what_takes_no_bytes_ends() {
    assert_eq!(length("List<()>", &announced(100_000)), Some(3));
    for endless in ["List<()>", "Map<[(); 2], Empty {}>", "List<((), One(()))>"] {
        assert_eq!(length(endless, &announced(u64::MAX)), None, "{endless}");
    }
    // Each of them alone would be short enough.
    let many = [announced(100), announced(100_000).repeat(100)].concat();
    assert_eq!(length("List<List<()>>", &many), None);
}

#[test]
fn a_type_that_is_nothing_but_itself_has_no_values() {
    let lengths = || {
        assert_eq!(length("A(A)", b""), None);
        assert_eq!(length("A { a: A }", b""), None);
        assert_eq!(length("A { a: Option<A> }", &[1; 1000]), None, "it is too deep");
        assert_eq!(length("A { a: Option<A> }", &[&[1; 100][..], &[0]].concat()), Some(101));
    };
    on_a_main_thread(lengths);
}

/// With as much stack as a main thread has: without optimizations each level takes more than 4 KiB.
fn on_a_main_thread(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(run);
    thread.expect("it starts").join().expect("it ends well");
}

#[test]
fn a_character_is_one() {
    assert_eq!(length("char", b"\x02\xc3\xbc"), Some(3));
    assert_eq!(length("char", b"\x00"), None);
    assert_eq!(length("char", b"\x02ab"), None);
}

#[test]
fn a_short_notation_does_not_stand_for_a_type_without_end() {
    let is_described = |notation: &str| !matches!(Described::parse(notation).root, Type::Opaque(_));
    assert!(is_described("[[u8; 1000]; 1000]"));
    assert!(!is_described("[[[[u8; 60000]; 60000]; 60000]; 60000]"));
    // Each struct holds the one before twice.
    let doubled = |levels: usize| {
        let first = "S0 { a: u8 }".to_owned();
        (1..=levels).fold(first, |of, n| format!("S{n} {{ a: {of}, b: S{} }}", n - 1))
    };
    assert!(is_described(&doubled(10)));
    assert!(!is_described(&doubled(60)));
}
