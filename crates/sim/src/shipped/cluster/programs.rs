//! What stands for the job's binary: a description of its plan, and machines for its processes.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use tidegate_cluster::{
    describe::{DescribeError, Describer, Question},
    taskmanager::{ProcessExit, ProcessStart, Processes},
};
use tidegate_protocol::resources::{LogFile, LogPart, ProcessKey};
use tidegate_runtime::{JobDescription, JobError, JobSpec, describe};
use tidegate_types::options::OptionValues;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::super::{
    chance::Chance,
    job::{self, Size},
    line::Line,
    target::Target,
};

/// What the binary holds: who starts it only needs its name.
pub(super) const BINARY: &[u8] = b"the job of a play";

/// The job's program.
#[derive(Clone)]
pub(super) struct Program {
    pub(super) size: Size,
    pub(super) target: Target,
    pub(super) chance: Chance,
}

impl Program {
    /// What it runs on a machine, with these options.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(super) fn spec(
        &self,
        configuration: &OptionValues,
        line: &Line,
    ) -> Result<JobSpec, JobError> {
        let pair = |(key, value): (&String, &String)| format!("-D{key}={value}");
        let arguments = configuration.iter().map(pair).collect::<Vec<_>>();
        let sink = self.target.from(line, None);
        job::spec(self.size, &arguments, sink, None)
    }
}

/// Knows what the program would run.
pub(super) struct PlayDescriber {
    pub(super) program: Program,
    pub(super) line: Line,
}

impl Describer for PlayDescriber {
    fn describe<'a>(
        &'a self,
        question: Question<'a>,
    ) -> BoxFuture<'a, Result<JobDescription, DescribeError>> {
        async move {
            tokio::time::sleep(self.program.chance.delay()).await;
            let silent = |error: JobError| DescribeError::Silent {
                name: question.name.to_owned(),
                status: "exit status: 1".to_owned(),
                output: format!(": {error}"),
            };
            let configuration = question.configuration;
            let spec = self.program.spec(configuration, &self.line).map_err(silent)?;
            describe(&spec, configuration.clone()).map_err(silent)
        }
        .boxed()
    }
}

/// A process that a TaskManager wants.
pub(super) struct Wanted {
    pub(super) start: ProcessStart,
    /// That it is to end at once.
    pub(super) end: CancellationToken,
    /// Hears how it has ended.
    pub(super) exit: oneshot::Sender<ProcessExit>,
}

/// The processes of one TaskManager, for the play to start.
#[derive(Clone, Default)]
pub(super) struct PlayProcesses(Arc<Mutex<Vec<Wanted>>>);

impl PlayProcesses {
    /// Those that are to be started.
    pub(super) fn take(&self) -> Vec<Wanted> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Processes for PlayProcesses {
    fn run(&self, start: ProcessStart, end: CancellationToken) -> BoxFuture<'static, ProcessExit> {
        let (exit, exited) = oneshot::channel();
        let wanted = Wanted { start, end, exit };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(wanted);
        async move {
            match exited.await {
                Ok(exit) => exit,
                // It goes with the machine.
                Err(_) => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn logs(&self) -> BoxFuture<'static, Vec<LogFile>> {
        async { Vec::new() }.boxed()
    }

    fn read_log(
        &self,
        name: String,
        _offset: u64,
        _length: u64,
    ) -> BoxFuture<'static, Result<LogPart, String>> {
        async move { Err(format!("`{name}` is no log")) }.boxed()
    }

    fn tidy_logs(&self, _running: &BTreeSet<ProcessKey>) {}
}
