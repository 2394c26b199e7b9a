//! One thread at a time runs: whoever holds the baton.
//!
//! Timely's workers keep a thread each, and so does what encodes a savepoint and waits for its upload in
//! between. Here only one thread of all runs at any moment, the play's own or one of those, and hands the
//! baton on by itself; who is next the seed decides.
//!
//! ```text
//!   play --step(worker)--> [worker: a step of its dataflow] --baton--> play
//!        --step(work)----> [work: until it waits, or is done] --baton--> play
//! ```
//!
//! # Failure
//!
//! A thread can't be killed. Those of a machine that is killed unwind when they would have had their next
//! step; by then everything that they could reach is deaf.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    io,
    panic::resume_unwind,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use tidegate_runtime::{Threads, Turn, Turns, Urgency};

/// How long the play waits for a thread that has to do nothing but run, in real time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A thread that has steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Worker(usize),
    /// Something that is encoded, by its number.
    Work(u64),
}

#[derive(Debug, Default)]
struct State {
    /// `None` for the play.
    holder: Option<Who>,
    /// How many workers are about to begin.
    expected: usize,
    /// The threads that have begun and not ended.
    there: BTreeSet<Who>,
    /// How many workers begin once the process is connected with others.
    unconnected: usize,
    /// Whether the next workers wait until it is.
    connects: bool,
    /// Whether threads of an attempt are there that have not all ended.
    has_workers: bool,
    /// Whether all its workers have ended, and the process waits for what others have to say.
    lingers: bool,
    /// What has come of that, once it waits no longer.
    released: Option<Release>,
    works: u64,
    is_killed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The turns of one machine's threads. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Baton(Arc<Shared>);

/// Why a process does not wait any more for those that it was connected with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// They have ended too.
    Ended,
    /// A connection is broken.
    Broken,
}

/// What a thread unwinds with whose machine is gone.
struct Killed;

thread_local! {
    /// The steps of the thread that this is, if it has any. A worker's end with its thread: what it drops
    /// last, Timely's queues to others, is still of its last step.
    static OWN: RefCell<Option<Step>> = const { RefCell::new(None) };
}

impl Baton {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.0.changed.notify_all();
    }

    fn wait_until(&self, what: &str, mut holds: impl FnMut(&mut State) -> bool) {
        let waited =
            self.0.changed.wait_timeout_while(self.lock(), PATIENCE, |state| !holds(state));
        let waited = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.1.timed_out(), "the play waits for {what}: {:?}", *waited.0);
    }

    /// Who can have a step. Those that are about to begin are waited for.
    pub(crate) fn there(&self) -> Vec<Who> {
        self.await_begin();
        self.lock().there.iter().copied().collect()
    }

    /// Lets a thread have a step, and waits for the baton. Once the last worker of an attempt has ended its
    /// threads are waited for as well, but for one that waits for other processes.
    pub(crate) fn step(&self, who: Who) {
        self.change(|state| state.holder = Some(who));
        self.wait_until("a step", |state| state.holder.is_none());
        let is_worker = |who: &Who| matches!(who, Who::Worker(_));
        if !self.lock().there.iter().any(is_worker) {
            self.wait_until("threads that end", |state| {
                !state.has_workers || state.lingers || state.unconnected > 0
            });
        }
    }

    /// The workers that start next wait until their process is connected with others.
    pub(crate) fn connects(&self) {
        self.change(|state| state.connects = true);
    }

    /// It is.
    pub(crate) fn begins(&self) {
        self.change(|state| state.expected = std::mem::take(&mut state.unconnected));
    }

    /// Waits for those that are about to begin.
    pub(crate) fn await_begin(&self) {
        self.wait_until("workers that begin", |state| state.expected == 0);
    }

    /// Waits for the end of an attempt's threads.
    pub(crate) fn await_end(&self) {
        self.wait_until("threads that end", |state| !state.has_workers);
    }

    /// Waits for other processes, behind all workers, on the thread that has joined them.
    pub(crate) fn linger(&self) {
        self.change(|state| state.lingers = true);
        let waits = |state: &mut State| state.released.is_none() && !state.is_killed;
        let waited = self.0.changed.wait_while(self.lock(), waits);
        let released = waited.unwrap_or_else(PoisonError::into_inner).released;
        // As Timely, which joins threads that have panicked.
        if released == Some(Release::Broken) {
            resume_unwind(Box::new(Killed));
        }
    }

    /// Whether all workers have ended, and others are waited for.
    pub(crate) fn lingers(&self) -> bool {
        self.lock().lingers
    }

    /// Ends that; returns once the threads have ended.
    pub(crate) fn release(&self, why: Release) {
        self.change(|state| state.released = Some(why));
        self.await_end();
    }

    /// Has all threads unwind, and waits for their end.
    pub(crate) fn kill(&self) {
        self.await_begin();
        self.change(|state| state.is_killed = true);
        self.wait_until("threads that unwind", |state| {
            !state.has_workers && state.there.is_empty()
        });
    }
}

impl Turns for Baton {
    fn starting(&self, workers: usize) {
        let mut state = self.lock();
        assert!(!state.has_workers, "an attempt begins before the one before it has ended");
        let connects = std::mem::take(&mut state.connects);
        (state.expected, state.unconnected) = if connects { (0, workers) } else { (workers, 0) };
        (state.has_workers, state.lingers, state.released) = (true, false, None);
    }

    fn begin(&self, worker: usize) -> Box<dyn Turn> {
        let mut step = Step { baton: self.clone(), who: Who::Worker(worker) };
        self.change(|state| {
            state.expected -= 1;
            state.there.insert(step.who);
        });
        step.wait();
        OWN.set(Some(step));
        Box::new(Own)
    }

    fn ended(&self) {
        self.change(|state| (state.has_workers, state.unconnected) = (false, 0));
    }
}

impl Threads for Baton {
    fn start(&self, _urgency: Urgency, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let mut step = Step { baton: self.clone(), who: Who::Work(0) };
        self.change(|state| {
            step.who = Who::Work(state.works);
            state.works += 1;
            state.there.insert(step.who);
        });
        let run = move || {
            step.wait();
            OWN.set(Some(step));
            work();
            OWN.set(None);
        };
        std::thread::Builder::new().spawn(run).map(|_| ())
    }

    fn cores(&self) -> usize {
        1
    }

    fn wait(&self, mut what: Pin<&mut dyn Future<Output = ()>>) {
        let mut context = Context::from_waker(Waker::noop());
        while what.as_mut().poll(&mut context).is_pending() {
            pass();
        }
    }
}

/// The steps of one thread.
struct Step {
    baton: Baton,
    who: Who,
}

impl Step {
    fn wait(&mut self) {
        let shared = &self.baton.0;
        let waits = |state: &mut State| state.holder != Some(self.who) && !state.is_killed;
        let waited = shared.changed.wait_while(self.baton.lock(), waits);
        let is_killed = waited.unwrap_or_else(PoisonError::into_inner).is_killed;
        if is_killed {
            resume_unwind(Box::new(Killed));
        }
    }

    fn pass(&mut self) {
        self.baton.change(|state| state.holder = None);
        self.wait();
    }
}

/// Hands the baton of this thread back, and waits for it.
fn pass() {
    // Taken out, since the thread may unwind.
    let mut step = OWN.take().expect("it is a thread that has steps");
    step.pass();
    OWN.set(Some(step));
}

/// The steps of the worker whose thread this is.
struct Own;

impl Turn for Own {
    fn next(&mut self, _idle: Duration) -> Option<Duration> {
        pass();
        None
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.baton.change(|state| {
            state.there.remove(&self.who);
            state.holder = None;
        });
    }
}
