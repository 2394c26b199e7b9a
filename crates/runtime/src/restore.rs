//! What a process's subtasks take over from a snapshot, from its restore plan to each operator.
//!
//! ```text
//!   prepare --plan, lists--> [RestoredJob] --once each--> operator's factory, on its worker's thread
//!                                                              | opens, one block at a time
//!                              store --requests--> [fetch] ----+
//! ```
//!
//! # Protocol
//!
//! Operator state is read when an attempt is prepared: it is small, and who wants it wants it whole.
//! Keyed state is fetched block by block while its operator takes it in ([`fetch`]). Each subtask is
//! handed its part once, and holds what there is of it in memory alone, so that nothing of a snapshot
//! outlives its restore.
//!
//! # Failure
//!
//! What can't be read, or is damaged, is an error of the operator that takes it in, and so of its
//! attempt, before that begins. [`RestoredJob::give_up`] ends all that is being fetched: who waits for
//! it gets an error.

mod fetch;
mod lists;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use tidegate_checkpoint::restore::{OperatorRestore, RestorePlan, SubtaskRestore};
use tidegate_core::{RestoredKeyed, RestoredState};
use tidegate_snapshot::{
    SnapshotError,
    manifest::{Manifest, SegmentLocation, SegmentRef, StateDescription},
    segment::{BlockSource, KeyedSegmentReader},
    store::{LoadedSnapshot, SnapshotLocation, StoredSegment},
};
use tidegate_types::{CheckpointId, OperatorUid, SubtaskIndex};

use crate::host::Threads;

use self::{
    fetch::{Fetching, LoadedBlocks, SubtaskBlocks},
    lists::Lists,
};

/// What the subtasks of a process take over. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct RestoredJob {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    checkpoint: CheckpointId,
    parts: Mutex<BTreeMap<(OperatorUid, SubtaskIndex), Part>>,
    fetching: Arc<Fetching>,
}

/// What a subtask takes over.
enum Part {
    Waiting(Box<RestoredState>),
    HandedOut,
}

/// A snapshot of which something is taken over.
pub(crate) enum Snapshot {
    /// In the native form, in its store.
    Stored(SnapshotLocation, Manifest),
    /// In memory, from another form.
    Loaded(LoadedSnapshot, Manifest),
}

impl Snapshot {
    pub(crate) fn manifest(&self) -> &Manifest {
        match self {
            Self::Stored(_, manifest) | Self::Loaded(_, manifest) => manifest,
        }
    }
}

impl RestoredJob {
    /// Gets ready what some of the subtasks take over; reads operator state.
    ///
    /// # Errors
    ///
    /// When that can't be read or is damaged.
    pub(crate) async fn new(
        snapshot: Snapshot,
        plan: &RestorePlan,
        subtasks: Range<u32>,
        threads: &Arc<dyn Threads>,
    ) -> Result<Self, SnapshotError> {
        let mut segments = Vec::new();
        for operator in plan.operators.values() {
            let own = subtasks.clone().filter_map(|index| operator.subtasks.get(index as usize));
            segments.extend(own.flat_map(|part| &part.lists).map(|range| &range.segment));
        }
        let lists = Lists::read(&snapshot, segments).await?;
        let fetching =
            Arc::new(Fetching::new(tokio::runtime::Handle::current(), Arc::clone(threads)));
        let mut keyed =
            Keyed { snapshot: &snapshot, fetching: &fetching, segments: BTreeMap::new() };
        let mut parts = BTreeMap::new();
        for (uid, operator) in &plan.operators {
            let states = Arc::<[_]>::from(operator.manifest.states.clone());
            for index in subtasks.clone() {
                let Some(part) = operator.subtasks.get(index as usize) else { continue };
                let state = RestoredState {
                    checkpoint: Some(snapshot.manifest().checkpoint),
                    keyed: keyed.of(operator, part, &states)?,
                    lists: lists.of(&operator.manifest, &part.lists)?,
                    finished: operator.finished,
                };
                let subtask = (uid.clone(), SubtaskIndex(index));
                parts.insert(subtask, Part::Waiting(Box::new(state)));
            }
        }
        let checkpoint = snapshot.manifest().checkpoint;
        let inner = Inner { checkpoint, parts: Mutex::new(parts), fetching };
        Ok(Self { inner: Some(Arc::new(inner)) })
    }

    /// What one subtask takes over. It is handed out once.
    ///
    /// # Errors
    ///
    /// When it has been handed out already.
    pub(crate) fn state_of(
        &self,
        uid: &OperatorUid,
        subtask: SubtaskIndex,
    ) -> Result<RestoredState, SnapshotError> {
        let Some(inner) = &self.inner else { return Ok(RestoredState::default()) };
        let mut parts = inner.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.get_mut(&(uid.clone(), subtask));
        match part.map(|part| std::mem::replace(part, Part::HandedOut)) {
            Some(Part::Waiting(state)) => Ok(*state),
            Some(Part::HandedOut) => Err(SnapshotError::GivenUp),
            // It is new to the snapshot.
            None => {
                let checkpoint = Some(inner.checkpoint);
                Ok(RestoredState { checkpoint, ..RestoredState::default() })
            }
        }
    }

    /// Ends all that is being fetched, and that would be: the attempt is over.
    pub(crate) fn give_up(&self) {
        if let Some(inner) = &self.inner {
            inner.fetching.give_up();
        }
    }
}

/// Finds the keyed state of subtasks; a segment that several take from is read for all of them.
struct Keyed<'a> {
    snapshot: &'a Snapshot,
    fetching: &'a Arc<Fetching>,
    segments: BTreeMap<Place, Arc<StoredSegment>>,
}

/// Which segment it is: in which file, or in `_metadata` itself, and where.
type Place = (Option<String>, u64);

fn place_of(segment: &SegmentRef) -> Place {
    match &segment.location {
        SegmentLocation::File { path, offset } => (Some(path.clone()), *offset),
        SegmentLocation::Inline(bytes) => (None, bytes.0.as_ptr() as u64),
    }
}

impl Keyed<'_> {
    fn of(
        &mut self,
        operator: &OperatorRestore,
        part: &SubtaskRestore,
        states: &Arc<[StateDescription]>,
    ) -> Result<Vec<RestoredKeyed>, SnapshotError> {
        let key_type = operator.manifest.key_type.clone().unwrap_or_default();
        let restored = |blocks: Arc<dyn BlockSource>| RestoredKeyed {
            blocks,
            states: Arc::clone(states),
            key_type: key_type.clone(),
        };
        match self.snapshot {
            Snapshot::Stored(location, manifest) => {
                let taken = part.keyed.iter().map(|(segment, groups)| {
                    let new =
                        || StoredSegment::new(location, manifest, segment, Arc::clone(states));
                    Ok((shared(&mut self.segments, segment, new)?, *groups))
                });
                let taken = taken.collect::<Result<Vec<_>, SnapshotError>>()?;
                if taken.is_empty() {
                    return Ok(Vec::new());
                }
                let blocks = SubtaskBlocks::new(taken, Arc::clone(self.fetching));
                Ok(vec![restored(Arc::new(blocks))])
            }
            Snapshot::Loaded(loaded, _) => {
                let source = |(segment, groups): &(SegmentRef, _)| {
                    let reader = KeyedSegmentReader::open(loaded.segment(segment)?)?;
                    let source = reader.into_source(*groups);
                    Ok(restored(Arc::new(LoadedBlocks::new(source, Arc::clone(self.fetching)))))
                };
                part.keyed.iter().map(source).collect()
            }
        }
    }
}

/// The segment that lies there, once for all who take from it.
fn shared(
    segments: &mut BTreeMap<Place, Arc<StoredSegment>>,
    segment: &SegmentRef,
    new: impl FnOnce() -> Result<StoredSegment, SnapshotError>,
) -> Result<Arc<StoredSegment>, SnapshotError> {
    match segments.entry(place_of(segment)) {
        Entry::Occupied(found) => Ok(Arc::clone(found.get())),
        Entry::Vacant(place) => Ok(Arc::clone(place.insert(Arc::new(new()?)))),
    }
}

#[cfg(test)]
mod tests;
