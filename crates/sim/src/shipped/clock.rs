//! Time as the play says it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tidegate_types::{Clock, Monotonic, Timestamp};

/// When a play begins, on the wall.
pub(crate) const BEGIN_MILLIS: i64 = 1_700_000_000_000;
/// What it takes to look at a clock, so that whoever works until some time has passed comes to an end.
const LOOK: Duration = Duration::from_micros(1);

/// The clocks of all machines. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlayClock(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    nanos: AtomicU64,
    /// By how much somebody has set the clock on the wall.
    set_by_millis: AtomicI64,
    /// Whether intervals follow that clock too.
    is_one: AtomicBool,
}

impl PlayClock {
    /// How long the play has gone on.
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.0.nanos.load(Ordering::Relaxed))
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.0.nanos.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// From now on there is only one clock, which somebody may set.
    pub(crate) fn be_one(&self) {
        self.0.is_one.store(true, Ordering::Relaxed);
    }

    /// Whether the clock on the wall is where it should be.
    pub(crate) fn is_right(&self) -> bool {
        self.0.set_by_millis.load(Ordering::Relaxed) == 0
    }

    /// Somebody sets the clock on the wall, so far from where it should be.
    pub(crate) fn set_wall(&self, off_by_millis: i64) {
        self.0.set_by_millis.store(off_by_millis, Ordering::Relaxed);
    }
}

impl Clock for PlayClock {
    fn now(&self) -> Timestamp {
        let elapsed = self.elapsed().as_millis() as i64;
        let millis = BEGIN_MILLIS + elapsed + self.0.set_by_millis.load(Ordering::Relaxed);
        Timestamp(millis.max(0) as u64)
    }

    fn monotonic(&self) -> Monotonic {
        let before = self.0.nanos.fetch_add(LOOK.as_nanos() as u64, Ordering::Relaxed);
        if self.0.is_one.load(Ordering::Relaxed) {
            return Monotonic::from_start(Duration::from_millis(self.now().millis()));
        }
        Monotonic::from_start(Duration::from_nanos(before) + LOOK)
    }
}
