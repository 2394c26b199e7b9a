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
mod damage;
mod end;
mod farewell;
mod handover;
mod requests;
mod restart;
mod start;
mod tell;
mod under_way;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tidegate_checkpoint::{
    Coordinator, Event, RestartStrategy,
    coordinator::{EndStatus, RequestId},
    protocol::{Failure, Report},
};
use tidegate_storage::log::Concluded;
use tidegate_types::{
    AttemptId, CheckpointId, Clock, ErrorKind, MaxParallelism, Monotonic, Parallelism,
    ProcessIndex, Random,
};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::error;

pub use self::attempts::{AttemptStart, Attempts, RunningAttempt};
use self::{farewell::Farewell, handover::Handover, tell::Sample, under_way::UnderWay};
use crate::{
    api::{Ended, JobError, JobSettings, JobStatus, Reply, Request},
    describe::JobPlan,
    host::Host,
    prepare::{Beginning, Prepared, Stores},
    stats::{Location, SharedStats},
    tenure::Tenure,
    ticket::Ticket,
};

/// How often figures are brought up to date.
const STATS_EVERY: Duration = Duration::from_millis(100);

/// How an attempt has ended.
enum AttemptEnd {
    /// All of its processes have closed, and the job has ended like this.
    Closed(EndStatus),
    Canceled,
    /// It is to go on later.
    Suspended,
    /// With where that was, if it was one of several places.
    Failed(Failure, Option<Location>),
    /// Another parallelism is wanted; the reason.
    Outdated(String),
    /// It could not go on, through no fault of the job's; the reason.
    GaveWay(String),
}

impl From<JobError> for AttemptEnd {
    fn from(error: JobError) -> Self {
        let (kind, message) = (error.kind(), error.to_string());
        Failure { kind, message, uid: None, subtask: None }.into()
    }
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
    /// The newest snapshot that each process has committed.
    committed: BTreeMap<ProcessIndex, CheckpointId>,
    end: Option<AttemptEnd>,
}

impl Attempt {
    fn new(id: AttemptId, running: RunningAttempt, now: Monotonic) -> Self {
        let committed = BTreeMap::new();
        Self { id, running, sample: Sample::new(now), failed_in: None, committed, end: None }
    }

    /// Whether all its processes have committed a snapshot.
    fn has_committed(&self, checkpoint: CheckpointId) -> bool {
        let committed = self.committed.values().filter(|newest| **newest >= checkpoint);
        committed.count() == self.running.commands.len()
    }

    fn failed(&mut self, failure: Failure) {
        let process = self.failed_in.map(|process| process.get() as usize);
        let location = process.and_then(|process| self.running.locations.get(process).cloned());
        self.end.get_or_insert(AttemptEnd::Failed(failure, location));
    }
}

/// Who has asked for a snapshot.
struct Asked {
    /// What the snapshot is to be known by, if whoever asks wants to find it again.
    ticket: Option<Box<Ticket>>,
    reply: Reply,
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
    random: Arc<dyn Random>,
    stats: SharedStats,
    /// Whoever can write a `_metadata` completes nothing without it.
    tenure: Tenure,
    requests: mpsc::UnboundedReceiver<Request>,
    /// Requests that have come while the attempt was being started.
    waiting: Vec<Request>,
    beginning: Option<Beginning>,
    /// Writes of manifests; each comes back as an event.
    writes: JoinSet<Written>,
    deletions: JoinSet<()>,
    /// Snapshots that have been triggered, until they are complete or their files are gone.
    under_way: BTreeMap<CheckpointId, UnderWay>,
    asked: HashMap<RequestId, Asked>,
    next_request: u64,
    /// Where the savepoint lies that the job was stopped with.
    stopped_with: Option<String>,
    /// Whether the log says that the job has ended and leaves nothing to go on from.
    is_concluded: bool,
    farewell: Farewell,
    max_parallelism: MaxParallelism,
    /// Of the current attempt.
    parallelism: Parallelism,
    attempt: AttemptId,
    /// What the names of the current attempt's files carry.
    token: u64,
    /// Whether the next attempt follows upon a failure of user code.
    telling: bool,
    /// The snapshot of a job that lives from which this one has begun.
    fork_of: Option<String>,
}

impl JobMaster {
    pub(crate) fn new(
        (prepared, tenure): (Prepared, Tenure),
        attempts: Box<dyn Attempts>,
        host: &Host,
        stats: SharedStats,
        requests: mpsc::UnboundedReceiver<Request>,
    ) -> Self {
        let Prepared { settings, plan, stores, config, next_id, owned, foreign, .. } = prepared;
        let Prepared { rewind, fork, beginning, .. } = prepared;
        let fork_of = fork.as_ref().map(|fork| fork.location.clone());
        stats.update(|stats| (stats.rewind, stats.fork) = (rewind, fork));
        let master = Self {
            coordinator: Coordinator::new(config, next_id, owned, foreign),
            restart: RestartStrategy::new(settings.options.restart.clone()),
            max_parallelism: settings
                .max_parallelism
                .unwrap_or_else(|| MaxParallelism::default_for(settings.parallelism)),
            parallelism: settings.parallelism,
            beginning: Some(beginning),
            settings,
            plan,
            attempts,
            stores,
            clock: Arc::clone(&host.clock),
            random: Arc::clone(&host.random),
            stats,
            tenure,
            requests,
            waiting: Vec::new(),
            writes: JoinSet::new(),
            deletions: JoinSet::new(),
            under_way: BTreeMap::new(),
            asked: HashMap::new(),
            next_request: 0,
            stopped_with: None,
            is_concluded: false,
            farewell: Farewell::No,
            attempt: AttemptId(0),
            token: 0,
            telling: false,
            fork_of,
        };
        master.tell_held();
        master
    }

    /// The same, for a job whose final savepoint was complete when it was taken over, and which ends like
    /// that behind it.
    pub(crate) fn concluding(self, how: Concluded) -> Self {
        let end = match how {
            Concluded::Finished => EndStatus::Finished,
            Concluded::Canceled => EndStatus::Canceled,
        };
        Self { coordinator: self.coordinator.concluding(end), ..self }
    }

    /// Runs attempts until the job ends.
    pub(crate) async fn run(mut self) -> Ended {
        let result = loop {
            match self.run_attempt().await {
                AttemptEnd::Closed(status) => break Ok(self.ended(status).await),
                AttemptEnd::Canceled => break Ok(self.ended(EndStatus::Canceled).await),
                AttemptEnd::Suspended => break Ok(self.ended(EndStatus::Suspended).await),
                AttemptEnd::Failed(failure, location)
                    if self.farewell.is_wanted() && failure.kind != ErrorKind::Fenced =>
                {
                    self.remember(&failure, location);
                    break Ok(self.ended(EndStatus::Suspended).await);
                }
                AttemptEnd::Outdated(reason) => self.after_handover(&reason),
                AttemptEnd::GaveWay(reason) => self.after_giving_way(reason),
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
            self.step(Event::JobEnded(EndStatus::Failed), &mut None);
            error!(job = %self.settings.id, error = %error, "the job has failed");
        }
        let is_over = matches!(&result, Ok(result) if result.status != JobStatus::Suspended);
        let log = self.let_go(is_over).await;
        Ended { result, log }
    }

    /// Tells the coordinator, and does what it wants done; `attempt` is there while one runs.
    fn step(&mut self, event: Event, attempt: &mut Option<&mut Attempt>) {
        let actions = self.coordinator.step(event, self.clock.monotonic());
        self.perform(actions, attempt);
    }

    fn set_status(&self, status: JobStatus) {
        self.stats.set_status(status, self.clock.now());
    }

    async fn run_attempt(&mut self) -> AttemptEnd {
        self.stats.update(|stats| {
            stats.attempt_started = self.clock.now();
            stats.restored = None;
            stats.records = 0;
            stats.first_record = None;
            stats.attempt = self.attempt;
            stats.pending.clear();
            stats.subtasks.clear();
            stats.rates.clear();
            stats.records_per_second = 0.0;
        });
        self.set_status(JobStatus::Initializing);
        let mut attempt = match self.start_attempt().await {
            Ok(running) => Attempt::new(self.attempt, running, self.clock.monotonic()),
            Err(end) => return end,
        };
        self.parallelism = attempt.running.parallelism;
        let processes = attempt.running.commands.len() as u32;
        let id = attempt.id;
        let mut running = Some(&mut attempt);
        self.step(Event::AttemptStarted { attempt: id, processes }, &mut running);
        for request in std::mem::take(&mut self.waiting) {
            if let Some(event) = self.on_request(request) {
                self.step(event, &mut running);
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
                // The rarer goes first: what comes often keeps nothing else waiting.
                biased;
                leave = self.farewell.next() => self.leave(&leave, attempt),
                step = handover.next(&mut attempt.running.outdated) => {
                    self.hand_over(step, &mut handover, attempt)
                }
                _ = stats_tick.tick() => {
                    self.collect_stats(attempt);
                    None
                }
                Some(done) = self.writes.join_next() => match done {
                    Ok(Written::Event(event)) => Some(event),
                    Ok(Written::Fenced(message)) => {
                        attempt.end = Some(fenced(message).into());
                        None
                    }
                    Err(_) => None,
                },
                Some(_) = self.deletions.join_next() => None,
                Some(request) = self.requests.recv() => self.on_request(request),
                () = tokio::time::sleep(deadline) => Some(Event::Tick),
                Some(report) = attempt.running.reports.recv() => {
                    match &report {
                        Report::Failed { process, .. } => {
                            attempt.failed_in.get_or_insert(*process);
                        }
                        Report::Committed { process, checkpoint } => {
                            attempt.committed.insert(*process, *checkpoint);
                        }
                        _ => {}
                    }
                    Some(Event::Report { attempt: attempt.id, report })
                }
            };
            if let Some(event) = event {
                self.step(event, &mut Some(attempt));
            }
            if self.farewell.committing().is_some_and(|last| attempt.has_committed(last)) {
                attempt.end.get_or_insert(AttemptEnd::Suspended);
            }
        }
        self.collect_stats(attempt);
    }

    fn until_deadline(&self) -> Duration {
        let deadline = self.coordinator.next_deadline();
        deadline.map_or(Duration::from_secs(3600), |time| time.since(self.clock.monotonic()))
    }

    /// Ends what is left of an attempt, and clears up which snapshot is the latest.
    async fn tear_down(&mut self, mut attempt: Attempt) -> AttemptEnd {
        let end = attempt.end.take().expect("attended until there is one");
        attempt.running.commands.clear();
        attempt.running.ended.await;
        let reason = match &end {
            AttemptEnd::Closed(_) => "the job has ended".to_owned(),
            AttemptEnd::Canceled => "the job was cancelled".to_owned(),
            AttemptEnd::Suspended => "the job has ended for now".to_owned(),
            AttemptEnd::Failed(failure, _) => describe(failure),
            AttemptEnd::Outdated(reason) | AttemptEnd::GaveWay(reason) => reason.clone(),
        };
        self.step(Event::AttemptEnded { reason }, &mut None);
        while !self.coordinator.is_settled() {
            let Some(done) = self.writes.join_next().await else { break };
            if let Ok(Written::Fenced(message)) = &done {
                return fenced(message.clone()).into();
            }
            if let Ok(Written::Event(event)) = done {
                self.step(event, &mut None);
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
