//! Where a job's snapshots go.

use tidegate_snapshot::{SnapshotError, store::SnapshotStore};
use tidegate_storage::{Place, Places, StoreError};

use super::{JobError, JobSettings};

/// Where snapshots go.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) checkpoints: SnapshotStore,
    pub(crate) savepoints: Option<SnapshotStore>,
    /// What else is open already.
    known: Places,
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        Self::caused_by(error.kind(), &error)
    }
}

impl From<SnapshotError> for JobError {
    fn from(error: SnapshotError) -> Self {
        Self::caused_by(error.kind(), &error)
    }
}

impl Stores {
    /// The folder of what is the job's and no snapshot.
    pub(crate) fn job_folder(&self, spec: &JobSettings) -> Place {
        self.checkpoints.job_folder(spec.id, spec.options.checkpointing.create_subdir)
    }

    /// From where every location's text is found.
    pub(crate) fn places(&self) -> Places {
        let stores = [Some(&self.checkpoints), self.savepoints.as_ref()];
        let own = stores.into_iter().flatten().map(|store| store.place().clone());
        Places::new(own).and(&self.known)
    }
}

/// Finds the stores that the options name: one of `places`, or opened now.
///
/// # Errors
///
/// When an address is not one.
pub(crate) fn open_stores(spec: &JobSettings, places: &Places) -> Result<Stores, JobError> {
    let options = &spec.options.checkpointing;
    let in_memory = || format!("memory://{}", spec.id);
    let open = |text: &str| places.open(text).map(SnapshotStore::from);
    let checkpoints = open(&options.dir.clone().unwrap_or_else(in_memory))?;
    let savepoints = options.savepoint_dir.as_deref().map(open).transpose()?;
    Ok(Stores { checkpoints, savepoints, known: places.clone() })
}
