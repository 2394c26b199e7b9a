//! The longest time in which a subtask of the generator was not asked for a record.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Looks at the clock once in so many records, some 50 µs.
const EVERY: u64 = 1 << 10;

static LONGEST_NS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Is called with the index of each record, by the thread that makes it.
#[inline]
pub(super) fn note(index: u64) {
    // Of every so many records in a row each of a few subtasks has one.
    if index & (EVERY - 1) < 4 {
        let now = Instant::now();
        if let Some(last) = LAST.replace(Some(now)) {
            LONGEST_NS.fetch_max((now - last).as_nanos() as u64, Ordering::Relaxed);
        }
    }
}

/// Begins anew.
pub(super) fn forget() {
    LONGEST_NS.store(0, Ordering::Relaxed);
}

pub(super) fn longest() -> Duration {
    Duration::from_nanos(LONGEST_NS.load(Ordering::Relaxed))
}
