//! CSV, with a header line or without.
//!
//! `csv_core` cuts the content into fields and `csv` makes records of them through serde; between
//! the two, this module knows on which line and at which byte each record begins, which the reader
//! of the `csv` crate does not tell exactly behind blank lines and `\r\n`.
//!
//! A record whose [`quotes`] make no sense counts as its first line alone: it is bad, and the lines
//! behind it are read as if it ended there.

mod header;
mod quotes;

use std::marker::PhantomData;

use csv::ByteRecord;
use csv_core::ReadRecordResult;
use serde::de::DeserializeOwned;
use tidegate_core::Data;

use self::quotes::{Misquoted, Quotes};
use super::{
    super::{
        error::{DeadLetter, FileError},
        window::{MAX_RECORD_BYTES, Window},
    },
    Format, Parsed, Parser,
};

/// CSV as RFC 4180 has it: quoted fields may hold delimiters, line ends and doubled quotes. Blank
/// lines are passed over. A quote that is not closed, or that has text behind it, makes a bad record
/// of its line.
///
/// With a header, fields find their way into a `T` by name, and a header that lacks one is an error
/// of the file; without, by their order. All records must have as many fields as the header, or as
/// the first record.
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
        while let Some(Cut::Misquoted(letter)) = self.cutter.next(window, &mut first)? {
            if self.header {
                return Err(FileError::BadRecord(letter));
            }
        }
        self.width = first.len();
        if !self.header {
            return Ok(beginning);
        }
        header::check::<T>(&first, self.delimiter, window.path())?;
        self.names = first;
        Ok(window.offset())
    }

    fn next(&mut self, window: &mut Window) -> Result<Option<Parsed<T>>, FileError> {
        let line = match self.cutter.next(window, &mut self.record)? {
            None => return Ok(None),
            Some(Cut::Misquoted(letter)) => return Ok(Some(Parsed::Bad(letter))),
            Some(Cut::Record { line }) => line,
        };
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

/// A record as it was cut out of the content.
enum Cut {
    /// It has fields, and begins on this line.
    Record { line: u64 },
    /// It has none that could be relied upon.
    Misquoted(DeadLetter),
}

/// Cuts the content into records and these into fields.
struct Cutter {
    delimiter: u8,
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
        let reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        let (fields, ends) = (vec![0; 1024], vec![0; 64]);
        let mut cutter = Self { delimiter, reader, fields, ends, null_literal };
        cutter.begin_anew();
        cutter
    }

    /// Has the reader forget what it has read of a record.
    fn begin_anew(&mut self) {
        self.reader.reset();
        // It drops a byte order mark from the first thing it reads, which is the window's task and
        // must not happen in the middle of a file: give it a blank line first.
        self.reader.read_record(b"\n", &mut [0], &mut [0]);
    }

    /// Takes the next record out of the window, `None` at the end of the file.
    ///
    /// All of it stays in the window until it is known to be one.
    fn next(
        &mut self,
        window: &mut Window,
        record: &mut ByteRecord,
    ) -> Result<Option<Cut>, FileError> {
        skip_line_ends(window)?;
        window.begin_record();
        let line = window.line();
        let mut quotes = Quotes::new(self.delimiter);
        let (mut seen, mut written, mut ended) = (0, 0, 0);
        let is_record = loop {
            let unseen = &window.data()[seen..];
            let (result, read, wrote, fields) = self.reader.read_record(
                unseen,
                &mut self.fields[written..],
                &mut self.ends[ended..],
            );
            quotes.look_at(&unseen[..read]);
            seen += read;
            written += wrote;
            ended += fields;
            match result {
                ReadRecordResult::Record => break true,
                ReadRecordResult::End => break false,
                ReadRecordResult::InputEmpty
                    if quotes.fault() == Some(Misquoted::TextBehind)
                        && first_line_end(window.data()).is_some() =>
                {
                    break true;
                }
                ReadRecordResult::InputEmpty if window.is_full() => match quotes.fault() {
                    Some(_) => break true,
                    None => return Err(window.too_long(line)),
                },
                // At the end of the file there is nothing unseen, which tells the reader so.
                ReadRecordResult::InputEmpty => _ = window.fill()?,
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        };
        if let Some(fault) = quotes.fault() {
            return Ok(Some(self.give_up(window, line, fault)));
        }
        window.consume(seen);
        self.fill_record(ended, record);
        Ok(is_record.then_some(Cut::Record { line }))
    }

    /// Takes a line out of the window that begins a record without an end.
    fn give_up(&mut self, window: &mut Window, line: u64, fault: Misquoted) -> Cut {
        self.begin_anew();
        let message = match fault {
            Misquoted::Open if window.is_full() => {
                format!("a quote is opened here and not closed within {MAX_RECORD_BYTES} bytes")
            }
            Misquoted::Open => "a quote is opened here and never closed".to_owned(),
            Misquoted::TextBehind => {
                "there is text behind the quote that closes a field; within a quoted field a \
                 quote is doubled"
                    .to_owned()
            }
        };
        // The window holds the record as far as it was looked at, and its first line for certain: one
        // without an end is the rest of the file, or more than fits.
        let data = window.data();
        let (text, whole) = match first_line_end(data) {
            Some(end) => (end, end + 1),
            None => (data.len(), data.len()),
        };
        let value = String::from_utf8_lossy(&data[..text]).into_owned();
        let file = window.path().to_owned();
        window.consume(whole);
        Cut::Misquoted(DeadLetter { file, line, column: None, value, message })
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

/// Where the first line ends, if that has been read.
fn first_line_end(data: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', b'\r', data)
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
