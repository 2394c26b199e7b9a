//! Arrow columns, read back into the native form.

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray, StringArray,
    StructArray,
    types::{
        ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use tidegate_snapshot::{
    described::Type,
    wire::{put_bytes, put_int, put_uint, put_varint},
};

use crate::{
    CanonicalError,
    column::{is_nullable, map_key, with_data},
};

/// A column, by the type whose values it holds.
pub(crate) enum Cells {
    Unit,
    Bool(BooleanArray),
    I8(PrimitiveArray<Int8Type>),
    I16(PrimitiveArray<Int16Type>),
    I32(PrimitiveArray<Int32Type>),
    I64(PrimitiveArray<Int64Type>),
    U8(PrimitiveArray<UInt8Type>),
    U16(PrimitiveArray<UInt16Type>),
    U32(PrimitiveArray<UInt32Type>),
    U64(PrimitiveArray<UInt64Type>),
    F32(PrimitiveArray<Float32Type>),
    F64(PrimitiveArray<Float64Type>),
    Time(PrimitiveArray<TimestampMillisecondType>),
    /// 128 bits, as text.
    Int(StringArray),
    UInt(StringArray),
    Char(StringArray),
    Text(StringArray),
    Binary(BinaryArray),
    Native(BinaryArray),
    /// Null where there is nothing.
    Option(ArrayRef, Box<Cells>),
    List(ListArray, Box<Cells>),
    Map(MapArray, Box<Cells>, Box<Cells>),
    Struct(Vec<Cells>),
    Enum {
        names: Vec<String>,
        tags: StringArray,
        bodies: Vec<Option<Cells>>,
    },
}

/// Reads a column as one of this kind.
fn cast<T: Array + Clone + 'static>(column: &ArrayRef) -> Result<T, CanonicalError> {
    let wrong = || {
        let found = column.data_type();
        CanonicalError::malformed(format!("a column is {found:?}, and something else is expected"))
    };
    column.as_any().downcast_ref::<T>().cloned().ok_or_else(wrong)
}

fn number<T: ArrowPrimitiveType>(column: &ArrayRef) -> Result<PrimitiveArray<T>, CanonicalError> {
    cast::<PrimitiveArray<T>>(column)
}

impl Cells {
    pub(crate) fn new(of: &Type, column: &ArrayRef) -> Result<Self, CanonicalError> {
        Ok(match of {
            Type::Unit => Self::Unit,
            Type::Bool => Self::Bool(cast(column)?),
            Type::Int(8) => Self::I8(number(column)?),
            Type::Int(16) => Self::I16(number(column)?),
            Type::Int(32) => Self::I32(number(column)?),
            Type::Int(64) => Self::I64(number(column)?),
            Type::UInt(8) => Self::U8(number(column)?),
            Type::UInt(16) => Self::U16(number(column)?),
            Type::UInt(32) => Self::U32(number(column)?),
            Type::UInt(64) => Self::U64(number(column)?),
            Type::Int(_) => Self::Int(cast(column)?),
            Type::UInt(_) => Self::UInt(cast(column)?),
            Type::F32 => Self::F32(number(column)?),
            Type::F64 => Self::F64(number(column)?),
            Type::Time => Self::Time(number(column)?),
            Type::Char => Self::Char(cast(column)?),
            Type::String => Self::Text(cast(column)?),
            Type::Bytes => Self::Binary(cast(column)?),
            Type::Recursive(_) | Type::Opaque(_) => Self::Native(cast(column)?),
            Type::Option(inner) => {
                let column = column.clone();
                let cells = if is_nullable(inner) {
                    Self::new(inner, part(&cast(&column)?, 0)?)?
                } else {
                    Self::new(inner, &column)?
                };
                Self::Option(column, Box::new(cells))
            }
            Type::List(element) => {
                let list = cast::<ListArray>(column)?;
                let cells = Self::new(element, list.values())?;
                Self::List(list, Box::new(cells))
            }
            Type::Map(key, value) => {
                let map = cast::<MapArray>(column)?;
                let keys = Self::new(&map_key(key), map.keys())?;
                let values = Self::new(value, map.values())?;
                Self::Map(map, Box::new(keys), Box::new(values))
            }
            Type::Tuple(parts) => match &parts[..] {
                [] => Self::Unit,
                [only] => Self::new(only, column)?,
                parts => Self::parts(parts.iter(), column)?,
            },
            Type::Struct(fields) if fields.is_empty() => Self::Unit,
            Type::Struct(fields) => Self::parts(fields.iter().map(|(_, field)| field), column)?,
            Type::Enum(variants) => {
                let names = variants.iter().map(|(name, _)| name.clone()).collect();
                let mut bodies = variants.iter().map(|_| None).collect::<Vec<_>>();
                let tags = match column.as_any().downcast_ref::<StructArray>() {
                    None => cast(column)?,
                    Some(all) => {
                        for (place, (index, _, of)) in (1..).zip(with_data(variants)) {
                            bodies[index] = Some(Self::new(of, part(all, place)?)?);
                        }
                        cast(part(all, 0)?)?
                    }
                };
                Self::Enum { names, tags, bodies }
            }
        })
    }

    fn parts<'a>(
        parts: impl Iterator<Item = &'a Type>,
        column: &ArrayRef,
    ) -> Result<Self, CanonicalError> {
        let all = cast::<StructArray>(column)?;
        let cells = parts.enumerate().map(|(place, of)| Self::new(of, part(&all, place)?));
        Ok(Self::Struct(cells.collect::<Result<_, CanonicalError>>()?))
    }

    /// Appends the value of a row.
    pub(crate) fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
        match self {
            Self::Unit => {}
            Self::Bool(column) => out.push(u8::from(column.value(row))),
            Self::I8(column) => put_int(i128::from(column.value(row)), 8, out),
            Self::I16(column) => put_int(i128::from(column.value(row)), 16, out),
            Self::I32(column) => put_int(i128::from(column.value(row)), 32, out),
            Self::I64(column) => put_int(i128::from(column.value(row)), 64, out),
            Self::U8(column) => out.push(column.value(row)),
            Self::U16(column) => put_uint(u128::from(column.value(row)), 16, out),
            Self::U32(column) => put_uint(u128::from(column.value(row)), 32, out),
            Self::U64(column) => put_uint(u128::from(column.value(row)), 64, out),
            Self::F32(column) => out.extend(column.value(row).to_le_bytes()),
            Self::F64(column) => out.extend(column.value(row).to_le_bytes()),
            Self::Time(column) => {
                let time = column.value(row);
                let early = |_| CanonicalError::malformed(format!("{time} is no time"));
                put_uint(u128::from(u64::try_from(time).map_err(early)?), 64, out);
            }
            Self::Int(column) => put_int(parsed(column.value(row))?, 128, out),
            Self::UInt(column) => put_uint(parsed(column.value(row))?, 128, out),
            Self::Char(column) => {
                let text = column.value(row);
                if text.chars().count() != 1 {
                    return Err(CanonicalError::malformed(format!("`{text}` is no character")));
                }
                put_bytes(text.as_bytes(), out);
            }
            Self::Text(column) => put_bytes(column.value(row).as_bytes(), out),
            Self::Binary(column) => put_bytes(column.value(row), out),
            Self::Native(column) => out.extend_from_slice(column.value(row)),
            Self::Option(column, inner) => {
                out.push(u8::from(column.is_valid(row)));
                if column.is_valid(row) {
                    inner.put(row, out)?;
                }
            }
            Self::List(column, items) => {
                let offsets = column.value_offsets();
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                put_varint((to - from) as u128, out);
                for item in from..to {
                    items.put(item, out)?;
                }
            }
            Self::Map(column, keys, values) => {
                let offsets = column.value_offsets();
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                put_varint((to - from) as u128, out);
                for entry in from..to {
                    keys.put(entry, out)?;
                    values.put(entry, out)?;
                }
            }
            Self::Struct(parts) => {
                for part in parts {
                    part.put(row, out)?;
                }
            }
            Self::Enum { names, tags, bodies } => {
                let tag = tags.value(row);
                let unknown = || CanonicalError::malformed(format!("there is no variant `{tag}`"));
                let index = names.iter().position(|name| name == tag).ok_or_else(unknown)?;
                put_varint(index as u128, out);
                if let Some(body) = &bodies[index] {
                    body.put(row, out)?;
                }
            }
        }
        Ok(())
    }
}

fn part(all: &StructArray, place: usize) -> Result<&ArrayRef, CanonicalError> {
    let missing = || CanonicalError::malformed(format!("a struct has no column {place}"));
    all.columns().get(place).ok_or_else(missing)
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, CanonicalError> {
    text.parse().map_err(|_| CanonicalError::malformed(format!("`{text}` is no number")))
}
