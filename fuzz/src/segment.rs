//! Segments of state, keyed and lists, and a program that is restored from them.
//!
//! The first byte chooses between the two, between versions and between programs; the footer of a keyed
//! segment is made to fit its length.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_snapshot::{
    manifest::StateDescription,
    segment::{KeyedSegmentReader, KeyedSegmentWriter, ListSegment},
};
use tidegate_state::{
    KeyedBackend, ListState, MapState, RestoreSource, StateTtl, TimeDomain, ValueState,
};
use tidegate_types::{KeyGroupRange, MaxParallelism, time::ManualClock};

use crate::{Target, snapshots};

/// The target.
pub const TARGET: Target = Target { name: "segment", feed, seeds, room: 16 << 20 };

const LISTS: u8 = 1;
const OLDER: u8 = 2;
const VERSION_1: u8 = 4;
const KEYED_NAME: &[u8] = b"TGkeyed";
/// Key groups, the index's offset and length: what the index's checksum covers too.
const PLACE: usize = 8 + 16;
const MAGIC: usize = 8;
const GROUPS: u32 = 16;
const ALL: KeyGroupRange = KeyGroupRange { start: 0, end: GROUPS };

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![with_kind(0, &filled()), with_kind(OLDER, &filled())];
    for (manifest, loaded) in snapshots::good() {
        for segment in manifest.segments() {
            let Ok(bytes) = loaded.segment(segment) else { continue };
            let kind = match bytes.strip_prefix(KEYED_NAME) {
                Some([b'1', ..]) => VERSION_1,
                Some(_) => 0,
                None => LISTS,
            };
            seeds.push(with_kind(kind, &bytes));
        }
    }
    seeds
}

fn with_kind(kind: u8, segment: &[u8]) -> Vec<u8> {
    [&[kind], segment].concat()
}

fn feed(input: &[u8]) {
    let Some((kind, segment)) = input.split_first() else { return };
    if kind & LISTS == 0 {
        keyed(sealed(segment.to_vec(), kind & VERSION_1 != 0), kind & OLDER != 0);
    } else {
        lists(segment);
    }
}

fn lists(bytes: &[u8]) {
    let Ok(lists) = ListSegment::decode(bytes) else { return };
    let again = ListSegment::decode(&lists.encode());
    assert_eq!(again.expect("what was written is read"), lists);
}

/// With an index that lies where it should and has the checksum that it should, and the magic at both
/// ends.
fn sealed(mut segment: Vec<u8>, version_1: bool) -> Bytes {
    let (version, checksum) = if version_1 { (b'1', 0) } else { (b'2', 4) };
    let footer = PLACE + checksum + MAGIC;
    let Some(index_end) = segment.len().checked_sub(footer) else { return segment.into() };
    let magic = [KEYED_NAME, &[version]].concat();
    segment[..MAGIC].copy_from_slice(&magic);
    let footer = &mut segment[index_end..];
    let stated = u64::from_le_bytes(footer[16..24].try_into().expect("8 bytes"));
    let length = stated % (index_end as u64 + 1);
    let start = index_end - length as usize;
    footer[8..16].copy_from_slice(&(start as u64).to_le_bytes());
    footer[16..24].copy_from_slice(&length.to_le_bytes());
    footer[PLACE + checksum..].copy_from_slice(&magic);
    let crc32c = crc32c::crc32c(&segment[start..index_end + PLACE]);
    segment[index_end + PLACE..][..checksum].copy_from_slice(&crc32c.to_le_bytes()[..checksum]);
    segment.into()
}

fn keyed(segment: Bytes, older: bool) {
    let Ok(reader) = KeyedSegmentReader::open(segment) else { return };
    let rewritten = KeyedSegmentReader::open(rewritten(&reader)).expect("what was written is read");
    let blocks = |reader| blocks(reader).filter(|block| block.2 > 0).collect::<Vec<_>>();
    assert_eq!(blocks(&rewritten), blocks(&reader));

    let mut program = Program::new();
    let mut states = program.backend.snapshot().0;
    if older {
        states.iter_mut().filter(|state| state.name == "count").for_each(as_it_was);
    }
    if program.restore(reader, &states).is_err() {
        return;
    }
    let (states, written) = program.snapshot();
    let reader = KeyedSegmentReader::open(written).expect("what was written is read");
    let mut second = Program::new();
    second.restore(reader.clone(), &states).expect("what was written is restored");
    let (_, written) = second.snapshot();
    let again = KeyedSegmentReader::open(written).expect("what was written is read");
    let sizes = |reader| self::blocks(reader).map(|(_, _, n, bytes)| (n, bytes.len()));
    assert!(sizes(&again).eq(sizes(&reader)), "two restores differ");
}

type Block<'a> = (u32, u16, u64, &'a [u8]);

fn blocks(reader: &KeyedSegmentReader) -> impl Iterator<Item = Block<'_>> {
    let blocks = reader.blocks_in(KeyGroupRange { start: 0, end: u32::MAX });
    blocks.map(|block| (block.group.get(), block.state, block.entries, block.bytes))
}

fn rewritten(reader: &KeyedSegmentReader) -> Bytes {
    let mut writer = KeyedSegmentWriter::new(reader.groups());
    for block in reader.blocks_in(reader.groups()) {
        writer.begin_block(block.group, block.state);
        writer.buffer().extend_from_slice(block.bytes);
        writer.end_block(block.entries);
    }
    writer.finish().into()
}

/// What an earlier version of the program kept there.
fn as_it_was(state: &mut StateDescription) {
    "u32".clone_into(&mut state.value_type);
}

/// A program with state of several kinds.
struct Program {
    backend: KeyedBackend<String>,
    count: ValueState<u64>,
    seen: ListState<(u16, String)>,
    by_kind: MapState<u8, Option<f64>>,
}

impl Program {
    fn new() -> Self {
        let max = MaxParallelism::new(GROUPS).expect("it is in bounds");
        let mut backend = KeyedBackend::new(ALL, max, Arc::new(ManualClock::default()));
        let ttl = Some(StateTtl::new(std::time::Duration::from_secs(60)));
        Self {
            count: backend.value_state("count", None).expect("it is new"),
            seen: backend.list_state("seen", ttl).expect("it is new"),
            by_kind: backend.map_state("by kind", None).expect("it is new"),
            backend,
        }
    }

    fn restore(
        &mut self,
        segment: KeyedSegmentReader,
        states: &[StateDescription],
    ) -> Result<(), tidegate_state::StateError> {
        let groups = segment.groups().intersection(&ALL);
        let key_type = self.backend.key_type().to_owned();
        let source = RestoreSource::of_segment(segment, groups, states, &key_type);
        self.backend.restore(&[source]).map(drop)
    }

    fn snapshot(&mut self) -> (Vec<StateDescription>, Bytes) {
        let (states, snapshot) = self.backend.snapshot();
        let mut writer = KeyedSegmentWriter::new(ALL);
        snapshot.encode(&mut writer).expect("what was restored can be written");
        (states, writer.finish().into())
    }
}

/// A segment with entries of every state.
fn filled() -> Vec<u8> {
    let mut program = Program::new();
    for number in 0..40_u64 {
        program.backend.set_current_key(format!("key {number}"));
        program.count.set(number);
        program.seen.add((number as u16, "x".repeat(number as usize % 5)));
        program.by_kind.put(number as u8 % 3, (number % 2 == 0).then_some(number as f64));
        program.backend.register_timer(TimeDomain::EventTime, number as i64);
    }
    program.snapshot().1.to_vec()
}
