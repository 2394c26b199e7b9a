//! Runs of the job: the machines of one, how they are started, and what becomes of them.
//!
//! A run of several processes ends with any of them: whoever has started them starts them all again. Those
//! whose leading process is gone are ended with it, or left to find out by themselves, as by somebody who
//! starts them elsewhere.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt;
use tidegate_runtime::{ClusterSpec, JobError, JobHandle, JobResult, start_here};

use super::{
    coverage::Watch,
    job,
    line::Line,
    machine::{Machine, Pulse},
    picture::MachineNumber,
    play::Play,
    scenario::Operation,
    user::{From, Life},
};

/// How long a process may go on whose leading process is gone.
const FINDS_OUT_WITHIN: Duration = Duration::from_secs(120);
/// How long a run may go on of which a machine has vanished: processes wait for each other at the start.
const ENDS_WITHIN: Duration = Duration::from_secs(90);

/// What a machine has told.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Vec<Word>>>);

impl Told {
    pub(super) fn say(&self, word: Word) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(word);
    }

    pub(super) fn take(&self) -> Vec<Word> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) enum Word {
    Started(JobHandle),
    NotStarted(JobError),
    Answered(Operation, Result<String, String>),
    Ended(Box<Result<JobResult, JobError>>),
}

/// A run of the job.
pub(super) struct Running {
    /// The machine of the first process, which leads.
    pub(super) machine: Machine,
    pub(super) told: Told,
    pub(super) handle: Option<JobHandle>,
    pub(super) followers: Vec<Follower>,
    pub(super) since: Duration,
    /// The savepoint that it claims.
    pub(super) claimed: Option<String>,
    /// How often it was asked to be cancelled, and has not refused.
    pub(super) cancels: u32,
    /// When whoever has started it gives it up, of which a process is gone.
    given_up: Option<Duration>,
    /// When it has to have ended, of which a machine has vanished.
    ends_by: Option<Duration>,
}

/// Another process of a run.
pub(super) struct Follower {
    pub(super) machine: Machine,
    process: usize,
    told: Told,
    /// Since when the leading process is gone.
    left_since: Duration,
}

impl Running {
    pub(super) fn handle(&self) -> Option<&JobHandle> {
        self.handle.as_ref()
    }

    pub(super) fn claimed(&self) -> Option<&str> {
        self.claimed.as_deref()
    }

    /// All of its machines.
    pub(super) fn machines(&self) -> Vec<&Machine> {
        let followers = self.followers.iter().map(|follower| &follower.machine);
        std::iter::once(&self.machine).chain(followers).collect()
    }

    pub(super) fn machines_mut(&mut self) -> Vec<&mut Machine> {
        let followers = self.followers.iter_mut().map(|follower| &mut follower.machine);
        std::iter::once(&mut self.machine).chain(followers).collect()
    }

    pub(super) fn kill(mut self) {
        self.machines_mut().into_iter().for_each(Machine::kill);
    }
}

impl Follower {
    /// How it has ended, if it has.
    fn end(&self) -> Option<String> {
        self.told.take().into_iter().find_map(|word| match word {
            Word::NotStarted(error) => Some(format!("not started: {error}")),
            Word::Ended(end) => {
                Some(end.map_or_else(|error| error.to_string(), |_| "in order".to_owned()))
            }
            Word::Started(_) | Word::Answered(..) => None,
        })
    }
}

impl Play {
    /// Switches the machines on that a run is to be on, and starts the job there.
    ///
    /// # Errors
    ///
    /// What is wrong with the job.
    pub(super) fn run_from(&mut self, from: Option<&From>) -> Result<Running, JobError> {
        let watch = self.met.watch();
        let (machine, told) = self.start_process(0, from, watch.clone())?;
        let others = 1..self.scenario.processes;
        let followers = others.map(|process| {
            let (machine, told) = self.start_process(process, from, watch.beside())?;
            Ok(Follower { machine, process, told, left_since: Duration::MAX })
        });
        let followers = followers.collect::<Result<_, JobError>>()?;
        let since = self.clock.elapsed();
        let (claimed, cancels, given_up, ends_by) = (None, 0, None, None);
        let handle = None;
        Ok(Running { machine, told, handle, followers, since, claimed, cancels, given_up, ends_by })
    }

    /// A machine is switched on, with its ways to the outside.
    pub(super) fn switch_on(&mut self, watch: Watch) -> Machine {
        let (clock, random) = (Arc::new(self.clock.clone()), Arc::new(self.chance.clone()));
        self.machines += 1;
        let number = MachineNumber(self.machines);
        if let Some(picture) = &mut self.picture {
            picture.begin(number);
        }
        let line = |pulse: &Pulse| {
            let ways = (self.chance.clone(), self.clock.clone());
            Line::new(number, pulse.clone(), ways, watch)
        };
        let places = |line: &Line| self.store.from(line, self.mutation);
        Machine::new(clock, random, &self.net, (line, places))
    }

    fn start_process(
        &mut self,
        process: usize,
        from: Option<&From>,
        watch: Watch,
    ) -> Result<(Machine, Told), JobError> {
        let machine = self.switch_on(watch);
        let sink = self.target.from(&machine.line, self.mutation);
        let arguments = self.scenario.arguments(from);
        let mut spec = job::spec(self.scenario.size, &arguments, sink, self.mutation)?;
        spec.cluster = self.cluster(process);
        self.user.job = Some(spec.settings.id);
        let (told, host) = (Told::default(), machine.host.clone());
        let says = told.clone();
        machine.spawn(async move {
            match start_here(spec, host).await {
                Ok(handle) => {
                    says.say(Word::Started(handle.clone()));
                    says.say(Word::Ended(Box::new(handle.wait().await)));
                }
                Err(error) => says.say(Word::NotStarted(error)),
            }
        });
        Ok((machine, told))
    }

    /// The processes that one is told of.
    fn cluster(&self, process: usize) -> Option<ClusterSpec> {
        let (processes, site) = (self.scenario.processes, self.site);
        (processes > 1).then(|| ClusterSpec {
            process: process as u32,
            addresses: (0..processes).map(|process| format!("process-{process}.{site}")).collect(),
            coordinator: format!("coordinator.{site}"),
            secret: None,
        })
    }

    /// The machine of some process dies; whoever has started it starts it all again. Returns which.
    pub(super) fn kill_one(&mut self, next: Life) -> Option<Pulse> {
        let Life::Runs(running) = &mut self.life else { return None };
        let process = self.random.random_range(0..running.followers.len() + 1);
        if process == 0 {
            running.machine.line.hit_by_death();
            self.note_at(self.running(), "KILL");
            return self.end_life(next);
        }
        let killed = running.followers.remove(process - 1);
        killed.machine.line.hit_by_death();
        let (process, vanishes) = (killed.process, self.random.random_bool(0.2));
        let how = match vanishes {
            true => format!("process {process} VANISHES"),
            false => format!("KILL process {process}"),
        };
        self.note_at(Some(killed.machine.line.number), &how);
        let pulse = killed.machine.pulse.clone();
        if vanishes {
            self.vanish(killed.machine);
            let ends_by = self.clock.elapsed() + ENDS_WITHIN;
            running_of(&mut self.life).for_each(|it| _ = it.ends_by.get_or_insert(ends_by));
        } else {
            self.fall_silent(killed.machine);
            self.give_up_soon();
        }
        Some(pulse)
    }

    /// The run of which a process is gone has a while to end by itself.
    fn give_up_soon(&mut self) {
        let at = self.clock.elapsed() + Duration::from_millis(self.random.random_range(500..8_000));
        running_of(&mut self.life).for_each(|it| _ = it.given_up.get_or_insert(at));
    }

    /// The leading process is gone; what follows, of which the user knows. Returns which it was.
    pub(super) fn end_life(&mut self, next: Life) -> Option<Pulse> {
        match std::mem::replace(&mut self.life, next) {
            Life::Runs(running) => Some(self.end(*running)),
            Life::Due(..) | Life::Over(_) => None,
        }
    }

    /// A run is over whose leading process is gone.
    pub(super) fn end(&mut self, running: Running) -> Pulse {
        let Running { machine, followers, .. } = running;
        let pulse = machine.pulse.clone();
        self.fall_silent(machine);
        if followers.is_empty() {
            return pulse;
        }
        if self.random.random_bool(0.5) {
            followers.into_iter().for_each(|follower| self.fall_silent(follower.machine));
        } else {
            self.left_alone(followers);
        }
        // Where the old ones are nobody can listen.
        if self.random.random_bool(0.8) || self.is_calm() {
            self.site += 1;
        }
        pulse
    }

    fn left_alone(&mut self, followers: Vec<Follower>) {
        let left_since = self.clock.elapsed();
        self.left.extend(followers.into_iter().map(|left| Follower { left_since, ..left }));
    }

    /// Hears what processes have told that follow another one.
    pub(super) fn listen_to_followers(&mut self) {
        let mut gone = Vec::new();
        for index in (0..self.left.len()).rev() {
            if let Some(end) = self.left[index].end() {
                gone.push((self.left.remove(index), end));
            } else if self.clock.elapsed() > self.left[index].left_since + FINDS_OUT_WITHIN {
                self.fail("a process goes on though its coordinator is gone");
            }
        }
        for running in &mut self.superseded {
            take_ended(&mut running.followers, &mut gone);
        }
        let before = gone.len();
        if let Life::Runs(running) = &mut self.life {
            take_ended(&mut running.followers, &mut gone);
        }
        if gone.len() > before {
            self.give_up_soon();
        }
        for (Follower { machine, process, .. }, end) in gone {
            self.note_at(Some(machine.line.number), &format!("process {process} has ended: {end}"));
            // The process ends, and whatever of it goes on.
            self.fall_silent(machine);
        }
    }

    /// Whoever has started the run gives it up, if it is time.
    pub(super) fn give_up(&mut self, next: Life) {
        let now = self.clock.elapsed();
        if matches!(&self.life, Life::Runs(it) if it.ends_by.is_some_and(|at| at <= now)) {
            self.fail("a run goes on of which a machine has vanished");
        }
        // Whether it ends by itself is to be seen.
        let is_due = |running: &Running| {
            running.ends_by.is_none() && running.given_up.is_some_and(|at| at <= now)
        };
        if matches!(&self.life, Life::Runs(running) if is_due(running)) {
            self.note_at(self.running(), "given up");
            self.end_life(next);
        }
    }
}

fn running_of(life: &mut Life) -> impl Iterator<Item = &mut Running> {
    let running = match life {
        Life::Runs(running) => Some(&mut **running),
        Life::Due(..) | Life::Over(_) => None,
    };
    running.into_iter()
}

fn take_ended(followers: &mut Vec<Follower>, gone: &mut Vec<(Follower, String)>) {
    for index in (0..followers.len()).rev() {
        if let Some(end) = followers[index].end() {
            gone.push((followers.remove(index), end));
        }
    }
}
