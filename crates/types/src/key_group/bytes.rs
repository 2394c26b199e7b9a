//! Writes a key into its defined byte form (see the parent module) without allocating for small
//! keys, so that hashing an integer compiles to a few instructions.

use serde::ser::{self, Serialize};

use crate::ErrorKind;

/// Keys whose bytes fit in here need no allocation.
const INLINE: usize = 64;

/// Calls `then` with the bytes of `key`.
#[inline]
pub(super) fn with_key_bytes<K: Serialize + ?Sized, R>(
    key: &K,
    then: impl FnOnce(&[u8]) -> R,
) -> R {
    match try_with_key_bytes(key, then) {
        Ok(result) => result,
        Err(error) => unwritable::<K>(&error),
    }
}

/// As [`with_key_bytes`], for a key that may be none.
#[inline]
pub(super) fn try_with_key_bytes<K: Serialize + ?Sized, R>(
    key: &K,
    then: impl FnOnce(&[u8]) -> R,
) -> Result<R, KeyError> {
    let mut sink = KeyBytes { inline: [0; INLINE], length: 0, spilled: Vec::new() };
    key.serialize(&mut sink)?;
    Ok(then(sink.bytes()))
}

/// Whoever hashes keys has no way to report an error, record by record.
#[cold]
#[inline(never)]
fn unwritable<K: ?Sized>(error: &KeyError) -> ! {
    let name = std::any::type_name::<K>();
    ErrorKind::Invalid
        .throw(format!("a key of type `{name}` can't be written, so that it has no place: {error}"))
}

struct KeyBytes {
    inline: [u8; INLINE],
    length: usize,
    spilled: Vec<u8>,
}

impl KeyBytes {
    #[inline]
    fn bytes(&self) -> &[u8] {
        if self.spilled.is_empty() { &self.inline[..self.length] } else { &self.spilled }
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if end <= INLINE && self.spilled.is_empty() {
            self.inline[self.length..end].copy_from_slice(bytes);
            self.length = end;
        } else {
            self.spill(bytes);
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if self.spilled.is_empty() {
            self.spilled.extend_from_slice(&self.inline[..self.length]);
        }
        self.spilled.extend_from_slice(bytes);
    }

    #[inline]
    fn length_prefix(&mut self, length: usize) {
        self.push(&(length as u64).to_le_bytes());
    }
}

/// What a key's own `Serialize` may report.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

impl ser::Error for KeyError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

macro_rules! little_endian {
    ($($method:ident: $type:ty),*) => {
        $(
            #[inline]
            fn $method(self, value: $type) -> Result<(), KeyError> {
                self.push(&value.to_le_bytes());
                Ok(())
            }
        )*
    };
}

impl ser::Serializer for &mut KeyBytes {
    type Ok = ();
    type Error = KeyError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    little_endian!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_u128: u128, serialize_f32: f32, serialize_f64: f64
    );

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), KeyError> {
        self.push(&[u8::from(value)]);
        Ok(())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), KeyError> {
        self.push(&u32::from(value).to_le_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), KeyError> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), KeyError> {
        self.length_prefix(value.len());
        self.push(value);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), KeyError> {
        self.push(&[0]);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), KeyError> {
        self.push(&[1]);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), KeyError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), KeyError> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
    ) -> Result<(), KeyError> {
        self.serialize_u32(index)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), KeyError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), KeyError> {
        self.push(&index.to_le_bytes());
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, KeyError> {
        let length = length.ok_or_else(|| ser::Error::custom("a sequence of unknown length"))?;
        self.length_prefix(length);
        Ok(self)
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self, KeyError> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Self, KeyError> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, KeyError> {
        self.push(&index.to_le_bytes());
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, KeyError> {
        let length = length.ok_or_else(|| ser::Error::custom("a map of unknown length"))?;
        self.length_prefix(length);
        Ok(self)
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Self, KeyError> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, KeyError> {
        self.push(&index.to_le_bytes());
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! elements {
    ($($part:ident: $method:ident),*) => {
        $(
            impl ser::$part for &mut KeyBytes {
                type Ok = ();
                type Error = KeyError;

                #[inline]
                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), KeyError> {
                    value.serialize(&mut **self)
                }

                #[inline]
                fn end(self) -> Result<(), KeyError> {
                    Ok(())
                }
            }
        )*
    };
}

elements!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

macro_rules! fields {
    ($($part:ident),*) => {
        $(
            impl ser::$part for &mut KeyBytes {
                type Ok = ();
                type Error = KeyError;

                #[inline]
                fn serialize_field<T: Serialize + ?Sized>(
                    &mut self,
                    _name: &'static str,
                    value: &T,
                ) -> Result<(), KeyError> {
                    value.serialize(&mut **self)
                }

                #[inline]
                fn end(self) -> Result<(), KeyError> {
                    Ok(())
                }
            }
        )*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for &mut KeyBytes {
    type Ok = ();
    type Error = KeyError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), KeyError> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), KeyError> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), KeyError> {
        Ok(())
    }
}
