//! The entries of a log, and which of them count.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tidegate_types::CheckpointId;

use super::{Concluded, LogError, Rank, Recorded, RecordedKind, Run, RunToken};
use crate::Records;

/// How many entries are read at once.
const READS: usize = 16;
/// The highest number of an entry: there are more behind it, so that the next one can be told.
const HIGHEST: u64 = u64::MAX / 2;

/// An entry, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Who writes it.
    #[serde(default)]
    run: RunToken,
    /// The epoch of its JobManager, 0 if it has none.
    #[serde(default, alias = "epoch")]
    rank: u64,
    /// In which sequence of JobManagers. Earlier versions do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    /// Its name.
    #[serde(default)]
    name: String,
    /// Whose entry stands in front of it, if there is one and the writer says so.
    #[serde(default)]
    behind: Option<RunToken>,
    /// The savepoints that may hold what is prepared and not committed, as of this entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    held: Vec<Recorded>,
    /// The snapshot that is complete; none if the job is taken over, or has ended.
    #[serde(alias = "snapshot")]
    completed: Option<Recorded>,
    /// How the job has ended: what was completed before is nothing to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concluded: Option<Concluded>,
    /// Whether the job is taken over to begin anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    anew: bool,
}

impl Entry {
    /// Names that sort as their numbers do.
    pub(super) fn name(number: u64) -> String {
        format!("{number:020}")
    }

    pub(super) fn take_over(
        run: &Run,
        anew: bool,
        behind: Option<RunToken>,
        held: Vec<Recorded>,
    ) -> Self {
        let Run { token, rank, name } = run.clone();
        let (sequence, rank) = (rank.map(|rank| rank.sequence), rank.map_or(0, |rank| rank.epoch));
        let (completed, concluded) = (None, None);
        Self { run: token, rank, sequence, name, behind, held, completed, concluded, anew }
    }

    /// Behind the run's own take-over, or its own completions.
    pub(super) fn completed(run: &Run, snapshot: Recorded, held: Vec<Recorded>) -> Self {
        Self { completed: Some(snapshot), ..Self::take_over(run, false, Some(run.token), held) }
    }

    /// Behind the same.
    pub(super) fn concluded(run: &Run, how: Concluded, held: Vec<Recorded>) -> Self {
        Self { concluded: Some(how), ..Self::take_over(run, false, Some(run.token), held) }
    }

    pub(super) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("an entry is plain data").into()
    }

    /// The entry of that number, if there is one.
    pub(super) async fn read(records: &Records, number: u64) -> Result<Option<Self>, LogError> {
        let name = Self::name(number);
        let Some(bytes) = records.read(&name).await? else { return Ok(None) };
        let entry = serde_json::from_slice(&bytes);
        let damaged = |source| LogError::Damaged { name: format!("{records}/{name}"), source };
        entry.map(Some).map_err(damaged)
    }

    pub(super) fn run(&self) -> RunToken {
        self.run
    }

    pub(super) fn is_of(&self, run: &Run) -> bool {
        self.run == run.token
    }

    pub(super) fn is_take_over_of(&self, run: &Run) -> bool {
        self.is_of(run) && self.completed.is_none() && self.concluded.is_none()
    }

    pub(super) fn is_concluded(&self) -> bool {
        self.concluded.is_some()
    }

    /// What a person calls its writer.
    pub(super) fn by(&self) -> String {
        match (self.name.as_str(), self.rank) {
            ("", rank) => format!("a JobManager of epoch {rank}"),
            (name, 0) => format!("{name} (run {})", self.run),
            (name, rank) => format!("{name} of epoch {rank}"),
        }
    }

    pub(super) fn held(&self) -> &[Recorded] {
        &self.held
    }

    pub(super) fn into_snapshot(self) -> Option<Recorded> {
        self.completed
    }
}

/// The numbers in these names, in their order. What is called otherwise is no entry, whatever number
/// it may be read as, and neither is what nobody can have counted up to.
pub(super) fn numbers(names: &[String]) -> impl Iterator<Item = u64> {
    let number = |name: &String| {
        let number = name.parse().ok()?;
        (number <= HIGHEST && Entry::name(number) == *name).then_some(number)
    };
    names.iter().filter_map(number)
}

/// The entries that count, by number: from the newest back without a gap, as long as each one
/// agrees whose entry it stands behind.
#[derive(Debug, Default)]
pub(super) struct Entries(BTreeMap<u64, Entry>);

impl Entries {
    pub(super) async fn read(records: &Records) -> Result<Self, LogError> {
        let names = records.names().await?;
        let mut wanted = numbers(&names).collect::<Vec<_>>();
        wanted.sort_unstable_by(|a, b| b.cmp(a));
        let without_gap = wanted.windows(2).take_while(|pair| pair[0] == pair[1] + 1).count();
        wanted.truncate(without_gap + 1);
        let reads = wanted.into_iter().map(|number| {
            let records = records.clone();
            async move { (number, Entry::read(&records, number).await) }
        });
        let mut reads = stream::iter(reads).buffered(READS);
        let mut entries = BTreeMap::<u64, Entry>::new();
        while let Some((number, entry)) = reads.next().await {
            // What was deleted meanwhile was the oldest.
            let Some(entry) = entry? else { break };
            let behind = entries.first_key_value().and_then(|(_, newer)| newer.behind);
            if behind.is_some_and(|behind| behind != entry.run) {
                break;
            }
            entries.insert(number, entry);
        }
        Ok(Self(entries))
    }

    pub(super) fn newest(&self) -> Option<(u64, &Entry)> {
        self.0.last_key_value().map(|(number, entry)| (*number, entry))
    }

    /// Who is of a later JobManager of the same sequence.
    pub(super) fn above(&self, rank: Option<Rank>) -> Option<String> {
        let Rank { sequence, epoch } = rank?;
        let is_above = |entry: &&Entry| entry.sequence == Some(sequence) && entry.rank > epoch;
        self.0.values().rev().find(is_above).map(Entry::by)
    }

    /// The runs but this one.
    pub(super) fn others(&self, own: RunToken) -> BTreeSet<RunToken> {
        let runs = self.0.values().map(|entry| entry.run);
        runs.filter(|run| *run != own && *run != RunToken::default()).collect()
    }

    /// The savepoints that may hold what is prepared and not committed.
    pub(super) fn held(&self) -> &[Recorded] {
        self.newest().map_or(&[], |(_, newest)| newest.held())
    }

    /// The runs that have completed a savepoint in an attempt that nobody knows.
    pub(super) fn with_savepoints(&self) -> BTreeSet<RunToken> {
        let is_savepoint = |entry: &&Entry| {
            let completed = entry.completed.as_ref();
            completed
                .is_some_and(|done| done.kind == RecordedKind::Savepoint && done.attempt.is_none())
        };
        self.0.values().filter(is_savepoint).map(|entry| entry.run).collect()
    }

    /// How the job has ended, and by which entry, unless it has begun anew since.
    pub(super) fn concluded(&self) -> Option<(u64, Concluded)> {
        let says = |(_, entry): &(&u64, &Entry)| {
            entry.concluded.is_some() || entry.completed.is_some() || entry.anew
        };
        let (number, entry) = self.0.iter().rev().find(says)?;
        entry.concluded.map(|how| (*number, how))
    }

    /// The checkpoints of a job that has ended, if it has, since it began: none of them is needed any
    /// more. Those of before may have been kept on purpose.
    pub(super) fn outlived(&self) -> BTreeSet<CheckpointId> {
        let Some((end, _)) = self.concluded() else { return BTreeSet::new() };
        let until = || self.0.range(..end).rev();
        let Some((begin, _)) = until().find(|(_, entry)| entry.anew) else {
            return BTreeSet::new();
        };
        let completed = self.0.range(begin..&end).filter_map(|(_, entry)| entry.completed.as_ref());
        let checkpoints = completed.filter(|done| done.kind == RecordedKind::Checkpoint);
        checkpoints.map(|done| done.checkpoint).collect()
    }

    /// The number of the first entry behind the end of an earlier execution of the job.
    fn begin(&self) -> u64 {
        let concluded = self.0.iter().rev().find(|(_, entry)| entry.concluded.is_some());
        concluded.map_or(0, |(number, _)| number + 1)
    }

    /// The entry that a job would go on from.
    pub(super) fn needed(&self) -> Option<(CheckpointId, u64)> {
        let since = self.0.range(self.begin()..);
        let completed = since.filter_map(|(n, entry)| Some((entry.completed.as_ref()?, *n)));
        let needed = completed.filter(|(recorded, _)| recorded.is_needed());
        needed.map(|(recorded, number)| (recorded.checkpoint, number)).max()
    }

    /// The complete snapshots, the highest id first.
    pub(super) fn snapshots(mut self) -> Vec<Recorded> {
        let since = self.0.split_off(&self.begin());
        let mut all = since.into_values().filter_map(Entry::into_snapshot).collect::<Vec<_>>();
        all.sort_by(|a, b| (b.checkpoint, &b.location).cmp(&(a.checkpoint, &a.location)));
        all.dedup();
        all
    }
}
