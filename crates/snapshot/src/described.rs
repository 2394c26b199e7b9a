//! Types as snapshots describe them, read from their notation.
//!
//! ```text
//!   u64   String   ()   Option<f64>   List<u8>   Map<u8, u32>   (u64, bool)   [u8; 32]
//!   Stats { flights: u64, delay: Option<f64> }          a struct
//!   Meters(f64)   Marker                                a tuple struct, a unit struct
//!   Event { Opened | Moved(i32, i32) | Renamed { to: String } }     an enum
//!   "my name"                                           a name that is no identifier
//! ```
//!
//! A struct or enum is described where it occurs first; afterwards its name is enough, also inside
//! itself.

use std::collections::HashMap;

use crate::manifest::StateDescription;

/// A type, as serde sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// `()` and structs without anything in them.
    #[default]
    Unit,
    /// `true` or `false`.
    Bool,
    /// A signed integer of so many bits.
    Int(u8),
    /// An unsigned integer of so many bits.
    UInt(u8),
    /// A number of 32 bits.
    F32,
    /// A number of 64 bits.
    F64,
    /// A character.
    Char,
    /// A text.
    String,
    /// Bytes.
    Bytes,
    /// A wall-clock time in milliseconds, as TTL keeps it; no type of a program is read as this.
    Time,
    /// A value or nothing.
    Option(Box<Type>),
    /// Any number of values.
    List(Box<Type>),
    /// Any number of pairs.
    Map(Box<Type>, Box<Type>),
    /// Parts in order: tuples, arrays, tuple structs. One part alone is like that part.
    Tuple(Vec<Type>),
    /// Fields by name.
    Struct(Vec<(String, Type)>),
    /// One of several.
    Enum(Vec<(String, Type)>),
    /// A type that contains itself, by name.
    Recursive(String),
    /// A type that can't be described, by its name in Rust.
    Opaque(String),
}

impl Type {
    /// How much memory it takes, about, in bytes.
    fn size(&self) -> usize {
        let of_named = |parts: &[(String, Self)]| {
            parts.iter().map(|(name, of)| size_of::<String>() + name.len() + of.size()).sum()
        };
        let below = match self {
            Self::Option(inner) | Self::List(inner) => inner.size(),
            Self::Map(key, value) => key.size() + value.size(),
            Self::Tuple(parts) => parts.iter().map(Self::size).sum(),
            Self::Struct(parts) | Self::Enum(parts) => of_named(parts),
            Self::Recursive(name) | Self::Opaque(name) => name.len(),
            _ => 0,
        };
        size_of::<Self>() + below
    }
}

/// The types that contain themselves, by name.
pub type Definitions = HashMap<String, Type>;

/// A type with all that is needed to walk through its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The type.
    pub root: Type,
    /// What it names.
    pub definitions: Definitions,
}

/// How deep types may be nested.
const DEPTH: usize = 200;
/// How much memory a type may take, about, in bytes: a short notation can name the same type again and
/// again, or arrays of arrays, and each time stands for all of it.
const SIZE: usize = 128 << 20;

impl Described {
    /// Reads a notation. What is none becomes [`Type::Opaque`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parser = Parser { rest: text, defined: HashMap::new(), depth: 0, size: 0 };
        match parser.parse_type() {
            Some(root) if parser.rest.is_empty() => {
                let all = parser.defined.into_iter().filter_map(|(name, defined)| {
                    let Defined::Whole { definition, recursive: true } = defined else {
                        return None;
                    };
                    Some((name, definition))
                });
                Self { root, definitions: all.collect() }
            }
            _ => Self { root: Type::Opaque(text.to_owned()), definitions: Definitions::new() },
        }
    }
}

impl Described {
    /// What a value of a keyed state looks like in the native form: with TTL it holds times too.
    #[must_use]
    pub fn of_state(state: &StateDescription) -> Self {
        let value = Self::parse(&state.value_type);
        if state.ttl_ms.is_none() || matches!(value.root, Type::Opaque(_)) {
            return value;
        }
        let root = match (state.kind.as_str(), value.root) {
            ("list", list @ Type::List(_)) => {
                Type::Tuple(vec![list, Type::List(Box::new(Type::Time))])
            }
            ("map", Type::Map(key, value)) => {
                Type::Map(key, Box::new(Type::Tuple(vec![*value, Type::Time])))
            }
            (_, root) => Type::Tuple(vec![root, Type::Time]),
        };
        Self { root, ..value }
    }
}

/// A struct or enum that has been named.
enum Defined {
    /// Its description is being read.
    Open {
        recursive: bool,
    },
    Whole {
        definition: Type,
        recursive: bool,
    },
}

struct Parser<'a> {
    rest: &'a str,
    defined: HashMap<String, Defined>,
    depth: usize,
    /// How much memory has been taken for copies.
    size: usize,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    fn eats(&mut self, token: &str) -> bool {
        self.eat(token).is_some()
    }

    /// So many copies of a type, if there is room for them.
    fn copies(&mut self, of: &Type, count: usize) -> Option<Vec<Type>> {
        let size = of.size().saturating_mul(count);
        self.size = self.size.checked_add(size).filter(|size| *size <= SIZE)?;
        Some(vec![of.clone(); count])
    }

    fn parse_type(&mut self) -> Option<Type> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        let parsed = self.parse_inner();
        self.depth -= 1;
        parsed
    }

    fn parse_inner(&mut self) -> Option<Type> {
        if self.eats("()") {
            return Some(Type::Unit);
        }
        if self.eats("(") {
            return self.parse_parts().map(Type::Tuple);
        }
        if self.eats("[") {
            let element = self.parse_type()?;
            self.eat("; ")?;
            let count = self.parse_number()?;
            self.eat("]")?;
            return self.copies(&element, count).map(Type::Tuple);
        }
        for (name, many) in [("Option<", false), ("List<", true)] {
            if self.eats(name) {
                let inner = Box::new(self.parse_type()?);
                self.eat(">")?;
                return Some(if many { Type::List(inner) } else { Type::Option(inner) });
            }
        }
        if self.eats("Map<") {
            let key = Box::new(self.parse_type()?);
            self.eat(", ")?;
            let value = Box::new(self.parse_type()?);
            self.eat(">")?;
            return Some(Type::Map(key, value));
        }
        let name = self.parse_name()?;
        match leaf(&name) {
            Some(leaf) => Some(leaf),
            None => self.parse_named(name),
        }
    }

    /// The parts of a tuple, behind its opening parenthesis.
    fn parse_parts(&mut self) -> Option<Vec<Type>> {
        let mut parts = Vec::new();
        if self.eats(")") {
            return Some(parts);
        }
        loop {
            parts.push(self.parse_type()?);
            if self.eats(")") {
                return Some(parts);
            }
            self.eat(", ")?;
        }
    }

    fn parse_number(&mut self) -> Option<usize> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        // No native form of an array is that long.
        digits.parse().ok().filter(|count| *count <= 1 << 16)
    }

    /// An identifier, maybe with a number that tells types of one name apart, or a quoted name.
    fn parse_name(&mut self) -> Option<String> {
        if self.rest.starts_with('"') {
            let mut escaped = false;
            let end = self.rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })?;
            let quoted = &self.rest[1..=end];
            self.rest = &self.rest[end + 2..];
            return Some(unquoted(quoted));
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '#';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// What stands behind the name of a struct or enum, or nothing if it is known.
    fn parse_named(&mut self, name: String) -> Option<Type> {
        match self.defined.remove(&name) {
            Some(Defined::Open { .. }) => {
                self.defined.insert(name.clone(), Defined::Open { recursive: true });
                return Some(Type::Recursive(name));
            }
            Some(Defined::Whole { definition, recursive }) => {
                let copy = self.copies(&definition, 1)?.pop();
                self.defined.insert(name, Defined::Whole { definition, recursive });
                return copy;
            }
            None => {}
        }
        self.defined.insert(name.clone(), Defined::Open { recursive: false });
        let definition = self.parse_body(true)?;
        let recursive = matches!(self.defined.get(&name), Some(Defined::Open { recursive: true }));
        let copy = self.copies(&definition, 1)?.pop();
        self.defined.insert(name, Defined::Whole { definition, recursive });
        copy
    }

    /// The body of a struct, an enum (if that may be one) or a variant.
    fn parse_body(&mut self, may_be_enum: bool) -> Option<Type> {
        if self.eats("(") {
            return self.parse_parts().map(Type::Tuple);
        }
        if self.eats(" {}") {
            return Some(Type::Struct(Vec::new()));
        }
        if self.eats(" {  }") {
            return Some(Type::Enum(Vec::new()));
        }
        if !self.eats(" { ") {
            return Some(Type::Unit);
        }
        let first = self.parse_name()?;
        if self.eats(": ") {
            self.parse_fields(first)
        } else {
            self.parse_variants(first, may_be_enum)
        }
    }

    fn parse_fields(&mut self, first: String) -> Option<Type> {
        let mut fields = vec![(first, self.parse_type()?)];
        while self.eats(", ") {
            let name = self.parse_name()?;
            self.eat(": ")?;
            fields.push((name, self.parse_type()?));
        }
        self.eat(" }")?;
        Some(Type::Struct(fields))
    }

    fn parse_variants(&mut self, first: String, may_be_enum: bool) -> Option<Type> {
        if !may_be_enum {
            return None;
        }
        let mut variants = vec![(first, self.parse_body(false)?)];
        while self.eats(" | ") {
            let name = self.parse_name()?;
            variants.push((name, self.parse_body(false)?));
        }
        self.eat(" }")?;
        Some(Type::Enum(variants))
    }
}

fn leaf(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "i8" => Type::Int(8),
        "i16" => Type::Int(16),
        "i32" => Type::Int(32),
        "i64" => Type::Int(64),
        "i128" => Type::Int(128),
        "u8" => Type::UInt(8),
        "u16" => Type::UInt(16),
        "u32" => Type::UInt(32),
        "u64" => Type::UInt(64),
        "u128" => Type::UInt(128),
        "f32" => Type::F32,
        "f64" => Type::F64,
        "char" => Type::Char,
        "String" => Type::String,
        "Bytes" => Type::Bytes,
        _ => return None,
    })
}

/// What Rust's `{:?}` has escaped.
fn unquoted(text: &str) -> String {
    let (mut plain, mut characters) = (String::new(), text.chars());
    while let Some(c) = characters.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('0') => plain.push('\0'),
            Some('u') => {
                let hex = characters.by_ref().skip(1).take_while(|c| *c != '}');
                let code = u32::from_str_radix(&hex.collect::<String>(), 16).ok();
                plain.extend(code.and_then(char::from_u32));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}
