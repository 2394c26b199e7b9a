//! Bytes to structs and back: what a snapshot is on storage.
//!
//! ```text
//!   <checkpoint dir>/<job id>/chk-<n>/_metadata            JSON, written last and at once
//!                                    /state-0-<token>      one file per process
//!   <savepoint dir>/savepoint-<6 of job id>-<12 random>/…  the same
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`codec`] | the native form of one value |
//! | [`described`] | types as snapshots describe them |
//! | [`wire`] | values in the native form, walked through by such a type |
//! | [`segment`] | what one subtask of one operator puts into a file |
//! | [`manifest`] | `_metadata`: which segment lies where, with lengths and checksums |
//! | [`store`] | folders and files of snapshots, and who may delete them |
//!
//! # Invariants
//!
//! - INV-LAST: a snapshot exists if and only if its `_metadata` does, which is written after every
//!   file it names, and never over another one.
//! - INV-WHOLE: `_metadata` is written only where every file that it names has been seen, with its
//!   length.
//! - INV-SELF: every path in it is relative, so that a snapshot can be moved.
//! - INV-CHECKED: nothing is decoded before its checksum has been compared.

pub mod codec;
pub mod described;
mod error;
pub mod manifest;
pub mod segment;
pub mod store;
pub mod wire;

pub use error::{CommitError, SnapshotError};
