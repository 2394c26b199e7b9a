//! Deserializes a type from nothing and notes what it asks for.
//!
//! # Invariants
//!
//! - INV-ENDS: inside a type that contains itself, options are none, collections empty, and an
//!   enum's variant is one that is not being traced already, so that every pass ends; a type that
//!   has no such way out runs into [`STEPS`].

use std::{
    any::type_name,
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
};

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::shape::{Body, Shape};

/// How many passes a type gets, and how many questions it may ask in one of them.
const PASSES: usize = 1_000;
const STEPS: usize = 100_000;

/// The shape of `T`, `None` if it can't be traced.
pub(super) fn trace<T: DeserializeOwned>() -> Option<Shape> {
    let state = State::default();
    for _ in 0..PASSES {
        state.begin_pass();
        let mut shape = Shape::Unknown;
        match T::deserialize(state.tracer("", &mut shape)) {
            Ok(_) if state.complete() => return Some(state.with_all_variants(shape)),
            Ok(_) => {}
            Err(_) => state.try_next_candidate()?,
        }
    }
    None
}

/// What is known of an enum.
struct KnownEnum {
    variants: &'static [&'static str],
    bodies: Vec<Option<Body>>,
}

/// What passes leave to the next.
#[derive(Default)]
struct State {
    /// Which candidate to answer with, for each question that has been refused before.
    candidates: RefCell<HashMap<String, usize>>,
    enums: RefCell<HashMap<&'static str, KnownEnum>>,
    /// The last question with candidates in this pass, and how many it has.
    last: RefCell<Option<(String, usize)>>,
    /// The structs and enums around the current place: identity, and variant if any.
    around: RefCell<Vec<(&'static str, Option<usize>)>>,
    steps: Cell<usize>,
}

impl State {
    fn begin_pass(&self) {
        self.steps.set(0);
        self.around.borrow_mut().clear();
        *self.last.borrow_mut() = None;
    }

    fn complete(&self) -> bool {
        self.enums.borrow().values().all(|known| known.bodies.iter().all(Option::is_some))
    }

    /// After a refusal, which follows the answer that is refused.
    fn try_next_candidate(&self) -> Option<()> {
        let (path, count) = self.last.borrow_mut().take()?;
        let mut candidates = self.candidates.borrow_mut();
        let choice = candidates.entry(path).or_insert(0);
        *choice += 1;
        (*choice < count).then_some(())
    }

    fn tracer<'a>(&'a self, path: &str, shape: &'a mut Shape) -> Tracer<'a> {
        Tracer { state: self, path: path.to_owned(), shape }
    }

    /// Whether the current place is inside a type that contains itself.
    fn inside_itself(&self) -> bool {
        let around = self.around.borrow();
        around
            .iter()
            .enumerate()
            .any(|(i, (identity, _))| around[..i].iter().any(|(outer, _)| outer == identity))
    }

    fn is_around(&self, identity: &str) -> bool {
        self.around.borrow().iter().any(|(outer, _)| *outer == identity)
    }

    /// The answer to the question at `path`: the first candidate that has not been refused.
    fn choose<T: Copy>(&self, path: &str, candidates: &[T]) -> T {
        let choice = self.candidates.borrow().get(path).copied().unwrap_or(0);
        *self.last.borrow_mut() = Some((path.to_owned(), candidates.len()));
        candidates[choice.min(candidates.len() - 1)]
    }

    /// Which variant to go through: one not seen yet, and inside itself one that leads out.
    fn choose_variant(
        &self,
        identity: &'static str,
        variants: &'static [&'static str],
    ) -> Option<usize> {
        let mut enums = self.enums.borrow_mut();
        let known = enums
            .entry(identity)
            .or_insert_with(|| KnownEnum { variants, bodies: vec![None; variants.len()] });
        if !self.is_around(identity) {
            return Some(known.bodies.iter().position(Option::is_none).unwrap_or(0));
        }
        let unit = known.bodies.iter().position(|body| *body == Some(Body::Unit));
        let around = self.around.borrow();
        let in_progress = |variant: usize| around.contains(&(identity, Some(variant)));
        unit.or_else(|| (0..variants.len()).find(|variant| !in_progress(*variant)))
    }

    fn note_variant(&self, identity: &'static str, variant: usize, body: Body) {
        if let Some(known) = self.enums.borrow_mut().get_mut(identity) {
            known.bodies[variant].get_or_insert(body);
        }
    }

    /// Puts every variant into the enums of `shape`, which holds those of the last pass.
    fn with_all_variants(&self, shape: Shape) -> Shape {
        self.complete_shape(shape, &mut Vec::new())
    }

    fn complete_shape(&self, shape: Shape, within: &mut Vec<&'static str>) -> Shape {
        match shape {
            Shape::Option(inner) => Shape::Option(Box::new(self.complete_shape(*inner, within))),
            Shape::List(inner) => Shape::List(Box::new(self.complete_shape(*inner, within))),
            Shape::Map(key, value) => Shape::Map(
                Box::new(self.complete_shape(*key, within)),
                Box::new(self.complete_shape(*value, within)),
            ),
            Shape::Tuple(parts) => Shape::Tuple(self.complete_shapes(parts, within)),
            Shape::Named { identity, name, .. } if within.contains(&identity) => {
                Shape::Recursion(name)
            }
            Shape::Named { identity, name, body } => {
                within.push(identity);
                let body = self.complete_body(identity, body, within);
                within.pop();
                Shape::Named { identity, name, body }
            }
            leaf => leaf,
        }
    }

    fn complete_shapes(&self, shapes: Vec<Shape>, within: &mut Vec<&'static str>) -> Vec<Shape> {
        shapes.into_iter().map(|shape| self.complete_shape(shape, within)).collect()
    }

    fn complete_body(
        &self,
        identity: &'static str,
        body: Body,
        within: &mut Vec<&'static str>,
    ) -> Body {
        match body {
            Body::Unit => Body::Unit,
            Body::Tuple(parts) => Body::Tuple(self.complete_shapes(parts, within)),
            Body::Fields(fields) => {
                let complete = |(name, shape)| (name, self.complete_shape(shape, within));
                Body::Fields(fields.into_iter().map(complete).collect())
            }
            Body::Variants(_) => {
                let known = self.enums.borrow();
                let Some(known) = known.get(identity) else { return Body::Unit };
                let variants = known.variants.iter().zip(&known.bodies).map(|(name, body)| {
                    let body = body.clone().map(|body| self.complete_body("", body, within));
                    (*name, body)
                });
                Body::Variants(variants.collect())
            }
        }
    }
}

/// The type asked for something that can't be made up, or refused what it got.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type can't be traced")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

/// Answers one question and notes in `shape` what it was.
struct Tracer<'a> {
    state: &'a State,
    path: String,
    shape: &'a mut Shape,
}

impl<'a> Tracer<'a> {
    fn leaf<T: Copy>(self, name: &'static str, candidates: &[T]) -> Result<T, Refused> {
        let steps = self.state.steps.get() + 1;
        self.state.steps.set(steps);
        *self.shape = Shape::Leaf(name);
        if steps > STEPS {
            // No other candidate can help.
            *self.state.last.borrow_mut() = None;
            return Err(Refused);
        }
        Ok(self.state.choose(&self.path, candidates))
    }

    /// Goes through the elements of a tuple or struct.
    fn elements<'de, V: Visitor<'de>>(
        state: &'a State,
        path: String,
        count: usize,
        visitor: V,
    ) -> Result<(V::Value, Vec<Shape>), Refused> {
        let mut shapes = Vec::with_capacity(count);
        let value = visitor.visit_seq(Elements { state, path, count, shapes: &mut shapes })?;
        Ok((value, shapes))
    }

    /// Goes into a struct, unless it is inside itself: then its shape is known from outside.
    fn named<'de, V: Visitor<'de>>(
        self,
        name: &'static str,
        count: usize,
        visitor: V,
        body: impl FnOnce(Vec<Shape>) -> Body,
    ) -> Result<V::Value, Refused> {
        let identity = type_name::<V>();
        let recursion = self.state.is_around(identity);
        self.state.around.borrow_mut().push((identity, None));
        if self.state.around.borrow().len() > 500 {
            return Err(Refused);
        }
        let (value, shapes) = Self::elements(self.state, self.path, count, visitor)?;
        self.state.around.borrow_mut().pop();
        *self.shape = if recursion {
            Shape::Recursion(name)
        } else {
            Shape::Named { identity, name, body: body(shapes) }
        };
        Ok(value)
    }
}

/// The names count aliases too: if there are any, it can't be told which name is whose.
fn with_names(names: &[&'static str], shapes: Vec<Shape>) -> Body {
    if names.len() == shapes.len() {
        Body::Fields(names.iter().copied().zip(shapes).collect())
    } else {
        Body::Tuple(shapes)
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
        deserialize_i8, visit_i8, "i8", &[0, 1];
        deserialize_i16, visit_i16, "i16", &[0, 1];
        deserialize_i32, visit_i32, "i32", &[0, 1];
        deserialize_i64, visit_i64, "i64", &[0, 1];
        deserialize_i128, visit_i128, "i128", &[0, 1];
        deserialize_u8, visit_u8, "u8", &[0, 1];
        deserialize_u16, visit_u16, "u16", &[0, 1];
        deserialize_u32, visit_u32, "u32", &[0, 1];
        deserialize_u64, visit_u64, "u64", &[0, 1];
        deserialize_u128, visit_u128, "u128", &[0, 1];
        deserialize_f32, visit_f32, "f32", &[0.0, 1.0];
        deserialize_f64, visit_f64, "f64", &[0.0, 1.0];
        deserialize_char, visit_char, "char", &['a', '0'];
        deserialize_str, visit_str, "String", TEXTS;
        deserialize_string, visit_str, "String", TEXTS;
        deserialize_bytes, visit_bytes, "Bytes", &[&[][..], &[0; 16][..], &[0; 32][..]];
        deserialize_byte_buf, visit_bytes, "Bytes", &[&[][..], &[0; 16][..], &[0; 32][..]];
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Refused> {
        // Neither could the native form: it doesn't say what its bytes hold.
        *self.state.last.borrow_mut() = None;
        Err(Refused)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if self.state.inside_itself() {
            return visitor.visit_none();
        }
        let mut inner = Shape::Unknown;
        let value = visitor.visit_some(self.state.tracer(&(self.path + "?"), &mut inner));
        *self.shape = Shape::Option(Box::new(inner));
        value
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.shape = Shape::Leaf("()");
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        *self.shape = Shape::Leaf(name);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.named(name, 1, visitor, Body::Tuple)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let count = usize::from(!self.state.inside_itself());
        let (value, shapes) = Self::elements(self.state, self.path, count, visitor)?;
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
        self.named(name, count, visitor, Body::Tuple)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let count = if self.state.inside_itself() { 0 } else { 2 };
        let mut shapes = Vec::new();
        let elements = Elements { state: self.state, path: self.path, count, shapes: &mut shapes };
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
        self.named(name, fields.len(), visitor, |shapes| with_names(fields, shapes))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let identity = type_name::<V>();
        let Some(variant) = self.state.choose_variant(identity, variants) else {
            *self.state.last.borrow_mut() = None;
            return Err(Refused);
        };
        self.state.around.borrow_mut().push((identity, Some(variant)));
        let path = format!("{}/{variant}", self.path);
        let value = visitor.visit_enum(Variant { state: self.state, path, identity, variant })?;
        self.state.around.borrow_mut().pop();
        *self.shape = Shape::Named { identity, name, body: Body::Variants(Vec::new()) };
        Ok(value)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of a sequence, tuple or struct, or the keys and values of a map.
struct Elements<'a> {
    state: &'a State,
    path: String,
    count: usize,
    shapes: &'a mut Vec<Shape>,
}

impl Elements<'_> {
    fn next<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        let place = self.shapes.len();
        if place >= self.count {
            return Ok(None);
        }
        let mut shape = Shape::Unknown;
        let path = format!("{}.{place}", self.path);
        let value = seed.deserialize(self.state.tracer(&path, &mut shape))?;
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
        self.next(seed)?.ok_or(Refused)
    }
}

/// One variant of an enum.
struct Variant<'a> {
    state: &'a State,
    path: String,
    identity: &'static str,
    variant: usize,
}

impl Variant<'_> {
    fn note(&self, body: Body) {
        self.state.note_variant(self.identity, self.variant, body);
    }

    fn elements<'de, V: Visitor<'de>>(
        self,
        count: usize,
        visitor: V,
        body: impl FnOnce(Vec<Shape>) -> Body,
    ) -> Result<V::Value, Refused> {
        let inside_itself = self.state.inside_itself();
        let (value, shapes) = Tracer::elements(self.state, self.path.clone(), count, visitor)?;
        if !inside_itself {
            self.note(body(shapes));
        }
        Ok(value)
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let index = u32::try_from(self.variant).map_err(|_| Refused)?;
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
        let value = seed.deserialize(self.state.tracer(&path, &mut shape))?;
        if !inside_itself {
            self.note(Body::Tuple(vec![shape]));
        }
        Ok(value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        self.elements(count, visitor, Body::Tuple)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.elements(fields.len(), visitor, |shapes| with_names(fields, shapes))
    }
}
