//! The canonical form of snapshots: a folder of Parquet files that any tool can read, without the job
//! and without Tidegate.
//!
//! ```text
//!   worker's table --native entries--> [shred]    --values, levels--> Parquet: one file per operator,
//!   native segment <--native entries-- [assemble] <--values, levels--          state and subtask
//! ```
//!
//! State is kept in the native form, and described by its type's notation ([`tidegate_snapshot::described`]). From the two
//! follows everything else: this crate needs none of the job's code, and what it reads and writes on
//! the job's side is the native form alone.
//!
//! | module | what it holds |
//! |---|---|
//! | `schema`, `words` | what a type looks like as Parquet, and in words |
//! | `plan` | how the native form of a type and a table's columns belong together |
//! | `shred`, `buffer` | native to the values and levels of leaves |
//! | `assemble`, `entries` | values and levels to native |
//! | [`table`], [`reader`] | the Parquet file of a state, written and read |
//! | `arrow` | the same as record batches, with the feature `arrow` |
//! | `sink` | keyed state, as it is encoded, into tables |
//! | [`inspect`] | what is in a snapshot of either form |
//! | [`json`] | values as people read them |
//! | `paths` | what the files are called |
//! | [`convert`] | whole snapshots, from one form to the other |

#[cfg(feature = "arrow")]
pub mod arrow;
mod assemble;
mod buffer;
pub mod convert;
mod entries;
mod error;
pub mod inspect;
pub mod json;
mod leaf;
mod paths;
mod plan;
pub mod reader;
mod schema;
mod shred;
mod sink;
pub mod table;
mod words;

pub use error::CanonicalError;
pub use paths::table_path;
pub use sink::TableSink;
