//! One process of an attempt: the shipped beginning and gathering decide, here its file is made up.

use std::collections::BTreeMap;

use bytes::Bytes;
use tidegate_checkpoint::{
    beginning::Beginning,
    gathering::{self, Gathering},
    protocol::{OperatorAck, ProcessAck, SubtaskStats},
};
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

use crate::{schedule::Link, store::Transaction, task::Part, world::Work};

/// The operators' uids, from the source to the sink.
pub(crate) const UIDS: [&str; 3] = ["source", "sum", "sink"];

/// A subtask: which operator, counted from the source, and which of its subtasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId {
    pub(crate) operator: usize,
    pub(crate) subtask: SubtaskIndex,
}

/// What a process is told.
pub(crate) type Event = gathering::Event<(TaskId, Part), (TaskId, Part)>;
/// What it does.
pub(crate) type Action = gathering::Action<(TaskId, Part), (TaskId, Part)>;

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
    run: u64,
    max_parallelism: MaxParallelism,
    inline_threshold: usize,
    /// What its sinks have begun are commits of what the snapshot holds.
    pub(crate) beginning: Beginning<Vec<Transaction>>,
    pub(crate) has_begun: bool,
    /// What has come from others that have begun already.
    pub(crate) waiting: Vec<Work>,
    pub(crate) gathering: Gathering<(TaskId, Part), (TaskId, Part)>,
    pub(crate) writing: BTreeMap<CheckpointId, Write>,
    pub(crate) reports: Link,
    pub(crate) commands: Link,
}

impl Process {
    pub(crate) fn new(
        index: ProcessIndex,
        workers: Vec<SubtaskIndex>,
        run: u64,
        max_parallelism: MaxParallelism,
        inline_threshold: usize,
    ) -> Self {
        Self {
            index,
            is_alive: true,
            run,
            max_parallelism,
            inline_threshold,
            gathering: Gathering::new(index, workers.len() * UIDS.len()),
            beginning: Beginning::new(index, workers),
            has_begun: false,
            waiting: Vec::new(),
            writing: BTreeMap::new(),
            reports: Link::default(),
            commands: Link::default(),
        }
    }

    /// Begins to write the parts of all subtasks.
    pub(crate) fn write(
        &mut self,
        checkpoint: CheckpointId,
        folder: String,
        parts: Vec<(TaskId, Part)>,
    ) {
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
        self.writing.insert(checkpoint, Write { folder, file, ack });
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
