//! The Parquet file of one state of one subtask.
//!
//! | column | keyed state | operator state |
//! |---|---|---|
//! | `key_group` | the key's group; rows are in its order | |
//! | `key` | the key | |
//! | `value` | the value, list or map; a timer's times | the item |
//! | `written_at` | with TTL, when the value, or each of a list, was written (a map has it inside) | |
//!
//! What a column looks like follows from the type: see `schema`.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::{Compression, ZstdLevel},
    file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::{Type as Column, TypePtr},
};
use tidegate_snapshot::{
    described::{Described, Type},
    manifest::StateDescription,
    wire::skip,
};
use tidegate_types::KeyGroup;

use crate::{CanonicalError, plan::Plan, schema, shred::Shredder, words};

/// How many rows become a row group, unless they are large.
const ROW_GROUP: usize = 128 << 10;
/// How many bytes become a row group, before they are compressed: what is held in memory while a file is
/// written.
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
    pub(crate) fn parquet(&self) -> TypePtr {
        schema::table(self.all().map(|(name, of)| schema::column(name, of)).collect())
    }

    /// How the columns of a file and the native form belong together; `None` if they don't.
    pub(crate) fn plan(&self, table: &Column) -> Option<Plan> {
        Plan::new(self.all().collect::<Vec<_>>().into_iter(), table)
    }

    /// The names and types of all columns.
    fn all(&self) -> impl Iterator<Item = (&str, &Type)> {
        let group = self.keyed.then_some((KEY_GROUP, &Type::UInt(32)));
        group.into_iter().chain(self.columns.iter().map(|(name, of)| (*name, &of.root)))
    }

    /// What people read in the file's own metadata.
    fn notes(&self) -> Vec<KeyValue> {
        let notes = self.notes.iter();
        notes.map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect()
    }

    /// The columns in words, for a manifest.
    #[must_use]
    pub fn describe(&self) -> String {
        words::columns(&self.parquet())
    }
}

/// Writes a table, entry by entry.
pub struct TableWriter<W: Write + Send> {
    schema: TableSchema,
    writer: SerializedFileWriter<W>,
    /// The row group at hand, and how many rows it has.
    shredder: Shredder,
    pending: usize,
    /// How many rows have been written.
    rows: u64,
    /// An entry has been taken in part: what is behind it is in the wrong places.
    torn: bool,
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub fn new(schema: TableSchema, file: W) -> Result<Self, CanonicalError> {
        let columns = schema.parquet();
        let plan = schema.plan(&columns);
        let plan = plan.ok_or_else(|| CanonicalError::malformed("its types have no columns"))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_dictionary_enabled(false)
            .set_key_value_metadata(Some(schema.notes()))
            .build();
        let writer = SerializedFileWriter::new(file, columns, Arc::new(properties))?;
        let shredder = Shredder::new(plan);
        Ok(Self { schema, writer, shredder, pending: 0, rows: 0, torn: false })
    }

    /// Adds the entries of a block: keys and values one behind the other.
    ///
    /// # Errors
    ///
    /// When they are not of the types that they should be, or the file can't be written. Nothing can be
    /// added afterwards.
    pub fn add_entries(
        &mut self,
        group: KeyGroup,
        entries: u64,
        mut bytes: &[u8],
    ) -> Result<(), CanonicalError> {
        for _ in 0..entries {
            let first = self.begin_row(group)?;
            for (column, (_, of)) in (first..).zip(&self.schema.columns) {
                self.shredder.append(column, &mut bytes, &of.definitions)?;
            }
            self.end_row()?;
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
        let first = self.begin_row(group)?;
        for ((column, (_, of)), part) in (first..).zip(&self.schema.columns).zip(parts) {
            if matches!(of.root, Type::Opaque(_)) {
                self.shredder.append_native(column, part)?;
                continue;
            }
            let mut rest = *part;
            self.shredder.append(column, &mut rest, &of.definitions)?;
            if !rest.is_empty() {
                return Err(CanonicalError::malformed("bytes are left over behind a value"));
            }
        }
        self.end_row()
    }

    /// Tells which column comes behind that of the key group.
    fn begin_row(&mut self, group: KeyGroup) -> Result<usize, CanonicalError> {
        if std::mem::replace(&mut self.torn, true) {
            return Err(CanonicalError::malformed("an entry before was not of its type"));
        }
        if self.schema.keyed {
            self.shredder.append_number(0, group.get())?;
        }
        Ok(usize::from(self.schema.keyed))
    }

    fn end_row(&mut self) -> Result<(), CanonicalError> {
        self.torn = false;
        self.pending += 1;
        let is_full = self.pending == ROW_GROUP || self.shredder.size() >= ROW_GROUP_BYTES;
        if is_full { self.write_row_group() } else { Ok(()) }
    }

    fn write_row_group(&mut self) -> Result<(), CanonicalError> {
        if self.pending == 0 {
            return Ok(());
        }
        self.rows += std::mem::take(&mut self.pending) as u64;
        let mut group = self.writer.next_row_group()?;
        self.shredder.write(&mut group)?;
        group.close()?;
        Ok(())
    }

    /// Ends the file; tells how many rows it has.
    ///
    /// # Errors
    ///
    /// When it can't be written, or an entry was not of its type.
    pub fn finish(mut self) -> Result<u64, CanonicalError> {
        if self.torn {
            return Err(CanonicalError::malformed("an entry was not of its type"));
        }
        self.write_row_group()?;
        let mut file = self.writer.into_inner()?;
        file.flush().map_err(|error| CanonicalError::Write { source: error })?;
        Ok(self.rows)
    }
}
