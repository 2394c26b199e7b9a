//! What happens next: the seed picks whose turn it is, and lets time pass.

use std::{
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::{
    super::{
        chance::Chance, clock::PlayClock, coverage::Met, machine::Machine, network::Net,
        store::Store, target::Target,
    },
    programs::Program,
    requests::Requests,
    scenario::{Mishap, Scenario, mishap},
    sites::{JobManagerSite, TaskManagerSite, Word},
    user::{Life, User},
    way::Doors,
};

/// For how long a job may go on once all goes well.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long the cluster has, once the job is over, to tidy up.
const SETTLES: Duration = Duration::from_secs(60);
/// How much longer time takes where nothing runs that would notice.
const IDLE: u32 = 50;

/// What has happened, for who wants to compare or to read it.
pub(super) struct Notes {
    hasher: DefaultHasher,
    trace: Option<String>,
}

impl Notes {
    pub(super) fn add(&mut self, text: impl FnOnce() -> String, clock: &PlayClock) {
        let (text, elapsed) = (text(), clock.elapsed());
        (&text, elapsed).hash(&mut self.hasher);
        if let Some(trace) = &mut self.trace {
            let millis = elapsed.as_secs_f64() * 1_000.0;
            writeln!(trace, "{millis:>12.3} {text}").expect("a string takes everything");
        }
    }

    /// The fingerprint, and what is to be read.
    pub(super) fn end(&mut self) -> (u64, Option<String>) {
        (self.hasher.finish(), self.trace.take())
    }
}

/// Everything there is.
pub(super) struct ClusterPlay {
    pub(super) scenario: Scenario,
    pub(super) random: Xoshiro256PlusPlus,
    pub(super) chance: Chance,
    pub(super) clock: PlayClock,
    pub(super) store: Store,
    pub(super) target: Target,
    pub(super) net: Net,
    pub(super) doors: Doors,
    pub(super) program: Program,
    pub(super) jobmanagers: Vec<JobManagerSite>,
    pub(super) taskmanagers: Vec<TaskManagerSite>,
    pub(super) machines: u64,
    pub(super) met: Met,
    pub(super) processes_started: u64,
    pub(super) requests: Requests,
    pub(super) user: User,
    pub(super) life: Life,
    next_mishap: Duration,
    next_operation: Duration,
    over_since: Option<Duration>,
    pub(super) snapshots: u64,
    pub(super) steps: u64,
    pub(super) notes: Notes,
    pub(super) violation: Option<String>,
}

impl ClusterPlay {
    pub(super) fn new(seed: u64, traced: bool) -> Self {
        let scenario = Scenario::draw(seed);
        // Three sequences, so that what one draws changes nothing of the others.
        let clock = PlayClock::default();
        let chance = Chance::new(!seed, scenario.troubles, clock.clone(), None);
        let random = Xoshiro256PlusPlus::seed_from_u64(seed.rotate_left(17));
        let target = Target::default();
        let program =
            Program { size: scenario.size, target: target.clone(), chance: chance.clone() };
        let taskmanagers = scenario.slots.iter().map(|slots| TaskManagerSite::new(*slots));
        let jobmanagers = (0..scenario.jobmanagers).map(|_| JobManagerSite::default());
        let hasher = DefaultHasher::new();
        let mut play = Self {
            net: Net::new(chance.clone(), clock.clone()),
            doors: Doors::default(),
            taskmanagers: taskmanagers.collect(),
            jobmanagers: jobmanagers.collect(),
            random,
            chance,
            clock,
            store: Store::default(),
            target,
            program,
            machines: 0,
            met: Met::default(),
            processes_started: 0,
            requests: Requests::default(),
            user: User::default(),
            life: Life::Due(Duration::ZERO, None),
            next_mishap: Duration::MAX,
            next_operation: Duration::MAX,
            over_since: None,
            snapshots: 0,
            steps: 0,
            notes: Notes { hasher, trace: traced.then(String::new) },
            violation: None,
            scenario,
        };
        play.note(|play| format!("{:?}", play.scenario));
        play.next_mishap = play.in_about(play.scenario.mishaps);
        play.next_operation = play.in_about(play.scenario.operations);
        play
    }

    /// Takes note of something that tells two plays apart.
    pub(super) fn note(&mut self, text: impl FnOnce(&Self) -> String) {
        let text = text(self);
        self.notes.add(|| text, &self.clock);
    }

    /// Something that must hold does not.
    pub(super) fn fail(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert(what.into());
    }

    fn in_about(&mut self, mean: Option<Duration>) -> Duration {
        let now = self.clock.elapsed();
        mean.map_or(Duration::MAX, |mean| now + mean.mul_f64(self.random.random_range(0.0..2.0)))
    }

    /// Whether all goes well from now on.
    pub(super) fn is_calm(&self) -> bool {
        self.clock.elapsed() >= self.scenario.calm_from
    }

    pub(super) fn run(&mut self) {
        while self.violation.is_none() && !self.has_settled() {
            self.steps += 1;
            self.step();
            self.tend();
            self.listen();
            if self.is_calm() {
                self.chance.calm_down();
            }
            if self.clock.elapsed() > self.scenario.calm_from + PATIENCE {
                self.fail(format!("stuck: the job does not come to its end: {:?}", self.life));
            }
        }
        for index in 0..self.taskmanagers.len() {
            self.kill_taskmanager(index, Duration::MAX);
        }
        for index in 0..self.jobmanagers.len() {
            self.kill_jobmanager(index, Duration::MAX);
        }
        if self.violation.is_none() {
            self.check();
        }
    }

    /// Whether the job is over and the cluster has had time to tidy up.
    fn has_settled(&mut self) -> bool {
        let Life::Over { .. } = self.life else { return false };
        let now = self.clock.elapsed();
        let since = *self.over_since.get_or_insert(now);
        // Nothing else is wrong from then on.
        self.scenario.calm_from = self.scenario.calm_from.min(now);
        now >= since + SETTLES || self.is_tidy()
    }

    fn step(&mut self) {
        let now = self.clock.elapsed();
        self.switch_on();
        if self.go_on(now) {
            return;
        }
        if !self.is_calm() && self.interrupt(now) {
            return;
        }
        if self.random.random_range(0..100) < 15 {
            return self.pass_time();
        }
        // Apart, since machines are part of the play.
        let mut random = self.random.clone();
        if let Some(machine) = self.next(&mut random)
            && !machine.is_frozen(now)
        {
            give_turn(machine, &mut random);
        }
        self.random = random;
    }

    /// The machine whose turn it is: more often one that does the job's work.
    fn next(&self, random: &mut Xoshiro256PlusPlus) -> Option<&Machine> {
        let processes = self.taskmanagers.iter().filter_map(|site| site.runs.as_ref());
        let processes = processes.flat_map(|runs| &runs.processes).map(|process| &process.machine);
        let mut all = processes.collect::<Vec<_>>();
        if all.is_empty() || random.random_bool(0.4) {
            all = self.servers().collect();
        }
        (!all.is_empty()).then(|| all[random.random_range(0..all.len())])
    }

    /// The machines of JobManagers and TaskManagers.
    fn servers(&self) -> impl Iterator<Item = &Machine> {
        let jobmanagers = self.jobmanagers.iter().filter_map(|site| site.runs.as_ref());
        let taskmanagers = self.taskmanagers.iter().filter_map(|site| site.runs.as_ref());
        let taskmanagers = taskmanagers.map(|runs| &runs.machine);
        jobmanagers.map(|runs| &runs.machine).chain(taskmanagers)
    }

    fn machines(&self) -> impl Iterator<Item = &Machine> {
        let processes = self.taskmanagers.iter().filter_map(|site| site.runs.as_ref());
        let processes = processes.flat_map(|runs| &runs.processes);
        self.servers().chain(processes.map(|process| &process.machine))
    }

    /// Something goes wrong, or is asked for, if it is time.
    fn interrupt(&mut self, now: Duration) -> bool {
        if self.next_mishap <= now {
            self.next_mishap = self.in_about(self.scenario.mishaps);
            let mishap = mishap(&mut self.random);
            self.happen(mishap, now);
            return true;
        }
        if self.next_operation <= now {
            self.next_operation = self.in_about(self.scenario.operations);
            self.operate();
            return true;
        }
        false
    }

    fn happen(&mut self, mishap: Mishap, now: Duration) {
        let again_in = Duration::from_millis(self.random.random_range(10..2_000));
        let jobmanager = self.random.random_range(0..self.jobmanagers.len());
        let taskmanager = self.random.random_range(0..self.taskmanagers.len());
        self.note(|_| format!("{mishap:?}"));
        match mishap {
            Mishap::KillJobManager => self.kill_jobmanager(jobmanager, again_in),
            Mishap::EndJobManager => self.end_jobmanager(jobmanager),
            Mishap::KillTaskManager => self.kill_taskmanager(taskmanager, again_in),
            Mishap::EndTaskManager => {
                if let Some(runs) = &self.taskmanagers[taskmanager].runs {
                    runs.shutdown.cancel();
                }
            }
            Mishap::KillProcess => {
                let Some(runs) = &mut self.taskmanagers[taskmanager].runs else { return };
                let count = runs.processes.len();
                if count > 0 {
                    let process = &mut runs.processes[self.random.random_range(0..count)];
                    // Its TaskManager is told.
                    process.machine.kill();
                }
            }
            Mishap::Freeze => self.freeze(now),
            Mishap::Cut => {
                let connections = self.net.connections();
                if connections > 0 {
                    let cut = self.net.cut(self.random.random_range(0..connections));
                    self.note(|_| format!("cut: {cut}"));
                }
            }
        }
    }

    fn end_jobmanager(&mut self, index: usize) {
        let Some(runs) = &mut self.jobmanagers[index].runs else { return };
        let Some((manager, _)) = runs.leads.clone() else { return };
        runs.is_ending = true;
        let says = runs.heard.clone();
        runs.machine.spawn(async move {
            manager.end().await;
            says.say(Word::Ended("in order".to_owned()));
        });
    }

    /// A machine stands still for a while.
    fn freeze(&mut self, now: Duration) {
        let until = now + Duration::from_millis(self.random.random_range(100..5_000));
        let count = self.machines().count();
        if count == 0 {
            return;
        }
        let chosen = self.random.random_range(0..count);
        let jobmanagers = self.jobmanagers.iter_mut().filter_map(|site| site.runs.as_mut());
        let mut all = jobmanagers.map(|runs| &mut runs.machine).collect::<Vec<_>>();
        for runs in self.taskmanagers.iter_mut().filter_map(|site| site.runs.as_mut()) {
            all.push(&mut runs.machine);
            all.extend(runs.processes.iter_mut().map(|process| &mut process.machine));
        }
        all[chosen].freeze(until);
        self.note(|_| format!("machine {chosen} is frozen until {until:?}"));
    }

    fn pass_time(&mut self) {
        let micros = self.random.random_range(20..400);
        let is_idle = self.machines().all(|machine| machine.baton.there().is_empty());
        let time = Duration::from_micros(micros) * if is_idle { IDLE } else { 1 };
        self.clock.advance(time);
        self.net.carry();
        let now = self.clock.elapsed();
        self.machines().for_each(|machine| machine.pass(time, now));
    }
}

/// Lets one machine do something.
fn give_turn(machine: &Machine, random: &mut Xoshiro256PlusPlus) {
    let threads = machine.baton.there();
    match random.random_range(0..100) {
        35.. if !threads.is_empty() => {
            machine.baton.step(threads[random.random_range(0..threads.len())]);
        }
        _ => machine.turn(),
    }
}
