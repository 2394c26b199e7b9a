//! Compares what a value writes with what its type reads.
//!
//! The native form holds no names and no types: whoever reads it has to ask for exactly what was
//! written. serde's attributes make it easy to write something else, which formats with names can make
//! sense of and this one can't.

use std::{collections::HashMap, fmt};

use serde::ser::{self, Serialize};

use super::shape::{Body, Name, Shape};

/// What a type writes otherwise than it reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// At this place, in words.
    At { path: String, problem: String },
    /// The value's own `Serialize` reports an error.
    Own(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { path, problem } if path.is_empty() => f.write_str(problem),
            Self::At { path, problem } => write!(f, "`{path}`: {problem}"),
            Self::Own(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Difference {}

impl ser::Error for Difference {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Own(message.to_string())
    }
}

/// Compares what `value` writes with `shape`, which says what its type reads.
///
/// # Errors
///
/// The first place where they differ.
pub(crate) fn compare<T: Serialize + ?Sized>(value: &T, shape: &Shape) -> Result<(), Difference> {
    let mut named = HashMap::new();
    collect_named(shape, &mut named);
    value.serialize(Comparer { shape: Some(shape), path: String::new(), named: &named })
}

type Named<'a> = HashMap<&'a Name, &'a Shape>;

/// The structs and enums in a shape, by identity: inside themselves that is all they say.
fn collect_named<'a>(shape: &'a Shape, named: &mut Named<'a>) {
    match shape {
        Shape::Option(inner) | Shape::List(inner) => collect_named(inner, named),
        Shape::Map(key, value) => {
            collect_named(key, named);
            collect_named(value, named);
        }
        Shape::Tuple(parts) => parts.iter().for_each(|part| collect_named(part, named)),
        Shape::Named { identity, body, .. } => {
            if named.insert(identity, shape).is_none() {
                collect_in_body(body, named);
            }
        }
        Shape::Unknown | Shape::Leaf(_) | Shape::Recursion(_) => {}
    }
}

fn collect_in_body<'a>(body: &'a Body, named: &mut Named<'a>) {
    match body {
        Body::Unit => {}
        Body::Tuple(parts) => parts.iter().for_each(|part| collect_named(part, named)),
        Body::Fields(fields) => {
            fields.fields.iter().for_each(|field| collect_named(&field.shape, named));
        }
        Body::Variants(variants) => {
            variants
                .iter()
                .flat_map(|(_, body)| body)
                .for_each(|body| collect_in_body(body, named));
        }
    }
}

/// Takes one value in, and compares.
#[derive(Clone)]
struct Comparer<'a> {
    /// What is read, `None` if that is not known.
    shape: Option<&'a Shape>,
    path: String,
    named: &'a Named<'a>,
}

/// What is read part by part.
enum Parts<'a> {
    /// Not known.
    Any,
    /// By their place.
    Places(Vec<&'a Shape>),
    /// By name.
    Fields(Vec<(&'a Name, &'a Shape)>),
}

impl<'a> Parts<'a> {
    fn of(body: &'a Body) -> Option<Self> {
        match body {
            Body::Unit => Some(Self::Places(Vec::new())),
            Body::Tuple(parts) => Some(Self::Places(parts.iter().collect())),
            Body::Fields(fields) => {
                let fields = fields.fields.iter();
                Some(Self::Fields(fields.map(|field| (&field.name, &field.shape)).collect()))
            }
            Body::Variants(_) => None,
        }
    }

    fn len(&self) -> Option<usize> {
        match self {
            Self::Any => None,
            Self::Places(parts) => Some(parts.len()),
            Self::Fields(fields) => Some(fields.len()),
        }
    }

    fn get(&self, place: usize) -> Option<&'a Shape> {
        match self {
            Self::Any => None,
            Self::Places(parts) => parts.get(place).copied(),
            Self::Fields(fields) => fields.get(place).map(|(_, shape)| *shape),
        }
    }
}

impl<'a> Comparer<'a> {
    /// The shape, if it is known, with what a name stands for.
    fn resolved(&self) -> Option<&'a Shape> {
        match self.shape? {
            Shape::Unknown => None,
            Shape::Recursion(identity) => self.named.get(identity).copied(),
            shape => Some(shape),
        }
    }

    /// What is inside of structs and tuples of one part, which add nothing.
    fn innermost(&self) -> Option<&'a Shape> {
        let mut at = self.clone();
        loop {
            let shape = at.resolved()?;
            let inner = match shape {
                Shape::Tuple(parts) => Parts::Places(parts.iter().collect()),
                Shape::Named { body, .. } => match Parts::of(body) {
                    Some(parts) => parts,
                    None => return Some(shape),
                },
                _ => return Some(shape),
            };
            match inner.len() {
                Some(1) => at.shape = inner.get(0),
                _ => return Some(shape),
            }
        }
    }

    fn within(&self, shape: Option<&'a Shape>, name: &str) -> Self {
        let path = match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path),
        };
        Self { shape, path, named: self.named }
    }

    fn differs<T>(&self, problem: String) -> Result<T, Difference> {
        Err(Difference::At { path: self.path.clone(), problem })
    }

    /// What is written is not what is read.
    fn mismatch<T>(&self, written: &str, read: &Shape) -> Result<T, Difference> {
        let read = brief(read);
        self.differs(format!(
            "it is written as {written} and read as {read} (`serialize_with` or `deserialize_with` of \
             another type, or a `Serialize` by hand, does that)"
        ))
    }

    fn leaf(&self, written: &'static str) -> Result<(), Difference> {
        let Some(shape) = self.innermost() else { return Ok(()) };
        let is_bytes = |element: &Shape| *element == Shape::Leaf(Name::Borrowed("u8"));
        let fits = match shape {
            Shape::Leaf(read) => match (written, read.as_ref()) {
                ("String", "Bytes") => true,
                (written, read) => written == read,
            },
            // A text or bytes are a length and then bytes, as a list of them is.
            Shape::List(element) => matches!(written, "String" | "Bytes") && is_bytes(element),
            _ => false,
        };
        if fits { Ok(()) } else { self.mismatch(&format!("`{written}`"), shape) }
    }

    fn unit(&self) -> Result<(), Difference> {
        let Some(shape) = self.innermost() else { return Ok(()) };
        let fits = match shape {
            Shape::Leaf(read) => read == "()",
            Shape::Tuple(parts) => parts.is_empty(),
            Shape::Named { body, .. } => {
                Parts::of(body).and_then(|parts| parts.len()).is_some_and(|count| count == 0)
            }
            _ => false,
        };
        if fits { Ok(()) } else { self.mismatch("nothing (`()`)", shape) }
    }

    fn inside_option(&self) -> Result<Option<&'a Shape>, Difference> {
        match self.innermost() {
            None => Ok(None),
            Some(Shape::Option(inner)) => Ok(Some(inner)),
            Some(shape) => self.mismatch("an `Option`", shape),
        }
    }

    /// So many parts in order, without a length in front.
    fn parts(&self, count: usize, written: &str) -> Result<Parts<'a>, Difference> {
        let Some(shape) = self.resolved() else { return Ok(Parts::Any) };
        let parts = match shape {
            Shape::Tuple(parts) => Some(Parts::Places(parts.iter().collect())),
            Shape::Named { body, .. } => Parts::of(body),
            Shape::Leaf(read) if read == "()" => Some(Parts::Places(Vec::new())),
            _ => None,
        };
        match parts {
            // Names tell more than their number.
            Some(parts) if parts.len() == Some(count) || matches!(parts, Parts::Fields(_)) => {
                Ok(parts)
            }
            // One part alone is like that part.
            _ if count == 1 => Ok(Parts::Places(vec![shape])),
            Some(parts) if parts.len() == Some(1) => {
                let inner = Comparer { shape: parts.get(0), ..self.clone() };
                inner.parts(count, written)
            }
            _ => self.mismatch(written, shape),
        }
    }

    /// The variant with this number.
    fn variant(&self, index: u32, name: &str) -> Result<(Self, Option<&'a Body>), Difference> {
        let Some(shape) = self.innermost() else {
            return Ok((self.within(None, name), None));
        };
        let Shape::Named { body: Body::Variants(variants), .. } = shape else {
            return self.mismatch(&format!("the variant `{name}` of an enum"), shape);
        };
        let read = variants.get(index as usize);
        match read {
            Some((read, body)) if read == name => Ok((self.within(None, name), body.as_ref())),
            Some((other, _)) if variants.iter().all(|(read, _)| read != name) => {
                self.differs(format!(
                    "its variant `{name}` is read as `{other}` (`#[serde(rename(serialize = …))]`): \
                     give it the same name both ways"
                ))
            }
            _ => {
                let read = read.map_or("none", |(read, _)| read.as_ref());
                self.differs(format!(
                    "its variant `{name}` is written with the number {index}, which is read as \
                     `{read}`: a variant in front of it is left out (`#[serde(skip)]`), move that \
                     one to the end"
                ))
            }
        }
    }

    fn variant_parts(
        &self,
        index: u32,
        name: &'static str,
        count: usize,
    ) -> Result<(Self, Parts<'a>), Difference> {
        let (inside, body) = self.variant(index, name)?;
        let Some(body) = body else { return Ok((inside, Parts::Any)) };
        match Parts::of(body) {
            Some(parts) if parts.len() == Some(count) || matches!(parts, Parts::Fields(_)) => {
                Ok((inside, parts))
            }
            // One part alone may be written as its own parts: a tuple in a newtype variant.
            Some(Parts::Places(parts)) if parts.len() == 1 => {
                let parts =
                    Self { shape: Some(parts[0]), ..inside.clone() }.parts(count, "parts")?;
                Ok((inside, parts))
            }
            parts => {
                let read = parts.and_then(|parts| parts.len()).unwrap_or(0);
                inside.differs(format!("{count} parts are written, and {read} are read"))
            }
        }
    }
}

/// A shape in a few words.
fn brief(shape: &Shape) -> String {
    let text = match shape {
        Shape::Named { name, body: Body::Variants(_), .. } => format!("the enum `{name}`"),
        Shape::Named { name, .. } => format!("the struct `{name}`"),
        shape => format!("`{shape}`"),
    };
    if text.chars().count() <= 80 {
        text
    } else {
        text.chars().take(80).chain("…`".chars()).collect()
    }
}

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
        InOrder::new(self, parts, length)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<InOrder<'a>, Difference> {
        let parts = self.parts(length, &format!("the struct `{name}` with {length} parts"))?;
        InOrder::new(self, parts, length)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<InOrder<'a>, Difference> {
        let (inside, parts) = self.variant_parts(index, variant, length)?;
        InOrder::new(inside, parts, length)
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
        InOrder::new(self, parts, length)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<InOrder<'a>, Difference> {
        let (inside, parts) = self.variant_parts(index, variant, length)?;
        InOrder::new(inside, parts, length)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Any number of elements, or of keys and values.
struct Elements<'a> {
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
struct InOrder<'a> {
    within: Comparer<'a>,
    parts: Parts<'a>,
    /// The fields' names as they are written.
    written: Vec<&'static str>,
    places: usize,
}

impl<'a> InOrder<'a> {
    #[expect(clippy::unnecessary_wraps, reason = "it ends methods that return a result")]
    fn new(within: Comparer<'a>, parts: Parts<'a>, _length: usize) -> Result<Self, Difference> {
        Ok(Self { within, parts, written: Vec::new(), places: 0 })
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
