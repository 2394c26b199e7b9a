//! Records in words.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::Serialize;

/// How much of a record is shown, in characters.
const SHOWN: usize = 200;

/// A character has so many bytes at most.
const LONGEST_CHARACTER: usize = 4;

/// A value as JSON, cut if it is long; `None` if it has no such form. No more of it is written than is
/// shown.
#[must_use]
pub fn shown<T: Serialize + ?Sized>(value: &T) -> Option<String> {
    let mut text = Cut::default();
    // It is the user's code that is run here.
    let written = catch_unwind(AssertUnwindSafe(|| serde_json::to_writer(&mut text, value)));
    (matches!(written, Ok(Ok(()))) || text.is_full).then(|| text.finish())
}

/// Takes what is written until it is enough.
#[derive(Default)]
struct Cut {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Cut {
    fn finish(self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.into_owned(),
        }
    }
}

impl io::Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // One more than is shown, so that it is seen that there is more.
        let room = (SHOWN + 1) * LONGEST_CHARACTER - self.bytes.len();
        let count = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..count]);
        self.is_full = count < bytes.len();
        if self.is_full { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
