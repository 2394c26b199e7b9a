//! Configuration: Flink's keys, forms and defaults, each option defined once.
//!
//! ```text
//!   config.yaml --+
//!   environment --+--> Configuration (text, with its origin) --> JobOptions (plain data)
//!   -D key=value -+
//! ```
//!
//! Where a key is given more than once, `-D` comes before the environment, and that before the
//! file. An unknown key is a warning that names the one that was meant, or says that it is one of
//! Flink's; a known key with a bad value is an error before anything starts.

mod cluster;
mod configuration;
mod flink;
mod job;
mod keys;
mod parse;
mod secret;
mod values;

pub use cluster::ClusterOptions;
pub use configuration::{Configuration, OptionError, Origin, Warning, environment_variable};
pub use job::{
    CheckpointingMode, CheckpointingOptions, ClaimMode, JobOptions, RecoveryOptions,
    RestartStrategyOptions, RetentionPolicy, SchedulerKind, SchedulerOptions,
};
pub use keys::{ConfigOption, all};
pub use parse::{format_duration, nearest, parse_bytes, parse_duration};
pub use secret::{
    HIDDEN, SECRETS_VARIABLE, Secret, is_of_cluster, is_secret_of_cluster, is_sensitive, shown,
};
pub use values::OptionValues;
