//! JSON lines: each line that is not blank is a JSON document.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use tidegate_core::Data;

use super::{
    super::{
        error::{DeadLetter, FileError},
        window::Window,
    },
    Format, Parsed, Parser, next_line,
};

/// JSON lines: each line that is not blank is a JSON document, which becomes a `T`.
#[derive(Debug)]
pub struct JsonLines<T>(PhantomData<fn() -> T>);

impl<T> Clone for JsonLines<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for JsonLines<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Data> Format for JsonLines<T> {
    type Item = T;
    type Parser = Self;

    fn parser(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T: Data> Parser for JsonLines<T> {
    type Item = T;

    fn begin(&mut self, window: &mut Window) -> Result<u64, FileError> {
        Ok(window.offset())
    }

    fn next(&mut self, window: &mut Window) -> Result<Option<Parsed<T>>, FileError> {
        loop {
            let Some(line) = next_line(window)? else { return Ok(None) };
            let text = &window.data()[..line.text];
            if text.iter().all(u8::is_ascii_whitespace) {
                window.consume(line.whole);
                continue;
            }
            window.begin_record();
            let text = &window.data()[..line.text];
            let parsed = parse(text, window);
            window.consume(line.whole);
            return Ok(Some(parsed));
        }
    }
}

fn parse<T: DeserializeOwned>(text: &[u8], window: &Window) -> Parsed<T> {
    match serde_json::from_slice(text) {
        Ok(record) => Parsed::Good(record),
        Err(error) => Parsed::Bad(DeadLetter {
            file: window.path().to_owned(),
            line: window.line(),
            // It is 0 where serde knows no place.
            column: (error.column() > 0).then(|| error.column().to_string()),
            value: String::from_utf8_lossy(text).into_owned(),
            message: without_place(&error),
        }),
    }
}

/// The error's message without the ` at line 1 column 7` that `serde_json` appends: the line is
/// always 1 here, and both are told apart from the message.
fn without_place(error: &serde_json::Error) -> String {
    let mut message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    if message.ends_with(&place) {
        message.truncate(message.len() - place.len());
    }
    message
}
