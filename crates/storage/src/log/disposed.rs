//! Savepoints that are gone because somebody wanted that: what they alone held is nobody's any
//! more.
//!
//! ```text
//!   <folder>/disposed/<id>   where the savepoint of that id lay
//! ```
//!
//! Whoever disposes of a savepoint need not run its job, so that this stands beside the sequence. A
//! savepoint that is merely not where it was may have been moved: it holds what it held.

use tidegate_types::CheckpointId;

use super::{Entries, JobLog, LogError, Recorded};
use crate::{Address, Place, Records};

const FOLDER: &str = "disposed";

fn records(folder: &Place) -> Records {
    folder.records(FOLDER)
}

/// Notes that a savepoint is gone, in the log in `folder`; tells whether that had to be noted.
///
/// # Errors
///
/// When the store does not answer, or an entry that counts is damaged.
pub async fn dispose(
    folder: &Place,
    checkpoint: CheckpointId,
    location: &str,
) -> Result<bool, LogError> {
    let Ok(address) = Address::parse(location) else { return Ok(false) };
    let entries = Entries::read(&folder.records("")).await?;
    if !entries.held().iter().any(|held| held.lies_at(checkpoint, &address)) {
        return Ok(false);
    }
    let note = location.to_owned().into();
    Ok(records(folder).create(&checkpoint.to_string(), note).await?)
}

impl Recorded {
    pub(super) fn lies_at(&self, checkpoint: CheckpointId, address: &Address) -> bool {
        self.checkpoint == checkpoint
            && Address::parse(&self.location).is_ok_and(|location| location == *address)
    }
}

impl JobLog {
    /// Lets go of what savepoints held that were disposed of: the next attempt may delete it. The
    /// next entry says so; until then the note is kept.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn let_go_of_disposed(&self) -> Result<(), LogError> {
        let mut end = self.end.lock().await;
        for name in self.disposed.names().await? {
            let Some(note) = self.disposed.read(&name).await? else { continue };
            let address = std::str::from_utf8(&note).ok().and_then(|at| Address::parse(at).ok());
            let checkpoint = name.parse().ok().map(CheckpointId);
            let (Some(address), Some(checkpoint)) = (address, checkpoint) else { continue };
            end.held.retain(|held| !held.lies_at(checkpoint, &address));
            if !end.written.iter().any(|held| held.lies_at(checkpoint, &address)) {
                self.disposed.remove(&name).await?;
            }
        }
        Ok(())
    }

    pub(super) fn disposed_in(folder: &Place) -> Records {
        records(folder)
    }
}
