//! One process of an attempt: its workers, and the parts of snapshots that they hand out.
//!
//! ```text
//!   coordinator --Command--> [process] --WorkerCommand--> workers
//!               <--Report---           <--TaskReport-----
//!                               |
//!                               +-- encode (blocking pool) --> assemble --> one file --> Acknowledged
//!                               +-- duties, commits: what sinks have begun, run to the end
//! ```
//!
//! # Invariants
//!
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
mod network;
mod threads;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use futures::FutureExt;
use tidegate_checkpoint::protocol::{Command, Failure, OperatorAck, ProcessAck, Report};
use tidegate_core::Duty;
use tidegate_snapshot::{
    manifest::SnapshotForm,
    store::{SnapshotLocation, state_file},
};
use tidegate_storage::{Places, StoreError};
use tidegate_types::{
    CheckpointId, Clock, ErrorKind, MaxParallelism, OperatorUid, ProcessIndex, SnapshotFigures,
    SubtaskIndex, Timestamp, UserResult, error::chain,
};
use tokio::{sync::mpsc, task::JoinSet};

pub(crate) use self::network::Network;
pub(crate) use self::threads::{Workers, WorkersSpec, start_workers};
use self::{
    canonical::CanonicalTarget,
    encode::{EncodedPart, assemble, encode_part},
    encoders::Encoders,
};
use crate::{
    graph::TaskId,
    task::{TaskError, TaskReport, TaskSnapshot, caught_async},
    worker::WorkerCommand,
};

/// What a process is told about itself.
pub(crate) struct ProcessSpec {
    pub(crate) process: ProcessIndex,
    /// How many tasks the job has; each worker runs one subtask of each.
    pub(crate) tasks: usize,
    pub(crate) max_parallelism: MaxParallelism,
    pub(crate) attempt_token: u64,
    pub(crate) inline_threshold: u64,
    /// From where the targets of snapshots are found.
    pub(crate) places: Places,
}

/// A snapshot whose parts are coming in.
///
/// Parts may come before the trigger does: when all sources of this process have ended, barriers
/// come from other processes alone.
struct Collecting {
    /// Where it goes and in which form, once the trigger has said so.
    target: Option<(String, SnapshotForm)>,
    begun: std::time::Instant,
    /// Parts that have come before the trigger.
    waiting: Vec<(usize, TaskSnapshot)>,
    /// How many parts are being encoded, and maybe written.
    encoding: usize,
    parts: Vec<EncodedPart>,
    /// Why nothing will come of it; said once nothing is being written any more.
    given_up: Option<String>,
}

impl Default for Collecting {
    fn default() -> Self {
        Self {
            target: None,
            begun: std::time::Instant::now(),
            waiting: Vec::new(),
            encoding: 0,
            parts: Vec::new(),
            given_up: None,
        }
    }
}

/// What the process's own jobs on Tokio come back with.
enum Done {
    /// A part has been encoded.
    Encoded(CheckpointId, Result<EncodedPart, EncodeFailure>),
    /// The file has been written, or not.
    Acknowledge(Report),
    /// A sink has committed, or not.
    Committed(CheckpointId, Outcome),
    /// An operator has brought to its end what it had begun, or not.
    Duty(Outcome),
}

/// Why a part could not be encoded.
pub(crate) enum EncodeFailure {
    /// The snapshot fails.
    Declined(String),
    /// What an operator prepares for it has failed: that fails the attempt, and says why.
    Unprepared,
}

/// What came of something that an operator had begun.
struct Outcome {
    uid: OperatorUid,
    subtask: SubtaskIndex,
    /// What it was to do, as it follows upon "could not".
    what: &'static str,
    result: UserResult<()>,
}

async fn run_to_end(uid: OperatorUid, worker: usize, duty: Duty) -> Outcome {
    let Duty { what, work } = duty;
    let result = caught_async(work).await;
    Outcome { uid, subtask: SubtaskIndex(worker as u32), what, result }
}

/// One process of an attempt.
pub(crate) struct Process {
    spec: ProcessSpec,
    workers: Workers,
    task_reports: mpsc::UnboundedReceiver<(TaskId, usize, TaskReport)>,
    reports: mpsc::UnboundedSender<Report>,
    jobs: JoinSet<Done>,
    encoders: Encoders,
    collecting: BTreeMap<CheckpointId, Collecting>,
    highest_trigger: Option<CheckpointId>,
    /// By completed snapshot, how many answers of tasks and how many commits are awaited.
    committing: BTreeMap<CheckpointId, (usize, usize)>,
    ended: HashSet<(TaskId, usize)>,
    progress: Progress,
}

/// How far a process has come, for others to see. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Progress {
    clock: Arc<dyn Clock>,
    first_record: Arc<OnceLock<Timestamp>>,
    snapshots: Arc<Mutex<BTreeMap<CheckpointId, SnapshotFigures>>>,
}

impl Progress {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, first_record: Arc::default(), snapshots: Arc::default() }
    }

    /// When the first record had passed through all operators.
    pub(crate) fn first_record(&self) -> Option<Timestamp> {
        self.first_record.get().copied()
    }

    /// The snapshots that are being taken.
    pub(crate) fn snapshots(&self) -> Vec<SnapshotFigures> {
        self.lock().values().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CheckpointId, SnapshotFigures>> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn encoded(&self, checkpoint: CheckpointId, part: &EncodedPart) {
        let mut snapshots = self.lock();
        let none = SnapshotFigures { checkpoint, subtasks: 0, bytes: 0 };
        let figures = snapshots.entry(checkpoint).or_insert(none);
        figures.subtasks += 1;
        figures.bytes += part.bytes();
    }

    fn ended(&self, checkpoint: CheckpointId) {
        self.lock().remove(&checkpoint);
    }
}

impl Process {
    pub(crate) fn new(
        spec: ProcessSpec,
        workers: Workers,
        task_reports: mpsc::UnboundedReceiver<(TaskId, usize, TaskReport)>,
        reports: mpsc::UnboundedSender<Report>,
        progress: Progress,
    ) -> Self {
        Self {
            spec,
            workers,
            task_reports,
            reports,
            jobs: JoinSet::new(),
            encoders: Encoders::new(),
            collecting: BTreeMap::new(),
            highest_trigger: None,
            committing: BTreeMap::new(),
            ended: HashSet::new(),
            progress,
        }
    }

    /// Runs until the coordinator says that it is over, or is gone.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Finish) => {
                        self.close().await;
                        self.report(Report::Closed { process: self.spec.process });
                        return;
                    }
                    Some(Command::Cancel) | None => return self.close().await,
                    Some(command) => self.on_command(command),
                },
                Some((task, worker, report)) = self.task_reports.recv() => {
                    self.on_task_report(task, worker, report);
                }
                Some(done) = self.jobs.join_next() => match done {
                    Ok(done) => self.on_done(done),
                    Err(error) => self.fail(ErrorKind::Internal, None, error.to_string()),
                },
            }
        }
    }

    /// INV-QUIET
    async fn close(&mut self) {
        self.workers.close().await;
        while self.jobs.join_next().await.is_some() {}
    }

    fn subtasks(&self) -> usize {
        self.spec.tasks * self.workers.count()
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
        match command {
            Command::Trigger { barrier, target, form } => {
                let checkpoint = barrier.checkpoint;
                self.highest_trigger = self.highest_trigger.max(Some(checkpoint));
                let collecting = self.collecting.entry(checkpoint).or_default();
                collecting.target = Some((target, form));
                let waiting = std::mem::take(&mut collecting.waiting);
                self.workers.send(WorkerCommand::Trigger(barrier));
                for (worker, snapshot) in waiting {
                    self.on_snapshot(worker, snapshot);
                }
            }
            Command::Completed { checkpoint } => {
                self.progress.ended(checkpoint);
                self.committing.insert(checkpoint, (self.subtasks(), 0));
                self.workers.send(WorkerCommand::Completed(checkpoint));
            }
            Command::SavepointCompleted { checkpoint } => self.progress.ended(checkpoint),
            Command::Aborted { checkpoint } => {
                self.progress.ended(checkpoint);
                self.workers.send(WorkerCommand::Aborted(checkpoint));
                self.give_up(checkpoint, "aborted".to_owned());
            }
            Command::Finish | Command::Cancel => {}
        }
    }

    fn on_task_report(&mut self, task: TaskId, worker: usize, report: TaskReport) {
        match report {
            TaskReport::Snapshot(snapshot) => self.on_snapshot(worker, snapshot),
            TaskReport::InputEnded => self.on_input_ended(task, worker),
            TaskReport::Commits(checkpoint, commits) => {
                for (uid, work) in commits {
                    if let Some((_, running)) = self.committing.get_mut(&checkpoint) {
                        *running += 1;
                    }
                    let commit = run_to_end(uid, worker, Duty { what: "commit", work });
                    self.jobs.spawn(commit.map(move |end| Done::Committed(checkpoint, end)));
                }
                if let Some((answers, _)) = self.committing.get_mut(&checkpoint) {
                    *answers -= 1;
                }
                self.check_committed(checkpoint);
            }
            TaskReport::Duty(uid, duty) => {
                self.jobs.spawn(run_to_end(uid, worker, duty).map(Done::Duty));
            }
            TaskReport::Failed(error) => self.on_task_failed(worker, error),
            TaskReport::FirstRecord => {
                // Every worker tells of its own; the first counts.
                let _ = self.progress.first_record.set(self.progress.clock.now());
            }
        }
    }

    fn on_task_failed(&self, worker: usize, error: TaskError) {
        let TaskError { kind, uid, message } = error;
        let subtask = SubtaskIndex(worker as u32);
        let failure = Failure { kind, message, uid, subtask: Some(subtask) };
        self.report(Report::Failed { process: self.spec.process, failure });
    }

    fn on_input_ended(&mut self, task: TaskId, worker: usize) {
        self.ended.insert((task, worker));
        let process = self.spec.process;
        if self.ended.len() == self.subtasks() {
            self.report(Report::InputsEnded { process });
        } else if self.ended.len() == 1 {
            self.report(Report::SubtaskEnded { process });
        }
    }

    fn on_snapshot(&mut self, worker: usize, snapshot: TaskSnapshot) {
        let checkpoint = snapshot.barrier.checkpoint;
        if self.is_over(checkpoint) {
            return;
        }
        let collecting = self.collecting.entry(checkpoint).or_default();
        let Some((target, form)) = &collecting.target else {
            collecting.waiting.push((worker, snapshot));
            return;
        };
        collecting.encoding += 1;
        let location = match form {
            SnapshotForm::Native => None,
            SnapshotForm::Canonical => Some(target.clone()),
        };
        let canonical = location.map(|target| {
            let location = self.location(&target).map_err(|error| chain(&error))?;
            Ok::<_, String>(CanonicalTarget { location, token: self.spec.attempt_token })
        });
        let max_parallelism = self.spec.max_parallelism;
        let (subtask, encoders) = (SubtaskIndex(worker as u32), self.encoders.clone());
        self.jobs.spawn(async move {
            let part = match canonical.transpose() {
                Ok(target) => {
                    encode_part(subtask, max_parallelism, snapshot, target, encoders).await
                }
                Err(reason) => Err(EncodeFailure::Declined(reason)),
            };
            Done::Encoded(checkpoint, part)
        });
    }

    /// Whether a snapshot has been triggered, and is not collected any more.
    fn is_over(&self, checkpoint: CheckpointId) -> bool {
        self.highest_trigger >= Some(checkpoint) && !self.collecting.contains_key(&checkpoint)
    }

    /// Nothing will come of a snapshot. The answer tells that nothing of this process will be written
    /// for it any more, so it waits for what is being written.
    fn give_up(&mut self, checkpoint: CheckpointId, reason: String) {
        let Some(collecting) = self.collecting.get_mut(&checkpoint) else { return };
        collecting.given_up.get_or_insert(reason);
        collecting.waiting.clear();
        collecting.parts.clear();
        self.answer_if_quiet(checkpoint);
    }

    fn answer_if_quiet(&mut self, checkpoint: CheckpointId) {
        let quiet = |collecting: &Collecting| {
            (collecting.encoding == 0).then(|| collecting.given_up.clone()).flatten()
        };
        if let Some(reason) = self.collecting.get(&checkpoint).and_then(quiet) {
            self.collecting.remove(&checkpoint);
            let process = self.spec.process;
            self.report(Report::Declined { checkpoint, process, reason });
        }
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Encoded(checkpoint, part) => self.on_encoded(checkpoint, part),
            Done::Acknowledge(report) => self.report(report),
            Done::Duty(outcome) => _ = self.check_outcome(outcome),
            Done::Committed(checkpoint, outcome) => {
                if !self.check_outcome(outcome) {
                    return;
                }
                if let Some((_, running)) = self.committing.get_mut(&checkpoint) {
                    *running -= 1;
                }
                self.check_committed(checkpoint);
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

    fn check_committed(&mut self, checkpoint: CheckpointId) {
        if self.committing.get(&checkpoint) == Some(&(0, 0)) {
            self.committing.remove(&checkpoint);
            let process = self.spec.process;
            self.report(Report::Committed { checkpoint, process });
        }
    }

    fn on_encoded(&mut self, checkpoint: CheckpointId, part: Result<EncodedPart, EncodeFailure>) {
        let Some(collecting) = self.collecting.get_mut(&checkpoint) else { return };
        collecting.encoding -= 1;
        match part {
            Ok(_) if collecting.given_up.is_some() => self.answer_if_quiet(checkpoint),
            Ok(part) => {
                self.progress.encoded(checkpoint, &part);
                collecting.parts.push(part);
                self.write_if_whole(checkpoint);
            }
            Err(EncodeFailure::Declined(reason)) => self.give_up(checkpoint, reason),
            Err(EncodeFailure::Unprepared) => {}
        }
    }

    /// Goes on to write once all parts are there and it is known where to.
    fn write_if_whole(&mut self, checkpoint: CheckpointId) {
        let Some(collecting) = self.collecting.get(&checkpoint) else { return };
        if collecting.parts.len() == self.subtasks()
            && let Some((target, _)) = collecting.target.clone()
            && let Some(collecting) = self.collecting.remove(&checkpoint)
        {
            self.write(checkpoint, &target, collecting);
        }
    }

    /// Writes the process's file and acknowledges.
    fn write(&mut self, checkpoint: CheckpointId, target: &str, collecting: Collecting) {
        let process = self.spec.process;
        let location = self.location(target);
        let name = state_file(process, self.spec.attempt_token);
        let assembled = assemble(collecting.parts, &name, self.spec.inline_threshold);
        self.jobs.spawn(async move {
            let written = async {
                let location = location.map_err(|error| chain(&error))?;
                let mut files = assembled.tables;
                if let Some((chunks, crc32c)) = assembled.file {
                    let entry = location.write_file(&name, chunks, crc32c).await;
                    files.insert(name, entry.map_err(|error| chain(&error))?);
                }
                Ok::<_, String>(files)
            };
            Done::Acknowledge(match written.await {
                Ok(files) => {
                    let mut operators: Vec<OperatorAck> = assembled.operators;
                    let async_us = collecting.begun.elapsed().as_micros() as u64;
                    for operator in &mut operators {
                        operator.stats.async_us = async_us - operator.stats.sync_us.min(async_us);
                    }
                    Report::Acknowledged(ProcessAck { checkpoint, process, operators, files })
                }
                Err(reason) => Report::Declined { checkpoint, process, reason },
            })
        });
    }

    fn location(&self, target: &str) -> Result<SnapshotLocation, StoreError> {
        SnapshotLocation::find(&self.spec.places, target)
    }
}
