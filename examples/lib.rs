//! What the examples share: their own arguments, and where their results lie.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use tidegate::{Job, Result};

/// The value of `--name value` or `--name=value` among the example's own arguments.
#[must_use]
pub fn argument(arguments: &[String], name: &str) -> Option<String> {
    let mut following = arguments.iter().skip_while(|argument| name_of(argument) != name);
    match following.next()?.split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => following.next().cloned(),
    }
}

/// Where the examples' data lies: beside the program, as in an archive, or else where it was built.
#[must_use]
pub fn data(name: &str) -> String {
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent).map(|folder| folder.join("data"));
    let folder = beside.filter(|folder| folder.is_dir());
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("data"));
    folder.join(name).display().to_string()
}

/// The value of `--rate`, if there is one.
///
/// # Errors
///
/// When it is not a number of records per second.
pub fn rate(arguments: &[String]) -> Result<Option<u64>> {
    let Some(text) = argument(arguments, "--rate") else { return Ok(None) };
    match text.parse() {
        Ok(rate) if rate > 0 => Ok(Some(rate)),
        _ => Err(format!("`{text}` is not a --rate: expected records per second, from 1").into()),
    }
}

/// Where an example writes: `--out`, or `out/<name>` in the current folder.
#[must_use]
pub fn output_folder(arguments: &[String], name: &str) -> PathBuf {
    argument(arguments, "--out").map_or_else(|| Path::new("out").join(name), PathBuf::from)
}

fn name_of(argument: &str) -> &str {
    argument.split_once('=').map_or(argument, |(name, _)| name)
}

/// Gets ready for a run: refuses arguments other than `--name value` for the `names`, and if the
/// run starts from nothing, takes away the `results` of an earlier one, and its checkpoints with
/// them: whoever went on from those would miss what is gone.
///
/// # Errors
///
/// What is wrong with the arguments, or why something can't be removed.
pub fn prepare(job: &Job, names: &[&str], output: &Path, results: &[&str]) -> Result<()> {
    let arguments = Job::own_arguments();
    check(&arguments, names)?;
    rate(&arguments)?;
    if !job.starts_afresh() {
        return Ok(());
    }
    for folder in results.iter().chain(&["checkpoints"]).map(|name| output.join(name)) {
        match fs::remove_dir_all(&folder) {
            Ok(()) => eprintln!("starting from nothing: removed {}", folder.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(format!("can't remove {}: {error}", folder.display()).into()),
        }
    }
    Ok(())
}

fn check(arguments: &[String], names: &[&str]) -> Result<()> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let name = name_of(argument);
        if !names.contains(&name) {
            return Err(format!("unknown argument `{argument}` (--help tells more)").into());
        }
        if name == argument && rest.next().is_none() {
            return Err(format!("{name} needs a value (--help tells more)").into());
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
