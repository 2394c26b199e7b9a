//! What is in a file: how to cut it into records and parse them.
//!
//! # Invariants
//!
//! - INV-RESUME: a parser that has begun a file and is then put behind any record returns the same
//!   records after it as one that has read all before. A parser therefore keeps nothing from one
//!   record to the next but what `begin` found.

pub(super) mod csv;
pub(super) mod dead_letters;
pub(super) mod json;
pub(super) mod text;

use memchr::memchr;
use serde::{Deserialize, Serialize};
use tidegate_core::Data;

use super::{
    error::{DeadLetter, FileError},
    window::Window,
};

/// A record that could be parsed, or what is known of one that could not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parsed<T> {
    /// It could.
    Good(T),
    /// It could not.
    Bad(DeadLetter),
}

/// A format of files: makes a parser for each file.
pub trait Format: Clone + Send + 'static {
    /// What a record becomes.
    type Item: Data;
    /// What parses one file.
    type Parser: Parser<Item = Self::Item>;

    /// A parser for a file that has not been begun.
    fn parser(&self) -> Self::Parser;
}

/// Parses one file.
pub trait Parser: Send + 'static {
    /// What a record becomes.
    type Item;

    /// Looks at the beginning of the file, such as a header, and leaves the window where the first
    /// record begins, or behind that. Called once and first, also when the reader then goes on in
    /// the middle. Returns where the first record begins, in bytes.
    ///
    /// # Errors
    ///
    /// When the file can't be read or is corrupt.
    fn begin(&mut self, window: &mut Window) -> Result<u64, FileError>;

    /// Takes the next record out of the window, `None` at the end of the file; calls
    /// [`Window::begin_record`] where it begins, if that is not where the window does. After a bad
    /// record the window stands behind it.
    ///
    /// # Errors
    ///
    /// When the file can't be read or is corrupt.
    fn next(&mut self, window: &mut Window) -> Result<Option<Parsed<Self::Item>>, FileError>;
}

/// A line in the window.
pub(super) struct Line {
    /// How long it is without its end, in bytes.
    pub(super) text: usize,
    /// How long it is with its end, in bytes.
    pub(super) whole: usize,
}

/// Gets the whole next line into the window; `None` at the end of the file. The last line needs no
/// line feed; a carriage return before it belongs to the line's end.
pub(super) fn next_line(window: &mut Window) -> Result<Option<Line>, FileError> {
    let mut searched = 0;
    let whole = loop {
        let data = window.data();
        if let Some(found) = memchr(b'\n', &data[searched..]) {
            break searched + found + 1;
        }
        searched = data.len();
        if !window.fill()? {
            break searched;
        }
    };
    if whole == 0 {
        return Ok(None);
    }
    let line = &window.data()[..whole];
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text).len();
    Ok(Some(Line { text, whole }))
}
