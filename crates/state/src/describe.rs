//! What a type looks like to serde, in words that a snapshot keeps and an error shows.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! #[derive(serde::Deserialize)]
//! struct Stats {
//!     flights: u64,
//!     delay: Option<f64>,
//!     by_month: BTreeMap<u8, u32>,
//! }
//! assert_eq!(
//!     tidegate_state::type_description::<Stats>(),
//!     "Stats { flights: u64, delay: Option<f64>, by_month: Map<u8, u32> }"
//! );
//! ```
//!
//! # Protocol
//!
//! The type is deserialized from nothing, again and again: [`trace`] answers whatever it asks for
//! with a made-up value and notes what that was. One pass sees one variant of each enum, so there
//! are passes until every variant has been seen; a value that the type refuses (a zero, an empty
//! string) is replaced by the next candidate in the next pass. A type that asks what the bytes
//! hold, or refuses every candidate, can't be traced: its Rust name stands for it.

mod memory;
mod shape;
mod trace;

use serde::de::DeserializeOwned;

/// Describes the structure of `T` as serde reads it: names and types of fields and variants.
///
/// Two types with the same description have the same native form. A type that can't be traced is
/// described by its name in Rust.
#[must_use]
pub fn type_description<T: DeserializeOwned>() -> String {
    match trace::trace::<T>() {
        Some(shape) => shape.to_string(),
        None => std::any::type_name::<T>().to_owned(),
    }
}

#[cfg(test)]
mod tests;
