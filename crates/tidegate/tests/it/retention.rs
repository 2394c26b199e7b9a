//! Which snapshots stay, and whom they belong to.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::executor::block_on;
use tidegate::{ErrorKind, Job, JobStatus, collect::Collector};
use tidegate_storage::{
    Place,
    log::{self, Concluded, Run, RunToken},
};
use tidegate_testing::{
    folders::{checkpoints, is_complete},
    wait_for,
};

use crate::support::counting::{
    SLOW, assert_counted_once, count, finish, job, numbers, start, stop, wait_for_checkpoints,
    wait_for_records,
};

const OFTEN: &str = "-Dexecution.checkpointing.interval=20 ms";

fn left(folder: &Path) -> Vec<PathBuf> {
    checkpoints(&folder.join("checkpoints"))
}

#[test]
fn a_claimed_savepoint_goes_when_it_is_subsumed() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let savepoint = stop(&start(folder.path(), &[], Some(SLOW), &results).expect("it starts"));
    let claim = [OFTEN, "--claim-mode=claim", "--from-savepoint", &savepoint];
    let second = start(folder.path(), &claim, Some(SLOW), &results).expect("it starts");
    wait_for("the claimed savepoint to go", || (!Path::new(&savepoint).exists()).then_some(()));
    finish(&second);
    assert_counted_once(&results);
}

#[test]
fn an_unclaimed_savepoint_is_never_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let savepoint = stop(&start(folder.path(), &[], Some(SLOW), &results).expect("it starts"));
    let unclaimed = [OFTEN, "--claim-mode=no_claim", "--from-savepoint", &savepoint];
    let second = start(folder.path(), &unclaimed, Some(SLOW), &results).expect("it starts");
    wait_for_checkpoints(&second, 3);
    finish(&second);
    assert!(is_complete(Path::new(&savepoint)), "the savepoint is gone");
    assert_counted_once(&results);
}

#[test]
fn a_claim_adopts_the_jobs_own_older_checkpoints_and_no_other_jobs() {
    for (name, adopts) in [("counting", true), ("another", false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let results = Collector::default();
        let retain = [
            OFTEN,
            "-Dexecution.checkpointing.num-retained=3",
            "-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION",
        ];
        let first = start(folder.path(), &retain, Some(SLOW), &results).expect("it starts");
        wait_for_checkpoints(&first, 4);
        first.cancel();
        first.wait_blocking().expect("a cancelled job has not failed");
        let mut left = left(folder.path());
        left.sort_by_key(|folder| (folder.as_os_str().len(), folder.clone()));
        assert_eq!(left.len(), 3, "{left:?}");

        let newest = left.last().expect("three").display().to_string();
        let claim = [OFTEN, "--claim-mode=claim", "--from-savepoint", &newest];
        let below = |name| folder.path().join(name).display().to_string();
        let counted = results.clone();
        let second = Job::new(name)
            .default_option("execution.checkpointing.dir", below("checkpoints"))
            .start(claim.iter().copied(), move |env| {
                count(&numbers(env, Some(SLOW)), &counted);
                Ok(())
            });
        let second = second.expect("it starts");
        wait_for("the claimed checkpoint to go", || (!left[2].exists()).then_some(()));
        finish(&second);
        let stay = left[..2].iter().filter(|folder| is_complete(folder)).count();
        assert_eq!(stay, if adopts { 0 } else { 2 }, "of {name}");
    }
}

#[test]
fn a_job_tells_which_snapshots_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let seldom = "-Dexecution.checkpointing.interval=1 h";
    let savepoint = stop(&start(folder.path(), &[], Some(SLOW), &results).expect("it starts"));
    let from = [seldom, "--claim-mode=claim", "--from-savepoint", &savepoint];
    let second = start(folder.path(), &from, Some(SLOW), &results).expect("it starts");
    assert_eq!(second.stats().held, [savepoint]);
    wait_for_records(&second);
    let checkpoint = second.checkpoint_blocking().expect("it is taken");
    wait_for("the checkpoint to be held", || {
        (second.stats().held == [checkpoint.clone()]).then_some(())
    });
    finish(&second);
}

#[test]
fn so_many_checkpoints_are_kept_and_a_cancelled_job_keeps_them_if_it_is_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = [
        OFTEN,
        "-Dexecution.checkpointing.num-retained=3",
        "-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION",
    ];
    let results = Collector::default();
    let running = start(folder.path(), &options, Some(SLOW), &results).expect("it starts");
    wait_for_checkpoints(&running, 6);
    running.cancel();
    let result = running.wait_blocking().expect("a cancelled job has not failed");
    assert_eq!(result.status, JobStatus::Canceled);
    let left = left(folder.path());
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.iter().all(|folder| is_complete(folder)), "{left:?}");
    finish(&start(folder.path(), &["--from-savepoint=latest"], None, &results).expect("it starts"));
    assert_counted_once(&results);
}

#[test]
fn a_cancelled_job_loses_its_checkpoints() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(folder.path(), &[OFTEN], Some(SLOW), &Collector::default());
    let running = running.expect("it starts");
    wait_for_checkpoints(&running, 2);
    running.cancel();
    running.wait_blocking().expect("a cancelled job has not failed");
    assert_eq!(left(folder.path()), <[PathBuf; 0]>::default());
}

#[test]
fn a_failed_job_keeps_its_latest_checkpoint_and_latest_finds_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let enough = Arc::new(AtomicBool::new(false));
    let (sink, fails) = (results.clone(), Arc::clone(&enough));
    let failing = job(folder.path()).start([OFTEN, "-Drestart-strategy.type=none"], move |env| {
        let fails = Arc::clone(&fails);
        let checked = numbers(env, Some(SLOW)).map(move |number| {
            if fails.load(Ordering::Relaxed) { Err("enough".into()) } else { Ok(number) }
        });
        count(&checked, &sink);
        Ok(())
    });
    let failing = failing.expect("it starts");
    wait_for_checkpoints(&failing, 2);
    enough.store(true, Ordering::Relaxed);
    let error = failing.wait_blocking().expect_err("it fails");
    assert!(error.to_string().contains("enough"), "{error}");
    assert_eq!(left(folder.path()).len(), 1);
    finish(&start(folder.path(), &["--from-savepoint=latest"], None, &results).expect("it starts"));
    assert_counted_once(&results);
}

#[test]
fn latest_with_nothing_there_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let started = start(folder.path(), &["--from-savepoint=latest"], None, &Collector::default());
    let error = started.err().expect("there is nothing to start from");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let message = error.to_string();
    assert!(message.starts_with("there is no checkpoint or savepoint of job "), "{message}");
    assert!(message.contains("start without --from-savepoint if it has never completed one"));
}

/// What a run notes in its job's log when the job has ended, before it deletes a checkpoint.
fn conclude(folder: &Path) {
    let checkpoint = left(folder).pop().expect("one is kept");
    let log = checkpoint.parent().expect("it is the job's").join("log");
    let place = Place::open(&log.display().to_string()).expect("it is a folder");
    let run = Run { token: RunToken(7), rank: None, name: "the run that ended".to_owned() };
    block_on(async {
        let (log, _) = log::take_over(&place, run).await.expect("nobody else has it");
        log.conclude(Concluded::Finished).await.expect("nobody else has it");
    });
}

#[test]
fn a_job_that_was_killed_as_it_ended_is_not_gone_on_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let retain =
        "-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION";
    let running = start(folder.path(), &[OFTEN, retain], Some(SLOW), &Collector::default());
    let running = running.expect("it starts");
    wait_for_checkpoints(&running, 2);
    running.cancel();
    running.wait_blocking().expect("a cancelled job has not failed");
    conclude(folder.path());
    let before = left(folder.path());
    let latest = start(folder.path(), &["--from-savepoint=latest"], None, &Collector::default());
    let error = latest.err().expect("there is nothing to go on from");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("has finished, and what came of"), "{error}");
    let results = Collector::default();
    finish(&start(folder.path(), &[OFTEN], None, &results).expect("it begins anew"));
    assert_counted_once(&results);
    assert!(before.iter().all(|checkpoint| !checkpoint.exists()), "nobody else deletes them");
}

#[test]
fn a_folder_of_snapshots_that_is_named_as_one_says_which_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = [
        OFTEN,
        "-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION",
    ];
    let running = start(folder.path(), &options, Some(SLOW), &Collector::default());
    let running = running.expect("it starts");
    wait_for_checkpoints(&running, 2);
    running.cancel();
    running.wait_blocking().expect("a cancelled job has not failed");
    let newest = left(folder.path()).pop().expect("it is retained");
    let of_job = newest.parent().expect("the job's folder");
    let refused = |from: &Path, more: &[&str]| {
        let from = format!("--from-savepoint={}", from.display());
        let options = [&[from.as_str()], more].concat();
        let started = start(folder.path(), &options, None, &Collector::default());
        let error = started.err().expect("it is no snapshot");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        error.to_string()
    };
    for from in [of_job, of_job.parent().expect("that of all jobs")] {
        let expected =
            format!("is no snapshot, but holds some; name one of them: '{}'", newest.display());
        let message = refused(from, &[]);
        assert!(message.contains(&expected) && message.contains("(`counting`)"), "{message}");
    }
    let message = refused(Path::new("latest"), &["--job-id=0123456789abcdef0123456789abcdef"]);
    let expected = format!("there is '{}' of job ", newest.display());
    assert!(message.contains(&expected) && message.contains("has the same name"), "{message}");
}
