//! The columns of a table in words, which are Arrow's: `value: Struct("count": non-null UInt64)`. They
//! stand in manifests, and in the error about a table that is another state's.

use parquet::{
    basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical},
    schema::types::Type as Column,
};

use crate::schema::{element, entries, repetition};

/// The columns of a table, each with its name.
pub(crate) fn columns(table: &Column) -> String {
    let columns = table.get_fields().iter();
    columns
        .map(|column| format!("{}: {}", column.name(), type_of(column)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The type of a column, without whether it has nulls.
fn type_of(column: &Column) -> String {
    if column.is_primitive() {
        return primitive(column);
    }
    if let Some(element) = element(column) {
        let name = match element.name() {
            "item" => String::new(),
            name => format!(", field: '{name}'"),
        };
        return format!("List({}{}{name})", nulls(element), type_of(element));
    }
    if let Some((entries, _, _)) = entries(column) {
        let name = entries.name();
        return format!("Map({name:?}: non-null {}, unsorted)", structure(entries));
    }
    structure(column)
}

fn structure(group: &Column) -> String {
    let field = |field: &Column| format!("{:?}: {}{}", field.name(), nulls(field), type_of(field));
    let fields = group.get_fields().iter().map(|of| field(of)).collect::<Vec<_>>();
    format!("Struct({})", fields.join(", "))
}

fn nulls(column: &Column) -> &'static str {
    match repetition(column) {
        Repetition::OPTIONAL => "",
        Repetition::REQUIRED => "non-null ",
        Repetition::REPEATED => "repeated ",
    }
}

/// The type of a column that has no parts: the same words, the same values.
pub(crate) fn primitive(column: &Column) -> String {
    let info = column.get_basic_info();
    let (logical, converted) = (info.logical_type_ref(), info.converted_type());
    let known = match (column.get_physical_type(), logical, converted) {
        (Physical::BOOLEAN, None, _) => "Boolean",
        (Physical::FLOAT, None, _) => "Float32",
        (Physical::DOUBLE, None, _) => "Float64",
        (Physical::INT32 | Physical::INT64, Some(LogicalType::Integer(of)), _) => {
            let sign = if of.is_signed { "" } else { "U" };
            return format!("{sign}Int{}", of.bit_width);
        }
        (Physical::INT32, None, ConvertedType::NONE | ConvertedType::INT_32) => "Int32",
        (Physical::INT32, None, ConvertedType::INT_8) => "Int8",
        (Physical::INT32, None, ConvertedType::INT_16) => "Int16",
        (Physical::INT32, None, ConvertedType::UINT_8) => "UInt8",
        (Physical::INT32, None, ConvertedType::UINT_16) => "UInt16",
        (Physical::INT32, None, ConvertedType::UINT_32) => "UInt32",
        (Physical::INT64, None, ConvertedType::NONE | ConvertedType::INT_64) => "Int64",
        (Physical::INT64, None, ConvertedType::UINT_64) => "UInt64",
        (Physical::INT64, None, ConvertedType::TIMESTAMP_MILLIS) => "Timestamp(ms, \"UTC\")",
        (Physical::INT64, Some(LogicalType::Timestamp(of)), _) => {
            let unit = match of.unit {
                TimeUnit::MILLIS => "ms",
                TimeUnit::MICROS => "µs",
                TimeUnit::NANOS => "ns",
            };
            let zone = if of.is_adjusted_to_u_t_c { ", \"UTC\"" } else { "" };
            return format!("Timestamp({unit}{zone})");
        }
        (Physical::BYTE_ARRAY, Some(LogicalType::String | LogicalType::Json), _)
        | (Physical::BYTE_ARRAY, None, ConvertedType::UTF8 | ConvertedType::JSON) => "Utf8",
        (Physical::BYTE_ARRAY, Some(LogicalType::Enum | LogicalType::Bson), _)
        | (
            Physical::BYTE_ARRAY,
            None,
            ConvertedType::NONE | ConvertedType::ENUM | ConvertedType::BSON,
        ) => "Binary",
        (physical, Some(logical), _) => return format!("{physical} ({logical:?})"),
        (physical, None, converted) => return format!("{physical} ({converted})"),
    };
    known.to_owned()
}
