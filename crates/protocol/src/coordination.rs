//! A job process and its coordinator, which the JobManager hosts, or process 0 of an embedded job.
//!
//! # Protocol
//!
//! 1. The process says [`Hello`]: of which job and attempt it is, and where records reach it.
//! 2. The host keeps it waiting until all processes have come, then sends [`ToProcess::Start`], or
//!    [`ToProcess::Refused`] when it can't be.
//! 3. From then on commands go to the process, reports and figures to the coordinator.
//! 4. After [`Report::Closed`] the process closes its link and ends.
//!
//! # Failure
//!
//! The loss of the link ends the attempt on both sides: a process that is cut off must not go on.
//!
//! # Not here
//!
//! Whether a token or a fingerprint is the right one: the host decides.

mod client;
mod messages;
mod report;
mod service;

pub use tidegate_checkpoint::protocol::{Command, Report};
use tidegate_types::{AttemptId, JobId, MaxParallelism, Parallelism, ProcessIndex};
pub use tidegate_types::{Figures, Superseded};

pub use self::{
    client::join,
    service::{Host, Service, service},
};
use crate::link::{Link, LinkReceiver, LinkSender};

/// Who a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The job.
    pub job: JobId,
    /// The attempt; `None` for whichever is next.
    pub attempt: Option<AttemptId>,
    /// Tells the attempt apart from all others.
    pub token: u64,
    /// Which process it is.
    pub process: ProcessIndex,
    /// The fingerprint of its plan, which must be the same in all processes.
    pub fingerprint: String,
    /// Where the other processes reach it with records: host and port.
    pub data_address: String,
}

/// What an attempt begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The attempt.
    pub attempt: AttemptId,
    /// Tells it apart from all others.
    pub token: u64,
    /// How many subtasks each operator has.
    pub parallelism: Parallelism,
    /// How many key groups each operator has.
    pub max_parallelism: MaxParallelism,
    /// The snapshot to restore from, as a path or URL that every process can read.
    pub restored_from: Option<String>,
    /// The data addresses of all processes, by index.
    pub addresses: Vec<String>,
    /// Whether sources hold still: all that is left to the job is to commit and to end.
    pub concludes: bool,
    /// Whether what the snapshot holds for sinks is left to the job that it is of, which lives.
    pub leaves_output: bool,
    /// Whose leftovers it may delete.
    pub superseded: Superseded,
    /// Whether it follows upon a failure of user code, whose record it may see again, to tell of it.
    pub telling: bool,
}

/// From a process to its coordinator.
#[derive(Clone, Debug, PartialEq)]
pub enum FromProcess {
    /// Of the protocol of checkpoints.
    Report(Report),
    /// What is counted.
    Figures(Figures),
}

/// From the coordinator to a process.
#[derive(Clone, Debug, PartialEq)]
pub enum ToProcess {
    /// The attempt begins.
    Start(Start),
    /// It can't take part, and why.
    Refused(String),
    /// Of the protocol of checkpoints.
    Command(Command),
}

/// A process's link to its coordinator.
pub type ProcessLink = Link<FromProcess, ToProcess>;
/// Its half that sends.
pub type ProcessSender = LinkSender<FromProcess>;
/// Its half that receives.
pub type ProcessReceiver = LinkReceiver<ToProcess>;

/// A coordinator's link to a process.
pub type HostLink = Link<ToProcess, FromProcess>;
/// Its half that sends.
pub type HostSender = LinkSender<ToProcess>;
/// Its half that receives.
pub type HostReceiver = LinkReceiver<FromProcess>;

#[cfg(test)]
mod tests;
