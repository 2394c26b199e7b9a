//! A leaf while a table is written: its values and levels, until they become a part of a row group.

use bytes::Bytes;
use parquet::{
    column::writer::{ColumnWriter, ColumnWriterImpl},
    data_type::{ByteArray, ByteArrayType, DataType},
    errors::ParquetError,
};
use tidegate_snapshot::{
    described::{Definitions, Type},
    wire::{
        WireError, skip, take, take_array, take_bool, take_bytes, take_char, take_int, take_uint,
    },
};

use crate::leaf::{Kind, Leaf, Values, checked, other};

/// How many byte strings are handed to Parquet at once.
const CHUNK: usize = 1024;

/// The entries of a leaf.
pub(crate) struct Buffer {
    leaf: Leaf,
    /// Left out where there is only one.
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    values: Values<Strings>,
    /// How much memory an entry takes, besides the bytes of a string.
    cost: usize,
}

/// Byte strings, one behind the other.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    lengths: Vec<u32>,
}

impl Strings {
    #[inline]
    fn push(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let length = u32::try_from(bytes.len());
        self.lengths.push(length.map_err(|_| WireError::new("a text is too long"))?);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Buffer {
    pub(crate) fn new(leaf: Leaf) -> Self {
        let values = Values::new(&leaf.kind);
        let levels = usize::from(leaf.definition > 0) + usize::from(leaf.repetition > 0);
        let value = match &values {
            Values::Bool(_) => size_of::<bool>(),
            Values::Int32(_) | Values::Float(_) => size_of::<i32>(),
            Values::Int64(_) | Values::Double(_) => size_of::<i64>(),
            Values::Bytes(_) => size_of::<u32>(),
        };
        let cost = value + levels * size_of::<i16>();
        Self { leaf, definitions: Vec::new(), repetitions: Vec::new(), values, cost }
    }

    /// How much memory an entry takes at most, besides the bytes of a string.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// Takes a value from the front of `bytes`.
    pub(crate) fn append(
        &mut self,
        bytes: &mut &[u8],
        definitions: &Definitions,
        repetition: i16,
    ) -> Result<(), WireError> {
        match (&mut self.values, &self.leaf.kind) {
            (Values::Bool(values), Kind::Unit) => values.push(true),
            (Values::Bool(values), _) => values.push(take_bool(bytes)?),
            (Values::Int32(values), Kind::Int(bits)) => values.push(take_int(bytes, *bits)? as i32),
            (Values::Int32(values), Kind::UInt(bits)) => {
                values.push(take_uint(bytes, *bits)? as i32);
            }
            (Values::Int32(_), _) => return Err(other()),
            (Values::Int64(values), Kind::Int(_)) => values.push(take_int(bytes, 64)? as i64),
            (Values::Int64(values), Kind::UInt(_)) => values.push(take_uint(bytes, 64)? as i64),
            (Values::Int64(values), _) => {
                let millis = take_uint(bytes, 64)?;
                let beyond = |_| WireError::new(format!("{millis} is no time"));
                values.push(i64::try_from(millis).map_err(beyond)?);
            }
            (Values::Float(values), _) => values.push(f32::from_le_bytes(take_array(bytes)?)),
            (Values::Double(values), _) => values.push(f64::from_le_bytes(take_array(bytes)?)),
            (Values::Bytes(values), kind) => values.take(kind, bytes, definitions)?,
        }
        self.append_levels(repetition, self.leaf.definition);
        Ok(())
    }

    /// Appends a byte string that has been told apart already.
    pub(crate) fn append_bytes(&mut self, bytes: &[u8], repetition: i16) -> Result<(), WireError> {
        let Values::Bytes(values) = &mut self.values else { return Err(other()) };
        values.push(bytes)?;
        self.append_levels(repetition, self.leaf.definition);
        Ok(())
    }

    /// Appends a number to a leaf without lists or options around it.
    #[inline]
    pub(crate) fn append_number(&mut self, number: u32) -> Result<(), WireError> {
        let Values::Int32(values) = &mut self.values else { return Err(other()) };
        values.push(number as i32);
        Ok(())
    }

    /// Appends the levels of an entry; below the highest definition level it has no value.
    #[inline]
    pub(crate) fn append_levels(&mut self, repetition: i16, definition: i16) {
        if self.leaf.definition > 0 {
            self.definitions.push(definition);
        }
        if self.leaf.repetition > 0 {
            self.repetitions.push(repetition);
        }
    }

    /// Writes all entries, and forgets them.
    pub(crate) fn write(&mut self, column: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let (definitions, repetitions) = (&self.definitions[..], &self.repetitions[..]);
        match (&mut self.values, column) {
            (Values::Bool(values), ColumnWriter::BoolColumnWriter(column)) => {
                write(column, values, definitions, repetitions)?;
            }
            (Values::Int32(values), ColumnWriter::Int32ColumnWriter(column)) => {
                write(column, values, definitions, repetitions)?;
            }
            (Values::Int64(values), ColumnWriter::Int64ColumnWriter(column)) => {
                write(column, values, definitions, repetitions)?;
            }
            (Values::Float(values), ColumnWriter::FloatColumnWriter(column)) => {
                write(column, values, definitions, repetitions)?;
            }
            (Values::Double(values), ColumnWriter::DoubleColumnWriter(column)) => {
                write(column, values, definitions, repetitions)?;
            }
            (Values::Bytes(values), ColumnWriter::ByteArrayColumnWriter(column)) => {
                values.write(column, self.leaf.definition, definitions, repetitions)?;
            }
            _ => return Err(ParquetError::General("a column of another type".to_owned())),
        }
        self.definitions.clear();
        self.repetitions.clear();
        Ok(())
    }
}

/// Levels, unless they are left out.
fn some(levels: &[i16]) -> Option<&[i16]> {
    (!levels.is_empty()).then_some(levels)
}

fn write<T: DataType>(
    column: &mut ColumnWriterImpl<'_, T>,
    values: &mut Vec<T::T>,
    definitions: &[i16],
    repetitions: &[i16],
) -> Result<(), ParquetError> {
    column.write_batch(values, some(definitions), some(repetitions))?;
    values.clear();
    Ok(())
}

impl Strings {
    #[inline(never)]
    fn take(
        &mut self,
        kind: &Kind,
        bytes: &mut &[u8],
        definitions: &Definitions,
    ) -> Result<(), WireError> {
        match kind {
            Kind::Text => self.push(checked(take_bytes(bytes)?)?),
            Kind::Int(bits) => self.push(take_int(bytes, *bits)?.to_string().as_bytes()),
            Kind::UInt(bits) => self.push(take_uint(bytes, *bits)?.to_string().as_bytes()),
            Kind::Char => self.push(take_char(bytes)?.encode_utf8(&mut [0; 4]).as_bytes()),
            Kind::Native(of) => self.push(take_whole(bytes, of, definitions)?),
            _ => self.push(take_bytes(bytes)?),
        }
    }

    /// Writes all of them, some at a time, and forgets them.
    fn write(
        &mut self,
        column: &mut ColumnWriterImpl<'_, ByteArrayType>,
        highest: i16,
        definitions: &[i16],
        repetitions: &[i16],
    ) -> Result<(), ParquetError> {
        let mut rest = Bytes::from(std::mem::take(&mut self.bytes));
        let mut lengths = self.lengths.iter().map(|length| *length as usize);
        let entries = repetitions.len().max(definitions.len());
        let entries = if entries == 0 { lengths.len() } else { entries };
        let (mut from, mut chunk) = (0, Vec::with_capacity(CHUNK));
        while from < entries {
            let mut to = entries.min(from + CHUNK);
            // No row is cut.
            while repetitions.get(to).is_some_and(|repetition| *repetition > 0) {
                to += 1;
            }
            let definitions = definitions.get(from..to);
            let values = definitions.map_or(to - from, |levels| {
                levels.iter().filter(|level| **level == highest).count()
            });
            chunk.clear();
            for length in lengths.by_ref().take(values) {
                chunk.push(ByteArray::from(rest.split_to(length)));
            }
            column.write_batch(&chunk, definitions, repetitions.get(from..to))?;
            from = to;
        }
        self.lengths.clear();
        Ok(())
    }
}

/// Takes the native form of a value.
fn take_whole<'a>(
    bytes: &mut &'a [u8],
    of: &Type,
    definitions: &Definitions,
) -> Result<&'a [u8], WireError> {
    let mut whole = *bytes;
    skip(bytes, of, definitions)?;
    let length = whole.len() - bytes.len();
    take(&mut whole, length)
}
