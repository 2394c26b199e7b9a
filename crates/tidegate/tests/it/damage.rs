//! A restore point that is damaged: the next older one takes its place if nothing was committed
//! since, and otherwise the job fails and says why it does not go back.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tidegate::{ErrorKind, Result, collect::Collector, prelude::*};
use tidegate_testing::{folders::entries, wait_for};

use crate::support::counting::{KEYS, SLOW, finish, job, numbers, wait_for_records};

const OPTIONS: [&str; 5] = [
    "-Dexecution.checkpointing.num-retained=3",
    "-Dexecution.checkpointing.data-inline-threshold=0",
    "-Drestart-strategy.type=fixed-delay",
    "-Drestart-strategy.fixed-delay.attempts=3",
    "-Drestart-strategy.fixed-delay.delay=10 ms",
];

type Totals = Arc<Mutex<Vec<(u64, u64)>>>;

/// The job that counts, into a plain sink or one that commits; fails when it is asked to.
fn start(folder: &Path, commits: bool, fails: &Arc<AtomicBool>, totals: &Totals) -> JobHandle {
    let (fails, totals) = (Arc::clone(fails), Arc::clone(totals));
    let started = job(folder).start(OPTIONS, move |env| {
        let (fails, totals) = (Arc::clone(&fails), Arc::clone(&totals));
        let checked = numbers(env, Some(SLOW)).map(move |number| -> Result<u64> {
            if fails.swap(false, Ordering::Relaxed) { Err("trouble".into()) } else { Ok(number) }
        });
        let counts = checked.key_by(|number: &u64| number % KEYS).aggregate("count", Count);
        let counts = counts.inspect(move |count| {
            totals.lock().expect("nobody panics").push(*count);
            Ok(())
        });
        if commits {
            counts.sink("counts", Collector::default().exactly_once_sink());
        } else {
            counts.sink("counts", tidegate::discard::discard());
        }
        Ok(())
    });
    started.expect("it starts")
}

/// Takes a checkpoint.
fn checkpoint(running: &JobHandle) -> String {
    running.checkpoint_blocking().expect("it is taken")
}

/// Cuts the last byte off a state file.
fn damage(checkpoint: &str) {
    let is_state = |path: &std::path::PathBuf| !path.ends_with("_metadata");
    let state = entries(Path::new(checkpoint)).into_iter().find(is_state).expect("it has state");
    let bytes = fs::read(&state).expect("it can be read");
    fs::write(&state, &bytes[..bytes.len() - 1]).expect("it can be written");
}

#[test]
fn without_a_sink_that_commits_the_next_older_checkpoint_takes_the_damaged_ones_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let (fails, totals) = (Arc::new(AtomicBool::new(false)), Totals::default());
    let running = start(folder.path(), false, &fails, &totals);
    wait_for_records(&running);
    let (older, newest) = (checkpoint(&running), checkpoint(&running));
    damage(&newest);
    fails.store(true, Ordering::Relaxed);
    wait_for("the restore", || running.stats().restored.filter(|(_, path)| *path == older));
    let failures = running.stats().failures;
    assert!(failures.iter().any(|failure| failure.message.contains("bytes")), "{failures:?}");
    finish(&running);
    // Each key's last count is right, whatever was counted again on the way.
    let totals = totals.lock().expect("nobody panics");
    let most = totals.iter().fold(std::collections::BTreeMap::new(), |mut most, (key, count)| {
        let highest: &mut u64 = most.entry(*key).or_default();
        *highest = (*highest).max(*count);
        most
    });
    assert_eq!(most.values().sum::<u64>(), crate::support::counting::RECORDS);
    assert!(Path::new(&newest).exists(), "somebody may want to look at it");
}

#[test]
fn a_job_whose_sink_has_committed_does_not_go_back_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let (fails, totals) = (Arc::new(AtomicBool::new(false)), Totals::default());
    let running = start(folder.path(), true, &fails, &totals);
    wait_for_records(&running);
    checkpoint(&running);
    let newest = checkpoint(&running);
    damage(&newest);
    fails.store(true, Ordering::Relaxed);
    let error = running.wait_blocking().expect_err("it can't go on");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let message = error.to_string();
    let expected = ["bytes, and", "what `counts` committed", "--from-savepoint"];
    assert!(expected.iter().all(|part| message.contains(part)), "{message}");
}
