//! What happens next: the seed picks whose turn it is, and lets time pass.

use std::{
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::{
    chance::Chance,
    clock::PlayClock,
    machine::Machine,
    mutation::Mutation,
    network::Net,
    runs::{Follower, Running},
    scenario::Scenario,
    store::Store,
    target::Target,
    user::{Life, User},
};

/// For how long a job may go on once all goes well.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much longer time takes where nothing runs that would notice.
const IDLE: u32 = 50;

/// Everything there is.
pub(super) struct Play {
    pub(super) scenario: Scenario,
    pub(super) random: Xoshiro256PlusPlus,
    pub(super) chance: Chance,
    pub(super) clock: PlayClock,
    pub(super) store: Store,
    pub(super) target: Target,
    pub(super) net: Net,
    pub(super) mutation: Option<Mutation>,
    pub(super) life: Life,
    /// Runs that somebody has taken the job over from and that do not know it yet.
    pub(super) superseded: Vec<Running>,
    /// Processes that are left of runs whose leading process is gone.
    pub(super) left: Vec<Follower>,
    /// Machines that are gone, and when those find out that they are connected with.
    pub(super) silent: Vec<(Duration, Machine)>,
    pub(super) user: User,
    /// Where the job is started, as its processes know each other.
    pub(super) site: u64,
    next_kill: Duration,
    next_freeze: Duration,
    next_operation: Duration,
    next_cut: Duration,
    pub(super) snapshots: u64,
    pub(super) lives: u64,
    pub(super) steps: u64,
    hasher: DefaultHasher,
    pub(super) trace: Option<String>,
    pub(super) violation: Option<String>,
}

impl Play {
    pub(super) fn new(seed: u64, traced: bool, mutation: Option<Mutation>) -> Self {
        let scenario = Scenario::draw(seed);
        // Three sequences, so that what one draws changes nothing of the others.
        let clock = PlayClock::default();
        let number = (mutation == Some(Mutation::SameToken)).then_some(7);
        let chance = Chance::new(!seed, scenario.troubles, clock.clone(), number);
        if mutation == Some(Mutation::WallClock) {
            clock.be_one();
        }
        let random = Xoshiro256PlusPlus::seed_from_u64(seed.rotate_left(17));
        let mut play = Self {
            random,
            net: Net::new(chance.clone(), clock.clone()),
            chance,
            clock,
            store: Store::default(),
            target: Target::default(),
            mutation,
            life: Life::Due(Duration::ZERO, None),
            superseded: Vec::new(),
            left: Vec::new(),
            silent: Vec::new(),
            user: User::default(),
            site: 0,
            next_kill: Duration::MAX,
            next_freeze: Duration::MAX,
            next_operation: Duration::MAX,
            next_cut: Duration::MAX,
            snapshots: 0,
            lives: 0,
            steps: 0,
            hasher: DefaultHasher::new(),
            trace: traced.then(String::new),
            violation: None,
            scenario,
        };
        play.note(|play| format!("{:?}", play.scenario));
        play.next_kill = play.in_about(play.scenario.kills);
        play.next_freeze = play.in_about(play.scenario.freezes);
        play.next_operation = play.in_about(play.scenario.operations);
        play.next_cut = play.in_about(play.scenario.cuts);
        play
    }

    /// Takes note of something that tells two plays apart.
    pub(super) fn note(&mut self, text: impl FnOnce(&Self) -> String) {
        let text = text(self);
        let elapsed = self.clock.elapsed();
        (&text, elapsed).hash(&mut self.hasher);
        if let Some(trace) = &mut self.trace {
            let millis = elapsed.as_secs_f64() * 1_000.0;
            writeln!(trace, "{millis:>12.3} {text}").expect("a string takes everything");
        }
    }

    /// A number that two plays share only if the same happened in both.
    pub(super) fn fingerprint(&self) -> u64 {
        self.hasher.finish()
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
        while self.violation.is_none() && !matches!(self.life, Life::Over(_)) {
            self.steps += 1;
            self.step();
            self.net.carry();
            self.listen();
            self.find_out();
            if self.is_calm() {
                self.chance.calm_down();
            }
            if self.clock.elapsed() > self.scenario.calm_from + PATIENCE {
                self.fail("stuck: the job does not come to its end");
            }
        }
        self.switch_off();
        if self.violation.is_none() {
            self.check();
        }
    }

    fn step(&mut self) {
        let now = self.clock.elapsed();
        if let Life::Due(at, from) = &self.life {
            if *at <= now {
                let from = from.clone();
                return self.start(from);
            }
            // Others go on meanwhile.
            if self.superseded.is_empty() && self.left.is_empty() {
                return self.clock.advance(*at - now);
            }
        }
        if !self.is_calm() && self.interrupt(now) {
            return;
        }
        if self.random.random_range(0..100) < 15 {
            return self.pass_time();
        }
        let current = match &self.life {
            Life::Runs(running) => Some(&**running),
            Life::Due(..) | Life::Over(_) => None,
        };
        let others = others(&self.superseded, &self.left);
        let chosen = self.random.random_range(0..others.len() * 2 + 8);
        let machine = match (others.get(chosen), current) {
            (Some(other), _) => Some(*other),
            (None, Some(running)) => {
                let own = running.machines();
                Some(own[self.random.random_range(0..own.len())])
            }
            (None, None) => None,
        };
        if let Some(machine) = machine.filter(|machine| !machine.is_frozen(now)) {
            give_turn(machine, &mut self.random);
        }
    }

    /// Something goes wrong, or is asked for, if it is time.
    fn interrupt(&mut self, now: Duration) -> bool {
        if self.next_kill <= now {
            self.next_kill = self.in_about(self.scenario.kills);
            self.kill();
            return true;
        }
        if self.next_freeze <= now {
            self.next_freeze = self.in_about(self.scenario.freezes);
            self.freeze(now);
            return true;
        }
        if self.next_operation <= now {
            self.next_operation = self.in_about(self.scenario.operations);
            self.operate();
            return true;
        }
        if self.next_cut <= now {
            self.next_cut = self.in_about(self.scenario.cuts);
            self.cut();
            return true;
        }
        false
    }

    /// A machine stands still for a while, as one that swaps, or that somebody has suspended.
    fn freeze(&mut self, now: Duration) {
        let millis = self.random.random_range(100..8_000);
        if let Life::Runs(running) = &mut self.life {
            let mut all = running.machines_mut();
            let process = self.random.random_range(0..all.len());
            all[process].freeze(now + Duration::from_millis(millis));
            self.note(|_| format!("process {process} is frozen for {millis} ms"));
        }
    }

    /// A connection breaks.
    fn cut(&mut self) {
        let connections = self.net.connections();
        if connections > 0 {
            let cut = self.net.cut(self.random.random_range(0..connections));
            self.note(|_| format!("{cut} is cut"));
        }
    }

    /// A machine is gone; the others find out a while later.
    pub(super) fn fall_silent(&mut self, mut machine: Machine) {
        if self.scenario.processes == 1 {
            return machine.kill();
        }
        machine.fall_silent();
        let millis = self.random.random_range(0..300);
        self.silent.push((self.clock.elapsed() + Duration::from_millis(millis), machine));
    }

    /// Those find out that were connected with a machine that is gone.
    fn find_out(&mut self) {
        let now = self.clock.elapsed();
        let all = std::mem::take(&mut self.silent);
        let (due, later): (Vec<_>, _) = all.into_iter().partition(|(at, _)| *at <= now);
        self.silent = later;
        due.into_iter().for_each(|(_, mut machine)| machine.kill());
    }

    /// Nothing goes on any more.
    fn switch_off(&mut self) {
        for running in std::mem::take(&mut self.superseded) {
            running.kill();
        }
        let left = std::mem::take(&mut self.left);
        let silent = std::mem::take(&mut self.silent);
        let all = left.into_iter().map(|left| left.machine);
        for mut machine in all.chain(silent.into_iter().map(|(_, machine)| machine)) {
            machine.kill();
        }
    }

    fn pass_time(&mut self) {
        let micros = self.random.random_range(20..400);
        let mut all = others(&self.superseded, &self.left);
        if let Life::Runs(running) = &self.life {
            all.extend(running.machines());
        }
        let is_idle = all.iter().all(|machine| machine.baton.there().is_empty());
        let time = Duration::from_micros(micros) * if is_idle { IDLE } else { 1 };
        self.clock.advance(time);
        let now = self.clock.elapsed();
        all.iter().for_each(|machine| machine.pass(time, now));
    }
}

/// The machines that nobody hears from any more who has started the job.
fn others<'a>(superseded: &'a [Running], left: &'a [Follower]) -> Vec<&'a Machine> {
    let superseded = superseded.iter().flat_map(Running::machines);
    superseded.chain(left.iter().map(|left| &left.machine)).collect()
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
