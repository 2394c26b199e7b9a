//! States as Arrow has them.

use arrow_array::RecordBatch;
use tidegate_canonical::{arrow::batches, convert::to_canonical};
use tidegate_snapshot::{manifest::Manifest, store::LoadedSnapshot};

use crate::{Error, Result, Savepoint};

/// A savepoint in canonical form.
pub(crate) struct Tables {
    manifest: Manifest,
    loaded: LoadedSnapshot,
}

impl Tables {
    pub(crate) fn new(manifest: &Manifest, loaded: LoadedSnapshot) -> Result<Self> {
        let (manifest, loaded) = to_canonical(manifest, loaded)?;
        Ok(Self { manifest, loaded })
    }
}

impl Savepoint {
    /// A state as Arrow has it: one column for the key group, one for the key, one for the value and,
    /// with TTL, one for its time. This needs the feature `arrow`.
    ///
    /// # Errors
    ///
    /// When there is no such state.
    pub fn batches(&self, uid: &str, state: &str) -> Result<Vec<RecordBatch>> {
        let Tables { manifest, loaded } = &self.tables;
        let missing = || Error::Missing(format!("state `{state}` of operator `{uid}`"));
        batches(manifest, loaded, uid, state)?.ok_or_else(missing)
    }
}
