//! The threads that encode state, and how many of them there may be.
//!
//! State is encoded while the stream goes on, on the same cores, and the stream comes first: at most
//! half as many parts are encoded at once as there are cores, on threads that the system serves
//! after the workers. On cores that are idle neither makes a difference.

use std::{num::NonZero, sync::Arc, thread};

use tokio::sync::{Semaphore, oneshot};

/// What the encoders' niceness is above the process's own: beside a worker on the same core one gets
/// about an eighth of it (Linux).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 9;

/// Turns at encoding. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Encoders {
    turns: Arc<Semaphore>,
}

impl Encoders {
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self { turns: Arc::new(Semaphore::new((cores / 2).max(1))) }
    }

    /// Waits for a turn and runs `encode` on a thread of its own, which may wait.
    ///
    /// # Errors
    ///
    /// When there can be no thread, or `encode` panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        encode: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let turns = Arc::clone(&self.turns);
        let turn = turns.acquire_owned().await.map_err(|error| error.to_string())?;
        let (sender, done) = oneshot::channel();
        let run = move || {
            step_back();
            let encoded = encode();
            drop(turn);
            // Nobody waits any more when the snapshot has been given up.
            let _ = sender.send(encoded);
        };
        let thread = thread::Builder::new().name("tidegate-encoder".to_owned());
        thread.spawn(run).map_err(|error| format!("no thread to encode on: {error}"))?;
        done.await.map_err(|_| "the thread that encodes it panicked".to_owned())
    }
}

/// Lowers the priority of the calling thread. Without it snapshots are as good, but the job notices
/// more of them.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Ok(own) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, own.saturating_add(NICENESS));
    }
}
