//! What has been asked of JobManagers, and what they have answered: whoever is asked, an answer stays what
//! it was.

use std::collections::BTreeMap;

use tidegate_cluster::triggers::{Kind, Outcome, Standing, TriggerKey};
use tidegate_types::{ErrorKind, JobId};

use super::scenario::Operation;

/// Why a job was not taken in.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Whether one of that id is there.
    pub(super) is_there: bool,
    pub(super) kind: ErrorKind,
    pub(super) why: String,
}

/// What a JobManager has answered.
#[derive(Debug)]
#[expect(dead_code, reason = "some of it is only there for who reads what has happened")]
pub(super) enum Answer {
    /// To a submission, by its number.
    Submitted(u64, Result<(), Refusal>),
    /// To a request, by its number.
    Done(u64, Outcome),
    /// A request was not taken in, and why.
    Refused(u64, String),
    /// How one stands; `None` if nobody knows it.
    Stands(u64, Result<Option<Standing>, String>),
    /// What was said of another parallelism.
    Rescaled(Result<(), String>),
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The JobManager of that number is at it.
    Asked(u64),
    /// It is gone: the next one is asked.
    Lost,
    Answered(Outcome),
    /// Nobody will know any more.
    Forgotten,
}

/// A request under a trigger id.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) operation: Operation,
    /// Of which submission's job.
    pub(super) of: u64,
    /// Of the savepoint that is to go.
    pub(super) path: Option<String>,
    pub(super) known: Known,
}

/// All requests, by number.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<u64, Request>);

impl Requests {
    /// What a request is known by.
    pub(super) fn key(number: u64, operation: Operation, job: JobId) -> TriggerKey {
        let (kind, job) = match operation {
            Operation::Checkpoint => (Kind::Checkpoint, Some(job)),
            Operation::Dispose => (Kind::Disposal, None),
            _ => (Kind::Savepoint, Some(job)),
        };
        TriggerKey { kind, job, id: format!("{number:032x}") }
    }

    pub(super) fn ask(&mut self, number: u64, request: Request) {
        self.0.insert(number, request);
    }

    pub(super) fn get(&self, number: u64) -> Option<&Request> {
        self.0.get(&number)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&u64, &Request)> {
        self.0.iter()
    }

    /// A JobManager is gone, with what it was at.
    pub(super) fn lose(&mut self, jobmanager: u64) {
        let lost = self.0.values_mut().filter(|it| it.known == Known::Asked(jobmanager));
        lost.for_each(|request| request.known = Known::Lost);
    }

    pub(super) fn forget(&mut self, number: u64) {
        if let Some(request) = self.0.get_mut(&number)
            && !matches!(request.known, Known::Answered(_))
        {
            request.known = Known::Forgotten;
        }
    }

    /// A request was answered; says what is wrong if it was answered otherwise before, and whether this
    /// is new.
    pub(super) fn answered(&mut self, number: u64, outcome: Outcome) -> Result<bool, String> {
        let Some(request) = self.0.get_mut(&number) else { return Ok(false) };
        let before = std::mem::replace(&mut request.known, Known::Answered(outcome.clone()));
        let Known::Answered(before) = before else { return Ok(true) };
        let is_wrong = match (&before, &outcome) {
            (Outcome::Completed(before), Outcome::Completed(now)) => before != now,
            (Outcome::Failed(_), Outcome::Completed(_)) => true,
            // Nobody may know any more what was said.
            (_, Outcome::Failed(_)) => false,
        };
        // The first word on it is what its user goes by.
        request.known = Known::Answered(before.clone());
        if is_wrong {
            return Err(format!("request {number} was answered {before:?}, and then {outcome:?}"));
        }
        Ok(false)
    }
}
