//! What Tidegate reads from strangers, fed with anything.
//!
//! A target takes bytes and hands them to shipped code. Nothing may panic, no input may take more
//! memory than its target's room, and whatever a target can tell to be wrong makes it panic. Where
//! a checksum or a footer would keep most inputs out, the target puts it right first.
//!
//! ```text
//!   cargo xtask fuzz          fuzz_targets/<name>.rs   libFuzzer makes up inputs
//!   cargo test -p tidegate-fuzz    tests/play.rs       seeds, regressions, and some thousand others
//!                                      '--> Target::play --> metadata, segment, ...
//! ```
//!
//! Seeds are made of the repository's fixtures when they are needed; `regressions/<name>/` keeps
//! what has been found.

mod files;
mod room;

pub mod csv;
pub mod gzip;
pub mod json_lines;
pub mod log;
pub mod metadata;
pub mod rest;
pub mod segment;
mod snapshots;
pub mod wire;
pub mod zstd;

use std::{env, fs, path::Path};

/// The folder that this crate lies in.
const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// What [`Target::begin`] is told by where to leave the seeds.
const SEEDS: &str = "TIDEGATE_FUZZ_SEEDS";

/// How much memory each byte of an input may take, besides what its target may anyway.
const PER_BYTE: usize = 4096;

/// Shipped code, and what may come of feeding it.
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    feed: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
    /// How much memory an empty input may take, in bytes.
    room: usize,
}

impl Target {
    /// Feeds it.
    ///
    /// # Panics
    ///
    /// When something is wrong with what comes of it. Where it takes too much memory the process
    /// ends.
    pub fn play(&self, input: &[u8]) {
        let room = self.room + PER_BYTE * input.len();
        room::within(room, || (self.feed)(input));
    }

    /// Inputs that make sense.
    #[must_use]
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        (self.seeds)()
    }

    /// What has been found with it, by the name of its file.
    ///
    /// # Panics
    ///
    /// When a file can't be read.
    #[must_use]
    pub fn regressions(&self) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(CRATE).join("regressions").join(self.name);
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let read = entries.map(|entry| {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, fs::read(path).expect("a regression can be read"))
        });
        let mut all = read.collect::<Vec<_>>();
        all.sort();
        all
    }

    /// Leaves the seeds where `TIDEGATE_FUZZ_SEEDS` says, if it does: libFuzzer looks there next.
    ///
    /// # Panics
    ///
    /// When they can't be written.
    pub fn begin(&self) {
        let Some(folder) = env::var_os(SEEDS) else { return };
        fs::create_dir_all(&folder).expect("the seeds' folder can be made");
        for (number, seed) in self.seeds().into_iter().enumerate() {
            let file = Path::new(&folder).join(format!("seed-{number}"));
            fs::write(file, seed).expect("a seed can be written");
        }
    }
}
