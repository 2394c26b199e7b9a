//! What a seed stands for: the job, its settings, what is asked of it, and how much goes wrong.

use std::time::Duration;

use clap::ValueEnum;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus, seq::IndexedRandom};

use super::{chance::Troubles, job::Size, store::ADDRESS, user::From};

/// What somebody does to a running job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Checkpoint,
    Savepoint {
        canonical: bool,
    },
    Stop {
        drain: bool,
    },
    CancelWithSavepoint,
    Cancel,
    /// An orchestrator has it end for now.
    Suspend,
    /// Somebody starts the job elsewhere, though it lives.
    TakeOver,
    /// Somebody deletes a savepoint.
    Dispose,
    /// Somebody deletes what no manifest reaches.
    Sweep,
}

impl Operation {
    /// Whether it is answered with a savepoint.
    pub(crate) fn takes_savepoint(self) -> bool {
        matches!(self, Self::Savepoint { .. } | Self::Stop { .. } | Self::CancelWithSavepoint)
    }
}

/// What is left out of a play, to make it smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Without {
    /// No machine dies by chance.
    Kills,
    /// None stands still.
    Pauses,
    /// None is cut off.
    Cuts,
    /// Nobody asks for anything.
    Operations,
    /// Nothing fails.
    Failures,
    /// Nothing takes very long.
    Slowness,
    /// The sink takes everything at once.
    SinkPauses,
    /// There is always somebody who answers.
    Outages,
    /// Nobody sets clocks.
    ClockSteps,
    /// One split at most.
    Splits,
    /// Half of the records.
    Records,
    /// One key at most.
    Keys,
    /// One process, where there are several.
    Processes,
    /// One worker in each process, always.
    Parallelism,
    /// One checkpoint at a time, and one that is retained.
    Checkpoints,
}

/// The job, its settings, and how much goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) size: Size,
    /// How many processes run the job together, each on a machine.
    pub(crate) processes: usize,
    /// How many workers each has.
    pub(crate) workers: usize,
    /// Whether there may be others at each start.
    pub(crate) rescales: bool,
    pub(crate) interval: Duration,
    pub(crate) concurrent: u32,
    pub(crate) retained: u32,
    pub(crate) inline_threshold: u32,
    pub(crate) troubles: Troubles,
    /// How long it takes on average from one to the next, if there are any.
    pub(crate) kills: Option<Duration>,
    pub(crate) freezes: Option<Duration>,
    /// Of connections between machines, and of machines from the store and the target.
    pub(crate) cuts: Option<Duration>,
    pub(crate) operations: Option<Duration>,
    /// Whether whoever starts the job again takes it over from a run that may live.
    pub(crate) take_over: bool,
    pub(crate) wall_steps: bool,
    /// The folder of savepoints; its name may begin with that of the checkpoints'.
    pub(crate) savepoints: &'static str,
    /// From when on all goes well.
    pub(crate) calm_from: Duration,
}

/// How likely it is that a job has several processes.
const SEVERAL: f64 = 0.35;

fn sometimes(random: &mut Xoshiro256PlusPlus, likely: f64, millis: u64) -> Option<Duration> {
    random.random_bool(likely).then(|| {
        let mean = random.random_range(millis / 4..millis * 2);
        Duration::from_millis(mean)
    })
}

impl Scenario {
    /// What a seed stands for.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let random = &mut random;
        let millis = random.random_range(400..3_000);
        let per_milli = random.random_range(1..4);
        let trouble = |random: &mut Xoshiro256PlusPlus, most: f64| {
            if random.random_bool(0.5) { 0.0 } else { random.random_range(0.0..most) }
        };
        let size = Size {
            splits: random.random_range(1..5),
            records: millis * per_milli / 2,
            keys: random.random_range(1..40),
            per_milli,
        };
        let troubles = Troubles {
            failure: trouble(random, 0.05),
            slowness: trouble(random, 0.05),
            pause: trouble(random, 0.2),
            outages: sometimes(random, 0.2, 3_000),
        };
        let take_over = random.random_bool(0.8);
        // Who does not take over waits for the end of the run before it, for 15 s.
        let between_kills = if take_over { 800 } else { 20_000 };
        let mut scenario = Self {
            size,
            processes: 1,
            workers: random.random_range(1..4),
            rescales: true,
            interval: Duration::from_millis(random.random_range(20..400)),
            concurrent: random.random_range(1..3),
            retained: random.random_range(1..4),
            inline_threshold: *[0, 200, 20_000].choose(random).expect("there are some"),
            troubles,
            kills: sometimes(random, 0.6, between_kills),
            freezes: sometimes(random, 0.3, 2_000),
            cuts: sometimes(random, 0.3, 2_000),
            take_over,
            operations: sometimes(random, 0.7, 500),
            wall_steps: random.random_bool(0.2),
            savepoints: ["savepoints", "checkpoints-of-people"]
                .choose(random)
                .copied()
                .expect("there are some"),
            calm_from: Duration::from_millis(millis * if take_over { 4 } else { 30 }),
        };
        if random.random_bool(SEVERAL) {
            scenario.processes = random.random_range(2..4);
            scenario.workers = random.random_range(1..3);
        }
        scenario
    }

    /// Leaves something out.
    pub(crate) fn leave_out(&mut self, what: Without) {
        match what {
            Without::Kills => self.kills = None,
            Without::Pauses => self.freezes = None,
            Without::Cuts => self.cuts = None,
            Without::Operations => self.operations = None,
            Without::Failures => self.troubles.failure = 0.0,
            Without::Slowness => self.troubles.slowness = 0.0,
            Without::SinkPauses => self.troubles.pause = 0.0,
            Without::Outages => self.troubles.outages = None,
            Without::ClockSteps => self.wall_steps = false,
            Without::Splits => self.size.splits = 1,
            Without::Records => self.size.records = (self.size.records / 2).max(1),
            Without::Keys => self.size.keys = 1,
            Without::Processes => self.processes = 1,
            Without::Parallelism => (self.workers, self.rescales) = (1, false),
            Without::Checkpoints => (self.concurrent, self.retained) = (1, 1),
        }
    }

    /// Whether the store may refuse what it is asked.
    pub(crate) fn is_unreliable(&self) -> bool {
        self.troubles.failure > 0.0 || self.troubles.outages.is_some() || self.cuts.is_some()
    }

    /// How many subtasks each operator has.
    pub(crate) fn parallelism(&self) -> usize {
        self.processes * self.workers
    }

    /// The job's arguments, for a start from there.
    pub(crate) fn arguments(&self, from: Option<&From>) -> Vec<String> {
        let options = [
            ("parallelism.default", self.parallelism().to_string()),
            ("execution.checkpointing.interval", format!("{} ms", self.interval.as_millis())),
            ("execution.checkpointing.dir", format!("{ADDRESS}/checkpoints")),
            ("execution.checkpointing.savepoint-dir", format!("{ADDRESS}/{}", self.savepoints)),
            ("execution.checkpointing.max-concurrent-checkpoints", self.concurrent.to_string()),
            ("execution.checkpointing.num-retained", self.retained.to_string()),
            (
                "execution.checkpointing.data-inline-threshold",
                format!("{} b", self.inline_threshold),
            ),
            ("execution.checkpointing.timeout", "20 s".to_owned()),
            ("execution.checkpointing.tolerable-failed-checkpoints", "1000".to_owned()),
            ("restart-strategy.type", "fixed-delay".to_owned()),
            ("restart-strategy.fixed-delay.attempts", "1000000".to_owned()),
            ("restart-strategy.fixed-delay.delay", "50 ms".to_owned()),
        ];
        let options = options.into_iter().map(|(key, value)| format!("-D{key}={value}"));
        let mut arguments = options.collect::<Vec<_>>();
        match from {
            None => {}
            Some(From::Latest) => arguments.extend(["-s", "latest"].map(str::to_owned)),
            Some(From::Savepoint { path, claim }) => {
                let mode = if *claim { "claim" } else { "no_claim" };
                arguments.extend(["-s", path, "--claim-mode", mode].map(str::to_owned));
            }
        }
        arguments.extend(self.take_over.then(|| "--take-over".to_owned()));
        arguments
    }
}

/// Something that somebody may do to a job, by chance.
pub(crate) fn operation(random: &mut Xoshiro256PlusPlus) -> Operation {
    match random.random_range(0..28) {
        0..5 => Operation::Checkpoint,
        5..14 => Operation::Savepoint { canonical: random.random_bool(0.3) },
        14..17 => Operation::Stop { drain: random.random_bool(0.3) },
        17 => Operation::CancelWithSavepoint,
        18 => Operation::Cancel,
        27 => Operation::Suspend,
        19..21 => Operation::Dispose,
        21..23 => Operation::Sweep,
        _ => Operation::TakeOver,
    }
}
