//! The operators behind the methods of [`Stream`](crate::Stream) and
//! [`KeyedStream`](crate::KeyedStream).
//!
//! Each works batch by batch in a tight loop: a virtual call per batch, none per record.

mod emitted;
pub(crate) mod fold;
pub mod process;
pub(crate) mod stateless;
pub mod timestamps;
pub mod unkeyed;

use std::sync::Arc;

use tidegate_core::{OperatorSnapshot, RestoredState};
use tidegate_state::{KeyedSnapshot, RestoreSource};
use tidegate_types::KeyGroupRange;
use tracing::warn;

use crate::Result;

/// Hands the keyed state of a snapshot to `restore`, which returns the names of states that the program
/// has no more.
fn restore_keyed(
    uid: &tidegate_types::OperatorUid,
    restored: &RestoredState,
    restore: impl FnOnce(
        &[RestoreSource<'_>],
    ) -> std::result::Result<Vec<String>, tidegate_state::StateError>,
) -> Result<()> {
    let sources = restored.keyed.iter().map(|keyed| RestoreSource {
        blocks: Arc::clone(&keyed.blocks),
        states: &keyed.states,
        key_type: &keyed.key_type,
    });
    let sources = sources.collect::<Vec<_>>();
    for name in restore(&sources)? {
        warn!(operator = %uid, state = name, "the program does not declare this state any more; it is dropped");
    }
    Ok(())
}

/// A snapshot of keyed state.
fn keyed_snapshot(
    key_type: &str,
    range: KeyGroupRange,
    (states, keyed): (Vec<tidegate_snapshot::manifest::StateDescription>, Box<dyn KeyedSnapshot>),
) -> OperatorSnapshot {
    OperatorSnapshot {
        key_type: Some(key_type.to_owned()),
        states,
        keyed: Some((range, keyed)),
        ..OperatorSnapshot::default()
    }
}

#[cfg(test)]
mod tests;
