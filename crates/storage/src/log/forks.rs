//! Snapshots of other jobs that a job has begun with while those lived: what they hold for sinks is
//! left to the jobs that they are of.
//!
//! ```text
//!   <folder>/forks/<id>   where the snapshot of that id lies
//! ```
//!
//! It is noted before an attempt begins, and stays: whoever starts the job from there again, after a
//! crash that both jobs went down in or under another JobManager, can't see any more that the other
//! one had gone on.

use tidegate_types::CheckpointId;

use super::{JobLog, LogError};
use crate::{Address, Place, Records};

const FOLDER: &str = "forks";

fn records(folder: &Place) -> Records {
    folder.records(FOLDER)
}

/// Whether the job whose log lies in `folder` has begun with that snapshot as a fork of its job.
///
/// # Errors
///
/// When the store does not answer.
pub async fn is_fork(
    folder: &Place,
    checkpoint: CheckpointId,
    location: &str,
) -> Result<bool, LogError> {
    let Some(noted) = records(folder).read(&checkpoint.to_string()).await? else {
        return Ok(false);
    };
    let noted = std::str::from_utf8(&noted).ok().and_then(|noted| Address::parse(noted).ok());
    Ok(noted.is_some() && noted == Address::parse(location).ok())
}

impl JobLog {
    /// Notes that the job begins with that snapshot, whose job lives.
    ///
    /// # Errors
    ///
    /// When the store does not answer: then no attempt may begin.
    pub async fn note_fork(
        &self,
        checkpoint: CheckpointId,
        location: &str,
    ) -> Result<(), LogError> {
        let name = checkpoint.to_string();
        loop {
            if self.forks.create(&name, location.to_owned().into()).await? {
                return Ok(());
            }
            if self.forks.read(&name).await?.is_some_and(|noted| noted == location.as_bytes()) {
                return Ok(());
            }
            // Of another snapshot of that id, from which this job does not begin any more.
            self.forks.remove(&name).await?;
        }
    }

    pub(super) fn forks_in(folder: &Place) -> Records {
        records(folder)
    }
}
