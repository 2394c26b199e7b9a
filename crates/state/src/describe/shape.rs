//! What a type looks like, and how that reads.
//!
//! # Invariants
//!
//! - INV-NOTATION: types that look different read differently: a name that is no identifier is
//!   quoted, and types of one name are told apart by a number (`Point`, `Point#2`), so that the
//!   notation alone is enough to read their values.

use std::{borrow::Cow, cell::RefCell, collections::HashMap, fmt};

use serde::{Deserialize, Serialize};

/// A name that comes from a program, or from a description of one.
pub type Name = Cow<'static, str>;

/// What a type looks like to serde.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Not seen yet.
    Unknown,
    /// `u64`, `String`, …
    Leaf(Name),
    /// A value or nothing.
    Option(Box<Shape>),
    /// Any number of values.
    List(Box<Shape>),
    /// Any number of pairs.
    Map(Box<Shape>, Box<Shape>),
    /// Parts in order.
    Tuple(Vec<Shape>),
    /// A struct or enum.
    Named {
        /// Tells types of one name apart.
        identity: Name,
        /// What the program calls it.
        name: Name,
        /// What is in it.
        body: Body,
    },
    /// A struct or enum inside itself, by its identity.
    Recursion(Name),
}

/// What is inside a struct, a variant or an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Nothing.
    Unit,
    /// Parts in order.
    Tuple(Vec<Shape>),
    /// Parts by name.
    Fields(Fields),
    /// One of several; a body that is not known yet is `None`.
    Variants(Vec<(Name, Option<Body>)>),
}

/// The fields of a struct or variant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields {
    /// In the order of their declaration.
    pub fields: Vec<Field>,
    /// Whether others are refused (`#[serde(deny_unknown_fields)]`).
    pub denies_others: bool,
}

/// A field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: Name,
    /// What else it is read from (`#[serde(alias = "…")]`).
    pub aliases: Vec<Name>,
    /// Whether it may be missing: an option, or with `#[serde(default)]`.
    pub has_default: bool,
    /// What it holds.
    pub shape: Shape,
}

impl Shape {
    /// Whether there are, or may be, lists or maps anywhere in it.
    pub(super) fn has_collections(&self) -> bool {
        match self {
            Self::List(_) | Self::Map(..) | Self::Unknown => true,
            Self::Leaf(_) | Self::Recursion(_) => false,
            Self::Option(inner) => inner.has_collections(),
            Self::Tuple(parts) => parts.iter().any(Self::has_collections),
            Self::Named { body, .. } => body.has_collections(),
        }
    }
}

impl Body {
    fn has_collections(&self) -> bool {
        match self {
            Self::Unit => false,
            Self::Tuple(parts) => parts.iter().any(Shape::has_collections),
            Self::Fields(fields) => fields.fields.iter().any(|field| field.shape.has_collections()),
            Self::Variants(variants) => {
                variants.iter().filter_map(|(_, body)| body.as_ref()).any(Self::has_collections)
            }
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&RefCell::default()))
    }
}

/// The identities that have been described already, with what they are called: afterwards that is
/// enough.
type Seen = RefCell<HashMap<Name, String>>;

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
            Self::Leaf(name) => name.clone().into_owned(),
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
                seen.borrow_mut().insert(identity.clone(), name.clone());
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
            Self::Fields(Fields { fields, .. }) if fields.is_empty() => " {}".to_owned(),
            Self::Fields(Fields { fields, .. }) => {
                let field = |field: &Field| {
                    format!("{}: {}", written(&field.name), field.shape.render(seen))
                };
                let fields = fields.iter().map(field).collect::<Vec<_>>();
                format!(" {{ {} }}", fields.join(", "))
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

fn alternatives(variants: &[(Name, Option<Body>)], seen: &Seen) -> String {
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
