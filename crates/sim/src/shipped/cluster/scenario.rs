//! What a seed stands for: the cluster, the job, what is asked of it, and how much goes wrong.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus, seq::IndexedRandom};
use tidegate_types::options::OptionValues;

use super::super::{chance::Troubles, job::Size, store::ADDRESS, user::From};

/// How often TaskManagers and JobManagers say that they are there, and after how much silence they count
/// as lost.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(300);
pub(super) const SILENCE: Duration = Duration::from_millis(1_500);
/// How often who leads leaves a sign of life, and after how much silence another one may lead.
pub(super) const SIGN: Duration = Duration::from_millis(300);
pub(super) const LEASE: Duration = Duration::from_millis(1_500);
/// For how long what came of a request is kept.
pub(super) const KEPT: Duration = Duration::from_secs(20);

/// What somebody does to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Checkpoint,
    Savepoint {
        canonical: bool,
    },
    Stop {
        drain: bool,
        canonical: bool,
    },
    CancelWithSavepoint,
    Cancel,
    /// So many subtasks from now on.
    Rescale(u32),
    /// Disposes of a savepoint.
    Dispose,
    /// Moves a savepoint elsewhere.
    Move,
    /// Deletes a savepoint without asking anybody.
    Delete,
}

/// Something that somebody may do, by chance.
pub(super) fn operation(random: &mut Xoshiro256PlusPlus) -> Operation {
    let canonical = random.random_bool(0.3);
    match random.random_range(0..32) {
        0..4 => Operation::Checkpoint,
        4..13 => Operation::Savepoint { canonical },
        13..17 => Operation::Stop { drain: random.random_bool(0.3), canonical },
        17 => Operation::CancelWithSavepoint,
        18 => Operation::Cancel,
        19..23 => Operation::Rescale(random.random_range(1..4)),
        23..28 => Operation::Dispose,
        28..30 => Operation::Move,
        _ => Operation::Delete,
    }
}

/// Something that goes wrong with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    KillJobManager,
    /// It ends in order: the next one goes on.
    EndJobManager,
    KillTaskManager,
    /// It ends in order: its jobs move.
    EndTaskManager,
    KillProcess,
    Freeze,
    Cut,
}

/// The cluster, the job, and how much goes wrong.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) size: Size,
    pub(super) jobmanagers: usize,
    /// How many slots each TaskManager has.
    pub(super) slots: Vec<u32>,
    pub(super) parallelism: u32,
    pub(super) is_adaptive: bool,
    interval: Duration,
    concurrent: u32,
    retained: u32,
    inline_threshold: u32,
    pub(super) troubles: Troubles,
    /// How long it takes on average from one to the next, if there are any.
    pub(super) mishaps: Option<Duration>,
    pub(super) operations: Option<Duration>,
    pub(super) wall_steps: bool,
    /// From when on all goes well.
    pub(super) calm_from: Duration,
}

fn sometimes(random: &mut Xoshiro256PlusPlus, likely: f64, millis: u64) -> Option<Duration> {
    random.random_bool(likely).then(|| {
        let mean = random.random_range(millis / 4..millis * 2);
        Duration::from_millis(mean)
    })
}

impl Scenario {
    /// What a seed stands for.
    pub(super) fn draw(seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let random = &mut random;
        let millis = random.random_range(600..4_000);
        let per_milli = random.random_range(1..3);
        let trouble = |random: &mut Xoshiro256PlusPlus, most: f64| {
            if random.random_bool(0.5) { 0.0 } else { random.random_range(0.0..most) }
        };
        let size = Size {
            splits: random.random_range(1..5),
            records: millis * per_milli / 3,
            keys: random.random_range(1..40),
            per_milli,
        };
        let troubles = Troubles {
            failure: trouble(random, 0.03),
            slowness: trouble(random, 0.03),
            pause: trouble(random, 0.1),
            outages: sometimes(random, 0.15, 5_000),
        };
        let parallelism = random.random_range(1..4);
        let slots = (0..random.random_range(1..4)).map(|_| random.random_range(1..4));
        let mut slots = slots.collect::<Vec<u32>>();
        // The most that is ever asked for has room.
        while slots.iter().sum::<u32>() < 3 {
            slots.push(2);
        }
        Self {
            size,
            jobmanagers: random.random_range(1..3),
            slots,
            parallelism,
            is_adaptive: random.random_bool(0.3),
            interval: Duration::from_millis(random.random_range(40..500)),
            concurrent: random.random_range(1..3),
            retained: random.random_range(1..4),
            inline_threshold: *[0, 200, 20_000].choose(random).expect("there are some"),
            troubles,
            mishaps: sometimes(random, 0.7, 1_500),
            operations: sometimes(random, 0.8, 600),
            wall_steps: random.random_bool(0.2),
            calm_from: Duration::from_millis(millis * 4),
        }
    }

    /// Whether the store may refuse what it is asked.
    pub(super) fn is_unreliable(&self) -> bool {
        self.troubles.failure > 0.0 || self.troubles.outages.is_some()
    }

    /// The job's options, for a start from there.
    pub(super) fn options(&self, from: Option<&From>) -> OptionValues {
        let text = |text: &str| text.to_owned();
        let scheduler = if self.is_adaptive { "adaptive" } else { "default" };
        let mut options = vec![
            ("parallelism.default", self.parallelism.to_string()),
            ("jobmanager.scheduler", text(scheduler)),
            (
                "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout",
                text("1 s"),
            ),
            ("jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout", text("1 s")),
            ("jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", text("1 s")),
            ("execution.checkpointing.interval", format!("{} ms", self.interval.as_millis())),
            ("execution.checkpointing.dir", format!("{ADDRESS}/checkpoints")),
            ("execution.checkpointing.savepoint-dir", format!("{ADDRESS}/savepoints")),
            ("execution.checkpointing.max-concurrent-checkpoints", self.concurrent.to_string()),
            ("execution.checkpointing.num-retained", self.retained.to_string()),
            (
                "execution.checkpointing.data-inline-threshold",
                format!("{} b", self.inline_threshold),
            ),
            ("execution.checkpointing.timeout", text("20 s")),
            ("execution.checkpointing.tolerable-failed-checkpoints", text("1000")),
            ("restart-strategy.type", text("fixed-delay")),
            ("restart-strategy.fixed-delay.attempts", text("1000000")),
            ("restart-strategy.fixed-delay.delay", text("50 ms")),
        ];
        match from {
            None => {}
            Some(From::Latest) => options.push(("execution.state-recovery.path", text("latest"))),
            Some(From::Savepoint { path, claim }) => {
                let mode = if *claim { "CLAIM" } else { "NO_CLAIM" };
                options.push(("execution.state-recovery.path", path.clone()));
                options.push(("execution.state-recovery.claim-mode", text(mode)));
            }
        }
        options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// What goes wrong next.
pub(super) fn mishap(random: &mut Xoshiro256PlusPlus) -> Mishap {
    match random.random_range(0..16) {
        0..3 => Mishap::KillJobManager,
        3 => Mishap::EndJobManager,
        4..6 => Mishap::KillTaskManager,
        6 => Mishap::EndTaskManager,
        7..10 => Mishap::KillProcess,
        10..14 => Mishap::Freeze,
        _ => Mishap::Cut,
    }
}
