//! Keyed and operator state of Tidegate: copy on write per key group, timers, TTL.

pub mod table;

use serde::{Serialize, de::DeserializeOwned};

pub use table::{KeyedTable, SharedGroup};

/// What can be a key: a type that serde writes and reads, and whose values can be compared.
///
/// The hash is that of the key's serialized bytes ([`tidegate_types::KeyHash`]), so that it stays
/// the same over builds and machines; equal keys must serialize to equal bytes.
pub trait Key: Eq + Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<T: Eq + Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Key for T {}

/// What can be kept as state: a type that serde writes and reads.
///
/// Cloning it is what copy on write costs, while a snapshot is being encoded.
pub trait StateValue: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> StateValue for T {}
