//! Which faults have hit which operations.
//!
//! A cell counts when something goes wrong on a machine, or with what it has asked for, *while* the
//! operation is under way there. It is counted where the fault happens, by whoever makes it happen, so
//! that no cell is met without it.
//!
//! | operation | is under way on a machine |
//! |---|---|
//! | checkpoint, savepoint, stop, drain, cancel with savepoint | from when its user asks for it until the answer |
//! | cancel | from when its user asks for it until the job has ended |
//! | submit | from the start of a job that begins with nothing until it runs or is refused |
//! | restore | the same of one that begins from a snapshot |
//! | rescale | the same, if it has another parallelism than the run before it |
//! | claim | from the start of a job from a savepoint that it claims until that is subsumed and gone |
//! | take-over | from the start of a job that lives elsewhere until it runs, and the other run knows |
//! | dispose, sweep | as long as somebody's own machine is at it |
//!
//! All of them end with their machine, too. A *write* is whatever is to change the store or the target:
//! a file that is put or deleted, what is prepared, committed or aborted.
//!
//! | fault | is |
//! |---|---|
//! | write lost | a machine that dies before a write of its was answered: nothing or all of it is there. What an object store has answered is durable; there is no write that is answered and lost |
//! | write failed | it does not happen, and that is said |
//! | write late | it takes a hundred times as long |
//! | write unanswered | it happens, and failure is said |
//! | kill | the machine dies |
//! | pause | it stands still, and goes on by and by |
//! | cut | nothing goes from it to the store and the target, or back |
//! | clock step | somebody sets the clock on the wall |

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::ValueEnum;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// The machine dies before its write was answered.
    WriteLost,
    /// It does not happen.
    WriteFailed,
    /// It takes very long.
    WriteLate,
    /// It happens and reports failure.
    WriteUnanswered,
    /// The machine dies.
    Kill,
    /// It stands still for a while.
    Pause,
    /// It reaches nothing outside for a while.
    Cut,
    /// Somebody sets the clock.
    ClockStep,
}

/// What is under way meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Activity {
    /// Somebody has asked for a checkpoint.
    Checkpoint,
    /// For a savepoint.
    Savepoint,
    /// For a savepoint, and the job's end.
    Stop,
    /// The same, behind the final watermark.
    Drain,
    /// For the job's end, without anything.
    Cancel,
    /// For a savepoint, and then the job's end as cancelled.
    CancelWithSavepoint,
    /// A job is started with another parallelism.
    Rescale,
    /// A job is started from a snapshot.
    Restore,
    /// A job has what is to be its own, but not yet anything newer.
    Claim,
    /// Somebody deletes a savepoint.
    Dispose,
    /// A job is started from nothing.
    Submit,
    /// A job is taken over from a run that lives.
    TakeOver,
    /// Somebody deletes what no manifest reaches.
    Sweep,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::WriteLost,
        Self::WriteFailed,
        Self::WriteLate,
        Self::WriteUnanswered,
        Self::Kill,
        Self::Pause,
        Self::Cut,
        Self::ClockStep,
    ];
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Checkpoint,
        Self::Savepoint,
        Self::Stop,
        Self::Drain,
        Self::Cancel,
        Self::CancelWithSavepoint,
        Self::Rescale,
        Self::Restore,
        Self::Claim,
        Self::Dispose,
        Self::Submit,
        Self::TakeOver,
        Self::Sweep,
    ];
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&name(*self))
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&name(*self))
    }
}

/// How often each fault has hit each operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage([[u64; Activity::ALL.len()]; Fault::ALL.len()]);

impl Coverage {
    /// How often this fault has hit that operation.
    #[must_use]
    pub fn met(&self, fault: Fault, activity: Activity) -> u64 {
        self.0[fault as usize][activity as usize]
    }

    /// Every pair, with how often it was met.
    pub fn cells(&self) -> impl Iterator<Item = (Fault, Activity, u64)> {
        let pairs = Fault::ALL
            .into_iter()
            .flat_map(|fault| Activity::ALL.map(|activity| (fault, activity)));
        pairs.map(|(fault, activity)| (fault, activity, self.met(fault, activity)))
    }

    /// The pair that was met least.
    #[must_use]
    pub fn rarest(&self) -> (Fault, Activity, u64) {
        let rarest = self.cells().min_by_key(|(_, _, met)| *met);
        rarest.expect("there are pairs")
    }

    /// Takes in what another play has met.
    pub fn add(&mut self, other: &Self) {
        let all = self.0.iter_mut().flatten();
        all.zip(other.0.iter().flatten()).for_each(|(own, other)| *own += other);
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<22}", "")?;
        for fault in Fault::ALL {
            write!(f, " {fault:>16}")?;
        }
        for activity in Activity::ALL {
            write!(f, "\n{activity:<22}")?;
            for fault in Fault::ALL {
                write!(f, " {:>16}", self.met(fault, activity))?;
            }
        }
        Ok(())
    }
}

/// What all machines of a play have met. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Met(Arc<Mutex<Coverage>>);

impl Met {
    pub(crate) fn get(&self) -> Coverage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is watched of one more machine.
    pub(crate) fn watch(&self) -> Watch {
        Watch { met: self.clone(), own: Arc::default(), writes: Arc::default() }
    }
}

/// What is under way on one machine. Clones are of the same machine.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    met: Met,
    own: Arc<Mutex<Watched>>,
    /// How many of its writes have not been answered.
    writes: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Watched {
    under_way: [u32; Activity::ALL.len()],
    /// What is to become of the next write.
    doom: Option<Fault>,
}

impl Watch {
    /// That of another machine on which the same goes on.
    pub(crate) fn beside(&self) -> Self {
        Self { writes: Arc::default(), ..self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, activity: Activity) {
        self.lock().under_way[activity as usize] += 1;
    }

    pub(crate) fn end(&self, activity: Activity) {
        let mut own = self.lock();
        let count = &mut own.under_way[activity as usize];
        *count = count.saturating_sub(1);
    }

    pub(crate) fn is_under_way(&self, activity: Activity) -> bool {
        self.lock().under_way[activity as usize] > 0
    }

    /// Something goes wrong here.
    pub(crate) fn hit(&self, fault: Fault) {
        let mut met = self.met.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cells = met.0[fault as usize].iter_mut().zip(self.lock().under_way);
        cells.for_each(|(cell, count)| *cell += u64::from(count > 0));
    }

    /// Its next write fares like that.
    pub(crate) fn doom(&self, fault: Fault) {
        self.lock().doom = Some(fault);
    }

    pub(crate) fn take_doom(&self) -> Option<Fault> {
        self.lock().doom.take()
    }

    /// A write is asked for, until what is returned is dropped.
    pub(crate) fn writes(&self) -> Writes {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Writes(Arc::clone(&self.writes))
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writes.load(Ordering::Relaxed) > 0
    }
}

/// A write that was not answered yet.
#[derive(Debug)]
pub(crate) struct Writes(Arc<AtomicU64>);

impl Drop for Writes {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
