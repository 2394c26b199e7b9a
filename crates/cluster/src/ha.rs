//! What outlives a JobManager: the jobs that it had.
//!
//! ```text
//!   <high-availability.storageDir>/<cluster id>/
//!     leader, alive, sequence  who is JobManager: see [`crate::leader`]
//!     jobs/<job id>            the submission; gone when the job has ended
//!     binaries/<sha-256>       the binary it was submitted with
//!     requirements/<job id>/<number>   how many subtasks it may have, once that was changed
//!     ended/<job id>           that the job has ended, while what is left of it is deleted
//!     triggers/<job id>/<request>      what was asked for under a trigger id: see [`crate::triggers`]
//! ```
//!
//! Every record is written once, create-if-absent. Which snapshots of a job are complete, and who may
//! complete more, stands in the job's own log beside its checkpoints ([`tidegate_storage::log`]), where
//! the JobManager's sequence and epoch are the rank of its runs.

mod triggers;

use std::{path::Path, sync::Arc};

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate_storage::{
    Place, Records, StoreError,
    log::{JobLog, LogError, Rank},
};
use tidegate_types::{CheckpointId, JobId, error::chain, options::OptionValues};
use tokio::{
    io::AsyncReadExt,
    sync::{Mutex, mpsc},
};
use tracing::warn;

use crate::{
    disk::{Content, Disk},
    scheduler::Requirements,
};

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
    #[error("another JobManager has taken over: {by}")]
    Fenced {
        /// What a person calls it.
        by: String,
    },
}

impl From<LogError> for HaError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fenced { by } => Self::Fenced { by },
            LogError::Unavailable(error) => Self::Store(error),
            LogError::Damaged { name, source } => Self::Damaged { name, source },
        }
    }
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
    pub configuration: OptionValues,
    /// When that was, in milliseconds since 1970.
    pub submitted_ms: u64,
    /// The newest snapshot that the log of a job of that id had then: it is not this job's.
    #[serde(default)]
    pub behind: Option<CheckpointId>,
    /// The number of the newest entry that its log had then. Earlier versions do not say it.
    #[serde(default)]
    pub behind_entry: u64,
    /// Tells it from all other submissions. Earlier versions do not.
    #[serde(default)]
    pub submission: u64,
}

/// What is left of a job that has ended: whoever deletes it may not live to do so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedJob {
    /// The content hash of its binary.
    pub artifact: String,
    /// Where its checkpoints were, and its log is.
    pub dir: Option<String>,
    /// Whether in a folder of its own.
    pub create_subdir: bool,
}

/// What a JobManager of one epoch keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HaStore {
    store: Place,
    cluster: String,
    leadership: JobLog,
    sequence: u64,
    /// Whoever keeps a binary holds it: parts of many at once would be as much as all of them.
    binaries: Arc<Mutex<()>>,
}

/// Names that sort as their numbers do.
fn name_of(number: u64) -> String {
    format!("{number:020}")
}

fn numbers(names: &[String]) -> impl Iterator<Item = u64> {
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
async fn send(mut file: Content, chunks: mpsc::Sender<Bytes>) -> std::io::Result<()> {
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        if file.read_buf(&mut chunk).await? == 0 || chunks.send(chunk.freeze()).await.is_err() {
            return Ok(());
        }
    }
}

impl HaStore {
    /// Of the JobManager of this epoch.
    pub(crate) fn new(store: Place, cluster: String, leadership: JobLog, sequence: u64) -> Self {
        Self { store, cluster, leadership, sequence, binaries: Arc::default() }
    }

    /// Which JobManager it is: later ones have higher epochs.
    pub(crate) fn epoch(&self) -> u64 {
        self.leadership.taken_over()
    }

    /// The rank of its runs in the logs of jobs.
    pub(crate) fn rank(&self) -> Rank {
        Rank { sequence: self.sequence, epoch: self.epoch() }
    }

    fn records(&self, below: &str) -> Records {
        self.store.records(&format!("{}/{below}", self.cluster))
    }

    /// Whether no other JobManager has come since.
    async fn check_leadership(&self) -> Result<(), HaError> {
        Ok(self.leadership.check().await?)
    }

    /// Keeps a job, and its binary, which lies on that disk; tells whether there was none with this id.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or another JobManager has taken over: it has looked for jobs by then,
    /// and would not see this one.
    pub async fn put_job(
        &self,
        id: JobId,
        job: &StoredJob,
        binary: (&dyn Disk, &Path),
    ) -> Result<bool, HaError> {
        self.put_binary(&job.artifact, binary).await?;
        self.check_leadership().await?;
        let is_new = self.records("jobs").create_private(&id.to_string(), to_json(job)).await?;
        // Whoever forgets another job now sees that this one has the same; it may have gone before.
        self.put_binary(&job.artifact, binary).await?;
        Ok(is_new)
    }

    /// Keeps a binary, in parts and one after the other: none is in memory as a whole. One that is
    /// there is the same: its name is its hash.
    async fn put_binary(
        &self,
        hash: &str,
        (disk, path): (&dyn Disk, &Path),
    ) -> Result<(), HaError> {
        let binaries = self.records("binaries");
        let _turn = self.binaries.lock().await;
        if binaries.names().await?.iter().any(|name| name == hash) {
            return Ok(());
        }
        let unreadable = |source| HaError::Binary { path: path.display().to_string(), source };
        let file = disk.open(path).await.map_err(unreadable)?;
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

    /// Takes back a job that this JobManager was about to keep: it may be kept, or not.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or another JobManager has taken over.
    pub(crate) async fn withdraw(&self, id: JobId, job: &StoredJob) -> Result<(), HaError> {
        self.check_leadership().await?;
        let name = id.to_string();
        let kept = self.records("jobs").read(&name).await?;
        let kept = kept.map(|bytes| from_json::<StoredJob>(&format!("jobs/{name}"), &bytes));
        match kept.transpose()? {
            Some(kept) if kept != *job => Ok(()),
            _ => self.remove_job(id, &job.artifact).await,
        }
    }

    /// Forgets a job that has ended, but for what is left of it.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn end_job(&self, id: JobId, ended: &EndedJob) -> Result<(), HaError> {
        // It may say so already: whoever did is gone.
        self.records("ended").create(&id.to_string(), to_json(ended)).await?;
        self.remove_job(id, &ended.artifact).await
    }

    /// The jobs that have ended and of which something may be left.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn ended(&self) -> Result<Vec<(JobId, EndedJob)>, HaError> {
        let records = self.records("ended");
        let mut ended = Vec::new();
        for name in records.names().await? {
            let Ok(id) = name.parse() else { continue };
            let Some(bytes) = records.read(&name).await? else { continue };
            match from_json(&format!("ended/{name}"), &bytes) {
                Ok(left) => ended.push((id, left)),
                Err(error) => warn!(error = chain(&error), "what is left of a job stays"),
            }
        }
        Ok(ended)
    }

    /// Nothing is left of a job that has ended.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn forget_ended(&self, id: JobId) -> Result<(), HaError> {
        Ok(self.records("ended").remove(&id.to_string()).await?)
    }

    /// Forgets a job that has ended, and its binary if no other job has the same.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn remove_job(&self, id: JobId, artifact: &str) -> Result<(), HaError> {
        self.records("jobs").remove(&id.to_string()).await?;
        let requirements = self.records(&format!("requirements/{id}"));
        for name in requirements.names().await? {
            requirements.remove(&name).await?;
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
}

#[cfg(test)]
mod tests {
    use tidegate_types::Parallelism;

    use std::time::Duration;

    use super::*;
    use crate::{
        disk::SystemDisk,
        leader::{LeaderOptions, Leadership},
    };

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
            configuration: OptionValues::default(),
            submitted_ms: 7,
            behind: None,
            behind_entry: 0,
            submission: 0,
        };
        let damaged = JobId::from_name("damaged");
        let file = tempfile::NamedTempFile::new().expect("a file");
        for id in [job(), JobId::from_name("b")] {
            store.put_job(id, &stored, (&SystemDisk, file.path())).await.expect("kept");
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
            configuration: OptionValues::default(),
            submitted_ms: 7,
            behind: None,
            behind_entry: 0,
            submission: 0,
        };
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "x").expect("the file is the test's own");
        assert!(store.put_job(job(), &stored, (&SystemDisk, file.path())).await.expect("kept"));
        // A binary that is kept already is not even looked at.
        let nowhere = Path::new("/nowhere");
        let again = store.put_job(job(), &stored, (&SystemDisk, nowhere)).await;
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

    #[tokio::test]
    async fn what_is_withdrawn_is_this_submission_and_no_other() {
        let store = open("memory://ha-withdrawn").await;
        let stored = |submission| StoredJob {
            artifact: "ab".to_owned(),
            artifact_name: "job".to_owned(),
            arguments: Vec::new(),
            configuration: OptionValues::default(),
            submitted_ms: 7,
            behind: None,
            behind_entry: 0,
            submission,
        };
        let file = tempfile::NamedTempFile::new().expect("a file");
        let binary = (&SystemDisk as &dyn Disk, file.path());
        store.put_job(job(), &stored(1), binary).await.expect("kept");
        store.withdraw(job(), &stored(2)).await.expect("memory answers");
        assert_eq!(jobs_of(&store).await, [(job(), Some(stored(1)))], "it is another one's");
        store.withdraw(job(), &stored(1)).await.expect("memory answers");
        assert_eq!(jobs_of(&store).await, []);
        assert_eq!(store.binary("ab").await.expect("reads"), None);
        // Whether or not there was one.
        store.withdraw(job(), &stored(1)).await.expect("memory answers");
    }

    #[tokio::test]
    async fn of_a_job_that_has_ended_it_is_known_until_nothing_is_left() {
        let store = open("memory://ha-ended").await;
        let ended = EndedJob { artifact: "ab".to_owned(), dir: None, create_subdir: true };
        store.end_job(job(), &ended).await.expect("memory answers");
        let damaged = JobId::from_name("damaged").to_string();
        let records = store.records("ended");
        records.create(&damaged, "{\"artif".into()).await.expect("memory answers");
        let next = open("memory://ha-ended").await;
        assert_eq!(next.ended().await.expect("reads"), [(job(), ended)]);
        next.forget_ended(job()).await.expect("memory answers");
        assert_eq!(next.ended().await.expect("reads"), []);
    }
}
