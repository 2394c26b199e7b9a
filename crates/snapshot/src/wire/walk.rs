//! Writes a value that is in the native form anew, in whatever form a serializer has.

use std::cell::Cell;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, Serializer,
};

use super::{
    Limits, WireError, take_array, take_bool, take_bytes, take_char, take_int, take_length,
    take_text, take_uint, take_variant,
};
use crate::described::{Definitions, Described, Type};

/// A value in the native form that serializes as the value itself would: the same key hash, the same
/// JSON.
pub struct Walk<'a, 'b> {
    described: &'a Described,
    bytes: &'a Cell<&'b [u8]>,
}

impl<'a, 'b> Walk<'a, 'b> {
    /// The value of this type at the front of `bytes`, which serializing takes away.
    pub fn new(described: &'a Described, bytes: &'a Cell<&'b [u8]>) -> Self {
        Self { described, bytes }
    }
}

impl Serialize for Walk<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let limits = Cell::new(Limits::default());
        let Described { root, definitions } = self.described;
        Part { of: root, definitions, bytes: self.bytes, limits: &limits }.serialize(serializer)
    }
}

/// A part of a value that is walked through.
struct Part<'a, 'b> {
    of: &'a Type,
    definitions: &'a Definitions,
    bytes: &'a Cell<&'b [u8]>,
    limits: &'a Cell<Limits>,
}

impl<'a, 'b> Part<'a, 'b> {
    fn part(&self, of: &'a Type) -> Self {
        Self { of, ..*self }
    }

    /// An element lies between two looks at the bytes.
    fn passed<E: serde::ser::Error>(&self, before: usize) -> Result<(), E> {
        let after = self.bytes.get().len();
        self.limited(|limits| limits.passed(before, after)).map_err(E::custom)
    }

    fn limited<T>(&self, change: impl FnOnce(&mut Limits) -> T) -> T {
        let mut limits = self.limits.get();
        let changed = change(&mut limits);
        self.limits.set(limits);
        changed
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

impl Serialize for Part<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.limited(Limits::enter).map_err(S::Error::custom)?;
        let written = self.write(serializer)?;
        self.limited(Limits::leave);
        Ok(written)
    }
}

impl Part<'_, '_> {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
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
            Type::Char => serializer.serialize_char(self.take(take_char)?),
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
                    let before = self.bytes.get().len();
                    sequence.serialize_element(&self.part(element))?;
                    self.passed(before)?;
                }
                sequence.end()
            }
            Type::Map(key, value) => {
                let count = self.take(take_length)?;
                let mut map = serializer.serialize_map(Some(count))?;
                for _ in 0..count {
                    let before = self.bytes.get().len();
                    map.serialize_entry(&self.part(key), &self.part(value))?;
                    self.passed(before)?;
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
