//! The native form of one value: postcard, whose wire format is specified and stable.
//!
//! The only place that names it. Measured against bitcode in `bench/codec.md`.

use serde::{Serialize, de::DeserializeOwned};

/// A value that can't be written, or bytes that are not one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CodecError {
    /// The value's own `Serialize`, or the form, does not allow it.
    #[error("the value can't be encoded")]
    Encode(#[source] postcard::Error),
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
}

/// Appends `value` to `out`.
///
/// # Errors
///
/// What the value's own `Serialize` reports.
#[inline]
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    postcard::serialize_with_flavor(value, Append { out }).map_err(CodecError::Encode)
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

/// Up to here bytes are appended one by one: for a number, which most values are, calling the
/// function that copies memory takes longer than what it does.
const SHORT: usize = 10;

/// Writes behind what is there already, without a buffer in between.
struct Append<'a> {
    out: &'a mut Vec<u8>,
}

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.out.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.len() <= SHORT {
            bytes.iter().for_each(|byte| self.out.push(*byte));
        } else {
            self.out.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
