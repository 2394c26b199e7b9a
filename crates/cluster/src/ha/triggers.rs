//! The records of requests and of what came of them.
//!
//! ```text
//!   triggers/<job id>/savepoint-<trigger id>          what was asked for
//!                     savepoint-<trigger id>.result   what came of it
//!   triggers/-/disposal-<trigger id>                  what is about no job
//! ```

use std::{collections::BTreeSet, fmt::Display};

use tidegate_storage::Records;
use tidegate_types::JobId;

use super::{HaError, HaStore, from_json, to_json};
use crate::triggers::{Outcome, Taken, TriggerKey};

const FOLDER: &str = "triggers";
/// What the name of a result ends in.
const RESULT: &str = ".result";
/// The folder of what is about no job.
const NO_JOB: &str = "-";

fn result_of(key: &TriggerKey) -> String {
    format!("{}{RESULT}", key.name())
}

impl HaStore {
    fn triggers(&self, job: Option<JobId>) -> Records {
        let job = job.as_ref().map_or(&NO_JOB as &dyn Display, |job| job);
        self.records(&format!("{FOLDER}/{job}"))
    }

    /// Keeps a request, unless one is kept under its id; tells whether there was none.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or another JobManager has taken over.
    pub(crate) async fn put_trigger(
        &self,
        key: &TriggerKey,
        taken: &Taken,
    ) -> Result<bool, HaError> {
        self.check_leadership().await?;
        let records = self.triggers(key.job);
        let name = key.name();
        match records.create(&name, to_json(taken)).await {
            Ok(is_new) => Ok(is_new),
            Err(error) => {
                // It may be there, and then as this one's: nobody else has such a number.
                match self.trigger(key).await {
                    Ok(Some(found)) => Ok(found.trigger == taken.trigger),
                    _ => Err(error.into()),
                }
            }
        }
    }

    /// A request, if there is one under that id.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or the record is damaged.
    pub(crate) async fn trigger(&self, key: &TriggerKey) -> Result<Option<Taken>, HaError> {
        let name = key.name();
        let bytes = self.triggers(key.job).read(&name).await?;
        bytes.map(|bytes| from_json(&format!("{FOLDER}/{name}"), &bytes)).transpose()
    }

    /// Keeps what came of a request, unless that is known.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or another JobManager has taken over, which decides then.
    pub(crate) async fn put_outcome(
        &self,
        key: &TriggerKey,
        outcome: &Outcome,
    ) -> Result<(), HaError> {
        self.check_leadership().await?;
        self.triggers(key.job).create(&result_of(key), to_json(outcome)).await?;
        Ok(())
    }

    /// What came of a request, if that is known.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or the record is damaged.
    pub(crate) async fn outcome(&self, key: &TriggerKey) -> Result<Option<Outcome>, HaError> {
        let name = result_of(key);
        let bytes = self.triggers(key.job).read(&name).await?;
        bytes.map(|bytes| from_json(&format!("{FOLDER}/{name}"), &bytes)).transpose()
    }

    /// The requests about a job, or about none, that are kept.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn triggers_of(&self, job: Option<JobId>) -> Result<Vec<TriggerKey>, HaError> {
        let names = self.triggers(job).names().await?;
        let requests = names.iter().map(|name| name.strip_suffix(RESULT).unwrap_or(name));
        let requests = requests.filter_map(|name| TriggerKey::named(job, name));
        Ok(requests.collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// About whom requests are kept.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn triggered(&self) -> Result<Vec<Option<JobId>>, HaError> {
        let folder = self.store.folder(&format!("{}/{FOLDER}", self.cluster));
        let of = |name: &String| match name.as_str() {
            NO_JOB => Some(None),
            job => job.parse().ok().map(Some),
        };
        Ok(folder.folders().await?.iter().filter_map(of).collect())
    }

    /// Forgets a request.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn forget_trigger(&self, key: &TriggerKey) -> Result<(), HaError> {
        let records = self.triggers(key.job);
        // Without its result it would look as if it had been cut short.
        records.remove(&key.name()).await?;
        records.remove(&result_of(key)).await?;
        Ok(())
    }
}
