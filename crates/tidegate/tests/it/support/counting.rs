//! A job whose every result is known: numbers, counted by key.

use std::path::Path;

use tidegate::{
    EventTime, JobStatus, SnapshotForm, collect::Collector, generator::Generator, prelude::*,
};

use tidegate_testing::{folders::lines, wait_for};

/// How many numbers there are.
pub(crate) const RECORDS: u64 = 100_000;
/// How many keys they have.
pub(crate) const KEYS: u64 = 97;
/// Numbers per second when a test wants to see the job run.
pub(crate) const SLOW: u64 = 20_000;

/// A key, and how many numbers it has had so far.
pub(crate) type Counted = (u64, u64);

/// The numbers, at this rate.
pub(crate) fn numbers(env: &Env, rate: Option<u64>) -> Stream<u64> {
    let generator = Generator::new(Some(RECORDS), |index| index);
    env.source("numbers", rate.into_iter().fold(generator, Generator::rate))
}

/// Counts the numbers by key.
pub(crate) fn count(numbers: &Stream<u64>, results: &Collector<Counted>) {
    numbers
        .key_by(|number: &u64| number % KEYS)
        .aggregate("count", Count)
        .sink("counts", results.exactly_once_sink());
}

/// Fails unless each number has been counted once.
pub(crate) fn assert_counted_once(results: &Collector<Counted>) {
    let of_key = |key: u64| (RECORDS - key).div_ceil(KEYS);
    let counts = |key| (1..=of_key(key)).map(move |count| (key, count));
    let expected = (0..KEYS).flat_map(counts).collect::<Vec<_>>();
    let mut found = results.take();
    found.sort_unstable();
    assert!(found == expected, "{} of {RECORDS} results, or other ones", found.len());
}

/// The job, with its folders below one of a test's own.
pub(crate) fn job(folder: &Path) -> Job {
    let below = |name| folder.join(name).display().to_string();
    Job::new("counting")
        .default_option("parallelism.default", 2)
        .default_option("execution.checkpointing.dir", below("checkpoints"))
        .default_option("execution.checkpointing.savepoint-dir", below("savepoints"))
}

/// Starts the job that counts.
pub(crate) fn start(
    folder: &Path,
    options: &[&str],
    rate: Option<u64>,
    results: &Collector<Counted>,
) -> Result<JobHandle, JobError> {
    let results = results.clone();
    job(folder).start(options.iter().copied(), move |env| {
        count(&numbers(env, rate), &results);
        Ok(())
    })
}

/// Fails unless each number has been counted once, in the files of all these folders.
pub(crate) fn assert_all_written(folders: &[&Path]) {
    let of_key = |key: u64| (RECORDS - key).div_ceil(KEYS);
    let line = |key| move |count| format!("[{key},{count}]");
    let expected = (0..KEYS).flat_map(|key| (1..=of_key(key)).map(line(key)));
    let mut expected = expected.collect::<Vec<_>>();
    let mut found = folders.iter().flat_map(|folder| lines(folder)).collect::<Vec<_>>();
    expected.sort();
    found.sort();
    assert!(found == expected, "{} of {RECORDS} lines, or other ones", found.len());
}

/// Counts by key, and tells when event time ends.
struct Total(ValueState<u64>);

impl KeyedProcess<u64, u64> for Total {
    type Out = u64;

    fn on_record(
        &mut self,
        _number: u64,
        context: &mut ProcessContext<'_, u64, u64>,
    ) -> tidegate::Result<()> {
        context.set_event_timer(EventTime::MAX);
        self.0.modify_or(|| 0, |total| *total += 1);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _timer: Timer,
        context: &mut ProcessContext<'_, u64, u64>,
    ) -> tidegate::Result<()> {
        context.emit(self.0.take().unwrap_or_default());
        Ok(())
    }
}

/// Starts a job that tells how many numbers each key has had when event time ends.
pub(crate) fn start_totals(
    folder: &Path,
    options: &[&str],
    rate: Option<u64>,
    results: &Collector<u64>,
) -> JobHandle {
    let sink = results.clone();
    let started = job(folder).start(options.iter().copied(), move |env| {
        numbers(env, rate)
            .key_by(|number: &u64| number % KEYS)
            .process("total", |states| Ok(Total(states.value("total")?)))
            .sink("totals", sink.exactly_once_sink());
        Ok(())
    });
    started.expect("the job starts")
}

/// Waits for the job's good end.
pub(crate) fn finish(handle: &JobHandle) -> JobResult {
    let result = handle.wait_blocking().expect("the job does not fail");
    assert_eq!(result.status, JobStatus::Finished);
    result
}

/// Waits until this attempt has emitted some numbers of each key.
pub(crate) fn wait_for_records(handle: &JobHandle) {
    wait_for("the first records", || (handle.stats().records > 10 * KEYS).then_some(()));
}

/// Waits for so many completed checkpoints.
pub(crate) fn wait_for_checkpoints(handle: &JobHandle, count: u64) {
    wait_for("checkpoints", || (handle.stats().completed_count >= count).then_some(()));
}

/// Stops the job in the middle and returns where its savepoint lies.
pub(crate) fn stop(handle: &JobHandle) -> String {
    stop_as(SnapshotForm::Canonical, handle)
}

/// As [`stop`], with a savepoint of this form.
pub(crate) fn stop_as(form: SnapshotForm, handle: &JobHandle) -> String {
    wait_for_records(handle);
    let path = handle.stop_with_savepoint_as_blocking(form, None, false);
    let path = path.expect("the savepoint is taken");
    assert_eq!(finish(handle).savepoint.as_ref(), Some(&path));
    path
}
