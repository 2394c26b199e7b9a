//! Attempts whose processes run on TaskManagers.
//!
//! # Protocol
//!
//! 1. Take as many slots as the job wants, or as the scheduler allows; wait for them.
//! 2. Have each TaskManager start its process, and wait until all have joined the coordinator. Each
//!    listens for records already and says where.
//! 3. Send each what it starts with, all addresses for one. From then on commands go one way, reports
//!    and figures the other.
//! 4. The end of a process's connection, or of its TaskManager's, fails the attempt.
//! 5. When the master drops its ends the processes are ended, and the slots given back once their
//!    TaskManagers say so or are gone.
//!
//! # Invariants
//!
//! - INV-FENCE: only processes that were started for this attempt, and know its token, get to join;
//!   a process whose connection breaks is out for good, whatever it does later.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, Shared},
    stream::FuturesUnordered,
};
use tidegate_checkpoint::{Command, Report, protocol::Failure};
use tidegate_protocol::{
    coordination::{FromProcess, HostReceiver, HostSender, Start, ToProcess},
    resources::{ProcessKey, StartProcess},
};
use tidegate_runtime::{AttemptStart, Attempts, JobError, RestorePoint, RunningAttempt};
use tidegate_types::{
    ErrorKind, Figures, JobId, Parallelism, ProcessIndex,
    error::chain,
    options::{OptionValues, SchedulerKind, SchedulerOptions},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tracing::warn;

use crate::{
    dispatcher::ProcessPlace,
    resources::{Joined, Lease, ProcessEnd, Resources},
    scheduler::{Outlook, Requirements},
    slots::Placement,
};

/// For how long the processes of an attempt may take to start and join.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);
/// How long the processes of an attempt that is cancelled may take to let go of what they have begun.
const CANCEL_PATIENCE: Duration = Duration::from_secs(10);
/// How long a process that has closed in order may take to end by itself.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// What is run, the same in every attempt.
#[derive(Clone, Debug)]
pub(crate) struct JobProgram {
    pub(crate) job: JobId,
    /// The content hash of its binary.
    pub(crate) artifact: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) configuration: OptionValues,
    /// Of its plan: every process must build the same.
    pub(crate) fingerprint: String,
    /// How many slots it gets, and when others.
    pub(crate) requirements: watch::Receiver<Requirements>,
    pub(crate) scheduler: SchedulerOptions,
}

/// Where a job's processes are, for others to see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<Placed>>);

/// Where they are now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placed {
    /// The processes, in order.
    pub(crate) processes: Vec<ProcessPlace>,
    /// How many slots are missing, while the job waits for some.
    pub(crate) missing_slots: u32,
}

impl Places {
    pub(crate) fn get(&self) -> Placed {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, processes: Vec<ProcessPlace>, missing_slots: u32) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Placed { processes, missing_slots };
    }
}

/// Starts a job's attempts on the cluster's TaskManagers.
pub(crate) struct ClusterAttempts {
    program: JobProgram,
    resources: Resources,
    places: Places,
}

impl ClusterAttempts {
    pub(crate) fn new(program: JobProgram, resources: Resources) -> Self {
        Self { program, resources, places: Places::default() }
    }

    pub(crate) fn places(&self) -> Places {
        self.places.clone()
    }

    async fn start_attempt(&mut self, start: AttemptStart) -> Result<RunningAttempt, JobError> {
        let (job, places) = (self.program.job, self.places.clone());
        let stabilization = self.program.scheduler.submission_stabilization;
        let requirements = &mut self.program.requirements;
        let waits = move |missing| places.set(Vec::new(), missing);
        let acquired = self.resources.acquire(job, requirements, stabilization, waits).await;
        let (lease, placements) = acquired;
        let mut joining = self.resources.expect(job, start.attempt, start.token);
        let mut ends = Ends::new(self.resources.clone(), lease);
        for (index, placement) in placements.iter().enumerate() {
            let key =
                ProcessKey { job, attempt: start.attempt, process: ProcessIndex(index as u32) };
            let request = self.request(key, &start, placement, &placements);
            ends.add(key, self.resources.start_process(&placement.manager, request));
        }
        let join = self.join(&mut joining, placements.len());
        let joined = tokio::select! {
            // Without one of them the others are of no use.
            biased;
            (process, end) = ends.next() => Err(unavailable(format!(
                "process {process} has ended before it joined: {end}"
            ))),
            joined = tokio::time::timeout(JOIN_PATIENCE, join) => joined.unwrap_or_else(|_| {
                Err(unavailable(format!("not all processes have joined within {JOIN_PATIENCE:?}")))
            }),
        };
        let joined = match joined {
            Ok(joined) => joined,
            Err(error) => {
                ends.end_all().await;
                return Err(error);
            }
        };
        let places = self.resources.places(&placements);
        self.places.set(places.clone(), 0);
        Ok(self.run(start, parallelism_of(&placements), joined, &places, ends))
    }

    fn request(
        &self,
        key: ProcessKey,
        start: &AttemptStart,
        placement: &Placement,
        all: &[Placement],
    ) -> StartProcess {
        let program = &self.program;
        StartProcess {
            key,
            token: start.token,
            threads: placement.threads,
            processes: all.len() as u32,
            parallelism: parallelism_of(all).get(),
            artifact: program.artifact.clone(),
            arguments: program.arguments.clone(),
            coordinator: String::new(),
            configuration: program.configuration.clone(),
            credential: Some(self.resources.credential(key.job, key.attempt, start.token)),
        }
    }

    /// Waits until so many processes have joined; returns them in order.
    async fn join(
        &self,
        joining: &mut mpsc::UnboundedReceiver<Joined>,
        processes: usize,
    ) -> Result<Vec<Joined>, JobError> {
        let mut joined = BTreeMap::new();
        while joined.len() < processes {
            let Some(process) = joining.recv().await else {
                return Err(unavailable("the JobManager is shutting down".to_owned()));
            };
            if process.hello.fingerprint != self.program.fingerprint {
                return Err(JobError::new(
                    ErrorKind::Invalid,
                    format!(
                        "process {} has built another plan than the one that was submitted: a job must \
                     build the same plan each time, from the same arguments",
                        process.hello.process
                    ),
                ));
            }
            joined.insert(process.hello.process, process);
        }
        Ok(joined.into_values().collect())
    }

    fn run(
        &self,
        start: AttemptStart,
        parallelism: Parallelism,
        joined: Vec<Joined>,
        placed: &[ProcessPlace],
        ends: Ends,
    ) -> RunningAttempt {
        let addresses = joined.iter().map(|process| process.hello.data_address.clone());
        let first = Start {
            attempt: start.attempt,
            token: start.token,
            parallelism,
            max_parallelism: start.restored.max_parallelism,
            restored_from: start.restored.from.map(|(_, path)| path),
            addresses: addresses.collect(),
            concludes: start.concludes,
            leaves_output: start.leaves_output,
            superseded: start.superseded,
            telling: start.telling,
        };
        let (reports, report_receiver) = mpsc::unbounded_channel();
        let mut relays = JoinSet::new();
        let (mut commands, mut figures) = (Vec::new(), Vec::new());
        for process in joined {
            let (sender, receiver) = mpsc::unbounded_channel();
            commands.push(sender);
            let figure = Arc::new(Mutex::new(Figures::default()));
            figures.push(Arc::clone(&figure));
            let Joined { hello, sender, receiver: incoming } = process;
            // If it is gone already, so says its receiver.
            let _ = sender.send(ToProcess::Start(first.clone()));
            let process = hello.process;
            let place = placed.get(process.get() as usize);
            let place = place.map(ToString::to_string).unwrap_or_default();
            let lost = ends.lost(process);
            let relay = Relay { process, place, sender, incoming, figures: figure, lost };
            relays.spawn(relay.run(receiver, reports.clone()));
        }
        let places = self.places.clone();
        let SchedulerOptions { kind, executing_stabilization: stabilization, cooldown, .. } =
            self.program.scheduler;
        let cooldown = if kind == SchedulerKind::Adaptive { cooldown } else { Duration::ZERO };
        let outlook = Outlook {
            resources: self.resources.clone(),
            requirements: self.program.requirements.clone(),
            managers: placed.iter().map(|place| place.task_manager.clone()).collect(),
            parallelism,
            not_before: Instant::now() + cooldown,
            stabilization,
        };
        RunningAttempt {
            parallelism,
            commands,
            reports: report_receiver,
            figures: Box::new(move || sum(&figures)),
            locations: placed.iter().map(ProcessPlace::location).collect(),
            outdated: outlook.outdated().boxed(),
            ended: async move {
                let mut all_closed = true;
                while let Some(closed) = relays.join_next().await {
                    all_closed &= closed.unwrap_or(false);
                }
                if all_closed {
                    ends.wait(END_PATIENCE).await;
                } else {
                    ends.end_all().await;
                }
                places.set(Vec::new(), 0);
            }
            .boxed(),
        }
    }
}

/// As many subtasks as there are workers.
fn parallelism_of(placements: &[Placement]) -> Parallelism {
    let threads = placements.iter().map(|placement| placement.threads).sum();
    Parallelism::new(threads).unwrap_or(Parallelism::ONE)
}

fn sum(figures: &[Arc<Mutex<Figures>>]) -> Figures {
    let read =
        |one: &Arc<Mutex<Figures>>| one.lock().unwrap_or_else(PoisonError::into_inner).clone();
    figures.iter().map(read).fold(Figures::default(), Figures::and)
}

fn unavailable(message: String) -> JobError {
    JobError::new(ErrorKind::Unavailable, message)
}

impl Attempts for ClusterAttempts {
    fn check<'a>(&'a mut self, _: &'a RestorePoint) -> BoxFuture<'a, Result<(), JobError>> {
        // Each process gets its own part ready, once it runs.
        async { Ok(()) }.boxed()
    }

    fn start(&mut self, start: AttemptStart) -> BoxFuture<'_, Result<RunningAttempt, JobError>> {
        self.start_attempt(start).boxed()
    }

    fn can_restart(&self) -> bool {
        true
    }
}

/// Passes commands and reports on between the master and one process.
struct Relay {
    process: ProcessIndex,
    /// Where it is, for a person.
    place: String,
    sender: HostSender,
    incoming: HostReceiver,
    figures: Arc<Mutex<Figures>>,
    /// Done when its TaskManager is lost, and it with that one.
    lost: BoxFuture<'static, ()>,
}

impl Relay {
    /// Tells whether the process has closed in order.
    async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> bool {
        let (mut closed, mut is_cancelled) = (false, false);
        let problem = loop {
            tokio::select! {
                // Whatever the process has said before it was lost counts.
                biased;
                command = commands.recv() => match command {
                    Some(command) => {
                        is_cancelled |= command == Command::Cancel;
                        // If it is gone, so says the receiver.
                        let _ = self.sender.send(ToProcess::Command(command));
                    }
                    None if is_cancelled => {
                        // It aborts what its sinks have prepared, and ends the conversation then.
                        let _ = tokio::time::timeout(CANCEL_PATIENCE, self.until_silent()).await;
                        return closed;
                    }
                    None => return closed,
                },
                word = self.incoming.receive(), if !closed => match word {
                    Some(Ok(FromProcess::Report(report))) => {
                        closed = matches!(report, Report::Closed { .. });
                        // Nobody listens when the attempt is over already.
                        let _ = reports.send(report);
                    }
                    Some(Ok(FromProcess::Figures(figures))) => {
                        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
                    }
                    Some(Err(error)) => break chain(&error),
                    None => break "the connection was closed".to_owned(),
                },
                () = &mut self.lost, if !closed => break ProcessEnd::Lost.to_string(),
            }
        };
        let message = format!("process {}{} is lost: {problem}", self.process, self.place);
        let (kind, process) = (ErrorKind::Unavailable, self.process);
        let failure = Failure { kind, message, uid: None, subtask: None };
        let _ = reports.send(Report::Failed { process, failure });
        false
    }

    /// Waits until the process says nothing any more, or is lost with its TaskManager.
    async fn until_silent(&mut self) {
        loop {
            tokio::select! {
                biased;
                () = &mut self.lost => return,
                word = self.incoming.receive() => if !matches!(word, Some(Ok(_))) { return },
            }
        }
    }
}

/// The processes that were started, until their TaskManagers say that they have ended; then the
/// slots are given back.
struct Ends {
    resources: Resources,
    lease: Option<Lease>,
    /// With how each ends.
    processes: Vec<(ProcessKey, Shared<BoxFuture<'static, ProcessEnd>>)>,
    waiting: FuturesUnordered<BoxFuture<'static, (ProcessKey, ProcessEnd)>>,
}

impl Ends {
    fn new(resources: Resources, lease: Lease) -> Self {
        let (processes, waiting) = (Vec::new(), FuturesUnordered::new());
        Self { resources, lease: Some(lease), processes, waiting }
    }

    fn add(&mut self, key: ProcessKey, end: BoxFuture<'static, ProcessEnd>) {
        let end = end.shared();
        self.processes.push((key, end.clone()));
        self.waiting.push(end.map(move |end| (key, end)).boxed());
    }

    /// Done when a process's TaskManager is lost while it runs.
    fn lost(&self, process: ProcessIndex) -> BoxFuture<'static, ()> {
        let found = self.processes.iter().find(|(key, _)| key.process == process);
        let end = found.map(|(_, end)| end.clone());
        async move {
            // How it has ended otherwise its own connection says.
            if let Some(end) = end
                && end.await != ProcessEnd::Lost
            {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }

    /// The next process that ends.
    async fn next(&mut self) -> (ProcessIndex, ProcessEnd) {
        match self.waiting.next().await {
            Some((key, end)) => (key.process, end),
            None => std::future::pending().await,
        }
    }

    /// Waits for processes that end by themselves, and then ends those that did not.
    async fn wait(mut self, patience: Duration) {
        let mut ended = Vec::new();
        let all = async {
            while let Some((key, _)) = self.waiting.next().await {
                ended.push(key);
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            for (key, _) in self.processes.iter().filter(|(key, _)| !ended.contains(key)) {
                let ProcessKey { job, attempt, process } = key;
                warn!(
                    %job, %attempt, %process,
                    "the process has closed {patience:?} ago and has not ended: its TaskManager \
                     ends it; what does its program do behind the job?"
                );
            }
            self.end_all().await;
        }
    }

    /// Ends all processes, and waits until they are gone.
    async fn end_all(mut self) {
        for (key, _) in &self.processes {
            self.resources.end_process(key);
        }
        while self.waiting.next().await.is_some() {}
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        // Given up in the middle: the processes are told to end, and the lease goes when they have.
        if self.waiting.is_empty() {
            return;
        }
        for (key, _) in &self.processes {
            self.resources.end_process(key);
        }
        let (lease, waiting) = (self.lease.take(), std::mem::take(&mut self.waiting));
        tokio::spawn(async move {
            waiting.map(drop).collect::<()>().await;
            drop(lease);
        });
    }
}
