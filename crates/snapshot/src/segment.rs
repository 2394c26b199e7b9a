//! What one subtask of one operator puts into a snapshot file.
//!
//! ```text
//!   keyed:  magic version | block block … | index: (group, state, entries, offset, length)* |
//!           first group, last group + 1, index offset, index length, magic
//!   lists:  magic version | postcard of the lists
//! ```
//!
//! A keyed segment is a sequence of blocks, one per key group and state, with an index at its end,
//! so that a reader can take some of the groups and leave the others.

mod index;
mod lists;
mod reader;
mod writer;

pub use self::{
    lists::{ItemType, ListSegment, ListState, Redistribution},
    reader::{Block, KeyedSegmentReader},
    writer::{BlockSink, KeyedSegmentWriter},
};
use crate::SnapshotError;

const KEYED_MAGIC: &[u8; 8] = b"TGkeyed1";

/// What follows the magic, whose last byte is the version's digit.
fn strip_magic<'a>(bytes: &'a [u8], magic: &[u8; 8]) -> Result<&'a [u8], SnapshotError> {
    let (name, ours) = (&magic[..7], magic[7]);
    match bytes.strip_prefix(name) {
        Some([version, rest @ ..]) if *version == ours => Ok(rest),
        Some([version @ b'0'..=b'9', ..]) => Err(SnapshotError::Version {
            path: "segment".to_owned(),
            found: u64::from(version - b'0'),
        }),
        _ => {
            let expected = String::from_utf8_lossy(magic);
            Err(corrupt(&format!("it does not begin with `{expected}`")))
        }
    }
}

fn corrupt(problem: &str) -> SnapshotError {
    SnapshotError::Corrupt { path: "segment".to_owned(), problem: problem.to_owned() }
}
#[cfg(test)]
mod tests;
