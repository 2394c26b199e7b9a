//! Nothing that is played reads a file, or anything else that is opened: by itself in a process of its own,
//! since no other test could open anything meanwhile.

use std::fs::File;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_sim::shipped::{Setup, play};

#[test]
fn what_is_played_opens_nothing() {
    let setup = Setup { traced: true, ..Setup::default() };
    let seeds = [3, 5, 8];
    let before = seeds.map(|seed| play(seed, &setup));
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).expect("it may be lowered");
    let without = seeds.map(|seed| play(seed, &setup));
    let opened = File::open("/dev/null");
    setrlimit(Resource::Nofile, limit).expect("it was as high before");
    assert!(opened.is_err(), "or this shows nothing");
    for (before, without) in before.iter().zip(&without) {
        assert!(before.is_ok(), "{before:?}");
        assert!(before == without, "something was different without files");
    }
}
