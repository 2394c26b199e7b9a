//! Jobs get another parallelism.

use tidegate_types::JobId;
use tracing::info;

use super::{Dispatcher, RescaleError};
use crate::scheduler::Requirements;

impl Dispatcher {
    /// Changes how many subtasks a job may have. It goes on with as many as before until there are
    /// slots for what is wanted now, and then rescales behind a checkpoint.
    ///
    /// # Errors
    ///
    /// When there is no such job, or it can't have so many.
    pub async fn rescale(&self, id: JobId, wanted: Requirements) -> Result<(), RescaleError> {
        let view = self.job(id).ok_or(RescaleError::NoJob(id))?;
        if view.status.is_terminal() {
            return Err(RescaleError::Ended(id, view.status));
        }
        let most = view.stats.max_parallelism;
        if wanted.upper.get() > most.get() {
            return Err(RescaleError::TooMany { wanted: wanted.upper, most });
        }
        if wanted.lower > wanted.upper {
            return Err(RescaleError::Bounds(wanted));
        }
        if let Some(ha) = &self.0.ha {
            ha.put_requirements(id, wanted).await?;
        }
        if let Some(job) = self.lock().get(&id) {
            info!(job = %id, lower = %wanted.lower, upper = %wanted.upper, "rescaling is asked for");
            job.requirements.send_replace(wanted);
        }
        Ok(())
    }
}
