//! The Parquet file of one state of one subtask.
//!
//! | column | keyed state | operator state |
//! |---|---|---|
//! | `key_group` | the key's group; rows are in its order | |
//! | `key` | the key | |
//! | `value` | the value, list or map; a timer's times | the item |
//! | `written_at` | with TTL, when the value, or each of a list, was written (a map has it inside) | |
//!
//! What a column looks like follows from the type: see `column`.

use std::{collections::HashMap, io::Write, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::{metadata::KeyValue, properties::WriterProperties},
};
use tidegate_snapshot::{
    described::{Described, Type},
    manifest::StateDescription,
    wire::skip,
};
use tidegate_types::KeyGroup;

use crate::{
    CanonicalError,
    column::{Column, field},
};

/// How many rows become a batch, unless they are large.
pub(crate) const BATCH: usize = 16 << 10;
/// How many bytes of entries, in the native form, become a batch: what is built up in memory, and
/// far from what the offsets of an Arrow column can tell.
pub(crate) const BATCH_BYTES: usize = 4 << 20;
/// How many rows become a row group, unless they are large.
const ROW_GROUP: usize = 128 << 10;
/// How many bytes become a row group, which is what is held in memory while a file is written.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// Stands for a type that nobody has described.
const UNKNOWN: &str = "?";

const KEY_GROUP: &str = "key_group";
const KEY: &str = "key";
const VALUE: &str = "value";
const WRITTEN_AT: &str = "written_at";

/// What a table holds, and how that lies in the native form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// The types of its columns behind the key group, in the order of the native form.
    pub(crate) columns: Vec<(&'static str, Described)>,
    pub(crate) keyed: bool,
    /// What people read in the file's own metadata.
    notes: Vec<(String, String)>,
}

impl TableSchema {
    /// Of a keyed state.
    #[must_use]
    pub fn keyed(key_type: &str, state: &StateDescription) -> Self {
        let value = Described::parse(&state.value_type);
        let mut columns = vec![(KEY, Described::parse(key_type))];
        match (state.ttl_ms.is_some(), value.root) {
            (true, Type::List(element)) if state.kind == "list" => {
                let times = Type::List(Box::new(Type::Time));
                let list = Described { root: Type::List(element), ..value };
                columns.push((VALUE, list));
                columns.push((WRITTEN_AT, Described { root: times, ..Described::default() }));
            }
            (true, Type::Map(of, timed)) if state.kind == "map" => {
                let timed = Type::Struct(vec![
                    (VALUE.to_owned(), *timed),
                    (WRITTEN_AT.to_owned(), Type::Time),
                ]);
                columns.push((VALUE, Described { root: Type::Map(of, Box::new(timed)), ..value }));
            }
            (true, root) if !matches!(root, Type::Opaque(_)) => {
                columns.push((VALUE, Described { root, ..value }));
                let written = Described { root: Type::Time, ..Described::default() };
                columns.push((WRITTEN_AT, written));
            }
            (_, root) => columns.push((VALUE, Described { root, ..value })),
        }
        let notes = vec![
            ("tidegate.state".to_owned(), state.name.clone()),
            ("tidegate.kind".to_owned(), state.kind.clone()),
            ("tidegate.key-type".to_owned(), key_type.to_owned()),
            ("tidegate.value-type".to_owned(), state.value_type.clone()),
        ];
        Self { columns, keyed: true, notes }
    }

    /// Of a list of operator state; of an unknown type they are kept in the native form.
    #[must_use]
    pub fn list(name: &str, value_type: Option<&str>) -> Self {
        let value_type = value_type.unwrap_or(UNKNOWN);
        let notes = vec![
            ("tidegate.state".to_owned(), name.to_owned()),
            ("tidegate.kind".to_owned(), "operator-list".to_owned()),
            ("tidegate.value-type".to_owned(), value_type.to_owned()),
        ];
        Self { columns: vec![(VALUE, Described::parse(value_type))], keyed: false, notes }
    }

    /// The keys' type, if it is of a keyed state.
    #[must_use]
    pub fn key(&self) -> Option<&Described> {
        self.columns.iter().find(|(name, _)| *name == KEY).map(|(_, of)| of)
    }

    /// The names and types of the columns behind the key group.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &Described)> {
        self.columns.iter().map(|(name, of)| (*name, of))
    }

    /// Whether its writer has to be told where values begin and end.
    #[must_use]
    pub fn wants_bounds(&self) -> bool {
        self.columns.iter().any(|(_, of)| matches!(of.root, Type::Opaque(_)))
    }

    /// Takes an entry from the front of `bytes`; also tells where each column's part of it ends.
    ///
    /// # Errors
    ///
    /// When there is no such entry, or a type can't be described.
    pub(crate) fn next_entry<'a>(
        &self,
        bytes: &mut &'a [u8],
    ) -> Result<(&'a [u8], Vec<usize>), CanonicalError> {
        let whole = *bytes;
        let mut ends = Vec::with_capacity(self.columns.len());
        for (_, of) in &self.columns {
            skip(bytes, &of.root, &of.definitions)?;
            ends.push(whole.len() - bytes.len());
        }
        Ok((&whole[..whole.len() - bytes.len()], ends))
    }

    /// The parts of an entry that belong to each column, when its key and value are told apart.
    ///
    /// # Errors
    ///
    /// When the value is not of its type.
    pub(crate) fn split<'a>(
        &self,
        key: &'a [u8],
        value: &'a [u8],
    ) -> Result<Vec<&'a [u8]>, CanonicalError> {
        let mut parts = vec![key];
        let mut rest = value;
        for (_, of) in self.columns.iter().skip(1) {
            if matches!(of.root, Type::Opaque(_)) {
                parts.push(std::mem::take(&mut rest));
                continue;
            }
            let whole = rest;
            skip(&mut rest, &of.root, &of.definitions)?;
            parts.push(&whole[..whole.len() - rest.len()]);
        }
        Ok(parts)
    }

    /// The columns of the file.
    #[must_use]
    pub fn arrow(&self) -> SchemaRef {
        let group = self.keyed.then(|| Field::new(KEY_GROUP, DataType::UInt32, false));
        let columns = self.columns.iter().map(|(name, of)| field(name, &of.root));
        let notes = self.notes.iter().cloned().collect::<HashMap<_, _>>();
        Arc::new(Schema::new_with_metadata(
            group.into_iter().chain(columns).collect::<Vec<_>>(),
            notes,
        ))
    }

    /// The columns in words, for a manifest.
    #[must_use]
    pub fn describe(&self) -> String {
        let schema = self.arrow();
        let field = |field: &Arc<Field>| format!("{}: {}", field.name(), field.data_type());
        schema.fields().iter().map(field).collect::<Vec<_>>().join(", ")
    }
}

/// Writes a table, entry by entry.
pub struct TableWriter<W: Write + Send> {
    schema: TableSchema,
    arrow: SchemaRef,
    writer: ArrowWriter<W>,
    groups: Vec<u32>,
    columns: Vec<Column>,
    /// How many rows, and how many bytes of entries, the batch at hand has.
    batch: usize,
    batch_bytes: usize,
    rows: u64,
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub fn new(schema: TableSchema, file: W) -> Result<Self, CanonicalError> {
        let arrow = schema.arrow();
        let level = ZstdLevel::try_new(1)?;
        let notes = schema.notes.iter();
        let notes = notes.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_dictionary_enabled(false)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_key_value_metadata(Some(notes.collect()))
            .build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&arrow), Some(properties))?;
        let columns = schema.columns.iter().map(|(_, of)| Column::new(&of.root)).collect();
        let groups = Vec::new();
        Ok(Self { schema, arrow, writer, groups, columns, batch: 0, batch_bytes: 0, rows: 0 })
    }

    /// Adds the entries of a block: keys and values one behind the other.
    ///
    /// # Errors
    ///
    /// When they are not of the types that they should be, or the file can't be written.
    pub fn add_entries(
        &mut self,
        group: KeyGroup,
        entries: u64,
        mut bytes: &[u8],
    ) -> Result<(), CanonicalError> {
        for _ in 0..entries {
            let before = bytes.len();
            for (column, (_, of)) in self.columns.iter_mut().zip(&self.schema.columns) {
                column.append(&mut bytes, &of.definitions)?;
            }
            self.end_row(group, before - bytes.len())?;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let count = bytes.len();
        Err(CanonicalError::malformed(format!("{count} bytes are left over behind the entries")))
    }

    /// Adds an entry whose parts are told apart already: one slice per column.
    ///
    /// # Errors
    ///
    /// As [`TableWriter::add_entries`].
    pub fn add_entry(&mut self, group: KeyGroup, parts: &[&[u8]]) -> Result<(), CanonicalError> {
        let types = &self.schema.columns;
        for ((column, (_, of)), part) in self.columns.iter_mut().zip(types).zip(parts) {
            if matches!(of.root, Type::Opaque(_)) {
                column.append_native(part);
                continue;
            }
            let mut rest = *part;
            column.append(&mut rest, &of.definitions)?;
            if !rest.is_empty() {
                return Err(CanonicalError::malformed("bytes are left over behind a value"));
            }
        }
        self.end_row(group, parts.iter().map(|part| part.len()).sum())
    }

    fn end_row(&mut self, group: KeyGroup, bytes: usize) -> Result<(), CanonicalError> {
        if self.schema.keyed {
            self.groups.push(group.get());
        }
        self.batch += 1;
        self.batch_bytes += bytes;
        let is_full = self.batch == BATCH || self.batch_bytes >= BATCH_BYTES;
        if is_full { self.write_batch() } else { Ok(()) }
    }

    fn write_batch(&mut self) -> Result<(), CanonicalError> {
        if self.batch == 0 {
            return Ok(());
        }
        self.rows += std::mem::take(&mut self.batch) as u64;
        self.batch_bytes = 0;
        let mut columns = Vec::<ArrayRef>::with_capacity(self.columns.len() + 1);
        if self.schema.keyed {
            columns.push(Arc::new(UInt32Array::from(std::mem::take(&mut self.groups))));
        }
        for column in &mut self.columns {
            columns.push(column.finish()?);
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.arrow), columns)?;
        Ok(self.writer.write(&batch)?)
    }

    /// Ends the file; tells how many rows it has.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub fn finish(mut self) -> Result<u64, CanonicalError> {
        self.write_batch()?;
        let mut file = self.writer.into_inner()?;
        file.flush().map_err(|error| CanonicalError::Write { source: error })?;
        Ok(self.rows)
    }
}
