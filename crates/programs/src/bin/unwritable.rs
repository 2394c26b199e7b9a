//! A job one of whose records can't be written, and so not be sent to another process.

use std::process::ExitCode;

use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use tidegate::{discard::discard, generator::Generator, prelude::*};

/// A number that can't be written if it is this one.
#[derive(Clone, Deserialize)]
struct Unwritable(u64);

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 31_337 {
            return Err(S::Error::custom("there is no way to write it"));
        }
        serializer.serialize_newtype_struct("Unwritable", &self.0)
    }
}

fn main() -> ExitCode {
    Job::new("unwritable").run(|env| {
        env.source("numbers", Generator::new(None, Unwritable).rate(100_000))
            .broadcast()
            .sink("sink", discard());
        Ok(())
    })
}
