//! Tables as Arrow has them, for who asks questions about all of a state. Nothing else here needs Arrow,
//! and it takes long to build.

use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::{
    arrow::{arrow_reader::ParquetRecordBatchReaderBuilder, parquet_to_arrow_schema},
    errors::ParquetError,
    schema::types::SchemaDescriptor,
};
use tidegate_snapshot::{
    manifest::{ListTable, Manifest},
    store::LoadedSnapshot,
};
use tidegate_types::OperatorUid;

use crate::{
    CanonicalError,
    reader::{TableReader, guarded, rows_at_once},
    table::TableSchema,
};

impl TableReader {
    /// All of it, as Arrow has it.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub fn batches(&self) -> Result<Vec<RecordBatch>, CanonicalError> {
        guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::try_new(self.file.clone())?;
            let rows = rows_at_once(builder.metadata());
            let batches = builder.with_batch_size(rows).build()?;
            Ok(batches.collect::<Result<_, _>>().map_err(ParquetError::from)?)
        })
    }
}

impl TableSchema {
    /// No rows, as Arrow has them.
    ///
    /// # Errors
    ///
    /// When Arrow has no such columns.
    pub fn no_rows(&self) -> Result<RecordBatch, CanonicalError> {
        let columns = SchemaDescriptor::new(self.parquet());
        let schema = parquet_to_arrow_schema(&columns, None)?;
        Ok(RecordBatch::new_empty(Arc::new(schema)))
    }
}

/// A state of a snapshot in canonical form as Arrow has it, one empty batch if it has no rows; `None`
/// if there is no such state.
///
/// # Errors
///
/// When it is damaged.
pub fn batches(
    manifest: &Manifest,
    loaded: &LoadedSnapshot,
    uid: &str,
    state: &str,
) -> Result<Option<Vec<RecordBatch>>, CanonicalError> {
    let Some(operator) = manifest.operators.get(&OperatorUid::from(uid)) else { return Ok(None) };
    let described = operator.states.iter().find(|known| known.name == state);
    let key_type = operator.key_type.as_deref().unwrap_or_default();
    let keyed = described.map(|known| TableSchema::keyed(key_type, known));
    let of_list = |list: &ListTable| TableSchema::list(state, list.value_type.as_deref());
    let (mut schema, mut all) = (keyed.clone(), Vec::new());
    let tables = operator.subtasks.iter().flat_map(|subtask| &subtask.tables);
    for table in tables.filter(|table| table.state == state) {
        let own = keyed.clone().or_else(|| table.list.as_ref().map(of_list));
        let Some(own) = own else { continue };
        schema.get_or_insert_with(|| own.clone());
        if let Some(path) = &table.path {
            all.extend(TableReader::open(own, loaded.file(path)?)?.batches()?);
        }
    }
    let Some(schema) = schema else { return Ok(None) };
    if all.is_empty() {
        all.push(schema.no_rows()?);
    }
    Ok(Some(all))
}
