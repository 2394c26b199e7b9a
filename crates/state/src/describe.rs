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
//!
//! What a type writes is another matter: [`check`] holds it against what the type reads, before there
//! is a value, and [`on_write`] again while values are written.

pub(crate) mod check;
mod memory;
pub(crate) mod on_write;
mod probe;
pub(crate) mod shape;
mod trace;
mod written;

use serde::de::DeserializeOwned;

use self::shape::Shape;

/// Describes the structure of `T` as serde reads it: names and types of fields and variants.
///
/// Two types with the same description have the same native form. A type that can't be traced is
/// described by its name in Rust.
#[must_use]
pub fn type_description<T: DeserializeOwned>() -> String {
    describe::<T>(traced::<T>(false))
}

/// Describes lists of `T`.
pub(crate) fn list_description<T: DeserializeOwned>() -> String {
    describe::<Vec<T>>(traced::<T>(false).map(|element| Shape::List(Box::new(element))))
}

/// Describes maps from `K` to `V`.
pub(crate) fn map_description<K: DeserializeOwned, V: DeserializeOwned>() -> String {
    let map = traced::<K>(false).zip(traced::<V>(false));
    describe::<(K, V)>(map.map(|(key, value)| Shape::Map(Box::new(key), Box::new(value))))
}

fn describe<T>(shape: Option<Shape>) -> String {
    shape.map_or_else(|| std::any::type_name::<T>().to_owned(), |shape| shape.to_string())
}

/// What `T` can be read from: its structure, with the other names and the defaults of its fields;
/// `None` if it can't be traced.
#[must_use]
pub fn accepted<T: DeserializeOwned>() -> Option<Shape> {
    traced::<T>(true)
}

fn traced<T: DeserializeOwned>(with_defaults: bool) -> Option<Shape> {
    trace::trace::<T>(with_defaults).ok().map(|traced| traced.shape)
}

pub(crate) fn accepted_list<T: DeserializeOwned>() -> Option<Shape> {
    accepted::<T>().map(|element| Shape::List(Box::new(element)))
}

pub(crate) fn accepted_map<K: DeserializeOwned, V: DeserializeOwned>() -> Option<Shape> {
    let map = accepted::<K>().zip(accepted::<V>());
    map.map(|(key, value)| Shape::Map(Box::new(key), Box::new(value)))
}

#[cfg(test)]
mod tests;
