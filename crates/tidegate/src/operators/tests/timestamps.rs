use std::{sync::Arc, time::Duration};

use tidegate_core::{Operator, Progress, Wakeup};
use tidegate_types::{Clock, EventTime, Monotonic, Now, Timestamp};

use super::{
    super::timestamps::{AssignTimestamps, WatermarkStrategy},
    harness::{Bench, Collect, Seen, feed},
};

const INTERVAL: Duration = Duration::from_millis(200);

fn assigner(bench: &Bench, strategy: WatermarkStrategy) -> impl Operator + use<> {
    let clock = Arc::clone(&bench.clock);
    AssignTimestamps::new(|time: &i64| Ok(EventTime(*time)), strategy, INTERVAL, clock)
}

fn wake(millis: u64) -> Wakeup {
    Wakeup::on(Monotonic::from_start(Duration::from_millis(millis)))
}

fn after(bench: &Bench, millis: u64) -> Now {
    bench.clock.advance(Duration::from_millis(millis));
    bench.clock.both()
}

fn watermarks(out: &mut Collect<i64>) -> Vec<i64> {
    let watermark = |seen| match seen {
        Seen::Watermark(time) => Some(time),
        Seen::Batch(_) | Seen::Idle | Seen::Active => None,
    };
    out.0.drain(..).filter_map(watermark).collect()
}

#[test]
fn the_watermark_lags_by_the_bound_and_a_millisecond_and_never_falls() {
    let (bench, mut out) = (Bench::new(), Collect::new());
    let bound = WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(50));
    let mut assign = assigner(&bench, bound);
    feed(&mut assign, [100_i64, 300, 200], &mut out);
    assert_eq!(out.take(), [(100, Some(100)), (300, Some(300)), (200, Some(200))]);
    bench.clock.advance(INTERVAL);
    feed(&mut assign, [250_i64], &mut out);
    assert_eq!(watermarks(&mut out), [249], "300 - 50 - 1");
    bench.clock.advance(INTERVAL);
    feed(&mut assign, [260_i64], &mut out);
    assert_eq!(watermarks(&mut out), [] as [i64; 0], "nothing new to say");
}

#[test]
fn watermarks_come_at_most_once_per_interval_and_without_records_too() {
    let (bench, mut out) = (Bench::new(), Collect::new());
    let mut assign = assigner(&bench, WatermarkStrategy::monotonous());
    assert_eq!(assign.next_wakeup(), Wakeup::NEVER, "there is nothing to say yet");
    feed(&mut assign, [100_i64], &mut out);
    feed(&mut assign, [101_i64], &mut out);
    assert_eq!(watermarks(&mut out), [] as [i64; 0]);
    assert_eq!(assign.next_wakeup(), wake(200));
    assign.on_wakeup(after(&bench, 200), &mut out).expect("speaks");
    assert_eq!(watermarks(&mut out), [100]);
    assert_eq!(assign.next_wakeup(), Wakeup::NEVER);
}

#[test]
fn only_the_final_watermark_passes_and_none_follows_it() {
    let (bench, mut out) = (Bench::new(), Collect::new());
    let mut assign = assigner(&bench, WatermarkStrategy::monotonous());
    assert!(!assign.forwards_watermarks());
    feed(&mut assign, [100_i64], &mut out);
    for watermark in [EventTime(50), EventTime::MAX] {
        let progress = assign.on_watermark(watermark, &mut out).expect("is taken in");
        assert_eq!(progress, Progress::Done);
    }
    assign.on_wakeup(after(&bench, 200), &mut out).expect("keeps silent");
    assert_eq!(watermarks(&mut out), [i64::MAX]);
}

#[test]
fn a_silent_subtask_says_once_that_it_is_idle() {
    let (bench, mut out) = (Bench::new(), Collect::<i64>::new());
    let strategy = WatermarkStrategy::monotonous().with_idleness(Duration::from_millis(500));
    let mut assign = assigner(&bench, strategy);
    assert_eq!(assign.next_wakeup(), wake(500));
    for millis in [499, 1, 400] {
        assign.on_wakeup(after(&bench, millis), &mut out).expect("looks");
    }
    assert_eq!(out.0, [Seen::Idle]);
    after(&bench, 100);
    out.0.clear();
    feed(&mut assign, [1_i64], &mut out);
    assert_eq!(out.0.first(), Some(&Seen::Active), "ahead of the record");
    assign.on_wakeup(after(&bench, 200), &mut out).expect("speaks of the record's time");
    assert_eq!(assign.next_wakeup(), wake(1_500), "it may fall silent again");
}

#[test]
fn a_wall_clock_that_is_set_delays_and_hastens_nothing() {
    for wall in [0, 7_200_000] {
        let (bench, mut out) = (Bench::new(), Collect::<i64>::new());
        bench.clock.set_wall(Timestamp(3_600_000));
        let strategy = WatermarkStrategy::monotonous().with_idleness(Duration::from_millis(500));
        let mut assign = assigner(&bench, strategy);
        feed(&mut assign, [100_i64], &mut out);
        bench.clock.set_wall(Timestamp(wall));
        out.0.clear();
        assign.on_wakeup(after(&bench, 199), &mut out).expect("looks");
        assert_eq!(out.0, [], "neither is due");
        assign.on_wakeup(after(&bench, 1), &mut out).expect("speaks");
        assert_eq!(out.0, [Seen::Watermark(99)]);
        assign.on_wakeup(after(&bench, 300), &mut out).expect("speaks");
        assert_eq!(out.0, [Seen::Watermark(99), Seen::Idle]);
    }
}

#[test]
fn what_is_known_of_time_is_said_before_a_subtask_falls_idle() {
    let (bench, mut out) = (Bench::new(), Collect::<i64>::new());
    let idleness = Duration::from_millis(50);
    let mut assign = assigner(&bench, WatermarkStrategy::monotonous().with_idleness(idleness));
    feed(&mut assign, [100_i64], &mut out);
    out.0.clear();
    assign.on_wakeup(after(&bench, 50), &mut out).expect("is idle before the interval is over");
    assert_eq!(out.0, [Seen::Watermark(99), Seen::Idle]);
    assign.on_wakeup(after(&bench, 150), &mut out).expect("has nothing to say");
    assert_eq!(out.0.len(), 2, "a watermark would end the idleness");
}

#[test]
fn a_subtask_whose_input_is_idle_is_idle_until_its_next_record() {
    let (bench, mut out) = (Bench::new(), Collect::<i64>::new());
    let mut assign = assigner(&bench, WatermarkStrategy::monotonous());
    assign.on_idle(&mut out).expect("says so");
    assign.on_idle(&mut out).expect("once");
    assert_eq!(out.0, [Seen::Idle]);
    feed(&mut assign, [100_i64], &mut out);
    assert_eq!(out.0[1], Seen::Active);
}
