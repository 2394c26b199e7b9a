//! Finds the files to read.
//!
//! A file is read once, as it is when it is found. What it is like from outside then, its length
//! and when it was written, goes with its split into the snapshots, so that a change is told of
//! whether it comes while the job runs or while it is down (see [`FileSplit::tell_change`]): what
//! was appended is not read, and what was replaced is not read again.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use glob::MatchOptions;
use serde::{Deserialize, Serialize};
use tidegate_core::Split;

use super::{error::FileError, pump::RecordEnd};

/// A file to read, and how far it has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSplit {
    /// The file, as discovery found it.
    pub(super) path: String,
    /// How long the file was when it was last looked at, in bytes.
    pub(super) length: u64,
    /// When it had been written then, in milliseconds since 1970; `None` where the file system does
    /// not know, and in snapshots of versions that did not ask.
    #[serde(default)]
    modified: Option<u64>,
    pub(super) position: Position,
    pub(super) finished: bool,
}

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// How many records have been handed out.
    pub(super) records: u64,
    /// Where the next one begins, in bytes of the uncompressed content; 0 before the first record,
    /// even if a header comes before it.
    pub(super) byte: u64,
    /// How many line feeds lie before that.
    pub(super) line_feeds: u64,
    /// How many bytes of the file itself were used about then, for showing progress.
    pub(super) used: u64,
}

impl FileSplit {
    pub(super) fn at_beginning(path: String, length: u64, modified: Option<u64>) -> Self {
        Self { path, length, modified, position: Position::default(), finished: false }
    }

    /// Warns if the file is another one `now` than when it was last looked at: once for each
    /// change, since this is what it is compared with from now on.
    pub(super) fn tell_change(&mut self, now: &Self) {
        let before = std::mem::replace(&mut self.length, now.length);
        let modified = std::mem::replace(&mut self.modified, now.modified);
        let file = self.path.as_str();
        if before != now.length {
            tracing::warn!(
                file,
                before,
                now = now.length,
                "this file has changed since it was found: what was appended or replaced is not \
                 read; move files in when they are complete, under new names"
            );
        } else if modified.zip(now.modified).is_some_and(|(then, now)| then != now) {
            tracing::warn!(
                file,
                "this file was written to since it was found: it is not read again; move files in \
                 when they are complete, under new names"
            );
        }
    }

    /// The file, as discovery found it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How many of its records have been handed out.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.position.records
    }

    /// So many more of its records have been handed out, and the last of them ends there.
    pub(super) fn advance(&mut self, records: u64, end: RecordEnd) {
        self.position.records += records;
        self.position.byte = end.byte;
        self.position.line_feeds = end.line_feeds;
    }

    /// How many bytes of the file have been used, about.
    pub(super) fn used(&self) -> u64 {
        if self.finished { self.length } else { self.position.used.min(self.length) }
    }
}

impl Split for FileSplit {
    // A file is the same however its folder is written: `in/a`, `./in/a`, `in//a`.
    fn id(&self) -> String {
        let parts = Path::new(&self.path).components();
        let parts = parts.filter(|part| !matches!(part, Component::CurDir));
        parts.collect::<PathBuf>().to_string_lossy().into_owned()
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}

/// Whether it is an error to find nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emptiness {
    /// It is: a bounded source without input is a mistake.
    Refused,
    /// It is not: files will come.
    Allowed,
}

/// Looks for the files at a place, once or again and again.
pub(super) struct Search {
    pattern: PathBuf,
    emptiness: Emptiness,
    /// What has been warned of that could not be read.
    unreadable: BTreeSet<PathBuf>,
}

impl Search {
    pub(super) fn new(pattern: PathBuf, emptiness: Emptiness) -> Self {
        Self { pattern, emptiness, unreadable: BTreeSet::new() }
    }

    /// Finds the files that are there now, in the order of their names. Blocks.
    pub(super) fn look(&mut self) -> Result<Vec<FileSplit>, FileError> {
        let (pattern, emptiness) = (self.pattern.as_path(), self.emptiness);
        let mut paths = match fs::metadata(pattern) {
            Ok(metadata) if metadata.is_dir() => files_of(pattern)?,
            Ok(_) => vec![pattern.to_owned()],
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(FileError::io("look at", pattern.display())(error));
            }
            Err(_) => matches_of(pattern, emptiness)?,
        };
        if paths.is_empty() && emptiness == Emptiness::Refused {
            return Err(FileError::NoMatch { pattern: pattern.display().to_string() });
        }
        paths.sort();
        let splits =
            paths.into_iter().map(|path| self.split(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(splits.into_iter().flatten().collect())
    }

    /// The split of a file, `None` if it has been deleted since it was listed, or if it can't be
    /// read and others will come.
    fn split(&mut self, path: PathBuf) -> Result<Option<FileSplit>, FileError> {
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::io("look at", path.display())(error)),
        };
        match path.into_os_string().into_string() {
            Ok(path) => {
                Ok(Some(FileSplit::at_beginning(path, metadata.len(), written_at(&metadata))))
            }
            Err(name) => self.leave_out(PathBuf::from(name)),
        }
    }

    /// A file whose name can't stand in a snapshot.
    fn leave_out(&mut self, path: PathBuf) -> Result<Option<FileSplit>, FileError> {
        let error = FileError::Name { path: path.display().to_string() };
        if self.emptiness == Emptiness::Refused {
            return Err(error);
        }
        if self.unreadable.insert(path) {
            tracing::warn!("{error}: it is left out");
        }
        Ok(None)
    }
}

fn written_at(metadata: &fs::Metadata) -> Option<u64> {
    let since = metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let list = || {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if is_input(&path) && path.is_file() {
                files.push(path);
            }
        }
        Ok(files)
    };
    list().map_err(FileError::io("list", folder.display()))
}

fn matches_of(pattern: &Path, emptiness: Emptiness) -> Result<Vec<PathBuf>, FileError> {
    let text = pattern.to_string_lossy();
    if !text.contains(['*', '?', '[']) {
        // Not a glob, so this file will never come into being by a new match.
        return match emptiness {
            Emptiness::Refused => Ok(Vec::new()),
            Emptiness::Allowed => Err(FileError::NoMatch { pattern: text.into_owned() }),
        };
    }
    let options = MatchOptions {
        require_literal_separator: true,
        require_literal_leading_dot: true,
        ..MatchOptions::new()
    };
    let matches = glob::glob_with(&text, options).map_err(|error| FileError::Pattern {
        pattern: text.clone().into_owned(),
        message: error.to_string(),
    })?;
    let mut paths = Vec::new();
    for path in matches {
        let path = path.map_err(|error| {
            FileError::io("list", error.path().display().to_string())(error.into())
        })?;
        if is_input(&path) && path.is_file() {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Leaves out hidden files and files that are not finished yet.
fn is_input(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    !name.starts_with('.') && !name.ends_with(".inprogress") && !name.ends_with(".pending")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_however_its_path_is_written() {
        let split = |path: &str| FileSplit::at_beginning(path.to_owned(), 1, None).id();
        for path in ["in/a", "./in/a", "in//a", "in/./a", ".//in/a"] {
            assert_eq!(split(path), "in/a");
        }
        assert_eq!((split("/in/a"), split("../in/a")), ("/in/a".to_owned(), "../in/a".to_owned()));
    }

    fn discover(pattern: &Path, emptiness: Emptiness) -> Result<Vec<FileSplit>, FileError> {
        Search::new(pattern.to_owned(), emptiness).look()
    }

    fn names(pattern: &Path) -> Vec<String> {
        let splits = discover(pattern, Emptiness::Refused).expect("there are files");
        let name = |split: &FileSplit| split.path.rsplit('/').next().unwrap().to_owned();
        splits.iter().map(name).collect()
    }

    #[test]
    fn a_folder_a_glob_and_a_file() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", ".hidden.csv", "c.csv.pending", "d.csv.inprogress", "e.txt"]
        {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        fs::create_dir(folder.path().join("sub.csv")).unwrap();
        assert_eq!(names(folder.path()), ["a.csv", "b.csv", "e.txt"]);
        assert_eq!(names(&folder.path().join("*.csv")), ["a.csv", "b.csv"]);
        assert_eq!(names(&folder.path().join(".hidden.csv")), [".hidden.csv"]);
    }

    #[test]
    fn finding_nothing_names_the_path() {
        for pattern in ["/nowhere/file.csv", "/nowhere/*.csv"] {
            let error = discover(Path::new(pattern), Emptiness::Refused).unwrap_err().to_string();
            let expected = format!(
                "no file to read at `{pattern}`: expected a file, a folder with files, or a glob that matches some"
            );
            assert_eq!(error, expected);
        }
        let nothing = discover(Path::new("/nowhere/*.csv"), Emptiness::Allowed);
        assert_eq!(nothing.expect("files may come"), []);
        assert!(discover(Path::new("/nowhere/file.csv"), Emptiness::Allowed).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf_8_is_left_out_where_others_will_come() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("good.txt"), "x").unwrap();
        let odd = std::ffi::OsStr::from_bytes(b"od\xffd.txt");
        fs::write(folder.path().join(odd), "x").unwrap();
        let watched = discover(folder.path(), Emptiness::Allowed).expect("it is left out");
        assert_eq!(watched.len(), 1);
        let error = discover(folder.path(), Emptiness::Refused).unwrap_err().to_string();
        assert!(error.contains("od\u{fffd}d.txt` has a name that is not UTF-8"), "{error}");
    }
}
