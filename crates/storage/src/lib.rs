//! Where things are kept: folders in any object store, and small files that are written once.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Address`] | the one way from a location's text to where it lies |
//! | [`Place`], [`Places`] | folders in stores, opened once and handed on as values |
//! | [`Records`] | small files of which each is written once by one of many |
//! | [`faults`] | a store that fails on demand, for tests |
//!
//! What a snapshot is, and who may delete one, is for `tidegate-snapshot` to know.

mod address;
mod error;
pub mod faults;
mod place;
mod records;
mod upload;

pub use address::{Address, absolute};
pub use error::StoreError;
pub use place::{Place, Places};
pub use records::Records;
