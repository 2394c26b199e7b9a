//! Flink's restart strategies: whether another attempt follows a failed one, and when.

use std::{collections::VecDeque, time::Duration};

use tidegate_types::{Monotonic, options::RestartStrategyOptions};

/// What follows a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestartDecision {
    /// Another attempt, after this time.
    After(Duration),
    /// None: the job has failed for good.
    GiveUp {
        /// Why, in words.
        reason: String,
    },
}

/// A restart strategy with its memory of earlier failures.
#[derive(Clone, Debug)]
pub struct RestartStrategy {
    options: RestartStrategyOptions,
    failures: u64,
    recent: VecDeque<Monotonic>,
    backoff: Duration,
    latest_failure: Option<Monotonic>,
}

impl RestartStrategy {
    /// A strategy that has seen no failure yet.
    #[must_use]
    pub fn new(options: RestartStrategyOptions) -> Self {
        Self {
            options,
            failures: 0,
            recent: VecDeque::new(),
            backoff: Duration::ZERO,
            latest_failure: None,
        }
    }

    /// An attempt has failed `now`. `jitter` is a random number from 0 to 1.
    pub fn decide(&mut self, now: Monotonic, jitter: f64) -> RestartDecision {
        self.failures += 1;
        let decision = match self.options.clone() {
            RestartStrategyOptions::None => {
                RestartDecision::GiveUp { reason: "restart-strategy.type is none".to_owned() }
            }
            RestartStrategyOptions::FixedDelay { attempts, delay } => {
                self.fixed_delay(attempts, delay)
            }
            RestartStrategyOptions::FailureRate { max_failures, interval, delay } => {
                self.failure_rate(now, max_failures, interval, delay)
            }
            exponential @ RestartStrategyOptions::ExponentialDelay { .. } => {
                self.exponential(&exponential, now, jitter)
            }
        };
        self.latest_failure = Some(now);
        decision
    }

    fn fixed_delay(&self, attempts: u32, delay: Duration) -> RestartDecision {
        if self.failures <= u64::from(attempts) {
            return RestartDecision::After(delay);
        }
        let reason = format!("restart-strategy.fixed-delay.attempts is {attempts}");
        RestartDecision::GiveUp { reason }
    }

    fn failure_rate(
        &mut self,
        now: Monotonic,
        max_failures: u32,
        interval: Duration,
        delay: Duration,
    ) -> RestartDecision {
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|time| now.since(*time) > interval) {
            self.recent.pop_front();
        }
        if self.recent.len() <= max_failures as usize {
            return RestartDecision::After(delay);
        }
        let reason = format!(
            "{} failures within {interval:?}, and \
             restart-strategy.failure-rate.max-failures-per-interval is {max_failures}",
            self.recent.len()
        );
        RestartDecision::GiveUp { reason }
    }

    fn exponential(
        &mut self,
        options: &RestartStrategyOptions,
        now: Monotonic,
        jitter: f64,
    ) -> RestartDecision {
        let RestartStrategyOptions::ExponentialDelay {
            initial_backoff,
            max_backoff,
            backoff_multiplier,
            reset_backoff_threshold,
            jitter_factor,
            attempts_before_reset_backoff,
        } = options
        else {
            unreachable!("called with exponential options only");
        };
        let quiet = self.latest_failure.map(|latest| now.since(latest));
        if quiet.is_none_or(|quiet| quiet >= *reset_backoff_threshold + self.backoff) {
            self.backoff = *initial_backoff;
            self.failures = 1;
        } else {
            self.backoff = self.backoff.mul_f64(*backoff_multiplier).min(*max_backoff);
        }
        if attempts_before_reset_backoff.is_some_and(|most| self.failures > u64::from(most)) {
            let reason = format!(
                "restart-strategy.exponential-delay.attempts-before-reset-backoff is {}",
                attempts_before_reset_backoff.unwrap_or_default()
            );
            return RestartDecision::GiveUp { reason };
        }
        let spread = 1.0 + jitter_factor * (2.0 * jitter.clamp(0.0, 1.0) - 1.0);
        RestartDecision::After(self.backoff.mul_f64(spread.max(0.0)).min(*max_backoff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64) -> RestartDecision {
        RestartDecision::After(Duration::from_secs(seconds))
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn fixed_delay_gives_up_after_its_attempts() {
        let delay = Duration::from_secs(1);
        let options = RestartStrategyOptions::FixedDelay { attempts: 2, delay };
        let mut strategy = RestartStrategy::new(options);
        assert_eq!(strategy.decide(at(0), 0.5), after(1));
        assert_eq!(strategy.decide(at(9), 0.5), after(1));
        assert!(matches!(strategy.decide(at(10), 0.5), RestartDecision::GiveUp { .. }));
    }

    #[test]
    fn failure_rate_forgets_what_is_long_ago() {
        let options = RestartStrategyOptions::FailureRate {
            max_failures: 1,
            interval: Duration::from_secs(60),
            delay: Duration::from_secs(1),
        };
        let mut strategy = RestartStrategy::new(options);
        assert_eq!(strategy.decide(at(0), 0.5), after(1));
        assert_eq!(strategy.decide(at(100), 0.5), after(1));
        assert!(matches!(strategy.decide(at(110), 0.5), RestartDecision::GiveUp { .. }));
    }

    #[test]
    fn exponential_delay_grows_is_bounded_and_starts_anew_after_quiet() {
        let options = RestartStrategyOptions::ExponentialDelay {
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(5),
            backoff_multiplier: 2.0,
            reset_backoff_threshold: Duration::from_secs(100),
            jitter_factor: 0.0,
            attempts_before_reset_backoff: None,
        };
        let mut strategy = RestartStrategy::new(options);
        let decisions = [0, 2, 5, 10].map(|time| strategy.decide(at(time), 0.5));
        assert_eq!(decisions, [after(1), after(2), after(4), after(5)]);
        assert_eq!(strategy.decide(at(1000), 0.5), after(1));
    }
}
