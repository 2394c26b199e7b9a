//! The lists that one subtask of one operator keeps.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{corrupt, strip_magic};
use crate::{SnapshotError, codec};

const LISTS_MAGIC: &[u8; 8] = b"TGlists1";

/// How a list is spread over subtasks when it is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Redistribution {
    /// Each item to one subtask, evenly.
    Split,
    /// All items to every subtask.
    Union,
    /// All subtasks hold the same items, and each new one takes a copy.
    Broadcast,
}

/// What is known of the type of a list's items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemType {
    /// Nothing.
    #[default]
    Unknown,
    /// Each item begins with a description of its own type.
    Own,
    /// All items are of the type with this description.
    Is(String),
}

impl ItemType {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

/// A list of operator state, its items encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListState {
    /// The state's name.
    pub name: String,
    /// How it is spread when it is restored.
    pub redistribution: Redistribution,
    /// Of which type they are; the segment does not keep it, but the manifest does.
    pub item_type: ItemType,
    /// The items, in order.
    pub items: Vec<Bytes>,
}
/// The operator state of one subtask: lists by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSegment {
    /// The lists.
    pub states: Vec<ListState>,
}

/// A list as it is encoded.
type EncodedList = (String, Redistribution, Vec<Vec<u8>>);

impl ListSegment {
    /// The segment's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let lists = self.states.iter().map(|list| {
            let items = list.items.iter().map(|item| item.to_vec()).collect();
            (list.name.clone(), list.redistribution, items)
        });
        let lists = lists.collect::<Vec<EncodedList>>();
        let mut bytes = LISTS_MAGIC.to_vec();
        codec::encode(&lists, &mut bytes).expect("lists of bytes can always be encoded");
        bytes
    }

    /// Reads what [`ListSegment::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Version`] when it is of another version, [`SnapshotError::Corrupt`] when the
    /// bytes are not a segment of lists.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let bytes = strip_magic(bytes, LISTS_MAGIC)?;
        let lists = codec::decode_exact::<Vec<EncodedList>>(bytes)
            .map_err(|error| corrupt(&format!("its lists can't be read: {error}")))?;
        let states = lists.into_iter().map(|(name, redistribution, items)| ListState {
            name,
            redistribution,
            item_type: ItemType::Unknown,
            items: items.into_iter().map(Bytes::from).collect(),
        });
        Ok(Self { states: states.collect() })
    }
}
