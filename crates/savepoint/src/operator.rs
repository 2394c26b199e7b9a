//! An operator's state in memory: entries by key group, lists by subtask.

use std::collections::BTreeMap;

use bytes::Bytes;
use tidegate_snapshot::{
    manifest::{
        KeyedManifest, ListSummary, ListsManifest, OperatorManifest, SegmentLocation, SegmentRef,
        StateDescription, SubtaskManifest,
    },
    segment::{KeyedSegmentReader, KeyedSegmentWriter, ListSegment, ListState},
    store::LoadedSnapshot,
};
use tidegate_types::{
    KeyGroup, KeyGroupRange, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex, key_group,
};

use crate::{Error, Result};

/// The entries of a state, by key group: how many, and their bytes.
pub(crate) type Groups = BTreeMap<KeyGroup, (u64, Vec<u8>)>;

/// An operator with all of its state.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) name: String,
    pub(crate) max_parallelism: MaxParallelism,
    pub(crate) key_type: Option<String>,
    pub(crate) states: Vec<(StateDescription, Groups)>,
    /// By subtask: its lists, and whether it had consumed its input.
    pub(crate) subtasks: Vec<(Vec<ListState>, bool)>,
}

impl Operator {
    pub(crate) fn new(max_parallelism: MaxParallelism) -> Self {
        let (name, subtasks) = ("keyed".to_owned(), vec![(Vec::new(), false)]);
        Self { name, max_parallelism, key_type: None, states: Vec::new(), subtasks }
    }

    /// Of a snapshot in the native form.
    pub(crate) fn read(manifest: &OperatorManifest, loaded: &LoadedSnapshot) -> Result<Self> {
        let states = manifest.states.iter().map(|state| (state.clone(), Groups::new()));
        let mut operator = Self {
            name: manifest.name.clone(),
            max_parallelism: manifest.max_parallelism,
            key_type: manifest.key_type.clone(),
            states: states.collect(),
            subtasks: Vec::new(),
        };
        for subtask in &manifest.subtasks {
            if let Some(keyed) = &subtask.keyed {
                let segment = KeyedSegmentReader::open(loaded.segment(&keyed.segment)?)?;
                for block in segment.blocks_in(keyed.groups) {
                    let own = operator.states.iter_mut();
                    let state = own.into_iter().find(|(state, _)| state.id == block.state);
                    let state =
                        state.ok_or_else(|| Error::Missing(format!("state {}", block.state)));
                    let (entries, bytes) = state?.1.entry(block.group).or_default();
                    *entries += block.entries;
                    bytes.extend_from_slice(block.bytes);
                }
            }
            let lists = subtask.lists.as_ref();
            let lists = lists.map(|lists| lists.decode(&loaded.segment(&lists.segment)?));
            operator.subtasks.push((lists.transpose()?.unwrap_or_default(), subtask.finished));
        }
        Ok(operator)
    }

    /// The one of this uid.
    pub(crate) fn of<'a>(all: &'a BTreeMap<OperatorUid, Self>, uid: &str) -> Result<&'a Self> {
        all.get(&OperatorUid::from(uid)).ok_or_else(|| Error::no_operator(uid))
    }

    /// A keyed state of it; it is called `uid` itself.
    pub(crate) fn state(&self, uid: &str, name: &str) -> Result<&(StateDescription, Groups)> {
        let found = self.states.iter().find(|(state, _)| state.name == name);
        found.ok_or_else(|| Error::Missing(format!("keyed state `{name}` of operator `{uid}`")))
    }

    /// In the native form: the files go to `files`, under names that begin with `prefix`.
    pub(crate) fn write(
        &self,
        prefix: &str,
        files: &mut BTreeMap<String, Bytes>,
    ) -> OperatorManifest {
        let mut place = |name: String, bytes: Vec<u8>| {
            let bytes = Bytes::from(bytes);
            let (length, crc32c) = (bytes.len() as u64, crc32c::crc32c(&bytes));
            files.insert(name.clone(), bytes);
            let location = SegmentLocation::File { path: name, offset: 0 };
            SegmentRef { location, length, crc32c }
        };
        let states = self
            .states
            .iter()
            .zip(0..)
            .map(|((state, _), id)| StateDescription { id, ..state.clone() });
        let states = states.collect::<Vec<_>>();
        let keyed = self.key_type.as_ref().map(|_| {
            // All of it belongs to one subtask: a restore spreads it.
            let groups = KeyGroupRange { start: 0, end: self.max_parallelism.get() };
            let segment = place(format!("{prefix}.keyed"), self.segment(groups));
            KeyedManifest { groups, segment }
        });
        let mut keyed = keyed.into_iter();
        let subtasks = self.subtasks.iter().zip(0_u32..).map(|((lists, finished), index)| {
            let lists = (!lists.is_empty()).then(|| {
                let segment = ListSegment { states: lists.clone() }.encode();
                let segment = place(format!("{prefix}-{index}.lists"), segment);
                ListsManifest { lists: lists.iter().map(ListSummary::of).collect(), segment }
            });
            let (keyed, tables) = (keyed.next(), Vec::new());
            let index = SubtaskIndex(index);
            SubtaskManifest { index, finished: *finished, keyed, lists, tables }
        });
        OperatorManifest {
            name: self.name.clone(),
            parallelism: Parallelism::new(self.subtasks.len() as u32).unwrap_or(Parallelism::ONE),
            max_parallelism: self.max_parallelism,
            key_hash: self.key_type.as_ref().map(|_| key_group::FINGERPRINT.to_owned()),
            key_type: self.key_type.clone(),
            subtasks: subtasks.collect(),
            states,
        }
    }

    fn segment(&self, groups: KeyGroupRange) -> Vec<u8> {
        let mut blocks = BTreeMap::new();
        for ((_, own), id) in self.states.iter().zip(0_u16..) {
            blocks.extend(own.iter().map(|(group, block)| ((*group, id), block)));
        }
        let mut writer = KeyedSegmentWriter::new(groups);
        for ((group, id), (entries, bytes)) in blocks {
            writer.begin_block(group, id);
            writer.buffer().extend_from_slice(bytes);
            writer.end_block(*entries);
        }
        writer.finish()
    }
}
