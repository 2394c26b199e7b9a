//! How a value is walked through while it is compared.

use serde::ser::{self, Serialize};

use super::{Comparer, Difference, Parts};
use crate::describe::shape::{Body, Shape};

macro_rules! leaves {
    ($($method:ident: $type:ty = $name:literal;)*) => {
        $(
            fn $method(self, _value: $type) -> Result<(), Difference> {
                self.leaf($name)
            }
        )*
    };
}

impl<'a> ser::Serializer for Comparer<'a> {
    type Ok = ();
    type Error = Difference;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = InOrder<'a>;
    type SerializeTupleStruct = InOrder<'a>;
    type SerializeTupleVariant = InOrder<'a>;
    type SerializeMap = Elements<'a>;
    type SerializeStruct = InOrder<'a>;
    type SerializeStructVariant = InOrder<'a>;

    leaves! {
        serialize_bool: bool = "bool";
        serialize_i8: i8 = "i8";
        serialize_i16: i16 = "i16";
        serialize_i32: i32 = "i32";
        serialize_i64: i64 = "i64";
        serialize_i128: i128 = "i128";
        serialize_u8: u8 = "u8";
        serialize_u16: u16 = "u16";
        serialize_u32: u32 = "u32";
        serialize_u64: u64 = "u64";
        serialize_u128: u128 = "u128";
        serialize_f32: f32 = "f32";
        serialize_f64: f64 = "f64";
        serialize_char: char = "char";
        serialize_str: &str = "String";
        serialize_bytes: &[u8] = "Bytes";
    }

    fn serialize_none(self) -> Result<(), Difference> {
        self.inside_option().map(drop)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Difference> {
        let shape = self.inside_option()?;
        value.serialize(Comparer { shape, ..self })
    }

    fn serialize_unit(self) -> Result<(), Difference> {
        self.unit()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Difference> {
        self.unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), Difference> {
        self.variant_parts(index, variant, 0).map(drop)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Difference> {
        let shape = match self.resolved() {
            Some(Shape::Named { body: Body::Tuple(parts), .. }) if parts.len() == 1 => {
                Some(&parts[0])
            }
            shape => shape,
        };
        value.serialize(Comparer { shape, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Difference> {
        let (inside, parts) = self.variant_parts(index, variant, 1)?;
        value.serialize(Comparer { shape: parts.get(0), ..inside })
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'a>, Difference> {
        if length.is_none() {
            return self.differs("it writes a list that does not tell its length".to_owned());
        }
        match self.innermost() {
            None => Ok(Elements { within: self, key: None, value: None, seen: 0 }),
            Some(Shape::List(element)) => {
                Ok(Elements { within: self, key: None, value: Some(element), seen: 0 })
            }
            // Bytes have the form of a list of them; what is in it then is not looked at.
            Some(Shape::Leaf(read)) if read == "Bytes" => {
                Ok(Elements { within: self, key: None, value: None, seen: 0 })
            }
            Some(shape) => self.mismatch("a list", shape),
        }
    }

    fn serialize_tuple(self, length: usize) -> Result<InOrder<'a>, Difference> {
        let parts = self.parts(length, &format!("a tuple of {length}"))?;
        Ok(InOrder::new(self, parts))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<InOrder<'a>, Difference> {
        let parts = self.parts(length, &format!("the struct `{name}` with {length} parts"))?;
        Ok(InOrder::new(self, parts))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<InOrder<'a>, Difference> {
        let (inside, parts) = self.variant_parts(index, variant, length)?;
        Ok(InOrder::new(inside, parts))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Elements<'a>, Difference> {
        if length.is_none() {
            return self.differs(
                "it writes a map that does not tell its length (`#[serde(flatten)]` does)"
                    .to_owned(),
            );
        }
        match self.innermost() {
            None => Ok(Elements { within: self, key: None, value: None, seen: 0 }),
            Some(Shape::Map(key, value)) => {
                Ok(Elements { within: self, key: Some(key), value: Some(value), seen: 0 })
            }
            Some(shape) => self.mismatch("a map", shape),
        }
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<InOrder<'a>, Difference> {
        let parts = self.parts(length, &format!("the struct `{name}` with {length} fields"))?;
        Ok(InOrder::new(self, parts))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<InOrder<'a>, Difference> {
        let (inside, parts) = self.variant_parts(index, variant, length)?;
        Ok(InOrder::new(inside, parts))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Any number of elements, or of keys and values.
pub(super) struct Elements<'a> {
    within: Comparer<'a>,
    key: Option<&'a Shape>,
    value: Option<&'a Shape>,
    seen: usize,
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Difference;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Difference> {
        let place = self.seen.to_string();
        self.seen += 1;
        value.serialize(self.within.within(self.value, &place))
    }

    fn end(self) -> Result<(), Difference> {
        Ok(())
    }
}

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Difference;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Difference> {
        key.serialize(self.within.within(self.key, "(key)"))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Difference> {
        value.serialize(self.within.within(self.value, "(value)"))
    }

    fn end(self) -> Result<(), Difference> {
        Ok(())
    }
}

/// Parts one behind the other.
pub(super) struct InOrder<'a> {
    within: Comparer<'a>,
    parts: Parts<'a>,
    /// The fields' names as they are written.
    written: Vec<&'static str>,
    places: usize,
}

impl<'a> InOrder<'a> {
    fn new(within: Comparer<'a>, parts: Parts<'a>) -> Self {
        Self { within, parts, written: Vec::new(), places: 0 }
    }

    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Difference> {
        let place = self.places;
        self.places += 1;
        value.serialize(self.within.within(self.parts.get(place), &place.to_string()))
    }

    fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Difference> {
        let place = self.written.len();
        self.written.push(name);
        let shape = match &self.parts {
            // Of another field: the names are compared at the end, and tell more.
            Parts::Fields(fields) if fields.get(place).is_none_or(|(read, _)| *read != name) => {
                None
            }
            parts => parts.get(place),
        };
        value.serialize(self.within.within(shape, name))
    }

    fn left_out(&self, field: &'static str) -> Result<(), Difference> {
        self.within.within(None, field).differs(
            "it is left out of some values (`#[serde(skip_serializing_if = …)]`): take the \
             attribute away"
                .to_owned(),
        )
    }

    /// Compares the names, now that they are known.
    fn finish(self) -> Result<(), Difference> {
        let Parts::Fields(fields) = &self.parts else { return Ok(()) };
        let read = fields.iter().map(|(name, _)| name.as_ref()).collect::<Vec<_>>();
        // A tuple has no names.
        if read == self.written || (self.written.is_empty() && self.places == read.len()) {
            return Ok(());
        }
        let missing = read.iter().find(|name| !self.written.contains(name));
        let extra = self.written.iter().find(|name| !read.contains(name));
        match (missing, extra) {
            (Some(name), None) => self.within.within(None, name).differs(
                "it is read and not written (`#[serde(skip_serializing)]`): use `#[serde(skip)]` if \
                 it need not be kept, or take the attribute away"
                    .to_owned(),
            ),
            (None, Some(name)) => self.within.within(None, name).differs(
                "it is written and not read (`#[serde(skip_deserializing)]`): use `#[serde(skip)]` \
                 if it need not be kept, or take the attribute away"
                    .to_owned(),
            ),
            (Some(read), Some(written)) => self.within.within(None, written).differs(format!(
                "it is written under that name and read as `{read}` \
                 (`#[serde(rename(serialize = …))]`): give it the same name both ways"
            )),
            (None, None) => {
                self.within.differs("its fields are written in another order than read".to_owned())
            }
        }
    }
}

impl ser::SerializeTuple for InOrder<'_> {
    type Ok = ();
    type Error = Difference;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Difference> {
        self.part(value)
    }

    fn end(self) -> Result<(), Difference> {
        self.finish()
    }
}

macro_rules! tuples {
    ($($part:ident),*) => {
        $(
            impl ser::$part for InOrder<'_> {
                type Ok = ();
                type Error = Difference;

                fn serialize_field<T: Serialize + ?Sized>(
                    &mut self,
                    value: &T,
                ) -> Result<(), Difference> {
                    self.part(value)
                }

                fn end(self) -> Result<(), Difference> {
                    self.finish()
                }
            }
        )*
    };
}

tuples!(SerializeTupleStruct, SerializeTupleVariant);

macro_rules! fields {
    ($($part:ident),*) => {
        $(
            impl ser::$part for InOrder<'_> {
                type Ok = ();
                type Error = Difference;

                fn serialize_field<T: Serialize + ?Sized>(
                    &mut self,
                    name: &'static str,
                    value: &T,
                ) -> Result<(), Difference> {
                    self.field(name, value)
                }

                fn skip_field(&mut self, field: &'static str) -> Result<(), Difference> {
                    self.left_out(field)
                }

                fn end(self) -> Result<(), Difference> {
                    self.finish()
                }
            }
        )*
    };
}

fields!(SerializeStruct, SerializeStructVariant);
