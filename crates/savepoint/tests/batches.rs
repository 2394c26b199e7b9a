//! States as Arrow has them.
#![cfg(feature = "arrow")]

use std::collections::BTreeMap;

use arrow_array::{RecordBatch, UInt64Array};
use tidegate_savepoint::{Savepoint, SavepointWriter};

#[test]
fn a_state_is_had_as_record_batches() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("savepoint").display().to_string();
    let mut writer = SavepointWriter::new("numbers");
    let counts = (0..1000).map(|key| (key, key * 3)).collect::<BTreeMap<u64, u64>>();
    writer.value_state("counts", "count", counts.clone()).expect("numbers");
    writer.value_state("counts", "none", BTreeMap::<u64, String>::new()).expect("texts");
    writer.write(&path).expect("it can be written");
    let savepoint = Savepoint::open(&path).expect("it is there");
    let mut found = BTreeMap::new();
    for batch in savepoint.batches("counts", "count").expect("it has a table") {
        let (keys, values) = (numbers(&batch, "key"), numbers(&batch, "value"));
        found.extend(keys.into_iter().zip(values));
    }
    assert_eq!(found, counts);
    let none = savepoint.batches("counts", "none").expect("it has a table");
    assert_eq!(none.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [0]);
    let columns = none[0].schema();
    let columns = columns.fields().iter().map(|field| field.name().as_str());
    assert_eq!(columns.collect::<Vec<_>>(), ["key_group", "key", "value"]);
    assert!(savepoint.batches("counts", "nothing").is_err());
    assert!(savepoint.batches("nobody", "count").is_err());
}

fn numbers(batch: &RecordBatch, column: &str) -> Vec<u64> {
    let column = batch.column_by_name(column).expect("it has such a column");
    let column = column.as_any().downcast_ref::<UInt64Array>().expect("of numbers");
    column.values().to_vec()
}
