//! One process of an attempt: its workers, and the parts of snapshots that they hand out.
//!
//! ```text
//!   coordinator --Command--> [process] --TaskCommand--> workers
//!               <--Report---           <--TaskReport---
//!                               |
//!                               +-- encode (blocking pool) --> assemble --> one file --> Acknowledged
//!                               +-- duties, commits: what sinks have begun, run to the end
//! ```
//!
//! What follows from what is decided in [`tidegate_checkpoint::beginning`] and
//! [`tidegate_checkpoint::gathering`]; here it is carried out.
//!
//! # Who waits for whom at the beginning
//!
//! A worker that restores waits for its fetch, on its own thread: that ends with the last block, an
//! error, or [`Process::close`], which gives up whatever is being fetched. One that has restored waits
//! for [`Command::Begin`] or the close. The coordinator waits for [`Report::Restored`] of all processes,
//! or for one to fail or to be lost. The process itself waits for none of them: it hears commands and
//! reports as they come, and closes when the coordinator says so or is gone.
//!
//! # Invariants
//!
//! - INV-BEGIN, for this process: until [`Command::Begin`] its workers do not step, and what operators
//!   have begun is not run.
//! - INV-ONE-FILE: a process writes at most one file per snapshot, but for those in canonical form.
//! - INV-QUIET: when [`Process::run`] returns, its workers have ended and nothing of it writes or
//!   commits any more, so that its leftovers can be told for certain.
//!
//! # Failure
//!
//! An error of a task, of a commit or of a sink's `prepare` fails the attempt. An error of encoding
//! or of the store fails the snapshot, and no more than that: a snapshot holds references to state
//! and receiving ends of what sinks prepare, so that giving one up takes nothing from anybody.

mod canonical;
mod encode;
mod encoders;
mod patience;
mod progress;
mod threads;

use std::{borrow::Cow, sync::Arc};

use futures::FutureExt;
use tidegate_checkpoint::{
    beginning::{self, Beginning},
    gathering::{self, Gathering, Target},
    protocol::{Command, Failure, ProcessAck, Report},
};
use tidegate_core::{Duty, user_code::caught_async};
use tidegate_snapshot::{
    manifest::SnapshotForm,
    store::{SnapshotLocation, state_file},
};
use tidegate_storage::{Places, StoreError};
use tidegate_types::{
    CheckpointId, Clock, ErrorKind, MaxParallelism, Monotonic, OperatorUid, ProcessIndex,
    SubtaskIndex, UserResult, error::chain,
};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::warn;

pub(crate) use self::progress::Progress;
pub(crate) use self::threads::{Others, Workers, WorkersSpec, start_workers};
use self::{
    canonical::CanonicalTarget,
    encode::{EncodedPart, assemble, encode_part},
    encoders::Encoders,
    patience::{LONG, telling_after},
};
use crate::{
    graph::TaskId,
    host::Threads,
    task::{TaskError, TaskReport, TaskSnapshot},
};

/// What a process is told about itself.
pub(crate) struct ProcessSpec {
    pub(crate) process: ProcessIndex,
    /// How many tasks the job has; each worker runs one subtask of each.
    pub(crate) tasks: usize,
    /// The number of its first worker.
    pub(crate) first_worker: usize,
    pub(crate) max_parallelism: MaxParallelism,
    pub(crate) attempt_token: u64,
    pub(crate) inline_threshold: u64,
    /// From where the targets of snapshots are found.
    pub(crate) places: Places,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where state is encoded.
    pub(crate) threads: Arc<dyn Threads>,
}

/// A task's part of a snapshot, and since when it is the process's.
struct Part {
    subtask: SubtaskIndex,
    snapshot: TaskSnapshot,
    since: Monotonic,
}

type Event = gathering::Event<Part, EncodedPart>;
type Action = gathering::Action<Part, EncodedPart>;

/// What the process's own jobs on Tokio come back with.
enum Done {
    /// Something of a snapshot has been encoded or written, or not.
    Gathered(Event),
    /// Something can't be kept that an operator has in its state.
    Unfit { checkpoint: CheckpointId, uid: OperatorUid, subtask: SubtaskIndex, message: String },
    /// A sink has committed, or not.
    Committed(CheckpointId, Outcome),
    /// An operator has brought to its end what it had begun, or not.
    Duty(Outcome),
}

/// Why a part could not be encoded.
pub(crate) enum EncodeFailure {
    /// The snapshot fails.
    Declined(String),
    /// Something in it can't be kept: the attempt fails for good, since no other would be better off.
    Unfit { uid: OperatorUid, subtask: SubtaskIndex, message: String },
    /// What an operator prepares for it has failed: that fails the attempt, and says why.
    Unprepared,
}

/// What came of something that an operator had begun.
struct Outcome {
    uid: OperatorUid,
    subtask: SubtaskIndex,
    /// What it was to do, as it follows upon "could not".
    what: Cow<'static, str>,
    result: UserResult<()>,
}

async fn run_to_end(uid: OperatorUid, subtask: SubtaskIndex, duty: Duty) -> Outcome {
    let Duty { what, work } = duty;
    let tell =
        || warn!(operator = %uid, %subtask, "it takes more than {LONG:?} to {what}; waiting on");
    let result = telling_after(LONG, caught_async(work), tell).await;
    Outcome { uid, subtask, what, result }
}

/// One process of an attempt.
pub(crate) struct Process {
    spec: ProcessSpec,
    workers: Workers,
    task_reports: mpsc::UnboundedReceiver<(TaskId, usize, TaskReport)>,
    reports: mpsc::UnboundedSender<Report>,
    jobs: JoinSet<Done>,
    encoders: Encoders,
    beginning: Beginning<OwnDuty>,
    gathering: Gathering<Part, EncodedPart>,
    progress: Progress,
}

/// Something that a subtask of an operator has begun.
struct OwnDuty {
    uid: OperatorUid,
    subtask: SubtaskIndex,
    duty: Duty,
}

impl Process {
    pub(crate) fn new(
        spec: ProcessSpec,
        workers: Workers,
        task_reports: mpsc::UnboundedReceiver<(TaskId, usize, TaskReport)>,
        reports: mpsc::UnboundedSender<Report>,
        progress: Progress,
    ) -> Self {
        let subtasks = spec.tasks * workers.count();
        let own = spec.first_worker..spec.first_worker + workers.count();
        let own = own.map(|worker| SubtaskIndex(worker as u32));
        Self {
            beginning: Beginning::new(spec.process, own),
            gathering: Gathering::new(spec.process, subtasks),
            encoders: Encoders::new(Arc::clone(&spec.threads)),
            spec,
            workers,
            task_reports,
            reports,
            jobs: JoinSet::new(),
            progress,
        }
    }

    /// Runs until the coordinator says that it is over, or is gone.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                // The rarer goes first: what comes often keeps nothing else waiting.
                biased;
                command = commands.recv() => match command {
                    Some(Command::Finish) => {
                        self.close().await;
                        self.report(Report::Closed { process: self.spec.process });
                        return;
                    }
                    Some(Command::Cancel) | None => return self.close().await,
                    Some(command) => self.on_command(command),
                },
                Some(done) = self.jobs.join_next() => match done {
                    Ok(done) => self.on_done(done),
                    Err(error) => self.fail(ErrorKind::Internal, None, error.to_string()),
                },
                Some((task, worker, report)) = self.task_reports.recv() => {
                    self.on_task_report(task, worker, report);
                }
            }
        }
    }

    /// INV-QUIET
    async fn close(&mut self) {
        self.workers.close().await;
        while self.jobs.join_next().await.is_some() {}
    }

    fn report(&self, report: Report) {
        // Without a coordinator the command channel ends too, and with it this process.
        let _ = self.reports.send(report);
    }

    fn fail(&self, kind: ErrorKind, at: Option<(OperatorUid, SubtaskIndex)>, message: String) {
        let (uid, subtask) = at.unzip();
        let failure = Failure { kind, message, uid, subtask };
        self.report(Report::Failed { process: self.spec.process, failure });
    }

    fn on_command(&mut self, command: Command) {
        self.step(match command {
            Command::Begin => return self.begin(beginning::Event::Begin),
            Command::Trigger { barrier, target, form } => {
                Event::Triggered { barrier, target: Target { folder: target, form } }
            }
            Command::Completed { checkpoint } => {
                self.progress.ended(checkpoint);
                Event::Completed(checkpoint)
            }
            Command::SavepointCompleted { checkpoint } => {
                self.progress.ended(checkpoint);
                Event::SavepointCompleted(checkpoint)
            }
            Command::Aborted { checkpoint } => {
                self.progress.ended(checkpoint);
                Event::Aborted(checkpoint)
            }
            Command::Finish | Command::Cancel => return,
        });
    }

    fn step(&mut self, event: Event) {
        for action in self.gathering.step(event) {
            match action {
                Action::Tell(command) => self.workers.send(command),
                Action::Encode { checkpoint, target, part } => {
                    self.encode(checkpoint, &target, part);
                }
                Action::Write { checkpoint, target, parts } => {
                    self.write(checkpoint, &target, parts);
                }
                Action::Report(report) => self.report(report),
            }
        }
    }

    fn begin(&mut self, event: beginning::Event<OwnDuty>) {
        for action in self.beginning.step(event) {
            match action {
                beginning::Action::Report(report) => self.report(report),
                beginning::Action::Begin => self.workers.begin(),
                beginning::Action::Run(OwnDuty { uid, subtask, duty }) => {
                    self.jobs.spawn(run_to_end(uid, subtask, duty).map(Done::Duty));
                }
            }
        }
    }

    fn on_task_report(&mut self, task: TaskId, worker: usize, report: TaskReport) {
        let subtask = SubtaskIndex(worker as u32);
        match report {
            TaskReport::Restored => self.begin(beginning::Event::Restored(subtask)),
            TaskReport::Snapshot(snapshot) => {
                let (checkpoint, since) =
                    (snapshot.barrier.checkpoint, self.spec.clock.monotonic());
                self.step(Event::Part(checkpoint, Part { subtask, snapshot, since }));
            }
            TaskReport::InputEnded => self.step(Event::InputEnded(task.0, subtask)),
            TaskReport::Commits(checkpoint, commits) => {
                self.step(Event::Commits(checkpoint, commits.len()));
                for (uid, work) in commits {
                    let what = format!("commit checkpoint {checkpoint}").into();
                    let commit = run_to_end(uid, subtask, Duty { what, work });
                    self.jobs.spawn(commit.map(move |end| Done::Committed(checkpoint, end)));
                }
            }
            TaskReport::Duty(uid, duty) => {
                self.begin(beginning::Event::Duty(OwnDuty { uid, subtask, duty }));
            }
            TaskReport::Failed(error) => self.on_task_failed(subtask, error),
            TaskReport::FirstRecord => self.progress.first_record_has_left(),
        }
    }

    fn on_task_failed(&self, subtask: SubtaskIndex, error: TaskError) {
        let TaskError { kind, uid, message } = error;
        let failure = Failure { kind, message, uid, subtask: Some(subtask) };
        self.report(Report::Failed { process: self.spec.process, failure });
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Gathered(event) => {
                if let Event::Encoded(checkpoint, part) = &event
                    && self.gathering.is_gathering(*checkpoint)
                {
                    self.progress.encoded(*checkpoint, part.bytes());
                }
                self.step(event);
            }
            Done::Unfit { checkpoint, uid, subtask, message } => {
                self.fail(ErrorKind::Invalid, Some((uid, subtask)), message.clone());
                self.step(Event::NotEncoded(checkpoint, message));
            }
            Done::Duty(outcome) => _ = self.check_outcome(outcome),
            Done::Committed(checkpoint, outcome) => {
                if self.check_outcome(outcome) {
                    self.step(Event::CommitDone(checkpoint));
                }
            }
        }
    }

    /// Fails the attempt if an operator could not do what it had begun; tells whether it could.
    fn check_outcome(&self, outcome: Outcome) -> bool {
        let Outcome { uid, subtask, what, result } = outcome;
        let Err(error) = result else { return true };
        let kind = ErrorKind::marked(error.as_ref()).unwrap_or(ErrorKind::Unavailable);
        let message = format!("operator `{uid}` could not {what}: {}", chain(error.as_ref()));
        self.fail(kind, Some((uid, subtask)), message);
        false
    }

    fn encode(&mut self, checkpoint: CheckpointId, target: &Target, part: Part) {
        let canonical = (target.form == SnapshotForm::Canonical).then(|| {
            let location = self.location(target).map_err(|error| chain(&error))?;
            Ok::<_, String>(CanonicalTarget { location, token: self.spec.attempt_token })
        });
        let (max_parallelism, encoders) = (self.spec.max_parallelism, self.encoders.clone());
        self.jobs.spawn(async move {
            let encoded = match canonical.transpose() {
                Ok(target) => encode_part(part, max_parallelism, target, encoders).await,
                Err(reason) => Err(EncodeFailure::Declined(reason)),
            };
            Done::Gathered(match encoded {
                Ok(part) => Event::Encoded(checkpoint, part),
                Err(EncodeFailure::Declined(reason)) => Event::NotEncoded(checkpoint, reason),
                Err(EncodeFailure::Unfit { uid, subtask, message }) => {
                    return Done::Unfit { checkpoint, uid, subtask, message };
                }
                Err(EncodeFailure::Unprepared) => Event::Unprepared(checkpoint),
            })
        });
    }

    /// Writes the process's file.
    fn write(&mut self, checkpoint: CheckpointId, target: &Target, parts: Vec<EncodedPart>) {
        let process = self.spec.process;
        let location = self.location(target);
        let clock = Arc::clone(&self.spec.clock);
        let name = state_file(process, self.spec.attempt_token);
        let assembled = assemble(parts, &name, self.spec.inline_threshold);
        self.jobs.spawn(async move {
            let written = async {
                let location = location.map_err(|error| chain(&error))?;
                let mut files = assembled.tables;
                if let Some((chunks, crc32c)) = assembled.file {
                    let entry = location.write_file(&name, chunks, crc32c).await;
                    files.insert(name, entry.map_err(|error| chain(&error))?);
                }
                let operators = assembled.operators.into_iter().map(|(since, mut operator)| {
                    operator.stats.async_us = clock.monotonic().since(since).as_micros() as u64;
                    operator
                });
                Ok(ProcessAck { checkpoint, process, operators: operators.collect(), files })
            };
            Done::Gathered(Event::Written(checkpoint, written.await))
        });
    }

    fn location(&self, target: &Target) -> Result<SnapshotLocation, StoreError> {
        SnapshotLocation::find(&self.spec.places, &target.folder)
    }
}
