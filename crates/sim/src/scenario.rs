//! What a seed stands for: the job, its settings, and how much goes wrong.

use std::{ops::Range, time::Duration};

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use tidegate_checkpoint::{CoordinatorConfig, alignment::Guarantee, coordinator::RetentionPolicy};
use tidegate_types::{MaxParallelism, options::RestartStrategyOptions};

/// How likely each kind of trouble is, from 0 to 1 per occasion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Troubles {
    /// A write, a deletion or a commit fails; whether it happened all the same is even odds.
    pub(crate) store: f64,
    /// A subtask's part of a snapshot can't be encoded.
    pub(crate) encoding: f64,
    /// A latency is twenty times as long as usual.
    pub(crate) slowness: f64,
}

/// How often each kind of event comes from outside; mean milliseconds between two, if at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interruptions {
    /// A process crashes.
    pub(crate) crash: Option<u64>,
    /// Everything is killed, the coordinator too, and started again by hand.
    pub(crate) kill: Option<u64>,
    /// Somebody asks for a savepoint, or a checkpoint out of turn.
    pub(crate) savepoint: Option<u64>,
    /// Somebody stops the job with a savepoint and starts it again.
    pub(crate) stop: Option<u64>,
    /// Somebody cancels the job.
    pub(crate) cancel: Option<u64>,
}

/// A run of the simulation, as drawn from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Keys and values, by split of the source.
    pub(crate) splits: Vec<Vec<(u64, i64)>>,
    pub(crate) guarantee: Guarantee,
    pub(crate) coordinator: CoordinatorConfig,
    pub(crate) restart: RestartStrategyOptions,
    pub(crate) max_parallelism: MaxParallelism,
    /// Segments up to this size stand in the manifest.
    pub(crate) inline_threshold: usize,
    pub(crate) troubles: Troubles,
    pub(crate) interruptions: Interruptions,
    /// From this moment on nothing goes wrong any more, in microseconds.
    pub(crate) calm_from: u64,
    /// Microseconds from one turn of a source to its next.
    pub(crate) source_pace: Range<u64>,
    /// Microseconds that a packet is under way.
    pub(crate) network: Range<u64>,
    /// Microseconds that the store takes.
    pub(crate) store: Range<u64>,
}

/// The random numbers of a seed: an algorithm whose numbers stay the same across releases.
pub(crate) type Random = Xoshiro256PlusPlus;

impl Scenario {
    pub(crate) fn draw(seed: u64) -> (Self, Random) {
        let mut random = Random::seed_from_u64(seed);
        let calm_from = random.random_range(500_000..6_000_000);
        let at_least_once = random.random_bool(0.1);
        let scenario = Self {
            splits: splits(&mut random),
            guarantee: if at_least_once { Guarantee::AtLeastOnce } else { Guarantee::ExactlyOnce },
            coordinator: coordinator(&mut random),
            restart: restart(&mut random),
            max_parallelism: MaxParallelism::new(random.random_range(4..20)).expect("above 0"),
            inline_threshold: *one_of(&mut random, &[0, 100, 100_000]),
            troubles: troubles(&mut random),
            interruptions: interruptions(&mut random),
            calm_from,
            source_pace: 1_000..*one_of(&mut random, &[5_000, 30_000, 200_000]),
            network: 50..*one_of(&mut random, &[500, 5_000, 50_000, 300_000]),
            store: 500..*one_of(&mut random, &[2_000, 20_000, 100_000]),
        };
        (scenario, random)
    }
}

pub(crate) fn one_of<'a, T>(random: &mut Random, choices: &'a [T]) -> &'a T {
    &choices[random.random_range(0..choices.len())]
}

fn splits(random: &mut Random) -> Vec<Vec<(u64, i64)>> {
    let (splits, keys) = (random.random_range(1..6), random.random_range(1..30_u64));
    let split = |random: &mut Random| {
        let records = random.random_range(0..120);
        (0..records)
            .map(|_| (random.random_range(0..keys), random.random_range(-50..50_i64)))
            .collect()
    };
    (0..splits).map(|_| split(random)).collect()
}

fn coordinator(random: &mut Random) -> CoordinatorConfig {
    let millis = Duration::from_millis;
    let interval = random.random_range(10..400);
    let pause = if random.random_bool(0.25) { random.random_range(1..100) } else { 0 };
    let retention = [
        RetentionPolicy::NoExternalizedCheckpoints,
        RetentionPolicy::RetainOnCancellation,
        RetentionPolicy::DeleteOnCancellation,
    ];
    CoordinatorConfig {
        interval: (!random.random_bool(0.05)).then_some(millis(interval)),
        timeout: millis(random.random_range(50..2_000)),
        min_pause: millis(pause),
        max_concurrent: *one_of(random, &[1, 1, 2, 3, 5]),
        tolerable_failed: *one_of(random, &[0, 1, 3, 10]),
        retention: *one_of(random, &retention),
        num_retained: *one_of(random, &[1, 1, 2, 3]),
        checkpoints_after_tasks_finish: !random.random_bool(0.1),
    }
}

fn restart(random: &mut Random) -> RestartStrategyOptions {
    let millis = Duration::from_millis;
    match random.random_range(0..4) {
        0 => RestartStrategyOptions::FixedDelay { attempts: 2, delay: millis(20) },
        1 => RestartStrategyOptions::FailureRate {
            max_failures: 3,
            interval: millis(1_000),
            delay: millis(20),
        },
        _ => RestartStrategyOptions::ExponentialDelay {
            initial_backoff: millis(10),
            max_backoff: millis(500),
            backoff_multiplier: 1.5,
            reset_backoff_threshold: millis(2_000),
            jitter_factor: 0.1,
            attempts_before_reset_backoff: None,
        },
    }
}

fn troubles(random: &mut Random) -> Troubles {
    Troubles {
        store: *one_of(random, &[0.0, 0.02, 0.2]),
        encoding: *one_of(random, &[0.0, 0.005, 0.05]),
        slowness: *one_of(random, &[0.0, 0.01, 0.1]),
    }
}

fn interruptions(random: &mut Random) -> Interruptions {
    let mut every = |likely: f64, range: Range<u64>| {
        random.random_bool(likely).then(|| random.random_range(range))
    };
    Interruptions {
        crash: every(0.7, 100..2_000),
        kill: every(0.4, 300..3_000),
        savepoint: every(0.5, 50..1_000),
        stop: every(0.4, 300..3_000),
        cancel: every(0.15, 500..5_000),
    }
}
