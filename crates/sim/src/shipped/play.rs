//! What happens next: the seed picks whose turn it is, and lets time pass.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::{
    Setup,
    aim::Aim,
    chance::Chance,
    clock::PlayClock,
    coverage::Met,
    errand::Errand,
    machine::Machine,
    mutation::Mutation,
    network::Net,
    picture::{MachineNumber, Picture},
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
    pub(super) aim: Option<Aim>,
    pub(super) met: Met,
    pub(super) life: Life,
    /// Runs that somebody has taken the job over from and that do not know it yet.
    pub(super) superseded: Vec<Running>,
    /// Machines on which somebody is at something else.
    pub(super) errands: Vec<Errand>,
    /// Processes that are left of runs whose leading process is gone.
    pub(super) left: Vec<Follower>,
    /// Machines that are gone, and when those find out that they are connected with.
    pub(super) silent: Vec<(Duration, Machine)>,
    /// The same of machines that have vanished: only those find out that speak with them.
    pub(super) vanished: Vec<(Duration, Machine)>,
    pub(super) user: User,
    /// Where the job is started, as its processes know each other.
    pub(super) site: u64,
    next_kill: Duration,
    next_freeze: Duration,
    next_cut: Duration,
    next_operation: Duration,
    pub(super) snapshots: u64,
    pub(super) lives: u64,
    pub(super) steps: u64,
    hasher: DefaultHasher,
    pub(super) machines: u64,
    pub(super) picture: Option<Picture>,
    pub(super) violation: Option<String>,
}

impl Play {
    pub(super) fn new(seed: u64, setup: &Setup) -> Self {
        let mut scenario = Scenario::draw(seed);
        setup.without.iter().for_each(|what| scenario.leave_out(*what));
        let mutation = setup.mutation;
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
            aim: None,
            met: Met::default(),
            life: Life::Due(Duration::ZERO, None),
            superseded: Vec::new(),
            errands: Vec::new(),
            left: Vec::new(),
            silent: Vec::new(),
            vanished: Vec::new(),
            user: User::default(),
            site: 0,
            next_kill: Duration::MAX,
            next_freeze: Duration::MAX,
            next_cut: Duration::MAX,
            next_operation: Duration::MAX,
            snapshots: 0,
            lives: 0,
            steps: 0,
            hasher: DefaultHasher::new(),
            machines: 0,
            picture: setup.traced.then(Picture::default),
            violation: None,
            scenario,
        };
        play.note(|play| format!("{:?}", play.scenario));
        play.draw_times();
        play
    }

    /// Draws when what for the first time goes wrong, or is asked for.
    pub(super) fn draw_times(&mut self) {
        self.next_kill = self.in_about(self.scenario.kills);
        self.next_freeze = self.in_about(self.scenario.freezes);
        self.next_cut = self.in_about(self.scenario.cuts);
        self.next_operation = self.in_about(self.scenario.operations);
    }

    /// Takes note of something that tells two plays apart.
    pub(super) fn note(&mut self, text: impl FnOnce(&Self) -> String) {
        let text = text(self);
        self.note_at(None, &text);
    }

    /// The same, of something that happens on a machine.
    pub(super) fn note_at(&mut self, machine: Option<MachineNumber>, text: &str) {
        let elapsed = self.clock.elapsed();
        (text, machine, elapsed).hash(&mut self.hasher);
        if let Some(picture) = &mut self.picture {
            picture.event(elapsed, machine, text);
        }
    }

    /// That of the job's run, if there is one.
    pub(super) fn running(&self) -> Option<MachineNumber> {
        match &self.life {
            Life::Runs(running) => Some(running.machine.line.number),
            Life::Due(..) | Life::Over(_) => None,
        }
    }

    /// A machine is gone.
    pub(super) fn gone(&mut self, machine: MachineNumber) {
        if let Some(picture) = &mut self.picture {
            picture.end(machine);
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
            self.look_on();
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
            if *at <= now && !self.is_swept() {
                let from = from.clone();
                return self.start(from);
            }
            // Others go on meanwhile.
            if self.superseded.is_empty() && self.errands.is_empty() && self.left.is_empty() {
                return self.clock.advance(*at - now);
            }
        }
        if !self.is_calm() && self.interrupt(now) {
            return;
        }
        if self.random.random_range(0..100) < 15 {
            return self.pass_time();
        }
        let others = others(&self.superseded, &self.left, &self.errands);
        let chosen = self.random.random_range(0..others.len() * 2 + 8);
        let machine = match (others.get(chosen), &self.life) {
            (Some(other), _) => Some(*other),
            (None, Life::Runs(running)) => {
                let own = running.machines();
                Some(own[self.random.random_range(0..own.len())])
            }
            (None, _) => None,
        };
        if let Some(machine) = machine.filter(|machine| !machine.is_frozen(now)) {
            give_turn(machine, &mut self.random);
        }
    }

    /// Something goes wrong, or is asked for, if it is time.
    fn interrupt(&mut self, now: Duration) -> bool {
        if self.next_kill <= now {
            self.next_kill = self.in_about(self.scenario.kills);
            let site = self.any_site();
            return self.kill_at(site);
        }
        if self.next_freeze <= now {
            self.next_freeze = self.in_about(self.scenario.freezes);
            let site = self.any_site();
            return self.freeze(site, now);
        }
        if self.next_cut <= now {
            self.next_cut = self.in_about(self.scenario.cuts);
            let site = self.any_site();
            return self.cut(site, now);
        }
        if self.next_operation <= now {
            self.next_operation = self.in_about(self.scenario.operations);
            self.operate();
            return true;
        }
        self.hit_aim(now)
    }

    /// A machine is gone; the others find out a while later.
    pub(super) fn fall_silent(&mut self, mut machine: Machine) {
        self.gone(machine.line.number);
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
        for (at, machine) in &mut self.vanished {
            if *at <= now {
                self.net.break_conversations(&machine.pulse);
                *at = Duration::MAX;
            }
        }
    }

    /// A machine is gone, and nobody is told: those find out that ask it for a sign of life.
    pub(super) fn vanish(&mut self, machine: Machine) {
        machine.fall_silent();
        let millis = self.random.random_range(1_000..4_000);
        self.vanished.push((self.clock.elapsed() + Duration::from_millis(millis), machine));
    }

    /// Nothing goes on any more.
    fn switch_off(&mut self) {
        for running in std::mem::take(&mut self.superseded) {
            running.kill();
        }
        let left = std::mem::take(&mut self.left).into_iter().map(|left| left.machine);
        let silent = std::mem::take(&mut self.silent).into_iter();
        let gone = silent.chain(std::mem::take(&mut self.vanished)).map(|(_, machine)| machine);
        let errands = std::mem::take(&mut self.errands).into_iter().map(|errand| errand.machine);
        for mut machine in left.chain(gone).chain(errands) {
            machine.kill();
        }
    }

    fn pass_time(&mut self) {
        let micros = self.random.random_range(20..400);
        let mut all = others(&self.superseded, &self.left, &self.errands);
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
fn others<'a>(
    superseded: &'a [Running],
    left: &'a [Follower],
    errands: &'a [Errand],
) -> Vec<&'a Machine> {
    let superseded = superseded.iter().flat_map(Running::machines);
    let left = left.iter().map(|left| &left.machine);
    superseded.chain(left).chain(errands.iter().map(|errand| &errand.machine)).collect()
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
