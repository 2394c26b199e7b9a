//! Checkpoints that fail, that overlap, that go on when some inputs have ended; what follows a
//! failure; the weaker guarantee.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tidegate::{ErrorKind, JobId, collect::Collector, discard::discard};

use crate::support::{
    counting::{
        KEYS, RECORDS, SLOW, assert_counted_once, count, finish, job, numbers, start, stop,
        wait_for_checkpoints,
    },
    job_of_test,
};

const OFTEN: &str = "-Dexecution.checkpointing.interval=20 ms";
const IN_FILES: &str = "-Dexecution.checkpointing.data-inline-threshold=0";

/// Puts files where the folders of the second to fourth checkpoint would be, and returns them.
fn obstruct(folder: &Path) -> Vec<PathBuf> {
    let checkpoints = folder.join("checkpoints").join(JobId::from_name("counting").to_string());
    fs::create_dir_all(&checkpoints).expect("the folder is the test's own");
    let files = (2..=4).map(|checkpoint| checkpoints.join(format!("chk-{checkpoint}")));
    files.inspect(|file| fs::write(file, "").expect("the folder is writable")).collect()
}

#[test]
fn as_many_checkpoints_may_fail_in_a_row_as_are_tolerable() {
    let folder = tempfile::tempdir().expect("a folder");
    obstruct(folder.path());
    let results = Collector::default();
    let tolerable = "-Dexecution.checkpointing.tolerable-failed-checkpoints=3";
    let running = start(folder.path(), &[OFTEN, IN_FILES, tolerable], Some(SLOW), &results);
    let stats = finish(&running.expect("it starts")).stats;
    assert_eq!((stats.failed_count, stats.restarts), (3, 0));
    assert_eq!(stats.completed.first().map(|first| first.id.0), Some(1));
    assert_eq!(stats.completed.get(1).map(|second| second.id.0), Some(5));
    assert_counted_once(&results);
}

#[test]
fn one_failed_checkpoint_more_than_is_tolerable_fails_the_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    let obstacles = obstruct(folder.path());
    let results = Collector::default();
    let options = [
        OFTEN,
        IN_FILES,
        "-Dexecution.checkpointing.tolerable-failed-checkpoints=2",
        "-Drestart-strategy.type=none",
    ];
    let running = start(folder.path(), &options, Some(SLOW), &results).expect("it starts");
    let error = running.wait_blocking().expect_err("three checkpoints fail");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let message = error.to_string();
    let expected = "exceeded checkpoint tolerable failure threshold of 2: checkpoint 4 failed: \
                    cannot write '";
    assert!(message.starts_with(expected) && message.contains("/chk-4/state-0-"), "{message}");
    obstacles.iter().for_each(|file| fs::remove_file(file).expect("it is there"));
    finish(&start(folder.path(), &["--from-savepoint=latest"], None, &results).expect("it starts"));
    assert_counted_once(&results);
}

#[test]
fn checkpoints_go_on_when_an_input_has_ended_and_it_stays_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::<(u64, u64)>::default();
    let run = |options: &[&str], rate: Option<u64>| {
        let sink = results.clone();
        let started = job(folder.path()).start(options.iter().copied(), move |env| {
            // The short input is one record, and ends at once.
            let short = env.from_collection("short", vec![KEYS]).filter(|_| Ok(false));
            count(&numbers(env, rate).union(&[&short]), &sink);
            Ok(())
        });
        started.expect("it starts")
    };
    let first = run(&[OFTEN], Some(SLOW));
    wait_for_checkpoints(&first, 5);
    let savepoint = stop(&first);
    assert!(all_finished(&savepoint, "short"), "the short input had not ended");
    assert!(!all_finished(&savepoint, "numbers"), "the long input had ended too");
    let second = run(&[OFTEN, "-p4", "--from-savepoint", &savepoint], Some(SLOW));
    wait_for_checkpoints(&second, 5);
    finish(&second);
    assert_counted_once(&results);
}

/// Whether a snapshot says that all subtasks of an operator have consumed their input.
fn all_finished(snapshot: &str, uid: &str) -> bool {
    let text = fs::read_to_string(Path::new(snapshot).join("_metadata")).expect("it is complete");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let subtasks = manifest["operators"][uid]["subtasks"].as_array().expect("it has subtasks");
    subtasks.iter().all(|subtask| subtask["finished"] == true)
}

/// Runs a job that always fails, and returns how often it was restarted, and its error.
fn always_failing(options: &[&str]) -> (u64, String) {
    let running = job_of_test().start(options.iter().copied(), |env| {
        env.from_collection("numbers", vec![1])
            .inspect(|_| Err("as ever".into()))
            .sink("sink", discard());
        Ok(())
    });
    let running = running.expect("it starts");
    let error = running.wait_blocking().expect_err("it always fails");
    (running.stats().restarts, error.to_string())
}

#[test]
fn each_restart_strategy_gives_up_as_it_says() {
    let (restarts, error) = always_failing(&[]);
    assert!(error.ends_with("(no restart: restart-strategy.type is none)"), "{error}");
    assert_eq!(restarts, 0);
    let (restarts, error) = always_failing(&[
        "-Drestart-strategy.type=fixed-delay",
        "-Drestart-strategy.fixed-delay.attempts=3",
        "-Drestart-strategy.fixed-delay.delay=1 ms",
    ]);
    assert!(error.ends_with("(no restart: restart-strategy.fixed-delay.attempts is 3)"), "{error}");
    assert_eq!(restarts, 3);
    let (restarts, error) = always_failing(&[
        "-Drestart-strategy.type=failure-rate",
        "-Drestart-strategy.failure-rate.max-failures-per-interval=2",
        "-Drestart-strategy.failure-rate.failure-rate-interval=1 h",
        "-Drestart-strategy.failure-rate.delay=1 ms",
    ]);
    assert!(error.contains("(no restart: 3 failures within 3600s"), "{error}");
    assert_eq!(restarts, 2);
    let (restarts, error) = always_failing(&[
        "-Drestart-strategy.type=exponential-delay",
        "-Drestart-strategy.exponential-delay.initial-backoff=1 ms",
        "-Drestart-strategy.exponential-delay.attempts-before-reset-backoff=4",
    ]);
    assert!(error.contains("attempts-before-reset-backoff is 4"), "{error}");
    assert_eq!(restarts, 4);
}

#[test]
fn at_least_once_counts_nothing_less_than_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::<(u64, u64)>::default();
    let (sink, enough) = (results.clone(), Arc::new(AtomicBool::new(false)));
    let fails = Arc::clone(&enough);
    let options = [
        OFTEN,
        "-Dexecution.checkpointing.mode=AT_LEAST_ONCE",
        "-Drestart-strategy.type=fixed-delay",
        "-Drestart-strategy.fixed-delay.delay=1 ms",
    ];
    let running = job(folder.path()).start(options, move |env| {
        let fails = Arc::clone(&fails);
        let checked = numbers(env, Some(SLOW)).map(move |number| {
            if fails.swap(false, Ordering::Relaxed) { Err("once".into()) } else { Ok(number) }
        });
        count(&checked, &sink);
        Ok(())
    });
    let running = running.expect("it starts");
    wait_for_checkpoints(&running, 3);
    enough.store(true, Ordering::Relaxed);
    assert_eq!(finish(&running).stats.restarts, 1);
    let mut highest = BTreeMap::<u64, u64>::new();
    for (key, count) in results.take() {
        let so_far = highest.entry(key).or_default();
        *so_far = count.max(*so_far);
    }
    assert_eq!(highest.len() as u64, KEYS);
    for (key, count) in highest {
        assert!(count >= (RECORDS - key).div_ceil(KEYS), "key {key} was counted {count} times");
    }
}
