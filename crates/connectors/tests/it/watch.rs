//! A watched folder, and the rate.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use tidegate_connectors::files;

use crate::harness::SourceJob;

/// Lets a whole file appear at once.
fn move_in(folder: &Path, name: &str, content: &str) {
    let hidden = folder.join(format!(".{name}"));
    fs::write(&hidden, content).expect("written");
    fs::rename(hidden, folder.join(name)).expect("moved");
}

#[test]
fn new_files_are_found_and_old_ones_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let source = files::text(folder.path()).watch(Duration::from_millis(20));
    let mut job = SourceJob::start(&source, 2, &[]).unwrap();
    move_in(folder.path(), "a.txt", "one\n");
    assert_eq!(job.read(1, 10).unwrap(), ["one"]);
    move_in(folder.path(), "b.txt", "two\n");
    assert_eq!(job.read(1, 10).unwrap(), ["two"]);
    let snapshot = job.snapshot();
    drop(job);
    let mut job = SourceJob::start(&source, 3, &snapshot).unwrap();
    move_in(folder.path(), "c.txt", "three\n");
    assert_eq!(job.read(1, 10).unwrap(), ["three"]);
}

#[test]
fn a_watched_folder_must_exist() {
    let source = files::text("/nowhere").watch(Duration::from_millis(20));
    let error = SourceJob::start(&source, 1, &[]).unwrap().read(1, 10).unwrap_err();
    assert!(error.starts_with("no file to read at `/nowhere`: "), "{error}");
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
