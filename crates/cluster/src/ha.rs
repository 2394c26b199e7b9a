//! What outlives a JobManager: its jobs, and who may complete their snapshots.
//!
//! ```text
//!   <high-availability.storageDir>/<cluster id>/
//!     leader, alive            who is JobManager: see [`crate::leader`]
//!     jobs/<job id>            the submission; gone when the job has ended
//!     binaries/<sha-256>       the binary it was submitted with
//!     requirements/<job id>/<number>   how many subtasks it may have, once that was changed
//!     logs/<job id>/<number>   a completed snapshot, or that an epoch has taken the job over
//! ```
//!
//! # Protocol
//!
//! Every record is written once, create-if-absent. A JobManager has an epoch above all that were
//! before. It takes a job over by appending to the job's log, and completes a snapshot by appending
//! to it. Both go to the number behind the last one that it knows: of two JobManagers that believe a
//! job to be theirs, the one that appends first goes on, and the other finds out and stops.
//!
//! # Invariants
//!
//! - INV-ORDER: the log of a job has no gaps behind its oldest record, and what is in it never
//!   changes.
//! - INV-LAST: the newest snapshot in the log is the one to go on from; what is not in it was never
//!   complete, even if its `_metadata` is there.
//! - INV-STALE: old records are deleted, the newest never: who appends behind a record that is gone
//!   sees newer ones, and has lost.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate_runtime::{CompletionLog, LogError};
use tidegate_storage::{Place, Records, StoreError};
use tidegate_types::{CheckpointId, JobId, error::chain};
use tokio::{
    io::AsyncReadExt,
    sync::{Mutex, mpsc},
};
use tracing::warn;

use crate::scheduler::Requirements;

/// How many records of a job's log are kept.
const KEPT: u64 = 20;

/// How much of a binary is read at once, in bytes.
const CHUNK: usize = 1 << 20;

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
    /// A job's binary can't be read.
    #[error("the job's binary '{path}' can't be read")]
    Binary {
        /// Where it lies.
        path: String,
        /// Why not.
        source: std::io::Error,
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

/// A record of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Of the JobManager that wrote it.
    epoch: u64,
    /// The snapshot that is complete; none if the job was taken over.
    snapshot: Option<Recorded>,
}

/// A snapshot that is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its id.
    pub checkpoint: CheckpointId,
    /// Where it lies.
    pub location: String,
}

/// What a JobManager of one epoch keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HaStore {
    store: Place,
    cluster: String,
    epoch: u64,
}

/// Names that sort as their numbers do.
pub(crate) fn name_of(number: u64) -> String {
    format!("{number:020}")
}

pub(crate) fn numbers(names: &[String]) -> impl DoubleEndedIterator<Item = u64> {
    names.iter().filter_map(|name| name.parse().ok())
}

fn to_json(record: &impl Serialize) -> Bytes {
    serde_json::to_vec(record).expect("records are plain data").into()
}

fn from_json<T: DeserializeOwned>(name: &str, bytes: &Bytes) -> Result<T, HaError> {
    serde_json::from_slice(bytes)
        .map_err(|source| HaError::Damaged { name: name.to_owned(), source })
}

/// Hands a file on, chunk by chunk, for as long as somebody takes them.
async fn send(mut file: tokio::fs::File, chunks: mpsc::Sender<Bytes>) -> std::io::Result<()> {
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        if file.read_buf(&mut chunk).await? == 0 || chunks.send(chunk.freeze()).await.is_err() {
            return Ok(());
        }
    }
}

impl HaStore {
    /// Of the JobManager of this epoch.
    pub(crate) fn new(store: Place, cluster: String, epoch: u64) -> Self {
        Self { store, cluster, epoch }
    }

    fn records(&self, below: &str) -> Records {
        self.store.records(&format!("{}/{below}", self.cluster))
    }

    /// Whether no other JobManager has come since.
    async fn check_leadership(&self) -> Result<(), HaError> {
        let names = self.records("leader").names().await?;
        let newest = numbers(&names).max().unwrap_or(self.epoch);
        if newest > self.epoch { Err(HaError::Fenced { epoch: newest }) } else { Ok(()) }
    }

    /// Keeps a job, and its binary; tells whether there was none with this id.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn put_job(
        &self,
        id: JobId,
        job: &StoredJob,
        binary: &Path,
    ) -> Result<bool, HaError> {
        self.put_binary(&job.artifact, binary).await?;
        let is_new = self.records("jobs").create(&id.to_string(), to_json(job)).await?;
        // Whoever forgets another job now sees that this one has the same; it may have gone before.
        self.put_binary(&job.artifact, binary).await?;
        Ok(is_new)
    }

    /// Keeps a binary, in parts: none is in memory as a whole. One that is there is the same: its
    /// name is its hash.
    async fn put_binary(&self, hash: &str, path: &Path) -> Result<(), HaError> {
        let binaries = self.records("binaries");
        if binaries.names().await?.iter().any(|name| name == hash) {
            return Ok(());
        }
        let unreadable = |source| HaError::Binary { path: path.display().to_string(), source };
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let (chunks, parts) = mpsc::channel(2);
        let folder = self.store.folder(&format!("{}/binaries", self.cluster));
        let (read, written) =
            tokio::join!(send(file, chunks), folder.write_stream(hash, parts, |_| {}));
        written?;
        if let Err(error) = read {
            // A part of it must not pass for the whole.
            binaries.remove(hash).await?;
            return Err(unreadable(error));
        }
        Ok(())
    }

    /// All jobs that have not ended, each as it is to be submitted again, or what is wrong with its
    /// record: one that is damaged holds no other up.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn jobs(&self) -> Result<Vec<(JobId, Result<StoredJob, HaError>)>, HaError> {
        let records = self.records("jobs");
        let mut jobs = Vec::new();
        for name in records.names().await? {
            let Ok(id) = name.parse() else {
                warn!(name, "a file in high-availability.storageDir that is no job's record");
                continue;
            };
            if let Some(bytes) = records.read(&name).await? {
                jobs.push((id, from_json(&format!("jobs/{name}"), &bytes)));
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
        // What can't be read may have the same.
        let others = self.jobs().await?;
        let is_other = |(_, job): &(JobId, Result<StoredJob, HaError>)| {
            job.as_ref().is_ok_and(|job| job.artifact != artifact)
        };
        if others.iter().all(is_other) {
            self.records("binaries").remove(artifact).await?;
        }
        Ok(())
    }

    /// Takes a job over, and tells of its newest complete snapshots, newest first.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or a later JobManager has taken it over.
    pub async fn take_over(&self, id: JobId) -> Result<(JobLog, Vec<Recorded>), HaError> {
        let records = self.records(&format!("logs/{id}"));
        let log = JobLog { records, epoch: self.epoch, job: id, last: Arc::default() };
        let mut last = log.last.lock().await;
        loop {
            let entries = log.entries().await?;
            *last = entries.keys().next_back().copied().unwrap_or(0);
            if let Some(newer) = entries.values().find(|entry| entry.epoch > self.epoch) {
                return Err(HaError::Fenced { epoch: newer.epoch });
            }
            let mine = Entry { epoch: self.epoch, snapshot: None };
            if log.records.create(&name_of(*last + 1), to_json(&mine)).await? {
                *last += 1;
                drop(last);
                let snapshots = entries.into_values().rev().filter_map(|entry| entry.snapshot);
                return Ok((log, snapshots.collect()));
            }
        }
    }
}

/// The log of a job's completed snapshots, as its master of one epoch writes it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JobLog {
    records: Records,
    epoch: u64,
    job: JobId,
    /// The newest number that is known to be taken by this master.
    last: Arc<Mutex<u64>>,
}

impl JobLog {
    async fn entries(&self) -> Result<BTreeMap<u64, Entry>, HaError> {
        let mut entries = BTreeMap::new();
        for number in numbers(&self.records.names().await?) {
            let name = name_of(number);
            if let Some(bytes) = self.records.read(&name).await? {
                entries.insert(number, from_json(&name, &bytes)?);
            }
        }
        Ok(entries)
    }

    async fn append(&self, snapshot: Recorded) -> Result<(), HaError> {
        let mut last = self.last.lock().await;
        let mine = Entry { epoch: self.epoch, snapshot: Some(snapshot) };
        if !self.records.create(&name_of(*last + 1), to_json(&mine)).await? {
            let name = name_of(*last + 1);
            let bytes = self.records.read(&name).await?;
            let there = bytes.map(|bytes| from_json::<Entry>(&name, &bytes)).transpose()?;
            if there.as_ref() != Some(&mine) {
                let epoch = there.map_or(self.epoch + 1, |entry| entry.epoch);
                return Err(HaError::Fenced { epoch });
            }
            // An earlier try has written it, though its answer was lost.
        }
        let names = self.records.names().await?;
        if let Some(newest) = numbers(&names).max().filter(|newest| *newest > *last + 1) {
            // The number was free only because old records are deleted (INV-STALE).
            let entry = self.records.read(&name_of(newest)).await?;
            let entry = entry.map(|bytes| from_json::<Entry>(&name_of(newest), &bytes));
            let epoch = entry.transpose()?.map_or(self.epoch + 1, |entry| entry.epoch);
            return Err(HaError::Fenced { epoch });
        }
        *last += 1;
        for old in numbers(&names).filter(|number| number + KEPT <= *last) {
            self.records.remove(&name_of(old)).await?;
        }
        Ok(())
    }
}

impl CompletionLog for JobLog {
    fn record(
        &self,
        checkpoint: CheckpointId,
        location: String,
    ) -> BoxFuture<'static, Result<(), LogError>> {
        let log = self.clone();
        async move {
            match log.append(Recorded { checkpoint, location }).await {
                Ok(()) => Ok(()),
                Err(error @ HaError::Fenced { .. }) => {
                    warn!(job = %log.job, %checkpoint, "a snapshot of a job that was taken over");
                    Err(LogError::Fenced(error.to_string()))
                }
                Err(error) => Err(LogError::Unavailable(chain(&error))),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::Parallelism;

    use std::time::Duration;

    use super::*;
    use crate::leader::{LeaderOptions, Leadership};

    /// The store of a JobManager that takes over.
    async fn open(place: &str) -> HaStore {
        let options = LeaderOptions {
            name: "test".to_owned(),
            retry_period: Duration::from_secs(5),
            lease_duration: Duration::from_secs(15),
            take_over: true,
        };
        let leadership = Leadership::gain(place, "/default", &options).await;
        leadership.expect("memory answers").store()
    }

    fn job() -> JobId {
        JobId::from_name("a")
    }

    fn snapshot(id: u64) -> Recorded {
        Recorded { checkpoint: CheckpointId(id), location: format!("/chk-{id}") }
    }

    async fn append(log: &JobLog, id: u64) -> Result<(), LogError> {
        log.record(CheckpointId(id), format!("/chk-{id}")).await
    }

    #[tokio::test]
    async fn the_newest_snapshot_is_found_by_the_next_jobmanager() {
        let first = open("memory://ha-newest").await;
        let (log, before) = first.take_over(job()).await.expect("taken");
        assert_eq!(before, []);
        for id in 1..=50 {
            append(&log, id).await.expect("the only one");
        }
        append(&log, 50).await.expect("harmless");
        let second = open("memory://ha-newest").await;
        assert!(matches!(first.check_leadership().await, Err(HaError::Fenced { epoch: 2 })));
        let (_, before) = second.take_over(job()).await.expect("taken");
        assert_eq!(before[0], snapshot(50));
        assert!(before.len() <= KEPT as usize + 1, "old records are deleted");
    }

    #[tokio::test]
    async fn who_was_taken_over_from_completes_nothing_more() {
        let first = open("memory://ha-fenced").await;
        let (old, _) = first.take_over(job()).await.expect("taken");
        append(&old, 1).await.expect("the only one");
        let second = open("memory://ha-fenced").await;
        let (new, before) = second.take_over(job()).await.expect("taken");
        assert_eq!(before, [snapshot(1)]);
        let refused = append(&old, 2).await.expect_err("taken over");
        assert!(matches!(refused, LogError::Fenced(_)), "{refused}");
        for id in 2..100 {
            append(&new, id).await.expect("its own");
        }
        // By now the number that it would take next has been deleted.
        let refused = append(&old, 2).await.expect_err("taken over");
        assert!(matches!(refused, LogError::Fenced(_)), "{refused}");
        assert!(matches!(first.take_over(job()).await, Err(HaError::Fenced { epoch: 2 })));
    }

    async fn jobs_of(store: &HaStore) -> Vec<(JobId, Option<StoredJob>)> {
        let jobs = store.jobs().await.expect("memory answers");
        jobs.into_iter().map(|(id, stored)| (id, stored.ok())).collect()
    }

    #[tokio::test]
    async fn a_damaged_record_holds_no_other_job_up() {
        let store = open("memory://ha-damaged").await;
        let stored = StoredJob {
            artifact: "ab".to_owned(),
            artifact_name: "job".to_owned(),
            arguments: Vec::new(),
            configuration: BTreeMap::new(),
            submitted_ms: 7,
        };
        let damaged = JobId::from_name("damaged");
        let file = tempfile::NamedTempFile::new().expect("a file");
        for id in [job(), JobId::from_name("b")] {
            store.put_job(id, &stored, file.path()).await.expect("kept");
        }
        let records = store.records("jobs");
        records.create(&damaged.to_string(), "{\"artif".into()).await.expect("memory answers");
        let mut found = store.jobs().await.expect("memory answers");
        found.retain(|(_, stored)| stored.is_err());
        let [(id, Err(error))] = found.as_slice() else { panic!("one is damaged: {found:?}") };
        assert_eq!(*id, damaged);
        assert!(error.to_string().contains(&format!("'jobs/{damaged}'")), "{error}");
        let whole = jobs_of(&store).await;
        assert_eq!(whole.iter().filter(|(_, stored)| stored.is_some()).count(), 2);
    }

    #[tokio::test]
    async fn jobs_are_kept_until_they_end() {
        let store = open("memory://ha-jobs").await;
        let stored = StoredJob {
            artifact: "ab".to_owned(),
            artifact_name: "job".to_owned(),
            arguments: vec!["--rate".to_owned()],
            configuration: BTreeMap::new(),
            submitted_ms: 7,
        };
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "x").expect("the file is the test's own");
        assert!(store.put_job(job(), &stored, file.path()).await.expect("kept"));
        // A binary that is kept already is not even looked at.
        let again = store.put_job(job(), &stored, Path::new("/nowhere")).await;
        assert!(!again.expect("it answers"), "it is there");
        let next = open("memory://ha-jobs").await;
        assert_eq!(jobs_of(&next).await, [(job(), Some(stored))]);
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
        assert_eq!(jobs_of(&next).await, []);
        assert_eq!(next.binary("ab").await.expect("reads"), None);
    }
}
