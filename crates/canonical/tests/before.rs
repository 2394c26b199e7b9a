//! Tables that an earlier version wrote, by way of Arrow, are read as the same entries; also after
//! pyarrow or DuckDB have written them anew (`pq.write_table(pq.read_table(...))`, `COPY (FROM ...) TO`).

use std::{fs, path::Path};

use bytes::Bytes;
use tidegate_canonical::{
    reader::TableReader,
    table::{TableSchema, TableWriter},
};
use tidegate_snapshot::manifest::StateDescription;
use tidegate_types::KeyGroup;

/// Each table: its name, kind (none for operator state), the keys' and the values' type, and whether
/// there are times.
const TABLES: &[(&str, &str, &str, &str, bool)] = &[
    (
        "leaves",
        "value",
        "(String, u64)",
        "Leaves { small: (u8, u16, u32, u64, u128), signed: (i8, i16, i32, i64, i128), \
         floats: (f32, f64), flag: bool, letter: char, text: String, bytes: Bytes, nothing: (), \
         empty: Empty {}, \"odd name.\": Option<String>, array: [u32; 3], \
         tree: Tree { name: String, children: List<Tree> } }",
        false,
    ),
    (
        "options",
        "value",
        "Option<Option<u8>>",
        "Options { one: Option<u8>, two: Option<Option<String>>, three: Option<Option<Option<bool>>>, \
         unit: Option<()>, of_struct: Option<Point { x: i32, y: Option<i32> }>, newtype: Wrapped(Option<f64>), \
         list: Option<List<Option<Option<i64>>>>, map: Option<Map<Option<u8>, Option<(u8, String)>>> }",
        false,
    ),
    (
        "lists",
        "list",
        "u32",
        "List<Map<String, List<Option<List<Option<(u8, Option<Option<String>>, List<()>)>>>>>>",
        false,
    ),
    (
        "enums",
        "map",
        "Colour { Red | Green | Blue }",
        "Map<Colour { Red | Green }, List<Shape { None | Circle(f64) | Boxed { width: u32, variant: \
         Option<u32> } | Both(Colour, i8) | Maybe(Option<bool>) | Twice(Option<Option<u8>>) | Many(List<Option<u16>>) | \
         By(Map<Option<u8>, Colour>) | variant(String) }>>",
        false,
    ),
    ("times", "value", "u64", "Option<String>", true),
    ("times-of-list", "list", "u64", "List<(i32, String)>", true),
    ("times-of-map", "map", "u64", "Map<u16, Option<String>>", true),
    ("flat", "value", "u64", "Flat { count: u64, sum: Option<f64>, last: String }", false),
    ("items", "", "", "Option<List<u16>>", false),
];

fn schema(table: &(&str, &str, &str, &str, bool)) -> TableSchema {
    let (name, kind, key_type, value_type, ttl) = *table;
    if kind.is_empty() {
        return TableSchema::list(name, Some(value_type));
    }
    let state = StateDescription {
        id: 0,
        name: name.to_owned(),
        kind: kind.to_owned(),
        value_type: value_type.to_owned(),
        ttl_ms: ttl.then_some(1000),
    };
    TableSchema::keyed(key_type, &state)
}

fn file(name: &str) -> Option<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/before");
    fs::read(folder.join(name)).ok()
}

/// The entries in a table: key group, and bytes in the native form.
fn entries(schema: &TableSchema, file: Vec<u8>) -> Vec<(u32, Vec<u8>)> {
    let mut entries = Vec::new();
    let reader = TableReader::open(schema.clone(), Bytes::from(file)).expect("it is such a table");
    let take = |group: KeyGroup, bytes: &[u8], _: &[usize]| {
        entries.push((group.get(), bytes.to_vec()));
        Ok(())
    };
    reader.for_each(None, take).expect("it can be read");
    entries
}

fn number(bytes: &mut &[u8]) -> u32 {
    let (number, rest) = bytes.split_at(4);
    *bytes = rest;
    u32::from_le_bytes(number.try_into().expect("four bytes"))
}

/// What was written: each entry's key group, length and bytes.
fn written(name: &str) -> Vec<(u32, Vec<u8>)> {
    let bytes = file(&format!("{name}.native")).expect("it is there");
    let (mut rest, mut entries) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let (group, length) = (number(&mut rest), number(&mut rest) as usize);
        entries.push((group, rest[..length].to_vec()));
        rest = &rest[length..];
    }
    entries
}

#[test]
fn tables_of_the_version_before_have_the_same_entries() {
    for table in TABLES {
        let found = entries(&schema(table), file(&format!("{}.parquet", table.0)).expect("there"));
        assert_eq!(found, written(table.0), "{}", table.0);
    }
}

#[test]
fn tables_that_another_tool_has_written_anew_have_the_same_entries() {
    for (table, tool) in TABLES.iter().flat_map(|table| [(table, "pyarrow"), (table, "duckdb")]) {
        // DuckDB has no times in milliseconds: see below.
        if table.4 && tool == "duckdb" {
            continue;
        }
        let name = format!("{}.{tool}.parquet", table.0);
        let file = file(&name).expect("it is there");
        assert_eq!(entries(&schema(table), file), written(table.0), "{name}");
    }
}

#[test]
fn times_of_another_unit_are_refused() {
    let table = TABLES.iter().find(|table| table.0 == "times").expect("it is in the list");
    let file = Bytes::from(file("times.duckdb.parquet").expect("it is there"));
    let error = TableReader::open(schema(table), file).err().expect("other columns");
    let expected = "the table has the columns key_group: UInt32, key: UInt64, value: Utf8, written_at: \
                    Timestamp(µs, \"UTC\"), and key_group: UInt32, key: UInt64, value: Utf8, written_at: \
                    Timestamp(ms, \"UTC\") are expected";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn columns_are_described_in_the_same_words() {
    let columns = String::from_utf8(file("columns.txt").expect("it is there")).expect("text");
    let described =
        TABLES.iter().map(|table| format!("{}: {}\n", table.0, schema(table).describe()));
    assert_eq!(described.collect::<String>(), columns);
}

#[test]
fn what_is_written_now_is_read_as_the_same_entries() {
    for table in TABLES {
        let (schema, rows) = (schema(table), written(table.0));
        let mut file = Vec::new();
        let mut writer = TableWriter::new(schema.clone(), &mut file).expect("begins");
        for (group, entry) in &rows {
            writer.add_entries(KeyGroup(*group), 1, entry).expect("of its type");
        }
        writer.finish().expect("ends");
        assert_eq!(entries(&schema, file), rows, "{}", table.0);
    }
}
