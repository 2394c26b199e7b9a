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
    entries: Vec<u8>,
    /// Instead of `entries`, all at once.
    whole: Bytes,
    /// Where the keys and values of the open block end, for types that can't be described.
    bounds: Vec<usize>,
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
            entries: Vec::new(),
            whole: Bytes::new(),
            bounds: Vec::new(),
        }
    }

    fn place(&self, id: u16) -> Result<usize, CanonicalError> {
        let place = self.states.iter().position(|state| state.id == id);
        place.ok_or_else(|| CanonicalError::malformed(format!("there is no state {id}")))
    }

    fn add(&mut self, entries: u64) -> Result<(), CanonicalError> {
        let Some((group, id)) = self.open.take() else { return Ok(()) };
        if entries == 0 {
            return Ok(());
        }
        let place = self.place(id)?;
        let schema = &self.schemas[place];
        let writer = match &mut self.writers[place] {
            Some(writer) => writer,
            empty => {
                let file = (self.create)(&self.states[place]);
                empty.insert(TableWriter::new(schema.clone(), file)?)
            }
        };
        let all = if self.whole.is_empty() { &self.entries[..] } else { &self.whole[..] };
        if !schema.wants_bounds() {
            return writer.add_entries(group, entries, all);
        }
        let mut from = 0;
        for pair in self.bounds.chunks_exact(2) {
            let (key, value) = (&all[from..pair[0]], &all[pair[0]..pair[1]]);
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
        self.entries.clear();
        self.whole.clear();
        self.bounds.clear();
    }

    fn entries(&mut self) -> (&mut Vec<u8>, Option<&mut Vec<usize>>) {
        let wants = |place: usize| self.schemas[place].wants_bounds();
        let id = self.open.map_or(0, |(_, id)| id);
        let wanted = self.place(id).is_ok_and(wants);
        (&mut self.entries, wanted.then_some(&mut self.bounds))
    }

    fn put(&mut self, entries: Bytes) {
        self.whole = entries;
    }

    fn end_block(&mut self, entries: u64) -> Result<(), BoxError> {
        Ok(self.add(entries)?)
    }
}
