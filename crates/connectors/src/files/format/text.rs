//! Plain text: each line is a record, empty ones too.

use super::{
    super::{
        error::{DeadLetter, FileError},
        window::Window,
    },
    Format, Parsed, Parser, next_line,
};

/// Plain text in UTF-8: each line is a record, without its end (`\n` or `\r\n`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Text;

impl Format for Text {
    type Item = String;
    type Parser = Self;

    fn parser(&self) -> Self {
        Self
    }
}

impl Parser for Text {
    type Item = String;

    fn begin(&mut self, window: &mut Window) -> Result<u64, FileError> {
        Ok(window.offset())
    }

    fn next(&mut self, window: &mut Window) -> Result<Option<Parsed<String>>, FileError> {
        let Some(line) = next_line(window)? else { return Ok(None) };
        let text = &window.data()[..line.text];
        let parsed = match std::str::from_utf8(text) {
            Ok(text) => Parsed::Good(text.to_owned()),
            Err(error) => Parsed::Bad(DeadLetter {
                file: window.path().to_owned(),
                line: window.line(),
                column: None,
                value: String::from_utf8_lossy(text).into_owned(),
                message: error.to_string(),
            }),
        };
        window.consume(line.whole);
        Ok(Some(parsed))
    }
}
