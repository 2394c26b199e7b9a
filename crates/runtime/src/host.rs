//! What a job has of the machine that it runs on: clocks, randomness, stores, threads, the network.
//!
//! All of it is handed in: nothing in this crate reaches for a clock or a thread of its own. So
//! whoever simulates machines runs the code that is shipped, one step at a time.
//!
//! | what | on a machine | in a simulation |
//! |---|---|---|
//! | [`Clock`], [`Random`] | the system's | what the seed says |
//! | [`Places`] | whatever an address stands for | stores that fail |
//! | [`Turns`] | a worker goes on while it has work, and sleeps | it has its next turn when the seed says so |
//! | [`Threads`] | threads, and of lower priority if nobody waits | turns, too |
//! | [`Network`] | gRPC and TCP | messages and bytes under way, which lines lose |
//! | Tokio | a runtime of several threads | one of a single thread, whose time stands still |

pub mod memory;
pub mod network;
mod sockets;

use std::{io, num::NonZero, pin::Pin, sync::Arc, time::Duration};

use tidegate_storage::Places;
use tidegate_types::{Clock, Random, SystemRandom, time::SystemClock};
use tokio::sync::oneshot;

pub(crate) use self::memory::introduce;
pub use self::network::{Connected, Connecting, Listener, Network, Peers};

/// What a job has of its machine. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    /// What a person calls the process.
    pub name: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Tells runs and savepoints apart.
    pub random: Arc<dyn Random>,
    /// Stores that are open already; any other address is opened as it is named.
    pub places: Places,
    /// Where state is encoded.
    pub threads: Arc<dyn Threads>,
    /// When workers go on.
    pub turns: Arc<dyn Turns>,
    /// The ways to other processes.
    pub network: Arc<dyn Network>,
}

impl Host {
    /// The machine that this process runs on.
    #[must_use]
    pub fn system() -> Self {
        Self {
            name: format!("process {} on {}", std::process::id(), machine()),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            places: Places::default(),
            threads: Arc::new(SystemThreads),
            turns: Arc::new(FreeTurns),
            network: Arc::new(network::SystemNetwork),
        }
    }

    /// The same, by another clock.
    #[must_use]
    pub fn by(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}

/// What this machine is called, as far as it says.
fn machine() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let name = named.map(|name| name.trim().to_owned()).unwrap_or_default();
    if name.is_empty() { "this machine".to_owned() } else { name }
}

/// Has work done that takes a while, beside workers and Tokio.
pub trait Threads: Send + Sync {
    /// Begins to do it. It may wait for other threads, and tells by itself what came of it.
    ///
    /// # Errors
    ///
    /// When there can be no thread for it.
    fn start(&self, urgency: Urgency, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;

    /// How many there may be at once: those of them that work, where several would not be faster.
    fn cores(&self) -> usize;

    /// Waits, in the midst of such work or on the thread of a worker, for something that happens on
    /// Tokio.
    fn wait(&self, what: Pin<&mut dyn Future<Output = ()>>);
}

/// Who waits for some work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// The job can't begin without it.
    Awaited,
    /// Nobody: the stream goes on meanwhile, and comes first.
    Beside,
}

/// Has `work` done and waits for what comes of it, on Tokio.
///
/// # Errors
///
/// When there can be no thread, or `work` panics.
pub(crate) async fn done_by<T: Send + 'static>(
    threads: &dyn Threads,
    urgency: Urgency,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (sender, done) = oneshot::channel();
    let work = move || {
        // Nobody waits any more when it has been given up.
        let _ = sender.send(work());
    };
    let started = threads.start(urgency, Box::new(work));
    started.map_err(|error| format!("there is no thread for it: {error}"))?;
    done.await.map_err(|_| "its thread has panicked".to_owned())
}

/// Decides when the workers of an attempt go on.
pub trait Turns: Send + Sync {
    /// The threads of so many workers of a process are about to begin: those of one that is not alone
    /// once it is connected with the others, for which [`Listener::connect`] has been called by then.
    fn starting(&self, workers: usize) {
        let _ = workers;
    }

    /// The thread of a worker has begun; it goes on when this returns.
    fn begin(&self, worker: usize) -> Box<dyn Turn>;

    /// The threads of all workers of a process have ended, or there will be none.
    fn ended(&self) {}
}

/// The turns of one worker, which ends when this is dropped.
pub trait Turn {
    /// The worker has had a turn; it has the next one when this returns. It is told for how long it may
    /// sleep then if there is no work, `None` for not at all; nothing is due for `idle` unless somebody
    /// wakes it.
    fn next(&mut self, idle: Duration) -> Option<Duration>;
}

/// Every worker goes on as it likes.
struct FreeTurns;

impl Turns for FreeTurns {
    fn begin(&self, _worker: usize) -> Box<dyn Turn> {
        Box::new(Self)
    }
}

impl Turn for FreeTurns {
    fn next(&mut self, idle: Duration) -> Option<Duration> {
        Some(idle)
    }
}

/// A thread for each piece of work; what the job does not wait for the system serves after the others.
struct SystemThreads;

impl Threads for SystemThreads {
    fn start(&self, urgency: Urgency, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let (name, steps_back) = match urgency {
            Urgency::Awaited => ("tidegate-restore", false),
            Urgency::Beside => ("tidegate-encoder", true),
        };
        let run = move || {
            if steps_back {
                step_back();
            }
            work();
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run).map(|_| ())
    }

    fn cores(&self) -> usize {
        std::thread::available_parallelism().map_or(1, NonZero::get)
    }

    fn wait(&self, what: Pin<&mut dyn Future<Output = ()>>) {
        futures::executor::block_on(what);
    }
}

/// What the niceness of these threads is above the process's own: beside a worker on the same core one
/// gets about an eighth of it (Linux).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 9;

/// Lowers the priority of the calling thread. Without it snapshots are as good, but the job notices
/// more of them.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Ok(own) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, own.saturating_add(NICENESS));
    }
}
