//! Whole snapshots, from one form to the other.
//!
//! # Invariants
//!
//! - INV-SAME: what a restore gets from a canonical snapshot is what it would have got from the native
//!   one: the same entries, in the same key groups unless the max parallelism has changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use tidegate_snapshot::{
    SnapshotError, codec,
    described::Described,
    manifest::{
        KeyedManifest, ListSummary, ListTable, ListsManifest, Manifest, OperatorManifest,
        SegmentLocation, SegmentRef, SnapshotForm, SubtaskManifest, TableManifest,
    },
    segment::{ItemType, KeyedSegmentReader, KeyedSegmentWriter, ListSegment, ListState},
    store::LoadedSnapshot,
    wire::{Walk, skip},
};
use tidegate_types::{
    KeyGroup, KeyGroupRange, KeyHash, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex,
};

use crate::{
    CanonicalError,
    paths::{escaped, table_path},
    reader::TableReader,
    table::{TableSchema, TableWriter},
};

/// What of a snapshot is wanted in the native form.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// How many key groups the job has now, if that is given: keys find new ones if there were others.
    pub max_parallelism: Option<MaxParallelism>,
    /// Of how many subtasks which ones; without it all.
    pub subtasks: Option<(Parallelism, Range<u32>)>,
    /// The operators whose keys are of another type now: any of theirs may be wanted.
    pub rekeyed: BTreeSet<OperatorUid>,
    /// The operators of which no keyed state is wanted.
    pub without_keyed: BTreeSet<OperatorUid>,
}

impl Wanted {
    /// The key groups of the subtasks that are wanted.
    fn groups(&self, max: MaxParallelism) -> Option<KeyGroupRange> {
        let (parallelism, subtasks) = self.subtasks.as_ref()?;
        let owned = |index| KeyGroupRange::owned_by(SubtaskIndex(index), *parallelism, max);
        let last = subtasks.end.checked_sub(1)?;
        Some(KeyGroupRange { start: owned(subtasks.start).start, end: owned(last).end })
    }

    /// How many key groups an operator gets, if that is not as many as it had.
    fn regroups(&self, operator: &OperatorManifest) -> Option<MaxParallelism> {
        self.max_parallelism.filter(|max| *max != operator.max_parallelism)
    }
}

/// Where a subtask's state lies once it is in the native form.
fn segment_path(uid: &OperatorUid, index: SubtaskIndex, kind: &str) -> String {
    format!("{}/{index}.{kind}", escaped(uid.as_str()))
}

/// A canonical snapshot as if it were a native one, to plan a restore by; its segments are nowhere. A
/// native one stays as it is.
#[must_use]
pub fn native_view(manifest: &Manifest, wanted: &Wanted) -> Manifest {
    let mut view = manifest.clone();
    if manifest.form == SnapshotForm::Canonical {
        view.form = SnapshotForm::Native;
        for (uid, operator) in &mut view.operators {
            view_operator(uid, operator, wanted);
        }
    }
    view
}

fn view_operator(uid: &OperatorUid, operator: &mut OperatorManifest, wanted: &Wanted) {
    let empty = |kind: &str, index| SegmentRef {
        location: SegmentLocation::File { path: segment_path(uid, index, kind), offset: 0 },
        length: 0,
        crc32c: 0,
    };
    for subtask in &mut operator.subtasks {
        let tables = std::mem::take(&mut subtask.tables);
        let index = subtask.index;
        let groups = tables.iter().find_map(|table| table.groups);
        subtask.keyed =
            groups.map(|groups| KeyedManifest { groups, segment: empty("keyed", index) });
        let summary = |table: &TableManifest| {
            let redistribution = table.list.as_ref()?.redistribution;
            let name = table.state.clone();
            let item_type = item_type(table.list.as_ref()?);
            Some(ListSummary { name, redistribution, items: table.rows, item_type })
        };
        let lists = tables.iter().filter_map(summary).collect::<Vec<_>>();
        subtask.lists =
            (!lists.is_empty()).then(|| ListsManifest { lists, segment: empty("lists", index) });
    }
    if let Some(max) = wanted.regroups(operator) {
        operator.max_parallelism = max;
        let had_keys = operator.subtasks.iter_mut().filter_map(|subtask| subtask.keyed.take());
        let any = had_keys.count() > 0;
        // All keys are looked for in one place: they may have come from anywhere.
        if let Some(first) = operator.subtasks.first_mut().filter(|_| any) {
            let groups = KeyGroupRange { start: 0, end: max.get() };
            first.keyed = Some(KeyedManifest { groups, segment: empty("keyed", first.index) });
        }
    }
}

/// Where the files of a snapshot come from, one after the other as they are needed.
pub trait Files: Sync {
    /// A whole file, checked. The thread may have to wait for it.
    ///
    /// # Errors
    ///
    /// When there is none of this path, or it can't be read.
    fn file(&self, path: &str) -> Result<Bytes, SnapshotError>;

    /// On how many threads at once they may be asked for; with one alone it is the caller's own.
    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

impl Files for LoadedSnapshot {
    fn file(&self, path: &str) -> Result<Bytes, SnapshotError> {
        Self::file(self, path)
    }
}

/// A canonical snapshot in the native form, in memory. A native one stays as it is.
///
/// # Errors
///
/// When a file is not what the manifest says of it.
pub fn to_native(
    manifest: &Manifest,
    loaded: LoadedSnapshot,
    wanted: &Wanted,
) -> Result<(Manifest, LoadedSnapshot), CanonicalError> {
    if manifest.form == SnapshotForm::Native {
        return Ok((manifest.clone(), loaded));
    }
    tables_to_native(manifest, loaded.name(), &loaded, wanted)
}

/// What is wanted of a canonical snapshot of that name in the native form, in memory. As many of its
/// files are held at once as there are processors, each until it is converted, and none is asked for
/// that holds nothing that is wanted.
///
/// # Errors
///
/// When a file is not what the manifest says of it, or can't be read.
pub fn tables_to_native(
    manifest: &Manifest,
    name: &str,
    files: &dyn Files,
    wanted: &Wanted,
) -> Result<(Manifest, LoadedSnapshot), CanonicalError> {
    let mut view = native_view(manifest, wanted);
    let mut work = Vec::new();
    for (uid, operator) in &manifest.operators {
        let regroups = wanted.regroups(operator);
        if regroups.is_some() {
            work.push(Work {
                uid,
                operator,
                regroups,
                subtasks: operator.subtasks.iter().collect(),
            });
        } else {
            work.extend(operator.subtasks.iter().map(|subtask| Work {
                uid,
                operator,
                regroups,
                subtasks: vec![subtask],
            }));
        }
    }
    let files = in_parallel(files.at_once(), work, |work| work.run(files, wanted))?;
    let files = files.into_iter().flatten().collect::<BTreeMap<_, _>>();
    for operator in view.operators.values_mut() {
        for subtask in &mut operator.subtasks {
            let keyed = subtask.keyed.iter_mut().map(|keyed| &mut keyed.segment);
            let lists = subtask.lists.iter_mut().map(|lists| &mut lists.segment);
            keyed.chain(lists).for_each(|segment| fill(segment, &files));
        }
    }
    let native = LoadedSnapshot::new(name, files);
    view.files = native.entries();
    Ok((view, native))
}

fn fill(segment: &mut SegmentRef, files: &BTreeMap<String, Bytes>) {
    let SegmentLocation::File { path, .. } = &segment.location else { return };
    if let Some(bytes) = files.get(path) {
        segment.length = bytes.len() as u64;
        segment.crc32c = crc32c::crc32c(bytes);
    }
}

/// Does all of it, on so many threads; the first error ends it.
fn in_parallel<T: Send, R: Send>(
    threads: usize,
    work: Vec<T>,
    run: impl Fn(T) -> Result<R, CanonicalError> + Sync,
) -> Result<Vec<R>, CanonicalError> {
    let threads = threads.min(work.len());
    let work = Mutex::new(work);
    let next = || work.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let one = || {
        let mut done = Vec::new();
        while let Some(work) = next() {
            done.push(run(work)?);
        }
        Ok::<_, CanonicalError>(done)
    };
    if threads <= 1 {
        return one();
    }
    std::thread::scope(|scope| {
        let threads = (0..threads).map(|_| scope.spawn(one)).collect::<Vec<_>>();
        let mut all = Vec::new();
        for thread in threads {
            let done = thread.join();
            let panicked = |_| CanonicalError::malformed("a thread has panicked over it");
            all.extend(done.map_err(panicked)??);
        }
        Ok(all)
    })
}

/// The state of one subtask, or of several whose keys find new groups.
struct Work<'a> {
    uid: &'a OperatorUid,
    operator: &'a OperatorManifest,
    regroups: Option<MaxParallelism>,
    subtasks: Vec<&'a SubtaskManifest>,
}

impl Work<'_> {
    fn run(
        self,
        loaded: &dyn Files,
        wanted: &Wanted,
    ) -> Result<Vec<(String, Bytes)>, CanonicalError> {
        let mut files = Vec::new();
        if let Some(keyed) = self.keyed(loaded, wanted)? {
            let first = self.subtasks.first().map_or(SubtaskIndex(0), |subtask| subtask.index);
            files.push((segment_path(self.uid, first, "keyed"), keyed));
        }
        for subtask in &self.subtasks {
            let tables = subtask.tables.iter();
            let lists = tables.filter_map(|table| Some((table, table.list.as_ref()?)));
            let states = lists.map(|(table, list)| read_list(loaded, table, list));
            let states = states.collect::<Result<Vec<_>, _>>()?;
            if !states.is_empty() {
                let path = segment_path(self.uid, subtask.index, "lists");
                files.push((path, ListSegment { states }.encode().into()));
            }
        }
        Ok(files)
    }

    fn keyed(&self, loaded: &dyn Files, wanted: &Wanted) -> Result<Option<Bytes>, CanonicalError> {
        if wanted.without_keyed.contains(self.uid) {
            return Ok(None);
        }
        let max = self.regroups.unwrap_or(self.operator.max_parallelism);
        let range = wanted.groups(max).filter(|_| !wanted.rekeyed.contains(self.uid));
        let mut blocks = BTreeMap::<(KeyGroup, u16), Block>::new();
        let mut groups = None;
        for subtask in &self.subtasks {
            for table in &subtask.tables {
                let Some(own) = table.groups else { continue };
                // Where keys find new groups any of them may be wanted.
                let is_wanted = range.is_none_or(|range| !range.intersection(&own).is_empty());
                if self.regroups.is_none() && !is_wanted {
                    continue;
                }
                groups = Some(match self.regroups {
                    Some(max) => KeyGroupRange { start: 0, end: max.get() },
                    None => own,
                });
                self.read_table(loaded, table, own, range, &mut blocks)?;
            }
        }
        let Some(groups) = groups else { return Ok(None) };
        let mut writer = KeyedSegmentWriter::new(groups);
        for ((group, state), block) in blocks {
            writer.begin_block(group, state);
            writer.buffer().extend_from_slice(&block.bytes);
            writer.end_block(block.entries);
        }
        Ok(Some(writer.finish().into()))
    }

    fn read_table(
        &self,
        loaded: &dyn Files,
        table: &TableManifest,
        own: KeyGroupRange,
        range: Option<KeyGroupRange>,
        blocks: &mut BTreeMap<(KeyGroup, u16), Block>,
    ) -> Result<(), CanonicalError> {
        let state = self.operator.states.iter().find(|state| state.name == table.state);
        let state = state.ok_or_else(|| {
            CanonicalError::malformed(format!("the state `{}` is not described", table.state))
        })?;
        let key_type = self.operator.key_type.as_deref().unwrap_or_default();
        let Some(path) = &table.path else { return Ok(()) };
        let schema = TableSchema::keyed(key_type, state);
        let reader = TableReader::open(schema, loaded.file(path)?)?;
        let key = Described::parse(key_type);
        let mut rows = 0;
        reader.for_each(None, |group, bytes, ends| {
            rows += 1;
            if !own.contains(group) {
                return Err(CanonicalError::malformed(format!(
                    "the table `{path}` has a key of key group {group}, which it is not for"
                )));
            }
            let group = match self.regroups {
                None => group,
                Some(max) => hash_of(&key, &bytes[..ends[0]])?.group(max),
            };
            if range.is_none_or(|range| range.contains(group)) {
                let block = blocks.entry((group, state.id)).or_default();
                block.entries += 1;
                block.bytes.extend_from_slice(bytes);
            }
            Ok(())
        })?;
        check_rows(table, rows)
    }
}

fn check_rows(table: &TableManifest, rows: u64) -> Result<(), CanonicalError> {
    if rows == table.rows {
        return Ok(());
    }
    Err(CanonicalError::malformed(format!(
        "the table of `{}` has {rows} rows, and {} are expected",
        table.state, table.rows
    )))
}

/// The entries of one state of one key group.
#[derive(Default)]
struct Block {
    entries: u64,
    bytes: Vec<u8>,
}

/// The hash of a key in the native form.
///
/// # Errors
///
/// When the bytes are no such key, or its type can't be described.
pub fn hash_of(key: &Described, bytes: &[u8]) -> Result<KeyHash, CanonicalError> {
    let mut rest = bytes;
    skip(&mut rest, &key.root, &key.definitions)?;
    if !rest.is_empty() {
        return Err(CanonicalError::malformed("bytes are left over behind a key"));
    }
    let cell = std::cell::Cell::new(bytes);
    Ok(KeyHash::of(&Walk::new(key, &cell)))
}

fn read_list(
    loaded: &dyn Files,
    table: &TableManifest,
    list: &ListTable,
) -> Result<ListState, CanonicalError> {
    let (name, redistribution) = (table.state.clone(), list.redistribution);
    let item_type = item_type(list);
    let Some(path) = &table.path else {
        return Ok(ListState { name, redistribution, item_type, items: Vec::new() });
    };
    let schema = TableSchema::list(&table.state, list.value_type.as_deref());
    let reader = TableReader::open(schema, loaded.file(path)?)?;
    let mut prefix = Vec::new();
    if let Some(value_type) = list.value_type.as_ref().filter(|_| list.described) {
        codec::encode(value_type, &mut prefix)
            .map_err(|error| CanonicalError::malformed(error.to_string()))?;
    }
    let mut items = Vec::new();
    reader.for_each(None, |_, bytes, _| {
        items.push([&prefix[..], bytes].concat().into());
        Ok(())
    })?;
    check_rows(table, items.len() as u64)?;
    Ok(ListState { name, redistribution, item_type, items })
}

fn item_type(list: &ListTable) -> ItemType {
    match &list.value_type {
        _ if list.described => ItemType::Own,
        Some(value_type) => ItemType::Is(value_type.clone()),
        None => ItemType::Unknown,
    }
}

/// The items of a list of operator state as a table keeps them, and what it says of them.
#[must_use]
pub fn items_of(list: &ListState) -> (ListTable, Vec<Bytes>) {
    let redistribution = list.redistribution;
    let described = list.item_type == ItemType::Own;
    let typed = match &list.item_type {
        ItemType::Unknown => None,
        ItemType::Is(value_type) => Some((value_type.clone(), list.items.clone())),
        ItemType::Own => without_descriptions(&list.items),
    };
    match typed {
        Some((value_type, items)) if are_of(&value_type, &items) => {
            (ListTable { redistribution, value_type: Some(value_type), described }, items)
        }
        _ => {
            let table = ListTable { redistribution, value_type: None, described: false };
            (table, list.items.clone())
        }
    }
}

/// Items without the description of their type, if that is the same for all.
fn without_descriptions(items: &[Bytes]) -> Option<(String, Vec<Bytes>)> {
    let mut all = Vec::with_capacity(items.len());
    let mut of = None;
    for item in items {
        let mut rest = &item[..];
        let value_type = codec::decode::<String>(&mut rest).ok()?;
        if *of.get_or_insert_with(|| value_type.clone()) != value_type {
            return None;
        }
        all.push(item.slice(item.len() - rest.len()..));
    }
    Some((of?, all))
}

/// Whether items are of a type, and nothing is behind them.
fn are_of(value_type: &str, items: &[Bytes]) -> bool {
    let of = Described::parse(value_type);
    items.iter().all(|item| {
        let mut rest = &item[..];
        skip(&mut rest, &of.root, &of.definitions).is_ok() && rest.is_empty()
    })
}

/// A native snapshot in the canonical form, in memory. A canonical one stays as it is.
///
/// # Errors
///
/// When it is damaged, or a state's type can't be described: only the job itself can write that.
pub fn to_canonical(
    manifest: &Manifest,
    loaded: LoadedSnapshot,
) -> Result<(Manifest, LoadedSnapshot), CanonicalError> {
    if manifest.form == SnapshotForm::Canonical {
        return Ok((manifest.clone(), loaded));
    }
    let mut canonical = manifest.clone();
    canonical.form = SnapshotForm::Canonical;
    let work = manifest.operators.iter().flat_map(|(uid, operator)| {
        operator.subtasks.iter().map(move |subtask| (uid, operator, subtask))
    });
    let tables = in_parallel(loaded.at_once(), work.collect(), |(uid, operator, subtask)| {
        let tables = tables_of(uid, operator, subtask, &loaded)?;
        Ok(((uid.clone(), subtask.index), tables))
    })?;
    let mut files = BTreeMap::new();
    for ((uid, index), tables) in tables {
        let operator = canonical.operators.get_mut(&uid);
        let subtasks = operator.into_iter().flat_map(|operator| &mut operator.subtasks);
        for subtask in subtasks.filter(|subtask| subtask.index == index) {
            (subtask.keyed, subtask.lists) = (None, None);
            subtask.tables = tables.iter().map(|(table, _)| table.clone()).collect();
        }
        files.extend(tables.into_iter().filter_map(|(table, file)| Some((table.path?, file))));
    }
    let tables = LoadedSnapshot::new(loaded.name(), files);
    canonical.files = tables.entries();
    Ok((canonical, tables))
}

/// A subtask's state as tables, with their files.
fn tables_of(
    uid: &OperatorUid,
    operator: &OperatorManifest,
    subtask: &SubtaskManifest,
    loaded: &LoadedSnapshot,
) -> Result<Vec<(TableManifest, Bytes)>, CanonicalError> {
    let mut tables = Vec::new();
    let path = |state: &str| table_path(uid, state, subtask.index, 0);
    if let Some(keyed) = &subtask.keyed {
        let segment = KeyedSegmentReader::open(loaded.segment(&keyed.segment)?)?;
        for state in &operator.states {
            let key_type = operator.key_type.as_deref().unwrap_or_default();
            let schema = TableSchema::keyed(key_type, state);
            let columns = schema.describe();
            let mut file = Vec::new();
            let mut writer = TableWriter::new(schema, &mut file)?;
            let blocks = segment.blocks_in(keyed.groups);
            for block in blocks.filter(|block| block.state == state.id) {
                writer.add_entries(block.group, block.entries, block.bytes)?;
            }
            let rows = writer.finish()?;
            let table = TableManifest {
                state: state.name.clone(),
                path: (rows > 0).then(|| path(&state.name)),
                rows,
                groups: Some(keyed.groups),
                list: None,
                columns,
            };
            tables.push((table, file.into()));
        }
    }
    if let Some(lists) = &subtask.lists {
        for list in lists.decode(&loaded.segment(&lists.segment)?)? {
            let (table, items) = items_of(&list);
            let schema = TableSchema::list(&list.name, table.value_type.as_deref());
            let columns = schema.describe();
            let mut file = Vec::new();
            let mut writer = TableWriter::new(schema, &mut file)?;
            for item in &items {
                writer.add_entry(KeyGroup(0), &[item])?;
            }
            let rows = writer.finish()?;
            let path = (rows > 0).then(|| path(&list.name));
            let table = TableManifest {
                state: list.name,
                path,
                rows,
                groups: None,
                list: Some(table),
                columns,
            };
            tables.push((table, file.into()));
        }
    }
    Ok(tables)
}
