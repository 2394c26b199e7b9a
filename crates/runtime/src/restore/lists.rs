//! The operator state that subtasks take over: read once, and handed out in parts.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use tidegate_checkpoint::restore::ListRange;
use tidegate_core::RestoredList;
use tidegate_snapshot::{
    SnapshotError,
    manifest::{OperatorManifest, SegmentRef},
    segment::{ItemType, ListSegment, ListState},
};

use super::{Place, Snapshot, place_of};

/// How many segments are read at once.
const AT_ONCE: usize = 16;

/// Segments of lists, decoded.
pub(super) struct Lists(BTreeMap<Place, ListSegment>);

impl Lists {
    /// Reads these segments, each once.
    ///
    /// # Errors
    ///
    /// When one can't be read, or is not what was written.
    pub(super) async fn read(
        snapshot: &Snapshot,
        segments: impl IntoIterator<Item = &SegmentRef>,
    ) -> Result<Self, SnapshotError> {
        let segments = segments.into_iter().map(|segment| (place_of(segment), segment.clone()));
        let segments = segments.collect::<BTreeMap<_, _>>();
        let reads = segments.into_iter().map(|(place, segment)| {
            async move { Ok((place, ListSegment::decode(&read(snapshot, &segment).await?)?)) }
                .boxed()
        });
        // Collected first: a stream of a closure that borrows can't be sent between threads.
        let reads = reads.collect::<Vec<BoxFuture<'_, Result<_, SnapshotError>>>>();
        stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await.map(Self)
    }

    /// What a subtask takes over, one entry for each state.
    ///
    /// # Errors
    ///
    /// When a segment does not hold what the manifest says.
    pub(super) fn of(
        &self,
        operator: &OperatorManifest,
        ranges: &[ListRange],
    ) -> Result<Vec<RestoredList>, SnapshotError> {
        let mut lists = Vec::new();
        for range in ranges {
            let state = self.find(&range.segment, &range.name)?;
            let items = state.items.get(range.start as usize..range.end as usize);
            let items = items.ok_or_else(|| corrupt(format!("the list `{}` is short", range.name)));
            add_items(&mut lists, state, item_type(operator, &range.name), items?);
        }
        Ok(lists)
    }

    fn find(&self, segment: &SegmentRef, name: &str) -> Result<&ListState, SnapshotError> {
        let lists = self.0.get(&place_of(segment)).into_iter().flat_map(|found| &found.states);
        let list = lists.into_iter().find(|list| list.name == name);
        list.ok_or_else(|| corrupt(format!("the list `{name}` is not in it")))
    }
}

async fn read(snapshot: &Snapshot, segment: &SegmentRef) -> Result<Bytes, SnapshotError> {
    match snapshot {
        Snapshot::Stored(location, manifest) => location.read_segment(manifest, segment).await,
        Snapshot::Loaded(loaded, _) => loaded.segment(segment),
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

fn add_items(lists: &mut Vec<ListState>, from: &ListState, item_type: ItemType, items: &[Bytes]) {
    match lists.iter_mut().find(|list| list.name == from.name) {
        Some(list) => list.items.extend_from_slice(items),
        None => lists.push(ListState {
            name: from.name.clone(),
            redistribution: from.redistribution,
            item_type,
            items: items.to_vec(),
        }),
    }
}
