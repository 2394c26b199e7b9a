//! A watched folder, and the rate.

use std::{
    fs,
    path::Path,
    sync::Mutex,
    time::{Duration, Instant, SystemTime},
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

/// What is said in the log meanwhile, on this thread.
fn logged(work: impl FnOnce()) -> String {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let writer = Mutex::new(log.reopen().expect("it is there"));
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer);
    tracing::subscriber::with_default(subscriber.finish(), work);
    fs::read_to_string(log.path()).expect("UTF-8")
}

/// What is said about files that are there already, until a new one of a watched folder has been
/// read: by then the folder has been looked through.
fn told_until(job: &mut SourceJob<String>, folder: &Path, new: &str) -> String {
    logged(|| {
        move_in(folder, new, "new\n");
        assert_eq!(job.read(1, 10).expect("it is read"), ["new"]);
    })
}

#[test]
fn a_file_that_has_changed_since_it_was_found_is_told_of_once_after_a_restore_too() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, path) = (folder.path(), folder.path().join("a.txt"));
    let source = files::text(folder).watch(Duration::from_millis(5));
    let start = |restored: &[_]| SourceJob::start(&source, 1, restored).unwrap();
    let mut job = start(&[]);
    move_in(folder, "a.txt", "one\n");
    assert_eq!(job.read(1, 10).unwrap(), ["one"]);
    assert_eq!(told_until(&mut job, folder, "b.txt"), "", "nothing has changed");

    let mut restored = start(&job.snapshot());
    assert_eq!(told_until(&mut restored, folder, "c.txt"), "", "nor while it was down");
    let before = restored.snapshot();
    fs::write(&path, "one\ntwo\n").unwrap();
    // Whether it runs meanwhile or not.
    for (job, new) in [(&mut restored, "d.txt"), (&mut start(&before), "e.txt")] {
        let told = told_until(job, folder, new);
        assert!(told.contains("before=4 now=8") && told.contains("a.txt"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn a_file_that_was_replaced_by_one_of_the_same_length_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    let source = files::text(folder.path()).watch(Duration::from_millis(5));
    let mut job = SourceJob::start(&source, 1, &[]).unwrap();
    move_in(folder.path(), "a.txt", "one\n");
    assert_eq!(job.read(1, 10).unwrap(), ["one"]);
    let snapshot = job.snapshot();
    drop(job);
    fs::write(&path, "two\n").unwrap();
    let later = SystemTime::now() + Duration::from_secs(2);
    fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    let mut job = SourceJob::start(&source, 1, &snapshot).unwrap();
    let told = told_until(&mut job, folder.path(), "b.txt");
    assert!(told.contains("was written to since") && told.contains("a.txt"), "{told}");
    assert_eq!(told_until(&mut job, folder.path(), "c.txt"), "", "once");
}

#[test]
fn a_folder_is_the_same_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let watch = |path: &Path| files::text(path).watch(Duration::from_millis(5));
    move_in(folder, "a.txt", "one\n");
    let mut job = SourceJob::start(&watch(folder), 1, &[]).unwrap();
    assert_eq!(job.read(1, 10).unwrap(), ["one"]);
    for (path, new) in [("./", "b.txt"), (".//./", "c.txt"), ("", "d.txt")] {
        job = SourceJob::start(&watch(&folder.join(path)), 1, &job.snapshot()).unwrap();
        move_in(folder, new, "new\n");
        assert_eq!(job.read(1, 10).unwrap(), ["new"], "as `{path}`");
    }
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
