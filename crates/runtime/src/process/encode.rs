//! Encodes what tasks hand out, and lays it into one file.

use std::collections::BTreeMap;

use bytes::Bytes;
use tidegate_checkpoint::protocol::{OperatorAck, SubtaskStats};
use tidegate_core::OperatorSnapshot;
use tidegate_snapshot::{
    manifest::{
        FileEntry, InlineBytes, KeyedManifest, ListSummary, ListsManifest, SegmentLocation,
        SegmentRef, SubtaskManifest,
    },
    segment::{KeyedSegmentWriter, ListSegment},
};
use tidegate_state::StateError;
use tidegate_types::{
    KeyGroupRange, MaxParallelism, Monotonic, OperatorUid, SubtaskIndex, error::chain, key_group,
};

use super::{
    EncodeFailure, Part,
    canonical::{CanonicalTarget, Tables},
    encoders::Encoders,
};
use crate::task::{TaskSnapshot, chain::LinkSnapshot};

/// Bytes in pieces, with the checksum of the whole.
pub(crate) struct Encoded {
    chunks: Vec<Bytes>,
    crc32c: u32,
}

impl Encoded {
    fn new(chunks: Vec<Bytes>) -> Self {
        let crc32c = chunks.iter().fold(0, |crc32c, chunk| crc32c::crc32c_append(crc32c, chunk));
        Self { chunks, crc32c }
    }

    fn length(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }
}

/// An operator's part, encoded and not laid out yet.
struct EncodedOperator {
    ack: OperatorAck,
    /// When the process has got it.
    since: Monotonic,
    keyed: Option<(KeyGroupRange, Encoded)>,
    lists: Option<(Vec<ListSummary>, Encoded)>,
    /// All of it instead, in canonical form: written already.
    tables: Tables,
}

/// A task's part, encoded and not laid out yet.
pub(crate) struct EncodedPart {
    operators: Vec<EncodedOperator>,
}

impl EncodedPart {
    /// How many bytes of state it has.
    pub(crate) fn bytes(&self) -> u64 {
        let length = |encoded: &Encoded| encoded.length() as u64;
        let of = |operator: &EncodedOperator| {
            let keyed = operator.keyed.as_ref().map_or(0, |(_, encoded)| length(encoded));
            let lists = operator.lists.as_ref().map_or(0, |(_, encoded)| length(encoded));
            keyed + lists + operator.tables.bytes()
        };
        self.operators.iter().map(of).sum()
    }
}

/// Encodes a task's part off the worker's thread; in canonical form, if there is a `target` for that.
pub(super) async fn encode_part(
    part: Part,
    max_parallelism: MaxParallelism,
    target: Option<CanonicalTarget>,
    encoders: Encoders,
) -> Result<EncodedPart, EncodeFailure> {
    let Part { subtask, snapshot, since } = part;
    let TaskSnapshot { links, sync, alignment, finished, .. } = snapshot;
    let stats = SubtaskStats {
        sync_us: sync.as_micros() as u64,
        alignment_us: alignment.as_micros() as u64,
        ..SubtaskStats::default()
    };
    let mut operators = Vec::new();
    for link in links {
        // An operator without state and uid leaves no trace, but for the figures of its task.
        let has_uid = !link.uid.is_generated();
        if has_uid || !link.snapshot.is_empty() || operators.is_empty() {
            let ack = acknowledgement(&link, subtask, max_parallelism, finished, stats);
            let encoded =
                encode_operator(ack, since, link.snapshot, target.as_ref(), &encoders).await?;
            operators.push(encoded);
        }
    }
    Ok(EncodedPart { operators })
}

fn acknowledgement(
    link: &LinkSnapshot,
    subtask: SubtaskIndex,
    max_parallelism: MaxParallelism,
    finished: bool,
    stats: SubtaskStats,
) -> OperatorAck {
    let keyed = link.keyed || link.snapshot.keyed.is_some();
    OperatorAck {
        uid: link.uid.clone(),
        name: link.name.clone(),
        max_parallelism,
        key_hash: keyed.then(|| key_group::FINGERPRINT.to_owned()),
        key_type: link.snapshot.key_type.clone(),
        states: link.snapshot.states.clone(),
        subtask: SubtaskManifest {
            index: subtask,
            finished,
            keyed: None,
            lists: None,
            tables: Vec::new(),
        },
        stats,
    }
}

async fn encode_operator(
    ack: OperatorAck,
    since: Monotonic,
    snapshot: OperatorSnapshot,
    target: Option<&CanonicalTarget>,
    encoders: &Encoders,
) -> Result<EncodedOperator, EncodeFailure> {
    let uid = ack.uid.clone();
    let mut tables = Tables::default();
    let keyed = match (snapshot.keyed, target) {
        (Some((groups, keyed)), Some(target)) => {
            let written = target.write_keyed(&ack, groups, keyed, encoders).await;
            let written = written.map_err(|problem| declined(&uid, &problem))?;
            tables.add(written.map_err(|error| undone(&ack, &error))?);
            None
        }
        (Some((groups, keyed)), None) => {
            let encode = move || {
                let mut writer = KeyedSegmentWriter::new(groups);
                keyed.encode(&mut writer).map(|()| Encoded::new(writer.finish_chunks()))
            };
            let encoded = encoders.run(encode).await;
            let encoded = encoded.map_err(|problem| declined(&uid, &problem))?;
            Some((groups, encoded.map_err(|error| undone(&ack, &error))?))
        }
        (None, _) => None,
    };
    let mut states = snapshot.lists;
    if let Some(pending) = snapshot.pending {
        states.extend(pending.await.map_err(|_| EncodeFailure::Unprepared)?);
    }
    if let Some(target) = target {
        let written = target.write_lists(&ack, &states, encoders).await;
        tables.add(written.map_err(|problem| declined(&uid, &problem))?);
        return Ok(EncodedOperator { ack, since, keyed, lists: None, tables });
    }
    let summaries = states.iter().map(ListSummary::of).collect::<Vec<_>>();
    let lists = (!states.is_empty())
        .then(|| (summaries, Encoded::new(vec![ListSegment { states }.encode().into()])));
    Ok(EncodedOperator { ack, since, keyed, lists, tables })
}

/// What an error of the state itself means.
fn undone(ack: &OperatorAck, error: &StateError) -> EncodeFailure {
    if error.kind().is_retryable() {
        return declined(&ack.uid, &chain(error));
    }
    let (uid, subtask) = (ack.uid.clone(), ack.subtask.index);
    let message = format!("operator `{uid}`: {}", chain(error));
    EncodeFailure::Unfit { uid, subtask, message }
}

fn declined(uid: &OperatorUid, problem: &str) -> EncodeFailure {
    EncodeFailure::Declined(format!("the state of operator `{uid}` can't be encoded: {problem}"))
}

/// All parts of a process, laid out.
pub(crate) struct Assembled {
    /// Each with when the process has got it.
    pub(crate) operators: Vec<(Monotonic, OperatorAck)>,
    /// The file's chunks and the checksum of the whole, if there is anything to write.
    pub(crate) file: Option<(Vec<Bytes>, u32)>,
    /// Files that have been written already.
    pub(crate) tables: BTreeMap<String, FileEntry>,
}

/// The file that grows as segments are laid into it.
struct Layout<'a> {
    name: &'a str,
    inline_threshold: u64,
    chunks: Vec<Bytes>,
    offset: u64,
    crc32c: u32,
}

impl Layout<'_> {
    /// Finds a place for a segment: in the manifest itself if it is small, in the file else.
    fn place(&mut self, encoded: Encoded) -> SegmentRef {
        let size = encoded.length();
        let Encoded { chunks, crc32c } = encoded;
        let length = size as u64;
        let location = if length < self.inline_threshold {
            SegmentLocation::Inline(InlineBytes(chunks.concat().into()))
        } else {
            let (path, offset) = (self.name.to_owned(), self.offset);
            self.crc32c = crc32c::crc32c_combine(self.crc32c, crc32c, size);
            self.offset += length;
            self.chunks.extend(chunks);
            SegmentLocation::File { path, offset }
        };
        SegmentRef { location, length, crc32c }
    }
}

/// Lays all parts of a process into one file.
pub(crate) fn assemble(parts: Vec<EncodedPart>, name: &str, inline_threshold: u64) -> Assembled {
    let mut layout = Layout { name, inline_threshold, chunks: Vec::new(), offset: 0, crc32c: 0 };
    let (mut operators, mut files) = (Vec::new(), BTreeMap::new());
    for EncodedOperator { mut ack, since, keyed, lists, tables } in
        parts.into_iter().flat_map(|part| part.operators)
    {
        if let Some((groups, encoded)) = keyed {
            let segment = layout.place(encoded);
            ack.stats.bytes += segment.length;
            ack.subtask.keyed = Some(KeyedManifest { groups, segment });
        }
        if let Some((lists, encoded)) = lists {
            let segment = layout.place(encoded);
            ack.stats.bytes += segment.length;
            ack.subtask.lists = Some(ListsManifest { lists, segment });
        }
        ack.stats.bytes += tables.bytes();
        files.extend(tables.files);
        ack.subtask.tables = tables.tables;
        operators.push((since, ack));
    }
    let file = (!layout.chunks.is_empty()).then_some((layout.chunks, layout.crc32c));
    Assembled { operators, file, tables: files }
}
