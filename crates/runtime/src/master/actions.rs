//! What the coordinator wants done, done.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidegate_checkpoint::{
    Action, Event,
    coordinator::{EndStatus, Subsumed, Trigger},
    protocol::{Command, Failure, ProcessAck},
};
use tidegate_snapshot::{
    CommitError, SnapshotError,
    manifest::{FORMAT, FORMAT_VERSION, JobInfo, Manifest, OperatorManifest, SnapshotForm},
    store::{SnapshotLocation, Unfinished, delete_snapshot},
};
use tidegate_storage::{
    StoreError,
    log::{JobLog, LogError, Recorded},
};
use tidegate_types::{Barrier, CheckpointId, ErrorKind, OperatorUid, error::chain};
use tracing::{debug, warn};

use super::{Attempt, AttemptEnd, JobMaster, UnderWay, Written, end::concluded};
use crate::{api::JobStatus, ticket::Ticket};

impl JobMaster {
    /// Carries out actions, in order; `attempt` is there while one runs.
    pub(super) fn perform(&mut self, actions: Vec<Action>, attempt: &mut Option<&mut Attempt>) {
        let changes_held =
            |action: &Action| matches!(action, Action::Observe(_) | Action::Delete(_));
        if actions.iter().any(changes_held) {
            self.tell_held();
        }
        for action in actions {
            self.perform_one(action, attempt);
        }
    }

    fn perform_one(&mut self, action: Action, attempt: &mut Option<&mut Attempt>) {
        match action {
            Action::Trigger { barrier, trigger, request, ends } => {
                let asked = request.and_then(|request| self.asked.get(&request));
                let ticket = asked.and_then(|asked| asked.ticket.clone());
                self.trigger(barrier, &trigger, (ticket, ends), attempt);
            }
            Action::Send(command) => {
                let is_cancel = command == Command::Cancel;
                if command == Command::Begin {
                    self.set_status(JobStatus::Running);
                }
                send(attempt, &command);
                if is_cancel && let Some(attempt) = attempt {
                    attempt.end.get_or_insert(AttemptEnd::Canceled);
                }
            }
            Action::WriteManifest { checkpoint, acks, .. } => {
                self.write_manifest(checkpoint, acks);
            }
            Action::CheckManifest { checkpoint } => self.check_manifest(checkpoint),
            Action::Discard { checkpoint } => {
                if let Some(snapshot) = self.under_way.remove(&checkpoint) {
                    self.discard(snapshot.unfinished);
                }
            }
            Action::Delete(subsumed) => self.delete(subsumed),
            Action::Answer { request, result } => {
                if let Some(asked) = self.asked.remove(&request) {
                    // Who has given up waiting needs no answer.
                    let _ = asked.reply.send(result);
                }
            }
            Action::FailAttempt(failure) => {
                if let Some(attempt) = attempt {
                    attempt.failed(failure);
                }
            }
            Action::RestartAttempt { reason } => {
                if let Some(attempt) = attempt {
                    self.restart_attempt(reason, attempt);
                }
            }
            Action::AttemptClosed(status) => {
                if let Some(attempt) = attempt {
                    attempt.end.get_or_insert(AttemptEnd::Closed(status));
                }
            }
            Action::Observe(outcome) => self.observe(outcome),
        }
    }

    /// Processes that a person has started can't be started again by us: their attempt fails.
    fn restart_attempt(&self, reason: String, attempt: &mut Attempt) {
        if self.attempts.can_restart() {
            attempt.end.get_or_insert(AttemptEnd::GaveWay(reason));
        } else {
            let kind = ErrorKind::Unavailable;
            attempt.failed(Failure { kind, message: reason, uid: None, subtask: None });
        }
    }

    fn trigger(
        &mut self,
        barrier: Barrier,
        trigger: &Trigger,
        (ticket, ends): (Option<Box<Ticket>>, Option<EndStatus>),
        attempt: &mut Option<&mut Attempt>,
    ) {
        let checkpoint = barrier.checkpoint;
        let (number, folder) = ticket.map_or((None, None), |it| (Some(it.trigger), it.location));
        let location = folder.unwrap_or_else(|| self.choose_folder(checkpoint, trigger));
        debug!(job = %self.settings.id, %checkpoint, target = %location, "triggering a snapshot");
        let target = location.to_string();
        let form = match trigger {
            Trigger::Savepoint { form, .. } => *form,
            Trigger::Checkpoint => SnapshotForm::Native,
        };
        let unfinished = location.begun_by(self.token);
        let mut snapshot = UnderWay::new(unfinished, barrier.kind, form, self.clock.now());
        (snapshot.trigger, snapshot.ends) = (number, ends.and_then(concluded));
        self.under_way.insert(checkpoint, snapshot);
        send(attempt, &Command::Trigger { barrier, target, form });
    }

    fn choose_folder(&self, checkpoint: CheckpointId, trigger: &Trigger) -> SnapshotLocation {
        let (job, subdir) = (self.settings.id, self.settings.options.checkpointing.create_subdir);
        match trigger {
            Trigger::Checkpoint => self.stores.checkpoints.checkpoint(job, checkpoint, subdir),
            Trigger::Savepoint { target, .. } => match self.savepoint_store(target.as_deref()) {
                Ok(store) => store.savepoint(job, self.random.number()),
                // It was there when the request was taken: the write will tell what is wrong.
                Err(_) => self.stores.checkpoints.savepoint(job, self.random.number()),
            },
        }
    }

    fn write_manifest(&mut self, checkpoint: CheckpointId, acks: Vec<ProcessAck>) {
        let Some(snapshot) = self.under_way.get_mut(&checkpoint) else { return };
        snapshot.measure(&acks);
        let (location, form) = (snapshot.unfinished.location().clone(), snapshot.form);
        let triggered_at = snapshot.triggered_at;
        let (kind, recorded) = (snapshot.snapshot_kind(), snapshot.record(checkpoint));
        let folder = Some(self.stores.job_folder(&self.settings).to_string());
        let mut manifest = Manifest {
            format: FORMAT.to_owned(),
            version: FORMAT_VERSION,
            kind,
            form,
            job: JobInfo { id: self.settings.id, name: self.settings.name.clone(), folder },
            checkpoint,
            attempt: self.attempt,
            triggered_at,
            completed_at: self.clock.now(),
            operators: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        for ack in acks {
            manifest.files.extend(ack.files);
            for operator in ack.operators {
                add_operator(&mut manifest.operators, operator, self.parallelism);
            }
        }
        let manifest = Arc::new(manifest);
        if let Some(snapshot) = self.under_way.get_mut(&checkpoint) {
            snapshot.manifest = Some(Arc::clone(&manifest));
        }
        let log = self.tenure.log().clone();
        self.writes.spawn(async move {
            match location.commit(&manifest).await {
                Ok(()) => complete(recorded, &log).await,
                // If this run has been taken over from itself, its next append says so.
                Err(CommitError::Exists { .. }) => {
                    Written::Event(Event::ManifestTaken { checkpoint })
                }
                Err(error) => Written::Event(Event::ManifestFailed {
                    checkpoint,
                    may_have_happened: error.may_have_happened(),
                    reason: chain(&error),
                }),
            }
        });
    }

    /// Looks until the store answers: without knowing, nothing else can be decided. What is there may be
    /// the manifest of another run, which has not found out yet that this one has taken the job over.
    fn check_manifest(&mut self, checkpoint: CheckpointId) {
        let Some(snapshot) = self.under_way.get(&checkpoint) else { return };
        let location = snapshot.unfinished.location().clone();
        let (recorded, own) = (snapshot.record(checkpoint), snapshot.manifest.clone());
        let (job, log) = (self.settings.id, self.tenure.log().clone());
        self.writes.spawn(async move {
            loop {
                let problem = match found(&location, own.as_deref()).await {
                    Ok(Found::Own) => match complete(recorded.clone(), &log).await {
                        Written::Event(Event::ManifestFailed { reason, .. }) => reason,
                        written => return written,
                    },
                    Ok(Found::Others) => {
                        return Written::Event(Event::ManifestTaken { checkpoint });
                    }
                    Ok(Found::Nothing) => {
                        return Written::Event(Event::ManifestFailed {
                            checkpoint,
                            may_have_happened: false,
                            reason: format!("'{location}/_metadata' was not written"),
                        });
                    }
                    Err(error) => chain(&error),
                };
                warn!(%job, %checkpoint, error = problem, "is the snapshot complete? looking again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }

    fn discard(&mut self, unfinished: Unfinished) {
        let job = self.settings.id;
        self.deletions.spawn(async move {
            if let Err(error) = unfinished.discard().await {
                let (location, error) = (unfinished.location(), chain(&error));
                warn!(%job, %location, error, "could not delete what a failed snapshot has left");
            }
        });
    }

    fn delete(&mut self, subsumed: Subsumed) {
        let (job, places) = (self.settings.id, self.stores.places());
        self.deletions.spawn(async move {
            if let Err(error) = delete_snapshot(&places, &subsumed).await {
                let (location, error) = (&subsumed.snapshot().location, chain(&error));
                warn!(%job, location, error, "could not delete a snapshot; it has to be deleted by hand");
            }
        });
    }

    /// The location that a snapshot's path or URL stands for.
    pub(super) fn location_of(&self, path: &str) -> Result<SnapshotLocation, StoreError> {
        SnapshotLocation::find(&self.stores.places(), path)
    }
}

/// What lies where a manifest may have been written.
enum Found {
    /// That one.
    Own,
    /// One that somebody else has written.
    Others,
    Nothing,
}

/// Looks for the manifest that is `own`.
///
/// # Errors
///
/// When the store does not answer.
async fn found(location: &SnapshotLocation, own: Option<&Manifest>) -> Result<Found, StoreError> {
    match location.load().await {
        Ok(manifest) if Some(&manifest) == own => Ok(Found::Own),
        Err(SnapshotError::NoMetadata { .. } | SnapshotError::NoSuchFolder { .. }) => {
            Ok(Found::Nothing)
        }
        Err(SnapshotError::Store(error)) => Err(error),
        // Nobody writes half of one.
        Ok(_) | Err(_) => Ok(Found::Others),
    }
}

/// A `_metadata` is written: the snapshot is complete once the job's log says so too. The one place
/// that says so.
async fn complete(snapshot: Recorded, log: &JobLog) -> Written {
    let checkpoint = snapshot.checkpoint;
    match log.append(snapshot).await {
        Ok(completion) => {
            let Recorded { checkpoint, location, .. } = completion.recorded().clone();
            Written::Event(Event::ManifestDurable { checkpoint, location })
        }
        Err(error @ LogError::Fenced { .. }) => Written::Fenced(error.to_string()),
        Err(error) => Written::Event(Event::ManifestFailed {
            checkpoint,
            may_have_happened: true,
            reason: chain(&error),
        }),
    }
}

fn send(attempt: &Option<&mut Attempt>, command: &Command) {
    let Some(attempt) = attempt else { return };
    for process in &attempt.running.commands {
        // A process that is gone is noticed by its report, or by the end of its connection.
        let _ = process.send(command.clone());
    }
}

fn add_operator(
    operators: &mut BTreeMap<OperatorUid, OperatorManifest>,
    ack: tidegate_checkpoint::protocol::OperatorAck,
    parallelism: tidegate_types::Parallelism,
) {
    let operator = operators.entry(ack.uid).or_insert_with(|| OperatorManifest {
        name: ack.name,
        parallelism,
        max_parallelism: ack.max_parallelism,
        key_hash: ack.key_hash,
        key_type: ack.key_type,
        states: ack.states,
        subtasks: Vec::new(),
    });
    operator.subtasks.push(ack.subtask);
}
