//! Puts faults in on purpose, and plays seed after seed with each until it is found.
//!
//! A fault is a wrong thing handed in ([`Mutation`]), or a change of the sources ([`Patch`]): those are
//! copied, changed and built, beside what has been built of them before, and what comes of it is run.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use clap::ValueEnum;

use super::find::{PATIENCE, find};
use crate::{
    patch::{Patch, PatchError, workspace},
    shipped::Mutation,
};

/// How far the ranges of seeds lie apart.
const RANGE: u64 = 1_000_000;
/// What is not copied of a workspace.
const LEFT_OUT: [&str; 2] = [".git", "target"];

/// Puts faults in.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Only those of these names.
    only: Vec<String>,
    /// How many ranges of seeds are tried: the time that is told is their median.
    #[arg(long, default_value_t = 5)]
    ranges: u64,
    /// The first seed of the first range.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the changed copy of the sources lies, and what is built of it.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Leave out the changes of the sources, which have to be built.
    #[arg(long)]
    without_patches: bool,
}

/// How long it has taken to find a fault, and what has shown it.
struct Found {
    time: Duration,
    what: Option<String>,
}

impl Arguments {
    pub(super) fn carry_out(self, out: &mut dyn Write) -> io::Result<bool> {
        let mut all = true;
        for mutation in Mutation::value_variants() {
            if self.is_wanted(&mutation.to_string()) {
                let search = |seed| {
                    let failed = find(seed, Some(*mutation), PATIENCE);
                    Ok(failed.map(|failed| format!("seed {}: {}", failed.seed, failed.what)))
                };
                all &= self.find(&mutation.to_string(), search, out)?;
            }
        }
        let patches = Patch::all().map_err(io::Error::other)?;
        for patch in patches.iter().filter(|patch| self.is_wanted(&patch.name)) {
            if !self.without_patches {
                let copy = Copy::of(self.folder.clone().unwrap_or_else(beside));
                let program = copy.build(patch)?;
                all &= self.find(&patch.name, |seed| run(&program, seed), out)?;
            }
        }
        Ok(all)
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// Looks for a fault in each range of seeds, and tells the median.
    fn find(
        &self,
        name: &str,
        search: impl Fn(u64) -> io::Result<Option<String>>,
        out: &mut dyn Write,
    ) -> io::Result<bool> {
        let mut tries = Vec::new();
        for range in 0..self.ranges {
            let begun = Instant::now();
            let what = search(self.seed + range * RANGE)?;
            tries.push(Found { time: begun.elapsed(), what });
        }
        tries.sort_by_key(|found| (found.what.is_none(), found.time));
        let times = tries.iter().map(|found| format!("{:.1}", found.time.as_secs_f64()));
        let times = times.collect::<Vec<_>>().join(" ");
        let Some(Found { time, what }) = tries.get(tries.len() / 2) else { return Ok(true) };
        let (seconds, shown) = (time.as_secs_f64(), what.as_deref().unwrap_or("NOT FOUND"));
        writeln!(out, "{name:<32} {seconds:>6.1} s ({times}): {shown}")?;
        out.flush()?;
        Ok(what.is_some())
    }
}

/// Beside what has been built of these sources.
fn beside() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    // <target>/release/tidegate-sim
    program.ancestors().nth(2).unwrap_or(Path::new("target")).join("mutations")
}

/// Runs a changed program, and tells what it has found.
fn run(program: &Path, seed: u64) -> io::Result<Option<String>> {
    let seconds = PATIENCE.as_secs().to_string();
    let arguments = ["run", "--seed", &seed.to_string(), "--find", &seconds];
    let ended = Command::new(program).args(arguments).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&ended.stdout);
    let said = text.lines().next().unwrap_or_default().to_owned();
    // A play that panics, or whose process does, has found it too.
    Ok((!ended.status.success()).then_some(said))
}

/// A copy of the sources, and what is built of it.
struct Copy {
    sources: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn of(folder: PathBuf) -> Self {
        Self { sources: folder.join("sources"), target: folder.join("target") }
    }

    /// Builds the program with a change of its sources.
    fn build(&self, patch: &Patch) -> io::Result<PathBuf> {
        copy_folder(&workspace(), &self.sources)?;
        let applied = patch.apply(&self.sources);
        applied.map_err(|error: PatchError| io::Error::other(error))?;
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = Command::new(cargo);
        build.args(["build", "--release", "--quiet", "--package", "tidegate-sim"]);
        build.current_dir(&self.sources).env("CARGO_TARGET_DIR", &self.target);
        let built = build.stderr(Stdio::null()).status()?;
        if !built.success() {
            return Err(io::Error::other(format!("with {} it does not build", patch.name)));
        }
        Ok(self.target.join("release/tidegate-sim"))
    }
}

/// Makes one folder like another; what is so already keeps its time, so that it is not built again.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !from.join(entry.file_name()).exists() {
            let gone = entry.path();
            if gone.is_dir() { fs::remove_dir_all(gone)? } else { fs::remove_file(gone)? }
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, there) = (entry.file_name(), to.join(entry.file_name()));
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &there)?;
        } else {
            let bytes = fs::read(entry.path())?;
            if fs::read(&there).ok().as_ref() != Some(&bytes) {
                fs::write(&there, bytes)?;
            }
        }
    }
    Ok(())
}
