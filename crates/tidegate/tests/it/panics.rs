//! User code that fails: the attempt ends, the next goes on from the latest checkpoint, and nothing
//! is lost or counted twice. Without a restart strategy the message says where and why.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rand::{RngExt, rngs::StdRng};
use tidegate::{ErrorKind, JobStatus, collect::Collector, generator::Generator, prelude::*};

use tidegate_testing::seeded;

use crate::support::job_of_test;

const FAILURES: u64 = 25;
const RECORDS: u64 = 100_000;
const KEYS: u64 = 97;

/// Fails at random records, once per attempt and some number of times.
#[derive(Clone)]
struct Trouble(Arc<Mutex<Failures>>);

struct Failures {
    random: StdRng,
    left: u64,
    /// After how many records the next one comes; `None` until there is another attempt.
    countdown: Option<u64>,
}

impl Trouble {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Failures { random: seeded(), left: FAILURES, countdown: None })))
    }

    /// Called as an attempt is built, when nothing of the one before is left.
    fn arm(&self) {
        let mut failures = self.lock();
        if failures.countdown.is_none() && failures.left > 0 {
            failures.countdown = Some(failures.random.random_range(1..10_000));
        }
    }

    /// Called for every record.
    fn maybe(&self) -> tidegate::Result<()> {
        let mut failures = self.lock();
        let Some(countdown) = &mut failures.countdown else { return Ok(()) };
        *countdown -= 1;
        if *countdown > 0 {
            return Ok(());
        }
        failures.countdown = None;
        failures.left -= 1;
        let left = failures.left;
        drop(failures);
        assert!(left.is_multiple_of(2), "a panic, with {left} failures to come");
        Err(format!("an error, with {left} failures to come").into())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts by key, and now and then does not.
struct Counting {
    count: ValueState<u64>,
    trouble: Trouble,
}

impl KeyedProcess<u64, u64> for Counting {
    type Out = (u64, u64);

    fn on_record(
        &mut self,
        _record: u64,
        context: &mut ProcessContext<'_, u64, (u64, u64)>,
    ) -> tidegate::Result<()> {
        self.trouble.maybe()?;
        self.count.modify_or(|| 0, |count| *count += 1);
        let count = self.count.get().unwrap_or_default();
        context.emit((*context.key(), count));
        Ok(())
    }
}

#[test]
fn failures_at_random_records_leave_no_trace_in_the_results() {
    let folder = tempfile::tempdir().expect("a folder");
    let (results, trouble) = (Collector::<(u64, u64)>::default(), Trouble::new());
    let (sink, troubles) = (results.clone(), trouble.clone());
    let options = [
        "--parallelism=2".to_owned(),
        format!("-Dexecution.checkpointing.dir={}", folder.path().display()),
        "-Dexecution.checkpointing.interval=20 ms".to_owned(),
        "-Drestart-strategy.type=fixed-delay".to_owned(),
        "-Drestart-strategy.fixed-delay.attempts=100".to_owned(),
        "-Drestart-strategy.fixed-delay.delay=1 ms".to_owned(),
    ];
    let result = Job::new("panics").try_run(options, move |env| {
        let (before, behind) = (troubles.clone(), troubles.clone());
        troubles.arm();
        env.source("numbers", Generator::new(Some(RECORDS), |index| index).rate(40_000))
            .map(move |number| before.maybe().map(|()| number))
            .key_by(|number: &u64| number % KEYS)
            .process("by-key", move |states| {
                Ok(Counting { count: states.value("count")?, trouble: behind })
            })
            .sink("counts", sink.exactly_once_sink());
        Ok(())
    });
    let result = result.expect("there are restarts enough");
    assert_eq!(result.status, JobStatus::Finished);
    assert_eq!(result.stats.restarts, FAILURES);
    assert_eq!(trouble.lock().left, 0);
    assert!(result.stats.restored.is_some(), "no attempt began from a checkpoint");
    let mut counts = results.take();
    counts.sort_unstable();
    assert!(counts == expected(), "{} of {RECORDS} results, or other ones", counts.len());
}

/// Each key's counts, from 1 to how many records it has.
fn expected() -> Vec<(u64, u64)> {
    let of_key = |key: u64| (RECORDS - key).div_ceil(KEYS);
    (0..KEYS).flat_map(|key| (1..=of_key(key)).map(move |count| (key, count))).collect()
}

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tail number is none")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// The line on which `failing` reduces.
const REDUCE: u32 = line!() + 7;

/// Fails as `function` says, in a keyed function at parallelism 2.
fn failing(function: fn() -> tidegate::Result<()>) -> JobError {
    let job = job_of_test().try_run(["--parallelism=2"], move |env| {
        env.from_collection("numbers", vec![7_u64, 7])
            .key_by(|number: &u64| *number)
            .reduce("sum", move |_, _| function())
            .sink("nowhere", tidegate::discard::discard());
        Ok(())
    });
    job.expect_err("it fails, and there is no restart strategy")
}

/// The one subtask that has the key.
fn subtask(message: &str) -> &str {
    if message.contains("(subtask 0)") { "(subtask 0)" } else { "(subtask 1)" }
}

#[test]
fn without_a_restart_strategy_an_error_tells_where_and_the_whole_chain_of_causes() {
    let error = failing(|| Ok("N14228".parse::<u64>().map(|_| ()).map_err(Outer)?));
    assert_eq!(error.kind(), ErrorKind::User);
    let message = error.to_string();
    let expected = format!(
        "operator `sum` (reduce at {}:{REDUCE}) failed on 7: the tail number is none: invalid digit \
         found in string {} (no restart: restart-strategy.type is none)",
        file!(),
        subtask(&message)
    );
    assert_eq!(message, expected);
}

#[test]
fn an_operator_without_a_uid_is_told_by_its_place_in_the_program_alone() {
    let line = line!() + 3;
    let job = job_of_test().try_run(["--parallelism=1"], |env| {
        env.from_collection("numbers", vec![7_u64])
            .map(|_| Err::<u64, _>("seven".into()))
            .sink("nowhere", tidegate::discard::discard());
        Ok(())
    });
    let message = job.expect_err("it fails").to_string();
    let place = format!("map at {}:{line} failed on 7: seven (subtask 0)", file!());
    assert!(message.starts_with(&place), "{message}");
}

#[test]
fn without_a_restart_strategy_a_panic_tells_where_and_what_it_said() {
    let message = failing(|| panic!("no such plane")).to_string();
    let expected = format!(
        "operator `sum` (reduce at {}:{REDUCE}) failed on 7: panicked: no such plane {} \
         (no restart: restart-strategy.type is none)",
        file!(),
        subtask(&message)
    );
    assert_eq!(message, expected);
}
