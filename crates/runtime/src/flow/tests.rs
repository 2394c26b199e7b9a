use super::*;

/// A pipe that takes `rate` bytes a second, in order, after `latency`.
struct Pipe {
    flow: FlowControl,
    now: Monotonic,
    busy_until: Monotonic,
    leaving: VecDeque<(u64, Monotonic)>,
    rate: f64,
    latency: Duration,
    emitted: f64,
}

const RECORD: usize = 16;

impl Pipe {
    fn new(rate: f64, latency: Duration) -> Self {
        let now = Monotonic::default();
        let flow = FlowControl::new(Duration::from_millis(100), now);
        Self { flow, now, busy_until: now, leaving: VecDeque::new(), rate, latency, emitted: 0.0 }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_micros(100);
            let mut frontier = None;
            while self.leaving.front().is_some_and(|(_, at)| *at <= self.now) {
                frontier = self.leaving.pop_front().map(|(round, _)| round);
            }
            if frontier.is_some() {
                let next = self.leaving.front().map_or(self.flow.round(), |(round, _)| *round);
                let now = self.now;
                self.flow.observe(|round| (round < next).then_some(now), now);
            }
            let records = self.flow.budget().min(1024);
            if records > 0 {
                let round = self.flow.round();
                let bytes = (records * RECORD) as f64;
                self.emitted += bytes;
                self.busy_until =
                    self.busy_until.max(self.now) + Duration::from_secs_f64(bytes / self.rate);
                self.leaving.push_back((round, self.busy_until + self.latency));
                self.flow.emitted(records, records * RECORD, self.now);
            }
            self.flow.pause();
        }
    }
}

#[test]
fn what_is_under_way_takes_about_the_target_whatever_the_rate() {
    for rate in [16e3, 160e3, 1.6e6, 160e6] {
        let mut pipe = Pipe::new(rate, Duration::ZERO);
        pipe.run(Duration::from_secs(5));
        let queued = pipe.busy_until.since(pipe.now);
        assert!(queued < Duration::from_millis(150), "{queued:?} queued at {rate} bytes/s");
        assert!(
            pipe.flow.longest_trip() < Duration::from_millis(400),
            "{rate} {:?}",
            pipe.flow.longest_trip()
        );
    }
}

#[test]
fn a_pipe_is_kept_full_whether_it_is_slow_fast_or_long() {
    for (rate, latency) in [(16e3, 0), (1.6e6, 0), (16e6, 20), (160e6, 1)] {
        let mut pipe = Pipe::new(rate, Duration::from_millis(latency));
        pipe.run(Duration::from_secs(2));
        pipe.emitted = 0.0;
        pipe.run(Duration::from_secs(3));
        assert!(pipe.emitted > 0.8 * 3.0 * rate, "{} of {}", pipe.emitted / 3.0, rate);
    }
}

#[test]
fn inv_live_with_nothing_under_way_a_source_may_emit() {
    let now = Monotonic::default();
    let mut flow = FlowControl::new(Duration::from_millis(100), now);
    flow.limit = 1.0;
    flow.record_bytes = 1e6;
    assert!(flow.budget() >= 1);
}

#[test]
fn rounds_are_told_apart_and_the_last_one_is_closed_when_there_is_room() {
    let now = Monotonic::default();
    let mut flow = FlowControl::new(Duration::from_millis(100), now);
    for _ in 0..3 * ROUNDS {
        flow.emitted(1, RECORD, now);
        flow.pause();
    }
    assert_eq!(flow.round(), ROUNDS - 1);
    let after = now + Duration::from_millis(1);
    assert!(flow.observe(|round| (round == 0).then_some(after), after));
    assert_eq!(flow.round(), ROUNDS, "the one that was overdue is closed");
    assert!(flow.observe(|_| Some(after), after));
    assert!(flow.closed.is_empty() && flow.under_way == 0.0, "{flow:?}");
}

#[test]
fn who_was_refused_waits_until_it_may_emit() {
    let now = Monotonic::default();
    let mut flow = FlowControl::new(Duration::from_millis(100), now);
    assert!(!flow.waits());
    flow.emitted(1_000, 1_000 * RECORD, now);
    assert_eq!(flow.budget(), 0);
    assert!(flow.waits());
    flow.observe(|_| Some(now), now);
    assert!(flow.budget() > 0 && !flow.waits());
}
