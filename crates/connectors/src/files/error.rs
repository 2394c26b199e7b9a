//! What can go wrong with files, always with the file's name.

use std::{fmt, io, sync::Arc};

use serde::{Deserialize, Serialize};
use tidegate_types::{BoxError, ErrorKind};

/// How much of a bad value a message shows, in characters. A dead letter holds all of it.
const SHOWN: usize = 200;

/// A record that could not be parsed: where it stands and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The file, as discovery found it.
    pub file: String,
    /// The line on which the record begins, counted from 1.
    pub line: u64,
    /// The field's name (CSV with a header), its number from 1 (without), or the character's
    /// number in the line from 1 (JSON); `None` if the fault is no single one's.
    pub column: Option<String>,
    /// The field's value, or the whole record if the fault is no single field's. Bytes that are
    /// not UTF-8 are replaced by U+FFFD.
    pub value: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` line {}", self.file, self.line)?;
        if let Some(column) = &self.column {
            write!(f, " column `{column}`")?;
        }
        write!(f, ": bad record `{}`: {}", shortened(&self.value), self.message)
    }
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// What can go wrong with reading or writing files.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is nothing to read.
    #[error(
        "no file to read at `{pattern}`: expected a file, a folder with files, or a glob that matches some"
    )]
    NoMatch {
        /// The path, folder or glob.
        pattern: String,
    },
    /// A glob's syntax is wrong.
    #[error("`{pattern}` is not a glob: {message}")]
    Pattern {
        /// The glob.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file's name can't stand in a snapshot.
    #[error(
        "the file `{path}` has a name that is not UTF-8; rename it, since names stand in snapshots"
    )]
    Name {
        /// The file, with U+FFFD for what is not UTF-8.
        path: String,
    },
    /// A location that is no local file's.
    #[error("`{path}` is no place for files: {problem}")]
    Location {
        /// As it was written.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An option of the source or sink is out of its range.
    #[error("{0}")]
    Option(&'static str),
    /// The operating system refused.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// A compressed file ends early or is not what was written.
    #[error(
        "`{path}` is truncated or corrupt at byte {compressed} of the compressed file, after {uncompressed} bytes of its content"
    )]
    Corrupt {
        /// The file.
        path: String,
        /// How far its decoder got in the file, in bytes.
        compressed: u64,
        /// How much it decompressed, in bytes.
        uncompressed: u64,
        /// What the decoder said.
        source: Arc<io::Error>,
    },
    /// A record is bad and the job wants to fail then.
    #[error("{0}")]
    BadRecord(DeadLetter),
    /// The first line of a file with a header does not name the fields of the records.
    #[error(
        "`{path}` line 1: the header has {found}, and the records are read from {wanted}: it lacks {missing}{hint}"
    )]
    Header {
        /// The file.
        path: String,
        /// The names that it has.
        found: String,
        /// The names of the fields.
        wanted: String,
        /// Those that it lacks.
        missing: String,
        /// What may be the reason; begins with a semicolon unless it is empty.
        hint: String,
    },
    /// A record does not end.
    #[error("`{path}` line {line}: a record of more than {limit} bytes, is it the right format?")]
    TooLong {
        /// The file.
        path: String,
        /// The line on which the record begins, counted from 1.
        line: u64,
        /// The longest record, in bytes.
        limit: usize,
    },
    /// A file was read partly before the restore, and is shorter now.
    #[error(
        "`{path}` has changed: it was read up to byte {read} before the restore, and now ends at byte {length}"
    )]
    Shrunk {
        /// The file.
        path: String,
        /// How far it was read, in bytes.
        read: u64,
        /// What is there now, in bytes.
        length: u64,
    },
    /// A file was read partly before the restore, and is gone now.
    #[error(
        "`{path}` is gone: it was read up to byte {read} before the restore, and not to its end"
    )]
    Gone {
        /// The file.
        path: String,
        /// How far it was read, in bytes.
        read: u64,
    },
    /// The code of the record's type has failed on what is in the file.
    #[error("`{path}` line {line}: reading the record {message}")]
    Unreadable {
        /// The file.
        path: String,
        /// The line on which the record begins, counted from 1.
        line: u64,
        /// That it panicked, and with which words.
        message: String,
    },
    /// The thread that read or wrote the file is gone.
    #[error("the thread that {action} `{path}` has panicked")]
    Panicked {
        /// What it did.
        action: &'static str,
        /// The file or folder.
        path: String,
    },
    /// A record can't be written in the sink's format.
    #[error("cannot write a record of type {record} as {format}: {message}")]
    Encode {
        /// The record's Rust type.
        record: &'static str,
        /// The format's name.
        format: &'static str,
        /// What the encoder said.
        message: String,
    },
}

impl FileError {
    /// What the one who sees it should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoMatch { .. }
            | Self::Pattern { .. }
            | Self::Name { .. }
            | Self::Location { .. }
            | Self::Option(_)
            | Self::BadRecord(_)
            | Self::Header { .. }
            | Self::TooLong { .. }
            | Self::Encode { .. } => ErrorKind::Invalid,
            Self::Io { .. } => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Shrunk { .. } | Self::Gone { .. } => ErrorKind::Incompatible,
            Self::Unreadable { .. } | Self::Panicked { .. } => ErrorKind::User,
        }
    }

    /// For `map_err` where a connector hands its error to the runtime.
    pub(crate) fn mark(self) -> BoxError {
        self.kind().mark(self)
    }

    /// For `map_err`: says what was tried with which file.
    pub(crate) fn io(
        action: &'static str,
        path: impl fmt::Display,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_string(), source: Arc::new(source) }
    }
}
