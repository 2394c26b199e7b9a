//! Whether in the end all is as it should be.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::executor::block_on;
use tidegate_runtime::{CheckpointSummary, JobStats, JobStatus};
use tidegate_snapshot::store::SnapshotLocation;
use tidegate_storage::Places;
use tidegate_types::error::chain;

use super::{
    play::Play,
    target::{Output, Prepared},
    user::Life,
};

/// How exact the time on the wall is.
const TICK: Duration = Duration::from_millis(2);

impl Play {
    pub(super) fn check(&mut self) {
        let (visible, size) = (self.target.visible(), self.scenario.size);
        let problem = match self.life {
            Life::Over(JobStatus::Finished) => exactly_once(&visible, size.keys, size.all()),
            Life::Over(_) | Life::Runs(_) | Life::Due(..) => at_most_once(&visible),
        };
        if let Some(problem) = problem {
            self.fail(problem);
        }
        self.check_leftovers();
        if self.target.is_out_of_turn() {
            self.fail("something was committed before what precedes it");
        }
        for path in self.user.savepoints.clone() {
            if let Err(error) = verify(&self.store.plain(), &path) {
                self.fail(format!("the savepoint {path} was reported complete: {error}"));
            }
        }
    }

    /// Whether what was measured of checkpoints can be true.
    pub(super) fn check_figures(&mut self, stats: &JobStats) {
        let is_wrong = |done: &CheckpointSummary| done.alignment_max > done.duration + TICK;
        let wrong = stats.completed.iter().find(|done| is_wrong(done));
        // Who sets the clock on the wall changes what a checkpoint is said to have taken.
        if let Some(wrong) = wrong.filter(|_| self.clock.is_right()) {
            let (id, alignment, duration) = (wrong.id, wrong.alignment_max, wrong.duration);
            self.fail(format!("checkpoint {id} was aligned for {alignment:?} of {duration:?}"));
        }
    }

    /// Whether a job that has told its end has left something that nobody needs.
    fn check_leftovers(&mut self) {
        // What was killed as it ended leaves its things to whoever begins the job anew, and so does what
        // could not delete them, or was taken over from as it completed something.
        let may_leave =
            self.scenario.is_unreliable() || self.aim.is_some() || self.user.has_taken_over;
        if !self.user.has_told_its_end || may_leave {
            return;
        }
        let folder = self.user.folder();
        if let Some(file) = self.store.files().into_iter().find(|file| file.starts_with(&folder)) {
            self.fail(format!("{file} is left, though the job has ended"));
        }
        // A savepoint may hold what was prepared for it and never committed, also one that is gone: it
        // may have been moved, or nobody has begun anything since it was disposed of.
        let may_hold = !self.user.savepoints.is_empty() || !self.user.passing.is_empty();
        if !may_hold && self.target.prepared() > 0 {
            let left = self.target.left();
            self.fail(format!("{left} was prepared, and is neither committed nor aborted"));
        }
    }
}

/// Whether the snapshot at a path is whole.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn verify(places: &Places, path: &str) -> Result<(), String> {
    let verified = async {
        let location = SnapshotLocation::find(places, path).map_err(|error| chain(&error))?;
        let manifest = location.load().await.map_err(|error| chain(&error))?;
        location.verify(&manifest).await.map_err(|error| chain(&error))
    };
    block_on(verified)
}

/// What is wrong if not every record has been counted once.
pub(super) fn exactly_once(
    visible: &[(Prepared, Output)],
    keys: u64,
    all: impl Iterator<Item = u64>,
) -> Option<String> {
    let seen = visible.iter().map(|(_, output)| output.record).collect::<BTreeSet<_>>();
    let all = all.collect::<BTreeSet<_>>();
    let missing = all.difference(&seen).collect::<Vec<_>>();
    if let Some(first) = missing.first() {
        return Some(format!("{} records are missing, {first} is the first", missing.len()));
    }
    if let Some(problem) = at_most_once(visible) {
        return Some(problem);
    }
    let mut sums = BTreeMap::<u64, u64>::new();
    all.iter().for_each(|record| *sums.entry(record % keys).or_default() += record);
    let last = |key| {
        let own = visible.iter().filter(|(_, output)| output.key == key);
        own.map(|(_, output)| output.sum).max()
    };
    let wrong = sums.into_iter().find(|(key, sum)| last(*key) != Some(*sum));
    wrong.map(|(key, sum)| format!("the sum of key {key} is {:?}, and should be {sum}", last(key)))
}

/// What is wrong if a record, or a count of a key, is there twice.
pub(super) fn at_most_once(visible: &[(Prepared, Output)]) -> Option<String> {
    let (mut records, mut counts) = (BTreeMap::new(), BTreeMap::new());
    for (by, Output { key, count, record, .. }) in visible {
        if let Some(before) = records.insert(record, by) {
            return Some(format!("record {record} is there twice, by {before:?} and {by:?}"));
        }
        if let Some(before) = counts.insert((key, count), by) {
            return Some(format!("key {key} is at {count} twice, by {before:?} and {by:?}"));
        }
    }
    None
}
