//! Carries out what the coordinator decides, over all attempts of a job.
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

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tidegate_checkpoint::{
    Command, Coordinator, Event, Report, RestartDecision, RestartStrategy,
    coordinator::{EndStatus, RequestId, SavepointRequest},
    protocol::Failure,
};
use tidegate_snapshot::store::{SnapshotLocation, SnapshotStore};
use tidegate_types::{
    AttemptId, BarrierKind, CheckpointId, Clock, ProcessIndex, error::chain,
    options::CheckpointingMode,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::{error, info, warn};

use crate::{
    api::{JobError, JobResult, JobSpec, JobStatus, Request, SharedStats},
    link,
    prepare::{PlanFacts, Prepared, Restored, Stores, read},
    process::{Process, ProcessSpec, WorkersSpec, start_workers},
    task::WorkerCounters,
    worker::WorkerSpec,
};

/// How often figures are brought up to date.
const STATS_EVERY: Duration = Duration::from_millis(100);

/// How an attempt has ended.
enum AttemptEnd {
    Finished,
    Canceled,
    Failed(Failure),
}

/// A running attempt: its processes, as their coordinator sees them.
struct Attempt {
    id: AttemptId,
    commands: Vec<mpsc::UnboundedSender<Command>>,
    reports: mpsc::UnboundedReceiver<Report>,
    processes: JoinSet<()>,
    counters: Vec<Arc<WorkerCounters>>,
    end: Option<AttemptEnd>,
}

/// The job's driver.
pub(crate) struct Driver {
    spec: JobSpec,
    plan: PlanFacts,
    stores: Stores,
    coordinator: Coordinator,
    restart: RestartStrategy,
    clock: Arc<dyn Clock>,
    tokio: tokio::runtime::Handle,
    stats: SharedStats,
    requests: mpsc::UnboundedReceiver<Request>,
    restored: Option<Restored>,
    /// Writes of manifests; each comes back as an event.
    writes: JoinSet<Event>,
    deletions: JoinSet<()>,
    locations: HashMap<CheckpointId, SnapshotLocation>,
    replies: HashMap<RequestId, oneshot::Sender<Result<String, String>>>,
    next_request: u64,
    /// Where the savepoint lies that the job was stopped with.
    stopped_with: Option<String>,
    max_parallelism: tidegate_types::MaxParallelism,
    attempt: AttemptId,
}

impl Driver {
    pub(crate) fn new(
        prepared: Prepared,
        clock: Arc<dyn Clock>,
        tokio: tokio::runtime::Handle,
        stats: SharedStats,
        requests: mpsc::UnboundedReceiver<Request>,
    ) -> Self {
        let Prepared { spec, plan, stores, config, next_id, owned, foreign, restored } = prepared;
        Self {
            coordinator: Coordinator::new(config, next_id, owned, foreign),
            restart: RestartStrategy::new(spec.options.restart.clone()),
            max_parallelism: restored.max_parallelism,
            restored: Some(restored),
            spec,
            plan,
            stores,
            clock,
            tokio,
            stats,
            requests,
            writes: JoinSet::new(),
            deletions: JoinSet::new(),
            locations: HashMap::new(),
            replies: HashMap::new(),
            next_request: 0,
            stopped_with: None,
            attempt: AttemptId(0),
        }
    }

    /// Runs attempts until the job ends.
    pub(crate) async fn drive(mut self) -> Result<JobResult, JobError> {
        let result = loop {
            let restored = match self.take_restored().await {
                Ok(restored) => restored,
                Err(error) => break Err(error),
            };
            match self.run_attempt(restored).await {
                AttemptEnd::Finished => break Ok(self.ended(EndStatus::Finished)),
                AttemptEnd::Canceled => break Ok(self.ended(EndStatus::Canceled)),
                AttemptEnd::Failed(failure) => match self.after_failure(failure).await {
                    Some(Ok(result)) => break Ok(result),
                    Some(Err(error)) => break Err(error),
                    None => self.attempt = self.attempt.next(),
                },
            }
        };
        if let Err(error) = &result {
            self.stats.update(|stats| stats.status = JobStatus::Failed);
            let actions =
                self.coordinator.step(Event::JobEnded(EndStatus::Failed), self.clock.now());
            self.perform(actions, &mut None);
            error!(job = %self.spec.id, error = %error, "the job has failed");
        }
        while self.deletions.join_next().await.is_some() {}
        result
    }

    /// What the next attempt takes over: at first what was found at the start, and then the
    /// latest snapshot.
    async fn take_restored(&mut self) -> Result<Restored, JobError> {
        if let Some(restored) = self.restored.take() {
            return Ok(restored);
        }
        let Some(point) = self.coordinator.restore_point().cloned() else {
            let max_parallelism = self.max_parallelism;
            return Ok(Restored { job: Default::default(), max_parallelism, from: None });
        };
        let location = self.location_of(&point.location)?;
        let manifest = location.load().await?;
        read(&location, &manifest, &self.spec, &self.plan).await
    }

    fn ended(&mut self, status: EndStatus) -> JobResult {
        let actions = self.coordinator.step(Event::JobEnded(status), self.clock.now());
        self.perform(actions, &mut None);
        let status = match status {
            EndStatus::Finished => JobStatus::Finished,
            EndStatus::Canceled => JobStatus::Canceled,
            EndStatus::Failed => JobStatus::Failed,
        };
        self.stats.update(|stats| stats.status = status);
        info!(job = %self.spec.id, ?status, "the job has ended");
        JobResult { status, savepoint: self.stopped_with.take(), stats: self.stats.get() }
    }

    /// Decides whether another attempt follows, and waits for its time; `None` if it does.
    async fn after_failure(&mut self, failure: Failure) -> Option<Result<JobResult, JobError>> {
        let message = describe(&failure);
        // Processes are the unit of isolation: who started them starts them again.
        if !failure.kind.is_retryable() || self.spec.cluster.is_some() {
            return Some(Err(JobError::new(failure.kind, message)));
        }
        let jitter = rand::random::<f64>();
        match self.restart.decide(self.clock.now(), jitter) {
            RestartDecision::GiveUp { reason } => {
                let message = format!("{message} (no restart: {reason})");
                Some(Err(JobError::new(failure.kind, message)))
            }
            RestartDecision::After(delay) => {
                let (job, attempt) = (self.spec.id, self.attempt);
                warn!(%job, %attempt, error = message, "the attempt has failed; the next follows in {delay:.1?}");
                self.stats.update(|stats| {
                    stats.status = JobStatus::Restarting;
                    stats.restarts += 1;
                });
                self.wait_for_restart(delay).await
            }
        }
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

    async fn run_attempt(&mut self, restored: Restored) -> AttemptEnd {
        // A stop whose attempt failed has not stopped the job.
        self.stopped_with = None;
        self.max_parallelism = restored.max_parallelism;
        self.stats.update(|stats| {
            stats.attempt_started = self.clock.now();
            stats.restored = restored.from.clone();
            stats.records = 0;
            stats.first_record = None;
            stats.status = JobStatus::Initializing;
        });
        let mut attempt = match self.start_attempt(restored).await {
            Ok(attempt) => attempt,
            Err(error) => {
                let message = error.to_string();
                let kind = error.kind();
                return AttemptEnd::Failed(Failure { kind, message, uid: None, subtask: None });
            }
        };
        let processes = attempt.commands.len() as u32;
        let (id, now) = (attempt.id, self.clock.now());
        let mut running = Some(&mut attempt);
        let actions = self.coordinator.step(Event::AttemptStarted { attempt: id, processes }, now);
        self.perform(actions, &mut running);
        self.stats.update(|stats| stats.status = JobStatus::Running);
        self.attend(&mut attempt).await;
        self.tear_down(attempt).await
    }

    /// Feeds the coordinator until the attempt has an end.
    async fn attend(&mut self, attempt: &mut Attempt) {
        let mut stats_tick = tokio::time::interval(STATS_EVERY);
        while attempt.end.is_none() {
            let deadline = self.until_deadline();
            let event = tokio::select! {
                Some(report) = attempt.reports.recv() => {
                    Some(Event::Report { attempt: attempt.id, report })
                }
                Some(request) = self.requests.recv() => self.on_request(request),
                Some(done) = self.writes.join_next() => done.ok(),
                () = tokio::time::sleep(deadline) => Some(Event::Tick),
                Some(_) = self.deletions.join_next() => None,
                _ = stats_tick.tick() => {
                    self.collect_stats(&attempt.counters);
                    None
                }
            };
            if let Some(event) = event {
                let actions = self.coordinator.step(event, self.clock.now());
                self.perform(actions, &mut Some(attempt));
            }
        }
        self.collect_stats(&attempt.counters);
    }

    fn until_deadline(&self) -> Duration {
        let deadline = self.coordinator.next_deadline();
        deadline.map_or(Duration::from_secs(3600), |time| time.since(self.clock.now()))
    }

    fn collect_stats(&self, counters: &[Arc<WorkerCounters>]) {
        let sum = |figure: &dyn Fn(&WorkerCounters) -> u64| {
            counters.iter().map(|counters| figure(counters)).sum::<u64>()
        };
        let records = sum(&|counters| counters.records.load(Ordering::Relaxed));
        let done = sum(&|counters| counters.progress_done.load(Ordering::Relaxed));
        let total = sum(&|counters| counters.progress_total.load(Ordering::Relaxed));
        let longest =
            counters.iter().map(|counters| counters.in_flight_max_us.load(Ordering::Relaxed));
        let longest = Duration::from_micros(longest.max().unwrap_or(0));
        self.stats.update(|stats| {
            stats.records = records;
            stats.progress = (total > 0).then_some((done, total));
            stats.in_flight_max = stats.in_flight_max.max(longest);
        });
    }

    fn on_request(&mut self, request: Request) -> Option<Event> {
        let (target, kind, reply) = match request {
            Request::Cancel => {
                self.stats.update(|stats| stats.status = JobStatus::Cancelling);
                return Some(Event::CancelRequested);
            }
            Request::Checkpoint { reply } => (None, BarrierKind::Checkpoint, reply),
            Request::Savepoint { target, stop, reply } => {
                if let Err(reason) = self.savepoint_store(target.as_deref()) {
                    // Who has given up waiting needs no answer.
                    let _ = reply.send(Err(reason));
                    return None;
                }
                let kind = match stop {
                    None => BarrierKind::Savepoint,
                    Some(drain) => BarrierKind::StopWithSavepoint { drain },
                };
                (target, kind, reply)
            }
        };
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.replies.insert(id, reply);
        Some(Event::Requested(SavepointRequest { id, target, kind }))
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

    async fn start_attempt(&mut self, restored: Restored) -> Result<Attempt, JobError> {
        let attempt_token = rand::random::<u64>();
        let (reports, report_receiver) = mpsc::unbounded_channel();
        let (commands, process_commands) = mpsc::unbounded_channel();
        let mut all_commands = vec![commands];
        if let Some(cluster) = &self.spec.cluster {
            let start = link::Start {
                attempt: self.attempt,
                attempt_token,
                max_parallelism: restored.max_parallelism,
                restored_from: restored.from.as_ref().map(|(_, location)| location.clone()),
            };
            let fingerprint = &self.plan.fingerprint;
            let followers = link::lead(cluster, fingerprint, start, reports.clone()).await?;
            all_commands.extend(followers);
        }
        let stats = self.stats.clone();
        let clock = Arc::clone(&self.clock);
        let local = LocalProcess {
            process: ProcessIndex(0),
            attempt: self.attempt,
            attempt_token,
            restored,
            first_record: Box::new(move || {
                let now = clock.now();
                stats.update(|stats| stats.first_record = Some(now));
            }),
        };
        let (process, counters) = local_process(
            &self.spec,
            &self.plan,
            &self.stores,
            &self.clock,
            &self.tokio,
            local,
            reports,
        );
        let mut processes = JoinSet::new();
        processes.spawn(process.run(process_commands));
        let (id, commands, reports) = (self.attempt, all_commands, report_receiver);
        Ok(Attempt { id, commands, reports, processes, counters, end: None })
    }

    /// Ends what is left of an attempt, and clears up which snapshot is the latest.
    async fn tear_down(&mut self, mut attempt: Attempt) -> AttemptEnd {
        let end = attempt.end.take().expect("attended until there is one");
        attempt.commands.clear();
        while attempt.processes.join_next().await.is_some() {}
        let reason = match &end {
            AttemptEnd::Finished => "the job has finished".to_owned(),
            AttemptEnd::Canceled => "the job was cancelled".to_owned(),
            AttemptEnd::Failed(failure) => describe(failure),
        };
        let actions = self.coordinator.step(Event::AttemptEnded { reason }, self.clock.now());
        self.perform(actions, &mut None);
        while !self.coordinator.is_settled() {
            let Some(done) = self.writes.join_next().await else { break };
            if let Ok(event) = done {
                let actions = self.coordinator.step(event, self.clock.now());
                self.perform(actions, &mut None);
            }
        }
        end
    }
}

/// What happened, and where, as one line.
fn describe(failure: &Failure) -> String {
    match failure.subtask {
        Some(subtask) => format!("{} (subtask {subtask})", failure.message),
        None => failure.message.clone(),
    }
}

/// What a process of an attempt is started with, besides the job itself.
pub(crate) struct LocalProcess {
    pub(crate) process: ProcessIndex,
    pub(crate) attempt: AttemptId,
    pub(crate) attempt_token: u64,
    pub(crate) restored: Restored,
    pub(crate) first_record: Box<dyn FnOnce() + Send>,
}

/// Starts this process's workers.
pub(crate) fn local_process(
    spec: &JobSpec,
    plan: &PlanFacts,
    stores: &Stores,
    clock: &Arc<dyn Clock>,
    tokio: &tokio::runtime::Handle,
    local: LocalProcess,
    reports: mpsc::UnboundedSender<Report>,
) -> (Process, Vec<Arc<WorkerCounters>>) {
    let (task_reports, task_report_receiver) = mpsc::unbounded_channel();
    let processes = spec.cluster.as_ref().map_or(1, |cluster| cluster.addresses.len());
    let max_parallelism = local.restored.max_parallelism;
    let workers = start_workers(WorkersSpec {
        worker: WorkerSpec {
            name: spec.name.clone(),
            build: Arc::clone(&spec.build),
            job: spec.id,
            attempt: local.attempt,
            attempt_token: local.attempt_token,
            parallelism: spec.parallelism,
            max_parallelism,
            exactly_once: spec.options.checkpointing.mode == CheckpointingMode::ExactlyOnce,
            debloat_target: spec.options.debloat_target,
            restored: local.restored.job,
            tokio: tokio.clone(),
            clock: Arc::clone(clock),
            reports: task_reports,
            close: Arc::default(),
        },
        count: spec.parallelism.get() as usize / processes,
        cluster: spec.cluster.clone(),
    });
    let counters = workers.counters.clone();
    let process = Process::new(
        ProcessSpec {
            process: local.process,
            tasks: plan.tasks,
            max_parallelism,
            attempt_token: local.attempt_token,
            inline_threshold: spec.options.checkpointing.data_inline_threshold,
            stores: [Some(&stores.checkpoints), stores.savepoints.as_ref()]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        },
        workers,
        task_report_receiver,
        reports,
        local.first_record,
    );
    (process, counters)
}
