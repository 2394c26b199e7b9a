//! What the examples share: their own arguments, and where their results lie.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use tidegate::{Job, Result};

/// The value of `--name` among the example's own arguments.
#[must_use]
pub fn argument(arguments: &[String], name: &str) -> Option<String> {
    let place = arguments.iter().position(|argument| argument == name)?;
    arguments.get(place + 1).cloned()
}

/// Where an example writes: `--out`, or `out/<name>` in the current folder.
#[must_use]
pub fn output_folder(arguments: &[String], name: &str) -> PathBuf {
    argument(arguments, "--out").map_or_else(|| Path::new("out").join(name), PathBuf::from)
}

/// Whether this run goes on from a snapshot, and not from nothing.
#[must_use]
pub fn restores() -> bool {
    let goes_on = |argument: String| argument.starts_with("--from-savepoint") || argument == "-s";
    std::env::args().any(goes_on)
}

/// Takes away the results of an earlier run, unless this one goes on from it.
///
/// # Errors
///
/// When they can't be removed.
pub fn clean(folder: &Path, results: &[&str]) -> Result<()> {
    if restores() {
        return Ok(());
    }
    for name in results {
        match fs::remove_dir_all(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// A job with an example's defaults: a checkpoint each second, in the output folder.
#[must_use]
pub fn job(name: &str, output: &Path) -> Job {
    Job::new(name)
        .default_option("execution.checkpointing.interval", "1 s")
        .default_option("execution.checkpointing.dir", output.join("checkpoints").display())
        .default_option(
            "execution.checkpointing.savepoint-dir",
            output.join("savepoints").display(),
        )
        .live_line()
}

/// All records of the finished JSON lines files in a folder.
///
/// # Errors
///
/// When a file can't be read.
pub fn read_results<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>> {
    let mut records = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        for line in fs::read_to_string(&path)?.lines() {
            records.push(serde_json::from_str(line)?);
        }
    }
    Ok(records)
}
