//! Who is JobManager: one at a time, as far as anybody can see, and one whose word counts, for certain.
//!
//! ```text
//!   <high-availability.storageDir>/<cluster id>/
//!     leader/<epoch>            who was JobManager in that epoch
//!     alive/<epoch>-<number>    its newest sign of life
//!     alive/<epoch>-ended       that it has ended in order
//!   <storageDir on a local disk>/<cluster id>.lock
//!                               locked by the process that leads, for as long as it lives
//! ```
//!
//! # Protocol
//!
//! A candidate looks who has the newest epoch, and waits while that one is seen alive. It is gone when
//! it has said that it has ended, when the kernel has let go of its lock, or when its signs of life
//! have not changed for the lease's duration, by the candidate's own monotonic clock: no times of two
//! machines are ever compared, and time in which the store could not be read does not count. Then, or
//! at once if somebody wants it to take over, the candidate writes the next epoch, create-if-absent.
//! A leader leaves signs of life, looks whether a later epoch has come, and ends if one has.
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
    fs::{File, TryLockError},
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidegate_storage::{Place, Records, StoreError};
use tidegate_types::error::chain;
use tracing::{debug, info, warn};

use crate::ha::{HaStore, name_of, numbers};

/// How often a leader looks at most whether a later epoch has come, and a candidate who leads.
const LOOK: Duration = Duration::from_secs(1);
/// How often a candidate says that it still waits.
const TELL: Duration = Duration::from_secs(10);
/// How many epochs are remembered.
const KEPT: usize = 20;

/// Why a JobManager does not lead.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another one does.
    #[error("another JobManager has taken over: {by}, in epoch {epoch}; this was epoch {own}")]
    TakenOver {
        /// Which one.
        by: String,
        /// Its epoch.
        epoch: u64,
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

/// Who was JobManager in an epoch.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Holder {
    name: String,
    /// Tells the kernel that it ran under from all others.
    kernel: Option<String>,
    /// Whether it holds the lock.
    locked: bool,
}

/// What a candidate has seen of the JobManager that leads, and since when nothing new.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sight {
    epoch: u64,
    sign: Option<String>,
    since: Instant,
}

impl Sight {
    fn new(now: Instant) -> Self {
        Self { epoch: 0, sign: None, since: now }
    }

    /// Takes in what can be seen now; tells for how long that has been all.
    fn silence(&mut self, epoch: u64, sign: Option<&str>, now: Instant) -> Duration {
        if (self.epoch, self.sign.as_deref()) != (epoch, sign) {
            *self = Self { epoch, sign: sign.map(str::to_owned), since: now };
        }
        now.saturating_duration_since(self.since)
    }

    /// Nothing could be seen: whatever has been silent may have spoken.
    fn blind(&mut self, now: Instant) {
        self.since = now;
    }
}

/// Whether the JobManager of the newest epoch still leads.
enum Verdict {
    /// There is none, or it is gone; with the epoch before the next one.
    Free(u64, Option<File>),
    /// It is seen alive, or was heard of so long ago.
    Alive { name: String, epoch: u64, silence: Duration },
}

/// Where leadership is kept.
#[derive(Clone, Debug)]
struct Seat {
    store: Place,
    cluster: String,
    lock: Option<PathBuf>,
}

impl Seat {
    fn open(storage_dir: &str, cluster: &str) -> Result<Self, StoreError> {
        let (store, cluster) = (Place::open(storage_dir)?, cluster.trim_matches('/'));
        let lock = local_folder(storage_dir)
            .map(|folder| folder.join(format!("{}.lock", cluster.replace('/', "-"))));
        Ok(Self { store, cluster: cluster.to_owned(), lock })
    }

    fn leaders(&self) -> Records {
        self.store.records(&format!("{}/leader", self.cluster))
    }

    fn signs(&self) -> Records {
        self.store.records(&format!("{}/alive", self.cluster))
    }

    async fn newest_epoch(&self) -> Result<u64, StoreError> {
        Ok(numbers(&self.leaders().names().await?).max().unwrap_or(0))
    }

    async fn holder(&self, epoch: u64) -> Result<Holder, StoreError> {
        let record = self.leaders().read(&name_of(epoch)).await?.unwrap_or_default();
        // Earlier versions have written less, and whatever can't be read is called by its epoch.
        let mut holder = serde_json::from_slice::<Holder>(&record).unwrap_or_default();
        if holder.name.is_empty() {
            holder.name = format!("the one of epoch {epoch}");
        }
        Ok(holder)
    }

    async fn look(
        &self,
        sight: &mut Sight,
        lease: Duration,
        take_over: bool,
    ) -> Result<Verdict, StoreError> {
        let epoch = self.newest_epoch().await?;
        let lock = self.lock.as_ref().and_then(try_lock);
        if epoch == 0 || take_over {
            return Ok(Verdict::Free(epoch, lock));
        }
        let holder = self.holder(epoch).await?;
        let prefix = format!("{}-", name_of(epoch));
        let signs = self.signs().names().await?;
        let sign = signs.iter().rfind(|sign| sign.starts_with(&prefix)).map(String::as_str);
        let silence = sight.silence(epoch, sign, Instant::now());
        let has_ended = sign == Some(&ended_name(epoch));
        let has_died = lock.is_some() && holder.locked && holder.kernel == kernel();
        if has_ended || has_died || silence >= lease {
            return Ok(Verdict::Free(epoch, lock));
        }
        Ok(Verdict::Alive { name: holder.name, epoch, silence })
    }

    /// Writes an epoch; tells whether nobody else has.
    async fn take(&self, epoch: u64, name: &str, locked: bool) -> Result<bool, StoreError> {
        let holder = Holder { name: name.to_owned(), kernel: kernel(), locked };
        let record = serde_json::to_vec(&holder).expect("a holder is plain data");
        if !self.leaders().create(&name_of(epoch), record.into()).await? {
            return Ok(false);
        }
        for old in numbers(&self.leaders().names().await?).rev().skip(KEPT) {
            self.leaders().remove(&name_of(old)).await?;
        }
        let prefix = format!("{}-", name_of(epoch));
        for old in self.signs().names().await?.iter().filter(|sign| **sign < prefix) {
            self.signs().remove(old).await?;
        }
        Ok(true)
    }
}

fn ended_name(epoch: u64) -> String {
    // Behind all numbers.
    format!("{}-ended", name_of(epoch))
}

/// The folder, if it is one on a disk of this machine.
fn local_folder(storage_dir: &str) -> Option<PathBuf> {
    match storage_dir.split_once(':') {
        Some(("file", path)) => Some(format!("/{}", path.trim_start_matches('/')).into()),
        Some((scheme, _)) if !scheme.contains('/') => None,
        _ => Some(storage_dir.into()),
    }
}

/// The lock, unless somebody else has it. Where it can't be had for another reason, as on some network
/// file systems, signs of life have to do.
fn try_lock(path: &PathBuf) -> Option<File> {
    let opened = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let opened = opened.and_then(|()| File::options().create(true).append(true).open(path));
    let locked = opened.map_err(TryLockError::Error).and_then(|file| {
        file.try_lock()?;
        Ok(file)
    });
    match locked {
        Ok(file) => Some(file),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => {
            debug!(%error, ?path, "the leader's lock can't be used");
            None
        }
    }
}

/// What tells the kernel that runs here from all others: only it knows of its processes' locks.
fn kernel() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// An epoch in which this process is the JobManager.
#[derive(Debug)]
pub struct Leadership {
    seat: Seat,
    epoch: u64,
    retry_period: Duration,
    /// Let go of by the kernel when this process ends.
    _lock: Option<File>,
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
        let seat = Seat::open(storage_dir, cluster)?;
        let LeaderOptions { name, retry_period, lease_duration, take_over } = options;
        let (mut sight, mut told) = (Sight::new(Instant::now()), None::<Instant>);
        // A store that does not answer at all is an error; one that stops doing so is waited for.
        let mut verdict = seat.look(&mut sight, *lease_duration, *take_over).await;
        loop {
            match verdict {
                Ok(Verdict::Free(before, lock)) => {
                    let epoch = before + 1;
                    if seat.take(epoch, name, lock.is_some()).await? {
                        info!(epoch, storage_dir, name, "JobManager of a new epoch");
                        let retry_period = *retry_period;
                        return Ok(Self { seat, epoch, retry_period, _lock: lock });
                    }
                }
                Ok(Verdict::Alive { name, epoch, silence }) => {
                    if told.is_none_or(|told| told.elapsed() >= TELL) {
                        told = Some(Instant::now());
                        warn!(
                            leader = name,
                            epoch,
                            "another JobManager leads: waiting for its end; it was silent for \
                             {silence:.1?} and counts as dead after {lease_duration:?}; \
                             --take-over takes over at once"
                        );
                    }
                }
                Err(error) if told.is_none() => return Err(error.into()),
                Err(error) => {
                    sight.blind(Instant::now());
                    warn!(error = chain(&error), "who leads? looking again");
                }
            }
            tokio::time::sleep(LOOK.min(*retry_period)).await;
            verdict = seat.look(&mut sight, *lease_duration, *take_over).await;
        }
    }

    /// What the JobManager of this epoch keeps.
    #[must_use]
    pub fn store(&self) -> HaStore {
        HaStore::new(self.seat.store.clone(), self.seat.cluster.clone(), self.epoch)
    }

    /// Leaves signs of life until another JobManager has taken over, and tells which.
    pub async fn keep(&self) -> LeaderError {
        let mut look = tokio::time::interval(LOOK.min(self.retry_period));
        let mut sign = tokio::time::interval(self.retry_period);
        let mut number = 0_u64;
        loop {
            let done = tokio::select! {
                _ = look.tick() => self.check().await,
                _ = sign.tick() => {
                    number += 1;
                    self.leave_sign(number).await.map_err(LeaderError::from)
                }
            };
            match done {
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
        let epoch = self.seat.newest_epoch().await?;
        if epoch <= self.epoch {
            return Ok(());
        }
        let by = self.seat.holder(epoch).await?.name;
        Err(LeaderError::TakenOver { by, epoch, own: self.epoch })
    }

    fn sign(&self, number: u64) -> String {
        format!("{}-{}", name_of(self.epoch), name_of(number))
    }

    async fn leave_sign(&self, number: u64) -> Result<(), StoreError> {
        let signs = self.seat.signs();
        signs.create(&self.sign(number), Bytes::from_static(b"{}")).await?;
        signs.remove(&self.sign(number - 1)).await
    }

    /// Says that this epoch is over, so that nobody waits for its end.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn end(&self) -> Result<(), LeaderError> {
        let signs = self.seat.signs();
        signs.create(&ended_name(self.epoch), Bytes::from_static(b"{}")).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
