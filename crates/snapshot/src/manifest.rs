//! `_metadata`: versioned JSON that a person can read.
//!
//! It names every operator by uid and every file by its path relative to the snapshot, with
//! lengths and checksums. State below the inline threshold stands in it, in base64.
//!
//! Its last field, `"checksum": "crc32c:xxxxxxxx"`, covers all others in their canonical form: JSON
//! without white space, the fields of every object sorted by name.

mod checksum;
mod validate;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use tidegate_types::{
    AttemptId, CheckpointId, JobId, KeyGroupRange, MaxParallelism, OperatorUid, Parallelism,
    SubtaskIndex, Timestamp,
};

use crate::{
    SnapshotError,
    segment::{ItemType, ListSegment, ListState, Redistribution},
};

/// The name of the file.
pub const METADATA: &str = "_metadata";
/// What the first field says.
pub const FORMAT: &str = "tidegate-snapshot";
/// The version that is written, and the only one that is read.
pub const FORMAT_VERSION: u32 = 1;

/// Whom a snapshot belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotKind {
    /// The job.
    Checkpoint,
    /// Its user.
    Savepoint,
    /// Its user, and the job ended with it: what it holds is committed.
    #[serde(rename = "final-savepoint")]
    FinalSavepoint,
}

/// The form of the state files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotForm {
    /// Fast to write and to read.
    Native,
    /// Readable by any tool.
    Canonical,
}

/// The job that a snapshot was taken of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobInfo {
    /// Its id.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Where its checkpoints and its log lay when the snapshot was taken, by which can be told whether
    /// it lives. A copy of the snapshot says the same. Earlier versions do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// A file of the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// In bytes.
    pub length: u64,
    /// CRC-32C of the whole file.
    pub crc32c: u32,
}

/// One state of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDescription {
    /// What blocks of keyed segments call it.
    pub id: u16,
    /// What the program calls it.
    pub name: String,
    /// `value`, `list`, `map`, `reducing`, `aggregating`, `timers`.
    pub kind: String,
    /// A description of its values' type.
    pub value_type: String,
    /// The time after which its values expire, in milliseconds, if they do.
    pub ttl_ms: Option<u64>,
}

/// Where a segment lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentLocation {
    /// Here.
    Inline(InlineBytes),
    /// In a file of the snapshot.
    File {
        /// Relative to the snapshot.
        path: String,
        /// In bytes from the file's beginning.
        offset: u64,
    },
}

/// Bytes that are written in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineBytes(pub Bytes);

impl Serialize for InlineBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for InlineBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(STANDARD.decode(text).map_err(serde::de::Error::custom)?.into()))
    }
}

/// A segment: where it lies, and what to check it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// Where it lies.
    pub location: SegmentLocation,
    /// In bytes.
    pub length: u64,
    /// CRC-32C of the segment.
    pub crc32c: u32,
}

/// A subtask's keyed state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedManifest {
    /// Its key groups.
    pub groups: KeyGroupRange,
    /// The segment.
    pub segment: SegmentRef,
}

/// What a list of operator state holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSummary {
    /// The state's name.
    pub name: String,
    /// How it is spread when it is restored.
    pub redistribution: Redistribution,
    /// How many items it has.
    pub items: u64,
    /// Of which type they are.
    #[serde(default, skip_serializing_if = "ItemType::is_unknown")]
    pub item_type: ItemType,
}

impl ListSummary {
    /// What is to be said of a list.
    #[must_use]
    pub fn of(list: &ListState) -> Self {
        Self {
            name: list.name.clone(),
            redistribution: list.redistribution,
            items: list.items.len() as u64,
            item_type: list.item_type.clone(),
        }
    }
}

/// A subtask's operator state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListsManifest {
    /// The lists in the segment.
    pub lists: Vec<ListSummary>,
    /// The segment.
    pub segment: SegmentRef,
}

impl ListsManifest {
    /// Reads the segment, and says of its lists which types they have.
    ///
    /// # Errors
    ///
    /// As [`ListSegment::decode`].
    pub fn decode(&self, segment: &[u8]) -> Result<Vec<ListState>, SnapshotError> {
        let mut lists = ListSegment::decode(segment)?.states;
        for list in &mut lists {
            let known = self.lists.iter().find(|summary| summary.name == list.name);
            list.item_type = known.map(|summary| summary.item_type.clone()).unwrap_or_default();
        }
        Ok(lists)
    }
}

/// What a table of operator state holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListTable {
    /// How it is spread when it is restored.
    pub redistribution: Redistribution,
    /// A description of its items' type, if that is known: else they are kept as they are.
    pub value_type: Option<String>,
    /// Whether in the native form each item begins with that description.
    pub described: bool,
}

/// A file of the canonical form: one state of one subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableManifest {
    /// The state's name.
    pub state: String,
    /// Relative to the snapshot; there is no file if there is no entry.
    pub path: Option<String>,
    /// How many entries it has: keys, or items of a list.
    pub rows: u64,
    /// The key groups that it may have, if its state is keyed.
    pub groups: Option<KeyGroupRange>,
    /// What it is, if it is operator state.
    pub list: Option<ListTable>,
    /// Its columns: name and type of each.
    pub columns: String,
}

/// What a subtask put into the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskManifest {
    /// Which one.
    pub index: SubtaskIndex,
    /// Whether it had consumed all of its input.
    pub finished: bool,
    /// Its keyed state.
    pub keyed: Option<KeyedManifest>,
    /// Its operator state.
    pub lists: Option<ListsManifest>,
    /// All of its state, in the canonical form, which has neither of the two above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableManifest>,
}

/// What an operator put into the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorManifest {
    /// What a person calls it.
    pub name: String,
    /// How many subtasks it had.
    pub parallelism: Parallelism,
    /// How many key groups it has.
    pub max_parallelism: MaxParallelism,
    /// How its keys are hashed, if its state is keyed.
    pub key_hash: Option<String>,
    /// A description of its keys' type, if its state is keyed.
    pub key_type: Option<String>,
    /// Its keyed states.
    pub states: Vec<StateDescription>,
    /// By subtask.
    pub subtasks: Vec<SubtaskManifest>,
}

/// The whole of `_metadata`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`FORMAT_VERSION`].
    pub version: u32,
    /// Whom it belongs to.
    pub kind: SnapshotKind,
    /// The form of the state files.
    pub form: SnapshotForm,
    /// The job.
    pub job: JobInfo,
    /// The snapshot's number within the job.
    pub checkpoint: CheckpointId,
    /// The attempt that took it.
    pub attempt: AttemptId,
    /// In milliseconds since 1970.
    pub triggered_at: Timestamp,
    /// In milliseconds since 1970.
    pub completed_at: Timestamp,
    /// By uid.
    pub operators: BTreeMap<OperatorUid, OperatorManifest>,
    /// By path relative to the snapshot.
    pub files: BTreeMap<String, FileEntry>,
}

/// The file as it is written.
#[derive(Serialize)]
struct Sealed<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    checksum: String,
}

impl Manifest {
    /// The file's content.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).expect("a manifest is plain data");
        let sealed = Sealed { manifest: self, checksum: checksum::to_text(checksum::of(&value)) };
        let mut json = serde_json::to_vec_pretty(&sealed).expect("a manifest is plain data");
        json.push(b'\n');
        json
    }

    /// Reads the file's content; `path` is for messages.
    ///
    /// # Errors
    ///
    /// When it is damaged, of another version, altered, or contradicts itself.
    pub fn parse(json: &[u8], path: &str) -> Result<Self, SnapshotError> {
        let corrupt = |problem: String| SnapshotError::Corrupt { path: path.to_owned(), problem };
        let mut value =
            serde_json::from_slice::<Value>(json).map_err(|error| corrupt(error.to_string()))?;
        check_version(&value, path)?;
        let stated = value.as_object_mut().and_then(|fields| fields.remove(checksum::FIELD));
        let expected = checksum::from_value(stated.as_ref()).map_err(corrupt)?;
        let found = checksum::of(&value);
        if found != expected {
            return Err(SnapshotError::Checksum { path: path.to_owned(), expected, found });
        }
        let manifest =
            serde_json::from_value::<Self>(value).map_err(|error| corrupt(error.to_string()))?;
        validate::check(&manifest).map_err(corrupt)?;
        Ok(manifest)
    }

    /// Every segment in it.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentRef> {
        let subtasks = self.operators.values().flat_map(|operator| &operator.subtasks);
        subtasks.flat_map(|subtask| {
            let keyed = subtask.keyed.iter().map(|keyed| &keyed.segment);
            keyed.chain(subtask.lists.iter().map(|lists| &lists.segment))
        })
    }

    /// Every table in it.
    pub fn tables(&self) -> impl Iterator<Item = &TableManifest> {
        let subtasks = self.operators.values().flat_map(|operator| &operator.subtasks);
        subtasks.flat_map(|subtask| &subtask.tables)
    }

    /// How many bytes of state it holds.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        let segments = self.segments().map(|segment| segment.length);
        let tables = self.tables().filter_map(|table| self.files.get(table.path.as_ref()?));
        let lengths = segments.chain(tables.map(|file| file.length));
        lengths.fold(0, |bytes, length| bytes.saturating_add(length))
    }
}

/// Tells what can be told of any version, before anything is believed.
fn check_version(value: &Value, path: &str) -> Result<(), SnapshotError> {
    let path = || path.to_owned();
    let corrupt = |problem| Err(SnapshotError::Corrupt { path: path(), problem });
    match value["format"].as_str() {
        Some(FORMAT) => {}
        Some(format) => return corrupt(format!("its format is `{format}`, not `{FORMAT}`")),
        None => return corrupt(format!("it has no field `format`, which should be `{FORMAT}`")),
    }
    match value["version"].as_u64() {
        Some(version) if version == u64::from(FORMAT_VERSION) => Ok(()),
        Some(found) => {
            Err(SnapshotError::Version { path: path(), found, known: FORMAT_VERSION.into() })
        }
        None => corrupt("it has no field `version`".to_owned()),
    }
}

#[cfg(test)]
mod tests;
