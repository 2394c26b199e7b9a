//! What is no error and not what was meant either: told in the log, once, and where to look.

use std::{fs, path::Path, process::Command};

use tidegate_testing::{
    folders::{checkpoints, is_complete, name},
    process::{Process, flights, silent},
    wait_for,
};

/// The only line of a log that has `words` in it.
fn told_once<'a>(log: &'a str, words: &str) -> &'a str {
    let lines = log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
    assert_eq!(lines.len(), 1, "`{words}` is told {} times:\n{log}", lines.len());
    assert!(lines[0].contains(" WARN "), "{}", lines[0]);
    lines[0]
}

#[test]
fn what_goes_wrong_silently_is_told_once_with_its_place_in_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = ["--parallelism=1".to_owned()];
    let mut job = Process::start(silent(), &own, &folder.path().join("log"));
    assert!(job.wait().success(), "{}", job.log());
    let log = job.log();
    let loose = told_once(&log, "the stream has no sink");
    assert!(loose.contains("map at ") && loose.contains("silent.rs:"), "{loose}");
    let timer = told_once(&log, "on a stream without event times");
    assert!(timer.contains("operator=reminders") && timer.contains("silent.rs:"), "{timer}");
    let slow = told_once(&log, "has held its worker up for 2");
    assert!(slow.contains("inspect at ") && slow.contains("silent.rs:"), "{slow}");
}

/// A file with the flights of one carrier.
fn file_of(folder: &Path, name: &str, carrier: &str) -> String {
    let path = folder.join(name);
    let row = |index: u64| format!("1,1,517,11,{carrier},{index}\n");
    let rows = (0..20_000).map(row).collect::<String>();
    fs::write(&path, format!("month,day,dep_time,arr_delay,carrier,flight\n{rows}"))
        .expect("the folder is the test's own");
    path.display().to_string()
}

#[test]
fn a_source_that_names_other_input_than_its_snapshot_holds_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (old, new) = (file_of(folder, "2013.csv", "UA"), file_of(folder, "2014.csv", "AA"));
    let output = folder.join("out");
    let of = |more: &[&str]| {
        let out = format!("--out={}", output.display());
        let own = [&out, "--parallelism=1", "-Dexecution.checkpointing.interval=50 ms"];
        own.into_iter().chain(more.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (from_old, from_new) = (format!("--data={old}"), format!("--data={new}"));
    let slow = of(&[&from_old, "--rate=5000"]);
    let running = Process::start(flights(), &slow, &folder.join("first.log"));
    let all = || checkpoints(&output.join("checkpoints"));
    // Of the newest it may be that nobody has heard yet.
    let is_second = |path: &Path| is_complete(path) && name(path) != "chk-1";
    wait_for("two checkpoints", || all().iter().any(|path| is_second(path)).then_some(()));
    running.kill();

    let names = format!("the source names `{new}`, of which the snapshot knows nothing: not read");
    let holds = format!("the snapshot has `{old}`, which the source does not name any more");
    let dry_run = of(&[&from_new, "--dry-run", "--from-savepoint=latest"]);
    let output = Command::new(flights()).args(dry_run).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(said.contains("source `") && said.contains(&names) && said.contains(&holds), "{said}");

    let again = of(&[&from_new, "--from-savepoint=latest"]);
    let mut job = Process::start(flights(), &again, &folder.join("second.log"));
    assert!(job.wait().success(), "{}", job.log());
    let log = job.log();
    assert!(told_once(&log, &names).contains(&holds), "{log}");
}
