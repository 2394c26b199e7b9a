//! What a type looks like, and how that reads.
//!
//! # Invariants
//!
//! - INV-NOTATION: types that look different read differently: a name that is no identifier is
//!   quoted, and types of one name are told apart by a number (`Point`, `Point#2`), so that the
//!   notation alone is enough to read their values.

use std::{cell::RefCell, collections::HashMap, fmt};

/// What a type looks like to serde.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Not seen yet.
    Unknown,
    /// `u64`, `String`, …
    Leaf(&'static str),
    Option(Box<Shape>),
    List(Box<Shape>),
    Map(Box<Shape>, Box<Shape>),
    Tuple(Vec<Shape>),
    /// A struct or enum. The identity tells types of one name apart.
    Named {
        identity: &'static str,
        name: &'static str,
        body: Body,
    },
    /// A struct or enum inside itself, by its identity.
    Recursion(&'static str),
}

/// What is inside a struct, a variant or an enum.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Unit,
    Tuple(Vec<Shape>),
    Fields(Vec<(&'static str, Shape)>),
    Variants(Vec<(&'static str, Option<Body>)>),
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&RefCell::default()))
    }
}

/// The identities that have been described already, with what they are called: afterwards that is
/// enough.
type Seen = RefCell<HashMap<&'static str, String>>;

/// What stands for itself, and is no name of a struct or enum.
const RESERVED: [&str; 20] = [
    "bool", "i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "u128", "f32", "f64",
    "char", "String", "Bytes", "Option", "List", "Map", "()",
];

/// A name as it is written: quoted unless it is an identifier.
fn written(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.is_empty();
    if is_plain { name.to_owned() } else { format!("{name:?}") }
}

/// What a type is called that has not been named yet.
fn new_name(name: &str, seen: &Seen) -> String {
    let seen = seen.borrow();
    let is_free = |name: &String| {
        !RESERVED.contains(&name.as_str()) && seen.values().all(|other| other != name)
    };
    let numbered = (2..).map(|number| format!("{name}#{number}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    candidates.find(is_free).unwrap_or_default()
}

impl Shape {
    fn render(&self, seen: &Seen) -> String {
        match self {
            Self::Unknown => "?".to_owned(),
            Self::Leaf(name) => (*name).to_owned(),
            Self::Recursion(identity) => {
                seen.borrow().get(identity).map_or_else(|| "?".to_owned(), |name| named(name))
            }
            Self::Option(inner) => format!("Option<{}>", inner.render(seen)),
            Self::List(inner) => format!("List<{}>", inner.render(seen)),
            Self::Map(key, value) => format!("Map<{}, {}>", key.render(seen), value.render(seen)),
            Self::Tuple(parts) => tuple(parts, seen),
            Self::Named { identity, name, body } => {
                if let Some(known) = seen.borrow().get(identity) {
                    return named(known);
                }
                let name = new_name(name, seen);
                seen.borrow_mut().insert(identity, name.clone());
                let name = named(&name);
                match body {
                    Body::Variants(variants) => format!("{name} {}", alternatives(variants, seen)),
                    body => format!("{name}{}", body.render(seen)),
                }
            }
        }
    }
}

impl Body {
    /// What stands behind the name.
    fn render(&self, seen: &Seen) -> String {
        match self {
            Self::Unit => String::new(),
            Self::Tuple(parts) => format!("({})", join(parts, seen)),
            Self::Fields(fields) if fields.is_empty() => " {}".to_owned(),
            Self::Fields(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, shape)| format!("{}: {}", written(name), shape.render(seen)));
                format!(" {{ {} }}", fields.collect::<Vec<_>>().join(", "))
            }
            Self::Variants(variants) => alternatives(variants, seen),
        }
    }
}

/// A type's name as it is written, with the number behind it if it has one.
fn named(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '#');
    if is_plain && !name.is_empty() { name.to_owned() } else { format!("{name:?}") }
}

fn alternatives(variants: &[(&'static str, Option<Body>)], seen: &Seen) -> String {
    let variants = variants.iter().map(|(name, body)| {
        let body = body.as_ref().map_or_else(String::new, |body| body.render(seen));
        format!("{}{body}", written(name))
    });
    format!("{{ {} }}", variants.collect::<Vec<_>>().join(" | "))
}

/// Long tuples of one type are arrays.
fn tuple(parts: &[Shape], seen: &Seen) -> String {
    match parts {
        [first, rest @ ..] if rest.len() >= 8 && rest.iter().all(|part| part == first) => {
            format!("[{}; {}]", first.render(seen), parts.len())
        }
        _ => format!("({})", join(parts, seen)),
    }
}

fn join(parts: &[Shape], seen: &Seen) -> String {
    parts.iter().map(|part| part.render(seen)).collect::<Vec<_>>().join(", ")
}
