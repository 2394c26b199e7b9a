//! Who is JobManager: one at a time, as far as anybody can see, and one whose word counts, for certain.
//!
//! ```text
//!   <high-availability.storageDir>/<cluster id>/
//!     leader/<epoch>    who was JobManager from that epoch on
//!     alive/            which one lives
//!     sequence          tells these epochs from all others: they are compared with each other only
//! ```
//!
//! # Protocol
//!
//! A candidate waits while another JobManager is seen alive ([`tidegate_storage::presence`]), unless
//! it is to take over. Then it appends to the log of those that have led ([`tidegate_storage::log`]):
//! the number of its entry is its epoch. A leader leaves signs of life, looks whether a later epoch
//! has come, and ends if one has.
//!
//! # Invariants
//!
//! - INV-EPOCH: an epoch has one JobManager, and epochs only grow.
//! - INV-WAIT: nobody puts a JobManager out of office that is seen alive, unless told to.
//!
//! # Failure
//!
//! A leader that is taken for dead and is not, because it stood still or could not reach the store,
//! does no harm: nothing that it does counts without a record in a job's log, where a later epoch is
//! seen ([`crate::ha`]). No clock and no lock decides that.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tidegate_runtime::Host;
use tidegate_storage::{
    Place, StoreError,
    log::{self, JobLog, LogError, Run},
    presence::{Presence, PresenceOptions},
};
use tidegate_types::{Random, RunToken, error::chain};
use tracing::{info, warn};

use crate::ha::HaStore;

/// How often a leader looks at most whether a later epoch has come.
const LOOK: Duration = Duration::from_secs(1);

/// The record that tells a sequence of JobManagers from others.
const SEQUENCE: &str = "sequence";

/// Why a JobManager does not lead.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Who has led can't be read.
    #[error("who is JobManager can't be read or written")]
    Log(#[source] LogError),
    /// Another one does.
    #[error("another JobManager has taken over: {by}; this was epoch {own}")]
    TakenOver {
        /// Which one.
        by: String,
        /// The epoch that is over.
        own: u64,
    },
}

/// How leadership is passed on.
#[derive(Clone, Debug)]
pub struct LeaderOptions {
    /// What this JobManager is called by those that wait for it.
    pub name: String,
    /// How often it leaves a sign of life.
    pub retry_period: Duration,
    /// After how much silence another one counts as dead.
    pub lease_duration: Duration,
    /// Whether to take over from one that is alive.
    pub take_over: bool,
}

/// An epoch in which this process is the JobManager.
#[derive(Debug)]
pub struct Leadership {
    store: Place,
    cluster: String,
    log: JobLog,
    sequence: u64,
    look: Duration,
    /// `None` once it has said that it ends.
    presence: Mutex<Option<Presence>>,
}

impl Leadership {
    /// Waits until no other JobManager leads, and becomes the one of the next epoch.
    ///
    /// # Errors
    ///
    /// When the folder or URL can't be used.
    pub async fn gain(
        storage_dir: &str,
        cluster: &str,
        options: &LeaderOptions,
    ) -> Result<Self, LeaderError> {
        Self::gain_on(storage_dir, cluster, options, &Host::system()).await
    }

    /// As [`Leadership::gain`], with something else than what the system has.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn gain_on(
        storage_dir: &str,
        cluster: &str,
        options: &LeaderOptions,
        host: &Host,
    ) -> Result<Self, LeaderError> {
        let store = host.places.open(storage_dir)?;
        let cluster = cluster.trim_matches('/').to_owned();
        let LeaderOptions { name, retry_period, lease_duration, take_over } = options.clone();
        let run = Run { token: RunToken::of(host.random.number()), rank: None, name };
        let options = PresenceOptions { period: retry_period, silence: lease_duration, take_over };
        let folder = store.folder(&cluster);
        let presence = Presence::claim_in_turn(&folder.folder("alive"), &run, options).await?;
        let (log, _) = log::take_over(&folder.folder("leader"), run.clone())
            .await
            .map_err(LeaderError::Log)?;
        log.forget_take_overs().await;
        let sequence = sequence_of(&folder, host.random.as_ref()).await?;
        info!(epoch = log.taken_over(), storage_dir, name = run.name, "JobManager of a new epoch");
        let (look, presence) = (LOOK.min(retry_period), Mutex::new(Some(presence)));
        Ok(Self { store, cluster, log, sequence, look, presence })
    }

    /// What the JobManager of this epoch keeps.
    #[must_use]
    pub fn store(&self) -> HaStore {
        HaStore::new(self.store.clone(), self.cluster.clone(), self.log.clone(), self.sequence)
    }

    /// Looks until another JobManager has taken over, and tells which.
    pub async fn keep(&self) -> LeaderError {
        let mut look = tokio::time::interval(self.look);
        loop {
            look.tick().await;
            match self.check().await {
                Ok(()) => {}
                Err(error @ LeaderError::TakenOver { .. }) => return error,
                Err(error) => warn!(error = chain(&error), "is this still the JobManager?"),
            }
        }
    }

    /// Whether no later epoch has come.
    ///
    /// # Errors
    ///
    /// [`LeaderError::TakenOver`] if one has.
    pub async fn check(&self) -> Result<(), LeaderError> {
        self.log.check().await.map_err(|error| match error {
            LogError::Fenced { by } => LeaderError::TakenOver { by, own: self.log.taken_over() },
            error => LeaderError::Log(error),
        })
    }

    /// Says that this epoch is over, so that nobody waits for its end.
    pub async fn end(&self) {
        let presence = self.presence.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(presence) = presence {
            presence.leave(false).await;
        }
    }
}

/// The number of the sequence of JobManagers whose folder this is, chosen by the first.
async fn sequence_of(folder: &Place, random: &dyn Random) -> Result<u64, StoreError> {
    let records = folder.records("");
    loop {
        let found = records.read(SEQUENCE).await?;
        let number = found.as_deref().and_then(|text| std::str::from_utf8(text).ok());
        if let Some(number) = number.and_then(|text| u64::from_str_radix(text, 16).ok()) {
            return Ok(number);
        }
        if found.is_some() {
            // Whoever had the number is gone: with another one, its runs are those of strangers.
            warn!(%folder, "the record '{SEQUENCE}' is damaged, and written anew");
            records.remove(SEQUENCE).await?;
        }
        let number = format!("{:016x}", random.number());
        records.create(SEQUENCE, number.into()).await?;
    }
}

#[cfg(test)]
mod tests;
