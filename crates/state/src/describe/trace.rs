//! Deserializes a type from nothing and notes what it asks for.
//!
//! # Invariants
//!
//! - INV-ENDS: inside a type that contains itself, options are none, collections empty, and an
//!   enum's variant is one that is not being traced already, so that every pass ends; a type that
//!   has no such way out runs into the limits of [`Memory`].

use std::{any::type_name, fmt};

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::{
    memory::{Asked, Making, Memory},
    probe,
    shape::{Body, Name, Shape},
};
use crate::as_json;

/// How many passes a type gets.
const PASSES: usize = 10_000;

/// A type that has been gone through.
pub(super) struct Traced {
    pub(super) shape: Shape,
    memory: Memory,
}

/// What `T` asks for; if that is wanted, with what its structs do without a field.
///
/// # Errors
///
/// When it can't be traced: with what it has asked, if nothing but a format with names and types could
/// have answered.
pub(super) fn trace<T: DeserializeOwned>(with_defaults: bool) -> Result<Traced, Option<Asked>> {
    let memory = Memory::new(with_defaults);
    for _ in 0..PASSES {
        memory.begin_pass();
        let mut shape = Shape::Unknown;
        let tracer = Tracer::at(&memory, String::new(), &mut shape);
        match T::deserialize(tracer) {
            Ok(_) if memory.complete() => {
                let shape = memory.with_all_variants(shape);
                return Ok(Traced { shape, memory });
            }
            Ok(_) | Err(Refused::Probed) => {}
            Err(_) if memory.try_next_candidate().is_none() => {
                return Err(memory.asked.take());
            }
            Err(_) => {}
        }
    }
    Err(None)
}

/// How many values are made up in one way at most.
const MADE_UP: usize = 1_000;

impl Traced {
    /// A value that is made up in this way, unless the type does not take it.
    pub(super) fn make<T: DeserializeOwned>(&self, making: Making) -> Option<T> {
        self.memory.making.set(making);
        self.memory.begin_pass();
        let mut shape = Shape::Unknown;
        T::deserialize(Tracer::at(&self.memory, String::new(), &mut shape)).ok()
    }

    /// How many values of [`Making::Many`] show every variant.
    pub(super) fn rounds(&self) -> usize {
        self.memory.most_variants().min(MADE_UP)
    }

    /// Hands values of all kinds to `look`, among them each variant of each enum.
    pub(super) fn make_all<T: DeserializeOwned, E>(
        &self,
        mut look: impl FnMut(&T) -> Result<(), E>,
    ) -> Result<(), E> {
        for making in [Making::Full, Making::Empty, Making::Other] {
            // Once through the variants of the largest enum at least; of one inside of another as
            // often as it takes.
            for round in 0..MADE_UP {
                if let Some(value) = self.make(making) {
                    look(&value)?;
                }
                if round + 1 >= self.rounds() && self.memory.has_made_all() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Why a pass ended early.
#[derive(Debug)]
pub(super) enum Refused {
    /// The type asked for something that can't be made up, or refused what it got.
    Value,
    /// A field came twice; this is its name.
    Duplicate(&'static str),
    /// A struct has shown what was asked of it: the next pass knows more.
    Probed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type can't be traced")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self::Value
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Duplicate(field)
    }
}

/// Answers one question and notes in `shape` what it was.
pub(super) struct Tracer<'a> {
    state: &'a Memory,
    path: String,
    shape: &'a mut Shape,
}

impl<'a> Tracer<'a> {
    pub(super) fn at(state: &'a Memory, path: String, shape: &'a mut Shape) -> Self {
        Self { state, path, shape }
    }

    fn leaf<T: Copy>(self, name: &'static str, candidates: &[T]) -> Result<T, Refused> {
        *self.shape = Shape::Leaf(Name::Borrowed(name));
        self.state.choose(&self.path, candidates).ok_or(Refused::Value)
    }

    /// Goes through the elements of a tuple or struct.
    pub(super) fn elements<'de, V: Visitor<'de>>(
        state: &'a Memory,
        path: String,
        count: usize,
        visitor: V,
    ) -> Result<(V::Value, Vec<Shape>), Refused> {
        let mut shapes = Vec::with_capacity(count);
        let value =
            visitor.visit_seq(Elements { state, path, count, each: None, shapes: &mut shapes })?;
        Ok((value, shapes))
    }

    /// Goes into a struct, unless it is inside itself: then its shape is known from outside.
    fn named<'de, V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
        inside: impl FnOnce(&'a Memory, String, V, bool) -> Result<(V::Value, Body), Refused>,
    ) -> Result<V::Value, Refused> {
        let identity = type_name::<V>();
        let recursion = self.state.is_around(identity);
        if !self.state.enter(identity, None) {
            return Err(Refused::Value);
        }
        let (value, body) = inside(self.state, self.path, visitor, recursion)?;
        self.state.leave();
        let identity = Name::Borrowed(identity);
        *self.shape = if recursion {
            Shape::Recursion(identity)
        } else {
            Shape::Named { identity, name: Name::Borrowed(name), body }
        };
        Ok(value)
    }

    /// A struct whose parts have no names.
    fn named_tuple<'de, V: Visitor<'de>>(
        self,
        name: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.named(name, visitor, |state, path, visitor, _| {
            let (value, shapes) = Self::elements(state, path, count, visitor)?;
            Ok((value, Body::Tuple(shapes)))
        })
    }
}

/// Texts that types which parse one accept: numbers, times, dates, addresses, ids.
const TEXTS: &[&str] = &[
    "",
    "0",
    "a",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "1970-01-01 00:00:00",
    "1970-01-01",
    "00:00:00",
    "1970-01-01T00:00:00+00:00[UTC]",
    "PT0S",
    "UTC",
    "127.0.0.1",
    "::1",
    "127.0.0.1:1",
    "00000000-0000-0000-0000-000000000000",
    "00000000000000000000000000000000",
    "http://localhost/",
    "true",
    "b",
    "c",
    "d",
    "e",
];

macro_rules! leaves {
    ($($method:ident, $visit:ident, $name:literal, $candidates:expr;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
                visitor.$visit(self.leaf($name, $candidates)?)
            }
        )*
    };
}

impl<'de> de::Deserializer<'de> for Tracer<'_> {
    type Error = Refused;

    leaves! {
        deserialize_bool, visit_bool, "bool", &[false, true];
        deserialize_i8, visit_i8, "i8", &[0, 1, 2, 3, 4, 5, 6, 7];
        deserialize_i16, visit_i16, "i16", &[0, 1, 2, 3, 4, 5, 6, 7];
        deserialize_i32, visit_i32, "i32", &[0, 1, 2, 3, 4, 5, 6, 7];
        deserialize_i64, visit_i64, "i64", &[0, 1, 2, 3, 4, 5, 6, 7];
        deserialize_i128, visit_i128, "i128", &[0, 1, 2, 3, 4, 5, 6, 7];
        deserialize_u8, visit_u8, "u8", &[0, 1, 2, 3, 4, 5, 6, 7];
        deserialize_u16, visit_u16, "u16", &[0, 1, 2, 3, 4, 5, 6, 7];
        deserialize_u32, visit_u32, "u32", &[0, 1, 2, 3, 4, 5, 6, 7];
        deserialize_u64, visit_u64, "u64", &[0, 1, 2, 3, 4, 5, 6, 7];
        deserialize_u128, visit_u128, "u128", &[0, 1, 2, 3, 4, 5, 6, 7];
        deserialize_f32, visit_f32, "f32", &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        deserialize_f64, visit_f64, "f64", &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        deserialize_char, visit_char, "char", &['a', '0', 'b', 'c', 'd', 'e', 'f', 'g'];
        deserialize_str, visit_str, "String", TEXTS;
        deserialize_string, visit_str, "String", TEXTS;
        deserialize_bytes, visit_bytes, "Bytes", &[&[][..], &[0; 16][..], &[0; 32][..]];
        deserialize_byte_buf, visit_bytes, "Bytes", &[&[][..], &[0; 16][..], &[0; 32][..]];
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Refused> {
        // Neither could the native form: it doesn't say what its bytes hold.
        self.state.asked_for_any(&self.path, type_name::<V>());
        Err(Refused::Value)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Refused> {
        self.state.asked_for_name(&self.path, type_name::<V>());
        Err(Refused::Value)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if self.state.is_none() {
            return visitor.visit_none();
        }
        let mut inner = Shape::Unknown;
        let value = visitor.visit_some(Tracer::at(self.state, self.path + "?", &mut inner));
        *self.shape = Shape::Option(Box::new(inner));
        value
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.shape = Shape::Leaf(Name::Borrowed("()"));
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let (identity, name) = (Name::Borrowed(type_name::<V>()), Name::Borrowed(name));
        *self.shape = Shape::Named { identity, name, body: Body::Unit };
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        if name == as_json::NAME {
            *self.shape = Shape::Leaf(Name::Borrowed("String"));
            return visitor.visit_str(as_json::MADE_UP);
        }
        self.named_tuple(name, 1, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let (state, count, mut shapes) = (self.state, self.state.count(), Vec::new());
        let each = Some(1);
        let elements = Elements { state, path: self.path, count, each, shapes: &mut shapes };
        let value = visitor.visit_seq(elements)?;
        let element = shapes.into_iter().next().unwrap_or(Shape::Unknown);
        *self.shape = Shape::List(Box::new(element));
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let (value, shapes) = Self::elements(self.state, self.path, count, visitor)?;
        *self.shape = Shape::Tuple(shapes);
        Ok(value)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.named_tuple(name, count, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let (state, count, mut shapes) = (self.state, 2 * self.state.count(), Vec::new());
        let each = Some(2);
        let elements = Elements { state, path: self.path, count, each, shapes: &mut shapes };
        let value = visitor.visit_map(elements)?;
        let mut shapes = shapes.into_iter().map(Box::new);
        let mut next = || shapes.next().unwrap_or_else(|| Box::new(Shape::Unknown));
        *self.shape = Shape::Map(next(), next());
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let identity = type_name::<V>();
        self.named(name, visitor, |state, path, visitor, recursion| {
            probe::fields(state, path, (identity, None), fields, visitor, recursion)
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let identity = type_name::<V>();
        let variant = self.state.choose_variant(identity, variants).ok_or(Refused::Value)?;
        if !self.state.enter(identity, Some(variant)) {
            return Err(Refused::Value);
        }
        self.state.note_names(&self.path, variants.to_vec());
        let path = format!("{}/{variant}", self.path);
        let value = visitor.visit_enum(Variant { state: self.state, path, identity, variant })?;
        self.state.leave();
        let (identity, name) = (Name::Borrowed(identity), Name::Borrowed(name));
        *self.shape = Shape::Named { identity, name, body: Body::Variants(Vec::new()) };
        Ok(value)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of a sequence, tuple or struct, or the keys and values of a map.
struct Elements<'a> {
    state: &'a Memory,
    path: String,
    count: usize,
    /// Of a collection, how many make up an element: those are all alike.
    each: Option<usize>,
    shapes: &'a mut Vec<Shape>,
}

impl Elements<'_> {
    fn next<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        let place = self.shapes.len();
        if place >= self.count {
            return Ok(None);
        }
        let mut shape = Shape::Unknown;
        let path = format!("{}.{}", self.path, self.each.map_or(place, |each| place % each));
        let outer = self.each.map(|each| self.state.enter_element(place / each));
        let value = seed.deserialize(Tracer::at(self.state, path, &mut shape))?;
        outer.into_iter().for_each(|outer| self.state.leave_element(outer));
        self.shapes.push(shape);
        Ok(Some(value))
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        self.next(seed)
    }
}

impl<'de> de::MapAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        self.next(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        self.next(seed)?.ok_or(Refused::Value)
    }
}

/// One variant of an enum.
struct Variant<'a> {
    state: &'a Memory,
    path: String,
    identity: &'static str,
    variant: usize,
}

impl Variant<'_> {
    fn note(&self, body: Body) {
        self.state.note_variant(self.identity, self.variant, body);
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let index = u32::try_from(self.variant).map_err(|_| Refused::Value)?;
        Ok((seed.deserialize(IntoDeserializer::<Refused>::into_deserializer(index))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.note(Body::Unit);
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        let inside_itself = self.state.inside_itself();
        let mut shape = Shape::Unknown;
        let path = format!("{}.0", self.path);
        let value = seed.deserialize(Tracer::at(self.state, path, &mut shape))?;
        if !inside_itself {
            self.note(Body::Tuple(vec![shape]));
        }
        Ok(value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        let inside_itself = self.state.inside_itself();
        let (value, shapes) = Tracer::elements(self.state, self.path.clone(), count, visitor)?;
        if !inside_itself {
            self.note(Body::Tuple(shapes));
        }
        Ok(value)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let inside_itself = self.state.inside_itself();
        let (key, path) = ((self.identity, Some(self.variant)), self.path.clone());
        let (value, body) = probe::fields(self.state, path, key, fields, visitor, inside_itself)?;
        if !inside_itself {
            self.note(body);
        }
        Ok(value)
    }
}
