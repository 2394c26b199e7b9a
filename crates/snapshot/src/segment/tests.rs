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
    *keyed.last_mut().expect("it has a magic") = b'3';
    let mut lists = ListSegment::default().encode();
    lists[7] = b'3';
    let errors = [
        (KeyedSegmentReader::open(keyed.into()).expect_err("version 3"), 2),
        (ListSegment::decode(&lists).expect_err("version 3"), 1),
    ];
    for (error, reads) in errors {
        let says =
            matches!(error, SnapshotError::Version { found: 3, known, .. } if known == reads);
        assert!(says, "{error}");
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

/// What `blocks` say, with their bytes.
fn read_back(blocks: impl Iterator<Item = OwnedBlock>) -> Vec<(u32, u16, u64, Bytes)> {
    blocks.map(|block| (block.group.get(), block.state, block.entries, block.bytes)).collect()
}

#[test]
fn a_long_state_is_cut_between_entries_and_each_block_has_its_checksum() {
    let piece = Bytes::from(vec![7; 300 << 10]);
    let mut writer = KeyedSegmentWriter::new(range(0, 64));
    for group in [1, 2] {
        BlockSink::begin_block(&mut writer, KeyGroup(group), 3);
        for _ in 0..9 {
            writer.put(piece.clone(), 10, &[]).expect("it takes anything");
            writer.put(Bytes::from_static(b"short"), 1, &[]).expect("it takes anything");
        }
        BlockSink::end_block(&mut writer);
    }
    let segment = Bytes::from(writer.finish());
    let reader = KeyedSegmentReader::open(segment.clone()).expect("opens");
    let places = reader.index().blocks_in(range(0, 64));
    let of = |group| places.iter().filter(move |place| place.group == KeyGroup(group));
    for group in [1, 2] {
        assert!(of(group).count() > 1 && of(group).all(|place| place.length < 2 << 20));
        assert_eq!(of(group).map(|place| place.entries).sum::<u64>(), 9 * 11);
        let bytes = of(group).map(|place| reader.block(place).bytes).collect::<Vec<_>>().concat();
        assert_eq!(bytes, [&piece[..], b"short"].concat().repeat(9));
    }
    for place in places {
        assert_eq!(place.crc32c, Some(crc32c::crc32c(&reader.block(place).bytes)));
    }
}

#[test]
fn an_index_that_was_altered_is_refused() {
    let good = written(&[(1, 0, vec![1, 2, 3]), (5, 1, vec![4])]);
    let index = SegmentIndex::locate(&good, good.len() as u64).expect("it has one");
    for at in index.start as usize..good.len() {
        let mut altered = good.to_vec();
        altered[at] ^= 0x20;
        KeyedSegmentReader::open(altered.into()).expect_err("a bit of it is another one");
    }
}

#[test]
fn an_index_is_read_from_the_end_alone() {
    let good = written(&[(1, 0, vec![1, 2, 3]), (5, 1, vec![4])]);
    let length = good.len() as u64;
    let tail = &good[good.len() - FOOTER..];
    let place = SegmentIndex::locate(tail, length).expect("the footer is enough");
    let index = SegmentIndex::read(&good[place.start as usize..], length).expect("it is whole");
    let whole = KeyedSegmentReader::open(good.clone()).expect("opens");
    assert_eq!(index.blocks_in(range(0, 64)), whole.index().blocks_in(range(0, 64)));
    SegmentIndex::read(tail, length).expect_err("a part of it is missing");
}

/// A segment as version 1 wrote it.
fn version_1(blocks: &[(u32, u16, Vec<u8>)]) -> Bytes {
    let mut segment = b"TGkeyed1".to_vec();
    let mut index = Vec::new();
    for (group, state, bytes) in blocks {
        let entry = (*group, *state, bytes.len() as u64, segment.len() as u64, bytes.len() as u64);
        crate::codec::encode(&entry, &mut index).expect("plain numbers");
        segment.extend_from_slice(bytes);
    }
    let offset = segment.len() as u64;
    segment.extend_from_slice(&index);
    segment.extend([0_u32, 64].iter().flat_map(|group| group.to_le_bytes()));
    segment.extend([offset, index.len() as u64].iter().flat_map(|word| word.to_le_bytes()));
    segment.extend_from_slice(b"TGkeyed1");
    segment.into()
}

proptest! {
    #[test]
    fn version_1_is_still_read(blocks in blocks(), start in 0..64_u32, length in 0..64_u32) {
        let older = KeyedSegmentReader::open(version_1(&blocks)).expect("opens");
        prop_assert!(!older.index().has_checksums());
        let newer = KeyedSegmentReader::open(written(&blocks)).expect("opens");
        prop_assert!(newer.index().has_checksums());
        let asked = range(start, (start + length).min(64));
        let read = |reader: KeyedSegmentReader| {
            let mut stream = reader.into_source(asked).open();
            read_back(std::iter::from_fn(|| stream.next_block().expect("it is in memory")))
        };
        prop_assert_eq!(read(older), read(newer));
    }

    #[test]
    fn runs_hold_every_block_once_and_no_more_than_is_asked_for(
        lengths in prop::collection::vec((0..2_u64, 0..50_u64), 0..20), most in 1..120_u64,
    ) {
        let mut offset = 8;
        let place = |(gap, length): (u64, u64)| {
            let group = KeyGroup(0);
            let place =
                BlockPlace { group, state: 0, entries: 1, offset: offset + gap, length, crc32c: None };
            offset = place.end();
            place
        };
        let places = lengths.into_iter().map(place).collect::<Vec<_>>();
        let runs = runs_of(&places, most);
        prop_assert_eq!(runs.concat(), places.clone());
        for run in runs {
            prop_assert!(run.windows(2).all(|pair| pair[0].end() == pair[1].offset));
            let length = run.iter().map(|place| place.length).sum::<u64>();
            prop_assert!(length <= most || run.len() == 1);
        }
    }
}
