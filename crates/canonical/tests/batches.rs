//! Tables as record batches.
#![cfg(feature = "arrow")]

use bytes::Bytes;
use tidegate_canonical::{
    reader::TableReader,
    table::{TableSchema, TableWriter},
};
use tidegate_snapshot::described::Described;
use tidegate_types::KeyGroup;

mod values;

#[test]
fn large_values_come_in_small_batches() {
    let schema = TableSchema::list("state", Some("Bytes"));
    let mut file = Vec::new();
    let mut writer = TableWriter::new(schema.clone(), &mut file).expect("begins");
    let mut numbers = values::Numbers(1);
    for _ in 0..300 {
        // What can't be compressed away.
        let mut value = vec![0xe0, 0xc5, 0x08];
        value.extend((0..140_000).map(|_| numbers.below(256) as u8));
        writer.add_entry(KeyGroup(0), &[&value]).expect("added");
    }
    writer.finish().expect("ends");
    let reader = TableReader::open(schema, Bytes::from(file)).expect("opens");
    let batches = reader.batches().expect("reads");
    let most = batches.iter().map(|batch| batch.num_rows()).max().unwrap_or(0);
    assert!(most * 140_000 < 8 << 20, "a batch of {most} rows");
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 300);
}

#[test]
fn batches_have_the_columns_that_are_told_also_without_rows() {
    let notation = "List<Map<Option<u8>, E { A | B(Option<(u8, String)>) | C { d: List<()> } }>>";
    let schema = TableSchema::list("state", Some(notation));
    let mut file = Vec::new();
    let mut writer = TableWriter::new(schema.clone(), &mut file).expect("begins");
    let (described, mut numbers) = (Described::parse(notation), values::Numbers(1));
    for _ in 0..20 {
        let mut value = Vec::new();
        values::put_any(&described, &mut numbers, &mut value);
        writer.add_entry(KeyGroup(0), &[&value]).expect("added");
    }
    writer.finish().expect("ends");
    let told = schema.describe();
    let none = schema.no_rows().expect("Arrow has such columns");
    let reader = TableReader::open(schema, Bytes::from(file)).expect("opens");
    for batch in reader.batches().expect("reads") {
        assert_eq!(batch.schema(), none.schema());
        let columns = batch.schema();
        let columns = columns.fields().iter();
        let columns = columns.map(|field| format!("{}: {}", field.name(), field.data_type()));
        assert_eq!(columns.collect::<Vec<_>>().join(", "), told);
    }
}
