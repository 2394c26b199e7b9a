use bytes::Bytes;
use proptest::prelude::*;
use tidegate_types::{KeyGroup, KeyGroupRange};

use super::*;

fn range(start: u32, end: u32) -> KeyGroupRange {
    KeyGroupRange { start, end }
}

fn written(blocks: &[(u32, u16, Vec<u8>)]) -> Bytes {
    let mut writer = KeyedSegmentWriter::new(range(0, 64));
    for (group, state, bytes) in blocks {
        writer.begin_block(KeyGroup(*group), *state);
        writer.buffer().extend_from_slice(bytes);
        writer.end_block(bytes.len() as u64);
    }
    writer.finish().into()
}

fn blocks() -> impl Strategy<Value = Vec<(u32, u16, Vec<u8>)>> {
    let block = (0..64_u32, 0..3_u16, prop::collection::vec(any::<u8>(), 1..20));
    prop::collection::vec(block, 0..20).prop_map(|mut blocks| {
        blocks.sort();
        blocks
    })
}

proptest! {
    #[test]
    fn a_keyed_segment_gives_back_the_groups_that_are_asked_for(
        blocks in blocks(), start in 0..64_u32, length in 0..64_u32,
    ) {
        let reader = KeyedSegmentReader::open(written(&blocks)).expect("opens");
        let asked = range(start, (start + length).min(64));
        let got = reader.blocks_in(asked);
        let got = got.map(|block| (block.group.get(), block.state, block.bytes.to_vec()));
        let expected = blocks.into_iter().filter(|(group, ..)| asked.contains(KeyGroup(*group)));
        prop_assert_eq!(got.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn altered_segments_never_panic(blocks in blocks(), at in any::<prop::sample::Index>(), to: u8) {
        let mut bytes = written(&blocks).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(reader) = KeyedSegmentReader::open(bytes.clone().into()) {
            let _ = reader.blocks_in(range(0, 64)).count();
        }
        bytes.truncate(at);
        prop_assert!(KeyedSegmentReader::open(bytes.into()).is_err());
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = KeyedSegmentReader::open(bytes.clone().into());
        let _ = ListSegment::decode(&bytes);
    }

    #[test]
    fn lists_come_back(items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..9)) {
        let items = items.into_iter().map(Bytes::from).collect();
        let list = ListState { name: "a".into(), redistribution: Redistribution::Union, item_type: ItemType::Unknown, items };
        let segment = ListSegment { states: vec![list] };
        prop_assert_eq!(ListSegment::decode(&segment.encode()).expect("decodes"), segment);
    }
}

#[test]
fn a_segment_of_another_version_says_so() {
    let mut keyed = written(&[(1, 0, vec![1])]).to_vec();
    keyed[7] = b'2';
    let mut lists = ListSegment::default().encode();
    lists[7] = b'2';
    let errors = [
        KeyedSegmentReader::open(keyed.into()).expect_err("version 2"),
        ListSegment::decode(&lists).expect_err("version 2"),
    ];
    for error in errors {
        assert!(matches!(error, SnapshotError::Version { found: 2, .. }), "{error}");
    }
    let error = ListSegment::decode(&written(&[])).expect_err("the other kind");
    assert!(matches!(error, SnapshotError::Corrupt { .. }), "{error}");
}

#[test]
fn blocks_that_overlap_are_refused() {
    let mut writer = KeyedSegmentWriter::new(range(0, 64));
    for group in [1, 2] {
        writer.begin_block(KeyGroup(group), 0);
        writer.buffer().extend_from_slice(b"entry");
        writer.end_block(1);
    }
    writer.index[1].offset -= 1;
    let error = KeyedSegmentReader::open(writer.finish().into()).expect_err("they overlap");
    assert!(error.to_string().contains("overlap"), "{error}");
}

#[test]
fn a_block_holds_no_more_entries_than_it_has_bytes() {
    let written = |bytes: &[u8], entries| {
        let mut writer = KeyedSegmentWriter::new(range(0, 64));
        writer.begin_block(KeyGroup(1), 0);
        writer.buffer().extend_from_slice(bytes);
        writer.end_block(entries);
        KeyedSegmentReader::open(writer.finish().into())
    };
    assert!(written(b"", 1).is_ok(), "key and value may take none, once");
    assert!(written(b"ab", 2).is_ok());
    for (bytes, entries) in [(&b"ab"[..], 3), (b"", 2), (b"ab", u64::MAX)] {
        let error = written(bytes, entries).expect_err("they have no room");
        assert!(error.to_string().contains("can't hold as many entries"), "{error}");
    }
}
