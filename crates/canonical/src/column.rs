//! Values in the native form, taken into Arrow columns.
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

use std::sync::Arc;

use arrow_array::{
    ArrayRef, ListArray, MapArray, PrimitiveArray, StructArray,
    builder::{BinaryBuilder, BooleanBuilder, StringBuilder},
    types::{
        ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use tidegate_snapshot::{
    described::{Definitions, Type},
    wire::{
        skip, take, take_array, take_bool, take_bytes, take_int, take_length, take_text, take_uint,
        take_variant,
    },
};

use crate::CanonicalError;

/// The name of the field that tells which variant of an enum a row has.
pub(crate) const VARIANT: &str = "variant";
/// The name of the field of an option in an option.
pub(crate) const SOME: &str = "some";

/// The type of a column.
pub(crate) fn data_type(of: &Type) -> DataType {
    match of {
        Type::Unit | Type::Bool => DataType::Boolean,
        Type::Int(8) => DataType::Int8,
        Type::Int(16) => DataType::Int16,
        Type::Int(32) => DataType::Int32,
        Type::Int(64) => DataType::Int64,
        Type::UInt(8) => DataType::UInt8,
        Type::UInt(16) => DataType::UInt16,
        Type::UInt(32) => DataType::UInt32,
        Type::UInt(64) => DataType::UInt64,
        Type::Int(_) | Type::UInt(_) | Type::Char | Type::String => DataType::Utf8,
        Type::F32 => DataType::Float32,
        Type::F64 => DataType::Float64,
        Type::Bytes | Type::Recursive(_) | Type::Opaque(_) => DataType::Binary,
        Type::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        Type::Option(inner) if is_nullable(inner) => {
            DataType::Struct(Fields::from(vec![field(SOME, inner)]))
        }
        Type::Option(inner) => data_type(inner),
        Type::List(element) => DataType::List(Arc::new(field("item", element))),
        Type::Map(key, value) => DataType::Map(Arc::new(entries(key, value)), false),
        Type::Tuple(parts) => match &parts[..] {
            [] => DataType::Boolean,
            [only] => data_type(only),
            parts => {
                let fields = parts.iter().zip(0..);
                DataType::Struct(fields.map(|(part, i)| field(&format!("{i}"), part)).collect())
            }
        },
        Type::Struct(fields) if fields.is_empty() => DataType::Boolean,
        Type::Struct(fields) => {
            DataType::Struct(fields.iter().map(|(name, of)| field(name, of)).collect())
        }
        Type::Enum(variants) if is_tag(variants) => DataType::Utf8,
        Type::Enum(variants) => {
            let tag = Field::new(VARIANT, DataType::Utf8, false);
            let bodies = with_data(variants)
                .map(|(_, name, of)| Field::new(body_name(name), data_type(of), true));
            DataType::Struct(std::iter::once(tag).chain(bodies).collect())
        }
    }
}

/// A column of this name and type.
pub(crate) fn field(name: &str, of: &Type) -> Field {
    Field::new(name, data_type(of), is_nullable(of))
}

fn entries(key: &Type, value: &Type) -> Field {
    // A map's keys are never null: an option among them is kept as a struct.
    let key = Field::new("key", data_type(&map_key(key)), false);
    let fields = Fields::from(vec![key, field("value", value)]);
    Field::new("entries", DataType::Struct(fields), false)
}

/// A map's key, as a column without nulls.
pub(crate) fn map_key(key: &Type) -> Type {
    match key {
        Type::Option(_) => Type::Struct(vec![(SOME.to_owned(), key.clone())]),
        Type::Tuple(parts) if parts.len() == 1 => map_key(&parts[0]),
        key => key.clone(),
    }
}

/// Whether its column has nulls of its own.
pub(crate) fn is_nullable(of: &Type) -> bool {
    match of {
        Type::Option(_) => true,
        Type::Tuple(parts) if parts.len() == 1 => is_nullable(&parts[0]),
        _ => false,
    }
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

/// A column as it grows.
pub(crate) enum Column {
    Bool(BooleanBuilder),
    /// For what has nothing in it.
    Unit(BooleanBuilder),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Time(Vec<i64>),
    /// 128 bits, as text.
    Int(StringBuilder),
    UInt(StringBuilder),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    /// The native form of a type that no column has.
    Native(BinaryBuilder, Type),
    Option {
        nulls: NullBufferBuilder,
        inner: Box<Column>,
    },
    /// An option whose inner column has nulls of its own.
    Nested {
        nulls: NullBufferBuilder,
        fields: Fields,
        inner: Box<Column>,
    },
    List {
        offsets: Vec<i32>,
        field: Arc<Field>,
        items: Box<Column>,
    },
    Map {
        offsets: Vec<i32>,
        field: Arc<Field>,
        keys: Box<Column>,
        values: Box<Column>,
    },
    Struct {
        fields: Fields,
        columns: Vec<Column>,
        rows: usize,
    },
    Tag {
        names: Vec<String>,
        tags: StringBuilder,
    },
    Enum {
        names: Vec<String>,
        fields: Fields,
        tags: StringBuilder,
        bodies: Vec<Option<Body>>,
    },
}

/// The data of one variant: null in rows of others.
pub(crate) struct Body {
    nulls: NullBufferBuilder,
    column: Column,
}

const CAPACITY: usize = 1024;

impl Column {
    pub(crate) fn new(of: &Type) -> Self {
        let nulls = || NullBufferBuilder::new(CAPACITY);
        match of {
            Type::Unit => Self::Unit(BooleanBuilder::new()),
            Type::Bool => Self::Bool(BooleanBuilder::new()),
            Type::Int(8) => Self::I8(Vec::new()),
            Type::Int(16) => Self::I16(Vec::new()),
            Type::Int(32) => Self::I32(Vec::new()),
            Type::Int(64) => Self::I64(Vec::new()),
            Type::UInt(8) => Self::U8(Vec::new()),
            Type::UInt(16) => Self::U16(Vec::new()),
            Type::UInt(32) => Self::U32(Vec::new()),
            Type::UInt(64) => Self::U64(Vec::new()),
            Type::Int(_) => Self::Int(StringBuilder::new()),
            Type::UInt(_) => Self::UInt(StringBuilder::new()),
            Type::F32 => Self::F32(Vec::new()),
            Type::F64 => Self::F64(Vec::new()),
            Type::Time => Self::Time(Vec::new()),
            Type::Char | Type::String => Self::Text(StringBuilder::new()),
            Type::Bytes => Self::Binary(BinaryBuilder::new()),
            Type::Recursive(_) | Type::Opaque(_) => Self::Native(BinaryBuilder::new(), of.clone()),
            Type::Option(inner) => {
                let column = Box::new(Self::new(inner));
                match data_type(of) {
                    DataType::Struct(fields) if is_nullable(inner) => {
                        Self::Nested { nulls: nulls(), fields, inner: column }
                    }
                    _ => Self::Option { nulls: nulls(), inner: column },
                }
            }
            Type::List(element) => Self::List {
                offsets: vec![0],
                field: Arc::new(field("item", element)),
                items: Box::new(Self::new(element)),
            },
            Type::Map(key, value) => Self::Map {
                offsets: vec![0],
                field: Arc::new(entries(key, value)),
                keys: Box::new(Self::new(&map_key(key))),
                values: Box::new(Self::new(value)),
            },
            Type::Tuple(parts) if parts.len() == 1 => Self::new(&parts[0]),
            Type::Tuple(parts) => Self::fields(of, parts.iter()),
            Type::Struct(fields) => Self::fields(of, fields.iter().map(|(_, field)| field)),
            Type::Enum(variants) => {
                let names = variants.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
                let tags = StringBuilder::new();
                let DataType::Struct(fields) = data_type(of) else {
                    return Self::Tag { names, tags };
                };
                let body = |(_, of): &(String, Type)| {
                    (!is_empty(of)).then(|| Body { nulls: nulls(), column: Self::new(of) })
                };
                Self::Enum { names, fields, tags, bodies: variants.iter().map(body).collect() }
            }
        }
    }

    fn fields<'a>(of: &Type, parts: impl Iterator<Item = &'a Type>) -> Self {
        match data_type(of) {
            DataType::Struct(fields) => {
                Self::Struct { fields, columns: parts.map(Self::new).collect(), rows: 0 }
            }
            _ => Self::Unit(BooleanBuilder::new()),
        }
    }

    /// Takes one value from the front of `bytes`.
    pub(crate) fn append(
        &mut self,
        bytes: &mut &[u8],
        definitions: &Definitions,
    ) -> Result<(), CanonicalError> {
        match self {
            Self::Unit(column) => column.append_value(true),
            Self::Bool(column) => column.append_value(take_bool(bytes)?),
            Self::I8(column) => column.push(take_int(bytes, 8)? as i8),
            Self::I16(column) => column.push(take_int(bytes, 16)? as i16),
            Self::I32(column) => column.push(take_int(bytes, 32)? as i32),
            Self::I64(column) => column.push(take_int(bytes, 64)? as i64),
            Self::U8(column) => column.push(take_uint(bytes, 8)? as u8),
            Self::U16(column) => column.push(take_uint(bytes, 16)? as u16),
            Self::U32(column) => column.push(take_uint(bytes, 32)? as u32),
            Self::U64(column) => column.push(take_uint(bytes, 64)? as u64),
            Self::F32(column) => column.push(f32::from_le_bytes(take_array(bytes)?)),
            Self::F64(column) => column.push(f64::from_le_bytes(take_array(bytes)?)),
            Self::Time(column) => {
                let millis = take_uint(bytes, 64)?;
                let beyond = || CanonicalError::malformed(format!("{millis} is no time"));
                column.push(i64::try_from(millis).map_err(|_| beyond())?);
            }
            Self::Int(column) => column.append_value(take_int(bytes, 128)?.to_string()),
            Self::UInt(column) => column.append_value(take_uint(bytes, 128)?.to_string()),
            Self::Text(column) => column.append_value(take_text(bytes)?),
            Self::Binary(column) => column.append_value(take_bytes(bytes)?),
            Self::Native(column, of) => {
                let whole = *bytes;
                skip(bytes, of, definitions)?;
                column.append_value(take(&mut &*whole, whole.len() - bytes.len())?);
            }
            Self::Option { nulls, inner } | Self::Nested { nulls, inner, .. } => {
                if take_bool(bytes)? {
                    nulls.append_non_null();
                    inner.append(bytes, definitions)?;
                } else {
                    nulls.append_null();
                    inner.append_nothing();
                }
            }
            Self::List { offsets, items, .. } => {
                let count = take_length(bytes)?;
                for _ in 0..count {
                    items.append(bytes, definitions)?;
                }
                push_offset(offsets, count)?;
            }
            Self::Map { offsets, keys, values, .. } => {
                let count = take_length(bytes)?;
                for _ in 0..count {
                    keys.append(bytes, definitions)?;
                    values.append(bytes, definitions)?;
                }
                push_offset(offsets, count)?;
            }
            Self::Struct { columns, rows, .. } => {
                for column in columns {
                    column.append(bytes, definitions)?;
                }
                *rows += 1;
            }
            Self::Tag { names, tags } => {
                let variant = take_variant(bytes, names.len())?;
                tags.append_value(&names[variant]);
            }
            Self::Enum { names, tags, bodies, .. } => {
                let variant = take_variant(bytes, names.len())?;
                tags.append_value(&names[variant]);
                for (index, body) in bodies.iter_mut().enumerate() {
                    let Some(Body { nulls, column }) = body else { continue };
                    if index == variant {
                        nulls.append_non_null();
                        column.append(bytes, definitions)?;
                    } else {
                        nulls.append_null();
                        column.append_nothing();
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes bytes whose end somebody else knows, for a type that can't be described.
    pub(crate) fn append_native(&mut self, bytes: &[u8]) {
        if let Self::Native(column, _) = self {
            column.append_value(bytes);
        }
    }

    /// Fills a row that is null further out.
    fn append_nothing(&mut self) {
        match self {
            Self::Unit(column) | Self::Bool(column) => column.append_value(false),
            Self::I8(column) => column.push(0),
            Self::I16(column) => column.push(0),
            Self::I32(column) => column.push(0),
            Self::I64(column) | Self::Time(column) => column.push(0),
            Self::U8(column) => column.push(0),
            Self::U16(column) => column.push(0),
            Self::U32(column) => column.push(0),
            Self::U64(column) => column.push(0),
            Self::F32(column) => column.push(0.0),
            Self::F64(column) => column.push(0.0),
            Self::Int(column) | Self::UInt(column) | Self::Text(column) => column.append_value(""),
            Self::Binary(column) | Self::Native(column, _) => column.append_value([]),
            Self::Option { nulls, inner } | Self::Nested { nulls, inner, .. } => {
                nulls.append_null();
                inner.append_nothing();
            }
            Self::List { offsets, .. } | Self::Map { offsets, .. } => {
                offsets.push(offsets.last().copied().unwrap_or(0));
            }
            Self::Struct { columns, rows, .. } => {
                columns.iter_mut().for_each(Self::append_nothing);
                *rows += 1;
            }
            Self::Tag { tags, .. } => tags.append_value(""),
            Self::Enum { tags, bodies, .. } => {
                tags.append_value("");
                for Body { nulls, column } in bodies.iter_mut().flatten() {
                    nulls.append_null();
                    column.append_nothing();
                }
            }
        }
    }

    /// The column; what comes next begins a new one.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, CanonicalError> {
        Ok(match self {
            Self::Unit(column) | Self::Bool(column) => Arc::new(column.finish()),
            Self::I8(column) => primitive::<Int8Type>(column),
            Self::I16(column) => primitive::<Int16Type>(column),
            Self::I32(column) => primitive::<Int32Type>(column),
            Self::I64(column) => primitive::<Int64Type>(column),
            Self::U8(column) => primitive::<UInt8Type>(column),
            Self::U16(column) => primitive::<UInt16Type>(column),
            Self::U32(column) => primitive::<UInt32Type>(column),
            Self::U64(column) => primitive::<UInt64Type>(column),
            Self::F32(column) => primitive::<Float32Type>(column),
            Self::F64(column) => primitive::<Float64Type>(column),
            Self::Time(column) => {
                let times = ScalarBuffer::from(std::mem::take(column));
                let times = PrimitiveArray::<TimestampMillisecondType>::new(times, None);
                Arc::new(times.with_timezone("UTC"))
            }
            Self::Int(column) | Self::UInt(column) | Self::Text(column) => {
                Arc::new(column.finish())
            }
            Self::Binary(column) | Self::Native(column, _) => Arc::new(column.finish()),
            Self::Option { nulls, inner } => with_nulls(&inner.finish()?, nulls)?,
            Self::Nested { nulls, fields, inner } => {
                let columns = vec![inner.finish()?];
                Arc::new(StructArray::try_new(fields.clone(), columns, nulls.finish())?)
            }
            Self::List { offsets, field, items } => {
                let offsets = finish_offsets(offsets);
                Arc::new(ListArray::try_new(Arc::clone(field), offsets, items.finish()?, None)?)
            }
            Self::Map { offsets, field, keys, values } => {
                let DataType::Struct(fields) = field.data_type() else {
                    return Err(CanonicalError::malformed("a map without entries"));
                };
                let columns = vec![keys.finish()?, values.finish()?];
                let entries = StructArray::try_new(fields.clone(), columns, None)?;
                let offsets = finish_offsets(offsets);
                Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, None, false)?)
            }
            Self::Struct { fields, columns, rows } => {
                *rows = 0;
                let columns = columns.iter_mut().map(Self::finish).collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new(fields.clone(), columns, None)?)
            }
            Self::Tag { tags, .. } => Arc::new(tags.finish()),
            Self::Enum { fields, tags, bodies, .. } => {
                let mut columns: Vec<ArrayRef> = vec![Arc::new(tags.finish())];
                for Body { nulls, column } in bodies.iter_mut().flatten() {
                    columns.push(with_nulls(&column.finish()?, nulls)?);
                }
                Arc::new(StructArray::try_new(fields.clone(), columns, None)?)
            }
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(column: &mut Vec<T::Native>) -> ArrayRef {
    let values = ScalarBuffer::from(std::mem::take(column));
    Arc::new(PrimitiveArray::<T>::new(values, None))
}

fn push_offset(offsets: &mut Vec<i32>, count: usize) -> Result<(), CanonicalError> {
    let last = offsets.last().copied().unwrap_or(0);
    let next = i32::try_from(count).ok().and_then(|count| last.checked_add(count));
    offsets.push(next.ok_or_else(|| CanonicalError::malformed("a list is too long"))?);
    Ok(())
}

fn finish_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])))
}

/// The same column, null where these are, too.
fn with_nulls(
    column: &ArrayRef,
    nulls: &mut NullBufferBuilder,
) -> Result<ArrayRef, CanonicalError> {
    let own = column.nulls().cloned();
    let nulls = arrow_buffer::NullBuffer::union(own.as_ref(), nulls.finish().as_ref());
    let data = column.to_data().into_builder().nulls(nulls).build()?;
    Ok(arrow_array::make_array(data))
}
