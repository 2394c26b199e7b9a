//! Everything that can be configured, parsed and checked: plain data to hand in.

use std::time::Duration;

use super::{
    configuration::{Configuration, OptionError},
    keys,
    parse::{parse_bool, parse_bytes, parse_duration, parse_number, parse_word},
};
use crate::ids::{MaxParallelism, Parallelism};

/// What the state may be after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointingMode {
    /// As if every record had been counted once.
    ExactlyOnce,
    /// Some records may have been counted twice.
    AtLeastOnce,
}

/// What becomes of the checkpoints of a job that is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionPolicy {
    /// They stay.
    RetainOnCancellation,
    /// They go.
    DeleteOnCancellation,
    /// They go.
    NoExternalizedCheckpoints,
}

/// Whom the snapshot that a job starts from belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimMode {
    /// The job, which deletes it when it is subsumed.
    Claim,
    /// Its user, who alone may delete it.
    NoClaim,
}

/// What follows a failed attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum RestartStrategyOptions {
    /// Nothing.
    None,
    /// Another one, some number of times.
    FixedDelay {
        /// How often.
        attempts: u32,
        /// How long after the failure.
        delay: Duration,
    },
    /// Another one, as long as failures are rare.
    FailureRate {
        /// How many there may be in an interval.
        max_failures: u32,
        /// That interval.
        interval: Duration,
        /// How long after the failure.
        delay: Duration,
    },
    /// Another one, later and later.
    ExponentialDelay {
        /// The first delay.
        initial_backoff: Duration,
        /// The longest delay.
        max_backoff: Duration,
        /// By how much the delay grows.
        backoff_multiplier: f64,
        /// After this time without a failure it starts anew.
        reset_backoff_threshold: Duration,
        /// The random share of the delay, from 0 to 1.
        jitter_factor: f64,
        /// How many failures there may be before that, `None` for any number.
        attempts_before_reset_backoff: Option<u32>,
    },
}

/// `execution.checkpointing.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointingOptions {
    /// The time between checkpoints, `None` for none.
    pub interval: Option<Duration>,
    /// What the state may be after a failure.
    pub mode: CheckpointingMode,
    /// After this time a checkpoint is given up.
    pub timeout: Duration,
    /// The least time between two checkpoints.
    pub min_pause: Duration,
    /// How many may be under way at once.
    pub max_concurrent: u32,
    /// How many in a row may fail.
    pub tolerable_failed: u32,
    /// What becomes of them when the job is cancelled.
    pub retention: RetentionPolicy,
    /// How many are kept.
    pub num_retained: u32,
    /// Where they go, `None` for memory.
    pub dir: Option<String>,
    /// Whether each job has its own folder there.
    pub create_subdir: bool,
    /// Where savepoints go.
    pub savepoint_dir: Option<String>,
    /// State of fewer bytes stands in `_metadata` itself.
    pub data_inline_threshold: u64,
    /// Whether checkpoints go on once subtasks have ended.
    pub checkpoints_after_tasks_finish: bool,
}

/// `execution.state-recovery.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryOptions {
    /// The snapshot to start from: a path, a URL, or `latest`.
    pub path: Option<String>,
    /// Whom it belongs to; `None` if nothing is said.
    pub claim_mode: Option<ClaimMode>,
    /// Whether state of operators that are gone is left behind.
    pub allow_non_restored_state: bool,
    /// Whether to go on although output is lost that the snapshot says was prepared.
    pub allow_lost_output: bool,
    /// Whether to read and check the whole snapshot before anything starts.
    pub verify: bool,
    /// Whether to take the job over from another run that is alive.
    pub take_over: bool,
}

/// Which of Flink's schedulers a job has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedulerKind {
    /// It waits for as many slots as it wants.
    Default,
    /// It takes what there is.
    Adaptive,
}

/// `jobmanager.scheduler` and `jobmanager.adaptive-scheduler.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulerOptions {
    /// Which one.
    pub kind: SchedulerKind,
    /// How long a job waits for more slots before it starts with fewer than it wants.
    pub submission_stabilization: Duration,
    /// How long a job that runs waits for more slots before it takes fewer than it wants.
    pub executing_stabilization: Duration,
    /// The least time between an attempt's start and a rescaling.
    pub cooldown: Duration,
}

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq)]
pub struct JobOptions {
    /// How many subtasks each operator has.
    pub parallelism: Parallelism,
    /// How many key groups, if anything is said.
    pub max_parallelism: Option<MaxParallelism>,
    /// How often watermarks are emitted.
    pub watermark_interval: Duration,
    /// How long the records under way may take.
    pub debloat_target: Duration,
    /// How long a job that is told to end for now may take for one more checkpoint.
    pub termination_timeout: Duration,
    /// Whether the first keys of each state are looked at.
    pub check_keys: bool,
    /// `execution.checkpointing.*`.
    pub checkpointing: CheckpointingOptions,
    /// `execution.state-recovery.*`.
    pub recovery: RecoveryOptions,
    /// `restart-strategy.*`.
    pub restart: RestartStrategyOptions,
    /// `jobmanager.scheduler`.
    pub scheduler: SchedulerOptions,
}

impl JobOptions {
    /// Reads and checks every option.
    ///
    /// # Errors
    ///
    /// The first value that is wrong, with its key, its origin and what is accepted.
    pub fn from_configuration(configuration: &Configuration) -> Result<Self, OptionError> {
        let parallelism = configuration.get(&keys::PARALLELISM, |text| {
            parse_number(text, 1, MaxParallelism::UPPER_BOUND)
                .map(|count| Parallelism::new(count).expect("it is at least 1"))
        })?;
        let checkpointing = checkpointing(configuration)?;
        let options = Self {
            parallelism,
            max_parallelism: configuration.get(&keys::MAX_PARALLELISM, parse_max_parallelism)?,
            watermark_interval: configuration.get(&keys::WATERMARK_INTERVAL, parse_duration)?,
            debloat_target: configuration.get(&keys::DEBLOAT_TARGET, parse_target)?,
            termination_timeout: configuration.get(&keys::TERMINATION_TIMEOUT, parse_duration)?,
            check_keys: configuration.get(&keys::CHECK_KEYS, parse_bool)?,
            restart: restart(configuration, checkpointing.interval.is_some())?,
            checkpointing,
            recovery: recovery(configuration)?,
            scheduler: scheduler(configuration)?,
        };
        options.check()
    }

    fn check(self) -> Result<Self, OptionError> {
        match self.max_parallelism {
            Some(max) if max.get() < self.parallelism.get() => Err(OptionError::Together {
                message: format!(
                    "parallelism {} is above pipeline.max-parallelism {max}: lower the one or \
                     raise the other",
                    self.parallelism
                ),
            }),
            _ => Ok(self),
        }
    }
}

fn parse_max_parallelism(text: &str) -> Result<Option<MaxParallelism>, String> {
    if text.trim() == "-1" {
        return Ok(None);
    }
    let count = parse_number(text, 1, MaxParallelism::UPPER_BOUND)
        .map_err(|expected| format!("{expected}, or -1"))?;
    Ok(MaxParallelism::new(count))
}

fn parse_target(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("a duration above 0".to_owned()),
        target => Ok(target),
    }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let least = Duration::from_millis(10);
    match parse_duration(text)? {
        interval if interval < least => Err("a duration of 10 ms or more".to_owned()),
        interval => Ok(interval),
    }
}

fn parse_path(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a path or a URL".to_owned()),
        path => Ok(path.to_owned()),
    }
}

fn parse_inline_threshold(text: &str) -> Result<u64, String> {
    match parse_bytes(text)? {
        bytes if bytes > 1 << 20 => Err("a size up to 1 mb".to_owned()),
        bytes => Ok(bytes),
    }
}

const MODES: &[(&str, CheckpointingMode)] = &[
    ("EXACTLY_ONCE", CheckpointingMode::ExactlyOnce),
    ("AT_LEAST_ONCE", CheckpointingMode::AtLeastOnce),
];

const POLICIES: &[(&str, RetentionPolicy)] = &[
    ("RETAIN_ON_CANCELLATION", RetentionPolicy::RetainOnCancellation),
    ("DELETE_ON_CANCELLATION", RetentionPolicy::DeleteOnCancellation),
    ("NO_EXTERNALIZED_CHECKPOINTS", RetentionPolicy::NoExternalizedCheckpoints),
];

fn checkpointing(from: &Configuration) -> Result<CheckpointingOptions, OptionError> {
    let count = |least: u32| move |text: &str| parse_number(text, least, u32::MAX);
    Ok(CheckpointingOptions {
        interval: from.get_optional(&keys::INTERVAL, parse_interval)?,
        mode: from.get(&keys::MODE, |text| parse_word(text, MODES))?,
        timeout: from.get(&keys::TIMEOUT, parse_interval)?,
        min_pause: from.get(&keys::MIN_PAUSE, parse_duration)?,
        max_concurrent: from.get(&keys::MAX_CONCURRENT, count(1))?,
        tolerable_failed: from.get(&keys::TOLERABLE_FAILED, count(0))?,
        retention: from.get(&keys::RETENTION, |text| parse_word(text, POLICIES))?,
        num_retained: from.get(&keys::NUM_RETAINED, count(1))?,
        dir: from.get_optional(&keys::CHECKPOINT_DIR, parse_path)?,
        create_subdir: from.get(&keys::CREATE_SUBDIR, parse_bool)?,
        savepoint_dir: from.get_optional(&keys::SAVEPOINT_DIR, parse_path)?,
        data_inline_threshold: from.get(&keys::INLINE_THRESHOLD, parse_inline_threshold)?,
        checkpoints_after_tasks_finish: from.get(&keys::AFTER_TASKS_FINISH, parse_bool)?,
    })
}

fn parse_claim_mode(text: &str) -> Result<ClaimMode, String> {
    if text.trim().eq_ignore_ascii_case("legacy") {
        return Err("CLAIM or NO_CLAIM (Flink's LEGACY shares files between owners, which would \
                    let one delete what the other needs)"
            .to_owned());
    }
    parse_word(text, &[("CLAIM", ClaimMode::Claim), ("NO_CLAIM", ClaimMode::NoClaim)])
}

fn recovery(from: &Configuration) -> Result<RecoveryOptions, OptionError> {
    Ok(RecoveryOptions {
        path: from.get_optional(&keys::RECOVERY_PATH, parse_path)?,
        claim_mode: from.get_optional(&keys::CLAIM_MODE, parse_claim_mode)?,
        allow_non_restored_state: from.get(&keys::IGNORE_UNCLAIMED, parse_bool)?,
        allow_lost_output: from.get(&keys::ALLOW_LOST_OUTPUT, parse_bool)?,
        verify: from.get(&keys::VERIFY, parse_bool)?,
        take_over: from.get(&keys::TAKE_OVER, parse_bool)?,
    })
}

const SCHEDULERS: &[(&str, SchedulerKind)] =
    &[("Default", SchedulerKind::Default), ("Adaptive", SchedulerKind::Adaptive)];

fn scheduler(from: &Configuration) -> Result<SchedulerOptions, OptionError> {
    Ok(SchedulerOptions {
        kind: from.get(&keys::SCHEDULER, |text| parse_word(text, SCHEDULERS))?,
        submission_stabilization: from.get(&keys::SUBMISSION_STABILIZATION, parse_duration)?,
        executing_stabilization: from.get(&keys::EXECUTING_STABILIZATION, parse_duration)?,
        cooldown: from.get(&keys::RESCALE_COOLDOWN, parse_duration)?,
    })
}

/// The strategies by name.
#[derive(Clone, Copy)]
enum Strategy {
    None,
    FixedDelay,
    FailureRate,
    ExponentialDelay,
}

const STRATEGIES: &[(&str, Strategy)] = &[
    ("none", Strategy::None),
    ("off", Strategy::None),
    ("disable", Strategy::None),
    ("fixed-delay", Strategy::FixedDelay),
    ("failure-rate", Strategy::FailureRate),
    ("exponential-delay", Strategy::ExponentialDelay),
];

/// Every strategy's options are read, also those of strategies that are not chosen, so that a bad
/// value is found before it is needed.
fn restart(from: &Configuration, checkpoints: bool) -> Result<RestartStrategyOptions, OptionError> {
    let count = |text: &str| parse_number(text, 0, u32::MAX);
    let fixed_delay = RestartStrategyOptions::FixedDelay {
        attempts: from.get(&keys::FIXED_ATTEMPTS, count)?,
        delay: from.get(&keys::FIXED_DELAY, parse_duration)?,
    };
    let failure_rate = RestartStrategyOptions::FailureRate {
        max_failures: from.get(&keys::RATE_MAX, count)?,
        interval: from.get(&keys::RATE_INTERVAL, parse_duration)?,
        delay: from.get(&keys::RATE_DELAY, parse_duration)?,
    };
    let exponential_delay = RestartStrategyOptions::ExponentialDelay {
        initial_backoff: from.get(&keys::EXP_INITIAL, parse_duration)?,
        max_backoff: from.get(&keys::EXP_MAX, parse_duration)?,
        backoff_multiplier: from.get(&keys::EXP_MULTIPLIER, |text| parse_number(text, 1.0, 1e6))?,
        reset_backoff_threshold: from.get(&keys::EXP_RESET, parse_duration)?,
        jitter_factor: from.get(&keys::EXP_JITTER, |text| parse_number(text, 0.0, 1.0))?,
        attempts_before_reset_backoff: from.get(&keys::EXP_ATTEMPTS, |text| {
            if text.trim().eq_ignore_ascii_case("infinite") {
                return Ok(None);
            }
            parse_number(text, 1, u32::MAX).map(Some)
        })?,
    };
    let chosen = from.get_optional(&keys::RESTART_TYPE, |text| parse_word(text, STRATEGIES))?;
    let default = if checkpoints { Strategy::ExponentialDelay } else { Strategy::None };
    Ok(match chosen.unwrap_or(default) {
        Strategy::None => RestartStrategyOptions::None,
        Strategy::FixedDelay => fixed_delay,
        Strategy::FailureRate => failure_rate,
        Strategy::ExponentialDelay => exponential_delay,
    })
}
