//! A leaf while a table is read: the entries of some rows, taken one behind the other.

use parquet::{
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, DataType},
};
use tidegate_snapshot::wire::{WireError, put_bytes, put_int, put_uint};

use crate::{
    CanonicalError,
    leaf::{Kind, Leaf, Values, checked, other, text},
};

/// The entries of a leaf, with the place at hand.
pub(crate) struct Entries<'a> {
    leaf: &'a Leaf,
    levels: Levels,
    values: Values<Vec<ByteArray>>,
    /// How many entries, and how many values, have been taken.
    place: usize,
    taken: usize,
    /// How many entries there are.
    count: usize,
}

/// The levels of entries; none where there is only one.
#[derive(Default)]
struct Levels {
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

impl Levels {
    /// Reads the entries of so many rows; tells how many they are.
    fn read<T: DataType>(
        &mut self,
        reader: &mut ColumnReaderImpl<T>,
        rows: usize,
        values: &mut Vec<T::T>,
    ) -> Result<usize, CanonicalError> {
        let Self { definitions, repetitions } = self;
        definitions.clear();
        repetitions.clear();
        values.clear();
        let (found, _, entries) =
            reader.read_records(rows, Some(definitions), Some(repetitions), values)?;
        if found == rows {
            return Ok(entries);
        }
        Err(CanonicalError::malformed(format!(
            "a column has {found} rows, and {rows} are expected"
        )))
    }
}

impl<'a> Entries<'a> {
    pub(crate) fn new(leaf: &'a Leaf) -> Self {
        let (levels, values) = (Levels::default(), Values::new(&leaf.kind));
        Self { leaf, levels, values, place: 0, taken: 0, count: 0 }
    }

    /// Reads the entries of so many rows.
    pub(crate) fn read(
        &mut self,
        reader: &mut ColumnReader,
        rows: usize,
    ) -> Result<(), CanonicalError> {
        let levels = &mut self.levels;
        self.count = match (reader, &mut self.values) {
            (ColumnReader::BoolColumnReader(reader), Values::Bool(values)) => {
                levels.read(reader, rows, values)?
            }
            (ColumnReader::Int32ColumnReader(reader), Values::Int32(values)) => {
                levels.read(reader, rows, values)?
            }
            (ColumnReader::Int64ColumnReader(reader), Values::Int64(values)) => {
                levels.read(reader, rows, values)?
            }
            (ColumnReader::FloatColumnReader(reader), Values::Float(values)) => {
                levels.read(reader, rows, values)?
            }
            (ColumnReader::DoubleColumnReader(reader), Values::Double(values)) => {
                levels.read(reader, rows, values)?
            }
            (ColumnReader::ByteArrayColumnReader(reader), Values::Bytes(values)) => {
                levels.read(reader, rows, values)?
            }
            _ => return Err(other().into()),
        };
        (self.place, self.taken) = (0, 0);
        Ok(())
    }

    /// The definition level of the entry at hand.
    #[inline]
    pub(crate) fn definition(&self) -> Result<i16, Broken> {
        if self.leaf.definition == 0 {
            return Ok(0);
        }
        self.levels.definitions.get(self.place).copied().ok_or(Broken::Contradiction)
    }

    /// How many elements begin here, of a list whose elements have this repetition level.
    pub(crate) fn count(&self, repetition: i16) -> usize {
        let behind = self.levels.repetitions.iter().skip(self.place + 1);
        let same = behind.take_while(|level| **level >= repetition);
        1 + same.filter(|level| **level == repetition).count()
    }

    /// Goes on to the next entry; tells the definition level of this one.
    #[inline]
    fn step(&mut self, repetition: i16) -> Result<i16, Broken> {
        let found = match self.leaf.repetition {
            0 => 0,
            _ => *self.levels.repetitions.get(self.place).ok_or(Broken::Contradiction)?,
        };
        let definition = self.definition()?;
        if found != repetition {
            return Err(Broken::Contradiction);
        }
        self.place += 1;
        Ok(definition)
    }

    /// Takes an entry that has a value; tells the value's number.
    #[inline]
    fn next(&mut self, repetition: i16) -> Result<usize, Broken> {
        if self.leaf.definition == 0 {
            // Neither options nor lists are around it.
            self.place += 1;
            return Ok(self.place - 1);
        }
        if self.step(repetition)? < self.leaf.definition {
            return Err(Broken::Nulls);
        }
        self.taken += 1;
        Ok(self.taken - 1)
    }

    /// Takes an entry that says that there is nothing from this definition level on.
    pub(crate) fn pass(&mut self, repetition: i16, definition: i16) -> Result<(), Broken> {
        if self.step(repetition)? == definition { Ok(()) } else { Err(Broken::Contradiction) }
    }

    /// Takes an entry, and all behind it that are of lists within: those have a higher repetition level.
    pub(crate) fn skip(&mut self, repetition: i16, around: i16) -> Result<(), Broken> {
        let mut repetition = repetition;
        loop {
            let definition = self.step(repetition)?;
            self.taken += usize::from(definition == self.leaf.definition);
            match self.levels.repetitions.get(self.place) {
                Some(next) if *next > around => repetition = *next,
                _ => return Ok(()),
            }
        }
    }

    /// Whether all entries have been taken.
    pub(crate) fn end(&self) -> Result<(), Broken> {
        if self.place == self.count { Ok(()) } else { Err(Broken::Contradiction) }
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, repetition: i16) -> Result<&str, WireError> {
        let place = self.next(repetition)?;
        let Values::Bytes(values) = &self.values else { return Err(other()) };
        text(at(values, place)?.data())
    }

    /// Takes a number.
    #[inline]
    pub(crate) fn number(&mut self, repetition: i16) -> Result<u32, WireError> {
        let place = self.next(repetition)?;
        let Values::Int32(values) = &self.values else { return Err(other()) };
        Ok(*at(values, place)? as u32)
    }

    /// Takes a value, and appends its native form.
    pub(crate) fn put(&mut self, repetition: i16, out: &mut Vec<u8>) -> Result<(), WireError> {
        let place = self.next(repetition)?;
        match (&self.values, &self.leaf.kind) {
            (Values::Bool(values), Kind::Unit) => _ = at(values, place)?,
            (Values::Bool(values), _) => out.push(u8::from(*at(values, place)?)),
            (Values::Int32(values), Kind::Int(bits)) => {
                put_int(i128::from(*at(values, place)?), *bits, out);
            }
            (Values::Int32(values), Kind::UInt(8)) => out.push(*at(values, place)? as u8),
            (Values::Int32(values), Kind::UInt(16)) => {
                put_uint(u128::from(*at(values, place)? as u16), 16, out);
            }
            (Values::Int32(values), _) => put_uint(u128::from(*at(values, place)? as u32), 32, out),
            (Values::Int64(values), Kind::Int(_)) => {
                put_int(i128::from(*at(values, place)?), 64, out);
            }
            (Values::Int64(values), Kind::Time) => {
                let time = *at(values, place)?;
                let early = |_| WireError::new(format!("{time} is no time"));
                put_uint(u64::try_from(time).map_err(early)?.into(), 64, out);
            }
            (Values::Int64(values), _) => put_uint(u128::from(*at(values, place)? as u64), 64, out),
            (Values::Float(values), _) => out.extend(at(values, place)?.to_le_bytes()),
            (Values::Double(values), _) => out.extend(at(values, place)?.to_le_bytes()),
            (Values::Bytes(values), kind) => put_string(at(values, place)?, kind, out)?,
        }
        Ok(())
    }
}

/// Why entries can't be taken: small, since each one may be.
#[derive(Clone, Copy)]
pub(crate) enum Broken {
    /// There is no value, and the type must have one.
    Nulls,
    /// Leaves say different things about the same lists and options.
    Contradiction,
}

impl From<Broken> for WireError {
    fn from(broken: Broken) -> Self {
        Self::new(match broken {
            Broken::Nulls => "a column has nulls",
            Broken::Contradiction => "the columns of a table do not belong together",
        })
    }
}

#[inline]
fn at<T>(values: &[T], place: usize) -> Result<&T, Broken> {
    values.get(place).ok_or(Broken::Contradiction)
}

fn put_string(bytes: &ByteArray, kind: &Kind, out: &mut Vec<u8>) -> Result<(), WireError> {
    match kind {
        Kind::Int(bits) => put_int(parsed(text(bytes.data())?)?, *bits, out),
        Kind::UInt(bits) => put_uint(parsed(text(bytes.data())?)?, *bits, out),
        Kind::Char => {
            let text = text(bytes.data())?;
            if text.chars().count() != 1 {
                return Err(WireError::new(format!("`{text}` is no character")));
            }
            put_bytes(text.as_bytes(), out);
        }
        Kind::Text => put_bytes(checked(bytes.data())?, out),
        Kind::Native(_) => out.extend_from_slice(bytes.data()),
        _ => put_bytes(bytes.data(), out),
    }
    Ok(())
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, WireError> {
    text.parse().map_err(|_| WireError::new(format!("`{text}` is no number")))
}
