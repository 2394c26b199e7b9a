//! What one subtask of one operator puts into a snapshot file.
//!
//! ```text
//!   keyed:  magic version | block block … |
//!           index: (group, state, entries, offset, length, checksum of the block)* |
//!           first group, last group + 1, index offset, index length,
//!           checksum of the index and of these four, magic version
//!   lists:  magic version | postcard of the lists
//! ```
//!
//! A keyed segment is a sequence of blocks, each of one key group and state, with an index at its
//! end, so that a reader can take some of the groups and leave the others. A state that is long has
//! several blocks of the same group, one behind the other: nobody has to hold more than one of them.
//! Version 1 is still read; it has no checksums, and one block for each group and state.

mod blocks;
mod index;
mod lists;
mod reader;
mod writer;

pub use self::{
    blocks::{BlockSource, BlockStream, OwnedBlock},
    index::{BlockPlace, FOOTER, SegmentIndex, runs_of},
    lists::{ItemType, ListSegment, ListState, Redistribution},
    reader::{Block, KeyedSegmentReader, SegmentSource},
    writer::{BlockSink, KeyedSegmentWriter},
};
use crate::SnapshotError;

const KEYED_NAME: &[u8; 7] = b"TGkeyed";
/// The version that is written, a digit.
const KEYED_VERSION: u8 = b'2';

/// What a keyed segment that is written begins and ends with.
fn keyed_magic() -> [u8; 8] {
    let mut magic = [KEYED_VERSION; 8];
    magic[..7].copy_from_slice(KEYED_NAME);
    magic
}

fn other_version(found: u8, known: u8) -> SnapshotError {
    let digit = |version| u64::from(version - b'0');
    let path = "segment".to_owned();
    SnapshotError::Version { path, found: digit(found), known: digit(known) }
}

/// What follows the magic, whose last byte is the version's digit.
fn strip_magic<'a>(bytes: &'a [u8], magic: &[u8; 8]) -> Result<&'a [u8], SnapshotError> {
    let (name, ours) = (&magic[..7], magic[7]);
    match bytes.strip_prefix(name) {
        Some([version, rest @ ..]) if *version == ours => Ok(rest),
        Some([version @ b'0'..=b'9', ..]) => Err(other_version(*version, ours)),
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
