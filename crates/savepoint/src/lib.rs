//! Savepoints as data: read, changed and written without the job that they are of.
//!
//! ```no_run
//! use std::collections::BTreeMap;
//! use tidegate_savepoint::{Savepoint, SavepointWriter};
//!
//! # fn main() -> Result<(), tidegate_savepoint::Error> {
//! // Read a state, by the program's own types.
//! let savepoint = Savepoint::open("savepoints/savepoint-02432e-49ea91f4c7f7")?;
//! for entry in savepoint.entries::<String, u64>("words", "count")? {
//!     let (word, count) = entry?;
//!     println!("{word}: {count}");
//! }
//!
//! // Write it again, changed.
//! let mut writer = SavepointWriter::of(&savepoint);
//! writer.remove_operator("old");
//! writer.rename_operator("words", "words-by-count")?;
//! writer.map_values("words-by-count", "count", |_word: &String, count: u64| Some(count * 2))?;
//! writer.write("savepoints/changed")?;
//!
//! // Or begin with nothing: a job starts warm.
//! let mut writer = SavepointWriter::new("wordcount");
//! let counts = BTreeMap::from([("tide".to_owned(), 7_u64)]);
//! writer.value_state("words", "count", counts)?;
//! writer.write("savepoints/warm")?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything is in memory, and every call blocks. With the feature `arrow`, which takes long to build, a
//! state can be had as record batches too.

#[cfg(feature = "arrow")]
mod batches;
mod error;
mod operator;
mod read;
mod write;

pub use error::Error;
pub use read::{Entries, Savepoint};
pub use tidegate_state::TimeDomain;
pub use write::SavepointWriter;

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
