//! Attempts whose workers are threads of this process, alone or together with other processes that
//! a person has started.

use std::sync::{Arc, atomic::Ordering};

use futures::{FutureExt, future::BoxFuture};
use tidegate_checkpoint::protocol::Report;
use tidegate_protocol::coordination::Start;
use tidegate_snapshot::store::SnapshotLocation;
use tidegate_types::{
    AttemptId, ErrorKind, Figures, MaxParallelism, ProcessIndex, Superseded,
    options::CheckpointingMode,
};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    api::{ClusterSpec, JobError, JobSpec},
    describe::JobPlan,
    host::{Host, Listener, Network},
    in_flight::{InFlight, Seats},
    lead::{Door, send_off},
    master::{AttemptStart, Attempts, RunningAttempt},
    prepare::{RestorePoint, Share, Stores, read},
    process::{Others, Process, ProcessSpec, Progress, WorkersSpec, start_workers},
    restore::RestoredJob,
    task::meter::WorkerCounters,
    worker::WorkerSpec,
};

/// The program as this process has it, and where it runs.
#[derive(Clone)]
pub(crate) struct LocalProgram {
    pub(crate) spec: JobSpec,
    pub(crate) plan: JobPlan,
    pub(crate) stores: Stores,
    pub(crate) host: Host,
    pub(crate) tokio: tokio::runtime::Handle,
}

impl LocalProgram {
    /// Gets ready what one of so many processes of an attempt takes over.
    ///
    /// # Errors
    ///
    /// When it is damaged, or does not fit the program.
    pub(crate) async fn load(
        &self,
        path: Option<&str>,
        process: u32,
        processes: usize,
    ) -> Result<RestoredJob, JobError> {
        let Some(path) = path else { return Ok(RestoredJob::default()) };
        let location = SnapshotLocation::find(&self.stores.places(), path)?;
        let parallelism = self.spec.settings.parallelism;
        let each = parallelism.get() / processes.max(1) as u32;
        let subtasks = Some((parallelism, process * each..(process + 1) * each));
        let share = Share { subtasks, ..Share::default() };
        read(&location, &self.spec.settings, &self.plan, share, &self.host.threads).await
    }
}

impl ClusterSpec {
    /// Listens for records at this process's address.
    ///
    /// # Errors
    ///
    /// When nobody can listen there.
    pub(crate) fn listen(&self, network: &dyn Network) -> Result<Box<dyn Listener>, JobError> {
        let process = self.process as usize;
        let address = &self.addresses[process];
        network.listen(address).map_err(|error| {
            let message = format!("process {process} can't listen at {address}: {error}");
            JobError::new(ErrorKind::Unavailable, message)
        })
    }
}

/// Attempts in this process.
pub(crate) struct EmbeddedAttempts {
    program: LocalProgram,
    /// What the first attempt takes over, once it has been got ready.
    loaded: Option<RestoredJob>,
}

impl EmbeddedAttempts {
    pub(crate) fn new(program: LocalProgram) -> Self {
        Self { program, loaded: None }
    }

    fn processes(&self) -> usize {
        self.program.spec.cluster.as_ref().map_or(1, |cluster| cluster.addresses.len())
    }

    async fn start_attempt(&mut self, start: AttemptStart) -> Result<RunningAttempt, JobError> {
        let AttemptStart { attempt, token, restored: point, concludes, .. } = start;
        let AttemptStart { leaves_output, superseded, telling, .. } = start;
        let path = point.from.as_ref().map(|(_, path)| path.as_str());
        let restored = match self.loaded.take() {
            Some(loaded) => loaded,
            None => self.program.load(path, 0, self.processes()).await?,
        };
        let (reports, report_receiver) = mpsc::unbounded_channel();
        let (commands, process_commands) = mpsc::unbounded_channel();
        let mut all_commands = vec![commands];
        let max_parallelism = point.max_parallelism;
        let mut others = None;
        if let Some(cluster) = &self.program.spec.cluster {
            let network = self.program.host.network.as_ref();
            let secret = cluster.secret.clone();
            let mut door = Door::open(network, &cluster.coordinator, secret.clone()).await?;
            let listener = cluster.listen(network)?;
            let (expected, fingerprint) =
                (cluster.addresses.len() - 1, &self.program.plan.fingerprint);
            let job = self.program.spec.settings.id;
            let joined = door.gather(job, expected, fingerprint).await?;
            let (parallelism, addresses) =
                (self.program.spec.settings.parallelism, cluster.addresses.clone());
            let restored_from = path.map(str::to_owned);
            let start = Start {
                attempt,
                token,
                parallelism,
                max_parallelism,
                restored_from,
                addresses: addresses.clone(),
                concludes,
                leaves_output,
                superseded: superseded.clone(),
                telling,
            };
            all_commands.extend(send_off(joined, &start, &reports));
            others = Some(Others { listener, process: 0, addresses, secret });
        }
        let (process, attempt_token) = (ProcessIndex(0), token);
        let local = LocalProcess {
            process,
            attempt,
            attempt_token,
            max_parallelism,
            restored,
            concludes,
            leaves_output,
            superseded,
            telling,
            others,
        };
        let (process, figures) = local_process(&self.program, local, reports);
        let mut processes = JoinSet::new();
        processes.spawn(process.run(process_commands));
        Ok(RunningAttempt {
            parallelism: self.program.spec.settings.parallelism,
            commands: all_commands,
            reports: report_receiver,
            figures: Box::new(move || figures.read()),
            locations: Vec::new(),
            outdated: std::future::pending().boxed(),
            ended: async move { while processes.join_next().await.is_some() {} }.boxed(),
        })
    }
}

impl Attempts for EmbeddedAttempts {
    fn check<'a>(&'a mut self, point: &'a RestorePoint) -> BoxFuture<'a, Result<(), JobError>> {
        async move {
            let path = point.from.as_ref().map(|(_, path)| path.as_str());
            self.loaded = Some(self.program.load(path, 0, self.processes()).await?);
            Ok(())
        }
        .boxed()
    }

    fn start(&mut self, start: AttemptStart) -> BoxFuture<'_, Result<RunningAttempt, JobError>> {
        self.start_attempt(start).boxed()
    }

    fn can_restart(&self) -> bool {
        // Processes are the unit of isolation: who started them starts them again.
        self.program.spec.cluster.is_none()
    }
}

/// Reads the figures of this process's workers.
pub(crate) struct FiguresReader {
    counters: Vec<Arc<WorkerCounters>>,
    /// The number of the first of them.
    first_worker: usize,
    progress: Progress,
}

impl FiguresReader {
    pub(crate) fn read(&self) -> Figures {
        let workers = self.counters.iter().zip(self.first_worker..);
        let all = workers.map(|(counters, worker)| Figures {
            records: counters.records.load(Ordering::Relaxed),
            progress: counters.progress(),
            in_flight_max: counters.in_flight_max(),
            progress_messages: counters.progress_messages.load(Ordering::Relaxed),
            subtasks: counters.subtasks(worker).collect(),
            ..Figures::default()
        });
        let all = all.fold(Figures::default(), Figures::and);
        let (first_record, snapshots) = (self.progress.first_record(), self.progress.snapshots());
        Figures { first_record, snapshots, ..all }
    }
}

/// What a process of an attempt is started with, besides the job itself.
pub(crate) struct LocalProcess {
    pub(crate) process: ProcessIndex,
    pub(crate) attempt: AttemptId,
    pub(crate) attempt_token: u64,
    pub(crate) max_parallelism: MaxParallelism,
    pub(crate) restored: RestoredJob,
    /// Whether nothing is emitted: all that is left is to commit and to end.
    pub(crate) concludes: bool,
    /// Whether what the snapshot holds for sinks is left to the job that it is of.
    pub(crate) leaves_output: bool,
    /// Whose leftovers it may delete.
    pub(crate) superseded: Superseded,
    /// Whether records are copied to be told, until a checkpoint is complete.
    pub(crate) telling: bool,
    /// The way to the other processes, if there are any.
    pub(crate) others: Option<Others>,
}

/// Starts this process's workers; returns what runs them, and what reads their figures.
pub(crate) fn local_process(
    program: &LocalProgram,
    local: LocalProcess,
    reports: mpsc::UnboundedSender<Report>,
) -> (Process, FiguresReader) {
    let LocalProgram { spec, plan, stores, host, tokio } = program;
    let clock = &host.clock;
    let settings = &spec.settings;
    let (task_reports, task_report_receiver) = mpsc::unbounded_channel();
    let processes = local.others.as_ref().map_or(1, |others| others.addresses.len());
    let count = settings.parallelism.get() as usize / processes;
    let max_parallelism = local.max_parallelism;
    let first_worker = local.process.get() as usize * count;
    let peers = settings.parallelism.get() as usize;
    let seats = Seats { first: first_worker, count, peers };
    let workers = start_workers(WorkersSpec {
        worker: WorkerSpec {
            name: settings.name.clone(),
            build: Arc::clone(&spec.build),
            job: settings.id,
            attempt: local.attempt,
            attempt_token: local.attempt_token,
            parallelism: settings.parallelism,
            max_parallelism,
            exactly_once: settings.options.checkpointing.mode == CheckpointingMode::ExactlyOnce,
            debloat_target: settings.options.debloat_target,
            in_flight: Arc::new(InFlight::new(seats, plan.tasks.len(), Arc::clone(clock))),
            restored: local.restored,
            concludes: local.concludes,
            leaves_output: local.leaves_output,
            allow_lost_output: settings.options.recovery.allow_lost_output,
            check_keys: settings.options.check_keys,
            superseded: local.superseded,
            telling: local.telling,
            tokio: tokio.clone(),
            clock: Arc::clone(clock),
            turns: Arc::clone(&host.turns),
            reports: task_reports,
            begin: Arc::default(),
            close: Arc::default(),
        },
        count,
        tasks: plan.tasks.len(),
        others: local.others,
    });
    let counters = workers.counters.clone();
    let progress = Progress::new(Arc::clone(clock));
    let process = Process::new(
        ProcessSpec {
            process: local.process,
            tasks: plan.tasks.len(),
            first_worker,
            max_parallelism,
            attempt_token: local.attempt_token,
            inline_threshold: settings.options.checkpointing.data_inline_threshold,
            places: stores.places(),
            clock: Arc::clone(clock),
            threads: Arc::clone(&host.threads),
        },
        workers,
        task_report_receiver,
        reports,
        progress.clone(),
    );
    (process, FiguresReader { counters, first_worker, progress })
}
