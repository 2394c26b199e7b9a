//! Reads the Parquet file of a state back into the native form.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::{
    column::reader::ColumnReader,
    file::{
        metadata::ParquetMetaData,
        reader::{FileReader, RowGroupReader},
        serialized_reader::SerializedFileReader,
    },
};
use tidegate_types::{KeyGroup, KeyGroupRange};

use crate::{CanonicalError, assemble::Assembler, plan::Plan, table::TableSchema, words};

/// How many rows are read at once, unless they are large.
const BATCH: usize = 16 << 10;
/// How many bytes are read at once, about.
const BATCH_BYTES: usize = 4 << 20;

/// Reads a table back.
pub struct TableReader {
    schema: TableSchema,
    pub(crate) file: Bytes,
    plan: Plan,
}

impl TableReader {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// When it is not Parquet, or has other columns than the state.
    pub fn open(schema: TableSchema, file: Bytes) -> Result<Self, CanonicalError> {
        let parquet = parquet(&file)?;
        let found = parquet.metadata().file_metadata().schema();
        let other = || CanonicalError::Columns {
            found: words::columns(found),
            expected: schema.describe(),
        };
        let plan = schema.plan(found).ok_or_else(other)?;
        Ok(Self { schema, file, plan })
    }

    /// What it holds.
    #[must_use]
    pub fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// How many rows it says it has.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub fn rows(&self) -> Result<u64, CanonicalError> {
        let rows = parquet(&self.file)?.metadata().file_metadata().num_rows();
        Ok(u64::try_from(rows).unwrap_or(0))
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
        take: impl FnMut(KeyGroup, &[u8], &[usize]) -> Result<(), CanonicalError>,
    ) -> Result<(), CanonicalError> {
        let parquet = parquet(&self.file)?;
        let batch = rows_at_once(parquet.metadata());
        let (assembler, ends) = (Assembler::new(&self.plan), Vec::new());
        let mut rows = Rows { assembler, bytes: Vec::new(), ends, keyed: self.schema.keyed, take };
        for place in 0..parquet.num_row_groups() {
            let group = guarded(|| Ok(parquet.get_row_group(place)?))?;
            let mut columns = guarded(|| self.columns_of(&*group))?;
            let mut left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            while left > 0 {
                let count = batch.min(left);
                guarded(|| rows.assembler.read(&mut columns, count))?;
                rows.hand_out(range, count)?;
                left -= count;
            }
        }
        Ok(())
    }

    fn columns_of(&self, group: &dyn RowGroupReader) -> Result<Vec<ColumnReader>, CanonicalError> {
        let columns = (0..self.plan.leaves.len()).map(|leaf| group.get_column_reader(leaf));
        Ok(columns.collect::<Result<_, _>>()?)
    }
}

/// Rows on their way out.
struct Rows<'a, F> {
    assembler: Assembler<'a>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    keyed: bool,
    take: F,
}

impl<F: FnMut(KeyGroup, &[u8], &[usize]) -> Result<(), CanonicalError>> Rows<'_, F> {
    /// Hands out the rows that have been read.
    fn hand_out(
        &mut self,
        range: Option<KeyGroupRange>,
        count: usize,
    ) -> Result<(), CanonicalError> {
        for _ in 0..count {
            let group = if self.keyed { self.assembler.group()? } else { KeyGroup(0) };
            if range.is_some_and(|range| !range.contains(group)) {
                self.assembler.skip()?;
                continue;
            }
            self.bytes.clear();
            self.ends.clear();
            for column in usize::from(self.keyed)..self.assembler.columns() {
                self.assembler.put(column, &mut self.bytes)?;
                self.ends.push(self.bytes.len());
            }
            (self.take)(group, &self.bytes, &self.ends)?;
        }
        Ok(self.assembler.end()?)
    }
}

pub(crate) fn parquet(file: &Bytes) -> Result<SerializedFileReader<Bytes>, CanonicalError> {
    guarded(|| Ok(SerializedFileReader::new(file.clone())?))
}

/// As many rows as there is room for.
pub(crate) fn rows_at_once(file: &ParquetMetaData) -> usize {
    let groups = file.row_groups().iter();
    let largest = groups.map(|group| group.total_byte_size() / group.num_rows().max(1));
    let largest = usize::try_from(largest.max().unwrap_or(0)).unwrap_or(0).max(1);
    (BATCH_BYTES / largest).clamp(1, BATCH)
}

/// Runs a step of the Parquet reader, which asserts where damage made its figures impossible: here
/// that is an error like any other.
pub(crate) fn guarded<T>(
    step: impl FnOnce() -> Result<T, CanonicalError>,
) -> Result<T, CanonicalError> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(CanonicalError::malformed(format!("the Parquet reader gave up: {text}")))
    })
}
