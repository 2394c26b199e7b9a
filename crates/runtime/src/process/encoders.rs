//! How many parts of snapshots are encoded at once.
//!
//! State is encoded while the stream goes on, on the same cores, and the stream comes first: at most
//! half as many parts are encoded at once as there are cores, on threads that the system serves
//! after the workers. On cores that are idle neither makes a difference.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::host::{Threads, Urgency, done_by};

/// Turns at encoding. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Encoders {
    turns: Arc<Semaphore>,
    threads: Arc<dyn Threads>,
}

impl Encoders {
    pub(crate) fn new(threads: Arc<dyn Threads>) -> Self {
        let turns = Semaphore::new((threads.cores() / 2).max(1));
        Self { turns: Arc::new(turns), threads }
    }

    /// Where they are run.
    pub(crate) fn threads(&self) -> Arc<dyn Threads> {
        Arc::clone(&self.threads)
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
        let encode = move || {
            let encoded = encode();
            drop(turn);
            encoded
        };
        done_by(self.threads.as_ref(), Urgency::Beside, encode).await
    }
}
