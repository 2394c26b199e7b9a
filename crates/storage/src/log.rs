//! One log per job: who runs it, and which of its snapshots are complete.
//!
//! ```text
//!   <folder>/<number>   1 taken over by run a | 2 chk-1 | 3 chk-2 | 4 taken over by run b | 5 chk-3 ...
//!                                                      ^ a's next append finds 4 taken: it is fenced
//! ```
//!
//! # Protocol
//!
//! Every entry is a record of its own, written create-if-absent to the number behind the newest
//! that its writer knows; it never changes. A run that starts appends that it takes the job over
//! ([`take_over`]), and is told which snapshots are complete. It completes a snapshot by appending
//! to the same sequence ([`JobLog::append`]) once the snapshot's `_metadata` is durable. What sinks
//! commit, what is told to be complete, and what is deleted since something newer is complete all
//! follow from the [`Completion`] that an append gives, and from nothing else.
//!
//! Of two runs that both believe a job to be theirs, the one that appends first goes on. The other
//! finds the number taken, and is [`LogError::Fenced`]: it stops, and touches nothing any more.
//! [`LogError::Unavailable`] says that the entry may be there or not: whoever gets it appends the
//! same again until there is an answer, or takes the job over anew with the same token.
//!
//! An entry carries its run's token, which the names of all files carry that the run writes. So who
//! takes over can tell what superseded runs have left ([`JobLog::superseded`]).
//!
//! A job that has ended and leaves nothing to go on from says so in its log ([`JobLog::conclude`]) before
//! any of its checkpoints is deleted; then the log goes too. Whoever finds it in between is told how the
//! job has ended, and not that its snapshots are gone.
//!
//! # Invariants
//!
//! - INV-ORDER: a run's completions stand between its take-over and the next one's. Numbers have no
//!   gaps from the oldest entry that counts to the newest.
//! - INV-STALE: old entries are deleted, the newest never, and neither is the newest that a job
//!   would go on from. Who appends where an entry was deleted finds newer ones, and is fenced; what
//!   it has written there counts for nothing: every entry says whose entry it stands behind, and
//!   an entry counts as long as the one behind it agrees, from the newest back.
//! - INV-NEWEST: a job goes on from the highest id in the log that is no mere savepoint, not from
//!   the entry that was appended last: snapshots become durable in any order.
//! - INV-HELD: what sinks have prepared for a savepoint is the savepoint's until it is committed,
//!   by a later checkpoint of the same attempt, or by a checkpoint of an attempt that was restored
//!   from the savepoint, or until the savepoint is disposed of ([`dispose`]). The newest entry
//!   names every such savepoint, however long ago it was completed.
//! - INV-ENDED: of a job that has ended and leaves nothing to go on from nothing is deleted before its log
//!   says so, and what was completed before that is nothing to go on from any more.
//!
//! # Failure
//!
//! A crash before an append leaves a snapshot that was never complete, though its `_metadata` is
//! there; one behind it leaves a complete one, whose sinks commit when the next run is restored. A
//! record that can't be read is [`LogError::Damaged`], and names itself: it concerns one job.
//!
//! # Not here
//!
//! Whether another run lives, and who waits for whom: safety does not depend on it.

mod disposed;
mod entries;
mod forks;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tidegate_types::CheckpointId;
pub use tidegate_types::RunToken;
use tokio::sync::Mutex;

use self::entries::{Entries, Entry, numbers};
pub use self::{disposed::dispose, forks::is_fork};
use crate::{Address, Place, Records, StoreError};

/// How many entries are kept, and more if that is needed to go on.
const KEPT: u64 = 100;

/// Which JobManager a run is of, where each takes the jobs of the one before it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// The sequence of JobManagers, by a number chosen at random. Ranks of two sequences say nothing of
    /// each other.
    pub sequence: u64,
    /// Which one of it: later ones have higher epochs.
    pub epoch: u64,
}

/// One execution of a job's program, from its start to its end, over all attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Chosen at random: no other run has it.
    pub token: RunToken,
    /// Nobody takes over from a run of a later JobManager of its own sequence. `None` where nobody is
    /// appointed.
    pub rank: Option<Rank>,
    /// What a person calls it: host and process.
    pub name: String,
}

/// What a complete snapshot is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedKind {
    /// Recovery.
    #[default]
    Checkpoint,
    /// Ending the job: the only thing to do after it is to commit what it holds.
    FinalSavepoint,
    /// Its user. The job does not go on from it by itself.
    Savepoint,
}

/// A snapshot that is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its id.
    pub checkpoint: CheckpointId,
    /// Where it lies.
    pub location: String,
    /// What it is for.
    #[serde(default)]
    pub kind: RecordedKind,
    /// The token of the attempt that has taken it, which the names of all files carry that its sinks
    /// have prepared. Earlier versions do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
    /// The request that it was taken for, as whoever took that in calls it; none if it was due by
    /// itself, or nobody has to find out by the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// How the job ends behind a final savepoint, whoever ends it. Earlier versions do not say it, and
    /// their jobs finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Concluded>,
}

/// How a job has ended that leaves nothing to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Concluded {
    /// All its input is consumed, and what came of it is committed.
    Finished,
    /// Somebody has cancelled it.
    Canceled,
}

/// The proof that a snapshot is complete: it stands in its job's log. Only an append makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Completion {
    recorded: Recorded,
    number: u64,
}

impl Completion {
    /// Which snapshot.
    #[must_use]
    pub fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// Where it stands in the log.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// Why something is not in a log, or nobody knows whether it is.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another run has taken the job over.
    #[error("another run has taken this job over: {by}")]
    Fenced {
        /// Its name.
        by: String,
    },
    /// The store does not answer: it may have happened.
    #[error("the job's log can't be read or written")]
    Unavailable(#[from] StoreError),
    /// An entry can't be read.
    #[error("the record '{name}' of the job's log is damaged")]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The log as one run writes it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JobLog {
    records: Records,
    disposed: Records,
    forks: Records,
    run: Arc<Run>,
    concluded: Option<(u64, Concluded)>,
    outlived: Arc<BTreeSet<CheckpointId>>,
    superseded: Arc<BTreeSet<RunToken>>,
    with_savepoints: Arc<BTreeSet<RunToken>>,
    end: Arc<Mutex<End>>,
    taken_over: u64,
    kept: u64,
}

/// The end of the log, as far as this run knows.
#[derive(Debug)]
struct End {
    /// The newest number, which is of this run or its take-over.
    last: u64,
    /// The entry that a job would go on from: the highest id, and its number.
    needed: Option<(CheckpointId, u64)>,
    /// Whether this run has said that the job has ended.
    is_concluded: bool,
    /// What this run has completed of late.
    own: BTreeMap<u64, Recorded>,
    /// The savepoints that may hold what is not committed.
    held: Vec<Recorded>,
    /// The same, as the newest entry has it.
    written: Vec<Recorded>,
    /// What the running attempt was restored from.
    restored: Option<(CheckpointId, Address)>,
}

impl End {
    fn find(&self, snapshot: &Recorded) -> Option<u64> {
        self.own.iter().find(|(_, own)| *own == snapshot).map(|(number, _)| *number)
    }

    /// The savepoints that may hold what is not committed, once this snapshot is complete: INV-HELD.
    fn held_behind(&self, done: &Recorded) -> Vec<Recorded> {
        let is_restored = |held: &Recorded| {
            self.restored.as_ref().is_some_and(|(id, address)| held.lies_at(*id, address))
        };
        let is_earlier =
            |held: &Recorded| held.attempt == done.attempt && held.checkpoint < done.checkpoint;
        let mut held = self.held.clone();
        if done.is_needed() {
            held.retain(|held| !is_earlier(held) && !is_restored(held));
        }
        if done.kind != RecordedKind::Checkpoint {
            held.push(done.clone());
        }
        held
    }

    fn advance(&mut self, number: u64, own: Entry) {
        self.last = number;
        self.is_concluded = own.is_concluded();
        self.held = own.held().to_vec();
        self.written.clone_from(&self.held);
        if let Some(recorded) = own.into_snapshot() {
            if recorded.is_needed() {
                self.needed = self.needed.max(Some((recorded.checkpoint, number)));
            }
            self.own.insert(number, recorded);
        }
    }

    /// The first number that must stay.
    fn first_kept(&self, kept: u64) -> u64 {
        let needed = self.needed.map_or(u64::MAX, |(_, number)| number);
        (self.last.saturating_sub(kept) + 1).min(needed)
    }
}

/// Takes a job over by an entry in its log, which lies in `folder`; tells which snapshots are
/// complete, the highest id first.
///
/// # Errors
///
/// [`LogError::Fenced`] if a run of a later JobManager of the same sequence has it, [`LogError::Damaged`] for an entry that
/// counts and can't be read. After [`LogError::Unavailable`] the same run may try again.
pub async fn take_over(folder: &Place, run: Run) -> Result<(JobLog, Vec<Recorded>), LogError> {
    take_over_keeping(folder, run, false, KEPT).await
}

/// The same, to begin anew, whether or not the log says that the job has ended.
///
/// # Errors
///
/// As [`take_over`].
pub async fn begin(folder: &Place, run: Run) -> Result<(JobLog, Vec<Recorded>), LogError> {
    take_over_keeping(folder, run, true, KEPT).await
}

async fn take_over_keeping(
    folder: &Place,
    run: Run,
    anew: bool,
    kept: u64,
) -> Result<(JobLog, Vec<Recorded>), LogError> {
    let records = folder.records("");
    loop {
        let entries = Entries::read(&records).await?;
        if let Some(by) = entries.above(run.rank) {
            return Err(LogError::Fenced { by });
        }
        let last = match entries.newest() {
            // An earlier try has happened.
            Some((last, newest)) if newest.is_take_over_of(&run) => last,
            newest => {
                let next = newest.map_or(0, |(last, _)| last) + 1;
                let behind = newest.map(|(_, newest)| newest.run());
                let mine = Entry::take_over(&run, anew, behind, entries.held().to_vec());
                if !records.create(&Entry::name(next), mine.to_json()).await? {
                    continue;
                }
                next
            }
        };
        if is_stale(&records.names().await?, last) {
            // So much has been appended meanwhile that what stood in front of it is deleted.
            records.remove(&Entry::name(last)).await?;
            continue;
        }
        let (needed, held) = (entries.needed(), entries.held().to_vec());
        let (own, written, restored) = (BTreeMap::new(), held.clone(), None);
        let is_concluded = false;
        let end = End { last, needed, is_concluded, own, held, written, restored };
        let log = JobLog {
            disposed: JobLog::disposed_in(folder),
            forks: JobLog::forks_in(folder),
            records,
            superseded: Arc::new(entries.others(run.token)),
            with_savepoints: Arc::new(entries.with_savepoints()),
            run: Arc::new(run),
            concluded: entries.concluded(),
            outlived: Arc::new(entries.outlived()),
            end: Arc::new(Mutex::new(end)),
            taken_over: last,
            kept,
        };
        return Ok((log, entries.snapshots()));
    }
}

/// Whether the number of an entry was free only because what stood there is deleted: then what
/// stands in front of it is so too.
fn is_stale(names: &[String], number: u64) -> bool {
    number > 1 && numbers(names).all(|there| there + 1 != number)
}

/// Whether there is a log.
///
/// # Errors
///
/// When the store does not answer.
pub async fn is_begun(folder: &Place) -> Result<bool, LogError> {
    Ok(numbers(&folder.records("").names().await?).next().is_some())
}

/// What a log says, for who takes nothing over: the complete snapshots, the highest id first.
///
/// # Errors
///
/// When the store does not answer, or an entry that counts is damaged.
pub async fn read(folder: &Place) -> Result<Vec<Recorded>, LogError> {
    Ok(Entries::read(&folder.records("")).await?.snapshots())
}

/// How the job has ended, if its log says so and it has not begun anew since.
///
/// # Errors
///
/// As [`read`].
pub async fn concluded(folder: &Place) -> Result<Option<Concluded>, LogError> {
    let concluded = Entries::read(&folder.records("")).await?.concluded();
    Ok(concluded.map(|(_, how)| how))
}

/// Deletes a log from which there is nothing to go on, for who has nothing to do with any run of the job:
/// whoever ended the job did not live to do so. Tells whether it is gone.
///
/// # Errors
///
/// As [`read`].
pub async fn forget_ended(folder: &Place) -> Result<bool, LogError> {
    let records = folder.records("");
    let entries = Entries::read(&records).await?;
    if entries.concluded().is_none() && !entries.snapshots().is_empty() {
        return Ok(false);
    }
    forget_all(folder, &records).await?;
    Ok(true)
}

async fn forget_all(folder: &Place, records: &Records) -> Result<(), LogError> {
    // The oldest first, so that no gap comes of it.
    for number in numbers(&records.names().await?) {
        records.remove(&Entry::name(number)).await?;
    }
    JobLog::disposed_in(folder).remove_all().await?;
    Ok(JobLog::forks_in(folder).remove_all().await?)
}

/// The number of the newest entry, 0 if there is none.
///
/// # Errors
///
/// When the store does not answer.
pub async fn newest(folder: &Place) -> Result<u64, LogError> {
    Ok(numbers(&folder.records("").names().await?).max().unwrap_or_default())
}

impl JobLog {
    /// The run that writes it.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The number of the entry by which this run has taken over: later runs have higher ones.
    #[must_use]
    pub fn taken_over(&self) -> u64 {
        self.taken_over
    }

    /// How the job had ended when this run took it over, if an entry behind number `since` says so.
    #[must_use]
    pub fn concluded_since(&self, since: u64) -> Option<Concluded> {
        self.concluded.filter(|(number, _)| *number > since).map(|(_, how)| how)
    }

    /// The checkpoints of the job that had ended when this run took it over: whoever ended it may not
    /// have lived to delete them.
    #[must_use]
    pub fn outlived(&self) -> &BTreeSet<CheckpointId> {
        &self.outlived
    }

    /// Whether no other run has taken over.
    ///
    /// # Errors
    ///
    /// [`LogError::Fenced`] if one has.
    pub async fn check(&self) -> Result<(), LogError> {
        let end = self.end.lock().await;
        let names = self.records.names().await?;
        if numbers(&names).max() <= Some(end.last) {
            return Ok(());
        }
        // An append of its own may have got no answer.
        match Entries::read(&self.records).await?.newest() {
            Some((_, newest)) if !newest.is_of(&self.run) => {
                Err(LogError::Fenced { by: newest.by() })
            }
            _ => Ok(()),
        }
    }

    /// The runs that this one has superseded, as far as the log remembers them: what carries their
    /// tokens and is named by no manifest is this run's to delete.
    #[must_use]
    pub fn superseded(&self) -> &BTreeSet<RunToken> {
        &self.superseded
    }

    /// The attempts whose output that is prepared and not committed a savepoint holds: nobody's
    /// leftovers, by their tokens (INV-HELD).
    pub async fn held(&self) -> BTreeSet<u64> {
        self.end.lock().await.held.iter().filter_map(|held| held.attempt).collect()
    }

    /// An attempt of this run begins, restored from there: once it completes a checkpoint, what that
    /// snapshot holds is committed.
    pub async fn restored(&self, from: Option<(CheckpointId, &str)>) {
        let from = from.and_then(|(id, path)| Some((id, Address::parse(path).ok()?)));
        self.end.lock().await.restored = from;
    }

    /// The superseded runs, and this one's, that had completed a savepoint without saying in which
    /// attempt, as earlier versions did. What they have prepared and not committed may be the
    /// savepoint's.
    #[must_use]
    pub fn with_savepoints(&self) -> &BTreeSet<RunToken> {
        &self.with_savepoints
    }

    /// Deletes the oldest entries of a log in which nothing is ever completed, so that take-overs alone
    /// give it an end. Where something is, appends alone do so: of runs that took over at the same time
    /// and deleted at once, one missed a completion (`proptest-regressions` has the case).
    pub async fn forget_take_overs(&self) {
        let mut end = self.end.lock().await;
        let Ok(names) = self.records.names().await else { return };
        self.forget_old(&mut end, &names).await;
    }

    /// Completes a snapshot whose `_metadata` is durable. Doing so twice is harmless.
    ///
    /// # Errors
    ///
    /// [`LogError::Fenced`] if another run has taken the job over: this one must stop.
    /// [`LogError::Unavailable`] if nobody knows; the same append tells later.
    pub async fn append(&self, snapshot: Recorded) -> Result<Completion, LogError> {
        let mut end = self.end.lock().await;
        loop {
            if let Some(number) = end.find(&snapshot) {
                return Ok(Completion { number, recorded: snapshot });
            }
            let held = end.held_behind(&snapshot);
            self.push(&mut end, Entry::completed(&self.run, snapshot.clone(), held)).await?;
        }
    }

    /// Says that the job has ended and leaves nothing to go on from. From here on its checkpoints may be
    /// deleted. Doing so twice is harmless.
    ///
    /// # Errors
    ///
    /// As [`JobLog::append`].
    pub async fn conclude(&self, how: Concluded) -> Result<(), LogError> {
        let mut end = self.end.lock().await;
        while !end.is_concluded {
            let held = end.held.clone();
            self.push(&mut end, Entry::concluded(&self.run, how, held)).await?;
        }
        Ok(())
    }

    /// Appends an entry, or learns of one of this run's own that stands in its place.
    async fn push(&self, end: &mut End, mine: Entry) -> Result<(), LogError> {
        let number = end.last + 1;
        let created = self.records.create(&Entry::name(number), mine.to_json()).await?;
        // What is there already may be this run's own, of an append that got no answer.
        let own = if created { mine } else { self.own_entry(number).await? };
        let names = self.check_newest(number, created).await?;
        end.advance(number, own);
        self.forget_old(end, &names).await;
        Ok(())
    }

    /// Deletes the log of a job that has ended and left nothing to go on from, unless another run has
    /// taken it over. Nothing can be appended any more.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn forget(&self) -> Result<(), LogError> {
        let end = self.end.lock().await;
        let names = self.records.names().await?;
        if numbers(&names).any(|number| number > end.last) {
            return Ok(());
        }
        // The oldest first, so that no gap comes of it.
        for number in numbers(&names) {
            self.records.remove(&Entry::name(number)).await?;
        }
        self.disposed.remove_all().await?;
        Ok(self.forks.remove_all().await?)
    }

    /// The entry of a number that is taken, if it is this run's own.
    async fn own_entry(&self, number: u64) -> Result<Entry, LogError> {
        match Entry::read(&self.records, number).await? {
            Some(entry) if entry.is_of(&self.run) => Ok(entry),
            Some(entry) => Err(LogError::Fenced { by: entry.by() }),
            // It is deleted: there are newer ones.
            None => Err(self.fenced_by_newest().await?),
        }
    }

    /// INV-STALE: tells which entries there are, of which this is the newest.
    async fn check_newest(&self, number: u64, created: bool) -> Result<Vec<String>, LogError> {
        let names = self.records.names().await?;
        let is_stale = created && is_stale(&names, number);
        if numbers(&names).max() <= Some(number) && !is_stale {
            return Ok(names);
        }
        if is_stale {
            // It counts for nothing, whether or not it can be cleared away.
            let _ = self.records.remove(&Entry::name(number)).await;
        }
        Err(self.fenced_by_newest().await?)
    }

    async fn fenced_by_newest(&self) -> Result<LogError, LogError> {
        let entries = Entries::read(&self.records).await?;
        let by = entries.newest().map_or_else(|| "its log is gone".to_owned(), |(_, e)| e.by());
        Ok(LogError::Fenced { by })
    }

    /// Deletes the oldest entries first, so that no gap comes of it. What can't be deleted now will
    /// be by a later append.
    async fn forget_old(&self, end: &mut End, names: &[String]) {
        let first = end.first_kept(self.kept);
        end.own = end.own.split_off(&first);
        // The names are in order, and so are the numbers.
        for number in numbers(names).filter(|number| *number < first) {
            if self.records.remove(&Entry::name(number)).await.is_err() {
                return;
            }
        }
    }
}

impl Recorded {
    /// Whether a job goes on from it by itself.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.kind != RecordedKind::Savepoint
    }
}

#[cfg(test)]
mod tests;
