//! Savepoints stand aside: they are their user's, and neither commit anything nor take part in
//! recovery. Only the final one of a stop does, and behind it the job does nothing but end.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tidegate::{JobStatus, Result, SnapshotForm, collect::Collector, prelude::*};
use tidegate_testing::{folders::is_complete, wait_for};

use crate::support::{
    counting::{
        Counted, KEYS, RECORDS, SLOW, assert_counted_once, count, finish, job, numbers, start,
        start_totals, wait_for_records,
    },
    wrapped::{Before, Wrapped},
};

/// Exists, and nothing can be written into it.
const UNWRITABLE: &str = "/proc";
const RESTARTS: [&str; 3] = [
    "-Drestart-strategy.type=fixed-delay",
    "-Drestart-strategy.fixed-delay.attempts=1000",
    "-Drestart-strategy.fixed-delay.delay=10 ms",
];

/// Something that goes wrong once each time it is asked to.
#[derive(Clone, Default)]
struct Trouble(Arc<AtomicBool>);

impl Trouble {
    fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn maybe(&self) -> Result<()> {
        if self.0.swap(false, Ordering::Relaxed) { Err("trouble".into()) } else { Ok(()) }
    }
}

/// The job that counts, with trouble in the middle.
fn start_troubled(folder: &Path, results: &Collector<Counted>, trouble: &Trouble) -> JobHandle {
    let (sink, trouble) = (results.clone(), trouble.clone());
    let started = job(folder).start(RESTARTS, move |env| {
        let trouble = trouble.clone();
        let checked = numbers(env, Some(SLOW)).map(move |number| trouble.maybe().map(|()| number));
        count(&checked, &sink);
        Ok(())
    });
    started.expect("it starts")
}

fn wait_for_restarts(job: &JobHandle, count: u64) {
    wait_for("a restart", || (job.stats().restarts >= count).then_some(()));
}

#[test]
fn inv_aside_a_job_goes_on_from_its_checkpoint_though_a_later_savepoint_was_moved_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let (results, trouble) = (Collector::default(), Trouble::default());
    let running = start_troubled(folder.path(), &results, &trouble);
    wait_for_records(&running);
    let checkpoint = running.checkpoint_blocking().expect("it is taken");
    let savepoint = running.savepoint_blocking(None).expect("it is taken");
    fs::rename(&savepoint, folder.path().join("elsewhere")).expect("it is the user's");
    trouble.ask();
    wait_for_restarts(&running, 1);
    wait_for("the restore", || running.stats().restored.filter(|(_, path)| *path == checkpoint));
    finish(&running);
    assert_counted_once(&results);
}

#[test]
fn a_checkpoint_behind_a_savepoint_commits_what_the_savepoint_did_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (results, trouble) = (Collector::default(), Trouble::default());
    let running = start_troubled(folder.path(), &results, &trouble);
    wait_for_records(&running);
    running.savepoint_blocking(None).expect("it is taken");
    assert!(results.is_empty(), "a savepoint has committed");
    running.checkpoint_blocking().expect("it is taken");
    wait_for("the commit", || (!results.is_empty()).then_some(()));
    finish(&running);
    assert_counted_once(&results);
}

#[test]
fn a_store_that_is_away_is_a_matter_for_the_restart_strategy() {
    let folder = tempfile::tempdir().expect("a folder");
    let (results, trouble) = (Collector::default(), Trouble::default());
    let running = start_troubled(folder.path(), &results, &trouble);
    wait_for_records(&running);
    running.checkpoint_blocking().expect("it is taken");
    let (store, away) = (folder.path().join("checkpoints"), folder.path().join("away"));
    fs::rename(&store, &away).expect("it can be moved");
    trouble.ask();
    wait_for_restarts(&running, 5);
    let failures = running.stats().failures;
    let named = failures.iter().any(|failure| failure.message.contains("is not there now"));
    assert!(named, "{failures:?}");
    // Whoever restarts may have made the folder again.
    let _ = fs::remove_dir_all(&store);
    fs::rename(&away, &store).expect("it can be moved back");
    finish(&running);
    assert_counted_once(&results);
}

#[test]
fn a_drain_that_fails_leaves_no_trace_in_the_results() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let running = start_totals(folder.path(), &RESTARTS, Some(SLOW), &results);
    wait_for_records(&running);
    running.checkpoint_blocking().expect("it is taken");
    let drained = running.stop_with_savepoint_blocking(Some(UNWRITABLE.to_owned()), true);
    drained.expect_err("nothing can be written there");
    finish(&running);
    let totals = results.take();
    assert_eq!(totals.len() as u64, KEYS, "timers have fired twice, or never");
    assert_eq!(totals.iter().sum::<u64>(), RECORDS);
    assert_eq!(running.stats().restarts, 1, "it goes back once");
}

#[test]
fn a_cancel_with_savepoint_that_fails_leaves_no_mark_on_a_later_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let running = start(folder.path(), &[], Some(SLOW), &results).expect("it starts");
    wait_for_records(&running);
    let nowhere = Some(UNWRITABLE.to_owned());
    let canceled = running.cancel_with_savepoint(SnapshotForm::Canonical, nowhere);
    futures::executor::block_on(canceled).expect_err("nothing can be written there");
    running.stop_with_savepoint_blocking(None, false).expect("it is taken");
    let result = running.wait_blocking().expect("it has not failed");
    assert_eq!(result.status, JobStatus::Finished);
}

/// Commits fail once each time they are asked to.
impl Before for Trouble {
    fn commit(&self) -> Result<()> {
        self.maybe()
    }
}

#[test]
fn inv_conclude_a_failure_behind_the_final_savepoint_is_followed_by_its_commit_and_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let (results, trouble) = (Collector::default(), Trouble::default());
    let (sink, fails) = (results.clone(), trouble.clone());
    let running = job(folder.path()).start(RESTARTS, move |env| {
        numbers(env, Some(SLOW))
            .key_by(|number: &u64| number % KEYS)
            .aggregate("count", Count)
            .sink("counts", Wrapped::around(&sink, &fails));
        Ok(())
    });
    let running = running.expect("it starts");
    wait_for_records(&running);
    trouble.ask();
    let savepoint = running.stop_with_savepoint_blocking(None, false).expect("it stops");
    assert!(running.wait_blocking().is_ok(), "the job had not ended when the stop was answered");
    let stats = finish(&running).stats;
    assert_eq!((stats.restarts, stats.records), (1, 0), "it has emitted more behind its savepoint");
    assert!(is_complete(Path::new(&savepoint)));
    let from = format!("--from-savepoint={savepoint}");
    finish(&start(folder.path(), &[&from], None, &results).expect("it starts"));
    assert_counted_once(&results);
}
