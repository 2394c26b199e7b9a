//! The TaskManagers of a cluster: who is there, what runs on them, who gets their slots (Flink's
//! ResourceManager), and the door through which job processes come in.
//!
//! # Protocol
//!
//! A TaskManager keeps one connection open for as long as it is there. Its end, or silence for
//! `heartbeat.timeout`, is the end of all that runs there: such a TaskManager ends its processes by
//! itself, and comes back as if it were new.
//!
//! # Invariants
//!
//! - INV-ONE: a TaskManager has one connection; a newer one with the same name replaces it.
//! - INV-FENCE: a job process is let in only while the attempt that it was started for waits for it.

mod logs;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tidegate_protocol::{
    Secret, attempt_credential,
    coordination::{Hello, Host, HostLink, HostReceiver, HostSender, ToProcess},
    resources::{
        FromTaskManager, Manager, ManagerLink, ManagerReceiver, ManagerSender, ProcessKey,
        Registration, StartProcess, ToTaskManager,
    },
};
use tidegate_types::{AttemptId, Clock, JobId, Timestamp};
use tokio::{
    sync::{Notify, futures::Notified, mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

pub use self::logs::LogError;
use self::logs::Question;
use crate::{
    artifacts::ArtifactStore,
    dispatcher::{ProcessPlace, TaskManagerId, TaskManagerView},
    scheduler::Requirements,
    slots::{LeaseId, Placement, Slots},
};

/// How a process has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProcessEnd {
    /// As its TaskManager says.
    Ended {
        /// Its exit status, in words.
        status: String,
        /// The end of what it wrote.
        output: String,
    },
    /// With its TaskManager.
    Lost,
}

impl fmt::Display for ProcessEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { status, output } if output.is_empty() => f.write_str(status),
            Self::Ended { status, output } => write!(f, "{status}: {output}"),
            Self::Lost => f.write_str("its TaskManager is lost"),
        }
    }
}

/// A process that has joined.
pub(crate) struct Joined {
    pub(crate) hello: Hello,
    pub(crate) sender: HostSender,
    pub(crate) receiver: HostReceiver,
}

/// A TaskManager that is there.
struct Connected {
    /// Which of all connections this is.
    connection: u64,
    registration: Registration,
    sender: ManagerSender,
    last_heartbeat: Timestamp,
    /// Who waits for the end of the processes there.
    processes: BTreeMap<ProcessKey, oneshot::Sender<ProcessEnd>>,
    /// Who has asked for something of its logs.
    questions: BTreeMap<u64, Question>,
}

/// An attempt that waits for its processes.
struct Expected {
    token: u64,
    joined: mpsc::UnboundedSender<Joined>,
}

#[derive(Default)]
struct State {
    slots: Slots,
    managers: BTreeMap<TaskManagerId, Connected>,
    connections: u64,
    /// The number of the next question to a TaskManager.
    next_request: u64,
    expected: BTreeMap<(JobId, AttemptId), Expected>,
}

struct Inner {
    state: Mutex<State>,
    /// Slots may have become free.
    changed: Notify,
    clock: Arc<dyn Clock>,
    artifacts: ArtifactStore,
    heartbeat: HeartbeatOptions,
    /// What signs the credentials of attempts.
    secret: Secret,
    /// Where the connections of TaskManagers are attended.
    tokio: tokio::runtime::Handle,
}

/// How silence is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatOptions {
    /// How often each side says that it is there (`heartbeat.interval`).
    pub interval: Duration,
    /// After how much silence a side counts as lost (`heartbeat.timeout`).
    pub timeout: Duration,
}

/// The TaskManagers of a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Resources(Arc<Inner>);

/// Slots that are taken until this is dropped.
pub(crate) struct Lease {
    id: LeaseId,
    resources: Resources,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.resources.lock().slots.give_back(self.id);
        self.resources.0.changed.notify_waiters();
    }
}

impl Resources {
    /// Without any TaskManager; `secret` is what TaskManagers show. Has to be called on a Tokio runtime.
    #[must_use]
    pub fn new(
        artifacts: ArtifactStore,
        heartbeat: HeartbeatOptions,
        secret: Option<Secret>,
        host: &tidegate_runtime::Host,
    ) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        let (tokio, clock) = (tokio::runtime::Handle::current(), Arc::clone(&host.clock));
        let random = || [(); 2].map(|()| format!("{:016x}", host.random.number())).concat();
        // Where everybody is let in, the processes of an attempt still know each other by something.
        let secret = secret.unwrap_or_else(|| Secret::new(random()));
        Self(Arc::new(Inner { state, changed, clock, artifacts, heartbeat, secret, tokio }))
    }

    /// What the processes of an attempt show, and know each other by.
    pub(crate) fn credential(&self, job: JobId, attempt: AttemptId, token: u64) -> Secret {
        attempt_credential(&self.0.secret, job, attempt, token)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Done when slots may have become free.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// Takes as many slots as a job wants, once there are so many; or some time after there are enough
    /// for it to run at all, as many as there are. `waits` hears how many are missing.
    pub(crate) async fn acquire(
        &self,
        job: JobId,
        requirements: &mut watch::Receiver<Requirements>,
        stabilization: Duration,
        mut waits: impl FnMut(u32),
    ) -> (Lease, Vec<Placement>) {
        let mut enough_since = None;
        let mut told = None;
        loop {
            let changed = self.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let wanted = *requirements.borrow_and_update();
            let (_, free) = self.slot_counts();
            let fits = wanted.fit(free);
            let due = match fits {
                Some(fits) if fits == wanted.upper => Some(Instant::now()),
                Some(_) => Some(*enough_since.get_or_insert_with(Instant::now) + stabilization),
                None => {
                    enough_since = None;
                    None
                }
            };
            if let Some(fits) = fits
                && due.is_some_and(|due| due <= Instant::now())
                && let Some((id, placements)) = self.lock().slots.take(job, fits)
            {
                return (Lease { id, resources: self.clone() }, placements);
            }
            if told.replace(free) != Some(free) {
                let (wanted, least) = (wanted.upper, wanted.lower);
                warn!(%job, %wanted, %least, free, "waiting for slots");
                waits(wanted.get().saturating_sub(free));
            }
            tokio::select! {
                biased;
                () = changed => {}
                // Without its sender the job is gone, and this is dropped.
                Ok(()) = requirements.changed() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// Lets the processes of an attempt in, until the receiver is dropped.
    pub(crate) fn expect(
        &self,
        job: JobId,
        attempt: AttemptId,
        token: u64,
    ) -> mpsc::UnboundedReceiver<Joined> {
        let (joined, receiver) = mpsc::unbounded_channel();
        let mut state = self.lock();
        state.expected.retain(|_, expected| !expected.joined.is_closed());
        state.expected.insert((job, attempt), Expected { token, joined });
        receiver
    }

    /// Has a TaskManager start a process; the future tells of its end.
    pub(crate) fn start_process(
        &self,
        manager: &TaskManagerId,
        request: StartProcess,
    ) -> BoxFuture<'static, ProcessEnd> {
        let (sender, end) = oneshot::channel();
        if let Some(connected) = self.lock().managers.get_mut(manager) {
            connected.processes.insert(request.key, sender);
            // If it is gone, the end of its connection says so.
            let _ = connected.sender.send(ToTaskManager::StartProcess(request));
        }
        end.map(|end| end.unwrap_or(ProcessEnd::Lost)).boxed()
    }

    /// Has a process ended, if it still runs.
    pub(crate) fn end_process(&self, key: &ProcessKey) {
        let state = self.lock();
        let running = state.managers.values().find(|manager| manager.processes.contains_key(key));
        if let Some(manager) = running {
            let _ = manager.sender.send(ToTaskManager::EndProcess(*key));
        }
    }

    /// Where placed processes are, in order.
    pub(crate) fn places(&self, placements: &[Placement]) -> Vec<ProcessPlace> {
        let state = self.lock();
        let mut first_subtask = 0;
        let place = |placement: &Placement| {
            let manager = state.managers.get(&placement.manager);
            let host = manager.map(|manager| manager.registration.host.clone());
            let place = ProcessPlace {
                first_subtask,
                subtasks: placement.threads,
                task_manager: placement.manager.clone(),
                host: host.unwrap_or_default(),
            };
            first_subtask += placement.threads;
            place
        };
        placements.iter().map(place).collect()
    }

    /// One of these TaskManagers that is about to end, if any is.
    pub(crate) fn leaving(&self, managers: &[TaskManagerId]) -> Option<TaskManagerId> {
        let state = self.lock();
        managers.iter().find(|manager| state.slots.is_leaving(manager)).cloned()
    }

    pub(crate) fn slot_counts(&self) -> (u32, u32) {
        self.lock().slots.count()
    }

    pub(crate) fn task_managers(&self) -> Vec<TaskManagerView> {
        let state = self.lock();
        let view = |(id, manager): (&TaskManagerId, &Connected)| {
            let (free_slots, jobs) = state.slots.of(id);
            let Registration { host, slots, hardware, .. } = manager.registration.clone();
            TaskManagerView {
                id: id.clone(),
                host,
                slots,
                free_slots,
                last_heartbeat: manager.last_heartbeat,
                cpu_cores: hardware.cpu_cores,
                memory_bytes: hardware.memory_bytes,
                jobs,
            }
        };
        state.managers.iter().map(view).collect()
    }

    /// Takes a TaskManager in; returns the number of its connection.
    fn connect(&self, registration: Registration, sender: ManagerSender) -> u64 {
        let id = TaskManagerId(registration.id.clone());
        let mut state = self.lock();
        let connection = state.connections;
        state.connections += 1;
        state.slots.add(id.clone(), registration.slots);
        let connected = Connected {
            connection,
            registration,
            sender,
            last_heartbeat: self.0.clock.now(),
            processes: BTreeMap::new(),
            questions: BTreeMap::new(),
        };
        // What ran on its earlier connection is told to be lost by dropping who waits (INV-ONE).
        state.managers.insert(id, connected);
        drop(state);
        self.0.changed.notify_waiters();
        connection
    }

    fn disconnect(&self, id: &TaskManagerId, connection: u64) {
        let mut state = self.lock();
        if state.managers.get(id).is_some_and(|manager| manager.connection == connection) {
            state.managers.remove(id);
            state.slots.remove(id);
        }
    }

    async fn attend(self, id: TaskManagerId, connection: u64, mut receiver: ManagerReceiver) {
        let timeout = self.0.heartbeat.timeout;
        let mut beat = tokio::time::interval(self.0.heartbeat.interval);
        let silence = tokio::time::sleep(timeout);
        tokio::pin!(silence);
        let reason = loop {
            tokio::select! {
                // The rarer goes first, and silence last: who has said something was not silent.
                biased;
                _ = beat.tick() => self.say(&id, connection, ToTaskManager::Heartbeat),
                word = receiver.receive() => match word {
                    Some(Ok(word)) => {
                        silence.as_mut().reset(Instant::now() + timeout);
                        if !self.hear(&id, connection, word) {
                            break "another one has come under its name".to_owned();
                        }
                    }
                    Some(Err(error)) => break tidegate_types::error::chain(&error),
                    None => break "the connection was closed".to_owned(),
                },
                () = &mut silence => break format!("silent for {timeout:?}"),
            }
        };
        warn!(task_manager = id.0, reason, "a TaskManager is lost");
        self.disconnect(&id, connection);
    }

    fn say(&self, id: &TaskManagerId, connection: u64, word: ToTaskManager) {
        let state = self.lock();
        if let Some(manager) = state.managers.get(id)
            && manager.connection == connection
        {
            let _ = manager.sender.send(word);
        }
    }

    /// Tells whether the connection is still the one that counts.
    fn hear(&self, id: &TaskManagerId, connection: u64, word: FromTaskManager) -> bool {
        let now = self.0.clock.now();
        let mut state = self.lock();
        let Some(manager) = state.managers.get_mut(id) else { return false };
        if manager.connection != connection {
            return false;
        }
        manager.last_heartbeat = now;
        match word {
            FromTaskManager::Ended { key, status, output_tail, .. } => {
                if let Some(waiting) = manager.processes.remove(&key) {
                    // Nobody may wait any more.
                    let _ = waiting.send(ProcessEnd::Ended { status, output: output_tail });
                }
            }
            FromTaskManager::Logs { request, .. } | FromTaskManager::LogPart { request, .. } => {
                if let Some(question) = manager.questions.remove(&request) {
                    question.answer(word);
                }
            }
            FromTaskManager::Leaving => {
                info!(task_manager = id.0, "a TaskManager is about to end: its jobs move");
                state.slots.leave(id);
                drop(state);
                self.0.changed.notify_waiters();
            }
            FromTaskManager::Heartbeat { .. } | FromTaskManager::Started(..) => {}
        }
        true
    }
}

impl Manager for Resources {
    fn registered(&self, registration: Registration, link: ManagerLink) {
        let (sender, receiver) = link.split();
        let id = TaskManagerId(registration.id.clone());
        let HeartbeatOptions { interval, timeout } = self.0.heartbeat;
        info!(
            task_manager = id.0,
            host = registration.host,
            slots = registration.slots,
            "registered"
        );
        let _ = sender.send(ToTaskManager::Registered {
            heartbeat_interval: interval,
            heartbeat_timeout: timeout,
        });
        let connection = self.connect(registration, sender);
        self.0.tokio.spawn(self.clone().attend(id, connection, receiver));
    }

    fn artifact(&self, hash: &str) -> Option<PathBuf> {
        self.0.artifacts.path(hash)
    }
}

impl Host for Resources {
    fn joined(&self, hello: Hello, link: HostLink) {
        let (sender, receiver) = link.split();
        let state = self.lock();
        let expected = hello
            .attempt
            .and_then(|attempt| state.expected.get(&(hello.job, attempt)))
            .filter(|expected| expected.token == hello.token);
        let Some(expected) = expected else {
            warn!(job = %hello.job, process = %hello.process, "a process of no current attempt is turned away");
            let refusal = "this attempt is over: another one has taken its place".to_owned();
            let _ = sender.send(ToProcess::Refused(refusal));
            return;
        };
        // Nobody waits when the attempt has just been given up: the link closes.
        let _ = expected.joined.send(Joined { hello, sender, receiver });
    }
}
