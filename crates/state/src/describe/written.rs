//! Compares what a value writes with what its type reads.
//!
//! The native form holds no names and no types: whoever reads it has to ask for exactly what was
//! written. serde's attributes make it easy to write something else, which formats with names can make
//! sense of and this one can't.

mod serializer;

use std::{cell::OnceCell, collections::HashMap, fmt};

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
    let named = NamedTypes { root: shape, found: OnceCell::new() };
    value.serialize(Comparer { shape: Some(shape), path: String::new(), named: &named })
}

type Named<'a> = HashMap<&'a Name, &'a Shape>;

/// The structs and enums in a shape, by identity: inside themselves that is all they say. Looked for
/// when the first value is inside of one of its own type, since there may be hundreds.
struct NamedTypes<'a> {
    root: &'a Shape,
    found: OnceCell<Named<'a>>,
}

impl<'a> NamedTypes<'a> {
    fn get(&self, identity: &Name) -> Option<&'a Shape> {
        let found = self.found.get_or_init(|| {
            let mut named = Named::new();
            collect_named(self.root, &mut named);
            named
        });
        found.get(identity).copied()
    }
}

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
    named: &'a NamedTypes<'a>,
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
            Shape::Recursion(identity) => self.named.get(identity),
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
