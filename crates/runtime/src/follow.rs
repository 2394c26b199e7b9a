//! A process that does what a coordinator elsewhere says: one that a TaskManager has started, or one
//! of several that a person has.
//!
//! # Protocol
//!
//! It listens for records, joins the coordinator and says where it listens. The coordinator's answer
//! tells what the attempt begins with; from then on commands come one way, reports and figures go
//! the other.
//!
//! # Failure
//!
//! The loss of the coordinator, or of another process, ends this one: processes are the unit of
//! isolation, and Timely's threads would wait for peers that are gone.

use std::time::Duration;

use tidegate_checkpoint::protocol::{Command, Failure, Report};
use tidegate_protocol::{
    Endpoint,
    coordination::{FromProcess, Hello, ProcessLink, Start, ToProcess},
};
use tidegate_types::{AttemptId, ErrorKind, JobId, ProcessIndex, error::chain};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::{
    api::JobError,
    embedded::{FiguresReader, LocalProcess, LocalProgram, local_process},
    host::Listener,
    process::Others,
};

/// For how long a process tries to reach its coordinator, and waits for the start.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often figures are sent.
const FIGURES_EVERY: Duration = Duration::from_millis(100);
/// For how long the last report may take to be read.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long a process may take to let go of what it has begun, once its attempt is cancelled.
const CLEARING: Duration = Duration::from_secs(5);

/// Which process of which attempt this one is.
pub(crate) struct Follower {
    pub(crate) coordinator: Endpoint,
    pub(crate) job: JobId,
    /// `None` for whichever comes next.
    pub(crate) attempt: Option<AttemptId>,
    pub(crate) token: u64,
    pub(crate) process: ProcessIndex,
    /// Where it listens for records.
    pub(crate) listener: Box<dyn Listener>,
    /// As other processes reach it.
    pub(crate) data_address: String,
}

impl Follower {
    /// Runs the process to the attempt's end.
    ///
    /// # Errors
    ///
    /// When the attempt fails; the coordinator tells why.
    pub(crate) async fn run(self, mut program: LocalProgram) -> Result<(), JobError> {
        let hello = Hello {
            job: self.job,
            attempt: self.attempt,
            token: self.token,
            process: self.process,
            fingerprint: program.plan.fingerprint.clone(),
            data_address: self.data_address.clone(),
        };
        let network = &program.host.network;
        let joined = network.join(&self.coordinator, hello, PATIENCE).await;
        let mut link = joined.map_err(|error| unavailable(chain(&error)))?;
        let start = await_start(&mut link).await?;
        let (job, attempt, index) = (self.job, start.attempt, self.process);
        info!(
            %job, %attempt, process = %index, processes = start.addresses.len(),
            parallelism = %start.parallelism, restored_from = start.restored_from,
            "the attempt begins"
        );
        // Whoever leads the job says how wide it is: what this process was started with may be another
        // width, and its workers would be taken for those of others.
        program.spec.settings.parallelism = start.parallelism;
        let processes = start.addresses.len();
        let restored = program.load(start.restored_from.as_deref(), index.get(), processes).await;
        let restored = match restored {
            Ok(restored) => restored,
            Err(error) => return Err(say_why(link, index, error).await),
        };
        let others = (start.addresses.len() > 1).then(|| Others {
            listener: self.listener,
            process: self.process.get() as usize,
            addresses: start.addresses.clone(),
            secret: self.coordinator.token.clone(),
        });
        let (reports, report_receiver) = mpsc::unbounded_channel();
        let local = LocalProcess {
            process: self.process,
            attempt: start.attempt,
            attempt_token: start.token,
            max_parallelism: start.max_parallelism,
            restored,
            concludes: start.concludes,
            leaves_output: start.leaves_output,
            superseded: start.superseded,
            telling: start.telling,
            others,
        };
        let (process, figures) = local_process(&program, local, reports);
        let (commands, process_commands) = mpsc::unbounded_channel();
        let running = tokio::spawn(process.run(process_commands));
        let end = obey(&mut link, report_receiver, commands, &figures).await;
        let end = match end {
            Ok(End::Closed) => {
                // It has closed, so this does not wait.
                let _ = running.await;
                // Whoever does not read the last words soon has its own way to notice the end.
                let _ = tokio::time::timeout(GOODBYE, link.close()).await;
                Ok(())
            }
            Ok(End::Cancelled(error)) => {
                // What sinks have prepared is aborted, for which nobody else may come.
                let _ = tokio::time::timeout(CLEARING, running).await;
                let _ = tokio::time::timeout(GOODBYE, link.close()).await;
                Err(error)
            }
            Err(error) => {
                // Timely's threads wait for peers that may be gone: the process ends, and they with it.
                running.abort();
                Err(error)
            }
        };
        match &end {
            Ok(()) => info!(%job, %attempt, process = %index, "the process has ended in order"),
            Err(error) => warn!(%job, %attempt, process = %index, %error, "the process ends"),
        }
        end
    }
}

/// Tells the coordinator why this process can't begin: it could not tell a damaged snapshot from a
/// lost process.
async fn say_why(link: ProcessLink, process: ProcessIndex, error: JobError) -> JobError {
    let (kind, message) = (error.kind(), error.to_string());
    let failure = Failure { kind, message, uid: None, subtask: None };
    // If it is gone, there is nobody to tell.
    let _ = link.send(FromProcess::Report(Report::Failed { process, failure }));
    let _ = tokio::time::timeout(GOODBYE, link.close()).await;
    error
}

fn unavailable(message: String) -> JobError {
    JobError::new(ErrorKind::Unavailable, message)
}

fn lost(problem: &str) -> JobError {
    unavailable(format!("the coordinator is lost: {problem}"))
}

async fn await_start(link: &mut ProcessLink) -> Result<Start, JobError> {
    let word = tokio::time::timeout(PATIENCE, link.receive()).await;
    match word {
        Ok(Some(Ok(ToProcess::Start(start)))) => Ok(start),
        Ok(Some(Ok(ToProcess::Refused(reason)))) => Err(JobError::new(ErrorKind::Invalid, reason)),
        Ok(Some(Ok(ToProcess::Command(_)))) => Err(lost("it began with a command")),
        Ok(Some(Err(error))) => Err(lost(&chain(&error))),
        Ok(None) => Err(lost("the connection was closed")),
        Err(_) => Err(lost(&format!("it has not started the attempt within {PATIENCE:?}"))),
    }
}

/// How an attempt ends for a process that is still in touch with its coordinator.
enum End {
    /// It has closed in order.
    Closed,
    /// It was told to end, and why: for what it has reported itself, if it has.
    Cancelled(JobError),
}

/// Passes commands, reports and figures on, until the process has closed in order or is told to end.
///
/// # Errors
///
/// When the coordinator is lost: what this process itself has reported, or that.
async fn obey(
    link: &mut ProcessLink,
    mut reports: mpsc::UnboundedReceiver<Report>,
    commands: mpsc::UnboundedSender<Command>,
    figures: &FiguresReader,
) -> Result<End, JobError> {
    let mut failure = None;
    let mut tick = tokio::time::interval(FIGURES_EVERY);
    let mut sent = None;
    loop {
        tokio::select! {
            biased;
            Some(report) = reports.recv() => {
                let closed = matches!(report, Report::Closed { .. });
                if let Report::Failed { failure: reported, .. } = &report {
                    failure.get_or_insert(JobError::new(reported.kind, reported.message.clone()));
                }
                if let Err(error) = link.send(FromProcess::Report(report)) {
                    return Err(failure.unwrap_or_else(|| lost(&chain(&error))));
                }
                if closed {
                    return Ok(End::Closed);
                }
            }
            word = link.receive() => match word {
                Some(Ok(ToProcess::Command(Command::Cancel))) => {
                    let ended = || unavailable("the coordinator has ended the attempt".to_owned());
                    // It is there until this returns.
                    let _ = commands.send(Command::Cancel);
                    return Ok(End::Cancelled(failure.unwrap_or_else(ended)));
                }
                Some(Ok(ToProcess::Command(command))) => {
                    // The process ends by itself only after it has said so.
                    let _ = commands.send(command);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(failure.unwrap_or_else(|| lost(&chain(&error)))),
                None => {
                    return Err(failure.unwrap_or_else(|| lost("the connection was closed")));
                }
            },
            _ = tick.tick() => {
                let now = figures.read();
                if sent.as_ref() != Some(&now) {
                    sent = Some(now.clone());
                    // If it is gone, the next word says so.
                    let _ = link.send(FromProcess::Figures(now));
                }
            }
        }
    }
}
