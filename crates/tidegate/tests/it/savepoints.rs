//! A savepoint takes a job to another parallelism and another folder, with nothing lost or twice.

use std::{fs, process::Command};

use tidegate::collect::Collector;

use tidegate_testing::{
    flights::Results,
    folders::{entries, is_complete},
    process::{Process, flights},
    wait_for,
};

use crate::support::counting::{
    KEYS, RECORDS, SLOW, assert_counted_once, finish, start, start_totals, stop, wait_for_records,
};

#[test]
fn stopped_jobs_go_on_at_another_parallelism() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let run = |options: &[&str], rate| {
        start(folder.path(), options, rate, &results).expect("the job starts")
    };
    let one = stop(&run(&["-p1"], Some(SLOW)));
    let four = stop(&run(&["-p4", "--from-savepoint", &one], Some(SLOW)));
    finish(&run(&["-p2", "--from-savepoint", &four], None));
    assert_counted_once(&results);
}

#[test]
fn a_savepoint_that_was_moved_is_as_good() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let all_in_files = "-Dexecution.checkpointing.data-inline-threshold=0";
    let before = start(folder.path(), &[all_in_files], Some(SLOW), &results).expect("it starts");
    let savepoint = stop(&before);
    let elsewhere = tempfile::tempdir().expect("another folder");
    let moved = elsewhere.path().join("moved");
    fs::rename(&savepoint, &moved).expect("both are in the same file system");
    assert!(entries(&moved).len() > 1, "the state lies in files of its own");
    let from = format!("--from-savepoint={}", moved.display());
    finish(&start(folder.path(), &[&from], None, &results).expect("it starts"));
    assert_counted_once(&results);
}

#[test]
fn a_savepoint_of_a_running_job_is_one_to_start_from_and_the_job_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (results, again) = (Collector::default(), Collector::default());
    let running = start(folder.path(), &[], Some(SLOW), &results).expect("it starts");
    wait_for_records(&running);
    let target = folder.path().join("target").display().to_string();
    let savepoint = running.savepoint_blocking(Some(target.clone())).expect("it is taken");
    assert!(savepoint.starts_with(&target), "{savepoint} is not in {target}");
    finish(&running);
    assert_counted_once(&results);
    let from = format!("--from-savepoint={savepoint}");
    finish(&start(folder.path(), &[&from], None, &again).expect("it starts"));
    // The second run commits what the savepoint holds and was not committed when it was taken,
    // and then the rest: without checkpoints, everything.
    assert_counted_once(&again);
}

#[test]
fn a_folder_may_be_named_like_the_beginning_of_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().display();
    let dir = |key: &str, name: &str| format!("-Dexecution.checkpointing.{key}={base}/{name}");
    let url = format!("-Dexecution.checkpointing.savepoint-dir=file:{base}/ck-savepoints/");
    let all_in_files = "-Dexecution.checkpointing.data-inline-threshold=0";
    let results = Collector::default();
    let own = [&dir("dir", "ck"), &url, all_in_files, "-p2"];
    let savepoint = stop(&start(folder.path(), &own, Some(SLOW), &results).expect("it starts"));
    assert!(savepoint.starts_with(&format!("{base}/ck-savepoints/")), "{savepoint}");
    assert!(entries(savepoint.as_ref()).len() > 1, "the state lies in files of its own");
    let from = format!("--from-savepoint=file:{savepoint}");
    let running = start(folder.path(), &[&from], Some(SLOW), &results).expect("it starts");
    wait_for_records(&running);
    let target = format!("{base}/ck-target");
    let savepoint = running.savepoint_blocking(Some(target)).expect("it is taken");
    finish(&running);
    assert_counted_once(&results);
    let from = format!("--from-savepoint={savepoint}");
    finish(&start(folder.path(), &[&from], None, &Collector::default()).expect("it starts"));
}

#[test]
fn sigusr1_takes_a_savepoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let (output, log) = (folder.path().join("out"), folder.path().join("log"));
    let own = [format!("--out={}", output.display()), "-p2".to_owned()];
    let with = |more: &str| [own.as_slice(), &[more.to_owned()]].concat();
    // No checkpoint comes between the savepoint and the kill.
    let slow = [with("--rate=20000"), vec!["-Dexecution.checkpointing.interval=1 h".to_owned()]];
    let mut running = Process::start(flights(), &slow.concat(), &log);
    wait_for("the job to write", || (!entries(&output.join("cancelled")).is_empty()).then_some(()));
    let signal = format!("kill -USR1 {}", running.id());
    assert!(Command::new("sh").args(["-c", &signal]).status().expect("a shell").success());
    let savepoints = output.join("savepoints");
    let savepoint = wait_for("the savepoint", || {
        assert!(running.ended().is_none(), "{}", running.log());
        entries(&savepoints).into_iter().find(|folder| is_complete(folder))
    });
    running.kill();
    let from = format!("--from-savepoint={}", savepoint.display());
    Process::start(flights(), &with(&from), &log).finish();
    assert!(Results::written_to(&output) == Results::expected(), "other results");
}

#[test]
fn a_job_that_is_stopped_keeps_its_timers_for_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let savepoint = stop(&start_totals(folder.path(), &[], Some(SLOW), &results));
    assert!(results.is_empty(), "timers have fired");
    finish(&start_totals(folder.path(), &["-p4", "--from-savepoint", &savepoint], None, &results));
    let totals = results.take();
    assert_eq!(totals.len() as u64, KEYS);
    assert_eq!(totals.iter().sum::<u64>(), RECORDS);
}

#[test]
fn a_job_that_is_drained_fires_its_timers_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let running = start_totals(folder.path(), &[], Some(SLOW), &results);
    wait_for_records(&running);
    running.stop_with_savepoint_blocking(None, true).expect("the savepoint is taken");
    let records = finish(&running).stats.records;
    assert!(records < RECORDS, "it was stopped at its end");
    assert_eq!(results.take().iter().sum::<u64>(), records);
}
