//! What outlives a JobManager: its jobs, and who may complete their snapshots.
//!
//! ```text
//!   <high-availability.storageDir>/<cluster id>/
//!     leader/<epoch>           who was JobManager in that epoch
//!     jobs/<job id>            the submission; gone when the job has ended
//!     binaries/<sha-256>       the binary it was submitted with
//!     requirements/<job id>/<number>   how many subtasks it may have, once that was changed
//!     logs/<job id>/<number>   a completed snapshot, or that an epoch has taken the job over
//! ```
//!
//! # Protocol
//!
//! Every record is written once, create-if-absent. A JobManager takes an epoch above all that were
//! before. It takes a job over by appending to the job's log ([`tidegate_storage::log`], which says
//! what holds for it), with the epoch as its rank.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate_storage::{
    Place, Records, StoreError,
    log::{self, JobLog, LogError, Recorded, Run, RunToken},
};
use tidegate_types::JobId;
use tracing::info;

use crate::scheduler::Requirements;

/// How many epochs are remembered.
const KEPT: u64 = 20;

/// What went wrong with what is to outlive a JobManager.
#[derive(Debug, thiserror::Error)]
pub enum HaError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record can't be read.
    #[error("the record '{name}' in high-availability.storageDir is damaged")]
    Damaged {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A job can't be taken over.
    #[error("job {job} can't be taken over")]
    Log {
        /// The job.
        job: JobId,
        /// Why not.
        source: Box<LogError>,
    },
    /// Another JobManager has taken over.
    #[error("another JobManager, of epoch {epoch}, has taken over")]
    Fenced {
        /// Its epoch.
        epoch: u64,
    },
}

/// A job as it is to be submitted again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredJob {
    /// The content hash of its binary.
    pub artifact: String,
    /// What the binary was called.
    pub artifact_name: String,
    /// Its own arguments.
    pub arguments: Vec<String>,
    /// The options that it was submitted with.
    pub configuration: BTreeMap<String, String>,
    /// When that was, in milliseconds since 1970.
    pub submitted_ms: u64,
}

/// What a JobManager of one epoch keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HaStore {
    store: Place,
    cluster: String,
    epoch: u64,
}

/// Names that sort as their numbers do.
fn name_of(number: u64) -> String {
    format!("{number:020}")
}

fn numbers(names: &[String]) -> impl DoubleEndedIterator<Item = u64> {
    names.iter().filter_map(|name| name.parse().ok())
}

fn to_json(record: &impl Serialize) -> Bytes {
    serde_json::to_vec(record).expect("records are plain data").into()
}

fn from_json<T: DeserializeOwned>(name: &str, bytes: &Bytes) -> Result<T, HaError> {
    serde_json::from_slice(bytes)
        .map_err(|source| HaError::Damaged { name: name.to_owned(), source })
}

impl HaStore {
    /// Opens a folder or URL, and becomes the JobManager of the next epoch.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn open(storage_dir: &str, cluster: &str) -> Result<Self, HaError> {
        let store = Place::open(storage_dir)?;
        let cluster = cluster.trim_matches('/').to_owned();
        let leaders = store.records(&format!("{cluster}/leader"));
        loop {
            let names = leaders.names().await?;
            let epoch = numbers(&names).max().unwrap_or(0) + 1;
            if leaders.create(&name_of(epoch), Bytes::from_static(b"{}")).await? {
                for old in numbers(&names).rev().skip(KEPT as usize) {
                    leaders.remove(&name_of(old)).await?;
                }
                info!(epoch, storage_dir, "JobManager of a new epoch");
                return Ok(Self { store, cluster, epoch });
            }
        }
    }

    fn records(&self, below: &str) -> Records {
        self.store.records(&format!("{}/{below}", self.cluster))
    }

    /// Whether no other JobManager has come since.
    ///
    /// # Errors
    ///
    /// [`HaError::Fenced`] if one has.
    pub async fn check_leadership(&self) -> Result<(), HaError> {
        let names = self.records("leader").names().await?;
        let newest = numbers(&names).max().unwrap_or(self.epoch);
        if newest > self.epoch { Err(HaError::Fenced { epoch: newest }) } else { Ok(()) }
    }

    /// Keeps a job, and its binary.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn put_job(&self, id: JobId, job: &StoredJob, binary: Bytes) -> Result<(), HaError> {
        // A binary that is there is the same: its name is its hash.
        self.records("binaries").create(&job.artifact, binary).await?;
        self.records("jobs").create(&id.to_string(), to_json(job)).await?;
        Ok(())
    }

    /// All jobs that have not ended.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or a record is damaged.
    pub async fn jobs(&self) -> Result<Vec<(JobId, StoredJob)>, HaError> {
        let records = self.records("jobs");
        let mut jobs = Vec::new();
        for name in records.names().await? {
            let Ok(id) = name.parse() else { continue };
            if let Some(bytes) = records.read(&name).await? {
                jobs.push((id, from_json(&name, &bytes)?));
            }
        }
        Ok(jobs)
    }

    /// Keeps how many subtasks a job may have.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or another JobManager has taken over.
    pub async fn put_requirements(&self, id: JobId, wanted: Requirements) -> Result<(), HaError> {
        self.check_leadership().await?;
        let records = self.records(&format!("requirements/{id}"));
        loop {
            let names = records.names().await?;
            let next = numbers(&names).max().unwrap_or(0) + 1;
            if records.create(&name_of(next), to_json(&wanted)).await? {
                for old in numbers(&names) {
                    records.remove(&name_of(old)).await?;
                }
                return Ok(());
            }
        }
    }

    /// How many subtasks a job may have, if anybody has changed that.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or the record is damaged.
    pub async fn requirements(&self, id: JobId) -> Result<Option<Requirements>, HaError> {
        let records = self.records(&format!("requirements/{id}"));
        let Some(newest) = numbers(&records.names().await?).max() else { return Ok(None) };
        let name = name_of(newest);
        let bytes = records.read(&name).await?;
        bytes.map(|bytes| from_json(&name, &bytes)).transpose()
    }

    /// The binary with this hash.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn binary(&self, hash: &str) -> Result<Option<Bytes>, HaError> {
        Ok(self.records("binaries").read(hash).await?)
    }

    /// Forgets a job that has ended, and its binary if no other job has the same.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn remove_job(&self, id: JobId, artifact: &str) -> Result<(), HaError> {
        self.records("jobs").remove(&id.to_string()).await?;
        for records in ["logs", "requirements"] {
            let records = self.records(&format!("{records}/{id}"));
            for name in records.names().await? {
                records.remove(&name).await?;
            }
        }
        let others = self.jobs().await?;
        if others.iter().all(|(_, job)| job.artifact != artifact) {
            self.records("binaries").remove(artifact).await?;
        }
        Ok(())
    }

    /// Takes a job over, and tells which of its snapshots are complete, the highest id first.
    ///
    /// # Errors
    ///
    /// When the store does not answer, the job's log is damaged, or a later JobManager has it.
    pub async fn take_over(&self, id: JobId) -> Result<(JobLog, Vec<Recorded>), HaError> {
        let folder = self.store.folder(&format!("{}/logs/{id}", self.cluster));
        let (token, rank) = (RunToken(rand::random()), self.epoch);
        let run = Run { token, rank, name: "a JobManager".to_owned() };
        let taken = log::take_over(&folder, run).await;
        taken.map_err(|source| HaError::Log { job: id, source: source.into() })
    }
}

#[cfg(test)]
mod tests {
    use tidegate_storage::log::RecordedKind;
    use tidegate_types::{CheckpointId, Parallelism};

    use super::*;

    fn job() -> JobId {
        JobId::from_name("a")
    }

    fn snapshot(id: u64) -> Recorded {
        let (checkpoint, location) = (CheckpointId(id), format!("/chk-{id}"));
        Recorded { checkpoint, location, kind: RecordedKind::Checkpoint }
    }

    #[tokio::test]
    async fn the_newest_snapshot_is_found_by_the_next_jobmanager() {
        let first = HaStore::open("memory://ha-newest", "/default").await.expect("opens");
        let (log, before) = first.take_over(job()).await.expect("taken");
        assert_eq!(before, []);
        for id in [1, 3, 2] {
            log.append(snapshot(id)).await.expect("the only one");
        }
        let second = HaStore::open("memory://ha-newest", "/default").await.expect("opens");
        assert!(matches!(first.check_leadership().await, Err(HaError::Fenced { epoch: 2 })));
        let (_, before) = second.take_over(job()).await.expect("taken");
        assert_eq!(before, [snapshot(3), snapshot(2), snapshot(1)]);
    }

    #[tokio::test]
    async fn who_was_taken_over_from_completes_nothing_more_and_takes_nothing_back() {
        let first = HaStore::open("memory://ha-fenced", "/default").await.expect("opens");
        let (old, _) = first.take_over(job()).await.expect("taken");
        old.append(snapshot(1)).await.expect("the only one");
        let second = HaStore::open("memory://ha-fenced", "/default").await.expect("opens");
        let (new, before) = second.take_over(job()).await.expect("taken");
        assert_eq!(before, [snapshot(1)]);
        let refused = old.append(snapshot(2)).await.expect_err("taken over");
        assert!(matches!(refused, LogError::Fenced { .. }), "{refused}");
        let refused = first.take_over(job()).await.expect_err("a later one has it");
        let HaError::Log { source, .. } = refused else { panic!("{refused}") };
        assert!(matches!(&*source, LogError::Fenced { by } if by.contains("epoch 2")), "{source}");
        new.append(snapshot(2)).await.expect("its own");
    }

    #[tokio::test]
    async fn jobs_are_kept_until_they_end() {
        let store = HaStore::open("memory://ha-jobs", "/default").await.expect("opens");
        let stored = StoredJob {
            artifact: "ab".to_owned(),
            artifact_name: "job".to_owned(),
            arguments: vec!["--rate".to_owned()],
            configuration: BTreeMap::new(),
            submitted_ms: 7,
        };
        store.put_job(job(), &stored, Bytes::from_static(b"x")).await.expect("kept");
        let next = HaStore::open("memory://ha-jobs", "/default").await.expect("opens");
        assert_eq!(next.jobs().await.expect("reads"), [(job(), stored)]);
        assert_eq!(next.binary("ab").await.expect("reads"), Some(Bytes::from_static(b"x")));
        assert_eq!(next.requirements(job()).await.expect("reads"), None);
        for count in [3, 2] {
            let upper = Parallelism::new(count).expect("above 0");
            let wanted = Requirements { lower: Parallelism::ONE, upper };
            next.put_requirements(job(), wanted).await.expect("kept");
            assert_eq!(next.requirements(job()).await.expect("reads"), Some(wanted));
        }
        next.remove_job(job(), "ab").await.expect("forgotten");
        assert_eq!(next.requirements(job()).await.expect("reads"), None);
        assert_eq!(next.jobs().await.expect("reads"), []);
        assert_eq!(next.binary("ab").await.expect("reads"), None);
    }
}
