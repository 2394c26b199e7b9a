//! A finished file is its reader's, who takes it away; and a job may write elsewhere tomorrow than
//! it did today. Neither keeps it from being restored.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tidegate::{JobHandle, JobStatus, files, prelude::*};
use tidegate_testing::folders::{entries, lines, name, unfinished};

use crate::support::counting::{
    Counted, KEYS, RECORDS, SLOW, finish, job, numbers, wait_for_records,
};

/// How often the job fails.
const FAILURES: u64 = 3;

/// Takes all finished files away.
fn consume(output: &Path, archive: &Path) -> usize {
    let finished = entries(output).into_iter().filter(|path| name(path).starts_with("part-"));
    let moved = finished.map(|path| fs::rename(&path, archive.join(name(&path))));
    moved.inspect(|moved| assert!(moved.is_ok(), "{moved:?}")).count()
}

fn assert_all_written(folders: &[&Path]) {
    let of_key = |key: u64| (RECORDS - key).div_ceil(KEYS);
    let line = |key| move |count| format!("[{key},{count}]");
    let expected = (0..KEYS).flat_map(|key| (1..=of_key(key)).map(line(key)));
    let mut expected = expected.collect::<Vec<_>>();
    let mut found = folders.iter().flat_map(|folder| lines(folder)).collect::<Vec<_>>();
    expected.sort();
    found.sort();
    assert!(found == expected, "{} of {RECORDS} lines, or other ones", found.len());
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
