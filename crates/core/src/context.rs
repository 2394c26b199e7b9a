//! What a subtask is told when it starts: who it is, what it restores, how it waits.

use std::{sync::Arc, task::Waker};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tidegate_snapshot::{
    manifest::StateDescription,
    segment::{BlockSource, ItemType, ListState, Redistribution},
};
use tidegate_state::{decode_as_declared, type_description};
use tidegate_types::{
    AttemptId, CheckpointId, Clock, ErrorKind, JobId, KeyGroupRange, MaxParallelism, OperatorUid,
    Parallelism, SubtaskIndex, Superseded, UserResult,
};

use crate::{duty::Duties, user_code::Telling};

/// Keyed state of the snapshot that this subtask takes.
#[derive(Clone)]
pub struct RestoredKeyed {
    /// Where its blocks come from, checked. Each fetches them anew who opens it.
    pub blocks: Arc<dyn BlockSource>,
    /// The states in it.
    pub states: Arc<[StateDescription]>,
    /// The description of the key's type.
    pub key_type: String,
}

/// The items of one operator state that this subtask takes over.
pub type RestoredList = ListState;

/// What this subtask takes over from the snapshot.
#[derive(Clone, Default)]
pub struct RestoredState {
    /// The snapshot's id, `None` when the job starts from nothing.
    pub checkpoint: Option<CheckpointId>,
    /// Keyed state, possibly from several earlier subtasks.
    pub keyed: Vec<RestoredKeyed>,
    /// Operator state, one entry per state name.
    pub lists: Vec<RestoredList>,
    /// Whether the operator had consumed all of its input when the snapshot was taken.
    pub finished: bool,
}

impl RestoredState {
    /// The items of the state called `name`, in order; none if the snapshot has no such state.
    #[must_use]
    pub fn items(&self, name: &str) -> &[Bytes] {
        self.lists.iter().find(|list| list.name == name).map_or(&[], |list| &list.items)
    }

    /// The values of the state called `name`, in order; of an earlier type if `T` can be read from
    /// that.
    ///
    /// # Errors
    ///
    /// When the snapshot's items are of a type that `T` can't be read from.
    pub fn values<T: DeserializeOwned>(&self, name: &str) -> UserResult<Vec<T>> {
        let Some(list) = self.lists.iter().find(|list| list.name == name) else {
            return Ok(Vec::new());
        };
        let declared = type_description::<T>();
        let stored = match &list.item_type {
            ItemType::Is(stored) => stored,
            ItemType::Unknown | ItemType::Own => &declared,
        };
        let value = |item: &Bytes| {
            decode_as_declared::<T>(stored, &declared, item).map_err(|source| {
                let said = source.map_or_else(String::new, |source| format!(": {source}"));
                let problem = format!(
                    "the state `{name}` is `{stored}` in the snapshot, and `{declared}` in the \
                     program{said}"
                );
                ErrorKind::Incompatible.mark(problem)
            })
        };
        list.items.iter().map(value).collect()
    }
}

/// What a subtask is told when it starts.
#[derive(Clone)]
pub struct OperatorContext {
    /// The operator's uid, a generated one for operators that have no state.
    pub uid: OperatorUid,
    /// Which of the operator's subtasks this is.
    pub subtask: SubtaskIndex,
    /// How many subtasks there are.
    pub parallelism: Parallelism,
    /// How many key groups there are.
    pub max_parallelism: MaxParallelism,
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: AttemptId,
    /// A number that no other attempt of any process has, to tell its leftovers apart.
    pub attempt_token: u64,
    /// Whose leftovers it may delete.
    pub superseded: Superseded,
    /// Whether a restore goes on when output that the snapshot has prepared is lost.
    pub allow_lost_output: bool,
    /// Whether output that the snapshot has prepared is left to the job that it is of, which lives.
    pub leaves_output: bool,
    /// Whether the first keys of each state are to be looked at.
    pub check_keys: bool,
    /// What it takes over from the snapshot.
    pub restored: RestoredState,
    /// Where waiting happens.
    pub tokio: tokio::runtime::Handle,
    /// Takes over what it has to bring to its end there, whatever becomes of a snapshot.
    pub duties: Duties,
    /// Gets this subtask's worker to call it again.
    pub waker: Waker,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Whether records are copied that user code takes by value, to tell of them.
    pub telling: Telling,
}

impl OperatorContext {
    /// The key groups that this subtask owns.
    #[must_use]
    pub fn key_groups(&self) -> KeyGroupRange {
        KeyGroupRange::owned_by(self.subtask, self.parallelism, self.max_parallelism)
    }
}

/// An operator state with one encoded item of the type with this description, for an operator that keeps a single value.
#[must_use]
pub fn single_item(
    name: &str,
    redistribution: Redistribution,
    item_type: &str,
    item: Vec<u8>,
) -> ListState {
    let item_type = ItemType::Is(item_type.to_owned());
    ListState { name: name.to_owned(), redistribution, item_type, items: vec![item.into()] }
}
