//! A format whose records are the good ones of another and its bad ones too.

use tidegate_core::Data;

use super::{
    super::{error::FileError, window::Window},
    Format, Parsed, Parser,
};

/// The records of the format `F`, good ones and bad ones, in the order of the file.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetters<F>(pub(in super::super) F);

impl<F: Format> Format for DeadLetters<F> {
    type Item = Parsed<F::Item>;
    type Parser = DeadLetters<F::Parser>;

    fn parser(&self) -> Self::Parser {
        DeadLetters(self.0.parser())
    }
}

impl<P: Parser<Item: Data>> Parser for DeadLetters<P> {
    type Item = Parsed<P::Item>;

    fn begin(&mut self, window: &mut Window) -> Result<u64, FileError> {
        self.0.begin(window)
    }

    fn next(&mut self, window: &mut Window) -> Result<Option<Parsed<Self::Item>>, FileError> {
        Ok(self.0.next(window)?.map(Parsed::Good))
    }
}
