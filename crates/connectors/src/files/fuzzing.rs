//! The way in for the fuzz targets: a file's records at once, on the caller's thread. For nobody else.

use super::{
    discover::FileSplit,
    error::FileError,
    format::{Format, Parsed, csv::Csv, dead_letters::DeadLetters},
    pump::{BadRecords, Chunk, Policy, Pump, SkippedRecords},
};

/// CSV as a source would be set up to read it.
#[must_use]
pub fn csv<T>(delimiter: u8, header: bool, null_literal: Option<&str>) -> Csv<T> {
    let mut format = Csv::default();
    format.set_delimiter(delimiter);
    format.set_header(header);
    if let Some(literal) = null_literal {
        format.set_null_literal(literal.to_owned());
    }
    format
}

/// A file's beginning.
#[must_use]
pub fn beginning(path: &str) -> FileSplit {
    FileSplit::at_beginning(path.to_owned(), 0, None)
}

/// A record, and the position behind it.
pub type Placed<T> = (Parsed<T>, FileSplit);

/// Good and bad records of a file from a position on, and the error that they end with.
#[must_use]
pub fn read<F: Format>(format: &F, from: &FileSplit) -> (Vec<Placed<F::Item>>, Option<FileError>) {
    let policy = Policy { bad_records: BadRecords::Fail, skipped: SkippedRecords::default() };
    let (mut split, mut records) = (from.clone(), Vec::new());
    let take = |chunk: Chunk<Parsed<F::Item>>| {
        for (record, end) in chunk.records.into_iter().zip(chunk.ends) {
            split.advance(1, end);
            records.push((record, split.clone()));
        }
        true
    };
    let parser = DeadLetters(format.clone()).parser();
    let read = Pump::open(parser, from, policy).and_then(|mut pump| pump.run(take));
    (records, read.err())
}
