//! One process of an attempt: puts the parts of its subtasks into one file and acknowledges.

use std::collections::BTreeMap;

use bytes::Bytes;
use tidegate_checkpoint::protocol::{OperatorAck, ProcessAck, Report, SubtaskStats};
use tidegate_snapshot::{
    manifest::{
        FileEntry, InlineBytes, KeyedManifest, ListSummary, ListsManifest, SegmentLocation,
        SegmentRef, SubtaskManifest,
    },
    segment::ListSegment,
};
use tidegate_types::{
    CheckpointId, MaxParallelism, OperatorUid, ProcessIndex, SubtaskIndex, key_group,
};

use crate::{schedule::Link, task::Part};

/// The operators' uids, from the source to the sink.
pub(crate) const UIDS: [&str; 3] = ["source", "sum", "sink"];

/// A subtask: which operator, counted from the source, and which of its subtasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId {
    pub(crate) operator: usize,
    pub(crate) subtask: SubtaskIndex,
}

/// A snapshot whose parts are coming in. The parts may come ahead of the trigger.
#[derive(Default)]
struct Collecting {
    folder: Option<String>,
    has_failed: bool,
    parts: Vec<(TaskId, Part)>,
}

/// A file that is being written, and what is said once it is.
pub(crate) struct Write {
    pub(crate) folder: String,
    /// Its name and content; a process with little state has none.
    pub(crate) file: Option<(String, Bytes)>,
    pub(crate) ack: ProcessAck,
}

/// A process.
pub(crate) struct Process {
    pub(crate) index: ProcessIndex,
    pub(crate) is_alive: bool,
    /// How many subtasks it has.
    subtasks: usize,
    run: u64,
    max_parallelism: MaxParallelism,
    inline_threshold: usize,
    collecting: BTreeMap<CheckpointId, Collecting>,
    pub(crate) writing: BTreeMap<CheckpointId, Write>,
    /// How many of its sink's subtasks have not committed yet.
    pub(crate) committing: BTreeMap<CheckpointId, usize>,
    ended: usize,
    pub(crate) reports: Link,
    pub(crate) commands: Link,
}

impl Process {
    pub(crate) fn new(
        index: ProcessIndex,
        subtasks: usize,
        run: u64,
        max_parallelism: MaxParallelism,
        inline_threshold: usize,
    ) -> Self {
        Self {
            index,
            is_alive: true,
            subtasks,
            run,
            max_parallelism,
            inline_threshold,
            collecting: BTreeMap::new(),
            writing: BTreeMap::new(),
            committing: BTreeMap::new(),
            ended: 0,
            reports: Link::default(),
            commands: Link::default(),
        }
    }

    /// How many of its subtasks are the sink's.
    pub(crate) fn sinks(&self) -> usize {
        self.subtasks / UIDS.len()
    }

    /// Returns whether there is something to write now.
    pub(crate) fn on_trigger(&mut self, checkpoint: CheckpointId, folder: String) -> bool {
        self.collecting.entry(checkpoint).or_default().folder = Some(folder);
        self.assemble(checkpoint)
    }

    /// Returns whether there is something to write now.
    pub(crate) fn on_part(&mut self, checkpoint: CheckpointId, id: TaskId, part: Part) -> bool {
        self.collecting.entry(checkpoint).or_default().parts.push((id, part));
        self.assemble(checkpoint)
    }

    /// A part can't be encoded.
    pub(crate) fn on_bad_part(&mut self, checkpoint: CheckpointId) -> Option<Report> {
        let collecting = self.collecting.entry(checkpoint).or_default();
        let is_first = !std::mem::replace(&mut collecting.has_failed, true);
        let (process, reason) = (self.index, "a part can't be encoded".to_owned());
        is_first.then_some(Report::Declined { checkpoint, process, reason })
    }

    /// Returns what is to be reported.
    pub(crate) fn on_task_ended(&mut self) -> Option<Report> {
        self.ended += 1;
        let process = self.index;
        if self.ended == self.subtasks {
            Some(Report::InputsEnded { process })
        } else {
            (self.ended == 1).then_some(Report::SubtaskEnded { process })
        }
    }

    /// One of its sink's subtasks has committed; returns whether all have.
    pub(crate) fn on_committed(&mut self, checkpoint: CheckpointId) -> bool {
        let open = self.committing.get_mut(&checkpoint).expect("a commit is under way");
        *open -= 1;
        *open == 0
    }

    fn assemble(&mut self, checkpoint: CheckpointId) -> bool {
        let collecting = &self.collecting[&checkpoint];
        let is_whole = collecting.parts.len() == self.subtasks && !collecting.has_failed;
        if !is_whole || collecting.folder.is_none() {
            return false;
        }
        let Collecting { folder, parts, .. } =
            self.collecting.remove(&checkpoint).expect("it is there");
        let name = format!("state-{}-{}", self.index, self.run);
        let mut file = FileBuilder { name: &name, threshold: self.inline_threshold, bytes: vec![] };
        let operators = parts
            .into_iter()
            .map(|(id, part)| operator_ack(id, part, self.max_parallelism, &mut file));
        let operators = operators.collect();
        let bytes = Bytes::from(file.bytes);
        let entry = FileEntry { length: bytes.len() as u64, crc32c: crc32c::crc32c(&bytes) };
        let file = (!bytes.is_empty()).then_some((name.clone(), bytes));
        let files = file.iter().map(|(name, _)| (name.clone(), entry)).collect();
        let ack = ProcessAck { checkpoint, process: self.index, operators, files };
        let folder = folder.expect("it was checked");
        self.writing.insert(checkpoint, Write { folder, file, ack });
        true
    }
}

/// The file of one process, or what would be in it.
struct FileBuilder<'a> {
    name: &'a str,
    threshold: usize,
    bytes: Vec<u8>,
}

impl FileBuilder<'_> {
    fn add(&mut self, segment: Vec<u8>) -> SegmentRef {
        let (length, crc32c) = (segment.len() as u64, crc32c::crc32c(&segment));
        let location = if segment.len() <= self.threshold {
            SegmentLocation::Inline(InlineBytes(segment.into()))
        } else {
            let offset = self.bytes.len() as u64;
            self.bytes.extend(segment);
            SegmentLocation::File { path: self.name.to_owned(), offset }
        };
        SegmentRef { location, length, crc32c }
    }
}

fn operator_ack(
    id: TaskId,
    part: Part,
    max_parallelism: MaxParallelism,
    file: &mut FileBuilder<'_>,
) -> OperatorAck {
    let keyed =
        part.keyed.map(|(groups, bytes)| KeyedManifest { groups, segment: file.add(bytes) });
    let lists = part.list.map(|list| {
        let summary = ListSummary::of(&list);
        let segment = file.add(ListSegment { states: vec![list] }.encode());
        ListsManifest { lists: vec![summary], segment }
    });
    OperatorAck {
        uid: OperatorUid::from(UIDS[id.operator]),
        name: UIDS[id.operator].to_owned(),
        max_parallelism,
        key_hash: keyed.is_some().then(|| key_group::FINGERPRINT.to_owned()),
        key_type: keyed.is_some().then(|| "u64".to_owned()),
        states: Vec::new(),
        subtask: SubtaskManifest {
            index: id.subtask,
            finished: part.finished,
            keyed,
            lists,
            tables: Vec::new(),
        },
        stats: SubtaskStats::default(),
    }
}
