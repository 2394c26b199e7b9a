//! Values in the native form, as people read them.

use serde_json::{Map, Number, Value};
use tidegate_snapshot::{
    described::{Definitions, Described, Type},
    wire::{
        take, take_array, take_bool, take_bytes, take_int, take_length, take_text, take_uint,
        take_variant,
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
    let value = value(&of.root, &of.definitions, &mut rest)?;
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

fn value(of: &Type, definitions: &Definitions, bytes: &mut &[u8]) -> Result<Value, CanonicalError> {
    let mut part = |of: &Type| value(of, definitions, bytes);
    Ok(match of {
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
        Type::Char | Type::String => Value::from(take_text(bytes)?),
        Type::Bytes => Value::String(hexadecimal(take_bytes(bytes)?)),
        Type::Option(inner) => match take(bytes, 1)?[0] {
            0 => Value::Null,
            _ => value(inner, definitions, bytes)?,
        },
        Type::List(element) => {
            let mut list = Vec::new();
            for _ in 0..take_length(bytes)? {
                list.push(value(element, definitions, bytes)?);
            }
            Value::Array(list)
        }
        Type::Map(key, of) => {
            let mut pairs = Vec::new();
            for _ in 0..take_length(bytes)? {
                pairs.push((value(key, definitions, bytes)?, value(of, definitions, bytes)?));
            }
            map(pairs)
        }
        Type::Tuple(parts) if parts.len() == 1 => part(&parts[0])?,
        Type::Tuple(parts) => Value::Array(parts.iter().map(part).collect::<Result<_, _>>()?),
        Type::Struct(fields) => {
            let fields = fields.iter().map(|(name, of)| Ok((name.clone(), part(of)?)));
            Value::Object(fields.collect::<Result<Map<_, _>, CanonicalError>>()?)
        }
        Type::Enum(variants) => {
            let index = take_variant(bytes, variants.len())?;
            let (name, body) = &variants[index];
            match body {
                Type::Unit => Value::from(name.as_str()),
                body => {
                    let body = value(body, definitions, bytes)?;
                    Value::Object(Map::from_iter([(name.clone(), body)]))
                }
            }
        }
        Type::Recursive(name) => {
            let of = definitions.get(name);
            let of = of.ok_or_else(|| CanonicalError::malformed(format!("what is `{name}`?")))?;
            value(of, definitions, bytes)?
        }
        Type::Opaque(name) => {
            return Err(CanonicalError::malformed(format!("`{name}` can't be described")));
        }
    })
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
