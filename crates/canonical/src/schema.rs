//! What a described type looks like as Parquet.
//!
//! | type | column |
//! |---|---|
//! | integers to 64 bits, floats, `bool` | the same; 128 bits as decimal text |
//! | `String`, `char` | text |
//! | bytes | binary |
//! | `()` and what has nothing in it | `true` |
//! | `Option` | the same column, with nulls; an option in an option as a struct with the field `some` |
//! | lists, maps | list, map |
//! | tuples, arrays, tuple structs | a struct with the fields `0`, `1`, …; one part alone is that part |
//! | structs | struct |
//! | enums without data | the variant's name |
//! | enums with data | a struct: `variant`, its name, and for each variant with data a field with nulls |
//! | what contains itself, or can't be described | binary: the native form (postcard) |
//!
//! Lists and maps are laid out as [Parquet's logical types][types] say. The groups in them are called
//! `item` and `entries`, as they have been since the first version; who reads tables goes by the place.
//!
//! [types]: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md

use std::sync::Arc;

use parquet::{
    basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical},
    schema::types::{Type as Column, TypePtr},
};
use tidegate_snapshot::described::Type;

/// The name of the field that tells which variant of an enum a row has.
pub(crate) const VARIANT: &str = "variant";
/// The name of the field of an option in an option.
pub(crate) const SOME: &str = "some";

/// A table with these columns.
pub(crate) fn table(columns: Vec<TypePtr>) -> TypePtr {
    let table = Column::group_type_builder("schema").with_fields(columns);
    Arc::new(table.build().expect("nothing about a group is refused"))
}

/// A column of this name and type.
pub(crate) fn column(name: &str, of: &Type) -> TypePtr {
    with_nulls(name, of, is_nullable(of))
}

/// A column that has nulls or not, whatever its type says.
fn with_nulls(name: &str, of: &Type, nullable: bool) -> TypePtr {
    let repetition = if nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let structure = |fields| group(name, repetition, None, fields);
    match of {
        Type::Option(inner) if is_nullable(inner) => structure(vec![column(SOME, inner)]),
        Type::Option(inner) => with_nulls(name, inner, nullable),
        Type::List(element) => {
            let list = group("list", Repetition::REPEATED, None, vec![column("item", element)]);
            group(name, repetition, Some(LogicalType::List), vec![list])
        }
        Type::Map(key, value) => {
            // A map's keys are never null: an option among them is kept as a struct.
            let parts = vec![with_nulls("key", &map_key(key), false), column("value", value)];
            let entries = group("entries", Repetition::REPEATED, None, parts);
            group(name, repetition, Some(LogicalType::Map), vec![entries])
        }
        Type::Tuple(parts) if parts.len() == 1 => with_nulls(name, &parts[0], nullable),
        Type::Tuple(parts) if !parts.is_empty() => {
            let parts = parts.iter().enumerate();
            structure(parts.map(|(place, part)| column(&place.to_string(), part)).collect())
        }
        Type::Struct(fields) if !fields.is_empty() => {
            structure(fields.iter().map(|(name, of)| column(name, of)).collect())
        }
        Type::Enum(variants) if !is_tag(variants) => {
            let bodies = with_data(variants);
            let bodies = bodies.map(|(_, name, of)| with_nulls(&body_name(name), of, true));
            let tag = column(VARIANT, &Type::String);
            structure(std::iter::once(tag).chain(bodies).collect())
        }
        leaf => Arc::new(primitive(name, repetition, leaf)),
    }
}

fn group(
    name: &str,
    repetition: Repetition,
    logical: Option<LogicalType>,
    fields: Vec<TypePtr>,
) -> TypePtr {
    let group = Column::group_type_builder(name).with_repetition(repetition);
    let group = group.with_logical_type(logical).with_fields(fields);
    Arc::new(group.build().expect("nothing about a group is refused"))
}

/// The column of a type that has no parts, or of an enum that is its tag alone.
pub(crate) fn primitive(name: &str, repetition: Repetition, of: &Type) -> Column {
    let integer = |bits: u8, signed| Some(LogicalType::integer(bits as i8, signed));
    let (physical, logical) = match of {
        Type::Int(32) => (Physical::INT32, None),
        Type::Int(64) => (Physical::INT64, None),
        Type::Int(bits @ ..32) => (Physical::INT32, integer(*bits, true)),
        Type::UInt(bits @ ..=32) => (Physical::INT32, integer(*bits, false)),
        Type::UInt(64) => (Physical::INT64, integer(64, false)),
        Type::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
        Type::F32 => (Physical::FLOAT, None),
        Type::F64 => (Physical::DOUBLE, None),
        Type::Int(_) | Type::UInt(_) | Type::Char | Type::String | Type::Enum(_) => {
            (Physical::BYTE_ARRAY, Some(LogicalType::String))
        }
        Type::Bytes | Type::Recursive(_) | Type::Opaque(_) => (Physical::BYTE_ARRAY, None),
        _ => (Physical::BOOLEAN, None),
    };
    let column = Column::primitive_type_builder(name, physical).with_repetition(repetition);
    column.with_logical_type(logical).build().expect("the logical type is one of the physical type")
}

/// A map's key, as a column without nulls.
pub(crate) fn map_key(key: &Type) -> Type {
    match key {
        Type::Option(_) => Type::Struct(vec![(SOME.to_owned(), key.clone())]),
        Type::Tuple(parts) if parts.len() == 1 => map_key(&parts[0]),
        key => key.clone(),
    }
}

/// What an option holds, if it is one: its column has nulls of its own.
pub(crate) fn optional(of: &Type) -> Option<&Type> {
    match of {
        Type::Option(inner) => Some(inner),
        Type::Tuple(parts) if parts.len() == 1 => optional(&parts[0]),
        _ => None,
    }
}

/// Whether its column has nulls of its own.
pub(crate) fn is_nullable(of: &Type) -> bool {
    optional(of).is_some()
}

/// Whether an enum is its variant's name and nothing else.
pub(crate) fn is_tag(variants: &[(String, Type)]) -> bool {
    variants.iter().all(|(_, body)| is_empty(body))
}

fn is_empty(of: &Type) -> bool {
    match of {
        Type::Unit => true,
        Type::Tuple(parts) => parts.is_empty(),
        Type::Struct(fields) => fields.is_empty(),
        _ => false,
    }
}

/// The variants that have data, with their numbers.
pub(crate) fn with_data(variants: &[(String, Type)]) -> impl Iterator<Item = (usize, &str, &Type)> {
    let all = variants.iter().enumerate().map(|(index, (name, of))| (index, name.as_str(), of));
    all.filter(|(_, _, of)| !is_empty(of))
}

/// A variant of the name of the tag gets another one.
pub(crate) fn body_name(name: &str) -> String {
    if name == VARIANT { format!("{name}_") } else { name.to_owned() }
}

/// What a list is a list of.
pub(crate) fn element(column: &Column) -> Option<&Column> {
    let [element] = repeated(column, &LogicalType::List, ConvertedType::LIST)?.get_fields() else {
        return None;
    };
    Some(element)
}

/// The pairs of a map, with their keys and values.
pub(crate) fn entries(column: &Column) -> Option<(&Column, &Column, &Column)> {
    // The second one is an old name of the same: see the specification.
    let entries = repeated(column, &LogicalType::Map, ConvertedType::MAP)
        .or_else(|| repeated(column, &LogicalType::Map, ConvertedType::MAP_KEY_VALUE))?;
    let [key, value] = entries.get_fields() else { return None };
    Some((entries, key, value))
}

/// The group that is repeated in a list or map.
fn repeated<'a>(
    column: &'a Column,
    logical: &LogicalType,
    converted: ConvertedType,
) -> Option<&'a Column> {
    let info = column.get_basic_info();
    if column.is_primitive()
        || info.logical_type_ref().map_or(info.converted_type() != converted, |of| of != logical)
    {
        return None;
    }
    let [repeated] = column.get_fields() else { return None };
    let is_repeated = repetition(repeated) == Repetition::REPEATED;
    (is_repeated && repeated.is_group()).then_some(repeated)
}

/// Whether a column has nulls or is repeated; a file may leave that out.
pub(crate) fn repetition(column: &Column) -> Repetition {
    let info = column.get_basic_info();
    if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED }
}
