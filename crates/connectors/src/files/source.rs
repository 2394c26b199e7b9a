//! A source of files, as the author of a job sets it up.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future};
use tidegate_core::{ReaderContext, Source, source::Discovery};
use tidegate_types::UserResult;

use super::{
    discover::{Emptiness, FileSplit, Search},
    error::FileError,
    format::{Format, csv::Csv, dead_letters::DeadLetters},
    place::local_path,
    pump::{BadRecords, Policy, SkippedRecords},
    reader::FileReader,
};
use crate::rate::RateLimit;

/// Reads files of the format `F`: one file, the files of a folder, or those that match a glob.
///
/// Bounded, unless it is told to [`watch`](Self::watch). Each file is read by one subtask; plain,
/// gzip and zstd are told apart by their first bytes. A compressed file that ends early is an error
/// (if it consists of several members or frames, as long as it does not end just between two).
///
/// Every process of the job must see the same files under the same names. They must not change while a job reads them, nor until its last snapshot that knows them is
/// gone: positions are places in their content.
#[derive(Clone, Debug)]
pub struct FileSource<F> {
    /// Where it reads, or why it can't.
    pattern: Result<PathBuf, FileError>,
    format: F,
    watch: Option<Duration>,
    rate: Option<u64>,
    bad_records: BadRecords,
    skipped: SkippedRecords,
}

impl<F: Format> FileSource<F> {
    /// Reads the files at `path`, which is a file, a folder or a glob.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, format: F) -> Self {
        Self {
            pattern: local_path(path.into()),
            format,
            watch: None,
            rate: None,
            bad_records: BadRecords::Fail,
            skipped: SkippedRecords::default(),
        }
    }

    /// Looks for new files in the folder, or for the glob, again and again, and never ends.
    ///
    /// A file is read as it is when it is found: move files in when they are complete. One that has
    /// changed since is not read again, and a warning tells of it, after a restore too: the names
    /// of all files read stay in the snapshots, with their lengths and when they were written.
    #[must_use]
    pub fn watch(mut self, interval: Duration) -> Self {
        self.watch = Some(interval);
        self
    }

    /// Reads at most so many records per second: each subtask an equal share of them, whether it
    /// has a file to read or not.
    #[must_use]
    pub fn rate(mut self, records_per_second: u64) -> Self {
        self.rate = Some(records_per_second);
        self
    }

    /// What to do with records that can't be parsed; [`BadRecords::Fail`] unless told otherwise.
    #[must_use]
    pub fn on_bad_record(mut self, bad_records: BadRecords) -> Self {
        self.bad_records = bad_records;
        self
    }

    /// Counts skipped records in `counter`, which can be shared among workers and attempts.
    #[must_use]
    pub fn count_skipped(mut self, counter: &SkippedRecords) -> Self {
        self.skipped = counter.clone();
        self
    }

    /// The counter of skipped records.
    #[must_use]
    pub fn skipped(&self) -> SkippedRecords {
        self.skipped.clone()
    }

    /// Emits bad records too, as [`Parsed::Bad`](super::Parsed::Bad), so that the job can send
    /// them where it likes.
    #[must_use]
    pub fn with_dead_letters(self) -> FileSource<DeadLetters<F>> {
        FileSource {
            pattern: self.pattern,
            format: DeadLetters(self.format),
            watch: self.watch,
            rate: self.rate,
            bad_records: self.bad_records,
            skipped: self.skipped,
        }
    }
}

impl<T> FileSource<Csv<T>> {
    /// What stands between two fields; a comma unless told otherwise.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.format.set_delimiter(delimiter);
        self
    }

    /// Whether the first line holds the fields' names; it does unless told otherwise.
    #[must_use]
    pub fn header(mut self, header: bool) -> Self {
        self.format.set_header(header);
        self
    }

    /// The text that stands for a missing value, such as `NA`: a field of that text is taken for
    /// an empty one, which an `Option` reads as `None`.
    #[must_use]
    pub fn null_literal(mut self, literal: impl Into<String>) -> Self {
        self.format.set_null_literal(literal.into());
        self
    }
}

impl<F: Format> Source for FileSource<F> {
    type Item = F::Item;
    type Split = FileSplit;
    type Reader = FileReader<F>;

    fn discovery(&self) -> Discovery<FileSplit> {
        let emptiness = if self.watch.is_some() { Emptiness::Allowed } else { Emptiness::Refused };
        let pattern = match &self.pattern {
            Ok(pattern) => pattern.clone(),
            Err(error) => {
                let error = error.clone();
                return Box::new(move || future::ready(Err(error.clone().mark())).boxed());
            }
        };
        let search = Arc::new(Mutex::new(Search::new(pattern, emptiness)));
        Box::new(move || {
            let search = Arc::clone(&search);
            #[expect(
                clippy::disallowed_methods,
                reason = "it looks at a disk, which is not simulated"
            )]
            let found = tokio::task::spawn_blocking(move || {
                search.lock().unwrap_or_else(PoisonError::into_inner).look()
            });
            found.map(|found| found?.map_err(FileError::mark)).boxed()
        })
    }

    fn discovery_interval(&self) -> Option<Duration> {
        self.watch
    }

    fn reader(&self, context: ReaderContext) -> UserResult<FileReader<F>> {
        self.pattern.as_ref().map_err(|error| error.clone().mark())?;
        if self.rate == Some(0) {
            return Err(FileError::Option("a file source's rate must be at least 1").mark());
        }
        if self.watch == Some(Duration::ZERO) {
            return Err(FileError::Option("a file source's watch interval must not be 0").mark());
        }
        let policy = Policy { bad_records: self.bad_records, skipped: self.skipped.clone() };
        let limit = RateLimit::shared(self.rate, context.parallelism);
        let bounded = self.watch.is_none();
        Ok(FileReader::new(self.format.clone(), policy, limit, bounded, context))
    }
}
