//! Changes of the shipped code that put a fault back in, as unified diffs in `mutations/`.
//!
//! Each begins with lines that name what it is: the case or the row of an issue that it re-creates.
//! Whoever changes a place that one of them changes renews it; a test tells.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The folder of the workspace that this was built from.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What is wrong with a patch.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// It is no unified diff.
    #[error("line {line} of {name} is no part of a unified diff: {text}")]
    Malformed {
        /// The patch.
        name: String,
        /// From 1 on.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// What it wants to change is not there, or there twice.
    #[error(
        "{name} does not apply to {file}: what it changes near line {line} is there {found} times"
    )]
    DoesNotApply {
        /// The patch.
        name: String,
        /// What it changes.
        file: String,
        /// Where.
        line: usize,
        /// How often its lines are there.
        found: usize,
    },
    /// A file can't be read or written.
    #[error("cannot read or write {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A change, by its name.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The name of its file, without the ending.
    pub name: String,
    /// What it is, as its header says.
    pub about: String,
    hunks: Vec<Hunk>,
}

/// Lines of one file, before and after.
#[derive(Clone, Debug, Default)]
struct Hunk {
    file: String,
    line: usize,
    before: Vec<String>,
    after: Vec<String>,
    changed: usize,
}

fn reading<T>(path: &Path, result: io::Result<T>) -> Result<T, PatchError> {
    result.map_err(|source| PatchError::Io { path: path.to_owned(), source })
}

impl Patch {
    /// All that there are, by name.
    ///
    /// # Errors
    ///
    /// When one can't be read.
    pub fn all() -> Result<Vec<Self>, PatchError> {
        let folder = workspace().join("crates/sim/mutations");
        let mut patches = Vec::new();
        for entry in reading(&folder, fs::read_dir(&folder))? {
            let path = reading(&folder, entry)?.path();
            if path.extension().is_some_and(|extension| extension == "patch") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                patches.push(Self::parse(name, &reading(&path, fs::read_to_string(&path))?)?);
            }
        }
        patches.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(patches)
    }

    fn parse(name: String, text: &str) -> Result<Self, PatchError> {
        let (mut about, mut file, mut hunks) = (Vec::new(), None, Vec::<Hunk>::new());
        for (number, line) in (1..).zip(text.lines()) {
            let malformed = || PatchError::Malformed {
                name: name.clone(),
                line: number,
                text: line.to_owned(),
            };
            if line.starts_with("--- ") {
                continue;
            }
            if let Some(path) = line.strip_prefix("+++ b/") {
                file = Some(path.to_owned());
            } else if let Some(at) = line.strip_prefix("@@ -") {
                let digits = at.split([',', ' ']).next().and_then(|digits| digits.parse().ok());
                let (file, line) = file.clone().zip(digits).ok_or_else(malformed)?;
                hunks.push(Hunk { file, line, ..Hunk::default() });
            } else if let Some(hunk) = hunks.last_mut() {
                hunk.take(line).ok_or_else(malformed)?;
            } else if file.is_none() {
                about.push(line);
            } else {
                return Err(malformed());
            }
        }
        Ok(Self { name, about: about.join(" ").trim().to_owned(), hunks })
    }

    /// How many lines it takes away or puts in.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.hunks.iter().map(|hunk| hunk.changed).sum()
    }

    /// The files that it changes, from the workspace's root on.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.hunks.iter().map(|hunk| hunk.file.as_str())
    }

    /// Changes the workspace in that folder.
    ///
    /// # Errors
    ///
    /// When what it changes is not there.
    pub fn apply(&self, root: &Path) -> Result<(), PatchError> {
        for hunk in &self.hunks {
            let (path, changed) = self.changed_file(hunk, root)?;
            reading(&path, fs::write(&path, changed))?;
        }
        Ok(())
    }

    /// Whether it can be applied, each of its parts by itself.
    ///
    /// # Errors
    ///
    /// When what it changes is not there.
    pub fn check(&self, root: &Path) -> Result<(), PatchError> {
        self.hunks.iter().try_for_each(|hunk| self.changed_file(hunk, root).map(drop))
    }

    fn changed_file(&self, hunk: &Hunk, root: &Path) -> Result<(PathBuf, String), PatchError> {
        let path = root.join(&hunk.file);
        let text = reading(&path, fs::read_to_string(&path))?;
        let mut lines = text.lines().collect::<Vec<_>>();
        let windows = lines.windows(hunk.before.len());
        let found = windows.enumerate().filter(|(_, there)| *there == hunk.before);
        let found = found.map(|(at, _)| at).collect::<Vec<_>>();
        let [at] = found[..] else {
            let (name, file) = (self.name.clone(), hunk.file.clone());
            return Err(PatchError::DoesNotApply {
                name,
                file,
                line: hunk.line,
                found: found.len(),
            });
        };
        lines.splice(at..at + hunk.before.len(), hunk.after.iter().map(String::as_str));
        Ok((path, lines.join("\n") + "\n"))
    }
}

impl Hunk {
    fn take(&mut self, line: &str) -> Option<()> {
        let kept = line.strip_prefix(' ').or(line.is_empty().then_some(""));
        if let Some(kept) = kept {
            self.before.push(kept.to_owned());
            self.after.push(kept.to_owned());
        } else if let Some(gone) = line.strip_prefix('-') {
            self.before.push(gone.to_owned());
            self.changed += 1;
        } else {
            self.after.push(line.strip_prefix('+')?.to_owned());
            self.changed += 1;
        }
        Some(())
    }
}
