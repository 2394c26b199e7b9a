//! Whether what a type writes can be read back as it, found out before there is a value.
//!
//! [`trace`](super::trace) knows what the type reads, and makes up values of it: with options set and
//! not, collections empty and filled, and each variant of each enum. Each of them is written and
//! compared with that. What only some values do is found when they are written, see
//! [`WriteCheck`](super::on_write::WriteCheck).

use serde::{Serialize, de::DeserializeOwned};
use tidegate_snapshot::codec::{self, CodecError};
use tidegate_types::key_group::key_bytes;

use super::{
    memory::{Asked, Making, Wants},
    trace::{Traced, trace},
    written::{Difference, compare},
};
use crate::Key;

/// A type whose values can't be kept, or sent, and read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct UnfitType {
    problem: String,
}

impl UnfitType {
    fn new<T>(problem: &str) -> Self {
        let name = short_name::<T>();
        Self { problem: format!("values of `{name}` can't be read back: {problem}") }
    }

    fn key<K>(problem: &str) -> Self {
        Self { problem: format!("`{}` is no type for keys: {problem}", short_name::<K>()) }
    }
}

/// A type's name in Rust, without the modules that it is in.
fn short_name<T>() -> String {
    let (mut short, mut word) = (String::new(), String::new());
    for c in std::any::type_name::<T>().chars() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else if c == ':' {
            word.clear();
        } else {
            short.push_str(&std::mem::take(&mut word));
            short.push(c);
        }
    }
    short + &word
}

/// Finds out whether what `T` writes can be read back.
///
/// # Errors
///
/// The first place where it writes something else than it reads, and the attribute that does so.
pub fn check_type<T: Serialize + DeserializeOwned>() -> Result<(), UnfitType> {
    check_traced::<T>().map(drop)
}

/// What was found out on the way, `None` of a type that can't be traced.
fn check_traced<T: Serialize + DeserializeOwned>() -> Result<Option<Traced>, UnfitType> {
    let traced = match trace::<T>(false) {
        Ok(traced) => traced,
        Err(Some(asked)) => return Err(UnfitType::new::<T>(&explain(&asked))),
        // Its values show whether they can be read back.
        Err(None) => return Ok(None),
    };
    traced.make_all(|value: &T| match compare(value, &traced.shape) {
        Err(difference @ Difference::At { .. }) => {
            Err(UnfitType::new::<T>(&difference.to_string()))
        }
        // A value that was made up may be one that the type does not write.
        Err(Difference::Own(_)) => Ok(()),
        Ok(()) => check_value(value).map_err(|problem| UnfitType::new::<T>(&problem)),
    })?;
    Ok(Some(traced))
}

/// Writes a value, reads it, and writes that.
fn check_value<T: Serialize + DeserializeOwned>(value: &T) -> Result<(), String> {
    let mut bytes = Vec::new();
    match codec::encode(value, &mut bytes) {
        Ok(()) => check_bytes::<T>(&bytes),
        Err(CodecError::Encode(codec::EncodeError::Own(_))) => Ok(()),
        Err(error) => Err(tidegate_types::error::chain(&error)),
    }
}

/// Reads what was written of a value, and writes that: it has to be the same.
///
/// # Errors
///
/// What is wrong, in words.
pub(super) fn check_bytes<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<(), String> {
    let again = codec::decode_exact::<T>(bytes);
    let again = again.map_err(|error| {
        format!("its own bytes are none of it ({})", tidegate_types::error::chain(&error))
    })?;
    let mut second = Vec::with_capacity(bytes.len());
    codec::encode(&again, &mut second).map_err(|error| tidegate_types::error::chain(&error))?;
    // Collections without an order are written in another one the second time.
    let in_order = |bytes: &[u8]| {
        let mut counts = [0_usize; 256];
        bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        counts
    };
    if in_order(bytes) == in_order(&second) {
        return Ok(());
    }
    Err("a value that was written and read is another one".to_owned())
}

/// Which attribute makes a type ask for what the native form does not tell.
fn explain(asked: &Asked) -> String {
    let Asked { path, by, wants } = asked;
    let problem = if *wants == Wants::FieldName {
        "it reads its fields by name, as `#[serde(flatten)]` does".to_owned()
    } else if *wants == Wants::Tag {
        "it tells what is beside it (`#[serde(tag = …, content = …)]`)".to_owned()
    } else if by.contains("serde_json") {
        "a `serde_json::Value` holds whatever its text says".to_owned()
    } else if by.contains("TaggedContent") {
        "it is an enum with its tag inside (`#[serde(tag = …)]`)".to_owned()
    } else if by.contains("Content") {
        "it is `#[serde(untagged)]`, or inside of what is flattened or has its tag inside"
            .to_owned()
    } else {
        format!("it asks what comes next (`deserialize_any`, in `{by}`)")
    };
    let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
    format!("{place}{problem}, and what is kept does not tell: it has neither names nor types")
}

/// How often a collection is made: two sets of two values are written in the same order half of the
/// time, and this many never are.
const ATTEMPTS: usize = 48;

/// Finds out whether `K` can be a key: whether equal keys are written alike, always.
///
/// # Errors
///
/// As [`check_type`], and when one key is written in several ways.
pub fn check_key<K: Key>() -> Result<(), UnfitType> {
    let Some(traced) = check_traced::<K>()? else { return Ok(()) };
    if !traced.shape.has_collections() {
        return Ok(());
    }
    for round in 0..traced.rounds() {
        let make = |backwards| traced.make::<K>(Making::Many { backwards, round });
        let Some(first) = make(false) else { continue };
        for attempt in 0..ATTEMPTS {
            let Some(second) = make(attempt % 2 == 1) else { continue };
            if first == second
                && let (Ok(one), Ok(other)) = (key_bytes(&first), key_bytes(&second))
                && one != other
            {
                return Err(UnfitType::key::<K>(
                    "equal values of it are written in different ways, as those of a `HashSet` or \
                     a `HashMap` are, so that records of one key would go to different places; use \
                     a `BTreeSet`, a `BTreeMap` or a sorted list",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
