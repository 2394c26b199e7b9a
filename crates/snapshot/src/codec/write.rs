//! Writes a value: postcard's serializer, with an eye on what serde says of structs and enums.

use serde::ser::{self, Serialize};

/// Is told, while a value is written, of each struct and each variant in it.
pub trait Watch {
    /// A struct with so many fields, or the variant with this number.
    fn form(&mut self, name: &'static str, number: u32);
}

/// Does not want to know: compiles to nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    #[inline]
    fn form(&mut self, _name: &'static str, _number: u32) {}
}

/// Why a value can't be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Its own `Serialize` says so.
    #[error("{0}")]
    Own(String),
    /// The form does not allow it.
    #[error("{0}")]
    Form(#[from] postcard::Error),
    /// A field is left out.
    #[error(
        "the field `{field}` of `{name}` is left out of some values \
         (`#[serde(skip_serializing_if = …)]`), and nothing would tell a reader which: take \
         the attribute away, or have it written as JSON (`AsJson`)"
    )]
    LeftOut {
        /// The struct, or the variant.
        name: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A list or map does not say beforehand how long it is.
    #[error("it holds a map or list that does not tell its length (`#[serde(flatten)]` makes one)")]
    UnknownLength,
}

impl ser::Error for EncodeError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Own(message.to_string())
    }
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

pub(super) struct Writer<'a, W> {
    plain: postcard::Serializer<Append<'a>>,
    watch: &'a mut W,
}

impl<'a, W: Watch> Writer<'a, W> {
    #[inline]
    pub(super) fn new(out: &'a mut Vec<u8>, watch: &'a mut W) -> Self {
        Self { plain: postcard::Serializer { output: Append { out } }, watch }
    }

    /// The number of a variant.
    #[inline]
    fn variant(&mut self, name: &'static str, index: u32) -> Result<(), EncodeError> {
        self.watch.form(name, index);
        Ok(ser::Serializer::serialize_u32(&mut self.plain, index)?)
    }
}

macro_rules! leaves {
    ($($method:ident: $type:ty),*) => {
        $(
            #[inline]
            fn $method(self, value: $type) -> Result<(), EncodeError> {
                Ok(self.plain.$method(value)?)
            }
        )*
    };
}

impl<W: Watch> ser::Serializer for &mut Writer<'_, W> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Fields<Self>;
    type SerializeStructVariant = Fields<Self>;

    leaves!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_i128: i128, serialize_u8: u8, serialize_u16: u16,
        serialize_u32: u32, serialize_u64: u64, serialize_u128: u128, serialize_f32: f32,
        serialize_f64: f64, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_unit_struct: &'static str
    );

    #[inline]
    fn serialize_none(self) -> Result<(), EncodeError> {
        Ok(self.plain.serialize_none()?)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        // A byte of 1, and then the value.
        self.plain.serialize_bool(true)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), EncodeError> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        _variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.variant(name, index)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.variant(name, index)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self, EncodeError> {
        let length = length.ok_or(EncodeError::UnknownLength)?;
        ser::Serializer::serialize_seq(&mut self.plain, Some(length))?;
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _length: usize) -> Result<Self, EncodeError> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self, EncodeError> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, EncodeError> {
        self.variant(name, index)?;
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self, EncodeError> {
        let length = length.ok_or(EncodeError::UnknownLength)?;
        ser::Serializer::serialize_map(&mut self.plain, Some(length))?;
        Ok(self)
    }

    #[inline]
    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Fields<Self>, EncodeError> {
        self.watch.form(name, length as u32);
        Ok(Fields { writer: self, name })
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Fields<Self>, EncodeError> {
        self.variant(name, index)?;
        self.watch.form(variant, length as u32);
        Ok(Fields { writer: self, name: variant })
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        Ok(self.plain.collect_str(value)?)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! elements {
    ($($part:ident: $method:ident),*) => {
        $(
            impl<W: Watch> ser::$part for &mut Writer<'_, W> {
                type Ok = ();
                type Error = EncodeError;

                #[inline]
                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
                    value.serialize(&mut **self)
                }

                #[inline]
                fn end(self) -> Result<(), EncodeError> {
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

impl<W: Watch> ser::SerializeMap for &mut Writer<'_, W> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        key.serialize(&mut **self)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> Result<(), EncodeError> {
        Ok(())
    }
}

/// The fields of a struct, or of a variant.
pub(super) struct Fields<S> {
    writer: S,
    name: &'static str,
}

macro_rules! fields {
    ($($part:ident),*) => {
        $(
            impl<W: Watch> ser::$part for Fields<&mut Writer<'_, W>> {
                type Ok = ();
                type Error = EncodeError;

                #[inline]
                fn serialize_field<T: Serialize + ?Sized>(
                    &mut self,
                    _name: &'static str,
                    value: &T,
                ) -> Result<(), EncodeError> {
                    value.serialize(&mut *self.writer)
                }

                // What serde calls when `skip_serializing_if` says so.
                #[cold]
                fn skip_field(&mut self, field: &'static str) -> Result<(), EncodeError> {
                    Err(EncodeError::LeftOut { name: self.name, field })
                }

                #[inline]
                fn end(self) -> Result<(), EncodeError> {
                    Ok(())
                }
            }
        )*
    };
}

fields!(SerializeStruct, SerializeStructVariant);
