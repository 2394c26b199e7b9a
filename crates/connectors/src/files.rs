//! Files in and out: CSV, JSON lines and plain text, plain or compressed.
//!
//! ```text
//!   in:   [discover] --FileSplit--> [reader] <--chunks-- [pump: window -> format]
//!         (blocking pool)           (worker)             (blocking pool, one file at a time)
//!
//!   out:  [sink writer] --bytes--> [thread: .inprogress -> .pending] --commit--> finished file
//!         (worker)                 (blocking pool)                     (blocking pool)
//! ```
//!
//! A split is a file. Its position is exact: how many records have been handed out, and where the
//! next one begins in the uncompressed content. A plain file is taken up by seeking there, a
//! compressed one by reading it again up to there.
//!
//! ```
//! use tidegate_connectors::files;
//!
//! # #[derive(Clone, serde::Serialize, serde::Deserialize)] struct Flight;
//! let flights = files::csv::<Flight>("data/flights.csv.zst");
//! let logs = files::text("logs/*.log.gz").rate(10_000);
//! let results = files::json_lines_sink::<Flight>("results");
//! ```
//!
//! # Invariants
//!
//! - INV-POSITION (of `tidegate_core::source`): a chunk brings the end of each of its records, so
//!   that the position is right after any of them.
//! - INV-RESUME: see [`Format`].
//! - INV-FINISHED: a finished file is complete and is never written, renamed or deleted again.
//!
//! # Failure
//!
//! What is wrong with a file fails the attempt with the file's name and the place in it. See
//! [`FileSink`] for what a crash leaves behind when writing.
//!
//! # Not here
//!
//! Event times: a stream gets them from its records behind the source.

mod decompress;
mod discover;
mod error;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod handed_out;
mod place;
mod pump;
mod reader;
mod sink;
mod source;
mod window;

use std::path::PathBuf;

use tidegate_core::Data;

pub use discover::FileSplit;
pub use error::{DeadLetter, FileError};
pub use format::{
    Format, Parsed, Parser,
    csv::{Csv, CsvParser},
    dead_letters::DeadLetters,
    json::JsonLines,
    text::Text,
};
pub use pump::{BadRecords, SkippedRecords};
pub use reader::FileReader;
pub use sink::{
    CsvEncoder, Encoder, FileSink, FileWriter, JsonLinesEncoder, PendingFile, ROLL_SIZE,
};
pub use source::FileSource;
pub use window::{MAX_RECORD_BYTES, Window};

/// Reads CSV files with a header line into records of type `T`, by the header's names.
///
/// `path` is a file, a folder (the files in it, not in folders below) or a glob. Files whose name
/// begins with a dot or ends in `.inprogress` or `.pending` are left out of folders and globs.
#[must_use]
pub fn csv<T: Data>(path: impl Into<PathBuf>) -> FileSource<Csv<T>> {
    FileSource::new(path, Csv::default())
}

/// Reads JSON lines: each line that is not blank is a JSON document, which becomes a `T`.
///
/// `path` as for [`csv()`].
#[must_use]
pub fn json_lines<T: Data>(path: impl Into<PathBuf>) -> FileSource<JsonLines<T>> {
    FileSource::new(path, JsonLines::default())
}

/// Reads text: each line is a record, without its end (`\n` or `\r\n`).
///
/// `path` as for [`csv()`].
#[must_use]
pub fn text(path: impl Into<PathBuf>) -> FileSource<Text> {
    FileSource::new(path, Text)
}

/// Writes each record as a line of JSON into files in the folder `dir`, exactly once.
#[must_use]
pub fn json_lines_sink<T: Data>(dir: impl Into<PathBuf>) -> FileSink<JsonLinesEncoder<T>> {
    FileSink::new(dir)
}

/// Writes each record as a row of CSV into files in the folder `dir`, each with a header line of
/// the names of the record's fields, exactly once.
#[must_use]
pub fn csv_sink<T: Data>(dir: impl Into<PathBuf>) -> FileSink<CsvEncoder<T>> {
    FileSink::new(dir)
}
