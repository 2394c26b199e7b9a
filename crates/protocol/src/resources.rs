//! A TaskManager and the JobManager.
//!
//! # Protocol
//!
//! 1. The TaskManager says who it is ([`Registration`]), with the same id after every reconnect.
//! 2. The JobManager answers [`ToTaskManager::Registered`], or [`ToTaskManager::Refused`].
//! 3. The JobManager has job processes started and ended; the TaskManager says what came of it, and
//!    both send heartbeats. A TaskManager's lists all processes that run there, so that a JobManager
//!    that was away learns of them.
//! 4. A binary that the TaskManager does not have it fetches by its content hash ([`fetch`]).
//!
//! # Not here
//!
//! Which process is started where, and what the loss of a TaskManager leads to: `tidegate-cluster`.

mod client;
mod messages;
mod service;

use std::{fmt, time::Duration};

use bytes::Bytes;
use tidegate_types::{
    AttemptId, JobId, ProcessIndex, Timestamp,
    options::{OptionValues, Secret},
};

pub use self::{
    client::{fetch, register},
    service::{Manager, Service, service},
};
use crate::link::{Link, LinkReceiver, LinkSender};

/// What a TaskManager's machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// How many cores.
    pub cpu_cores: u32,
    /// How much memory, in bytes.
    pub memory_bytes: u64,
}

/// Who a TaskManager is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// 32 hexadecimal digits that it has chosen, and keeps over reconnects.
    pub id: String,
    /// Where its job processes are reached.
    pub host: String,
    /// How many slots it has.
    pub slots: u32,
    /// What its machine has.
    pub hardware: Hardware,
}

/// A process of an attempt of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: AttemptId,
    /// The process.
    pub process: ProcessIndex,
}

impl fmt::Display for ProcessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, attempt, process } = self;
        write!(f, "process {process} of attempt {attempt} of job {job}")
    }
}

/// From a TaskManager to the JobManager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromTaskManager {
    /// It is there.
    Heartbeat {
        /// All processes that run there.
        processes: Vec<ProcessKey>,
    },
    /// It is about to end: it is to get no more processes, and those that run there are to move.
    Leaving,
    /// A process runs, with its id in the operating system.
    Started(ProcessKey, u32),
    /// A process has ended, or could not be started.
    Ended {
        /// Which one.
        key: ProcessKey,
        /// How, for a person.
        status: String,
        /// Whether it says itself that all went well.
        success: bool,
        /// The last lines it wrote.
        output_tail: String,
    },
    /// The logs of processes that are there.
    Logs {
        /// What this answers.
        request: u64,
        /// The logs.
        logs: Vec<LogFile>,
    },
    /// A part of a log, or why there is none.
    LogPart {
        /// What this answers.
        request: u64,
        /// The part.
        part: Result<LogPart, String>,
    },
}

/// A log of a process, on its TaskManager's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its name.
    pub name: String,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// When it was last written.
    pub modified: Timestamp,
}

/// A part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// How long the whole log is, in bytes.
    pub total: u64,
    /// The part.
    pub bytes: Bytes,
}

/// From the JobManager to a TaskManager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToTaskManager {
    /// It is registered.
    Registered {
        /// How often it is to send a heartbeat.
        heartbeat_interval: Duration,
        /// After how long without one from the other side each side takes it for lost.
        heartbeat_timeout: Duration,
    },
    /// It can't be registered, and why.
    Refused(String),
    /// The JobManager is there.
    Heartbeat,
    /// A process is to be started.
    StartProcess(StartProcess),
    /// A process is to be ended at once, if it runs.
    EndProcess(ProcessKey),
    /// Asks which logs there are.
    ListLogs {
        /// Stands in the answer.
        request: u64,
    },
    /// Asks for a part of a log.
    ReadLog {
        /// Stands in the answer.
        request: u64,
        /// The log.
        name: String,
        /// Where the part begins, in bytes.
        offset: u64,
        /// How long it may be, in bytes.
        length: u64,
    },
}

/// How a process is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartProcess {
    /// Which one.
    pub key: ProcessKey,
    /// Tells the attempt apart from all others.
    pub token: u64,
    /// How many workers this process has.
    pub threads: u32,
    /// How many processes the attempt has.
    pub processes: u32,
    /// How many subtasks each operator has.
    pub parallelism: u32,
    /// The binary: SHA-256 of its content, 64 lower-case hexadecimal digits.
    pub artifact: String,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// The coordinator's URL; empty for the JobManager that this comes from.
    pub coordinator: String,
    /// Options that it gets.
    pub configuration: OptionValues,
    /// What the process shows, and the processes of the attempt know each other by.
    pub credential: Option<Secret>,
}

/// A TaskManager's link to the JobManager.
pub type TaskManagerLink = Link<FromTaskManager, ToTaskManager>;
/// Its half that sends.
pub type TaskManagerSender = LinkSender<FromTaskManager>;
/// Its half that receives.
pub type TaskManagerReceiver = LinkReceiver<ToTaskManager>;

/// The JobManager's link to a TaskManager.
pub type ManagerLink = Link<ToTaskManager, FromTaskManager>;
/// Its half that sends.
pub type ManagerSender = LinkSender<ToTaskManager>;
/// Its half that receives.
pub type ManagerReceiver = LinkReceiver<FromTaskManager>;

#[cfg(test)]
mod tests;
