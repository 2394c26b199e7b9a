//! A watched folder, and the rate.

use std::{
    fs,
    time::{Duration, Instant},
};

use tidegate_connectors::files;

use crate::harness::SourceJob;

#[test]
fn new_files_are_found_and_old_ones_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let source = files::text(folder.path()).watch(Duration::from_millis(20));
    let mut job = SourceJob::start(&source, 2, &[]).unwrap();
    fs::write(folder.path().join("a.txt"), "one\n").unwrap();
    assert_eq!(job.read(1, 10).unwrap(), ["one"]);
    fs::write(folder.path().join(".b"), "two\n").unwrap();
    fs::rename(folder.path().join(".b"), folder.path().join("b.txt")).unwrap();
    assert_eq!(job.read(1, 10).unwrap(), ["two"]);
    let snapshot = job.snapshot();
    drop(job);
    let mut job = SourceJob::start(&source, 3, &snapshot).unwrap();
    fs::write(folder.path().join(".c"), "three\n").unwrap();
    fs::rename(folder.path().join(".c"), folder.path().join("c.txt")).unwrap();
    assert_eq!(job.read(1, 10).unwrap(), ["three"]);
}

#[test]
fn the_rate_holds_the_reader_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.txt");
    fs::write(&path, "x\n".repeat(100)).unwrap();
    let begin = Instant::now();
    let mut job = SourceJob::start(&files::text(&path).rate(500), 1, &[]).unwrap();
    assert_eq!(job.read(usize::MAX, 1_000).unwrap().len(), 100);
    // The first is free, the other 99 take 2 ms each; how much longer it takes is the machine's.
    assert!(begin.elapsed() >= Duration::from_millis(190), "{:?}", begin.elapsed());
}
