//! The processes of an attempt whose workers are threads of one program: what they send each other goes
//! through its memory, serialized as over a socket, and arrives when whoever has it under way says so.
//!
//! ```text
//!   worker --bytes--> [Pair: under way] --once they have arrived--> worker
//! ```
//!
//! Timely's own queue between two threads is asked to spill whatever is put into it, which keeps it in
//! order beside the queue, until its reader looks into it after the time has come. Between workers of
//! one process nothing takes time. When a thread unwinds, Timely has those unwind that it sends to or
//! receives from, as they do when a connection breaks.

use std::{
    cell::RefCell,
    collections::VecDeque,
    panic::resume_unwind,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use timely::{
    bytes::arc::Bytes,
    communication::{
        Hooks,
        allocator::{
            AllocatorBuilder, ProcessBuilder,
            zero_copy::{
                bytes_exchange::QueueEntry,
                spill::{SpillPolicy, SpillPolicyFn},
            },
        },
    },
};

use super::network::Connected;

/// How what is sent travels between the processes of an attempt, each by its index.
pub trait Lines: Send + Sync {
    /// What time it is, on a clock of their own.
    fn now(&self) -> Duration;

    /// When what is sent now arrives. It never overtakes what one worker has sent to another before.
    fn arrival(&self, from: usize, to: usize) -> Duration;

    /// Whether the connection is broken: who looks for what has arrived then unwinds.
    fn is_cut(&self, from: usize, to: usize) -> bool;
}

/// Connects so many processes that have `workers` each; what each is handed, by its index. None of the
/// threads that are made from it begins before all have been.
#[must_use]
pub fn connected(processes: usize, workers: usize, lines: Arc<dyn Lines>) -> Vec<Connected> {
    let spill: SpillPolicyFn = Arc::new(move || {
        let pair = Arc::new(Pair {
            lines: Arc::clone(&lines),
            workers,
            ends: OnceLock::new(),
            under_way: Mutex::default(),
        });
        MADE.with_borrow_mut(|made| made.push(Arc::clone(&pair)));
        (Box::new(Sending(Arc::clone(&pair))), Box::new(Receiving(pair)))
    });
    let refill = Hooks::default().refill;
    let all = ProcessBuilder::new_bytes_vector(processes * workers, refill, Some(spill));
    let mut builders = all.into_iter().map(AllocatorBuilder::Process);
    let connected = |_| {
        let builders = builders.by_ref().take(workers).collect();
        Connected { builders, guard: Box::new(()) }
    };
    (0..processes).map(connected).collect()
}

thread_local! {
    /// The ways to the worker whose thread this is, by the worker that they are from.
    static MADE: RefCell<Vec<Arc<Pair>>> = const { RefCell::new(Vec::new()) };
}

/// Tells the ways to the worker whose thread this is, if there are any, from where to where they are.
pub(crate) fn introduce(worker: usize) {
    for (from, pair) in MADE.take().into_iter().enumerate() {
        let process = |worker: usize| worker / pair.workers;
        pair.ends.set((process(from), process(worker))).expect("each is introduced once");
    }
}

/// The way from one worker to another.
struct Pair {
    lines: Arc<dyn Lines>,
    /// How many workers each process has.
    workers: usize,
    /// The processes that it is from and to.
    ends: OnceLock<(usize, usize)>,
    /// What has been sent and not arrived, and when it does.
    under_way: Mutex<VecDeque<(Duration, Bytes)>>,
}

impl Pair {
    /// The processes, if there are two.
    fn ends(&self) -> Option<(usize, usize)> {
        let (from, to) = *self.ends.get().expect("every worker has begun before one has a turn");
        (from != to).then_some((from, to))
    }

    fn under_way(&self) -> MutexGuard<'_, VecDeque<(Duration, Bytes)>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that sends.
struct Sending(Arc<Pair>);

/// The end that receives.
struct Receiving(Arc<Pair>);

impl SpillPolicy for Sending {
    fn apply(&mut self, queue: &mut VecDeque<QueueEntry>) {
        let Some((from, to)) = self.0.ends() else { return };
        let mut under_way = self.0.under_way();
        for entry in queue.drain(..) {
            let QueueEntry::Bytes(bytes) = entry else { continue };
            let before = under_way.back().map_or(Duration::ZERO, |(at, _)| *at);
            under_way.push_back((self.0.lines.arrival(from, to).max(before), bytes));
        }
    }
}

impl SpillPolicy for Receiving {
    fn apply(&mut self, queue: &mut VecDeque<QueueEntry>) {
        let Some((from, to)) = self.0.ends() else { return };
        if self.0.lines.is_cut(from, to) {
            resume_unwind(Box::new(format!("the connection to process {from} is broken")));
        }
        let mut under_way = self.0.under_way();
        if under_way.is_empty() {
            return;
        }
        let now = self.0.lines.now();
        while under_way.front().is_some_and(|(at, _)| *at <= now) {
            queue.extend(under_way.pop_front().map(|(_, bytes)| QueueEntry::Bytes(bytes)));
        }
    }
}
