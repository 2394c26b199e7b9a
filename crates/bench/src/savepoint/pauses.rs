//! The longest time in which a subtask had no result.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Looks at the clock once in so many results, some 50 µs.
const EVERY: u32 = 1 << 10;

static LONGEST_NS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNT: Cell<u32> = const { Cell::new(0) };
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Is called for each result, by the thread that has it.
#[inline]
pub(super) fn note() {
    let count = COUNT.get().wrapping_add(1);
    COUNT.set(count);
    if count.is_multiple_of(EVERY) {
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
