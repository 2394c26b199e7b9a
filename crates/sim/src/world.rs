//! The simulated world: who is alive, what is under way, and what happens next.
//!
//! ```text
//!   [manager: the real coordinator] <--messages--> [run: the real gathering, phases, alignment]
//!                 |                                               |
//!                 +-------------> [store] <-----------------------+-----> [outside] (what the sink
//!                                                                          has written)
//! ```
//!
//! # Protocol
//!
//! Whoever wants something to happen later schedules a [`Happening`]. Those of a run, or of a life
//! of the manager, that is over by then are dropped: it can't do anything any more.
//!
//! # Failure
//!
//! A crash takes everything of its process with it. A write that was under way has happened or not;
//! the store and the outside keep what they have.

mod checks;
mod life;
mod manager;
mod run;

use std::collections::BTreeSet;

use rand::RngExt;
use tidegate_checkpoint::{
    coordinator::{AfterSavepoint, Wish},
    protocol::{Command, Report},
    task::TaskCommand,
};
use tidegate_types::{CheckpointId, SubtaskIndex};

pub(crate) use self::{life::Life, run::Run};
use crate::{
    process::TaskId,
    scenario::{Scenario, one_of},
    schedule::Schedule,
    store::{Output, Outside, Store, Transaction},
    task::{Packet, Part},
};

/// Simulated time after which a job that does not end counts as stuck, in microseconds.
const PATIENCE: u64 = 600_000_000;
/// Microseconds from a crash of everything until somebody starts the job again.
const STARTED_AGAIN_AFTER: u64 = 50_000;

/// From what a job is started by hand.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// Its own latest snapshot, if there is any.
    Latest,
    /// A savepoint, which becomes the job's if it is claimed.
    Savepoint { folder: String, claimed: bool },
}

/// What comes from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interruption {
    Crash,
    Kill,
    Savepoint,
    Stop,
    Cancel,
}

/// What the coordinator's manager waits for.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    Tick,
    Report { run: u64, report: Report },
    ManifestIsWritten(CheckpointId),
    ManifestIsLookedFor(CheckpointId),
    Deleted(String),
    TornDown,
    Restart,
}

/// What a run waits for.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A worker, by the subtasks that it runs, has what they take over.
    Restored(SubtaskIndex),
    Poll(TaskId),
    /// A command reaches a process.
    Command {
        process: usize,
        command: Command,
    },
    /// What a process tells a task reaches it.
    Told(TaskId, TaskCommand),
    Packet {
        to: TaskId,
        channel: usize,
        packet: Packet,
    },
    /// What the sink has prepared is staged.
    Staged(TaskId, Transaction, Vec<Output>),
    Encoded(TaskId, CheckpointId, Box<Part>),
    FileIsWritten {
        process: usize,
        checkpoint: CheckpointId,
    },
    Commit {
        task: TaskId,
        checkpoint: CheckpointId,
        transactions: Vec<Transaction>,
    },
    CommitRestored(Vec<Transaction>),
    AbortOthers,
}

/// What is scheduled.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Errand { life: u64, errand: Errand },
    Work { run: u64, work: Work },
    Interrupted(Interruption),
    Started(Start),
}

/// How a simulated job has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All input is consumed.
    Finished,
    /// Somebody has cancelled it, and its checkpoints are gone.
    Canceled,
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) schedule: Schedule,
    store: Store,
    outside: Outside,
    life: Option<Life>,
    run: Option<Run>,
    lives: u64,
    runs: u64,
    /// Savepoints, which are their user's.
    savepoints: BTreeSet<String>,
    /// Savepoints that the job was started from and has claimed.
    claimed: BTreeSet<String>,
    /// How many manifests have become durable.
    pub(crate) snapshots: u64,
    /// Every snapshot that has been complete since the job was started by hand, or was there then.
    durable: BTreeSet<CheckpointId>,
    /// The latest snapshot that sinks were told to commit, or restored from.
    committed: Option<CheckpointId>,
    /// Who has answered for which snapshot.
    answered: BTreeSet<(u64, usize, CheckpointId)>,
    pub(crate) end: Option<End>,
    pub(crate) violation: Option<String>,
}

impl World {
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        let (scenario, random) = Scenario::draw(seed);
        let mut schedule = Schedule::new(&scenario, random, traced);
        schedule.note(|| format!("{scenario:?}"));
        schedule.after(0, Happening::Started(Start::Latest));
        let mut world = Self {
            scenario,
            schedule,
            store: Store::default(),
            outside: Outside::default(),
            life: None,
            run: None,
            lives: 0,
            runs: 0,
            savepoints: BTreeSet::new(),
            claimed: BTreeSet::new(),
            snapshots: 0,
            durable: BTreeSet::new(),
            committed: None,
            answered: BTreeSet::new(),
            end: None,
            violation: None,
        };
        let all = [
            Interruption::Crash,
            Interruption::Kill,
            Interruption::Savepoint,
            Interruption::Stop,
            Interruption::Cancel,
        ];
        all.into_iter().for_each(|interruption| world.schedule_interruption(interruption));
        world
    }

    /// Runs until the job has ended or an invariant is broken; returns the number of steps.
    pub(crate) fn play(&mut self) -> u64 {
        let mut steps = 0;
        while self.end.is_none() && self.violation.is_none() {
            let Some(happening) = self.schedule.pop() else {
                self.violation = Some("stuck: nothing will happen any more".to_owned());
                break;
            };
            steps += 1;
            self.happen(happening);
            let deadline = self.scenario.calm_from + PATIENCE;
            self.demand(self.schedule.micros() < deadline, || {
                "stuck: the job does not come to its end".to_owned()
            });
        }
        if self.violation.is_none() {
            self.check_results();
        }
        steps
    }

    /// How many attempts there were.
    pub(crate) fn attempts(&self) -> u64 {
        self.runs
    }

    /// Takes note if something that must hold does not.
    fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            self.violation = Some(what());
        }
    }

    /// Takes note of an error that must not happen.
    fn demand_ok<T>(&mut self, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(what) => {
                self.demand(false, || what);
                None
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Errand { life, errand } => {
                if self.life.as_ref().is_some_and(|current| current.number == life) {
                    self.on_errand(errand);
                }
            }
            Happening::Work { run, work } => {
                if self.run.as_ref().is_some_and(|current| current.id == run) {
                    self.on_work(work);
                }
            }
            Happening::Interrupted(interruption) => self.on_interruption(interruption),
            Happening::Started(start) => self.start(&start),
        }
    }

    fn schedule_interruption(&mut self, interruption: Interruption) {
        let interruptions = &self.scenario.interruptions;
        let mean = match interruption {
            Interruption::Crash => interruptions.crash,
            Interruption::Kill => interruptions.kill,
            Interruption::Savepoint => interruptions.savepoint,
            Interruption::Stop => interruptions.stop,
            Interruption::Cancel => interruptions.cancel,
        };
        if let Some(mean) = mean {
            let micros = self.schedule.random.random_range(0..mean * 2_000);
            self.schedule.after(micros, Happening::Interrupted(interruption));
        }
    }

    fn on_interruption(&mut self, interruption: Interruption) {
        if self.schedule.is_calm() {
            return;
        }
        self.schedule_interruption(interruption);
        match interruption {
            Interruption::Crash => self.crash(),
            Interruption::Kill => self.kill(),
            Interruption::Savepoint => {
                let rarely = self.schedule.random.random_bool(0.2);
                if rarely {
                    self.request(Wish::Checkpoint);
                } else {
                    self.request_savepoint(AfterSavepoint::GoOn);
                }
            }
            Interruption::Stop => {
                let stops = [false, true].map(|drain| AfterSavepoint::Stop { drain });
                let all = [stops[0], stops[1], AfterSavepoint::Cancel];
                let then = *one_of(&mut self.schedule.random, &all);
                self.request_savepoint(then);
            }
            Interruption::Cancel => self.cancel(),
        }
    }

    /// Everything dies at once, unless the job has ended already.
    fn kill(&mut self) {
        if self.life.as_ref().is_none_or(Life::is_ending) {
            return;
        }
        self.schedule.note(|| "KILL".to_owned());
        self.end_run();
        self.end_life();
        self.schedule.after(STARTED_AGAIN_AFTER, Happening::Started(Start::Latest));
    }
}
