//! Reads the Parquet file of a state back into the native form.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_schema::Schema;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use tidegate_types::{KeyGroup, KeyGroupRange};

use crate::{
    CanonicalError,
    cell::Cells,
    column::field,
    table::{BATCH, BATCH_BYTES, TableSchema},
};

/// Reads a table back.
pub struct TableReader {
    schema: TableSchema,
    file: Bytes,
}

impl TableReader {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// When it is not Parquet, or has other columns than the state.
    pub fn open(schema: TableSchema, file: Bytes) -> Result<Self, CanonicalError> {
        let reader = Self { schema, file };
        let parquet = reader.parquet()?;
        let (found, expected) = (parquet.schema(), reader.schema.arrow());
        let names = |schema: &Schema| {
            let all = schema.fields().iter();
            all.map(|field| format!("{}: {}", field.name(), field.data_type())).collect::<Vec<_>>()
        };
        let same = found.fields().len() == expected.fields().len()
            && found.fields().iter().zip(expected.fields()).all(|(found, expected)| {
                found.name() == expected.name() && found.data_type() == expected.data_type()
            });
        if !same {
            return Err(CanonicalError::Columns {
                found: names(found).join(", "),
                expected: names(&expected).join(", "),
            });
        }
        Ok(reader)
    }

    fn parquet(&self) -> Result<ParquetRecordBatchReaderBuilder<Bytes>, CanonicalError> {
        guarded(|| Ok(ParquetRecordBatchReaderBuilder::try_new(self.file.clone())?))
    }

    /// Reads batches of as many rows as there is room for.
    fn batch_reader(&self) -> Result<ParquetRecordBatchReader, CanonicalError> {
        let builder = self.parquet()?;
        guarded(|| {
            let groups = builder.metadata().row_groups().iter();
            let largest = groups.map(|group| group.total_byte_size() / group.num_rows().max(1));
            let largest = usize::try_from(largest.max().unwrap_or(0)).unwrap_or(0).max(1);
            let rows = (BATCH_BYTES / largest).clamp(1, BATCH);
            Ok(builder.with_batch_size(rows).build()?)
        })
    }

    /// What it holds.
    #[must_use]
    pub fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// All of it, as Arrow has it.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub fn batches(&self) -> Result<Vec<RecordBatch>, CanonicalError> {
        let reader = self.batch_reader()?;
        guarded(|| Ok(reader.collect::<Result<Vec<_>, _>>()?))
    }

    /// How many rows it says it has.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub fn rows(&self) -> Result<u64, CanonicalError> {
        let builder = self.parquet()?;
        Ok(u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0))
    }

    /// Hands out each row of the key groups in `range`, in order: its group, and for each column the
    /// native form of its value, one behind the other, with where each ends.
    ///
    /// # Errors
    ///
    /// When the file can't be read, or what `take` reports.
    pub fn for_each(
        &self,
        range: Option<KeyGroupRange>,
        mut take: impl FnMut(KeyGroup, &[u8], &[usize]) -> Result<(), CanonicalError>,
    ) -> Result<(), CanonicalError> {
        let mut reader = self.batch_reader()?;
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        while let Some(batch) = guarded(|| Ok(reader.next().transpose()?))? {
            let mut columns = batch.columns().iter();
            let groups = match self.schema.keyed.then(|| columns.next()).flatten() {
                None => None,
                Some(column) => {
                    let groups = column.as_any().downcast_ref::<UInt32Array>().cloned();
                    Some(groups.ok_or_else(|| CanonicalError::malformed("no key groups"))?)
                }
            };
            let cells = columns
                .zip(&self.schema.columns)
                .map(|(column, (_, of))| {
                    let wrong = column.null_count() > 0 && !field("", &of.root).is_nullable();
                    if wrong {
                        return Err(CanonicalError::malformed("a column has nulls"));
                    }
                    Cells::new(&of.root, column)
                })
                .collect::<Result<Vec<_>, _>>()?;
            for row in 0..batch.num_rows() {
                let group = groups.as_ref().map_or(0, |groups| groups.value(row));
                let group = KeyGroup(group);
                if range.is_some_and(|range| !range.contains(group)) {
                    continue;
                }
                bytes.clear();
                ends.clear();
                for cell in &cells {
                    cell.put(row, &mut bytes)?;
                    ends.push(bytes.len());
                }
                take(group, &bytes, &ends)?;
            }
        }
        Ok(())
    }
}

/// Runs a step of the Parquet reader, which asserts where damage made its figures impossible: here
/// that is an error like any other.
fn guarded<T>(step: impl FnOnce() -> Result<T, CanonicalError>) -> Result<T, CanonicalError> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(CanonicalError::malformed(format!("the Parquet reader gave up: {text}")))
    })
}
