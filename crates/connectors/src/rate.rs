//! How many records may go out by now, so that a source keeps to a rate.

use std::time::Duration;

use tidegate_types::{Monotonic, Parallelism};

/// How long a stall may be made up for afterwards.
const BURST: Duration = Duration::from_millis(100);

/// Spreads records evenly over time; what a stall of more than 100 ms left out is not made up for.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    /// Records per millisecond; `None` for no limit.
    per_milli: Option<f64>,
    /// What may go out at `at`, in records. Below zero after a batch that took more.
    credit: f64,
    at: Option<Monotonic>,
}

impl RateLimit {
    /// The share of one of `parallelism` subtasks in a rate per second, `None` for no limit.
    pub(crate) fn shared(per_second: Option<u64>, parallelism: Parallelism) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate beyond 2^53 is no limit anyway")]
        let per_milli = per_second.map(|rate| rate as f64 / 1000.0 / f64::from(parallelism.get()));
        Self { per_milli, credit: 0.0, at: None }
    }

    /// How many records, up to `max`, may go out now, or how long to wait for the first.
    pub(crate) fn allow(&mut self, max: usize, now: impl FnOnce() -> Monotonic) -> Allowance {
        let Some(per_milli) = self.per_milli else { return Allowance::Records(max) };
        let now = now();
        self.earn(per_milli, now);
        if self.credit < 1.0 {
            let millis = ((1.0 - self.credit) / per_milli).ceil().max(1.0);
            return Allowance::Wait(Duration::from_secs_f64(millis / 1000.0));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1, and rounding down is what is meant"
        )]
        let whole = self.credit as usize;
        Allowance::Records(max.min(whole))
    }

    /// Accounts for `records` that went out.
    pub(crate) fn spend(&mut self, records: usize) {
        if self.per_milli.is_some() {
            #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^53 records")]
            let spent = records as f64;
            self.credit -= spent;
        }
    }

    fn earn(&mut self, per_milli: f64, now: Monotonic) {
        // The first record needs no waiting.
        let Some(at) = self.at.replace(now) else {
            self.credit = 1.0;
            return;
        };
        let most = (per_milli * BURST.as_secs_f64() * 1000.0).max(1.0);
        self.credit = (self.credit + per_milli * now.since(at).as_secs_f64() * 1000.0).min(most);
    }
}

/// What a rate limit has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// So many may go out now, at least one.
    Records(usize),
    /// None yet: ask again after this time.
    Wait(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_millis(millis))
    }

    fn records_within(per_second: u64, parallelism: u32, millis: u64) -> usize {
        let parallelism = Parallelism::new(parallelism).expect("not zero");
        let mut limit = RateLimit::shared(Some(per_second), parallelism);
        let (mut now, mut records) = (0, 0);
        while now < millis {
            match limit.allow(1024, || at(now)) {
                Allowance::Records(count) => {
                    limit.spend(count);
                    records += count;
                }
                Allowance::Wait(time) => now += u64::try_from(time.as_millis()).expect("short"),
            }
        }
        records
    }

    #[test]
    fn the_rate_is_kept_and_shared() {
        assert_eq!(records_within(1000, 1, 10_000), 10_000);
        assert_eq!(records_within(1000, 4, 10_000), 2_500);
        assert_eq!(records_within(1_000_000, 1, 1_000), 999_001);
        assert_eq!(records_within(1, 2, 10_000), 5);
    }

    #[test]
    fn a_long_stall_is_not_made_up_for() {
        let mut limit = RateLimit::shared(Some(1000), Parallelism::ONE);
        assert_eq!(limit.allow(5000, || at(0)), Allowance::Records(1));
        assert_eq!(limit.allow(5000, || at(60_000)), Allowance::Records(100));
    }

    #[test]
    fn without_a_rate_nobody_waits_or_asks_the_clock() {
        let mut limit = RateLimit::shared(None, Parallelism::ONE);
        let allowed = limit.allow(7, || panic!("the clock is not needed"));
        assert_eq!(allowed, Allowance::Records(7));
    }
}
