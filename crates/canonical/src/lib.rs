//! The canonical form of snapshots: a folder of Parquet files that any tool can read, without the job
//! and without Tidegate.
//!
//! ```text
//!   worker's table --native entries--> [column]: Arrow --Parquet--> one file per operator, state, subtask
//!   native segment <--native entries-- [cell]:   Arrow <--Parquet--
//! ```
//!
//! State is kept in the native form, and described by its type's notation ([`tidegate_snapshot::described`]). From the two
//! follows everything else: this crate needs none of the job's code, and what it reads and writes on
//! the job's side is the native form alone.
//!
//! | module | what it holds |
//! |---|---|
//! | `column` | native to Arrow |
//! | `cell` | Arrow to native |
//! | [`table`], [`reader`] | the Parquet file of a state, written and read |
//! | `sink` | keyed state, as it is encoded, into tables |
//! | [`inspect`] | what is in a snapshot of either form |
//! | [`json`] | values as people read them |
//! | `paths` | what the files are called |
//! | [`convert`] | whole snapshots, from one form to the other |

mod cell;
mod column;
pub mod convert;
mod error;
pub mod inspect;
pub mod json;
mod paths;
pub mod reader;
mod sink;
pub mod table;

pub use error::CanonicalError;
pub use paths::table_path;
pub use sink::TableSink;
