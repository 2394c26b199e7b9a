//! What is in a snapshot of either form, row by row, without the job's code.

use tidegate_snapshot::{
    described::{Described, Type},
    manifest::{Manifest, OperatorManifest, SubtaskManifest},
    segment::KeyedSegmentReader,
    store::LoadedSnapshot,
};
use tidegate_types::{KeyGroup, KeyGroupRange, OperatorUid, SubtaskIndex};

use crate::{
    CanonicalError,
    convert::{hash_of, items_of},
    reader::TableReader,
    table::TableSchema,
};

/// A state of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateInfo {
    /// The operator.
    pub uid: OperatorUid,
    /// What a person calls that.
    pub operator: String,
    /// The state's name.
    pub name: String,
    /// `value`, `list`, `map`, `reducing`, `aggregating`, `timer`, or `operator-list`.
    pub kind: String,
    /// The keys' type, if it is keyed.
    pub key_type: Option<String>,
    /// The values' type, if it is known.
    pub value_type: Option<String>,
    /// The time after which values expire, in milliseconds, if they do.
    pub ttl_ms: Option<u64>,
    /// How many entries or items it has.
    pub rows: u64,
    /// How many bytes they have, in this form.
    pub bytes: u64,
    /// The files that they are in, if the state has files of its own.
    pub files: Vec<String>,
}

/// A row of a state.
pub struct Row<'a> {
    /// Whose it is.
    pub subtask: SubtaskIndex,
    /// The key's group, if the state is keyed.
    pub group: Option<KeyGroup>,
    /// Its columns: name, type, and value in the native form.
    pub columns: Vec<(&'static str, &'a Described, &'a [u8])>,
}

/// A snapshot in memory.
pub struct Inspector {
    manifest: Manifest,
    loaded: LoadedSnapshot,
}

/// What a function that is handed rows answers.
type Taken = Result<(), CanonicalError>;

impl Inspector {
    /// Over a snapshot that has been read.
    #[must_use]
    pub fn new(manifest: Manifest, loaded: LoadedSnapshot) -> Self {
        Self { manifest, loaded }
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All states, by operator.
    ///
    /// # Errors
    ///
    /// When it is damaged.
    pub fn states(&self) -> Result<Vec<StateInfo>, CanonicalError> {
        let mut states = Vec::new();
        for (uid, operator) in &self.manifest.operators {
            for state in &operator.states {
                let mut info = StateInfo {
                    uid: uid.clone(),
                    operator: operator.name.clone(),
                    name: state.name.clone(),
                    kind: state.kind.clone(),
                    key_type: operator.key_type.clone(),
                    value_type: Some(state.value_type.clone()),
                    ttl_ms: state.ttl_ms,
                    rows: 0,
                    bytes: 0,
                    files: Vec::new(),
                };
                for subtask in &operator.subtasks {
                    self.add_keyed(&mut info, state.id, subtask)?;
                }
                states.push(info);
            }
            for name in list_names(operator) {
                states.push(self.list_info(uid, operator, &name)?);
            }
        }
        Ok(states)
    }

    fn add_keyed(
        &self,
        info: &mut StateInfo,
        id: u16,
        subtask: &SubtaskManifest,
    ) -> Result<(), CanonicalError> {
        if let Some(keyed) = &subtask.keyed {
            let segment = KeyedSegmentReader::open(self.loaded.segment(&keyed.segment)?)?;
            let blocks = segment.blocks_in(keyed.groups);
            for block in blocks.filter(|block| block.state == id) {
                info.rows += block.entries;
                info.bytes += block.bytes.len() as u64;
            }
        }
        let own = |state: &str| state == info.name;
        let tables = subtask.tables.iter().filter(|table| table.groups.is_some());
        for table in tables.filter(|table| own(&table.state)).collect::<Vec<_>>() {
            self.add_table(info, table);
        }
        Ok(())
    }

    fn add_table(&self, info: &mut StateInfo, table: &tidegate_snapshot::manifest::TableManifest) {
        info.rows += table.rows;
        if let Some(path) = &table.path {
            info.bytes += self.manifest.files.get(path).map_or(0, |file| file.length);
            info.files.push(path.clone());
        }
    }

    fn list_info(
        &self,
        uid: &OperatorUid,
        operator: &OperatorManifest,
        name: &str,
    ) -> Result<StateInfo, CanonicalError> {
        let mut info = StateInfo {
            uid: uid.clone(),
            operator: operator.name.clone(),
            name: name.to_owned(),
            kind: "operator-list".to_owned(),
            key_type: None,
            value_type: None,
            ttl_ms: None,
            rows: 0,
            bytes: 0,
            files: Vec::new(),
        };
        for subtask in &operator.subtasks {
            for table in &subtask.tables {
                if let Some(list) = table.list.as_ref().filter(|_| table.state == name) {
                    info.value_type = info.value_type.or_else(|| list.value_type.clone());
                    self.add_table(&mut info, table);
                }
            }
        }
        self.each_list(operator, name, |_, value_type, items| {
            info.value_type = info.value_type.take().or(value_type.map(str::to_owned));
            info.rows += items.len() as u64;
            info.bytes += items.iter().map(|item| item.len() as u64).sum::<u64>();
            Ok(())
        })?;
        Ok(info)
    }

    /// The items of a list in the native form, by subtask, with their type if it can be told.
    fn each_list(
        &self,
        operator: &OperatorManifest,
        name: &str,
        mut take: impl FnMut(SubtaskIndex, Option<&str>, &[bytes::Bytes]) -> Taken,
    ) -> Result<(), CanonicalError> {
        for subtask in &operator.subtasks {
            let Some(lists) = &subtask.lists else { continue };
            let lists = lists.decode(&self.loaded.segment(&lists.segment)?)?;
            for list in lists.into_iter().filter(|list| list.name == name) {
                let (table, items) = items_of(&list);
                let value_type = table
                    .value_type
                    .filter(|text| !matches!(Described::parse(text).root, Type::Opaque(_)));
                let items = if value_type.is_some() { items } else { list.items };
                take(subtask.index, value_type.as_deref(), &items)?;
            }
        }
        Ok(())
    }

    /// Hands out every row of a state.
    ///
    /// # Errors
    ///
    /// When there is no such state, it is damaged, or what `take` reports.
    pub fn for_each_row(
        &self,
        state: &StateInfo,
        mut take: impl FnMut(Row<'_>) -> Taken,
    ) -> Result<(), CanonicalError> {
        let operator = self.manifest.operators.get(&state.uid);
        let operator = operator.ok_or_else(|| {
            CanonicalError::malformed(format!("there is no operator `{}`", state.uid))
        })?;
        if state.kind == "operator-list" {
            self.list_rows(operator, state, &mut take)
        } else {
            self.keyed_rows(operator, state, &mut take)
        }
    }

    fn list_rows(
        &self,
        operator: &OperatorManifest,
        state: &StateInfo,
        take: &mut impl FnMut(Row<'_>) -> Taken,
    ) -> Result<(), CanonicalError> {
        self.each_list(operator, &state.name, |subtask, value_type, items| {
            let schema = TableSchema::list(&state.name, value_type);
            for item in items {
                take(row(subtask, None, &schema, item, &[item.len()]))?;
            }
            Ok(())
        })?;
        for subtask in &operator.subtasks {
            for table in subtask.tables.iter().filter(|table| table.state == state.name) {
                let (Some(list), Some(path)) = (&table.list, &table.path) else { continue };
                let schema = TableSchema::list(&state.name, list.value_type.as_deref());
                let reader = TableReader::open(schema.clone(), self.loaded.file(path)?)?;
                reader.for_each(None, |_, bytes, ends| {
                    take(row(subtask.index, None, &schema, bytes, ends))
                })?;
            }
        }
        Ok(())
    }

    fn keyed_rows(
        &self,
        operator: &OperatorManifest,
        state: &StateInfo,
        take: &mut impl FnMut(Row<'_>) -> Taken,
    ) -> Result<(), CanonicalError> {
        let described = operator.states.iter().find(|described| described.name == state.name);
        let described = described.ok_or_else(|| {
            CanonicalError::malformed(format!("there is no state `{}`", state.name))
        })?;
        let key_type = operator.key_type.as_deref().unwrap_or_default();
        let schema = TableSchema::keyed(key_type, described);
        for subtask in &operator.subtasks {
            if let Some(keyed) = &subtask.keyed {
                let segment = KeyedSegmentReader::open(self.loaded.segment(&keyed.segment)?)?;
                let blocks = segment.blocks_in(keyed.groups);
                for block in blocks.filter(|block| block.state == described.id) {
                    let mut rest = block.bytes;
                    for _ in 0..block.entries {
                        let (bytes, ends) = schema.next_entry(&mut rest)?;
                        take(row(subtask.index, Some(block.group), &schema, bytes, &ends))?;
                    }
                }
            }
            let tables = subtask.tables.iter().filter(|table| table.groups.is_some());
            for table in tables.filter(|table| table.state == state.name) {
                let Some(path) = &table.path else { continue };
                let reader = TableReader::open(schema.clone(), self.loaded.file(path)?)?;
                reader.for_each(None, |group, bytes, ends| {
                    take(row(subtask.index, Some(group), &schema, bytes, ends))
                })?;
            }
        }
        Ok(())
    }

    /// Looks whether every key of a state is in the key group that it belongs to, and every key group
    /// with the subtask that has it; tells how many rows there are, and whether keys could be looked
    /// at.
    ///
    /// # Errors
    ///
    /// The first row that is wrong.
    pub fn check(&self, state: &StateInfo) -> Result<(u64, bool), CanonicalError> {
        let operator = self.manifest.operators.get(&state.uid);
        let max = operator.map(|operator| operator.max_parallelism);
        let groups_of = |index: SubtaskIndex| -> Option<KeyGroupRange> {
            let subtask = operator?.subtasks.iter().find(|subtask| subtask.index == index)?;
            let tables = subtask.tables.iter().find_map(|table| table.groups);
            subtask.keyed.as_ref().map(|keyed| keyed.groups).or(tables)
        };
        let (mut rows, mut looked) = (0, true);
        self.for_each_row(state, |row| {
            rows += 1;
            let (Some(group), Some(max)) = (row.group, max) else { return Ok(()) };
            if groups_of(row.subtask).is_none_or(|groups| !groups.contains(group)) {
                return Err(CanonicalError::malformed(format!(
                    "subtask {} has a key of key group {group}, which is not one of its own",
                    row.subtask
                )));
            }
            let (_, of, key) = row.columns[0];
            if matches!(of.root, Type::Opaque(_)) {
                looked = false;
                return Ok(());
            }
            let right = hash_of(of, key)?.group(max);
            if right == group {
                return Ok(());
            }
            Err(CanonicalError::malformed(format!(
                "a key is in key group {group}, and belongs to {right}"
            )))
        })?;
        if rows == state.rows {
            return Ok((rows, looked));
        }
        let problem = format!("it has {rows} rows, and {} are expected", state.rows);
        Err(CanonicalError::malformed(problem))
    }
}

/// The names of an operator's states of every kind, sorted.
#[must_use]
pub fn state_names(operator: &OperatorManifest) -> Vec<String> {
    let keyed = operator.states.iter().map(|state| state.name.clone());
    let mut names = keyed.chain(list_names(operator)).collect::<Vec<_>>();
    names.sort();
    names
}

fn list_names(operator: &OperatorManifest) -> Vec<String> {
    let native = operator.subtasks.iter().filter_map(|subtask| subtask.lists.as_ref());
    let native = native.flat_map(|lists| lists.lists.iter().map(|list| list.name.clone()));
    let tables = operator.subtasks.iter().flat_map(|subtask| &subtask.tables);
    let tables = tables.filter(|table| table.list.is_some()).map(|table| table.state.clone());
    let mut names = native.chain(tables).collect::<Vec<_>>();
    names.sort();
    names.dedup();
    names
}

fn row<'a>(
    subtask: SubtaskIndex,
    group: Option<KeyGroup>,
    schema: &'a TableSchema,
    bytes: &'a [u8],
    ends: &[usize],
) -> Row<'a> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let parts = starts.zip(ends).map(|(start, end)| &bytes[start..*end]);
    let columns = schema.columns().zip(parts).map(|((name, of), part)| (name, of, part));
    Row { subtask, group, columns: columns.collect() }
}
