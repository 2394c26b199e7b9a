//! What somebody has asked for under a trigger id, and what has come of it, whichever JobManager is
//! asked.
//!
//! ```text
//!   request --record--> [taken] --carried out--> result --record--> [answered] --after a time--> gone
//!                          |  its JobManager ends
//!                          v
//!                    [inherited] --the job is taken over, its log decides--> [answered]
//! ```
//!
//! # Protocol
//!
//! A JobManager with high availability records a request before it carries it out,
//! create-if-absent, and before it says that it has taken it; then what came of it ([`crate::ha`]).
//! Its successor takes the job over in its log, in which nothing of before can become complete from
//! then on, and decides by it what is not answered yet. The log names the request that a snapshot
//! was taken for. What was never complete has its files swept, from the folder that the record
//! names.
//!
//! # Invariants
//!
//! - INV-TAKEN: nothing is carried out under an id that is recorded already, by whomever.
//! - INV-TRUE: "completed" is said of a snapshot if and only if the job's log knows it. That a job
//!   has stopped with one is said once the job has ended.
//!
//! # Failure
//!
//! A request that can't be recorded is refused, and nothing is carried out. A crash behind the
//! record leaves one that failed, unless the log says otherwise. A JobManager that was taken over
//! from and wakes may record a request and carry it out: nothing of that can get into the log, so
//! that it has failed whoever is asked; it records no result.

use serde::{Deserialize, Serialize};
use tidegate_runtime::{AfterSavepoint, SnapshotForm, Wish};
use tidegate_storage::log::Recorded;
use tidegate_types::{CheckpointId, JobId};

/// What a person is told of what was under way when a JobManager ended.
const CUT_SHORT: &str =
    "the JobManager that took it ended before it was complete: trigger it again";
/// The same of a deletion.
const NOT_DELETED: &str =
    "the JobManager that took it ended before it was deleted: trigger it again";
/// What is told when there is nothing to decide by any more.
const NOT_NOTED: &str = "nobody has noted what came of it, and the job has ended or its JobManager \
                         could not reach high-availability.storageDir";

/// What ids of requests are told apart by: Flink has them apart too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Savepoints, and stops with one.
    Savepoint,
    /// A checkpoint.
    Checkpoint,
    /// The deletion of a savepoint.
    Disposal,
}

/// A request, by its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TriggerKey {
    /// Of what kind.
    pub kind: Kind,
    /// The job that it is about; the disposal of a savepoint is about none.
    pub job: Option<JobId>,
    /// 32 hexadecimal digits.
    pub id: String,
}

impl TriggerKey {
    /// What it is called among those of its job.
    pub(crate) fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Savepoint => "savepoint",
            Kind::Checkpoint => "checkpoint",
            Kind::Disposal => "disposal",
        };
        format!("{kind}-{}", self.id)
    }

    /// The request of that name about that job.
    pub(crate) fn named(job: Option<JobId>, name: &str) -> Option<Self> {
        let (kind, id) = name.split_once('-')?;
        let kind = match kind {
            "savepoint" => Kind::Savepoint,
            "checkpoint" => Kind::Checkpoint,
            "disposal" => Kind::Disposal,
            _ => return None,
        };
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| Self { kind, job, id: id.to_owned() })
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    Checkpoint,
    Savepoint,
    /// A savepoint that the job ends with.
    Stop,
    /// That a savepoint goes.
    Disposal,
}

impl From<&Wish> for What {
    fn from(wish: &Wish) -> Self {
        match wish {
            Wish::Checkpoint => Self::Checkpoint,
            Wish::Savepoint { then: AfterSavepoint::GoOn, .. } => Self::Savepoint,
            Wish::Savepoint { .. } => Self::Stop,
        }
    }
}

/// A request, as it is recorded before it is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) what: What,
    /// What the job's log calls it: of all requests under this id this one.
    pub(crate) trigger: String,
    /// The epoch of the JobManager that has taken it.
    pub(crate) epoch: u64,
    /// The folder of the savepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    /// Its form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) form: Option<SnapshotForm>,
    /// The snapshot that the job's log had got last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) behind: Option<CheckpointId>,
}

/// What has come of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Where the snapshot lies, or lay.
    Completed(String),
    /// Why there is none.
    Failed(String),
}

impl Outcome {
    fn failed(reason: &str) -> Self {
        Self::Failed(reason.to_owned())
    }
}

impl From<Result<String, String>> for Outcome {
    fn from(result: Result<String, String>) -> Self {
        result.map_or_else(Self::Failed, Self::Completed)
    }
}

impl From<Outcome> for Result<String, String> {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed(location) => Ok(location),
            Outcome::Failed(reason) => Err(reason),
        }
    }
}

/// How a request stands that an earlier JobManager has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody knows yet.
    Open,
    /// The job stops with that savepoint.
    Ending(String),
    /// It has been answered.
    Done(Outcome),
}

/// What the log of a job that was taken over says of a request: what it does not know will never be
/// in it.
pub(crate) fn by_the_log(taken: &Taken, recorded: &[Recorded]) -> Standing {
    let found = recorded.iter().find(|it| it.trigger.as_ref() == Some(&taken.trigger));
    match (found, taken.what) {
        (Some(found), What::Stop) => Standing::Ending(found.location.clone()),
        (Some(found), _) => Standing::Done(Outcome::Completed(found.location.clone())),
        (None, _) => Standing::Done(Outcome::failed(CUT_SHORT)),
    }
}

/// Whether it is certain that the log has never known a snapshot that it does not know now: it
/// still has what was complete when the snapshot was asked for, and forgets the oldest first.
pub(crate) fn was_never_recorded(taken: &Taken, recorded: &[Recorded]) -> bool {
    let reaches_back = recorded.iter().any(|it| Some(it.checkpoint) == taken.behind);
    reaches_back && !recorded.iter().any(|it| Some(&it.location) == taken.location.as_ref())
}

/// What there is to go by when somebody asks for a request whose result nobody has recorded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// The epoch of the JobManager that is asked.
    pub(crate) own: u64,
    /// Whether it has not decided yet what its job has inherited.
    pub(crate) is_open: bool,
    /// Whether the job runs.
    pub(crate) runs: bool,
    /// Whether the snapshot is there that is to go.
    pub(crate) is_there: bool,
}

/// How a request stands that nobody carries out here and whose result nobody has recorded.
pub(crate) fn unanswered(taken: &Taken, facts: Facts) -> Standing {
    let outcome = match taken.what {
        What::Disposal if facts.is_there => Outcome::failed(NOT_DELETED),
        // Its manifest goes first: with that the snapshot is gone.
        What::Disposal => Outcome::Completed(taken.location.clone().unwrap_or_default()),
        // Whoever carries it out knows it until its result is recorded.
        _ if taken.epoch == facts.own => Outcome::Failed(not_noted(taken)),
        _ if facts.is_open => return Standing::Open,
        // Recorded when the job was another's already: it will not get into the log.
        _ if facts.runs => Outcome::failed(CUT_SHORT),
        _ => Outcome::Failed(not_noted(taken)),
    };
    Standing::Done(outcome)
}

fn not_noted(taken: &Taken) -> String {
    match &taken.location {
        Some(location) => format!("{NOT_NOTED}; if it is complete, it is '{location}'"),
        None => NOT_NOTED.to_owned(),
    }
}

/// What has come of a stop whose savepoint is in the log, now that the job has ended.
pub(crate) fn stopped(location: String, is_finished: bool) -> Outcome {
    if is_finished {
        return Outcome::Completed(location);
    }
    Outcome::Failed(format!(
        "the savepoint is complete, in {location}, but the job has ended before its sinks had \
         committed all that it holds; a job that is started from it commits the rest"
    ))
}

#[cfg(test)]
mod tests;
