//! Values in the native form (postcard), walked through by their type.
//!
//! The native form does not say what its bytes hold; the type does. It is specified at
//! <https://postcard.jamesmunns.com/wire-format>.

mod read;
mod walk;

pub use self::{read::decode_as, walk::Walk};
use crate::described::{Definitions, Type};

/// Bytes that are not a value of the type that they should be of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WireError(String);

impl WireError {
    /// With what was found.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

impl serde::de::Error for WireError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

/// How much there may be of a value whose bytes do not limit it: a few bytes of a damaged file can
/// announce more than anybody could walk through.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many levels are left.
    depth: u32,
    /// How many elements of lists and maps may still take no bytes.
    empty: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 501, empty: 1 << 20 }
    }
}

impl Limits {
    /// One level down.
    ///
    /// # Errors
    ///
    /// When there is none left.
    pub fn enter(&mut self) -> Result<(), WireError> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| WireError::new("it is too deep"))?;
        Ok(())
    }

    /// One level up again.
    pub fn leave(&mut self) {
        self.depth += 1;
    }

    /// An element of a list or map lies between two looks at the bytes that are left.
    ///
    /// # Errors
    ///
    /// When too many of them have taken none.
    pub fn passed(&mut self, before: usize, after: usize) -> Result<(), WireError> {
        if before == after {
            let less = self.empty.checked_sub(1);
            self.empty = less.ok_or_else(|| WireError::new("too many elements take no bytes"))?;
        }
        Ok(())
    }
}

fn short() -> WireError {
    WireError::new("its bytes end in the middle of a value")
}

/// Takes so many bytes.
///
/// # Errors
///
/// When the bytes are something else.
#[inline]
pub fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], WireError> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or_else(short)?;
    *bytes = rest;
    Ok(taken)
}

/// Takes an unsigned integer of at most `bits` bits.
///
/// # Errors
///
/// When the bytes are something else.
#[inline]
pub fn take_varint(bytes: &mut &[u8], bits: u32) -> Result<u128, WireError> {
    match *bytes {
        [tiny @ ..0x80, rest @ ..] if bits >= 7 => {
            *bytes = rest;
            Ok(u128::from(*tiny))
        }
        _ if bits <= 64 => take_short(bytes, bits).map(u128::from),
        _ => take_long(bytes, bits),
    }
}

/// Most numbers: 128 bits are dear.
fn take_short(bytes: &mut &[u8], bits: u32) -> Result<u64, WireError> {
    const LONGEST: usize = 10;
    let mut number = 0;
    for (place, byte) in bytes.iter().enumerate().take(LONGEST) {
        let (part, shift) = (u64::from(byte & 0x7f), 7 * place as u32);
        number |= part << shift;
        if byte & 0x80 != 0 {
            continue;
        }
        if shift >= bits || bits - shift < 7 && part >> (bits - shift) != 0 {
            break;
        }
        *bytes = &bytes[place + 1..];
        return Ok(number);
    }
    let ends = bytes.len() < LONGEST && bytes.iter().all(|byte| byte & 0x80 != 0);
    Err(if ends { short() } else { WireError::new("a number is too long") })
}

fn take_long(bytes: &mut &[u8], bits: u32) -> Result<u128, WireError> {
    let mut number = 0_u128;
    let mut shift = 0;
    loop {
        let (byte, rest) = bytes.split_first().ok_or_else(short)?;
        *bytes = rest;
        let part = u128::from(byte & 0x7f);
        let fits = shift < bits && (bits - shift >= 7 || part >> (bits - shift) == 0);
        if !fits {
            return Err(WireError::new("a number is too long"));
        }
        number |= part << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
}

/// Takes an unsigned integer: a byte as it is, longer ones of variable length.
///
/// # Errors
///
/// When the bytes are something else.
#[inline]
pub fn take_uint(bytes: &mut &[u8], bits: u8) -> Result<u128, WireError> {
    match bits {
        8 => Ok(u128::from(take(bytes, 1)?[0])),
        bits => take_varint(bytes, u32::from(bits)),
    }
}

/// Takes a signed integer: a byte as it is, longer ones zigzag.
///
/// # Errors
///
/// When the bytes are something else.
#[inline]
pub fn take_int(bytes: &mut &[u8], bits: u8) -> Result<i128, WireError> {
    if bits == 8 {
        return Ok(i128::from(take(bytes, 1)?[0] as i8));
    }
    let zigzag = take_varint(bytes, u32::from(bits))?;
    Ok((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128))
}

/// Takes the number of elements of a list or map.
///
/// # Errors
///
/// When the bytes are something else.
#[inline]
pub fn take_length(bytes: &mut &[u8]) -> Result<usize, WireError> {
    let length = take_varint(bytes, 64)?;
    usize::try_from(length).map_err(|_| WireError::new("a length is too long"))
}

/// Takes `true` or `false`.
///
/// # Errors
///
/// When the bytes are something else.
#[inline]
pub fn take_bool(bytes: &mut &[u8]) -> Result<bool, WireError> {
    match take(bytes, 1)?[0] {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(WireError::new(format!("{other} is neither true nor false"))),
    }
}

/// Takes bytes with their length in front.
///
/// # Errors
///
/// When the bytes are something else.
#[inline]
pub fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let length = take_length(bytes)?;
    take(bytes, length)
}

/// Takes a text.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, WireError> {
    std::str::from_utf8(take_bytes(bytes)?)
        .map_err(|error| WireError::new(format!("a text is not UTF-8: {error}")))
}

/// Takes a character.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_char(bytes: &mut &[u8]) -> Result<char, WireError> {
    let mut characters = take_text(bytes)?.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(WireError::new("it is not one character")),
    }
}

/// Takes so many bytes.
///
/// # Errors
///
/// When the bytes are something else.
#[inline]
pub fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], WireError> {
    take(bytes, N)?.try_into().map_err(|_| short())
}

/// Takes the number of one of `count` variants.
///
/// # Errors
///
/// When the bytes are something else.
pub fn take_variant(bytes: &mut &[u8], count: usize) -> Result<usize, WireError> {
    let variant = take_varint(bytes, 32)? as usize;
    if variant < count {
        return Ok(variant);
    }
    Err(WireError::new(format!("variant {variant} of an enum that has {count}")))
}

/// Appends an unsigned integer of variable length.
#[inline]
pub fn put_varint(number: u128, out: &mut Vec<u8>) {
    match u64::try_from(number) {
        Ok(tiny @ ..0x80) => out.push(tiny as u8),
        Ok(short) => put_short(short, out),
        Err(_) => put_long(number, out),
    }
}

/// Most numbers: 128 bits are dear.
fn put_short(mut number: u64, out: &mut Vec<u8>) {
    let (mut bytes, mut count) = ([0; 10], 0);
    while number >= 0x80 {
        bytes[count] = number as u8 | 0x80;
        count += 1;
        number >>= 7;
    }
    bytes[count] = number as u8;
    out.extend_from_slice(&bytes[..=count]);
}

fn put_long(mut number: u128, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends an unsigned integer: what [`take_uint`] takes.
#[inline]
pub fn put_uint(number: u128, bits: u8, out: &mut Vec<u8>) {
    if bits == 8 { out.push(number as u8) } else { put_varint(number, out) }
}

/// Appends a signed integer: what [`take_int`] takes.
#[inline]
pub fn put_int(number: i128, bits: u8, out: &mut Vec<u8>) {
    match bits {
        8 => out.push(number as i8 as u8),
        bits => {
            let mask = if bits == 128 { u128::MAX } else { (1 << bits) - 1 };
            put_varint((number << 1 ^ number >> 127) as u128 & mask, out);
        }
    }
}

/// Appends bytes with their length in front.
#[inline]
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u128, out);
    out.extend_from_slice(bytes);
}

/// Goes over one value, and leaves `bytes` behind it.
///
/// # Errors
///
/// When the bytes are not such a value, or its type can't be described.
pub fn skip(bytes: &mut &[u8], of: &Type, definitions: &Definitions) -> Result<(), WireError> {
    Skip { definitions, limits: Limits::default() }.skip(bytes, of)
}

/// What goes over a value.
struct Skip<'a> {
    definitions: &'a Definitions,
    limits: Limits,
}

impl Skip<'_> {
    fn skip(&mut self, bytes: &mut &[u8], of: &Type) -> Result<(), WireError> {
        self.limits.enter()?;
        match of {
            Type::Unit => {}
            Type::Bool => _ = take_bool(bytes)?,
            Type::Int(bits) => _ = take_int(bytes, *bits)?,
            Type::UInt(bits) => _ = take_uint(bytes, *bits)?,
            Type::Time => _ = take_uint(bytes, 64)?,
            Type::F32 => _ = take(bytes, 4)?,
            Type::F64 => _ = take(bytes, 8)?,
            Type::Char => _ = take_char(bytes)?,
            Type::String => _ = take_text(bytes)?,
            Type::Bytes => _ = take_bytes(bytes)?,
            Type::Option(inner) => {
                if take_bool(bytes)? {
                    self.skip(bytes, inner)?;
                }
            }
            Type::List(element) => self.skip_elements(bytes, &[element])?,
            Type::Map(key, value) => self.skip_elements(bytes, &[key, value])?,
            Type::Tuple(parts) => parts.iter().try_for_each(|part| self.skip(bytes, part))?,
            Type::Struct(fields) => fields.iter().try_for_each(|(_, of)| self.skip(bytes, of))?,
            Type::Enum(variants) => {
                let variant = take_variant(bytes, variants.len())?;
                self.skip(bytes, &variants[variant].1)?;
            }
            Type::Recursive(name) => {
                let of = self.definitions.get(name);
                let of = of.ok_or_else(|| WireError::new(format!("what is `{name}`?")))?;
                self.skip(bytes, of)?;
            }
            Type::Opaque(name) => {
                return Err(WireError::new(format!(
                    "values of `{name}` can't be told apart: the type can't be described"
                )));
            }
        }
        self.limits.leave();
        Ok(())
    }

    fn skip_elements(&mut self, bytes: &mut &[u8], parts: &[&Type]) -> Result<(), WireError> {
        for _ in 0..take_length(bytes)? {
            let before = bytes.len();
            parts.iter().try_for_each(|part| self.skip(bytes, part))?;
            self.limits.passed(before, bytes.len())?;
        }
        Ok(())
    }
}
