//! Reads a value that was written as one type as another one: fields and variants by their names, and
//! whatever else as serde allows.

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor,
    value::StrDeserializer,
};

use super::{
    Limits, WireError, skip, take_array, take_bool, take_bytes, take_char, take_int, take_length,
    take_text, take_uint, take_variant,
};
use crate::described::{Definitions, Described, Type};

/// Takes a value that was written as `stored` from the front of `bytes`.
///
/// What a struct has and the snapshot has not is up to serde: its default, or an error.
///
/// # Errors
///
/// When the bytes are no such value, or `T` does not take it.
pub fn decode_as<T: DeserializeOwned>(
    stored: &Described,
    bytes: &mut &[u8],
) -> Result<T, WireError> {
    let mut limits = Limits::default();
    let (of, definitions, depth) = (&stored.root, &stored.definitions, limits.depth);
    T::deserialize(Reader { of, definitions, bytes, limits: &mut limits, depth })
}

/// A value at the front of some bytes.
struct Reader<'a, 'de> {
    of: &'a Type,
    definitions: &'a Definitions,
    bytes: &'a mut &'de [u8],
    /// What all parts of the value share.
    limits: &'a mut Limits,
    /// How many levels are left.
    depth: u32,
}

impl<'a, 'de> Reader<'a, 'de> {
    /// With the type that a name stands for, and one part alone for that part.
    fn resolved(mut self) -> Result<Self, WireError> {
        loop {
            match self.of {
                Type::Recursive(name) => self.of = self.named(name)?,
                Type::Tuple(parts) if parts.len() == 1 => self.of = &parts[0],
                _ => return Ok(self),
            }
            // A type may consist of nothing but itself.
            self.depth = self.below()?;
        }
    }

    fn below(&self) -> Result<u32, WireError> {
        self.depth.checked_sub(1).ok_or_else(|| WireError::new("it is too deep"))
    }

    fn named(&self, name: &str) -> Result<&'a Type, WireError> {
        let of = self.definitions.get(name);
        of.ok_or_else(|| WireError::new(format!("what is `{name}`?")))
    }

    fn part(&mut self, of: &'a Type) -> Result<Reader<'_, 'de>, WireError> {
        let (definitions, depth) = (self.definitions, self.below()?);
        Ok(Reader { of, definitions, bytes: self.bytes, limits: self.limits, depth })
    }

    fn parts(self, parts: Parts<'a>) -> Elements<'a, 'de> {
        Elements { reader: self, parts, before: 0 }
    }

    /// The parts of a tuple, which a list is not.
    fn tuple<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        match self.of {
            Type::Tuple(parts) => visitor.visit_seq(self.parts(Parts::Tuple(parts.iter()))),
            Type::Recursive(name) => {
                let of = self.named(name)?;
                Reader { of, ..self }.tuple(visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }
}

/// What is still to be read of something with parts.
enum Parts<'a> {
    Tuple(std::slice::Iter<'a, Type>),
    List(&'a Type, usize),
    Map(&'a Type, &'a Type, usize),
    /// A map for whoever wants a list of pairs, as states of maps do.
    Pairs(&'a Type, &'a Type, usize),
    Pair([Option<&'a Type>; 2]),
    Struct(std::slice::Iter<'a, (String, Type)>, Option<&'a Type>),
}

struct Elements<'a, 'de> {
    reader: Reader<'a, 'de>,
    parts: Parts<'a>,
    /// How many bytes were left in front of the key of a map's entry.
    before: usize,
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = WireError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, WireError> {
        let before = self.reader.bytes.len();
        let element = match &mut self.parts {
            Parts::Pairs(key, value, left) => {
                let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
                *left = fewer;
                let pair = Pair { key, value, reader: self.reader.part(key)? };
                seed.deserialize(pair)?
            }
            Parts::List(of, left) => {
                let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
                *left = fewer;
                let of = *of;
                seed.deserialize(self.reader.part(of)?)?
            }
            Parts::Pair([key, value]) => {
                let of = key.take().or_else(|| value.take());
                return of.map(|of| seed.deserialize(self.reader.part(of)?)).transpose();
            }
            Parts::Tuple(parts) => {
                let of = parts.next();
                return of.map(|of| seed.deserialize(self.reader.part(of)?)).transpose();
            }
            Parts::Map(..) | Parts::Struct(..) => return Ok(None),
        };
        self.reader.limits.passed(before, self.reader.bytes.len())?;
        Ok(Some(element))
    }
}

impl<'de> de::MapAccess<'de> for Elements<'_, 'de> {
    type Error = WireError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, WireError> {
        match &mut self.parts {
            Parts::Map(of, _, left) => {
                let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
                *left = fewer;
                let of = *of;
                self.before = self.reader.bytes.len();
                seed.deserialize(self.reader.part(of)?).map(Some)
            }
            Parts::Struct(fields, value) => {
                let Some((name, of)) = fields.next() else { return Ok(None) };
                *value = Some(of);
                let name: StrDeserializer<'_, WireError> = name.as_str().into_deserializer();
                seed.deserialize(name).map(Some)
            }
            Parts::Tuple(_) | Parts::List(..) | Parts::Pairs(..) | Parts::Pair(_) => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, WireError> {
        let (of, is_entry) = match &mut self.parts {
            Parts::Map(_, of, _) => (Some(*of), true),
            Parts::Struct(_, value) => (value.take(), false),
            Parts::Tuple(_) | Parts::List(..) | Parts::Pairs(..) | Parts::Pair(_) => (None, false),
        };
        let of = of.ok_or_else(|| WireError::new("a value without a key"))?;
        let value = seed.deserialize(self.reader.part(of)?)?;
        if is_entry {
            self.reader.limits.passed(self.before, self.reader.bytes.len())?;
        }
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = WireError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        let mut reader = self.resolved()?;
        let bytes = &mut *reader.bytes;
        match reader.of {
            Type::Unit => visitor.visit_unit(),
            Type::Bool => visitor.visit_bool(take_bool(bytes)?),
            Type::Int(8) => visitor.visit_i8(take_int(bytes, 8)? as i8),
            Type::Int(16) => visitor.visit_i16(take_int(bytes, 16)? as i16),
            Type::Int(32) => visitor.visit_i32(take_int(bytes, 32)? as i32),
            Type::Int(64) => visitor.visit_i64(take_int(bytes, 64)? as i64),
            Type::Int(bits) => visitor.visit_i128(take_int(bytes, *bits)?),
            Type::UInt(8) => visitor.visit_u8(take_uint(bytes, 8)? as u8),
            Type::UInt(16) => visitor.visit_u16(take_uint(bytes, 16)? as u16),
            Type::UInt(32) => visitor.visit_u32(take_uint(bytes, 32)? as u32),
            Type::UInt(64) | Type::Time => visitor.visit_u64(take_uint(bytes, 64)? as u64),
            Type::UInt(bits) => visitor.visit_u128(take_uint(bytes, *bits)?),
            Type::F32 => visitor.visit_f32(f32::from_le_bytes(take_array(bytes)?)),
            Type::F64 => visitor.visit_f64(f64::from_le_bytes(take_array(bytes)?)),
            Type::Char => visitor.visit_char(take_char(bytes)?),
            Type::String => visitor.visit_borrowed_str(take_text(bytes)?),
            Type::Bytes => visitor.visit_borrowed_bytes(take_bytes(bytes)?),
            Type::Option(inner) => match take_bool(bytes)? {
                true => visitor.visit_some(reader.part(inner)?),
                false => visitor.visit_none(),
            },
            Type::List(element) => {
                let count = take_length(bytes)?;
                visitor.visit_seq(reader.parts(Parts::List(element, count)))
            }
            Type::Map(key, value) => {
                let count = take_length(bytes)?;
                visitor.visit_map(reader.parts(Parts::Map(key, value, count)))
            }
            Type::Tuple(parts) => visitor.visit_seq(reader.parts(Parts::Tuple(parts.iter()))),
            Type::Struct(fields) => {
                visitor.visit_map(reader.parts(Parts::Struct(fields.iter(), None)))
            }
            Type::Enum(variants) => {
                let index = take_variant(bytes, variants.len())?;
                let (name, body) = &variants[index];
                visitor.visit_enum(Variant { reader: reader.part(body)?, name })
            }
            Type::Recursive(_) => Err(WireError::new("a type that is only a name")),
            Type::Opaque(name) => Err(WireError::new(format!("`{name}` can't be described"))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        let reader = self.resolved()?;
        match reader.of {
            Type::Option(_) => reader.deserialize_any(visitor),
            _ => visitor.visit_some(reader),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, WireError> {
        let reader = self.resolved()?;
        visitor.visit_newtype_struct(reader)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        match self.of {
            Type::Map(key, value) => {
                let count = take_length(self.bytes)?;
                visitor.visit_seq(self.parts(Parts::Pairs(key, value, count)))
            }
            _ => self.tuple(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _count: usize,
        visitor: V,
    ) -> Result<V::Value, WireError> {
        self.tuple(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _count: usize,
        visitor: V,
    ) -> Result<V::Value, WireError> {
        self.tuple(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        skip(self.bytes, self.of, self.definitions)?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct map struct enum identifier
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// An entry of a map, as a pair.
struct Pair<'a, 'de> {
    key: &'a Type,
    value: &'a Type,
    reader: Reader<'a, 'de>,
}

impl<'de> Deserializer<'de> for Pair<'_, 'de> {
    type Error = WireError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        visitor.visit_seq(self.reader.parts(Parts::Pair([Some(self.key), Some(self.value)])))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// A variant of an enum, with its body in front.
struct Variant<'a, 'de> {
    reader: Reader<'a, 'de>,
    name: &'a str,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = WireError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), WireError> {
        let name: StrDeserializer<'_, WireError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = WireError;

    fn unit_variant(self) -> Result<(), WireError> {
        skip(self.reader.bytes, self.reader.of, self.reader.definitions)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, WireError> {
        seed.deserialize(self.reader.resolved()?)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _count: usize,
        visitor: V,
    ) -> Result<V::Value, WireError> {
        self.reader.tuple(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WireError> {
        self.reader.deserialize_any(visitor)
    }
}
