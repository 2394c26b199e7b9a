//! The JobMaster: carries out what the coordinator decides, over all attempts of a job.
//!
//! ```text
//!   requests, reports, clock, store --Event--> [coordinator] --Action--> commands, store, stats
//! ```
//!
//! # Failure
//!
//! A failed attempt is torn down whole. The next starts only when nothing of it writes any more and
//! it is certain which snapshot is the latest.

mod actions;
mod attempts;
mod handover;
mod tell;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tidegate_checkpoint::{
    Coordinator, Event, RestartDecision, RestartStrategy,
    coordinator::{EndStatus, RequestId, SavepointRequest},
    protocol::{Failure, Report},
};
use tidegate_snapshot::{
    manifest::SnapshotForm,
    store::{SnapshotStore, Unfinished},
};
use tidegate_storage::log::JobLog;
use tidegate_types::{
    AttemptId, BarrierKind, CheckpointId, Clock, ErrorKind, MaxParallelism, Parallelism,
    ProcessIndex, error::chain,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::{error, info, warn};

pub use self::attempts::{AttemptStart, Attempts, RunningAttempt};
use self::{
    handover::{Handover, Step},
    tell::Sample,
};
use crate::{
    api::{AfterSavepoint, JobError, JobResult, JobSettings, JobStatus, Request},
    describe::JobPlan,
    prepare::{Prepared, RestorePoint, Stores, plan_for},
    stats::{Location, SharedStats, SubtaskSnapshot},
};

/// How often figures are brought up to date.
const STATS_EVERY: Duration = Duration::from_millis(100);

/// How an attempt has ended.
enum AttemptEnd {
    Finished,
    Canceled,
    /// With where that was, if it was one of several places.
    Failed(Failure, Option<Location>),
    /// Another parallelism is wanted; the reason.
    Outdated(String),
}

impl From<Failure> for AttemptEnd {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure, None)
    }
}

/// A running attempt, and how it ended.
struct Attempt {
    id: AttemptId,
    running: RunningAttempt,
    sample: Sample,
    /// The process that has failed first.
    failed_in: Option<ProcessIndex>,
    end: Option<AttemptEnd>,
}

impl Attempt {
    fn new(id: AttemptId, running: RunningAttempt) -> Self {
        Self { id, running, sample: Sample::new(), failed_in: None, end: None }
    }

    fn failed(&mut self, failure: Failure) {
        let process = self.failed_in.map(|process| process.get() as usize);
        let location = process.and_then(|process| self.running.locations.get(process).cloned());
        self.end.get_or_insert(AttemptEnd::Failed(failure, location));
    }
}

/// The master of one job.
pub(crate) struct JobMaster {
    settings: JobSettings,
    plan: JobPlan,
    attempts: Box<dyn Attempts>,
    stores: Stores,
    coordinator: Coordinator,
    restart: RestartStrategy,
    clock: Arc<dyn Clock>,
    stats: SharedStats,
    /// Without one whoever can write a `_metadata` completes a snapshot.
    log: Option<JobLog>,
    requests: mpsc::UnboundedReceiver<Request>,
    /// Requests that have come while the attempt was being started.
    waiting: Vec<Request>,
    restored: Option<RestorePoint>,
    /// Writes of manifests; each comes back as an event.
    writes: JoinSet<Written>,
    deletions: JoinSet<()>,
    /// The snapshots under way, and given up ones that somebody may still write into.
    locations: HashMap<CheckpointId, Unfinished>,
    replies: HashMap<RequestId, oneshot::Sender<Result<String, String>>>,
    next_request: u64,
    /// The snapshots under way that are of the canonical form.
    canonical: HashSet<CheckpointId>,
    /// What was measured of snapshots whose manifest is being written.
    measured: HashMap<CheckpointId, Arc<[SubtaskSnapshot]>>,
    /// Where the savepoint lies that the job was stopped with.
    stopped_with: Option<String>,
    /// Whether that is to cancel the job.
    stop_cancels: bool,
    max_parallelism: MaxParallelism,
    /// Of the current attempt.
    parallelism: Parallelism,
    attempt: AttemptId,
    /// What the names of the current attempt's files carry.
    token: u64,
}

impl JobMaster {
    pub(crate) fn new(
        prepared: Prepared,
        attempts: Box<dyn Attempts>,
        clock: Arc<dyn Clock>,
        stats: SharedStats,
        requests: mpsc::UnboundedReceiver<Request>,
    ) -> Self {
        let Prepared { settings, plan, stores, config, next_id, owned, foreign, restored } =
            prepared;
        let master = Self {
            coordinator: Coordinator::new(config, next_id, owned, foreign),
            restart: RestartStrategy::new(settings.options.restart.clone()),
            max_parallelism: restored.max_parallelism,
            parallelism: settings.parallelism,
            restored: Some(restored),
            settings,
            plan,
            attempts,
            stores,
            clock,
            stats,
            log: None,
            requests,
            waiting: Vec::new(),
            writes: JoinSet::new(),
            deletions: JoinSet::new(),
            locations: HashMap::new(),
            replies: HashMap::new(),
            next_request: 0,
            canonical: HashSet::new(),
            measured: HashMap::new(),
            stopped_with: None,
            stop_cancels: false,
            attempt: AttemptId(0),
            token: 0,
        };
        master.tell_held();
        master
    }

    /// The same, with a log that decides which snapshots are complete.
    pub(crate) fn with_log(self, log: Option<JobLog>) -> Self {
        Self { log, ..self }
    }

    /// Runs attempts until the job ends.
    pub(crate) async fn run(mut self) -> Result<JobResult, JobError> {
        let result = loop {
            let restored = match self.take_restored().await {
                Ok(restored) => restored,
                Err(error) => break Err(error),
            };
            match self.run_attempt(restored).await {
                AttemptEnd::Finished if self.stop_cancels && self.stopped_with.is_some() => {
                    break Ok(self.ended(EndStatus::Canceled));
                }
                AttemptEnd::Finished => break Ok(self.ended(EndStatus::Finished)),
                AttemptEnd::Canceled => break Ok(self.ended(EndStatus::Canceled)),
                AttemptEnd::Outdated(reason) => self.after_handover(&reason),
                AttemptEnd::Failed(failure, location) => {
                    match self.after_failure(failure, location).await {
                        Some(Ok(result)) => break Ok(result),
                        Some(Err(error)) => break Err(error),
                        None => self.attempt = self.attempt.next(),
                    }
                }
            }
        };
        if let Err(error) = &result
            && error.kind() == ErrorKind::Fenced
        {
            // Everything is another master's now, its snapshots too.
            self.set_status(JobStatus::Failed);
            error!(job = %self.settings.id, error = %error, "fenced");
        } else if let Err(error) = &result {
            self.set_status(JobStatus::Failed);
            let actions =
                self.coordinator.step(Event::JobEnded(EndStatus::Failed), self.clock.now());
            self.perform(actions, &mut None);
            error!(job = %self.settings.id, error = %error, "the job has failed");
        }
        while self.deletions.join_next().await.is_some() {}
        result
    }

    /// What the next attempt takes over: at first what was found at the start, and then the
    /// latest snapshot.
    async fn take_restored(&mut self) -> Result<RestorePoint, JobError> {
        if let Some(restored) = self.restored.take() {
            return Ok(restored);
        }
        let Some(point) = self.coordinator.restore_point().cloned() else {
            let max_parallelism = self.max_parallelism;
            return Ok(RestorePoint { max_parallelism, from: None });
        };
        let location = self.location_of(&point.location)?;
        let manifest = location.load().await?;
        let (point, _) = plan_for(&location, &manifest, &self.settings, &self.plan, false)?;
        Ok(point)
    }

    fn set_status(&self, status: JobStatus) {
        self.stats.set_status(status, self.clock.now());
    }

    fn ended(&mut self, status: EndStatus) -> JobResult {
        let actions = self.coordinator.step(Event::JobEnded(status), self.clock.now());
        self.perform(actions, &mut None);
        let status = match status {
            EndStatus::Finished => JobStatus::Finished,
            EndStatus::Canceled => JobStatus::Canceled,
            EndStatus::Failed => JobStatus::Failed,
        };
        self.set_status(status);
        info!(job = %self.settings.id, ?status, "the job has ended");
        JobResult { status, savepoint: self.stopped_with.take(), stats: self.stats.get() }
    }

    /// Decides whether another attempt follows, and waits for its time; `None` if it does.
    async fn after_failure(
        &mut self,
        failure: Failure,
        location: Option<Location>,
    ) -> Option<Result<JobResult, JobError>> {
        let message = describe(&failure);
        self.remember(&failure, location);
        // Processes are the unit of isolation: who started them starts them again.
        if !failure.kind.is_retryable() || !self.attempts.can_restart() {
            return Some(Err(JobError::new(failure.kind, message)));
        }
        let jitter = rand::random::<f64>();
        match self.restart.decide(self.clock.now(), jitter) {
            RestartDecision::GiveUp { reason } => {
                let message = format!("{message} (no restart: {reason})");
                Some(Err(JobError::new(failure.kind, message)))
            }
            RestartDecision::After(delay) => {
                let (job, attempt) = (self.settings.id, self.attempt);
                warn!(%job, %attempt, error = message, "the attempt has failed; the next follows in {delay:.1?}");
                self.set_status(JobStatus::Restarting);
                self.stats.update(|stats| {
                    stats.restarts += 1;
                    stats.records = 0;
                    stats.first_record = None;
                });
                self.wait_for_restart(delay).await
            }
        }
    }

    /// An attempt has given way: the next one has another parallelism.
    fn after_handover(&mut self, reason: &str) {
        info!(job = %self.settings.id, attempt = %self.attempt, reason, "rescaling");
        self.attempt = self.attempt.next();
        self.set_status(JobStatus::Restarting);
        self.stats.update(|stats| stats.rescales += 1);
    }

    async fn wait_for_restart(&mut self, delay: Duration) -> Option<Result<JobResult, JobError>> {
        let restart = tokio::time::sleep(delay);
        tokio::pin!(restart);
        loop {
            tokio::select! {
                () = &mut restart => return None,
                Some(request) = self.requests.recv() => match request {
                    Request::Cancel => return Some(Ok(self.ended(EndStatus::Canceled))),
                    Request::Checkpoint { reply } | Request::Savepoint { reply, .. } => {
                        // Who has given up waiting needs no answer.
                        let _ = reply.send(Err("the job is restarting".to_owned()));
                    }
                },
            }
        }
    }

    async fn run_attempt(&mut self, restored: RestorePoint) -> AttemptEnd {
        // A stop whose attempt failed has not stopped the job.
        (self.stopped_with, self.stop_cancels) = (None, false);
        self.max_parallelism = restored.max_parallelism;
        self.stats.update(|stats| {
            stats.attempt_started = self.clock.now();
            stats.restored = restored.from.clone();
            stats.records = 0;
            stats.first_record = None;
            stats.attempt = self.attempt;
            stats.max_parallelism = self.max_parallelism;
            stats.pending.clear();
            stats.subtasks.clear();
            stats.rates.clear();
            stats.records_per_second = 0.0;
        });
        self.set_status(JobStatus::Initializing);
        let mut attempt = match self.start_attempt(restored).await {
            Ok(running) => Attempt::new(self.attempt, running),
            Err(end) => return end,
        };
        self.parallelism = attempt.running.parallelism;
        let processes = attempt.running.commands.len() as u32;
        let (id, now) = (attempt.id, self.clock.now());
        let mut running = Some(&mut attempt);
        let actions = self.coordinator.step(Event::AttemptStarted { attempt: id, processes }, now);
        self.perform(actions, &mut running);
        self.set_status(JobStatus::Running);
        for request in std::mem::take(&mut self.waiting) {
            if let Some(event) = self.on_request(request) {
                let actions = self.coordinator.step(event, self.clock.now());
                self.perform(actions, &mut running);
            }
        }
        self.attend(&mut attempt).await;
        self.tear_down(attempt).await
    }

    /// Feeds the coordinator until the attempt has an end.
    async fn attend(&mut self, attempt: &mut Attempt) {
        let mut stats_tick = tokio::time::interval(STATS_EVERY);
        let mut handover = Handover::No;
        while attempt.end.is_none() {
            let deadline = self.until_deadline();
            let event = tokio::select! {
                Some(report) = attempt.running.reports.recv() => {
                    if let Report::Failed { process, .. } = &report {
                        attempt.failed_in.get_or_insert(*process);
                    }
                    Some(Event::Report { attempt: attempt.id, report })
                }
                step = handover.next(&mut attempt.running.outdated) => {
                    self.hand_over(step, &mut handover, attempt)
                }
                Some(request) = self.requests.recv() => self.on_request(request),
                Some(done) = self.writes.join_next() => match done {
                    Ok(Written::Event(event)) => Some(event),
                    Ok(Written::Fenced(message)) => {
                        attempt.end = Some(fenced(message).into());
                        None
                    }
                    Err(_) => None,
                },
                () = tokio::time::sleep(deadline) => Some(Event::Tick),
                Some(_) = self.deletions.join_next() => None,
                _ = stats_tick.tick() => {
                    self.collect_stats(attempt);
                    None
                }
            };
            if let Some(event) = event {
                let actions = self.coordinator.step(event, self.clock.now());
                self.perform(actions, &mut Some(attempt));
            }
        }
        self.collect_stats(attempt);
    }

    fn until_deadline(&self) -> Duration {
        let deadline = self.coordinator.next_deadline();
        deadline.map_or(Duration::from_secs(3600), |time| time.since(self.clock.now()))
    }

    /// Does what follows for an attempt that has to give way.
    fn hand_over(
        &mut self,
        step: Step,
        handover: &mut Handover,
        attempt: &mut Attempt,
    ) -> Option<Event> {
        match step {
            Step::Wait => None,
            Step::GiveWay { reason } | Step::Ask { reason, .. } if self.coordinator.is_ending() => {
                handover.postpone(reason, 0);
                None
            }
            Step::GiveWay { reason } => {
                attempt.end.get_or_insert(AttemptEnd::Outdated(reason));
                None
            }
            Step::Ask { reason, failures } => {
                let (reply, answer) = oneshot::channel();
                handover.asked(reason, failures, answer);
                self.on_request(Request::Checkpoint { reply })
            }
        }
    }

    fn on_request(&mut self, request: Request) -> Option<Event> {
        let (target, kind, form, reply) = match request {
            Request::Cancel => {
                self.set_status(JobStatus::Cancelling);
                return Some(Event::CancelRequested);
            }
            Request::Checkpoint { reply } => {
                (None, BarrierKind::Checkpoint, SnapshotForm::Native, reply)
            }
            Request::Savepoint { target, form, then, reply } => {
                if let Err(reason) = self.savepoint_store(target.as_deref()) {
                    // Who has given up waiting needs no answer.
                    let _ = reply.send(Err(reason));
                    return None;
                }
                let kind = match then {
                    AfterSavepoint::GoOn => BarrierKind::Savepoint,
                    AfterSavepoint::Stop { drain } => BarrierKind::StopWithSavepoint { drain },
                    AfterSavepoint::Cancel => BarrierKind::StopWithSavepoint { drain: false },
                };
                self.stop_cancels |= then == AfterSavepoint::Cancel;
                (target, kind, form, reply)
            }
        };
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.replies.insert(id, reply);
        Some(Event::Requested(SavepointRequest { id, target, kind, form }))
    }

    fn savepoint_store(&self, target: Option<&str>) -> Result<SnapshotStore, String> {
        match (target, &self.stores.savepoints) {
            (Some(target), _) => SnapshotStore::open(target).map_err(|error| chain(&error)),
            (None, Some(store)) => Ok(store.clone()),
            (None, None) => Err("no folder for the savepoint: name one, or set \
                                 execution.checkpointing.savepoint-dir"
                .to_owned()),
        }
    }

    /// Starts the next attempt, unless the job is cancelled meanwhile.
    async fn start_attempt(
        &mut self,
        restored: RestorePoint,
    ) -> Result<RunningAttempt, AttemptEnd> {
        let (attempt, token) = (self.attempt, rand::random::<u64>());
        self.token = token;
        let Self { attempts, requests, waiting, .. } = self;
        let start = attempts.start(AttemptStart { attempt, token, restored });
        tokio::pin!(start);
        loop {
            tokio::select! {
                started = &mut start => return started.map_err(|error| {
                    let (kind, message) = (error.kind(), error.to_string());
                    Failure { kind, message, uid: None, subtask: None }.into()
                }),
                Some(request) = requests.recv() => match request {
                    Request::Cancel => return Err(AttemptEnd::Canceled),
                    // Whoever asks for a snapshot of a job that is being started waits for it.
                    request => waiting.push(request),
                },
            }
        }
    }

    /// Ends what is left of an attempt, and clears up which snapshot is the latest.
    async fn tear_down(&mut self, mut attempt: Attempt) -> AttemptEnd {
        let end = attempt.end.take().expect("attended until there is one");
        attempt.running.commands.clear();
        attempt.running.ended.await;
        let reason = match &end {
            AttemptEnd::Finished => "the job has finished".to_owned(),
            AttemptEnd::Canceled => "the job was cancelled".to_owned(),
            AttemptEnd::Failed(failure, _) => describe(failure),
            AttemptEnd::Outdated(reason) => reason.clone(),
        };
        let actions = self.coordinator.step(Event::AttemptEnded { reason }, self.clock.now());
        self.perform(actions, &mut None);
        while !self.coordinator.is_settled() {
            let Some(done) = self.writes.join_next().await else { break };
            if let Ok(Written::Fenced(message)) = &done {
                return fenced(message.clone()).into();
            }
            if let Ok(Written::Event(event)) = done {
                let actions = self.coordinator.step(event, self.clock.now());
                self.perform(actions, &mut None);
            }
        }
        end
    }
}

/// What came of a write of a manifest.
enum Written {
    /// Something that the coordinator is to know.
    Event(Event),
    /// The job is another master's now: this one must do nothing more.
    Fenced(String),
}

fn fenced(message: String) -> Failure {
    Failure { kind: ErrorKind::Fenced, message, uid: None, subtask: None }
}

/// What happened, and where, as one line.
fn describe(failure: &Failure) -> String {
    match failure.subtask {
        Some(subtask) => format!("{} (subtask {subtask})", failure.message),
        None => failure.message.clone(),
    }
}
