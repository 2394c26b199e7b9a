//! What this process is to be: a job of its own, or what a JobManager has started it as.

use std::{collections::BTreeMap, path::PathBuf};

use tidegate_runtime::{
    CONFIGURATION_VARIABLE, DESCRIBE_VARIABLE, JobError, JobSpec, PARENT_VARIABLE,
    PROCESS_VARIABLE, ProcessSeat,
};
use tidegate_types::{ErrorKind, error::chain, options::Configuration};

/// What this process is to be.
pub(crate) enum Role {
    /// A job in a process of its own, or the `--process-index`-th of several.
    Embedded,
    /// It writes a description of the job into this file and ends.
    Describe(PathBuf),
    /// A process of an attempt that a JobManager has started.
    Process(Box<ProcessSeat>),
}

impl Role {
    /// The role that the environment gives this process. If somebody else has started it for that,
    /// it ends with that one from now on.
    ///
    /// # Errors
    ///
    /// When a variable that a JobManager sets can't be read, or who has started it is gone already.
    pub(crate) fn from_environment() -> Result<Self, JobError> {
        let role = Self::told()?;
        if !matches!(role, Self::Embedded)
            && let Ok(text) = std::env::var(PARENT_VARIABLE)
        {
            end_with_parent(read(PARENT_VARIABLE, &text)?)?;
        }
        Ok(role)
    }

    fn told() -> Result<Self, JobError> {
        if let Some(path) = std::env::var_os(DESCRIBE_VARIABLE) {
            return Ok(Self::Describe(path.into()));
        }
        match std::env::var(PROCESS_VARIABLE) {
            Ok(text) => read(PROCESS_VARIABLE, &text).map(|seat| Self::Process(Box::new(seat))),
            Err(_) => Ok(Self::Embedded),
        }
    }
}

/// Has the kernel kill this process, whatever it is busy with, as soon as its parent has ended; or
/// tells that it has ended already.
#[cfg(target_os = "linux")]
fn end_with_parent(parent: i32) -> Result<(), JobError> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| JobError::caused_by(ErrorKind::Unavailable, &error))?;
    // Asked after that: one that ends from now on takes this process with it.
    let found = getppid().map(|pid| pid.as_raw_nonzero().get());
    if found == Some(parent) {
        return Ok(());
    }
    let found = found.map_or_else(|| "none of its own".to_owned(), |pid| pid.to_string());
    Err(JobError::new(
        ErrorKind::Unavailable,
        format!(
            "the parent of this process is {found}, and not {parent}, which has started it and \
             whose end it must not survive: that has ended, or a script has started this program \
             without `exec`"
        ),
    ))
}

/// Without such a signal the loss of the connection to the coordinator has to do.
#[cfg(not(target_os = "linux"))]
fn end_with_parent(_parent: i32) -> Result<(), JobError> {
    Ok(())
}

/// Adds the options that a JobManager has set for this process.
///
/// # Errors
///
/// When they can't be read.
pub(crate) fn add_overrides(configuration: &mut Configuration) -> Result<(), JobError> {
    if let Ok(text) = std::env::var(CONFIGURATION_VARIABLE) {
        let values: BTreeMap<String, String> = read(CONFIGURATION_VARIABLE, &text)?;
        configuration.add_overrides(values);
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(variable: &str, text: &str) -> Result<T, JobError> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("{variable} can't be read: {error}; only a JobManager sets it");
        JobError::new(ErrorKind::Invalid, message)
    })
}

/// Writes the description of a job into a file.
///
/// # Errors
///
/// What is wrong with the job's plan, or with the file.
pub(crate) fn describe(
    spec: &JobSpec,
    configuration: &Configuration,
    path: &PathBuf,
) -> Result<(), JobError> {
    let description = tidegate_runtime::describe(spec, configuration.values())?;
    let written = serde_json::to_vec(&description)
        .map_err(std::io::Error::from)
        .and_then(|bytes| std::fs::write(path, bytes));
    written.map_err(|error| {
        let message = format!("cannot write `{}`: {}", path.display(), chain(&error));
        JobError::new(ErrorKind::Unavailable, message)
    })
}
