//! Values in the native form, as people read them.

use serde_json::{Map, Number, Value};
use tidegate_snapshot::{
    described::{Definitions, Described, Type},
    wire::{
        Limits, take_array, take_bool, take_bytes, take_char, take_int, take_length, take_text,
        take_uint, take_variant,
    },
};

use crate::CanonicalError;

/// The value in JSON. Numbers beyond 64 bits are texts, bytes hexadecimal digits, and maps whose keys
/// are no plain values lists of pairs.
///
/// # Errors
///
/// When the bytes are not such a value, or more than that.
pub fn to_json(of: &Described, bytes: &[u8]) -> Result<Value, CanonicalError> {
    if matches!(of.root, Type::Opaque(_)) {
        return Ok(Value::String(hexadecimal(bytes)));
    }
    let mut rest = bytes;
    let mut shown = Shown { definitions: &of.definitions, limits: Limits::default() };
    let value = shown.value(&of.root, &mut rest)?;
    if rest.is_empty() {
        return Ok(value);
    }
    Err(CanonicalError::malformed("bytes are left over behind a value"))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn float(number: f64) -> Value {
    let text = || Value::String(number.to_string());
    Number::from_f64(number).map_or_else(text, Value::Number)
}

/// What makes JSON of the parts of a value.
struct Shown<'a> {
    definitions: &'a Definitions,
    limits: Limits,
}

impl Shown<'_> {
    fn value(&mut self, of: &Type, bytes: &mut &[u8]) -> Result<Value, CanonicalError> {
        self.limits.enter()?;
        let value = match of {
            Type::Unit => Value::Null,
            Type::Bool => Value::Bool(take_bool(bytes)?),
            Type::Int(bits) => {
                let number = take_int(bytes, *bits)?;
                let text = |_| Value::String(number.to_string());
                i64::try_from(number).map_or_else(text, Value::from)
            }
            Type::UInt(bits) => {
                let number = take_uint(bytes, *bits)?;
                let text = |_| Value::String(number.to_string());
                u64::try_from(number).map_or_else(text, Value::from)
            }
            Type::Time => Value::from(take_uint(bytes, 64)? as u64),
            Type::F32 => float(f64::from(f32::from_le_bytes(take_array(bytes)?))),
            Type::F64 => float(f64::from_le_bytes(take_array(bytes)?)),
            Type::Char => Value::String(take_char(bytes)?.to_string()),
            Type::String => Value::from(take_text(bytes)?),
            Type::Bytes => Value::String(hexadecimal(take_bytes(bytes)?)),
            Type::Opaque(name) => {
                return Err(CanonicalError::malformed(format!("`{name}` can't be described")));
            }
            of => self.of_parts(of, bytes)?,
        };
        self.limits.leave();
        Ok(value)
    }

    fn of_parts(&mut self, of: &Type, bytes: &mut &[u8]) -> Result<Value, CanonicalError> {
        Ok(match of {
            Type::Option(inner) => match take_bool(bytes)? {
                false => Value::Null,
                true => self.value(inner, bytes)?,
            },
            Type::List(element) => {
                Value::Array(self.elements(bytes, |shown, bytes| shown.value(element, bytes))?)
            }
            Type::Map(key, of) => map(self.elements(bytes, |shown, bytes| {
                Ok((shown.value(key, bytes)?, shown.value(of, bytes)?))
            })?),
            Type::Tuple(parts) if parts.len() == 1 => self.value(&parts[0], bytes)?,
            Type::Tuple(parts) => {
                let parts = parts.iter().map(|part| self.value(part, bytes));
                Value::Array(parts.collect::<Result<_, _>>()?)
            }
            Type::Struct(fields) => {
                let fields =
                    fields.iter().map(|(name, of)| Ok((name.clone(), self.value(of, bytes)?)));
                Value::Object(fields.collect::<Result<Map<_, _>, CanonicalError>>()?)
            }
            Type::Enum(variants) => {
                let index = take_variant(bytes, variants.len())?;
                match &variants[index] {
                    (name, Type::Unit) => Value::from(name.as_str()),
                    (name, body) => {
                        let body = self.value(body, bytes)?;
                        Value::Object(Map::from_iter([(name.clone(), body)]))
                    }
                }
            }
            Type::Recursive(name) => {
                let of = self.definitions.get(name);
                let of =
                    of.ok_or_else(|| CanonicalError::malformed(format!("what is `{name}`?")))?;
                self.value(of, bytes)?
            }
            of => self.value(of, bytes)?,
        })
    }

    fn elements<T>(
        &mut self,
        bytes: &mut &[u8],
        element: impl Fn(&mut Self, &mut &[u8]) -> Result<T, CanonicalError>,
    ) -> Result<Vec<T>, CanonicalError> {
        let mut all = Vec::new();
        for _ in 0..take_length(bytes)? {
            let before = bytes.len();
            all.push(element(self, bytes)?);
            self.limits.passed(before, bytes.len())?;
        }
        Ok(all)
    }
}

fn map(pairs: Vec<(Value, Value)>) -> Value {
    let plain = |key: &Value| match key {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(key.to_string()),
        _ => None,
    };
    let object = pairs.iter().map(|(key, value)| Some((plain(key)?, value.clone())));
    match object.collect::<Option<Map<_, _>>>() {
        Some(object) => Value::Object(object),
        None => {
            let pair = |(key, value)| Value::Array(vec![key, value]);
            Value::Array(pairs.into_iter().map(pair).collect())
        }
    }
}
