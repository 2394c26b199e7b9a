//! Where the cluster's processes run: each on a machine of its own, which is switched on again after it
//! was killed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidegate_cluster::{
    host::{JobManagerHost, TaskManagerHost},
    jobmanager::{JobManager, JobManagerOptions},
    leader::{LeaderOptions, Leadership},
    resources::HeartbeatOptions,
    taskmanager::{ProcessExit, TaskManagerOptions, run_taskmanager_on},
};
use tidegate_protocol::{
    Endpoint, KeepAlive,
    resources::{Hardware, ProcessKey},
};
use tidegate_runtime::run_process_here;
use tidegate_types::{error::chain, options::OptionValues};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        line::Line,
        machine::{Machine, Pulse},
        picture::MachineNumber,
        store::ADDRESS,
    },
    disk::PlayDisk,
    play::ClusterPlay,
    programs::{PlayDescriber, PlayProcesses, Wanted},
    requests::Answer,
    scenario::{HEARTBEAT, KEPT, LEASE, SIGN, SILENCE},
    way::{Door, Way},
};

/// What a machine has told.
pub(super) struct Heard<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Heard<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Heard<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Heard<T> {
    pub(super) fn say(&self, word: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(word);
    }

    pub(super) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a JobManager has told.
pub(super) enum Word {
    Leads(Arc<JobManager>),
    Ended(String),
    Answer(Answer),
}

/// Where a JobManager runs, or is to run again.
#[derive(Default)]
pub(super) struct JobManagerSite {
    disk: PlayDisk,
    /// When it is switched on again.
    due: Duration,
    pub(super) runs: Option<RunningJobManager>,
}

/// A JobManager that runs.
pub(super) struct RunningJobManager {
    pub(super) machine: Machine,
    /// The how many-th of all it is.
    pub(super) number: u64,
    address: String,
    pub(super) heard: Heard<Word>,
    /// Itself, and since when it leads.
    pub(super) leads: Option<(Arc<JobManager>, Duration)>,
    /// The how many-th to lead it is.
    pub(super) led: u64,
    pub(super) is_ending: bool,
}

/// Where a TaskManager runs, or is to run again.
pub(super) struct TaskManagerSite {
    slots: u32,
    due: Duration,
    pub(super) runs: Option<RunningTaskManager>,
}

impl TaskManagerSite {
    pub(super) fn new(slots: u32) -> Self {
        Self { slots, due: Duration::ZERO, runs: None }
    }
}

/// A TaskManager that runs, and its processes.
pub(super) struct RunningTaskManager {
    pub(super) machine: Machine,
    wanted: PlayProcesses,
    pub(super) processes: Vec<RunningProcess>,
    heard: Heard<String>,
    pub(super) shutdown: CancellationToken,
}

/// A process of a job.
pub(super) struct RunningProcess {
    pub(super) machine: Machine,
    key: ProcessKey,
    end: CancellationToken,
    exit: Option<oneshot::Sender<ProcessExit>>,
    heard: Heard<Result<(), String>>,
}

impl ClusterPlay {
    fn machine(&mut self) -> Machine {
        let (clock, random) = (Arc::new(self.clock.clone()), Arc::new(self.chance.clone()));
        self.machines += 1;
        let (number, watch) = (MachineNumber(self.machines), self.met.watch());
        let line = |pulse: &Pulse| {
            let ways = (self.chance.clone(), self.clock.clone());
            Line::new(number, pulse.clone(), ways, watch)
        };
        Machine::new(clock, random, &self.net, (line, |line: &Line| self.store.from(line, None)))
    }

    /// Switches on what is due.
    pub(super) fn switch_on(&mut self) {
        let now = self.clock.elapsed();
        for index in 0..self.jobmanagers.len() {
            let site = &self.jobmanagers[index];
            if site.runs.is_none() && site.due <= now {
                self.start_jobmanager(index);
            }
        }
        for index in 0..self.taskmanagers.len() {
            let site = &self.taskmanagers[index];
            if site.runs.is_none() && site.due <= now {
                self.start_taskmanager(index);
            }
        }
    }

    fn start_jobmanager(&mut self, index: usize) {
        let machine = self.machine();
        let number = machine.line.number.0;
        let (name, address) = (format!("jobmanager {index}"), format!("http://jm-{number}"));
        let disk = &self.jobmanagers[index].disk;
        let (program, line) = (self.program.clone(), machine.line.clone());
        let host = JobManagerHost {
            host: machine.host.clone(),
            disk: Arc::new(disk.from(&machine.pulse, &self.chance, &self.clock)),
            describer: Arc::new(PlayDescriber { program, line }),
        };
        let heard = Heard::default();
        machine.spawn(run_jobmanager(host, name, address.clone(), heard.clone()));
        self.notes.add(|| format!("JobManager {number} begins at site {index}"), &self.clock);
        let (leads, led, is_ending) = (None, 0, false);
        let runs = RunningJobManager { machine, number, address, heard, leads, led, is_ending };
        self.jobmanagers[index].runs = Some(runs);
    }

    /// A JobManager leads from now on.
    pub(super) fn leads(&mut self, index: usize, manager: Arc<JobManager>) {
        let JobManagerSite { disk, runs: Some(runs), .. } = &mut self.jobmanagers[index] else {
            return;
        };
        let number = runs.number;
        self.notes.add(|| format!("JobManager {number} leads"), &self.clock);
        self.doors.open(Door {
            pulse: runs.machine.pulse.clone(),
            tokio: runs.machine.handle(),
            resources: manager.dispatcher().resources().clone(),
            disk: disk.clone(),
            address: runs.address.clone(),
        });
        self.user.led += 1;
        (runs.leads, runs.led) = (Some((manager, self.clock.elapsed())), self.user.led);
    }

    pub(super) fn kill_jobmanager(&mut self, index: usize, again_in: Duration) {
        let site = &mut self.jobmanagers[index];
        site.due = self.clock.elapsed().saturating_add(again_in);
        if let Some(mut runs) = site.runs.take() {
            if let Some((manager, _)) = runs.leads.take() {
                self.remember_end(&manager);
            }
            runs.machine.kill();
            let number = runs.number;
            self.notes.add(|| format!("JobManager {number} is gone"), &self.clock);
            self.requests.lose(number);
        }
    }

    fn start_taskmanager(&mut self, index: usize) {
        let machine = self.machine();
        let (number, slots) = (machine.line.number.0, self.taskmanagers[index].slots);
        let (wanted, heard, shutdown) =
            (PlayProcesses::default(), Heard::default(), CancellationToken::new());
        let way = Way {
            name: format!("TaskManager {number}"),
            doors: self.doors.clone(),
            net: self.net.clone(),
            pulse: machine.pulse.clone(),
            chance: self.chance.clone(),
        };
        let host = TaskManagerHost {
            random: machine.host.random.clone(),
            disk: Arc::new(PlayDisk::default().from(&machine.pulse, &self.chance, &self.clock)),
            processes: Arc::new(wanted.clone()),
            network: Arc::new(way),
            hardware: Hardware { cpu_cores: 1, memory_bytes: 1 << 30 },
        };
        let keep_alive = KeepAlive { interval: HEARTBEAT, timeout: SILENCE };
        let options = TaskManagerOptions {
            id: format!("{number:032x}"),
            jobmanager: Endpoint::new("http://jobmanager", None).with_keep_alive(keep_alive),
            host: format!("tm-{number}"),
            slots,
            folder: "/taskmanager".into(),
            logs: 1,
            log_bytes: 1,
            leave_within: Duration::from_secs(5),
        };
        let (says, told) = (heard.clone(), shutdown.clone());
        machine.spawn(async move {
            let ended = run_taskmanager_on(options, host, told).await;
            says.say(ended.map_or_else(|error| chain(&error), |()| "in order".to_owned()));
        });
        self.notes.add(|| format!("TaskManager {number} begins at site {index}"), &self.clock);
        let processes = Vec::new();
        let runs = RunningTaskManager { machine, wanted, processes, heard, shutdown };
        self.taskmanagers[index].runs = Some(runs);
    }

    /// A TaskManager dies, and its processes with it.
    pub(super) fn kill_taskmanager(&mut self, index: usize, again_in: Duration) {
        let site = &mut self.taskmanagers[index];
        site.due = self.clock.elapsed().saturating_add(again_in);
        if let Some(mut runs) = site.runs.take() {
            for process in &mut runs.processes {
                process.machine.kill();
            }
            runs.machine.kill();
            self.notes.add(|| format!("the TaskManager at site {index} is gone"), &self.clock);
        }
    }

    /// Starts and ends processes as their TaskManagers want it, and tells them of those that have ended.
    pub(super) fn tend(&mut self) {
        for index in 0..self.taskmanagers.len() {
            let Some(runs) = &mut self.taskmanagers[index].runs else { continue };
            if let Some(ended) = runs.heard.take().pop() {
                self.notes.add(|| format!("a TaskManager has ended: {ended}"), &self.clock);
                self.kill_taskmanager(index, Duration::from_millis(200));
            }
            let Some(runs) = &mut self.taskmanagers[index].runs else { continue };
            for wanted in runs.wanted.take() {
                self.start_process(index, wanted);
            }
            self.end_processes(index);
        }
    }

    fn start_process(&mut self, index: usize, wanted: Wanted) {
        let Wanted { start, end, exit } = wanted;
        let machine = self.machine();
        self.processes_started += 1;
        let (key, number, mut seat) = (start.key, self.processes_started, start.seat);
        seat.host = format!("{}-{number}", seat.host);
        // Whoever was reached as it began.
        seat.coordinator = self.doors.address();
        let heard = Heard::default();
        let says = heard.clone();
        let spec = self.program.spec(&start.configuration, &machine.line);
        let host = machine.host.clone();
        machine.spawn(async move {
            let done = match spec {
                Ok(spec) => run_process_here(spec, seat, host).await,
                Err(error) => Err(error),
            };
            says.say(done.map_err(|error| error.to_string()));
        });
        self.notes.add(|| format!("process {number} begins: {key}"), &self.clock);
        let process = RunningProcess { machine, key, end, exit: Some(exit), heard };
        if let Some(runs) = &mut self.taskmanagers[index].runs {
            runs.processes.push(process);
        }
    }

    fn end_processes(&mut self, index: usize) {
        let Some(runs) = &mut self.taskmanagers[index].runs else { return };
        let mut place = 0;
        while let Some(process) = runs.processes.get(place) {
            let done = process.heard.take().pop();
            let exit = match done {
                Some(Ok(())) => ("exit status: 0".to_owned(), true, String::new()),
                Some(Err(error)) => ("exit status: 1".to_owned(), false, error),
                None if process.end.is_cancelled() || process.machine.pulse.is_gone() => {
                    ("signal: 9 (SIGKILL)".to_owned(), false, String::new())
                }
                None => {
                    place += 1;
                    continue;
                }
            };
            let mut process = runs.processes.remove(place);
            process.machine.kill();
            let (status, success, output_tail) = exit;
            let key = process.key;
            self.notes.add(|| format!("{key} has ended: {status} {output_tail}"), &self.clock);
            if let Some(exit) = process.exit.take() {
                let _ = exit.send(ProcessExit { status, success, output_tail });
            }
        }
    }
}

/// Becomes the JobManager, and is it until another one has taken over.
async fn run_jobmanager(host: JobManagerHost, name: String, address: String, says: Heard<Word>) {
    let leader =
        LeaderOptions { name, retry_period: SIGN, lease_duration: LEASE, take_over: false };
    let network = Arc::clone(&host.host.network);
    let storage = format!("{ADDRESS}/ha");
    let leadership = match Leadership::gain_on(&storage, "play", &leader, &host.host).await {
        Ok(leadership) => leadership,
        Err(error) => return says.say(Word::Ended(chain(&error))),
    };
    let options = JobManagerOptions {
        folder: "/jobmanager".into(),
        configuration: OptionValues::default(),
        secret: None,
        heartbeat: HeartbeatOptions { interval: HEARTBEAT, timeout: SILENCE },
        leadership: Some(leadership),
    };
    let manager = match JobManager::on(options, host) {
        Ok(manager) => Arc::new(manager),
        Err(error) => return says.say(Word::Ended(chain(&error))),
    };
    let dispatcher = manager.dispatcher();
    dispatcher.keep_results_for(KEPT);
    let keeper = Arc::new(dispatcher.resources().clone());
    let Ok(_door) = network.open(&address, None, keeper).await else {
        return says.say(Word::Ended("its address is taken".to_owned()));
    };
    says.say(Word::Leads(Arc::clone(&manager)));
    let over = manager.lead().await;
    says.say(Word::Ended(chain(&over)));
}
