//! How much memory an input may take: an allocator that counts, and refuses what is too much.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::Write,
    ptr::null_mut,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How many bytes there are.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// How many there may be.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
/// The limit is one for all threads.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's memory, counted.
struct Counting;

/// Counts bytes that are wanted; tells whether there is room.
fn take(bytes: usize) -> bool {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
    // What a panic says of itself takes memory too.
    if live <= LIMIT.load(Ordering::Relaxed) || std::thread::panicking() {
        return true;
    }
    give_back(bytes);
    // Takes no memory itself. Who asked for it ends the process, unless it can do without.
    let _ = std::io::stderr().write_all(b"the input takes more memory than it may\n");
    false
}

fn give_back(bytes: usize) {
    LIVE.fetch_sub(bytes, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "an allocator can't be written without")]
// SAFETY: all memory is the system's, with the layouts that it is asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return null_mut();
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return null_mut();
        }
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) };
        give_back(layout.size());
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !take(size) {
            return null_mut();
        }
        let moved = unsafe { System.realloc(memory, layout, size) };
        give_back(if moved.is_null() { size } else { layout.size() });
        moved
    }
}

/// Ends the limit, whatever happens under it.
struct Limited;

impl Drop for Limited {
    fn drop(&mut self) {
        LIMIT.store(usize::MAX, Ordering::Relaxed);
    }
}

/// Runs `play`, for which so many bytes more may be taken at any one time.
pub(crate) fn within(room: usize, play: impl FnOnce()) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let live = LIVE.load(Ordering::Relaxed);
    LIMIT.store(live.saturating_add(room), Ordering::Relaxed);
    let _limited = Limited;
    play();
}
