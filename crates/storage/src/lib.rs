//! Where things are kept: folders in any object store, and small files that are written once.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Address`] | the one way from a location's text to where it lies |
//! | [`Place`], [`Places`] | folders in stores, opened once and handed on as values |
//! | [`Records`] | small files of which each is written once by one of many |
//! | [`log`] | one log per job: who runs it, and which of its snapshots are complete |
//! | [`presence`] | whether another run of a job lives |
//! | [`faults`] | a store that fails on demand, for tests |
//!
//! What a snapshot is, and who may delete one, is for `tidegate-snapshot` to know.

#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "tests wait, and do things at the same time")
)]

mod address;
mod error;
pub mod faults;
pub mod log;
mod place;
pub mod presence;
mod records;
mod upload;

pub use address::{Address, absolute};
pub use error::StoreError;
pub use place::{Place, Places};
pub use records::Records;
