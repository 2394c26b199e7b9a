//! What a sink has prepared is the sink's: whatever becomes of the snapshot that it was prepared
//! for, nothing of it is lost.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize, Serializer};
use tidegate::{CheckpointId, ErrorKind, JobHandle, collect::Collector, files, prelude::*};

use tidegate_testing::{folders::lines, wait_for};

use crate::support::{
    counting::{Counted, KEYS, RECORDS, SLOW, assert_counted_once, finish, job, numbers},
    wrapped::{Before, Wrapped},
};

/// A place that is there and takes no file, not even from root.
const UNWRITABLE: &str = "/proc";

/// What stands in the way of records, on their worker's thread, while it is shut.
#[derive(Clone, Default)]
struct Gate {
    shut: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.shut.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, shut: bool) {
        *self.lock() = shut;
        self.shut.1.notify_all();
    }

    fn pass(&self) {
        let wait = self.shut.1.wait_while(self.lock(), |shut| *shut);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Starts the job that counts, past a gate that stands before the sink.
fn start(folder: &Path, options: &[&str], gate: &Gate, results: &Collector<Counted>) -> JobHandle {
    let (gate, results) = (gate.clone(), results.clone());
    let started = job(folder).start(options.iter().copied(), move |env| {
        let gate = gate.clone();
        numbers(env, Some(SLOW))
            .key_by(|number: &u64| number % KEYS)
            .aggregate("count", Count)
            .inspect(move |_| {
                gate.pass();
                Ok(())
            })
            .sink("counts", results.exactly_once_sink());
        Ok(())
    });
    started.expect("the job starts")
}

fn wait_for_more_records(running: &JobHandle) {
    let begin = running.stats().records;
    wait_for("records", || (running.stats().records > begin + KEYS).then_some(()));
}

/// Takes savepoints that come to nothing, and waits for the job's end.
fn finish_after_failed_savepoints(running: &JobHandle) {
    for savepoint in 1..=5 {
        wait_for_more_records(running);
        let refused = running.savepoint_blocking(Some(UNWRITABLE.to_owned()));
        assert!(refused.is_err(), "savepoint {savepoint} is written");
    }
    assert_eq!(finish(running).stats.restarts, 0);
}

#[test]
fn savepoints_that_can_t_be_written_cost_no_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let often = "-Dexecution.checkpointing.interval=200 ms";
    let running = start(folder.path(), &[often], &Gate::default(), &results);
    finish_after_failed_savepoints(&running);
    assert_counted_once(&results);
}

/// The barrier comes to the sink when the checkpoint has been given up already.
#[test]
fn checkpoints_that_expire_on_their_way_cost_no_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = [
        "-Dexecution.checkpointing.interval=100 ms",
        "-Dexecution.checkpointing.timeout=500 ms",
        "-Dexecution.checkpointing.tolerable-failed-checkpoints=1000000",
    ];
    let (gate, results) = (Gate::default(), Collector::default());
    let running = start(folder.path(), &options, &gate, &results);
    for expired in 1..=3 {
        wait_for_more_records(&running);
        let before = running.stats().failed_count;
        gate.set(true);
        wait_for("an expired checkpoint", || {
            (running.stats().failed_count > before).then_some(expired)
        });
        gate.set(false);
    }
    assert_eq!(finish(&running).stats.restarts, 0);
    assert_counted_once(&results);
}

/// A count that takes so long to encode that files are closed meanwhile.
#[derive(Clone, Serialize, Deserialize)]
struct Lazy(#[serde(serialize_with = "lazily")] u64);

fn lazily<S: Serializer>(count: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    std::thread::sleep(Duration::from_millis(1));
    serializer.serialize_u64(*count)
}

struct LazyCount(ValueState<Lazy>);

impl KeyedProcess<u64, u64> for LazyCount {
    type Out = Counted;

    fn on_record(
        &mut self,
        _number: u64,
        context: &mut ProcessContext<'_, u64, Counted>,
    ) -> tidegate::Result<()> {
        let Lazy(before) = self.0.get().unwrap_or(Lazy(0));
        self.0.set(Lazy(before + 1));
        context.emit((*context.key(), before + 1));
        Ok(())
    }
}

#[test]
fn savepoints_that_can_t_be_written_cost_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("out");
    let sink = files::json_lines_sink::<Counted>(&output);
    let often = ["-Dexecution.checkpointing.interval=200 ms"];
    let started = job(folder.path()).start(often, move |env| {
        numbers(env, Some(SLOW))
            .key_by(|number: &u64| number % KEYS)
            .process("count", |states| Ok(LazyCount(states.value("count")?)))
            .sink("counts", sink.clone());
        Ok(())
    });
    finish_after_failed_savepoints(&started.expect("the job starts"));
    let of_key = |key: u64| (RECORDS - key).div_ceil(KEYS);
    let line = |key| move |count| format!("[{key},{count}]");
    let expected = (0..KEYS).flat_map(|key| (1..=of_key(key)).map(line(key)));
    let mut expected = expected.collect::<Vec<_>>();
    expected.sort();
    let found = lines(&output);
    assert!(found == expected, "{} of {RECORDS} lines, or other ones", found.len());
}

/// How preparing goes wrong.
#[derive(Clone, Copy)]
enum Fault {
    Fails,
    Panics,
}

impl Before for Fault {
    fn prepared(&self, _: CheckpointId) -> BoxFuture<'static, tidegate::Result<()>> {
        match self {
            Self::Fails => async { Err("the disk is full".into()) }.boxed(),
            Self::Panics => async { panic!("no such disk") }.boxed(),
        }
    }
}

#[test]
fn a_sink_that_can_t_prepare_fails_the_attempt_and_is_named() {
    for (fault, said) in
        [(Fault::Fails, "the disk is full"), (Fault::Panics, "panicked: no such disk")]
    {
        let results = Collector::<u64>::default();
        let running = Job::new("broken").try_run(["--parallelism=1"], move |env| {
            let broken = Wrapped::around(&results, &fault);
            env.from_collection("numbers", vec![1]).sink("broken", broken);
            Ok(())
        });
        let error = running.expect_err("there is no restart strategy");
        let expected = format!(
            "operator `broken` could not prepare its commit: {said} (subtask 0) \
             (no restart: restart-strategy.type is none)"
        );
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unavailable, expected));
    }
}
