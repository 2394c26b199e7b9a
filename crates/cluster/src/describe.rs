//! Asks a job's binary what it would run: the JobManager has none of its code.
//!
//! The binary runs with `TIDEGATE_DESCRIBE` naming a file; it builds its plan, writes a
//! [`JobDescription`] there, and ends before anything is started.

use std::{path::Path, process::Stdio, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tidegate_runtime::{CONFIGURATION_VARIABLE, DESCRIBE_VARIABLE, JobDescription};
use tidegate_types::options::OptionValues;
use tokio::process::Command;

use crate::program::spawn;

/// How long a binary may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of its output an error shows, in bytes.
const SHOWN: usize = 2000;

/// Why a binary did not describe its job.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// It could not be run.
    #[error("cannot run `{name}`: is it a job's binary, built for this machine?")]
    Run {
        /// The binary.
        name: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("`{name}` has not described its job within {PATIENCE:?}")]
    TimedOut {
        /// The binary.
        name: String,
    },
    /// It ended without.
    #[error("`{name}` has not described its job ({status}){output}")]
    Silent {
        /// The binary.
        name: String,
        /// How it ended.
        status: String,
        /// The end of what it wrote on standard error.
        output: String,
    },
    /// What it wrote is no description.
    #[error("what `{name}` says of its job can't be read: was it built with another version?")]
    Unreadable {
        /// The binary.
        name: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// A binary, and with what it would be run.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Where it lies.
    pub binary: &'a Path,
    /// What people call it.
    pub name: &'a str,
    /// Its own arguments.
    pub arguments: &'a [String],
    /// Options that win over those of the program.
    pub configuration: &'a OptionValues,
}

/// Knows what a binary would run.
pub trait Describer: Send + Sync + 'static {
    /// Finds it out.
    ///
    /// # Errors
    ///
    /// Why there is no description; shows what the binary said itself.
    fn describe<'a>(
        &'a self,
        question: Question<'a>,
    ) -> BoxFuture<'a, Result<JobDescription, DescribeError>>;
}

/// Runs the binary on this machine, which describes itself then.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDescriber;

impl Describer for SystemDescriber {
    fn describe<'a>(
        &'a self,
        question: Question<'a>,
    ) -> BoxFuture<'a, Result<JobDescription, DescribeError>> {
        describe(question).boxed()
    }
}

#[expect(clippy::disallowed_methods, reason = "a file of the system's, for a program of its")]
async fn describe(question: Question<'_>) -> Result<JobDescription, DescribeError> {
    let Question { binary, name, arguments, configuration } = question;
    let name = || name.to_owned();
    let run = |source| DescribeError::Run { name: name(), source };
    let file = tempfile::NamedTempFile::new().map_err(run)?;
    let configuration = serde_json::to_string(configuration)
        .map_err(|source| DescribeError::Unreadable { name: name(), source })?;
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .env(DESCRIBE_VARIABLE, file.path())
        .env(CONFIGURATION_VARIABLE, configuration)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = spawn(command).await.map_err(run)?;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .map_err(|_| DescribeError::TimedOut { name: name() })?
        .map_err(run)?;
    let described = std::fs::read(file.path()).map_err(run)?;
    if described.is_empty() || !output.status.success() {
        let (status, output) = (output.status.to_string(), tail(&output.stderr));
        return Err(DescribeError::Silent { name: name(), status, output });
    }
    serde_json::from_slice(&described)
        .map_err(|source| DescribeError::Unreadable { name: name(), source })
}

/// The end of what a process wrote, as the end of a sentence.
fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(&output[output.len().saturating_sub(SHOWN)..]);
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}
