//! Watermarks, idleness and timers of whole jobs, whose input the test hands in bit by bit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tidegate::{
    TimeDomain,
    collect::Collector,
    connector::{Batch, Readiness, Sink, SinkContext, SinkWriter},
    prelude::*,
};
use tidegate_testing::wait_for;

use crate::support::{fed::Fed, job_of_test};

/// For how long a subtask is silent before it is idle.
const IDLENESS: Duration = Duration::from_millis(50);
/// By then a subtask that is silent has been found idle, and the news has gone round. A test that
/// waits too briefly sees less than it could, and fails no sooner.
const SILENCE: Duration = Duration::from_millis(300);

/// Tells of each record, whether it is late, and of the timer that it has set for its own time.
pub(crate) struct Tell;

impl KeyedProcess<u8, i64> for Tell {
    type Out = String;

    fn on_record(
        &mut self,
        time: i64,
        context: &mut ProcessContext<'_, u8, String>,
    ) -> tidegate::Result<()> {
        let late = if EventTime(time) <= context.watermark() { ", late" } else { "" };
        context.emit(format!("record {time}{late}"));
        context.set_event_timer(EventTime(time));
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut ProcessContext<'_, u8, String>,
    ) -> tidegate::Result<()> {
        assert_eq!(timer.domain, TimeDomain::EventTime);
        context.emit(format!("timer {}", timer.time));
        Ok(())
    }
}

/// A job with this parallelism.
pub(crate) fn at(parallelism: u32) -> Job {
    job_of_test().default_option("parallelism.default", parallelism)
}

/// A job over some sources, whose event times are the records themselves.
pub(crate) fn start<P: KeyedProcess<u8, i64>>(
    job: Job,
    sources: &[Fed],
    results: &Collector<P::Out>,
    make: fn() -> P,
) -> JobHandle {
    let results = results.clone();
    start_job(job, sources, make, move || results.sink())
}

pub(crate) fn start_job<P: KeyedProcess<u8, i64>, S: Sink<Item = P::Out>>(
    job: Job,
    sources: &[Fed],
    make: impl Fn() -> P + Clone + Send + Sync + 'static,
    sink: impl Fn() -> S + Send + Sync + 'static,
) -> JobHandle {
    let sources = sources.to_vec();
    let job = job.default_option("pipeline.auto-watermark-interval", "10 ms");
    let build = move |env: &Env| {
        let timed = sources.iter().zip(0..).map(|(source, index)| {
            let strategy = WatermarkStrategy::monotonous().with_idleness(IDLENESS);
            let stream = env.source(&format!("fed-{index}"), source.clone());
            stream.assign_timestamps(strategy, |time| Ok(EventTime(*time)))
        });
        let timed = timed.collect::<Vec<_>>();
        let others = timed[1..].iter().collect::<Vec<_>>();
        let make = make.clone();
        // The sink is a task of its own.
        let keyed = timed[0].union(&others).key_by(|_| 0_u8);
        keyed.process("tested", move |_| Ok(make())).broadcast().sink("results", sink());
        Ok(())
    };
    job.start(Vec::<String>::new(), build).expect("the job starts")
}

/// What has come out so far.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) results: Collector<String>,
    lines: Vec<String>,
}

impl Said {
    pub(crate) fn all(&mut self) -> &[String] {
        self.lines.extend(self.results.take());
        &self.lines
    }

    pub(crate) fn wait_for(&mut self, wanted: &str) {
        wait_for(wanted, || self.all().iter().any(|line| line == wanted).then_some(()));
    }
}

#[test]
fn an_input_that_has_ended_beside_an_idle_one_is_not_the_end_of_time() {
    let (ended, idle, mut said) = (Fed::default(), Fed::default(), Said::default());
    let job = start(at(1), &[ended.clone(), idle.clone()], &said.results, || Tell);
    ended.feed([1_000]);
    ended.end();
    said.wait_for("record 1000");
    thread::sleep(SILENCE);
    idle.feed([1_500]);
    idle.end();
    job.wait_blocking().expect("it finishes");
    let expected = ["record 1000", "record 1500", "timer 1000", "timer 1500"];
    assert_eq!(said.all(), expected, "neither timers early nor records late");
}

#[test]
fn what_is_due_fires_when_all_inputs_are_idle() {
    let (ahead, behind, mut said) = (Fed::default(), Fed::default(), Said::default());
    let job = start(at(1), &[ahead.clone(), behind.clone()], &said.results, || Tell);
    // One that is behind goes on while the other falls idle, and holds the watermark where it is.
    let begun = Instant::now();
    ahead.feed([1_000, 5_000]);
    while begun.elapsed() < SILENCE {
        behind.feed([100]);
        thread::sleep(IDLENESS / 10);
    }
    said.wait_for("timer 1000");
    behind.feed([200]);
    said.wait_for("record 200, late");
    ahead.feed([6_000]);
    said.wait_for("timer 5000");
    job.cancel();
    job.wait_blocking().expect("it is canceled");
}

/// Sets a timer for its record's time, and in each timer one a minute later.
struct Again;

impl KeyedProcess<u8, i64> for Again {
    type Out = String;

    fn on_record(
        &mut self,
        time: i64,
        context: &mut ProcessContext<'_, u8, String>,
    ) -> tidegate::Result<()> {
        context.emit(format!("record {time}"));
        context.set_event_timer(EventTime(time));
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut ProcessContext<'_, u8, String>,
    ) -> tidegate::Result<()> {
        context.emit(format!("timer {}", timer.time));
        context.set_event_timer(EventTime(timer.time + 60_000));
        Ok(())
    }
}

#[test]
fn the_end_of_the_input_comes_though_a_timer_sets_itself_again() {
    let (source, mut said) = (Fed::default(), Said::default());
    let job = start(at(1), std::slice::from_ref(&source), &said.results, || Again);
    source.feed([0, 130_000]);
    source.end();
    job.wait_blocking().expect("it finishes");
    // What is set when the end comes fires; whether that is one more minute hangs on whether a
    // watermark came before it.
    let minutes = ["timer 0", "timer 60000", "timer 120000", "timer 130000", "timer 180000"];
    let said = said.all().iter().filter(|line| line.starts_with("timer")).collect::<Vec<_>>();
    assert!(said.len() >= 4, "{said:?}");
    assert_eq!(said, minutes.iter().take(said.len()).collect::<Vec<_>>());
}

#[test]
fn a_drain_comes_to_its_end_though_a_timer_sets_itself_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, mut said) = (Fed::default(), Said::default());
    let job = start(at(1), std::slice::from_ref(&source), &said.results, || Again);
    source.feed([0]);
    said.wait_for("record 0");
    let target = folder.path().display().to_string();
    let savepoint = job.stop_with_savepoint_blocking(Some(target), true).expect("it is drained");
    assert!(savepoint.starts_with(&folder.path().display().to_string()));
    job.wait_blocking().expect("it finishes");
    assert_eq!(said.all(), ["record 0", "timer 0"]);
}

#[test]
fn a_job_is_canceled_in_the_midst_of_timers_that_set_others() {
    let (source, mut said) = (Fed::default(), Said::default());
    let job = start(at(1), std::slice::from_ref(&source), &said.results, || Again);
    // Half the time that there is, minute by minute.
    source.feed([0, i64::MAX / 2]);
    said.wait_for("timer 60000");
    job.cancel();
    job.wait_blocking().expect("it is canceled");
}

#[test]
fn checkpoints_are_taken_in_the_midst_of_timers_that_set_others() {
    let folder = tempfile::tempdir().expect("a folder");
    for ends in [false, true] {
        let (source, mut said) = (Fed::default(), Said::default());
        let dir = folder.path().join(ends.to_string());
        let (checkpointed, results) = (at(1), said.results.clone());
        let checkpointed =
            checkpointed.default_option("execution.checkpointing.dir", dir.display());
        let job = start_job(
            checkpointed,
            std::slice::from_ref(&source),
            || Again,
            move || results.sink(),
        );
        source.feed([0, i64::MAX / 2]);
        if ends {
            source.end();
        }
        said.wait_for("timer 60000");
        job.checkpoint_blocking().expect("it is taken");
        job.cancel();
        job.wait_blocking().expect("it is canceled");
    }
}

#[test]
fn a_job_that_is_stopped_in_the_midst_of_timers_goes_on_with_the_next_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, mut before, mut after) = (Fed::default(), Said::default(), Said::default());
    let job = start(at(1), std::slice::from_ref(&source), &before.results, || Again);
    source.feed([0, i64::MAX / 2]);
    before.wait_for("timer 60000");
    let target = folder.path().display().to_string();
    let savepoint = job.stop_with_savepoint_blocking(Some(target), false).expect("it is stopped");
    job.wait_blocking().expect("it finishes");
    let last = before.all().last().and_then(|line| line.strip_prefix("timer "));
    let last = last.and_then(|time| time.parse::<i64>().ok()).expect("the last was a timer");

    let from = at(1).default_option("execution.state-recovery.path", savepoint);
    let source = Fed::default();
    let job = start(from, std::slice::from_ref(&source), &after.results, || Again);
    source.feed([i64::MAX / 2]);
    let next = format!("timer {}", last + 60_000);
    after.wait_for(&next);
    job.cancel();
    job.wait_blocking().expect("it is canceled");
    let first = after.all().iter().find(|line| line.starts_with("timer"));
    assert_eq!(first, Some(&next), "what is emitted behind the savepoint would come twice");
}

/// Counts its timers, each of which sets the next one.
struct Counted(Arc<AtomicU64>);

impl KeyedProcess<u8, i64> for Counted {
    type Out = i64;

    fn on_record(
        &mut self,
        time: i64,
        context: &mut ProcessContext<'_, u8, i64>,
    ) -> tidegate::Result<()> {
        context.set_event_timer(EventTime(time));
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut ProcessContext<'_, u8, i64>,
    ) -> tidegate::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        context.emit(timer.time);
        context.set_event_timer(EventTime(timer.time + 1));
        Ok(())
    }
}

/// A sink that takes nothing until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl Sink for Gate {
    type Item = i64;
    type Writer = Self;

    fn writer(&self, _context: SinkContext) -> tidegate::Result<Self> {
        Ok(self.clone())
    }
}

impl SinkWriter for Gate {
    type Item = i64;

    fn write(&mut self, batch: &mut Batch<i64>) -> tidegate::Result<Readiness> {
        if !self.0.load(Ordering::Relaxed) {
            return Ok(Readiness::RetryAfter(Duration::from_millis(1)));
        }
        batch.records.clear();
        Ok(Readiness::Ready)
    }
}

#[test]
fn timers_emit_no_more_than_what_comes_behind_can_take() {
    const TIMERS: u64 = 300_000;
    let (source, fired, gate) = (Fed::default(), Arc::<AtomicU64>::default(), Gate::default());
    let (counted, sink) = (Arc::clone(&fired), gate.clone());
    let make = move || Counted(Arc::clone(&counted));
    let job = at(1);
    let job = start_job(job, std::slice::from_ref(&source), make, move || sink.clone());
    source.feed([0, TIMERS.cast_signed()]);
    wait_for("the first timer", || (fired.load(Ordering::Relaxed) > 0).then_some(()));
    thread::sleep(SILENCE);
    let under_way = fired.load(Ordering::Relaxed);
    assert!(under_way < TIMERS / 10, "{under_way} have fired, and nobody takes what they emit");
    gate.0.store(true, Ordering::Relaxed);
    wait_for("the last timer", || (fired.load(Ordering::Relaxed) >= TIMERS).then_some(()));
    job.cancel();
    job.wait_blocking().expect("it is canceled");
}
