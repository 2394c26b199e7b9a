//! What is under way, counted in records against whoever it came from.
//!
//! Flow control needs to know when what it has let into the dataflow has left it again. A worker's
//! sources are one [`Lane`], and so is each task that emits by itself; what a lane emits falls into
//! rounds (see [`crate::flow`]). A packet names the lane and the round that it goes back to, its
//! [`Account`], and so does whatever comes of it: records are added to their account when they are
//! sent, and taken from it when whoever received them has sent what comes of them. An account that
//! is at nothing has left.
//!
//! ```text
//!   source --+100--> [map] --+80--> [sum]        account (worker 0, round 7)
//!                     -100           -80         100, 180, 80, 0: it has left
//! ```
//!
//! A process counts in shared memory. Where a job has several, each adds up what it has seen of the
//! others' lanes and tells them once in a while ([`crate::reckoning`]): one message for each pair of
//! processes, however many channels there are between them. So a round may seem to have left before
//! it has, by no more than that while; what it is short of then counts against a later round of the
//! same place until the account is even.
//!
//! Timely tracks nothing of this: packets have no timestamp, so that it has no progress to tell.
//! With rounds as timestamps, and those of different workers incomparable, what a change of the
//! frontier cost grew with the square of the parallelism.
//!
//! # Invariants
//!
//! - INV-EVEN: an account is at nothing, and stays there, once its records have left. Within a process
//!   it is at nothing before that never: what comes of records is added before they are taken.
//! - INV-TOLD: a worker that waits for a round is woken when it has left.

use std::{
    rc::Rc,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use tidegate_types::{Clock, Monotonic};

use crate::graph::TaskId;

/// How many rounds of a lane may be under way at once.
pub(crate) const ROUNDS: u64 = 16;

/// Whose emissions they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane(u32);

impl Lane {
    /// Of a worker's sources.
    pub(crate) fn of_sources(worker: usize) -> Self {
        Self(worker as u32)
    }

    /// Of a task of a worker, out of `peers` many.
    pub(crate) fn of_task(TaskId(task): TaskId, worker: usize, peers: usize) -> Self {
        Self::of_sources(worker + peers * (task + 1))
    }
}

/// What records under way count against: a round of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Account(u32);

impl Account {
    /// Of round `number` of a lane.
    pub(crate) fn of(Lane(lane): Lane, number: u64) -> Self {
        Self(lane * ROUNDS as u32 + (number % ROUNDS) as u32)
    }

    /// As packets carry it to other processes of the attempt.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// What [`Account::number`] has told.
    pub(crate) const fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// The worker that its lane is of, out of `peers` many.
    fn worker(self, peers: usize) -> usize {
        self.0 as usize / ROUNDS as usize % peers
    }
}

/// Which workers are a process's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seats {
    /// The first of them.
    pub(crate) first: usize,
    /// How many there are, in each process of the attempt.
    pub(crate) count: usize,
    /// How many there are in all processes.
    pub(crate) peers: usize,
}

/// What one process knows of all lanes.
pub(crate) struct InFlight {
    seats: Seats,
    clock: Arc<dyn Clock>,
    since: Monotonic,
    accounts: Box<[Count]>,
    workers: Box<[Waiting]>,
}

/// What is under way in a round, as far as this process knows. Of another process's lane it is what is
/// to be told.
#[derive(Default)]
struct Count {
    records: AtomicI64,
    /// When that came to nothing, in nanoseconds.
    left_at: AtomicU64,
}

/// A worker of this process.
struct Waiting {
    waits: AtomicBool,
    waker: OnceLock<Waker>,
}

impl InFlight {
    /// For the lanes of a job that has this many tasks.
    pub(crate) fn new(seats: Seats, tasks: usize, clock: Arc<dyn Clock>) -> Self {
        let accounts = seats.peers * (tasks + 1) * ROUNDS as usize;
        // Whoever has not looked around yet waits for the first record.
        let waiting = || Waiting { waits: AtomicBool::new(true), waker: OnceLock::new() };
        Self {
            seats,
            since: clock.monotonic(),
            clock,
            accounts: std::iter::repeat_with(Count::default).take(accounts).collect(),
            workers: std::iter::repeat_with(waiting).take(seats.count).collect(),
        }
    }

    /// Which workers are this process's.
    pub(crate) fn seats(&self) -> Seats {
        self.seats
    }

    fn count(&self, account: Account) -> &Count {
        &self.accounts[account.0 as usize]
    }

    fn add(&self, account: Account, records: i64) {
        // Whoever takes them has them from the one who adds them, or is that one.
        self.count(account).records.fetch_add(records, Ordering::Relaxed);
    }

    fn take(&self, account: Account, records: i64) {
        if records == 0 {
            return;
        }
        let count = self.count(account);
        // Noted before anybody can see that it is at nothing. Of two who take the rest at once neither
        // may see it coming, and then whoever looks takes the time of looking.
        if count.records.load(Ordering::Relaxed) == records {
            let elapsed = self.clock.monotonic().since(self.since);
            count.left_at.store(elapsed.as_nanos() as u64, Ordering::Relaxed);
        }
        if count.records.fetch_sub(records, Ordering::SeqCst) == records {
            self.wake(account.worker(self.seats.peers));
        }
    }

    fn wake(&self, worker: usize) {
        let Some(worker) = worker.checked_sub(self.seats.first) else { return };
        let Some(Waiting { waits, waker }) = self.workers.get(worker) else { return };
        if waits.swap(false, Ordering::SeqCst)
            && let Some(waker) = waker.get()
        {
            waker.wake_by_ref();
        }
    }

    /// When the last of it has left, if it has.
    fn left(&self, account: Account) -> Option<Monotonic> {
        let Count { records, left_at } = self.count(account);
        let has_left = records.load(Ordering::SeqCst) == 0;
        has_left.then(|| self.since + Duration::from_nanos(left_at.load(Ordering::Relaxed)))
    }

    /// Takes out what this process has seen of other processes' lanes: the first worker of the process
    /// that each is of, the account, and the difference.
    pub(crate) fn take_foreign(&self) -> impl Iterator<Item = (usize, Account, i64)> {
        let Seats { first, count, peers } = self.seats;
        self.accounts.iter().enumerate().filter_map(move |(index, counted)| {
            let account = Account(index as u32);
            let worker = account.worker(peers);
            if (first..first + count).contains(&worker)
                || counted.records.load(Ordering::Relaxed) == 0
            {
                return None;
            }
            let difference = counted.records.swap(0, Ordering::Relaxed);
            Some((worker - worker % count, account, difference))
        })
    }

    /// Learns what another process has seen of a lane of this one.
    pub(crate) fn learn(&self, account: Account, difference: i64) {
        self.take(account, -difference);
    }
}

/// What is under way, as one worker counts it. Clones are of the same worker.
#[derive(Clone)]
pub(crate) struct Tally(Rc<Counted>);

struct Counted {
    all: Arc<InFlight>,
    worker: usize,
}

impl Tally {
    pub(crate) fn new(all: Arc<InFlight>, worker: usize) -> Self {
        Self(Rc::new(Counted { all, worker }))
    }

    /// Leaves what wakes this worker.
    pub(crate) fn woken_by(&self, waker: Waker) {
        // Set once for each attempt, whose counts these are.
        let _ = self.waiting().waker.set(waker);
    }

    /// From now on this worker is woken when a round of its lanes has left. Of one that has left before
    /// nobody tells: look afterwards.
    pub(crate) fn wait(&self) {
        self.waiting().waits.store(true, Ordering::SeqCst);
    }

    fn waiting(&self) -> &Waiting {
        &self.0.all.workers[self.0.worker - self.0.all.seats.first]
    }

    /// Records are sent.
    pub(crate) fn add(&self, account: Account, records: u64) {
        self.0.all.add(account, records as i64);
    }

    /// Records have come, and count until what this returns is dropped.
    pub(crate) fn hold(&self, account: Account, records: u64) -> Held {
        Held { tally: self.clone(), account, records: records as i64 }
    }

    /// When all of a round has left, if it has.
    pub(crate) fn left(&self, account: Account) -> Option<Monotonic> {
        self.0.all.left(account)
    }
}

/// Records that count as under way as long as this is there.
pub(crate) struct Held {
    tally: Tally,
    account: Account,
    records: i64,
}

impl Held {
    /// What they count against, and what comes of them.
    pub(crate) fn account(&self) -> Account {
        self.account
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tally.0.all.take(self.account, self.records);
    }
}

#[cfg(test)]
mod tests;
