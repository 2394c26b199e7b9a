//! Runs the fuzz targets, each for a time.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::{cargo_command, run as run_command};

/// How long each target runs, unless told otherwise, in seconds.
const SECONDS: &str = "600";
/// What an input may take, and be: seconds, megabytes, bytes.
const LIMITS: [&str; 3] = ["-timeout=20", "-rss_limit_mb=2048", "-max_len=16384"];
/// How a target is built, on any toolchain: the targets count their memory themselves.
const BUILD: [&str; 4] = ["--sanitizer", "none", "--features", "libfuzzer"];

/// Builds the targets and runs all of them, or those that are named. Every one runs, whatever comes
/// of those before it.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (seconds, named) = match arguments {
        ["--seconds", seconds, named @ ..] => (*seconds, named),
        named => (SECONDS, named),
    };
    seconds.parse::<u32>().with_context(|| format!("`{seconds}` is no number of seconds"))?;
    let all = targets()?;
    if let Some(stranger) = named.iter().find(|name| !all.iter().any(|known| known == **name)) {
        bail!("there is no target `{stranger}`: there are {}", all.join(", "));
    }
    install()?;
    run_command(cargo_command().args(["fuzz", "build"]).args(BUILD))?;
    let chosen = all.iter().filter(|name| named.is_empty() || named.contains(&name.as_str()));
    let failed = chosen.filter(|name| fuzz(name, seconds).is_err()).cloned().collect::<Vec<_>>();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("inputs were found: see fuzz/artifacts for {}", failed.join(", "))
}

/// The names of all targets.
fn targets() -> Result<Vec<String>> {
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry?.path();
        Ok(path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
    };
    let entries = fs::read_dir("fuzz/fuzz_targets").context("cannot list the targets")?;
    let mut names = entries.map(name).collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn install() -> Result<()> {
    let there = cargo_command().args(["fuzz", "--version"]).output();
    if there.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    run_command(cargo_command().args(["install", "cargo-fuzz", "--locked"]))
}

/// Runs one target. What it finds worth keeping stays in `fuzz/corpus`, what is wrong in
/// `fuzz/artifacts`.
fn fuzz(target: &str, seconds: &str) -> Result<()> {
    let corpus = format!("fuzz/corpus/{target}");
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {corpus}"))?;
    let regressions = format!("fuzz/regressions/{target}");
    let mut command = fuzz_command(target);
    command.arg(&corpus).args(Path::new(&regressions).is_dir().then_some(&regressions));
    command.env("TIDEGATE_FUZZ_SEEDS", format!("{corpus}/seeds"));
    command.arg("--").args(LIMITS).arg(format!("-max_total_time={seconds}"));
    run_command(command.arg("-print_final_stats=1"))
}

fn fuzz_command(target: &str) -> Command {
    let mut command = cargo_command();
    command.args(["fuzz", "run"]).args(BUILD).arg(target);
    command
}
