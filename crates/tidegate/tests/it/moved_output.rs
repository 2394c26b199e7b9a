//! A finished file is its reader's, who takes it away; a job may write elsewhere tomorrow than it did
//! today, and others into the same folder. None of that keeps it from being restored.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tidegate::{JobHandle, JobStatus, files, prelude::*};
use tidegate_testing::{
    folders::{entries, lines, name, unfinished},
    wait_for,
};

use crate::support::counting::{
    Counted, KEYS, SLOW, assert_all_written, finish, job, numbers, wait_for_records,
};

/// How often the job fails.
const FAILURES: u64 = 3;

/// Takes all finished files away.
fn consume(output: &Path, archive: &Path) -> usize {
    let finished = entries(output).into_iter().filter(|path| name(path).starts_with("part-"));
    let moved = finished.map(|path| fs::rename(&path, archive.join(name(&path))));
    moved.inspect(|moved| assert!(moved.is_ok(), "{moved:?}")).count()
}

/// Every time that the job has finished files they are all taken away, and then it fails.
#[test]
fn a_job_outlives_failures_when_its_finished_files_are_taken_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let (output, archive) = (folder.path().join("out"), folder.path().join("archive"));
    fs::create_dir(&archive).expect("the folder is the test's own");
    let failures = Arc::new(AtomicU64::new(0));
    let options = [
        "--parallelism=1",
        "-Dexecution.checkpointing.interval=50 ms",
        "-Drestart-strategy.type=fixed-delay",
        "-Drestart-strategy.fixed-delay.attempts=1000",
        "-Drestart-strategy.fixed-delay.delay=1 ms",
    ];
    let (sink, taken) = (files::json_lines_sink::<Counted>(&output), archive.clone());
    let (from, failed) = (output.clone(), Arc::clone(&failures));
    let started = job(folder.path()).start(options, move |env| {
        let (from, taken, failed) = (from.clone(), taken.clone(), Arc::clone(&failed));
        numbers(env, Some(SLOW))
            .key_by(|number: &u64| number % KEYS)
            .aggregate("count", Count)
            .inspect(move |_| {
                if failed.load(Ordering::SeqCst) == FAILURES || consume(&from, &taken) == 0 {
                    return Ok(());
                }
                failed.fetch_add(1, Ordering::SeqCst);
                Err("somebody has taken the files away".into())
            })
            .sink("counts", sink.clone());
        Ok(())
    });
    let stats = finish(&started.expect("the job starts")).stats;
    assert_eq!(stats.restarts, FAILURES);
    assert_all_written(&[&output, &archive]);
}

fn count_into(folder: &Path, options: &[&str], output: PathBuf) -> JobHandle {
    let started = job(folder).start(options.iter().copied(), move |env| {
        numbers(env, Some(SLOW))
            .key_by(|number: &u64| number % KEYS)
            .aggregate("count", Count)
            .sink("counts", files::json_lines_sink::<Counted>(&output));
        Ok(())
    });
    started.expect("the job starts")
}

/// Whether or not anything had been committed when the job was cancelled behind its savepoint.
#[test]
fn a_restore_that_writes_elsewhere_finishes_files_where_they_lie() {
    let folder = tempfile::tempdir().expect("a folder");
    let (blue, green) = (folder.path().join("blue"), folder.path().join("green"));
    let running = count_into(folder.path(), &[], blue.clone());
    wait_for_records(&running);
    let savepoint = running.savepoint_blocking(None).expect("it is taken");
    running.cancel();
    let ended = running.wait_blocking().expect("it does not fail");
    assert_eq!(ended.status, JobStatus::Canceled);
    let from = format!("--from-savepoint={savepoint}");
    let running = count_into(folder.path(), &[&from], green.clone());
    finish(&running);
    assert_eq!(unfinished(&blue, ".pending"), <[PathBuf; 0]>::default());
    assert_all_written(&[&blue, &green]);
}

/// The job goes back behind its savepoint, and writes the same again; the savepoint's own output is
/// there for whoever starts from it.
#[test]
fn what_a_savepoint_has_prepared_is_left_to_it_by_a_recovery() {
    let folder = tempfile::tempdir().expect("a folder");
    let (blue, green) = (folder.path().join("blue"), folder.path().join("green"));
    let fails = Arc::new(AtomicBool::new(false));
    let (sink, failing) = (files::json_lines_sink::<Counted>(&blue), Arc::clone(&fails));
    let options =
        ["-Drestart-strategy.type=fixed-delay", "-Drestart-strategy.fixed-delay.delay=1 ms"];
    let started = job(folder.path()).start(options, move |env| {
        let failing = Arc::clone(&failing);
        numbers(env, Some(SLOW))
            .key_by(|number: &u64| number % KEYS)
            .aggregate("count", Count)
            .inspect(move |_| {
                if failing.swap(false, Ordering::SeqCst) { Err("once".into()) } else { Ok(()) }
            })
            .sink("counts", sink.clone());
        Ok(())
    });
    let running = started.expect("the job starts");
    wait_for_records(&running);
    let savepoint = running.savepoint_blocking(None).expect("it is taken");
    fails.store(true, Ordering::SeqCst);
    assert_eq!(finish(&running).stats.restarts, 1);
    assert_all_written(&[&blue]);
    let first = lines(&blue);
    let from = format!("--from-savepoint={savepoint}");
    finish(&count_into(folder.path(), &[&from], green.clone()));
    let mut second = [lines(&blue), lines(&green)].concat();
    second.sort();
    let twice = first.iter().flat_map(|line| [line, line]).cloned().collect::<Vec<_>>();
    assert!(second == twice, "{} of {} lines, or other ones", second.len(), twice.len());
}

/// Without a folder for checkpoints nothing tells what has become of other runs of the job: they may
/// be writing right now, and need their files.
#[test]
fn a_job_without_checkpoints_deletes_nothing_of_other_runs_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("out");
    let start = |options: &[&str], rate: Option<u64>| {
        let output = output.clone();
        let started = Job::new("copied").start(options.iter().copied(), move |env| {
            numbers(env, rate).sink("written", files::json_lines_sink::<u64>(&output));
            Ok(())
        });
        started.expect("the job starts")
    };
    let first = start(&[], Some(SLOW));
    let seen = wait_for("a file", || unfinished(&output, ".inprogress").pop());
    first.cancel();
    first.wait_blocking().expect("it does not fail");
    // As that file was called, but of another attempt.
    let (ours, rest) = name(&seen).split_at(".part-0-".len());
    let left = output.join(format!("{ours}{:016x}{}", 0xff, &rest[16..]));
    fs::write(&left, "[1]").expect("the folder is the test's own");
    finish(&start(&[], None));
    assert!(left.exists(), "{} is gone", left.display());
    // With one the job's log tells: what a run has left that it knows goes, and nothing else.
    let dir = format!("-Dexecution.checkpointing.dir={}", folder.path().join("chk").display());
    let logged = [&dir, RETAIN];
    let third = start(&logged, Some(SLOW));
    let is_new = |path: &std::path::PathBuf| *path != left;
    let own = wait_for("a file", || unfinished(&output, ".inprogress").into_iter().find(is_new));
    third.checkpoint_blocking().expect("it is taken");
    third.cancel();
    third.wait_blocking().expect("it does not fail");
    fs::write(&own, "[1]").expect("the folder is the test's own");
    finish(&start(&logged, None));
    assert!(!own.exists(), "{} is still there", own.display());
    assert!(left.exists(), "{} is gone", left.display());
}

const RETAIN: &str =
    "-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION";
