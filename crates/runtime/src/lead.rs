//! The coordinator's end in process 0 of an embedded job of several processes.
//!
//! Waits until the others have joined, and relays between them and the job's master. In a cluster
//! the JobManager does so.

use std::{any::Any, collections::BTreeMap, sync::Arc};

use tidegate_checkpoint::protocol::{Command, Failure, Report};
use tidegate_protocol::{
    Link, Secret,
    coordination::{FromProcess, Hello, Host, HostLink, Start, ToProcess},
};
use tidegate_types::{ErrorKind, JobId, ProcessIndex, error::chain};
use tokio::sync::mpsc;

use crate::{api::JobError, follow::PATIENCE, host::Network};

/// The door for the other processes; closed when it is dropped.
pub(crate) struct Door {
    joined: mpsc::UnboundedReceiver<(Hello, HostLink)>,
    _open: Box<dyn Any + Send>,
}

struct Doorkeeper(mpsc::UnboundedSender<(Hello, HostLink)>);

impl Host for Doorkeeper {
    fn joined(&self, hello: Hello, link: HostLink) {
        // Dropping the link tells who comes too late.
        let _ = self.0.send((hello, link));
    }
}

fn unavailable(message: String) -> JobError {
    JobError::new(ErrorKind::Unavailable, message)
}

impl Door {
    /// Opens it at `address`, to those who know `secret`.
    ///
    /// # Errors
    ///
    /// When nobody can listen there.
    pub(crate) async fn open(
        network: &dyn Network,
        address: &str,
        secret: Option<Secret>,
    ) -> Result<Self, JobError> {
        let (sender, joined) = mpsc::unbounded_channel();
        let open = network.open(address, secret, Arc::new(Doorkeeper(sender))).await;
        let open = open.map_err(|error| {
            unavailable(format!("the coordinator can't listen on {address}: {error}"))
        })?;
        Ok(Self { joined, _open: open })
    }

    /// Waits for so many processes; returns them in order. One that does not belong to the job is told
    /// so, and waited on for.
    ///
    /// # Errors
    ///
    /// When they do not come, or have another plan.
    pub(crate) async fn gather(
        &mut self,
        job: JobId,
        expected: usize,
        fingerprint: &str,
    ) -> Result<BTreeMap<ProcessIndex, (Hello, HostLink)>, JobError> {
        let gather = async {
            let mut all = BTreeMap::new();
            while all.len() < expected {
                let Some((hello, link)) = self.joined.recv().await else {
                    return Err(unavailable("the coordinator's door has broken".to_owned()));
                };
                let index = hello.process.get() as usize;
                if hello.job != job || !(1..=expected).contains(&index) {
                    let message = format!(
                        "this is job {job} of {} processes, and process {index} of job {} has come",
                        expected + 1,
                        hello.job
                    );
                    tracing::warn!(message, "a process is turned away");
                    // It ends either way; it may be gone already.
                    let _ = link.send(ToProcess::Refused(message));
                    continue;
                }
                if hello.fingerprint != fingerprint {
                    let process = hello.process;
                    let message = format!(
                        "process {process} has built another plan than process 0: every process \
                         must run the same program with the same arguments"
                    );
                    // It ends either way; it may be gone already.
                    let _ = link.send(ToProcess::Refused(message.clone()));
                    let _ = tokio::time::timeout(PATIENCE, link.close()).await;
                    return Err(JobError::new(ErrorKind::Invalid, message));
                }
                all.insert(hello.process, (hello, link));
            }
            Ok(all)
        };
        tokio::time::timeout(PATIENCE, gather).await.unwrap_or_else(|_| {
            Err(unavailable(format!(
                "not all {expected} other processes have come within {PATIENCE:?}"
            )))
        })
    }
}

/// Sends processes off, and relays between them and the coordinator.
pub(crate) fn send_off(
    processes: BTreeMap<ProcessIndex, (Hello, HostLink)>,
    start: &Start,
    reports: &mpsc::UnboundedSender<Report>,
) -> Vec<mpsc::UnboundedSender<Command>> {
    let mut commands = Vec::new();
    for (process, (_, link)) in processes {
        // If it is gone, so says its relay.
        let _ = link.send(ToProcess::Start(start.clone()));
        let (sender, receiver) = mpsc::unbounded_channel();
        commands.push(sender);
        tokio::spawn(relay(process, link, receiver, reports.clone()));
    }
    commands
}

/// Passes commands and reports on until either side is gone.
async fn relay(
    process: ProcessIndex,
    mut link: Link<ToProcess, FromProcess>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    reports: mpsc::UnboundedSender<Report>,
) {
    let problem = loop {
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(command) => {
                    // If it is gone, so says the next word.
                    let _ = link.send(ToProcess::Command(command));
                }
                None => {
                    let _ = link.send(ToProcess::Command(Command::Cancel));
                    let _ = tokio::time::timeout(PATIENCE, link.close()).await;
                    return;
                }
            },
            word = link.receive() => match word {
                Some(Ok(FromProcess::Report(report))) => {
                    let closed = matches!(report, Report::Closed { .. });
                    if reports.send(report).is_err() || closed {
                        return;
                    }
                }
                // The figures of process 0 speak for all.
                Some(Ok(FromProcess::Figures(_))) => {}
                Some(Err(error)) => break chain(&error),
                None => break "the connection was closed".to_owned(),
            },
        }
    };
    let message = format!("process {process} is lost: {problem}");
    let failure = Failure { kind: ErrorKind::Unavailable, message, uid: None, subtask: None };
    // Nobody listens when the attempt is over already.
    let _ = reports.send(Report::Failed { process, failure });
}
