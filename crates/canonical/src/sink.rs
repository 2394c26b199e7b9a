//! Takes keyed state as it is encoded, key group by key group, into a table per state.

use std::io::Write;

use bytes::Bytes;
use tidegate_snapshot::{manifest::StateDescription, segment::BlockSink};
use tidegate_types::{BoxError, KeyGroup};

use crate::{
    CanonicalError,
    table::{TableSchema, TableWriter},
};

/// Writes the states of one subtask, each into a file of its own once it has an entry.
pub struct TableSink<W: Write + Send, F: FnMut(&StateDescription) -> W> {
    schemas: Vec<TableSchema>,
    states: Vec<StateDescription>,
    writers: Vec<Option<TableWriter<W>>>,
    create: F,
    open: Option<(KeyGroup, u16)>,
}

impl<W: Write + Send, F: FnMut(&StateDescription) -> W> TableSink<W, F> {
    /// For states by their numbers; `create` begins the file of one.
    pub fn new(key_type: &str, states: Vec<StateDescription>, create: F) -> Self {
        Self {
            schemas: states.iter().map(|state| TableSchema::keyed(key_type, state)).collect(),
            writers: states.iter().map(|_| None).collect(),
            states,
            create,
            open: None,
        }
    }

    fn place(&self, id: u16) -> Result<usize, CanonicalError> {
        let place = self.states.iter().position(|state| state.id == id);
        place.ok_or_else(|| CanonicalError::malformed(format!("there is no state {id}")))
    }

    fn schema(&self) -> Option<&TableSchema> {
        let (_, id) = self.open?;
        self.place(id).ok().map(|place| &self.schemas[place])
    }

    fn add(&mut self, entries: &[u8], count: u64, bounds: &[usize]) -> Result<(), CanonicalError> {
        let Some((group, id)) = self.open else { return Ok(()) };
        let place = self.place(id)?;
        let schema = &self.schemas[place];
        let writer = match &mut self.writers[place] {
            Some(writer) => writer,
            empty => {
                let file = (self.create)(&self.states[place]);
                empty.insert(TableWriter::new(schema.clone(), file)?)
            }
        };
        if !schema.wants_bounds() {
            return writer.add_entries(group, count, entries);
        }
        let mut from = 0;
        for pair in bounds.chunks_exact(2) {
            let (key, value) = (&entries[from..pair[0]], &entries[pair[0]..pair[1]]);
            writer.add_entry(group, &schema.split(key, value)?)?;
            from = pair[1];
        }
        Ok(())
    }

    /// Ends all files; tells how many entries each state has: those with none have no file.
    ///
    /// # Errors
    ///
    /// When one can't be written.
    pub fn finish(self) -> Result<Vec<(StateDescription, TableSchema, u64)>, CanonicalError> {
        let all = self.states.into_iter().zip(self.schemas).zip(self.writers);
        all.map(|((state, schema), writer)| {
            Ok((state, schema, writer.map_or(Ok(0), TableWriter::finish)?))
        })
        .collect()
    }
}

impl<W: Write + Send, F: FnMut(&StateDescription) -> W> BlockSink for TableSink<W, F> {
    fn begin_block(&mut self, group: KeyGroup, state: u16) {
        self.open = Some((group, state));
    }

    fn wants_bounds(&self) -> bool {
        self.schema().is_some_and(TableSchema::wants_bounds)
    }

    fn put(&mut self, entries: Bytes, count: u64, bounds: &[usize]) -> Result<(), BoxError> {
        Ok(self.add(&entries, count, bounds)?)
    }

    fn end_block(&mut self) {
        self.open = None;
    }
}
