//! Turns records into bytes.

use std::marker::PhantomData;

use tidegate_core::Data;

use super::FileError;

/// A format of files that a sink writes.
pub trait Encoder: 'static {
    /// What it writes.
    type Item: Data;
    /// The end of the files' names, without the dot.
    const EXTENSION: &'static str;

    /// Appends `records`, at least one, to `into`; with the file's beginning, if it has any, when
    /// they are the `first` of a file.
    ///
    /// # Errors
    ///
    /// When a record can't be written in this format.
    fn encode(records: &[Self::Item], first: bool, into: &mut Vec<u8>) -> Result<(), FileError>;
}

/// Writes each record as a line of JSON.
pub struct JsonLinesEncoder<T>(PhantomData<fn() -> T>);

impl<T: Data> Encoder for JsonLinesEncoder<T> {
    type Item = T;
    const EXTENSION: &'static str = "jsonl";

    fn encode(records: &[T], _first: bool, into: &mut Vec<u8>) -> Result<(), FileError> {
        for record in records {
            serde_json::to_writer(&mut *into, record).map_err(refused::<T, _>("JSON"))?;
            into.push(b'\n');
        }
        Ok(())
    }
}

/// Writes each record as a row of CSV, below a header line in each file.
pub struct CsvEncoder<T>(PhantomData<fn() -> T>);

impl<T: Data> Encoder for CsvEncoder<T> {
    type Item = T;
    const EXTENSION: &'static str = "csv";

    fn encode(records: &[T], first: bool, into: &mut Vec<u8>) -> Result<(), FileError> {
        let mut writer = csv::WriterBuilder::new().has_headers(first).from_writer(into);
        for record in records {
            writer.serialize(record).map_err(refused::<T, _>("CSV"))?;
        }
        writer.flush().map_err(refused::<T, _>("CSV"))
    }
}

fn refused<T, E: std::fmt::Display>(format: &'static str) -> impl FnOnce(E) -> FileError {
    move |error| FileError::Encode {
        record: std::any::type_name::<T>(),
        format,
        message: error.to_string(),
    }
}
