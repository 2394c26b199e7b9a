//! The native form of one value: postcard, whose wire format is specified and stable.
//!
//! The only place that names it. Measured against bitcode in `bench/codec.md`.
//!
//! # Invariants
//!
//! - INV-ALL-FIELDS: a struct writes all of its fields, since the form has no names to tell which are
//!   there: one that leaves some out is refused when it does so.

mod write;

use serde::{Serialize, de::DeserializeOwned};

use self::write::Writer;
pub use self::write::{EncodeError, Unwatched, Watch};

/// A value that can't be written, or bytes that are not one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CodecError {
    /// The value's own `Serialize`, or the form, does not allow it.
    #[error("the value can't be encoded")]
    Encode(#[source] EncodeError),
    /// The bytes are not such a value.
    #[error("the bytes are not a value of the expected type")]
    Decode(#[source] postcard::Error),
    /// The bytes are a value of another type, which can't be read as this one.
    #[error("the value can't be read as the program's type")]
    Carry(#[source] crate::wire::WireError),
    /// The bytes are more than such a value.
    #[error("{count} bytes are left over behind the value")]
    LeftOver {
        /// How many.
        count: usize,
    },
    /// What was written of a value can't be read back as it.
    #[error("{0}")]
    Unreadable(String),
}

/// Appends `value` to `out`.
///
/// # Errors
///
/// What the value's own `Serialize` reports, and when it leaves a field out (INV-ALL-FIELDS).
#[inline]
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    encode_watched(value, out, &mut Unwatched)
}

/// As [`encode`], and tells `watch` of what is in the value.
///
/// # Errors
///
/// As [`encode`].
#[inline]
pub fn encode_watched<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    watch: &mut impl Watch,
) -> Result<(), CodecError> {
    value.serialize(&mut Writer::new(out, watch)).map_err(CodecError::Encode)
}

/// Takes one value from the front of `bytes`.
///
/// # Errors
///
/// When there is no such value; `bytes` then stays where it is.
#[inline]
pub fn decode<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, CodecError> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(CodecError::Decode)?;
    *bytes = rest;
    Ok(value)
}

/// Reads one value and refuses bytes behind it.
///
/// # Errors
///
/// When the bytes are not exactly one such value.
pub fn decode_exact<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, CodecError> {
    let value = decode(&mut bytes)?;
    if bytes.is_empty() { Ok(value) } else { Err(CodecError::LeftOver { count: bytes.len() }) }
}

#[cfg(test)]
mod tests;
