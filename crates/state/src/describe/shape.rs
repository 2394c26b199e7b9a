//! What a type looks like, and how that reads.

use std::{cell::RefCell, collections::HashSet, fmt};

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
    /// A struct or enum inside itself.
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

/// The identities that have been described already: afterwards their name is enough.
type Seen = RefCell<HashSet<&'static str>>;

impl Shape {
    fn render(&self, seen: &Seen) -> String {
        match self {
            Self::Unknown => "?".to_owned(),
            Self::Leaf(name) | Self::Recursion(name) => (*name).to_owned(),
            Self::Option(inner) => format!("Option<{}>", inner.render(seen)),
            Self::List(inner) => format!("List<{}>", inner.render(seen)),
            Self::Map(key, value) => format!("Map<{}, {}>", key.render(seen), value.render(seen)),
            Self::Tuple(parts) => tuple(parts, seen),
            Self::Named { identity, name, body } => {
                if !seen.borrow_mut().insert(identity) {
                    return (*name).to_owned();
                }
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
                let fields =
                    fields.iter().map(|(name, shape)| format!("{name}: {}", shape.render(seen)));
                format!(" {{ {} }}", fields.collect::<Vec<_>>().join(", "))
            }
            Self::Variants(variants) => alternatives(variants, seen),
        }
    }
}

fn alternatives(variants: &[(&'static str, Option<Body>)], seen: &Seen) -> String {
    let variants = variants.iter().map(|(name, body)| {
        let body = body.as_ref().map_or_else(String::new, |body| body.render(seen));
        format!("{name}{body}")
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
