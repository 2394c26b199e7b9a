//! Whether the quotes of a record make sense.
//!
//! `csv_core` takes what it is given: a quote that is never closed makes one record of the rest of
//! the file, and text behind a closing quote is read as if there had been none. Both are a fault of
//! the input, and which lines belong to the record is not known then.

use memchr::memchr;

/// Where a look at a record's bytes stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A field begins.
    #[default]
    Beginning,
    /// In a field without quotes.
    Plain,
    /// In a quoted field.
    Quoted,
    /// Behind a quote in a quoted field: its end, or the first of a pair.
    Closing,
    /// Blanks follow the end of a quoted field.
    Closed,
    /// Something else does.
    Wrong,
}

/// Looks at the bytes of one record, piece by piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quotes {
    delimiter: u8,
    state: State,
}

/// What is wrong with a record's quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misquoted {
    /// A field's quote is not closed, as far as anybody has looked.
    Open,
    /// There is text between a field's closing quote and the next delimiter.
    TextBehind,
}

impl Quotes {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, state: State::default() }
    }

    /// Looks at more of the record.
    pub(super) fn look_at(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let is_plain = matches!(self.state, State::Beginning | State::Plain);
        if is_plain && memchr(b'"', bytes).is_none() {
            self.state = if self.is_end(*last) { State::Beginning } else { State::Plain };
            return;
        }
        for byte in bytes {
            self.state = self.after(*byte);
        }
    }

    fn is_end(&self, byte: u8) -> bool {
        byte == self.delimiter || matches!(byte, b'\r' | b'\n')
    }

    fn after(&self, byte: u8) -> State {
        let is_end = self.is_end(byte);
        match (self.state, byte) {
            (State::Wrong, _) => State::Wrong,
            (State::Quoted, b'"') => State::Closing,
            (State::Quoted, _) | (State::Closing | State::Beginning, b'"') => State::Quoted,
            _ if is_end => State::Beginning,
            (State::Closing | State::Closed, b' ' | b'\t') => State::Closed,
            (State::Closing | State::Closed, _) => State::Wrong,
            (State::Beginning | State::Plain, _) => State::Plain,
        }
    }

    /// What is wrong with what has been looked at, if that was all.
    pub(super) fn fault(&self) -> Option<Misquoted> {
        match self.state {
            State::Quoted => Some(Misquoted::Open),
            State::Wrong => Some(Misquoted::TextBehind),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(record: &[u8]) -> Option<Misquoted> {
        let mut quotes = Quotes::new(b',');
        quotes.look_at(record);
        quotes.fault()
    }

    #[test]
    fn quotes_that_make_sense() {
        for record in [
            "a,b\n",
            "\"a\",b\n",
            "\"a\"\"b\",\"\"\n",
            "5\" pipe,x\n",
            "\"a\" ,b\r\n",
            "\"a\n,b\"\n",
        ] {
            assert_eq!(fault(record.as_bytes()), None, "{record:?}");
        }
    }

    #[test]
    fn quotes_that_do_not() {
        assert_eq!(fault(b"2,\"open\n3,x\n"), Some(Misquoted::Open));
        assert_eq!(fault(b"\"a\"\""), Some(Misquoted::Open));
        assert_eq!(fault(b"2,\"open\n3,\"x\"\n"), Some(Misquoted::TextBehind));
        assert_eq!(fault(b"\"a\"b,c\n"), Some(Misquoted::TextBehind));
        assert_eq!(fault(b"\"a\" \"b\",c\n"), Some(Misquoted::TextBehind));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[a\", \n]{0,12}", cut in 0..12_usize) {
            let (first, second) = text.as_bytes().split_at(cut.min(text.len()));
            let mut quotes = Quotes::new(b',');
            quotes.look_at(first);
            quotes.look_at(second);
            let mut slow = Quotes::new(b',');
            slow.state = text.bytes().fold(State::Beginning, |state, byte| {
                Quotes { state, ..slow }.after(byte)
            });
            prop_assert_eq!(quotes.fault(), slow.fault());
        }
    }
}
