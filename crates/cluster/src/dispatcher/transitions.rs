//! Jobs that are being started, and snapshots that are being deleted: which ids are taken, and which
//! snapshots are in use.
//!
//! # Invariants
//!
//! - INV-ONE: an id has one job that has not ended, or is being started.
//! - INV-IN-USE: no snapshot is deleted that a job holds, is to start from, or may be about to go on
//!   from; and no job starts from one that is being deleted. A job is seen as being started until it is
//!   listed with what it holds.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use tidegate_runtime::{Disposed, HeldSnapshot, JobError, dispose_savepoint, note_disposal};
use tidegate_snapshot::store::SnapshotLocation;
use tidegate_storage::{Address, Places};
use tidegate_types::{ErrorKind, JobId, error::chain, options::JobOptions};
use tracing::warn;

use super::{Dispatcher, Job, SubmitError, submit::options_of};

/// What is under way.
#[derive(Default)]
pub(super) struct Transitions {
    /// The jobs that are being started, and what they hold.
    starting: BTreeMap<JobId, HeldSnapshot>,
    /// Where snapshots lie that are being deleted; one may be so twice.
    disposals: Vec<Address>,
}

/// The right to start a job under an id, which nobody else has until this is dropped.
pub(super) struct Reservation {
    dispatcher: Dispatcher,
    id: JobId,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.dispatcher.transitions().starting.remove(&self.id);
    }
}

impl Reservation {
    /// It is known now what the job is called, and where the snapshot lies that it is to start from.
    ///
    /// # Errors
    ///
    /// When that one is being deleted.
    pub(super) fn start_from(&self, name: &str, location: &str) -> Result<(), SubmitError> {
        let mut transitions = self.dispatcher.transitions();
        let address = address_of(location)?;
        if transitions.disposals.contains(&address) {
            let message = format!("the snapshot '{location}' is just being disposed of");
            return Err(JobError::new(ErrorKind::Invalid, message).into());
        }
        let (job, name, location) = (self.id, name.to_owned(), Some(location.to_owned()));
        transitions.starting.insert(self.id, HeldSnapshot { job, name, location });
        Ok(())
    }
}

/// Of all texts for the same folder the same.
fn address_of(path: &str) -> Result<Address, JobError> {
    Ok(SnapshotLocation::parse(path)?.place().address().clone())
}

/// That a snapshot is being deleted, until this is dropped.
struct UnderDisposal<'a> {
    dispatcher: &'a Dispatcher,
    address: Address,
}

impl Drop for UnderDisposal<'_> {
    fn drop(&mut self) {
        let disposals = &mut self.dispatcher.transitions().disposals;
        if let Some(index) = disposals.iter().position(|address| *address == self.address) {
            disposals.swap_remove(index);
        }
    }
}

impl Dispatcher {
    /// Reserves an id under which no job runs or is being started.
    pub(super) fn reserve(&self, id: JobId) -> Result<Reservation, SubmitError> {
        // Both locks at once: a job that has been started passes from one to the other.
        let (jobs, mut transitions) = (self.lock(), self.transitions());
        let is_taken = jobs.get(&id).is_some_and(|job| job.end.is_none());
        if is_taken || transitions.starting.contains_key(&id) {
            return Err(SubmitError::Duplicate { id });
        }
        // As long as nobody knows what it starts from, it may be any of its own.
        let held = HeldSnapshot { job: id, name: id.to_string(), location: None };
        transitions.starting.insert(id, held);
        Ok(Reservation { dispatcher: self.clone(), id })
    }

    /// Deletes a snapshot, unless a job that has not ended may still need it.
    ///
    /// # Errors
    ///
    /// When there is none, a job holds it or is about to start from it, or it can't be deleted.
    pub async fn dispose(&self, path: &str) -> Result<(), JobError> {
        let address = address_of(path)?;
        let (held, _under_way) = self.begin_disposal(address);
        let disposed = dispose_savepoint(&Places::default(), path, &held).await?;
        self.tell_log(&disposed).await;
        Ok(())
    }

    /// Its job may delete what the snapshot alone held. The log lies where the job has it, as far
    /// as that is known here.
    async fn tell_log(&self, disposed: &Disposed) {
        let options = match self.job(disposed.job) {
            Some(job) => Ok(job.options.as_ref().clone()),
            None => {
                let mut configuration = BTreeMap::new();
                self.complete(&mut configuration);
                options_of(&configuration)
            }
        };
        let Ok(JobOptions { checkpointing, .. }) = options else { return };
        let Some(dir) = &checkpointing.dir else { return };
        let noted =
            note_disposal(&Places::default(), disposed, (dir, checkpointing.create_subdir)).await;
        if let Err(error) = noted {
            let Disposed { job, location, .. } = disposed;
            let error = chain(&error);
            warn!(%job, location, error, "what the snapshot held for sinks stays theirs");
        }
    }

    fn begin_disposal(&self, address: Address) -> (Vec<HeldSnapshot>, UnderDisposal<'_>) {
        // As above.
        let (jobs, mut transitions) = (self.lock(), self.transitions());
        let running = jobs.iter().filter(|(_, job)| job.end.is_none());
        let mut held = running.flat_map(|(id, job)| job.held(*id)).collect::<Vec<_>>();
        held.extend(transitions.starting.values().cloned());
        transitions.disposals.push(address.clone());
        (held, UnderDisposal { dispatcher: self, address })
    }

    fn transitions(&self) -> MutexGuard<'_, Transitions> {
        self.0.transitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    fn held(&self, id: JobId) -> Vec<HeldSnapshot> {
        let of = |location| {
            let name = self.description.name.clone();
            HeldSnapshot { job: id, name, location }
        };
        if self.is_held_up() {
            return vec![of(None)];
        }
        let held = self.handle.stats().held.into_iter();
        held.map(|location| of(Some(location))).collect()
    }

    /// Whether it is listed only until it can be recovered: then nobody knows from what it will go on.
    fn is_held_up(&self) -> bool {
        self.description.plan.tasks.is_empty()
    }
}

#[cfg(test)]
mod tests;
