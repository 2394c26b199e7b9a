//! `_metadata`, with a checksum that fits, and whatever is read by what it says.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_canonical::{
    convert::{Wanted, to_canonical, to_native},
    inspect::Inspector,
    json::to_json,
};
use tidegate_snapshot::{
    SnapshotError,
    described::Described,
    manifest::{InlineBytes, ListsManifest, Manifest, SegmentLocation, SegmentRef, SnapshotForm},
    store::LoadedSnapshot,
};

use crate::{Target, snapshots};

/// The target.
pub const TARGET: Target = Target { name: "metadata", feed, seeds, room: 512 << 20 };

fn seeds() -> Vec<Vec<u8>> {
    let as_they_are = snapshots::metadata().into_iter().map(|(_, bytes)| bytes);
    let inline = snapshots::good()
        .into_iter()
        .map(|(manifest, loaded)| with_segments_inline(manifest, &loaded).to_json());
    as_they_are.chain(inline).collect()
}

fn segments_of(manifest: &mut Manifest) -> impl Iterator<Item = &mut SegmentRef> {
    let subtasks = manifest.operators.values_mut().flat_map(|operator| &mut operator.subtasks);
    subtasks.flat_map(|subtask| {
        let keyed = subtask.keyed.iter_mut().map(|keyed| &mut keyed.segment);
        keyed.chain(subtask.lists.iter_mut().map(|lists| &mut lists.segment))
    })
}

/// The same with its state in it, so that one input is a whole snapshot.
fn with_segments_inline(mut manifest: Manifest, loaded: &LoadedSnapshot) -> Manifest {
    for segment in segments_of(&mut manifest) {
        if let Ok(bytes) = loaded.segment(segment) {
            segment.location = SegmentLocation::Inline(InlineBytes(bytes));
        }
    }
    manifest
}

/// What is read once its checksum is what was found to be right.
fn with_right_checksum(json: &[u8]) -> Option<Manifest> {
    let mut value = serde_json::from_slice::<Value>(json).ok()?;
    let fields = value.as_object_mut()?;
    fields.insert("checksum".to_owned(), "crc32c:00000000".into());
    let found = match Manifest::parse(value.to_string().as_bytes(), "_metadata") {
        Err(SnapshotError::Checksum { found, .. }) => found,
        other => return other.ok(),
    };
    value["checksum"] = format!("crc32c:{found:08x}").into();
    Manifest::parse(value.to_string().as_bytes(), "_metadata").ok()
}

fn feed(input: &[u8]) {
    let _ = Manifest::parse(input, "_metadata");
    let Some(mut manifest) = with_right_checksum(input) else { return };
    let again = Manifest::parse(&manifest.to_json(), "_metadata");
    assert_eq!(again.expect("what was written is read"), manifest);
    let _ = manifest.state_bytes();
    for state in manifest.operators.values().flat_map(|operator| &operator.states) {
        let _ = Described::of_state(state);
    }
    for segment in segments_of(&mut manifest) {
        if let SegmentLocation::Inline(bytes) = &segment.location {
            segment.crc32c = crc32c::crc32c(&bytes.0);
        }
    }
    restore(manifest);
}

/// What a restore, a savepoint in the other form and `tidegate state` do with it.
fn restore(manifest: Manifest) {
    let loaded = LoadedSnapshot::new("fuzzed", BTreeMap::new());
    let subtasks = manifest.operators.values().flat_map(|operator| &operator.subtasks);
    for lists in subtasks.filter_map(|subtask| subtask.lists.as_ref()) {
        let _ = loaded.segment(&lists.segment).map(|bytes| ListsManifest::decode(lists, &bytes));
    }
    let _ = to_native(&manifest, loaded.clone(), &Wanted::default());
    let other = to_canonical(&manifest, loaded.clone()).ok();
    if let Some((canonical, tables)) = other.filter(|_| manifest.form == SnapshotForm::Native) {
        let back = to_native(&canonical, tables, &Wanted::default());
        back.expect("what was written in the canonical form is read");
    }
    let inspector = Inspector::new(manifest, loaded);
    for state in inspector.states().unwrap_or_default() {
        let _ = inspector.for_each_row(&state, |row| {
            row.columns.iter().try_for_each(|(_, of, bytes)| to_json(of, bytes).map(drop))
        });
        let _ = inspector.check(&state);
    }
}
