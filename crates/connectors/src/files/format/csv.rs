//! CSV, with a header line or without.
//!
//! `csv_core` cuts the content into fields and `csv` makes records of them through serde; between
//! the two, this module knows on which line and at which byte each record begins, which the reader
//! of the `csv` crate does not tell exactly behind blank lines and `\r\n`.

use std::marker::PhantomData;

use csv::ByteRecord;
use csv_core::ReadRecordResult;
use serde::de::DeserializeOwned;
use tidegate_core::Data;

use super::{
    super::{
        error::{DeadLetter, FileError},
        window::{MAX_RECORD_BYTES, Window},
    },
    Format, Parsed, Parser,
};

/// CSV as RFC 4180 has it: quoted fields may hold delimiters, line ends and doubled quotes. Blank
/// lines are passed over.
///
/// With a header, fields find their way into a `T` by name; without, by their order. All records
/// must have as many fields as the header, or as the first record.
#[derive(Debug)]
pub struct Csv<T> {
    delimiter: u8,
    header: bool,
    null_literal: Option<String>,
    item: PhantomData<fn() -> T>,
}

impl<T> Clone for Csv<T> {
    fn clone(&self) -> Self {
        Self {
            delimiter: self.delimiter,
            header: self.header,
            null_literal: self.null_literal.clone(),
            item: PhantomData,
        }
    }
}

impl<T> Default for Csv<T> {
    fn default() -> Self {
        Self { delimiter: b',', header: true, null_literal: None, item: PhantomData }
    }
}

impl<T> Csv<T> {
    pub(in super::super) fn set_delimiter(&mut self, delimiter: u8) {
        self.delimiter = delimiter;
    }

    pub(in super::super) fn set_header(&mut self, header: bool) {
        self.header = header;
    }

    pub(in super::super) fn set_null_literal(&mut self, literal: String) {
        self.null_literal = Some(literal);
    }
}

impl<T: Data> Format for Csv<T> {
    type Item = T;
    type Parser = CsvParser<T>;

    fn parser(&self) -> CsvParser<T> {
        CsvParser {
            cutter: Cutter::new(self.delimiter, self.null_literal.clone()),
            delimiter: self.delimiter,
            header: self.header,
            names: ByteRecord::new(),
            width: 0,
            record: ByteRecord::new(),
            item: PhantomData,
        }
    }
}

/// Parses one CSV file.
pub struct CsvParser<T> {
    cutter: Cutter,
    delimiter: u8,
    header: bool,
    /// The header, empty if there is none.
    names: ByteRecord,
    /// How many fields each record has.
    width: usize,
    record: ByteRecord,
    item: PhantomData<fn() -> T>,
}

impl<T: Data> Parser for CsvParser<T> {
    type Item = T;

    fn begin(&mut self, window: &mut Window) -> Result<u64, FileError> {
        let beginning = window.offset();
        let mut first = ByteRecord::new();
        self.cutter.next(window, &mut first)?;
        self.width = first.len();
        if !self.header {
            return Ok(beginning);
        }
        self.names = first;
        Ok(window.offset())
    }

    fn next(&mut self, window: &mut Window) -> Result<Option<Parsed<T>>, FileError> {
        let Some(line) = self.cutter.next(window, &mut self.record)? else { return Ok(None) };
        Ok(Some(match self.parse() {
            Ok(record) => Parsed::Good(record),
            Err(fault) => Parsed::Bad(DeadLetter {
                file: window.path().to_owned(),
                line,
                column: fault.column,
                value: fault.value,
                message: fault.message,
            }),
        }))
    }
}

/// What is wrong with a record.
struct Fault {
    column: Option<String>,
    value: String,
    message: String,
}

impl<T: DeserializeOwned> CsvParser<T> {
    fn parse(&self) -> Result<T, Fault> {
        if self.record.len() != self.width {
            let message = format!("expected {} fields, found {}", self.width, self.record.len());
            return Err(self.fault_of_record(message));
        }
        let names = self.header.then_some(&self.names);
        self.record.deserialize(names).map_err(|error| self.fault(error))
    }

    fn fault(&self, error: csv::Error) -> Fault {
        let csv::ErrorKind::Deserialize { err, .. } = error.kind() else {
            return self.fault_of_record(error.to_string());
        };
        let field = err.field().and_then(|field| usize::try_from(field).ok());
        let Some((field, value)) = field.and_then(|field| Some((field, self.record.get(field)?)))
        else {
            return self.fault_of_record(err.kind().to_string());
        };
        Fault {
            column: Some(self.column_name(field)),
            value: String::from_utf8_lossy(value).into_owned(),
            message: err.kind().to_string(),
        }
    }

    fn fault_of_record(&self, message: String) -> Fault {
        let fields: Vec<&[u8]> = self.record.iter().collect();
        let value = fields.join(&self.delimiter);
        Fault { column: None, value: String::from_utf8_lossy(&value).into_owned(), message }
    }

    fn column_name(&self, field: usize) -> String {
        match self.names.get(field) {
            Some(name) => String::from_utf8_lossy(name).into_owned(),
            None => (field + 1).to_string(),
        }
    }
}

/// Cuts the content into records and these into fields.
struct Cutter {
    reader: csv_core::Reader,
    /// The fields' bytes one behind the other, without quotes.
    fields: Vec<u8>,
    /// Where each field ends in `fields`.
    ends: Vec<usize>,
    /// A field of this text counts as empty.
    null_literal: Option<String>,
}

impl Cutter {
    fn new(delimiter: u8, null_literal: Option<String>) -> Self {
        let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        // It drops a byte order mark from the first thing it reads, which is the window's task and
        // must not happen in the middle of a file: give it a blank line first.
        reader.read_record(b"\n", &mut [0], &mut [0]);
        Self { reader, fields: vec![0; 1024], ends: vec![0; 64], null_literal }
    }

    /// Takes the next record out of the window and returns the line on which it begins.
    fn next(
        &mut self,
        window: &mut Window,
        record: &mut ByteRecord,
    ) -> Result<Option<u64>, FileError> {
        skip_line_ends(window)?;
        let line = window.line();
        let (mut written, mut ended) = (0, 0);
        loop {
            let (result, read, wrote, fields) = self.reader.read_record(
                window.data(),
                &mut self.fields[written..],
                &mut self.ends[ended..],
            );
            window.consume(read);
            written += wrote;
            ended += fields;
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
                // At the end of the file the window stays empty, which tells the reader so.
                ReadRecordResult::InputEmpty => _ = window.fill()?,
                ReadRecordResult::OutputFull if written >= MAX_RECORD_BYTES => {
                    return Err(window.too_long(line));
                }
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        }
        self.fill_record(ended, record);
        Ok(Some(line))
    }

    fn fill_record(&self, fields: usize, record: &mut ByteRecord) {
        record.clear();
        let null = self.null_literal.as_ref().map(String::as_bytes);
        let mut start = 0;
        for &end in &self.ends[..fields] {
            let field = &self.fields[start..end];
            record.push_field(if Some(field) == null { b"" } else { field });
            start = end;
        }
    }
}

/// Passes over what is left of the last record's end and over blank lines, so that the window
/// stands where the next record begins.
fn skip_line_ends(window: &mut Window) -> Result<(), FileError> {
    loop {
        let data = window.data();
        let blank = data.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let all = blank == data.len();
        window.consume(blank);
        if !all || !window.fill()? {
            return Ok(());
        }
    }
}
