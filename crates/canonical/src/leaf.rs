//! A leaf of a table: what its values are, and how Parquet keeps them.

use tidegate_snapshot::{described::Type, wire::WireError};

/// A column of the file.
pub(crate) struct Leaf {
    pub(crate) kind: Kind,
    /// Its highest levels.
    pub(crate) definition: i16,
    pub(crate) repetition: i16,
}

/// What the values of a leaf are.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Unit,
    Bool,
    Int(u8),
    UInt(u8),
    F32,
    F64,
    Time,
    Char,
    Text,
    Binary,
    /// The native form of a type that no column has.
    Native(Type),
}

impl Kind {
    pub(crate) fn of(of: &Type) -> Self {
        match of {
            Type::Bool => Self::Bool,
            Type::Int(bits) => Self::Int(*bits),
            Type::UInt(bits) => Self::UInt(*bits),
            Type::F32 => Self::F32,
            Type::F64 => Self::F64,
            Type::Time => Self::Time,
            Type::Char => Self::Char,
            Type::String | Type::Enum(_) => Self::Text,
            Type::Bytes => Self::Binary,
            Type::Recursive(_) | Type::Opaque(_) => Self::Native(of.clone()),
            // What has nothing in it; everything else has parts.
            _ => Self::Unit,
        }
    }
}

/// The values of a leaf; the form of byte strings depends on who has them.
pub(crate) enum Values<B> {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(B),
}

impl<B: Default> Values<B> {
    pub(crate) fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Unit | Kind::Bool => Self::Bool(Vec::new()),
            Kind::Int(..=32) | Kind::UInt(..=32) => Self::Int32(Vec::new()),
            Kind::Int(64) | Kind::UInt(64) | Kind::Time => Self::Int64(Vec::new()),
            Kind::F32 => Self::Float(Vec::new()),
            Kind::F64 => Self::Double(Vec::new()),
            Kind::Int(_)
            | Kind::UInt(_)
            | Kind::Char
            | Kind::Text
            | Kind::Binary
            | Kind::Native(_) => Self::Bytes(B::default()),
        }
    }
}

/// Bytes that are UTF-8. Most are ASCII, which is found out faster.
#[inline]
pub(crate) fn checked(bytes: &[u8]) -> Result<&[u8], WireError> {
    if !bytes.is_ascii() {
        text(bytes)?;
    }
    Ok(bytes)
}

/// A text.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes)
        .map_err(|error| WireError::new(format!("a text is not UTF-8: {error}")))
}

/// What no value of a leaf is.
pub(crate) fn other() -> WireError {
    WireError::new("a value of another type than its column's")
}
