//! Where the processes of jobs run.

use std::{collections::BTreeSet, path::PathBuf};

use futures::future::BoxFuture;
use tidegate_protocol::resources::{LogFile, LogPart, ProcessKey};
use tidegate_runtime::ProcessSeat;
use tidegate_types::options::OptionValues;
use tokio_util::sync::CancellationToken;

/// A process that is to be started.
#[derive(Clone, Debug)]
pub struct ProcessStart {
    /// Which one.
    pub key: ProcessKey,
    /// Where the job's binary lies.
    pub binary: PathBuf,
    /// Its own arguments.
    pub arguments: Vec<String>,
    /// What the process is told of itself.
    pub seat: ProcessSeat,
    /// Options that it gets.
    pub configuration: OptionValues,
}

/// How a process has ended, or why it was never there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessExit {
    /// In words.
    pub status: String,
    /// Whether it says itself that all went well.
    pub success: bool,
    /// The end of what it wrote.
    pub output_tail: String,
}

/// Runs the processes of jobs on one machine, and keeps what they write.
pub trait Processes: Send + Sync + 'static {
    /// Runs one to its end, which `end` brings about at once. It does not survive its TaskManager.
    fn run(&self, start: ProcessStart, end: CancellationToken) -> BoxFuture<'static, ProcessExit>;

    /// The logs that are kept.
    fn logs(&self) -> BoxFuture<'static, Vec<LogFile>>;

    /// At most `length` bytes of a log from `offset` on, or why there are none.
    fn read_log(
        &self,
        name: String,
        offset: u64,
        length: u64,
    ) -> BoxFuture<'static, Result<LogPart, String>>;

    /// Deletes logs that nobody needs: those of these processes stay.
    fn tidy_logs(&self, running: &BTreeSet<ProcessKey>);
}
