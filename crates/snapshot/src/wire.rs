//! Values in the native form (postcard), walked through by their type.
//!
//! The native form does not say what its bytes hold; the type does. It is specified at
//! <https://postcard.jamesmunns.com/wire-format>.

mod read;

use std::cell::Cell;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, Serializer,
};

pub use self::read::decode_as;
use crate::described::{Definitions, Described, Type};

/// Bytes that are not a value of the type that they should be of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WireError(String);

impl WireError {
    /// With what was found.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

impl serde::de::Error for WireError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

/// How deep a value may go.
const DEPTH: u32 = 500;

fn short() -> WireError {
    WireError::new("its bytes end in the middle of a value")
}

/// Takes so many bytes.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], WireError> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or_else(short)?;
    *bytes = rest;
    Ok(taken)
}

/// Takes an unsigned integer of at most `bits` bits.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_varint(bytes: &mut &[u8], bits: u32) -> Result<u128, WireError> {
    let mut number = 0_u128;
    let mut shift = 0;
    loop {
        let (byte, rest) = bytes.split_first().ok_or_else(short)?;
        *bytes = rest;
        let part = u128::from(byte & 0x7f);
        let fits = shift < bits && (bits - shift >= 7 || part >> (bits - shift) == 0);
        if !fits {
            return Err(WireError::new("a number is too long"));
        }
        number |= part << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
}

/// Takes an unsigned integer: a byte as it is, longer ones of variable length.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_uint(bytes: &mut &[u8], bits: u8) -> Result<u128, WireError> {
    match bits {
        8 => Ok(u128::from(take(bytes, 1)?[0])),
        bits => take_varint(bytes, u32::from(bits)),
    }
}

/// Takes a signed integer: a byte as it is, longer ones zigzag.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_int(bytes: &mut &[u8], bits: u8) -> Result<i128, WireError> {
    if bits == 8 {
        return Ok(i128::from(take(bytes, 1)?[0] as i8));
    }
    let zigzag = take_varint(bytes, u32::from(bits))?;
    Ok((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128))
}

/// Takes the number of elements of a list or map.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_length(bytes: &mut &[u8]) -> Result<usize, WireError> {
    let length = take_varint(bytes, 64)?;
    usize::try_from(length).map_err(|_| WireError::new("a length is too long"))
}

/// Takes `true` or `false`.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_bool(bytes: &mut &[u8]) -> Result<bool, WireError> {
    match take(bytes, 1)?[0] {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(WireError::new(format!("{other} is neither true nor false"))),
    }
}

/// Takes bytes with their length in front.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let length = take_length(bytes)?;
    take(bytes, length)
}

/// Takes a text.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, WireError> {
    std::str::from_utf8(take_bytes(bytes)?)
        .map_err(|error| WireError::new(format!("a text is not UTF-8: {error}")))
}

/// Takes so many bytes.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], WireError> {
    take(bytes, N)?.try_into().map_err(|_| short())
}

/// Takes the number of one of `count` variants.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_variant(bytes: &mut &[u8], count: usize) -> Result<usize, WireError> {
    let variant = take_varint(bytes, 32)? as usize;
    if variant < count {
        return Ok(variant);
    }
    Err(WireError::new(format!("variant {variant} of an enum that has {count}")))
}

/// Appends an unsigned integer of variable length.
pub fn put_varint(mut number: u128, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends an unsigned integer: what [`take_uint`] takes.
pub fn put_uint(number: u128, bits: u8, out: &mut Vec<u8>) {
    if bits == 8 { out.push(number as u8) } else { put_varint(number, out) }
}

/// Appends a signed integer: what [`take_int`] takes.
pub fn put_int(number: i128, bits: u8, out: &mut Vec<u8>) {
    match bits {
        8 => out.push(number as i8 as u8),
        bits => {
            let mask = if bits == 128 { u128::MAX } else { (1 << bits) - 1 };
            put_varint((number << 1 ^ number >> 127) as u128 & mask, out);
        }
    }
}

/// Appends bytes with their length in front.
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u128, out);
    out.extend_from_slice(bytes);
}

/// Goes over one value, and leaves `bytes` behind it.
///
/// # Errors
///
/// When the bytes are not such a value, or its type can't be described.
pub fn skip(bytes: &mut &[u8], of: &Type, definitions: &Definitions) -> Result<(), WireError> {
    skip_within(bytes, of, definitions, DEPTH)
}

fn skip_within(
    bytes: &mut &[u8],
    of: &Type,
    definitions: &Definitions,
    depth: u32,
) -> Result<(), WireError> {
    let deeper = || depth.checked_sub(1).ok_or_else(|| WireError::new("it is too deep"));
    match of {
        Type::Unit => Ok(()),
        Type::Bool => take_bool(bytes).map(drop),
        Type::Int(bits) => take_int(bytes, *bits).map(drop),
        Type::UInt(bits) => take_uint(bytes, *bits).map(drop),
        Type::Time => take_uint(bytes, 64).map(drop),
        Type::F32 => take(bytes, 4).map(drop),
        Type::F64 => take(bytes, 8).map(drop),
        Type::Char | Type::String => take_text(bytes).map(drop),
        Type::Bytes => take_bytes(bytes).map(drop),
        Type::Option(inner) => match take_bool(bytes)? {
            true => skip_within(bytes, inner, definitions, deeper()?),
            false => Ok(()),
        },
        Type::List(element) => {
            for _ in 0..take_length(bytes)? {
                skip_within(bytes, element, definitions, deeper()?)?;
            }
            Ok(())
        }
        Type::Map(key, value) => {
            for _ in 0..take_length(bytes)? {
                skip_within(bytes, key, definitions, deeper()?)?;
                skip_within(bytes, value, definitions, deeper()?)?;
            }
            Ok(())
        }
        Type::Tuple(parts) => {
            parts.iter().try_for_each(|part| skip_within(bytes, part, definitions, deeper()?))
        }
        Type::Struct(fields) => fields
            .iter()
            .try_for_each(|(_, field)| skip_within(bytes, field, definitions, deeper()?)),
        Type::Enum(variants) => {
            let variant = take_variant(bytes, variants.len())?;
            skip_within(bytes, &variants[variant].1, definitions, deeper()?)
        }
        Type::Recursive(name) => {
            let of = definitions.get(name);
            let of = of.ok_or_else(|| WireError::new(format!("what is `{name}`?")))?;
            skip_within(bytes, of, definitions, deeper()?)
        }
        Type::Opaque(name) => Err(WireError::new(format!(
            "values of `{name}` can't be told apart: the type can't be described"
        ))),
    }
}

/// A value in the native form that serializes as the value itself would: the same key hash, the same
/// JSON.
pub struct Walk<'a, 'b> {
    of: &'a Type,
    definitions: &'a Definitions,
    bytes: &'a Cell<&'b [u8]>,
}

impl<'a, 'b> Walk<'a, 'b> {
    /// The value of this type at the front of `bytes`, which serializing takes away.
    pub fn new(described: &'a Described, bytes: &'a Cell<&'b [u8]>) -> Self {
        Self { of: &described.root, definitions: &described.definitions, bytes }
    }

    fn part(&self, of: &'a Type) -> Self {
        Self { of, definitions: self.definitions, bytes: self.bytes }
    }

    fn take<T, E: serde::ser::Error>(
        &self,
        take: impl FnOnce(&mut &'b [u8]) -> Result<T, WireError>,
    ) -> Result<T, E> {
        let mut bytes = self.bytes.get();
        let taken = take(&mut bytes).map_err(E::custom);
        self.bytes.set(bytes);
        taken
    }
}

impl Serialize for Walk<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.of {
            Type::Unit => serializer.serialize_unit(),
            Type::Bool => serializer.serialize_bool(self.take(take_bool)?),
            Type::Int(bits) => {
                let number = self.take(|bytes| take_int(bytes, *bits))?;
                match bits {
                    8 => serializer.serialize_i8(number as i8),
                    16 => serializer.serialize_i16(number as i16),
                    32 => serializer.serialize_i32(number as i32),
                    64 => serializer.serialize_i64(number as i64),
                    _ => serializer.serialize_i128(number),
                }
            }
            Type::UInt(bits) => {
                let number = self.take(|bytes| take_uint(bytes, *bits))?;
                match bits {
                    8 => serializer.serialize_u8(number as u8),
                    16 => serializer.serialize_u16(number as u16),
                    32 => serializer.serialize_u32(number as u32),
                    64 => serializer.serialize_u64(number as u64),
                    _ => serializer.serialize_u128(number),
                }
            }
            Type::Time => serializer.serialize_u64(self.take(|bytes| take_uint(bytes, 64))? as u64),
            Type::F32 => serializer.serialize_f32(f32::from_le_bytes(self.take(take_array)?)),
            Type::F64 => serializer.serialize_f64(f64::from_le_bytes(self.take(take_array)?)),
            Type::Char => {
                let text = self.take(take_text)?;
                let c = text.chars().next().ok_or_else(|| S::Error::custom("no character"))?;
                serializer.serialize_char(c)
            }
            Type::String => serializer.serialize_str(self.take(take_text)?),
            Type::Bytes => serializer.serialize_bytes(self.take(take_bytes)?),
            Type::Option(inner) => match self.take(take_bool)? {
                true => serializer.serialize_some(&self.part(inner)),
                false => serializer.serialize_none(),
            },
            Type::List(element) => {
                let count = self.take(take_length)?;
                let mut sequence = serializer.serialize_seq(Some(count))?;
                for _ in 0..count {
                    sequence.serialize_element(&self.part(element))?;
                }
                sequence.end()
            }
            Type::Map(key, value) => {
                let count = self.take(take_length)?;
                let mut map = serializer.serialize_map(Some(count))?;
                for _ in 0..count {
                    map.serialize_entry(&self.part(key), &self.part(value))?;
                }
                map.end()
            }
            Type::Tuple(parts) if parts.len() == 1 => self.part(&parts[0]).serialize(serializer),
            Type::Tuple(parts) => {
                let mut tuple = serializer.serialize_tuple(parts.len())?;
                for part in parts {
                    tuple.serialize_element(&self.part(part))?;
                }
                tuple.end()
            }
            Type::Struct(fields) => {
                // Names live as long as the type, and serde wants them for ever: a map has the same
                // form wherever the names matter at all.
                if serializer.is_human_readable() {
                    let mut map = serializer.serialize_map(Some(fields.len()))?;
                    for (name, field) in fields {
                        map.serialize_entry(name, &self.part(field))?;
                    }
                    return map.end();
                }
                let mut plain = serializer.serialize_struct("", fields.len())?;
                for (_, field) in fields {
                    plain.serialize_field("", &self.part(field))?;
                }
                plain.end()
            }
            Type::Enum(variants) => {
                let index = self.take(|bytes| take_variant(bytes, variants.len()))?;
                let (name, body) = &variants[index];
                let number = index as u32;
                if !serializer.is_human_readable() {
                    return match body {
                        Type::Unit => serializer.serialize_unit_variant("", number, ""),
                        body => {
                            serializer.serialize_newtype_variant("", number, "", &self.part(body))
                        }
                    };
                }
                match body {
                    Type::Unit => serializer.serialize_str(name),
                    body => {
                        let mut map = serializer.serialize_map(Some(1))?;
                        map.serialize_entry(name, &self.part(body))?;
                        map.end()
                    }
                }
            }
            Type::Recursive(name) => {
                let of = self.definitions.get(name);
                let of = of.ok_or_else(|| S::Error::custom(format!("what is `{name}`?")))?;
                self.part(of).serialize(serializer)
            }
            Type::Opaque(name) => Err(S::Error::custom(format!("`{name}` can't be described"))),
        }
    }
}
