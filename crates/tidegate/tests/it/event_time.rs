//! Watermarks, idleness and timers of whole jobs, whose input the test hands in bit by bit.

use std::{thread, time::Duration};

use tidegate::{TimeDomain, collect::Collector, prelude::*};
use tidegate_testing::wait_for;

use crate::support::fed::Fed;

/// For how long a subtask is silent before it is idle.
const IDLENESS: Duration = Duration::from_millis(50);
/// By then a subtask that is silent has been found idle, and the news has gone round. A test that
/// waits too briefly sees less than it could, and fails no sooner.
const SILENCE: Duration = Duration::from_millis(300);

/// Tells of each record, whether it is late, and of the timer that it has set for its own time.
struct Tell;

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

/// A job over some sources, whose event times are the records themselves.
fn start<P: KeyedProcess<u8, i64>>(
    sources: &[Fed],
    results: &Collector<P::Out>,
    make: fn() -> P,
) -> JobHandle {
    let (sources, results) = (sources.to_vec(), results.clone());
    let job = Job::new("event-time")
        .default_option("pipeline.auto-watermark-interval", "10 ms")
        .default_option("parallelism.default", 1);
    let build = move |env: &Env| {
        let timed = sources.iter().zip(0..).map(|(source, index)| {
            let strategy = WatermarkStrategy::monotonous().with_idleness(IDLENESS);
            let stream = env.source(&format!("fed-{index}"), source.clone());
            stream.assign_timestamps(strategy, |time| Ok(EventTime(*time)))
        });
        let timed = timed.collect::<Vec<_>>();
        let others = timed[1..].iter().collect::<Vec<_>>();
        timed[0]
            .union(&others)
            .key_by(|_| 0_u8)
            .process("tested", move |_| Ok(make()))
            .sink("results", results.sink());
        Ok(())
    };
    job.start(Vec::<String>::new(), build).expect("the job starts")
}

/// What has come out so far.
#[derive(Default)]
struct Said {
    results: Collector<String>,
    lines: Vec<String>,
}

impl Said {
    fn all(&mut self) -> &[String] {
        self.lines.extend(self.results.take());
        &self.lines
    }

    fn wait_for(&mut self, wanted: &str) {
        wait_for(wanted, || self.all().iter().any(|line| line == wanted).then_some(()));
    }
}

#[test]
fn an_input_that_has_ended_beside_an_idle_one_is_not_the_end_of_time() {
    let (ended, idle, mut said) = (Fed::default(), Fed::default(), Said::default());
    let job = start(&[ended.clone(), idle.clone()], &said.results, || Tell);
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
    let job = start(&[ahead.clone(), behind.clone()], &said.results, || Tell);
    ahead.feed([1_000, 5_000]);
    thread::sleep(SILENCE);
    behind.feed([100]);
    said.wait_for("timer 1000");
    thread::sleep(SILENCE);
    behind.feed([200]);
    said.wait_for("record 200, late");
    ahead.feed([6_000]);
    said.wait_for("timer 5000");
    job.cancel();
    job.wait_blocking().expect("it is canceled");
}
