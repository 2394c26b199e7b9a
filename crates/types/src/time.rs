//! Event time, and the two clocks of a machine.
//!
//! | time | what it is for |
//! |---|---|
//! | [`EventTime`] | what records say of themselves |
//! | [`Timestamp`], the wall clock | timers, time-to-live, what people read; it may step |
//! | [`Monotonic`] | intervals, pauses, timeouts, rates: it neither steps nor runs backwards |
//!
//! There is no way from a [`Timestamp`] to a [`Monotonic`] or back: an interval that is measured on
//! the wall clock comes out wrong when somebody sets it.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// A point in event time: milliseconds since 1970-01-01 00:00 UTC, as the records tell it.
///
/// [`EventTime::MIN`] comes before every record, [`EventTime::MAX`] is the final watermark that
/// ends a bounded or drained stream.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Before every record.
    pub const MIN: Self = Self(i64::MIN);
    /// After every record: the final watermark.
    pub const MAX: Self = Self(i64::MAX);

    /// The time `millis` milliseconds after 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }
}

/// A point in wall-clock time: milliseconds since 1970-01-01 00:00 UTC, as a [`Clock`] tells it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was, zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        let millis = u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// A point on a clock that nobody can set: the time since some moment that only its [`Clock`]
/// knows. It is of use only together with others of the same clock, and is never written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// The point `elapsed` after the moment that the clock counts from.
    #[must_use]
    pub const fn from_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long ago `earlier` was, zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Comes to a stop at the end of time, which is centuries away.
impl std::ops::Add<Duration> for Monotonic {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl std::ops::AddAssign<Duration> for Monotonic {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

/// Tells the time. An argument everywhere, so that tests can run it at will.
pub trait Clock: Send + Sync {
    /// The time on the wall, which may step: for timers, time-to-live and what people read.
    fn now(&self) -> Timestamp;

    /// The time that only goes forward: for intervals, timeouts and rates.
    fn monotonic(&self) -> Monotonic;

    /// What both clocks tell.
    fn both(&self) -> Now {
        Now { wall: self.now(), monotonic: self.monotonic() }
    }
}

/// What both clocks tell at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// The clock that only goes forward.
    pub monotonic: Monotonic,
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Monotonic {
        // Any moment does, if it is the same for all: an `Instant` can't be had as a number.
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Monotonic(START.elapsed())
    }
}

/// Clocks that stand still until a test moves them, each by itself.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_millis: AtomicU64,
    monotonic_nanos: AtomicU64,
}

impl ManualClock {
    /// Time passes, on both clocks.
    pub fn advance(&self, time: Duration) {
        let (millis, nanos) = (time.as_millis(), time.as_nanos());
        let millis = u64::try_from(millis).expect("a test does not take so long");
        let nanos = u64::try_from(nanos).expect("a test does not take so long");
        self.wall_millis.fetch_add(millis, Ordering::Relaxed);
        self.monotonic_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&self, time: Timestamp) {
        self.wall_millis.store(time.millis(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall_millis.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::from_nanos(self.monotonic_nanos.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sets_the_wall_clock_changes_no_interval() {
        let clock = ManualClock::default();
        clock.set_wall(Timestamp(7_200_000));
        let (wall, begun) = (clock.now(), clock.monotonic());
        clock.advance(Duration::from_secs(2));
        clock.set_wall(Timestamp(3_600_000));
        assert_eq!(clock.monotonic().since(begun), Duration::from_secs(2));
        assert_eq!(clock.now().since(wall), Duration::ZERO);
    }

    #[test]
    fn no_interval_is_negative_and_no_sum_overflows() {
        let (early, late) = (Monotonic::default(), Monotonic::default() + Duration::MAX);
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late + Duration::MAX, late);
    }

    #[test]
    fn the_system_has_one_monotonic_clock() {
        let first = SystemClock.monotonic();
        let second = std::thread::spawn(|| SystemClock.monotonic()).join().expect("tells the time");
        assert!(second >= first, "{first:?}, and later {second:?}");
    }
}
