use std::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use tidegate_runtime::{Host, start_on};
use tidegate_testing::wait_for;
use tidegate_types::{Monotonic, time::SystemClock};

use super::*;
use crate::{
    Clock, EventTime, KeyedProcess, OperatorListState, ProcessContext, Redistribution, Timer,
    Timestamp, UnkeyedContext, UnkeyedProcess, WatermarkStrategy, collect::Collector,
    generator::Generator,
};

const HOUR: Duration = Duration::from_secs(3600);

/// The system's clocks, of which somebody sets the one on the wall.
#[derive(Default)]
struct Set {
    millis: AtomicI64,
}

impl Set {
    fn forward(&self, hours: i64) {
        self.millis.fetch_add(hours * HOUR.as_millis() as i64, Ordering::Relaxed);
    }
}

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp(
            SystemClock.now().millis().saturating_add_signed(self.millis.load(Ordering::Relaxed)),
        )
    }

    fn monotonic(&self) -> Monotonic {
        SystemClock.monotonic()
    }
}

/// Tells of each event time when the watermark has passed it.
struct Passed;

impl KeyedProcess<u8, u64> for Passed {
    type Out = i64;

    fn on_record(&mut self, _: u64, context: &mut ProcessContext<'_, u8, i64>) -> Result<()> {
        let time = context.timestamp().expect("the stream has event times");
        context.set_event_timer(time);
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, context: &mut ProcessContext<'_, u8, i64>) -> Result<()> {
        context.emit(timer.time);
        Ok(())
    }
}

/// Two streams: the first goes on for ever, and the second holds its watermarks back until it has
/// been silent for long enough.
fn build(env: &Env, is_silent: &Arc<AtomicBool>, passed: &Collector<i64>) {
    let is_silent = Arc::clone(is_silent);
    let generator = || Generator::new(None, |index| index).rate(2_000);
    let strategy = || WatermarkStrategy::monotonous().with_idleness(Duration::from_secs(1));
    let first = env.source("first", generator());
    let first = first.assign_timestamps(strategy(), |number| Ok(EventTime(*number as i64)));
    let second = env.source("second", generator());
    let second = second.filter(move |_| Ok(!is_silent.load(Ordering::Relaxed)));
    let second = second.assign_timestamps(strategy(), |_| Ok(EventTime(0)));
    first
        .union(&[&second])
        .key_by(|_| 0_u8)
        .process("passed", |_| Ok(Passed))
        .sink("times", passed.exactly_once_sink());
}

#[test]
fn a_wall_clock_that_is_set_back_by_an_hour_holds_nothing_of_a_job_up() {
    let (clock, passed) = (Arc::new(Set::default()), Collector::<i64>::default());
    let is_silent = Arc::new(AtomicBool::new(false));
    let arguments = [
        "-Dexecution.checkpointing.interval=20 ms",
        "-Dexecution.checkpointing.min-pause=20 ms",
        "-Dpipeline.auto-watermark-interval=20 ms",
    ];
    let (silent, sink) = (Arc::clone(&is_silent), passed.clone());
    let spec = Job::new("set-back").parsed(arguments, move |env: &Env| {
        build(env, &silent, &sink);
        Ok(())
    });
    let by = Arc::<Set>::clone(&clock);
    let job = start_on(spec.expect("it can be built"), Host::system().by(by)).expect("it starts");
    let wait_for_checkpoints = |more| {
        let before = job.stats().completed_count;
        wait_for("checkpoints", || (job.stats().completed_count >= before + more).then_some(()));
    };
    wait_for_checkpoints(2);
    is_silent.store(true, Ordering::Relaxed);
    // Behind it there is nothing of the second stream any more.
    wait_for_checkpoints(2);
    clock.forward(-1);
    wait_for_checkpoints(5);
    // The second stream is found idle, the first one's watermarks go on, and checkpoints commit it.
    let _ = passed.take();
    let count = || passed.take().into_iter().max();
    let first = wait_for("times that have passed", count);
    wait_for("later ones", || count().filter(|later| *later > first));
    job.cancel();
    job.wait_blocking().expect("a cancelled job has not failed");
}

/// Keeps the first number of the subtask.
struct First(OperatorListState<u64>);

impl UnkeyedProcess<u64> for First {
    type Out = u64;

    fn on_record(&mut self, number: u64, context: &mut UnkeyedContext<'_, u64>) -> Result<()> {
        if self.0.with(<[u64]>::is_empty) {
            self.0.add(number);
        }
        context.emit(number);
        Ok(())
    }
}

/// A job that keeps it in the operator `uid`, as the state `list`.
fn keeping(options: &[&str], uid: &'static str, list: &'static str) -> tidegate_runtime::JobSpec {
    let spec = Job::new("first").parsed(options.iter().copied(), move |env: &Env| {
        env.source("numbers", Generator::new(None, |index| index).rate(2_000))
            .process_unkeyed(uid, move |states| {
                Ok(First(states.list(list, Redistribution::Split)?))
            })
            .sink("sink", crate::discard::discard());
        Ok(())
    });
    spec.expect("it can be built")
}

#[test]
fn a_dry_run_tells_of_lists_and_operators_that_are_left_behind_as_the_run_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = tidegate_runtime::start(keeping(&[], "item", "seen"));
    let job = job.expect("it starts");
    wait_for("records", || (job.stats().records > 10).then_some(()));
    let target = Some(folder.path().display().to_string());
    let savepoint = job.stop_with_savepoint_blocking(target, false).expect("it is taken");
    job.wait_blocking().expect("it has stopped");
    let from = ["--from-savepoint", savepoint.as_str()];
    let told = |uid, list| {
        let outcome = tidegate_runtime::dry_run(&keeping(&from, uid, list));
        let outcome = outcome.expect("it can be read");
        (outcome.max_parallelism.is_some(), outcome.to_string())
    };
    let (would_start, said) = told("item", "seen");
    assert!(would_start && said.contains("`item`.`seen`, 1 rows: restored"), "{said}");
    for (uid, list) in [("item", "known"), ("other", "seen")] {
        let (would_start, said) = told(uid, list);
        assert!(!would_start && said.contains("`item`.`seen`, 1 rows: dropped"), "{said}");
        let refused = tidegate_runtime::start(keeping(&from, uid, list));
        let refused = refused.err().expect("nothing is left behind unasked").to_string();
        assert!(refused.contains("--allow-non-restored-state"), "{refused}");
    }
}

/// How a job ends that fails ten times unless it is given up before, with a wall clock that is set
/// by so many hours at each failure.
fn failing_as_the_clock_is_set(hours: i64, strategy: &[&str]) -> std::result::Result<(), String> {
    let (clock, failures) = (Arc::new(Set::default()), Arc::new(AtomicU64::new(0)));
    let by = Arc::<Set>::clone(&clock);
    let spec = Job::new("failing").parsed(strategy.iter().copied(), move |env: &Env| {
        let (clock, failures) = (Arc::clone(&clock), Arc::clone(&failures));
        env.from_collection("numbers", vec![1_u64])
            .inspect(move |_| {
                if failures.fetch_add(1, Ordering::Relaxed) >= 10 {
                    return Ok(());
                }
                clock.forward(hours);
                Err("not yet".into())
            })
            .sink("sink", crate::discard::discard());
        Ok(())
    });
    let job = start_on(spec.expect("it can be built"), Host::system().by(by)).expect("it starts");
    job.wait_blocking().map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_wall_clock_that_is_set_neither_hastens_nor_delays_nor_forgets_restarts() {
    let short = "-Drestart-strategy.exponential-delay.initial-backoff=1 ms";
    let exponential = ["-Drestart-strategy.type=exponential-delay", short];
    let few = "-Drestart-strategy.exponential-delay.attempts-before-reset-backoff=3";
    let multiplier = "-Drestart-strategy.exponential-delay.backoff-multiplier=1";
    let rate = [
        "-Drestart-strategy.type=failure-rate",
        "-Drestart-strategy.failure-rate.failure-rate-interval=1 min",
        "-Drestart-strategy.failure-rate.max-failures-per-interval=3",
        "-Drestart-strategy.failure-rate.delay=1 ms",
    ];
    for hours in [2, -2] {
        let always = [exponential.as_slice(), &[multiplier]].concat();
        assert_eq!(failing_as_the_clock_is_set(hours, &always), Ok(()), "{hours} hours");
        for strategy in [[exponential.as_slice(), &[few, multiplier]].concat(), rate.to_vec()] {
            let ended = failing_as_the_clock_is_set(hours, &strategy);
            let message = ended.expect_err("it is given up after three");
            assert!(message.contains("(no restart: "), "{hours} hours: {message}");
        }
    }
}
