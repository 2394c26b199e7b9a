//! From a restore plan to what each operator's subtask is handed.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use tidegate_checkpoint::restore::{OperatorRestore, RestorePlan};
use tidegate_core::{RestoredKeyed, RestoredState};
use tidegate_snapshot::{
    SnapshotError,
    manifest::{OperatorManifest, SegmentRef},
    segment::{ItemType, ListSegment, ListState},
    store::LoadedSnapshot,
};
use tidegate_types::{CheckpointId, OperatorUid, SubtaskIndex};

/// A snapshot in memory, and who takes over what of it. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct RestoredJob {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    checkpoint: CheckpointId,
    operators: BTreeMap<OperatorUid, OperatorRestore>,
    loaded: LoadedSnapshot,
}

impl RestoredJob {
    pub(crate) fn new(checkpoint: CheckpointId, plan: RestorePlan, loaded: LoadedSnapshot) -> Self {
        let operators = plan.operators;
        Self { inner: Some(Arc::new(Inner { checkpoint, operators, loaded })) }
    }

    /// What one subtask takes over.
    ///
    /// # Errors
    ///
    /// When a segment is not what was written.
    pub(crate) fn state_of(
        &self,
        uid: &OperatorUid,
        subtask: SubtaskIndex,
    ) -> Result<RestoredState, SnapshotError> {
        let Some(inner) = &self.inner else { return Ok(RestoredState::default()) };
        let checkpoint = Some(inner.checkpoint);
        let Some(operator) = inner.operators.get(uid) else {
            return Ok(RestoredState { checkpoint, ..RestoredState::default() });
        };
        let part = &operator.subtasks[subtask.get() as usize];
        let states: Arc<[_]> = operator.manifest.states.clone().into();
        let key_type = operator.manifest.key_type.clone().unwrap_or_default();
        let keyed = part.keyed.iter().map(|(segment, groups)| {
            let segment = inner.loaded.segment(segment)?;
            let (states, key_type) = (Arc::clone(&states), key_type.clone());
            Ok(RestoredKeyed { segment, groups: *groups, states, key_type })
        });
        let keyed = keyed.collect::<Result<_, SnapshotError>>()?;
        let mut lists = Vec::new();
        for range in &part.lists {
            let mut state = inner.list(&range.segment, &range.name)?;
            state.item_type = item_type(&operator.manifest, &range.name);
            let items = state.items.get(range.start as usize..range.end as usize);
            let items = items.ok_or_else(|| corrupt(format!("the list `{}` is short", range.name)));
            add_items(&mut lists, &state, items?.to_vec());
        }
        Ok(RestoredState { checkpoint, keyed, lists, finished: operator.finished })
    }
}

impl Inner {
    fn list(&self, segment: &SegmentRef, name: &str) -> Result<ListState, SnapshotError> {
        let lists = ListSegment::decode(&self.loaded.segment(segment)?)?;
        let list = lists.states.into_iter().find(|list| list.name == name);
        list.ok_or_else(|| corrupt(format!("the list `{name}` is not in it")))
    }
}

/// Of which type the items of a list are.
fn item_type(operator: &OperatorManifest, name: &str) -> ItemType {
    let lists = operator.subtasks.iter().filter_map(|subtask| subtask.lists.as_ref());
    let mut summaries = lists.flat_map(|lists| &lists.lists);
    let found = summaries.find(|summary| summary.name == name);
    found.map(|summary| summary.item_type.clone()).unwrap_or_default()
}

fn corrupt(problem: String) -> SnapshotError {
    SnapshotError::Corrupt { path: "segment".to_owned(), problem }
}

fn add_items(lists: &mut Vec<ListState>, from: &ListState, items: Vec<Bytes>) {
    match lists.iter_mut().find(|list| list.name == from.name) {
        Some(list) => list.items.extend(items),
        None => lists.push(ListState {
            name: from.name.clone(),
            redistribution: from.redistribution,
            item_type: from.item_type.clone(),
            items,
        }),
    }
}
