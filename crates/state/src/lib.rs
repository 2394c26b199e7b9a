//! Keyed and operator state of Tidegate: shared with snapshots per key group, timers, TTL.
//!
//! ```text
//!   user code --- handles ----+                          +--- KeyedSnapshot ---> encoder's thread
//!                             v                          |
//!                       KeyedBackend --- tables, timers -+    shared per key group
//!                                                        |
//!   reduce, aggregate --- SingleTable -------------------+
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`table`] | the entries of one state, packed for an encoder while the worker writes them |
//! | [`backend`] | all keyed states of a subtask, the current key, its timers |
//! | [`handles`] | what user code holds: value, list, map, reducing and aggregating state |
//! | [`ttl`] | time to live |
//! | [`declared`] | what a program says about its states |
//! | [`evolve`] | whether a state's type can be read as another one |
//! | [`operator_state`] | lists that belong to a subtask, not to a key |
//!
//! Everything here lives on one worker thread, without a lock; only snapshots leave it.
//!
//! # Not here
//!
//! Where a snapshot's bytes go: `tidegate-snapshot`. When there is one: `tidegate-checkpoint`.

#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "tests wait, and do things at the same time")
)]

mod as_json;
pub mod backend;
mod cell;
pub mod declared;
mod describe;
mod error;
pub mod evolve;
pub mod handles;
pub mod operator_state;
mod single;
mod snapshot;
mod store;
pub mod table;
mod timers;
pub mod ttl;

use serde::{Serialize, de::DeserializeOwned};

pub use as_json::AsJson;
pub use backend::{KeyedBackend, StateName};
pub use declared::{DeclaredList, DeclaredState, Fate, KeyedDeclaration, StateDeclaration};
pub use describe::{
    accepted,
    check::{UnfitType, check_key, check_type},
    shape::{Body, Field, Fields, Name, Shape},
    type_description,
};
pub use error::StateError;
pub use handles::{
    AggregateFunction, AggregatingState, ListState, MapState, ReducingState, ValueState,
};
pub use operator_state::{OperatorBackend, OperatorListState, Redistribution, decode_as_declared};
pub use single::SingleTable;
pub use snapshot::KeyedSnapshot;
pub use store::RestoreSource;
pub use table::{
    KeyedTable, PREFETCH_WINDOW, hash_keys,
    packing::{Pack, Packed, Piece},
    shared::{PackError, SharedGroup},
};
pub use timers::{DueTimer, TimeDomain};
pub use ttl::{StateTtl, TtlUpdate, TtlVisibility};

/// What can be a key: a type that serde writes and reads, and whose values can be compared.
///
/// The hash is that of the key's serialized bytes ([`tidegate_types::KeyHash`]), so that it stays
/// the same over builds and machines; equal keys must serialize to equal bytes, and others to
/// others. In debug builds, and with the option `state.check-keys`, the first 1,000 keys of each
/// state are looked at for that.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a key",
    label = "its keys are `{Self}`",
    note = "a key is owned, equals itself, and is written and read by serde",
    note = "a type of your own: `#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]`",
    note = "a part that is borrowed from the record: `.clone()` or `.to_owned()` it",
    note = "a float: take `.to_bits()` of it, or a whole number of some unit"
)]
pub trait Key: Eq + Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Eq + Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Key for T {}

/// What can be kept as state: a type that serde writes and reads.
///
/// A value of which a part has expired may be cloned while a snapshot is being encoded.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is kept as state: `#[derive(Clone, Serialize, Deserialize)]`",
    label = "`{Self}` can't be kept",
    note = "a state is owned, can be cloned and shared with other threads, and is written and read by \
            serde, and so is all that it holds"
)]
pub trait StateValue: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> StateValue for T {}
