use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tidegate_core::{
    Batch, ErasedBatch, Operator, OperatorContext, Progress, Wakeup, batch::TARGET_LEN,
};
use tidegate_state::{StateTtl, TimeDomain, ValueState};
use tidegate_types::{Clock, EventTime, Timestamp};

use super::{
    super::process::{KeyedProcess, ProcessContext, ProcessOperator, Timer},
    harness::{Bench, Collect, Seen, feed, pass, restored, selector, timed},
};
use crate::Result;

/// Counts records per key and tells the count when a timer fires.
struct Counter {
    count: ValueState<u64>,
    timer: fn(&u64, &mut ProcessContext<'_, u64, Told>),
}

/// Key, count, and the timer's time.
type Told = (u64, u64, i64);

impl KeyedProcess<u64, u64> for Counter {
    type Out = Told;

    fn on_record(
        &mut self,
        record: u64,
        context: &mut ProcessContext<'_, u64, Told>,
    ) -> Result<()> {
        assert_eq!(*context.key(), record % 10);
        self.count.modify_or(|| 0, |count| *count += 1);
        (self.timer)(&record, context);
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut ProcessContext<'_, u64, Told>,
    ) -> Result<()> {
        let count = self.count.get().unwrap_or(0);
        context.emit((*context.key(), count, timer.time));
        Ok(())
    }
}

fn counter(
    context: OperatorContext,
    ttl: Option<StateTtl>,
    timer: fn(&u64, &mut ProcessContext<'_, u64, Told>),
) -> impl Operator {
    let make = move |states: &mut super::super::process::States<'_, u64>| {
        let count = match ttl {
            Some(ttl) => states.with_ttl(ttl).value("count")?,
            None => states.value("count")?,
        };
        Ok(Counter { count, timer })
    };
    ProcessOperator::new(selector(|record: &u64| record % 10), make, context).expect("made")
}

fn at_record_time(_: &u64, context: &mut ProcessContext<'_, u64, Told>) {
    let time = context.timestamp().expect("the stream has event times");
    context.set_event_timer(time);
}

fn at_the_end(_: &u64, context: &mut ProcessContext<'_, u64, Told>) {
    context.set_event_timer(EventTime::MAX);
}

#[test]
fn event_timers_fire_in_order_once_the_watermark_has_reached_them() {
    let (bench, mut out) = (Bench::new(), Collect::<Told>::new());
    let mut operator = counter(bench.context(), None, at_record_time);
    operator.on_batch(timed([(3_u64, 30), (1, 10), (2, 20), (11, 10)]), &mut out).expect("counts");
    pass(&mut operator, 9, &mut out);
    assert_eq!(out.take(), []);
    pass(&mut operator, 20, &mut out);
    assert_eq!(out.take(), [((1, 2, 10), Some(10)), ((2, 1, 20), Some(20))]);
    pass(&mut operator, i64::MAX, &mut out);
    assert_eq!(out.take(), [((3, 1, 30), Some(30))]);
}

#[test]
fn a_timer_at_the_end_of_time_fires_once_with_the_final_watermark() {
    let (bench, mut out) = (Bench::new(), Collect::<Told>::new());
    let mut operator = counter(bench.context(), None, at_the_end);
    feed(&mut operator, [1_u64, 1, 2], &mut out);
    pass(&mut operator, i64::MAX - 1, &mut out);
    assert_eq!(out.take(), []);
    pass(&mut operator, i64::MAX, &mut out);
    let mut told = out.take();
    told.sort_unstable();
    let end = i64::MAX;
    assert_eq!(told, [((1, 2, end), Some(end)), ((2, 1, end), Some(end))]);
    pass(&mut operator, i64::MAX, &mut out);
    assert_eq!(out.take(), []);
}

#[test]
fn processing_timers_fire_at_their_wall_clock_time() {
    let (bench, mut out) = (Bench::new(), Collect::<Told>::new());
    bench.clock.set_wall(Timestamp(1_000));
    let mut operator = counter(bench.context(), None, |record, context| {
        let due = Timestamp(context.processing_time().millis() + record);
        context.set_processing_timer(due);
    });
    assert_eq!(operator.next_wakeup(), Wakeup::NEVER);
    feed(&mut operator, [7_u64, 5], &mut out);
    assert_eq!(operator.next_wakeup(), Wakeup::at(Timestamp(1_005)));
    bench.clock.set_wall(Timestamp(1_006));
    operator.on_wakeup(bench.clock.both(), &mut out).expect("fires");
    assert_eq!(out.records(), [(5, 1, 1_005)]);
    assert_eq!(operator.next_wakeup(), Wakeup::at(Timestamp(1_007)));
}

#[test]
fn an_event_timer_that_fires_before_the_first_record_after_a_restore_has_its_time() {
    let (bench, mut out) = (Bench::new(), Collect::<Told>::new());
    let mut before = counter(bench.context(), None, at_record_time);
    before.on_batch(timed([(3_u64, 30), (4, 40)]), &mut out).expect("counts");
    let taken = restored(&mut before, |range| range);
    let mut after = counter(bench.context_of(0, 1, taken), None, at_record_time);
    for operator in [&mut before as &mut dyn Operator, &mut after] {
        pass(operator, 35, &mut out);
        assert_eq!(out.take(), [((3, 1, 30), Some(30))]);
    }
}

#[test]
fn what_a_processing_timer_emits_has_no_event_time() {
    let (bench, mut out) = (Bench::new(), Collect::<Told>::new());
    let mut operator = counter(bench.context(), None, |_, context| {
        context.set_processing_timer(Timestamp(5));
    });
    operator.on_batch(timed([(3_u64, 30)]), &mut out).expect("counts");
    pass(&mut operator, 20, &mut out);
    bench.clock.set_wall(Timestamp(5));
    operator.on_wakeup(bench.clock.both(), &mut out).expect("fires");
    assert_eq!(out.take(), [((3, 1, 5), None)]);
}

#[test]
fn state_and_timers_survive_a_restore() {
    let (bench, mut out) = (Bench::new(), Collect::<Told>::new());
    let mut before = counter(bench.context(), None, at_the_end);
    feed(&mut before, [4_u64, 14], &mut out);
    let taken = restored(&mut before, |range| range);
    let mut after = counter(bench.context_of(0, 1, taken), None, at_the_end);
    feed(&mut after, [24_u64], &mut out);
    pass(&mut after, i64::MAX, &mut out);
    assert_eq!(out.records(), [(4, 3, i64::MAX)]);
}

#[test]
fn values_expire_by_the_clock() {
    let (bench, mut out) = (Bench::new(), Collect::<Told>::new());
    let ttl = StateTtl::new(Duration::from_millis(100));
    let mut operator = counter(bench.context(), Some(ttl), at_the_end);
    feed(&mut operator, [1_u64], &mut out);
    bench.clock.set_wall(Timestamp(200));
    feed(&mut operator, [1_u64], &mut out);
    pass(&mut operator, i64::MAX, &mut out);
    assert_eq!(out.records(), [(1, 1, i64::MAX)]);
}

/// Emits each record as often as it says, with and without a time of its own.
struct Burst;

impl KeyedProcess<u64, u64> for Burst {
    type Out = u64;

    fn on_record(&mut self, record: u64, context: &mut ProcessContext<'_, u64, u64>) -> Result<()> {
        (0..record).for_each(|n| context.emit(n));
        context.emit_at(record, EventTime(1));
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, _: &mut ProcessContext<'_, u64, u64>) -> Result<()> {
        Err(format!("no {:?} timer was set", timer.domain == TimeDomain::EventTime).into())
    }
}

#[test]
fn batches_stay_small_and_have_event_times_for_all_records_or_none() {
    let (bench, mut out) = (Bench::new(), Collect::<u64>::new());
    let make = |_: &mut super::super::process::States<'_, u64>| Ok(Burst);
    let mut operator =
        ProcessOperator::new(selector(|n: &u64| *n), make, bench.context()).expect("made");
    feed(&mut operator, [3000_u64, 2], &mut out);
    for seen in &out.0 {
        let Seen::Batch(batch) = seen else { panic!("only batches come out") };
        assert!(batch.len() <= TARGET_LEN);
        assert!(batch.times.as_ref().is_none_or(|times| times.len() == batch.len()));
    }
    let mut expected = (0..3000).map(|n| (n, None)).collect::<Vec<_>>();
    expected.extend([(3000, Some(1)), (0, None), (1, None), (2, Some(1))]);
    assert_eq!(out.take(), expected);
}

/// Sets a timer for each record, and in each timer one `gap` later.
struct Again {
    gap: i64,
}

impl KeyedProcess<u64, u64> for Again {
    type Out = i64;

    fn on_record(&mut self, _: u64, context: &mut ProcessContext<'_, u64, i64>) -> Result<()> {
        let time = context.timestamp().expect("the stream has event times");
        context.set_event_timer(time);
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, context: &mut ProcessContext<'_, u64, i64>) -> Result<()> {
        context.emit(timer.time);
        context.set_event_timer(EventTime(timer.time.saturating_add(self.gap)));
        Ok(())
    }
}

fn again(context: OperatorContext, gap: i64) -> impl Operator {
    let make = move |_: &mut super::super::process::States<'_, u64>| Ok(Again { gap });
    ProcessOperator::new(selector(|record: &u64| record % 10), make, context).expect("made")
}

#[test]
fn a_watermark_fires_many_timers_in_several_calls() {
    let (bench, mut out) = (Bench::new(), Collect::<i64>::new());
    let mut operator = again(bench.context(), 10);
    operator.on_batch(timed([(1_u64, 0)]), &mut out).expect("sets it");
    assert_eq!(pass(&mut operator, 29_999, &mut out), 3, "3,000 timers, a batch in each call");
    assert_eq!(out.records(), (0..3_000).map(|n| n * 10).collect::<Vec<_>>());
}

#[test]
fn timers_of_the_wall_clock_fire_in_several_calls_too() {
    let (bench, mut out) = (Bench::new(), Collect::<Told>::new());
    let mut operator = counter(bench.context(), None, |record, context| {
        context.set_processing_timer(Timestamp(*record));
    });
    feed(&mut operator, 1..=2_000_u64, &mut out);
    bench.clock.set_wall(Timestamp(2_000));
    for fired in [TARGET_LEN, 2_000 - TARGET_LEN] {
        assert!(operator.next_wakeup().is_due(bench.clock.both()));
        operator.on_wakeup(bench.clock.both(), &mut out).expect("fires");
        assert_eq!(out.take().len(), fired);
    }
    assert!(operator.next_wakeup().is_never());
}

#[test]
fn at_the_end_a_timer_sets_others_up_to_the_latest_of_its_key() {
    let (bench, mut out) = (Bench::new(), Collect::<i64>::new());
    let mut operator = again(bench.context(), 10);
    // Key 1 goes on until 35, key 2 has a single timer.
    operator.on_batch(timed([(1_u64, 0), (1, 35), (2, 3)]), &mut out).expect("sets them");
    pass(&mut operator, i64::MAX, &mut out);
    assert_eq!(out.records(), [0, 3, 10, 20, 30, 35]);
    assert_eq!(pass(&mut operator, i64::MAX, &mut out), 1, "nothing is left");
    assert_eq!(out.0.len(), 0);
}

#[test]
fn what_fires_at_the_end_is_the_same_after_a_restore_in_the_middle() {
    let bench = Bench::new();
    let (mut out, mut rest) = (Collect::<i64>::new(), Collect::<i64>::new());
    let mut before = again(bench.context(), 1);
    before.on_batch(timed([(1_u64, 0), (1, 5_000)]), &mut out).expect("sets them");
    let progress = before.on_watermark(EventTime::MAX, &mut out).expect("fires some");
    assert_eq!(progress, Progress::More);
    let taken = restored(&mut before, |range| range);
    pass(&mut again(bench.context_of(0, 1, taken), 1), i64::MAX, &mut rest);
    let fired = [out.records(), rest.records()].concat();
    assert_eq!(fired, (0..=5_000).collect::<Vec<_>>());
}

#[test]
fn at_the_end_of_time_one_more_timer_of_a_key_fires() {
    let (bench, mut out) = (Bench::new(), Collect::<i64>::new());
    let mut operator = again(bench.context(), i64::MAX);
    operator.on_batch(timed([(1_u64, 7)]), &mut out).expect("sets it");
    pass(&mut operator, i64::MAX, &mut out);
    assert_eq!(out.records(), [7, i64::MAX]);
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics with it").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a counter logs as it takes in a batch, twice.
fn logged(
    timer: fn(&u64, &mut ProcessContext<'_, u64, Told>),
    batch: fn() -> ErasedBatch,
) -> String {
    let (bench, mut out, log) = (Bench::new(), Collect::<Told>::new(), Log::default());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let mut operator = counter(bench.context(), None, timer);
        for _ in 0..2 {
            operator.on_batch(batch(), &mut out).expect("counts");
        }
    });
    let bytes = log.0.lock().expect("nobody panics with it").clone();
    String::from_utf8(bytes).expect("a log is text")
}

#[test]
fn event_timers_on_a_stream_without_event_times_are_warned_of_once() {
    let untimed: fn() -> ErasedBatch = || Box::new(Batch::from(vec![1_u64, 2]));
    let warning = logged(|_, context| context.set_event_timer(EventTime(7)), untimed);
    assert_eq!(warning.matches("without event times").count(), 1, "{warning}");
    assert!(warning.contains("operators/tests/process.rs") && warning.contains("tested"));
    assert_eq!(logged(at_the_end, untimed), "", "the end comes without event times too");
    assert_eq!(logged(at_record_time, || timed([(1_u64, 10)])), "");
}
