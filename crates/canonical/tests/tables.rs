//! What goes into a table comes out, of whatever type, and damage is an error.

use std::{cell::Cell, collections::BTreeMap};

use bytes::Bytes;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use tidegate_canonical::{
    CanonicalError,
    convert::hash_of,
    reader::TableReader,
    table::{TableSchema, TableWriter},
};
use tidegate_snapshot::{
    codec,
    described::{Described, Type},
    manifest::StateDescription,
    wire::{Walk, put_varint},
};
use tidegate_types::{KeyGroup, KeyGroupRange, KeyHash};

mod notations;
mod values;

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
struct Empty {}

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
enum Colour {
    Red,
    Green,
}

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
enum Shape {
    None,
    Circle(f64),
    Boxed { width: u32, variant: Option<u32> },
    Both(Box<Colour>, i8),
    Maybe(Option<bool>),
}

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
struct Tree {
    name: String,
    children: Vec<Tree>,
}

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
struct Everything {
    numbers: (u8, u16, u32, u64, u128, i8, i16, i32, i64, i128),
    floats: (f32, f64),
    flag: bool,
    letter: char,
    text: String,
    nothing: (),
    empty: Empty,
    option: Option<String>,
    nested: Option<Option<u16>>,
    list: Vec<Option<i32>>,
    map: BTreeMap<String, Vec<u8>>,
    odd_map: BTreeMap<Option<u8>, (u8, String)>,
    colour: Colour,
    shapes: Vec<Shape>,
    tree: Tree,
    array: [u32; 3],
}

fn shape() -> impl Strategy<Value = Shape> {
    let colour = prop_oneof![Just(Colour::Red), Just(Colour::Green)];
    prop_oneof![
        Just(Shape::None),
        any::<f64>().prop_filter("comparable", |f| !f.is_nan()).prop_map(Shape::Circle),
        any::<(u32, Option<u32>)>().prop_map(|(width, variant)| Shape::Boxed { width, variant }),
        (colour, any::<i8>()).prop_map(|(colour, n)| Shape::Both(Box::new(colour), n)),
        any::<Option<bool>>().prop_map(Shape::Maybe),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = any::<(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128)>();
    let floats = (-1e30_f32..1e30, -1e300_f64..1e300);
    let plain = (numbers, floats, any::<bool>(), any::<char>(), any::<String>());
    let options = any::<(Option<String>, Option<Option<u16>>, Vec<Option<i32>>)>();
    let maps = any::<(BTreeMap<String, Vec<u8>>, BTreeMap<Option<u8>, (u8, String)>)>();
    let shapes = proptest::collection::vec(shape(), 0..4);
    let last = (shapes, any::<(bool, String, String)>(), any::<[u32; 3]>());
    (plain, options, maps, last).prop_map(|(plain, options, maps, last)| {
        let (numbers, floats, flag, letter, text) = plain;
        let (option, nested, list) = options;
        let (shapes, (red, name, leaf), array) = last;
        let leaf = Tree { name: leaf, children: Vec::new() };
        Everything {
            numbers,
            floats,
            flag,
            letter,
            text,
            nothing: (),
            empty: Empty {},
            option,
            nested,
            list,
            map: maps.0,
            odd_map: maps.1,
            colour: if red { Colour::Red } else { Colour::Green },
            shapes,
            tree: Tree { name, children: vec![leaf] },
            array,
        }
    })
}

fn state<V: DeserializeOwned>(kind: &str, ttl_ms: Option<u64>) -> StateDescription {
    StateDescription {
        id: 2,
        name: "state".to_owned(),
        kind: kind.to_owned(),
        value_type: tidegate_state::type_description::<V>(),
        ttl_ms,
    }
}

fn native(values: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(values, &mut bytes).expect("plain data");
    bytes
}

/// Writes entries of one key group each, and reads them back.
fn through(schema: &TableSchema, entries: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut file = Vec::new();
    let mut writer = TableWriter::new(schema.clone(), &mut file).expect("begins");
    for (group, entry) in (0..).zip(entries) {
        writer.add_entries(KeyGroup(group), 1, entry).expect("of its type");
    }
    assert_eq!(writer.finish().expect("ends"), entries.len() as u64);
    let reader = TableReader::open(schema.clone(), Bytes::from(file)).expect("opens");
    let mut read = Vec::new();
    reader
        .for_each(None, |group, bytes, _| {
            assert_eq!(group.get() as usize, read.len());
            read.push(bytes.to_vec());
            Ok(())
        })
        .expect("reads");
    read
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn values_of_any_type_come_back(
        notation in notations::notations(), seed in any::<u64>(), rows in 0_usize..40
    ) {
        let described = Described::parse(&notation);
        prop_assert!(!matches!(described.root, Type::Opaque(_)), "{}", notation);
        let schema = TableSchema::list("state", Some(&notation));
        let mut numbers = values::Numbers(seed);
        let mut any = || {
            let mut entry = Vec::new();
            values::put_any(&described, &mut numbers, &mut entry);
            entry
        };
        let entries = (0..rows).map(|_| any()).collect::<Vec<_>>();
        let mut file = Vec::new();
        let mut writer = TableWriter::new(schema.clone(), &mut file).expect("begins");
        for entry in &entries {
            writer.add_entry(KeyGroup(0), &[entry]).expect("of its type");
        }
        writer.finish().expect("ends");
        let mut found = Vec::new();
        let take = |_, bytes: &[u8], _: &[usize]| {
            found.push(bytes.to_vec());
            Ok(())
        };
        let reader = TableReader::open(schema, Bytes::from(file)).expect("opens");
        reader.for_each(None, take).expect("reads");
        prop_assert_eq!(found, entries);
    }

    #[test]
    fn rows_of_other_key_groups_are_left_out(
        notation in notations::notations(), seed in any::<u64>(), start in 0_u32..12, many in 0_u32..12
    ) {
        let described = Described::parse(&notation);
        let described_state =
            StateDescription { value_type: notation, ..state::<u64>("value", None) };
        let schema = TableSchema::keyed("u32", &described_state);
        let mut numbers = values::Numbers(seed);
        let (mut file, mut entries) = (Vec::new(), Vec::new());
        let mut writer = TableWriter::new(schema.clone(), &mut file).expect("begins");
        for group in (0..12).map(KeyGroup) {
            let mut entry = native(&group.get());
            values::put_any(&described, &mut numbers, &mut entry);
            writer.add_entries(group, 1, &entry).expect("of its type");
            entries.push((group, entry));
        }
        writer.finish().expect("ends");
        let range = KeyGroupRange { start, end: start + many };
        let mut found = Vec::new();
        let take = |group, bytes: &[u8], _: &[usize]| {
            found.push((group, bytes.to_vec()));
            Ok(())
        };
        let reader = TableReader::open(schema, Bytes::from(file)).expect("opens");
        reader.for_each(Some(range), take).expect("reads");
        entries.retain(|(group, _)| range.contains(*group));
        prop_assert_eq!(found, entries);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn values_of_every_type_come_back(
        entries in proptest::collection::vec((any::<(String, u64)>(), everything()), 0..20)
    ) {
        let key_type = tidegate_state::type_description::<(String, u64)>();
        let schema = TableSchema::keyed(&key_type, &state::<Everything>("value", None));
        let entries = entries.iter().map(native).collect::<Vec<_>>();
        prop_assert_eq!(through(&schema, &entries), entries);
    }

    #[test]
    fn times_of_states_with_ttl_come_back(
        values in proptest::collection::vec((any::<(u8, String)>(), 0..i64::MAX as u64), 0..9),
        lists in proptest::collection::vec(any::<(u8, Vec<(i32, u32)>)>(), 0..9),
        maps in proptest::collection::vec(
            any::<(u8, BTreeMap<u16, (String, u32)>)>(), 0..9
        ),
    ) {
        let schema = TableSchema::keyed("u8", &state::<String>("value", Some(5)));
        let entries = values.iter().map(native).collect::<Vec<_>>();
        prop_assert_eq!(through(&schema, &entries), entries);
        let schema = TableSchema::keyed("u8", &state::<Vec<i32>>("list", Some(5)));
        let split = |(key, list): &(u8, Vec<(i32, u32)>)| {
            let (values, times): (Vec<i32>, Vec<u64>) =
                list.iter().map(|(value, time)| (*value, u64::from(*time))).unzip();
            native(&(*key, values, times))
        };
        let entries = lists.iter().map(split).collect::<Vec<_>>();
        prop_assert_eq!(through(&schema, &entries), entries);
        let schema = TableSchema::keyed("u8", &state::<BTreeMap<u16, String>>("map", Some(5)));
        let entries = maps.iter().map(native).collect::<Vec<_>>();
        prop_assert_eq!(through(&schema, &entries), entries);
    }

    #[test]
    fn a_key_in_the_native_form_has_the_hash_of_the_key(key in everything()) {
        let described = Described::parse(&tidegate_state::type_description::<Everything>());
        let bytes = native(&key);
        prop_assert_eq!(hash_of(&described, &bytes).expect("a key"), KeyHash::of(&key));
        let cell = Cell::new(&bytes[..]);
        let walked = serde_json::to_value(Walk::new(&described, &cell));
        // Options as keys of maps have no form in JSON: then there is none of the key either.
        if let Ok(expected) = serde_json::to_value(&key) {
            prop_assert_eq!(walked.expect("as the key"), expected);
        }
    }

    #[test]
    fn bytes_of_any_kind_are_no_reason_to_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), entries in 0_u64..5
    ) {
        let schema = TableSchema::keyed("u8", &state::<Everything>("value", None));
        let mut file = Vec::new();
        let mut writer = TableWriter::new(schema.clone(), &mut file).expect("begins");
        // Whatever comes of it, it comes as a result.
        let _ = writer.add_entries(KeyGroup(0), entries, &bytes);
        let _ = TableReader::open(schema, Bytes::from(bytes));
    }

    #[test]
    fn a_damaged_file_is_an_error_or_harmless(place in any::<usize>(), flip in 1_u8..=255) {
        let schema = TableSchema::keyed("u8", &state::<(u64, String)>("value", None));
        let mut file = Vec::new();
        let mut writer = TableWriter::new(schema.clone(), &mut file).expect("begins");
        for n in 0..50_u8 {
            let entry = native(&(n, (u64::from(n), "text".to_owned())));
            writer.add_entries(KeyGroup(u32::from(n)), 1, &entry).expect("of its type");
        }
        writer.finish().expect("ends");
        let place = place % file.len();
        file[place] ^= flip;
        // A snapshot is read only after its checksum has been looked at; here that is left out.
        if let Ok(reader) = TableReader::open(schema, Bytes::from(file)) {
            let _ = reader.for_each(None, |_, _, _| Ok(()));
        }
    }
}

#[test]
fn a_type_that_cannot_be_described_is_kept_as_it_is() {
    let described = StateDescription {
        id: 0,
        name: "odd".to_owned(),
        kind: "value".to_owned(),
        value_type: "my_crate::Untagged".to_owned(),
        ttl_ms: None,
    };
    let schema = TableSchema::keyed("String", &described);
    assert!(schema.wants_bounds());
    assert_eq!(schema.describe(), "key_group: UInt32, key: Utf8, value: Binary");
    let mut file = Vec::new();
    let mut writer = TableWriter::new(schema.clone(), &mut file).expect("begins");
    let parts: [&[u8]; 2] = [&native(&"a"), b"whatever"];
    writer.add_entry(KeyGroup(9), &parts).expect("kept");
    writer.finish().expect("ends");
    let reader = TableReader::open(schema, file.into()).expect("opens");
    let take = |group, bytes: &[u8], ends: &[usize]| {
        assert_eq!((group, bytes, ends), (KeyGroup(9), &b"\x01awhatever"[..], &[2, 10][..]));
        Ok(())
    };
    reader.for_each(None, take).expect("reads");
}

#[test]
fn a_file_of_another_state_is_refused() {
    let one = TableSchema::keyed("u8", &state::<u64>("value", None));
    let mut file = Vec::new();
    TableWriter::new(one, &mut file).expect("begins").finish().expect("ends");
    let other = TableSchema::keyed("u8", &state::<i64>("value", None));
    let error = TableReader::open(other, file.into()).err().expect("other columns");
    assert!(matches!(error, CanonicalError::Columns { .. }), "{error}");
    let expected = "the table has the columns key_group: UInt32, key: UInt8, value: UInt64, and \
                    key_group: UInt32, key: UInt8, value: Int64 are expected";
    assert_eq!(error.to_string(), expected);
}

/// Texts by number.
fn of_texts() -> TableSchema {
    let state = StateDescription {
        id: 0,
        name: "state".to_owned(),
        kind: "value".to_owned(),
        value_type: "String".to_owned(),
        ttl_ms: None,
    };
    TableSchema::keyed("u64", &state)
}

/// A table of `count` texts of `length` bytes each.
fn texts(count: u64, length: usize) -> Bytes {
    let mut file = Vec::new();
    let mut writer = TableWriter::new(of_texts(), &mut file).expect("begun");
    // What can't be compressed away.
    let mut seed = 1_u64;
    let mut letter = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + (seed >> 57) as u8 % 90)
    };
    for key in 0..count {
        let text = (0..length).map(|_| letter()).collect::<String>();
        let mut entry = Vec::new();
        codec::encode(&(key, text), &mut entry).expect("encoded");
        writer.add_entries(KeyGroup(0), 1, &entry).expect("added");
    }
    assert_eq!(writer.finish().expect("written"), count);
    file.into()
}

#[test]
fn large_values_come_in_small_row_groups() {
    let file = texts(300, 140_000);
    let reader = TableReader::open(of_texts(), file.clone()).expect("opened");
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&file);
    let groups = metadata.expect("it is Parquet").row_groups().to_vec();
    let largest = groups.iter().map(|group| group.total_byte_size()).max().unwrap_or(0);
    assert!(largest < 32 << 20, "a row group of {largest} bytes is held in memory");
    let mut rows = 0;
    reader
        .for_each(None, |_, bytes, ends| {
            rows += 1;
            assert!(bytes.len() > 140_000 && ends.len() == 2);
            Ok(())
        })
        .expect("read");
    assert_eq!(rows, 300);
}

/// Four bytes for a million elements, and one for a null in each of many columns: what is held in memory
/// is what counts.
#[test]
fn what_takes_few_bytes_comes_in_small_row_groups_too() {
    let wide = (0..400).map(|field| format!("f{field}: u64")).collect::<Vec<_>>().join(", ");
    let wide = format!("Option<Wide {{ {wide} }}>");
    for (value_type, value, rows) in
        [("List<()>", &[0xa0, 0x8d, 0x06][..], 40), (wide.as_str(), &[0], 30_000_u32)]
    {
        let schema = TableSchema::list("state", Some(value_type));
        let mut file = Vec::new();
        let mut writer = TableWriter::new(schema.clone(), &mut file).expect("begins");
        for _ in 0..rows {
            writer.add_entry(KeyGroup(0), &[value]).expect("of its type");
        }
        writer.finish().expect("ends");
        let file = Bytes::from(file);
        let metadata = parquet::file::metadata::ParquetMetaDataReader::new();
        let metadata = metadata.parse_and_finish(&file).expect("it is Parquet");
        for group in metadata.row_groups() {
            let entries = group.columns().iter().map(|column| column.num_values()).sum::<i64>();
            assert!(entries < 9 << 20, "{value_type}: {entries} entries are held in memory");
        }
        let mut found = 0;
        let reader = TableReader::open(schema, file).expect("opens");
        let read = reader.for_each(None, |_, bytes, _| {
            found += 1;
            assert_eq!(bytes, value);
            Ok(())
        });
        read.expect("reads");
        assert_eq!(found, rows);
    }
}

#[test]
fn a_row_that_was_taken_in_part_ends_the_table() {
    let schema = TableSchema::list("state", Some("List<(u8, bool)>"));
    let mut file = Vec::new();
    let mut writer = TableWriter::new(schema, &mut file).expect("begins");
    // Its second element has a number, and no truth.
    writer.add_entry(KeyGroup(0), &[&[2, 1, 1, 2, 9]]).expect_err("it is of another type");
    writer.add_entry(KeyGroup(0), &[&[0]]).expect_err("it would be in the wrong place");
    writer.finish().expect_err("its columns have other elements");
}

#[test]
fn elements_that_take_no_bytes_are_refused_beyond_a_million() {
    let mut writer =
        TableWriter::new(TableSchema::list("state", Some("List<()>")), Vec::new()).expect("begins");
    let mut announced = Vec::new();
    put_varint(u64::MAX.into(), &mut announced);
    let error = writer.add_entry(KeyGroup(0), &[&announced]).expect_err("too many");
    assert!(error.to_string().contains("too many elements"), "{error}");
}
