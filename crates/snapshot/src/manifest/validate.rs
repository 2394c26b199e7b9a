//! Whether a manifest contradicts itself: what is read from storage is believed only after this.

use std::collections::BTreeSet;

use tidegate_types::KeyGroupRange;

use super::{
    ListsManifest, METADATA, Manifest, OperatorManifest, SegmentLocation, SegmentRef,
    SubtaskManifest,
};

/// Says what is wrong with it.
pub(super) fn check(manifest: &Manifest) -> Result<(), String> {
    manifest.files.keys().try_for_each(|path| check_path(path))?;
    manifest.segments().try_for_each(|segment| check_segment(manifest, segment))?;
    for table in manifest.tables() {
        match &table.path {
            Some(path) if !manifest.files.contains_key(path) => {
                return Err(format!("the file `{path}` is not listed"));
            }
            None if table.rows > 0 => {
                return Err(format!("no file for the {} rows of `{}`", table.rows, table.state));
            }
            _ => {}
        }
    }
    for (uid, operator) in &manifest.operators {
        check_operator(operator).map_err(|problem| format!("operator `{uid}` has {problem}"))?;
    }
    Ok(())
}

/// A path names a file of the snapshot, and none that has a meaning of its own.
fn check_path(path: &str) -> Result<(), String> {
    let steps_out = path.split('/').any(|part| matches!(part, "" | "." | ".."));
    if steps_out || path.contains('\\') {
        return Err(format!("the path `{path}` leads out of the snapshot"));
    }
    if path == METADATA {
        return Err(format!("`{METADATA}` is listed as a state file"));
    }
    Ok(())
}

fn check_segment(manifest: &Manifest, segment: &SegmentRef) -> Result<(), String> {
    match &segment.location {
        SegmentLocation::Inline(bytes) if bytes.0.len() as u64 == segment.length => Ok(()),
        SegmentLocation::Inline(_) => Err("an inline segment is not as long as it says".to_owned()),
        SegmentLocation::File { path, offset } => {
            let file = manifest.files.get(path);
            let file = file.ok_or_else(|| format!("the file `{path}` is not listed"))?;
            match offset.checked_add(segment.length) {
                Some(end) if end <= file.length => Ok(()),
                _ => Err(format!("a segment lies beyond the end of the file `{path}`")),
            }
        }
    }
}

fn check_operator(operator: &OperatorManifest) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for subtask in &operator.subtasks {
        let index = subtask.index;
        if index.get() >= operator.parallelism.get() || !seen.insert(index) {
            return Err(format!("a subtask {index} too many"));
        }
        subtask.lists.as_ref().map_or(Ok(()), check_lists)?;
        check_tables(subtask)?;
    }
    check_key_groups(operator)
}

/// Every item takes at least the byte that says how long it is.
fn check_lists(lists: &ListsManifest) -> Result<(), String> {
    let items = lists.lists.iter().fold(0_u64, |sum, list| sum.saturating_add(list.items));
    if items > lists.segment.length {
        let length = lists.segment.length;
        return Err(format!("{items} list items in a segment of {length} bytes"));
    }
    Ok(())
}

/// Each state of a subtask has one table, and all keyed ones are of the same key groups.
fn check_tables(subtask: &SubtaskManifest) -> Result<(), String> {
    let mut names = BTreeSet::new();
    let mut groups = None;
    for table in &subtask.tables {
        let (state, index) = (&table.state, subtask.index);
        if !names.insert((table.groups.is_some(), state)) {
            return Err(format!("the state `{state}` twice in subtask {index}"));
        }
        if table.groups.is_some() == table.list.is_some() {
            return Err(format!("the state `{state}`, which is neither keyed nor a list"));
        }
        if table.groups.is_some() && *groups.get_or_insert(table.groups) != table.groups {
            return Err(format!("tables of different key groups in subtask {index}"));
        }
    }
    Ok(())
}

/// Each key group belongs to one subtask at most.
fn check_key_groups(operator: &OperatorManifest) -> Result<(), String> {
    let max = operator.max_parallelism;
    let groups = |subtask: &SubtaskManifest| {
        let tables = subtask.tables.iter().find_map(|table| table.groups);
        subtask.keyed.as_ref().map(|keyed| keyed.groups).or(tables)
    };
    let mut ranges = operator.subtasks.iter().filter_map(groups).collect::<Vec<_>>();
    ranges.sort_by_key(|range| range.start);
    let show = |range: &KeyGroupRange| format!("{} to {}", range.start, range.end);
    if let Some(range) = ranges.iter().find(|range| range.is_empty() || range.end > max.get()) {
        return Err(format!("key groups {}, and its max parallelism is {max}", show(range)));
    }
    if let Some(pair) = ranges.windows(2).find(|pair| pair[0].end > pair[1].start) {
        let (first, second) = (show(&pair[0]), show(&pair[1]));
        return Err(format!("key groups {first} and {second}, which overlap"));
    }
    Ok(())
}
