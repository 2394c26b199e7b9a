//! A thread of Tokio's blocking pool that does a sink's I/O, message by message.
//!
//! ```text
//!   worker --messages, about BACKLOG bytes of them at most--> thread
//!          <--waker, failure--
//! ```
//!
//! Sending never blocks: it is for the worker to ask [`Background::poll_room`] before it sends
//! more. The thread ends with the first error or when its `Background` is dropped, after it has
//! done what was sent before.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::Waker,
};

use tidegate_core::Readiness;

/// How much may be under way before the worker has to hold back, in bytes.
const BACKLOG: usize = 1024 * 1024;

/// The worker's end.
pub(crate) struct Background<M, E> {
    queue: mpsc::Sender<(usize, M)>,
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    /// What has been sent and not been done, in bytes.
    backlog: AtomicUsize,
    /// Whether the worker wants to be woken when something has been done.
    waiting: AtomicBool,
    /// Why the thread has ended, if not because it was told to.
    failure: OnceLock<E>,
    waker: Waker,
}

/// Tells, after the thread, why it ended.
#[cfg(feature = "files")]
pub(crate) struct Failure<E>(Arc<Shared<E>>);

#[cfg(feature = "files")]
impl<E: Clone> Failure<E> {
    /// Why the thread has ended, `None` if it was told to or goes on.
    pub(crate) fn get(&self) -> Option<E> {
        self.0.failure.get().cloned()
    }
}

impl<M: Send + 'static, E: Clone + Send + Sync + 'static> Background<M, E> {
    /// Starts a thread that does `work` for each message; `panicked` is what it fails with if
    /// `work` panics.
    pub(crate) fn start(
        tokio: &tokio::runtime::Handle,
        waker: Waker,
        panicked: E,
        mut work: impl FnMut(M) -> Result<(), E> + Send + 'static,
    ) -> Self {
        let (queue, messages) = mpsc::channel::<(usize, M)>();
        let shared = Arc::new(Shared {
            backlog: AtomicUsize::new(0),
            waiting: AtomicBool::new(false),
            failure: OnceLock::new(),
            waker,
        });
        let guard = PanicGuard { shared: Arc::clone(&shared), panicked };
        tokio.spawn_blocking(move || {
            let shared = &guard.shared;
            for (bytes, message) in messages {
                match work(message) {
                    Ok(()) => shared.done(bytes),
                    Err(error) => return shared.fail(error),
                }
            }
        });
        Self { queue, shared }
    }

    /// Hands on a message that stands for so many bytes.
    pub(crate) fn send(&self, bytes: usize, message: M) {
        self.shared.backlog.fetch_add(bytes, Ordering::SeqCst);
        // It fails only when the thread has ended, which every poll reports.
        let _ = self.queue.send((bytes, message));
    }

    /// Whether more should be sent.
    pub(crate) fn poll_room(&self) -> Result<Readiness, E> {
        self.shared.poll(BACKLOG)
    }

    /// Whether everything sent has been done.
    #[cfg(feature = "print")]
    pub(crate) fn poll_done(&self) -> Result<Readiness, E> {
        self.shared.poll(1)
    }

    /// To be asked when an answer does not come.
    #[cfg(feature = "files")]
    pub(crate) fn failure(&self) -> Failure<E> {
        Failure(Arc::clone(&self.shared))
    }
}

impl<E: Clone> Shared<E> {
    /// Ready when the backlog is below `limit`. The flag is set before the second look, and the
    /// thread looks at the flag after it has lowered the backlog: one of the two sees the other.
    fn poll(&self, limit: usize) -> Result<Readiness, E> {
        let ready = || self.backlog.load(Ordering::SeqCst) < limit;
        if let Some(error) = self.failure.get() {
            return Err(error.clone());
        }
        if ready() {
            return Ok(Readiness::Ready);
        }
        self.waiting.store(true, Ordering::SeqCst);
        // The thread may have done its last work, or failed, between the look and the flag.
        match self.failure.get() {
            Some(error) => Err(error.clone()),
            None if ready() => Ok(Readiness::Ready),
            None => Ok(Readiness::Pending),
        }
    }
}

impl<E> Shared<E> {
    fn done(&self, bytes: usize) {
        self.backlog.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiting.swap(false, Ordering::SeqCst) {
            self.waker.wake_by_ref();
        }
    }

    fn fail(&self, error: E) {
        // Only the first failure counts.
        let _ = self.failure.set(error);
        self.waker.wake_by_ref();
    }
}

struct PanicGuard<E: Clone> {
    shared: Arc<Shared<E>>,
    panicked: E,
}

impl<E: Clone> Drop for PanicGuard<E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.fail(self.panicked.clone());
        }
    }
}
