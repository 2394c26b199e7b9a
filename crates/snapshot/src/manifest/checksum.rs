//! What `_metadata` is checked by: `"checksum": "crc32c:xxxxxxxx"`, its last field.
//!
//! It is the CRC-32C of all other fields in their canonical form: JSON without white space, the
//! fields of every object sorted by name. So the file may be laid out anew or sorted without harm,
//! and who changes a value on purpose finds the new checksum in the message that refuses it.

use serde_json::Value;

/// The field's name.
pub(super) const FIELD: &str = "checksum";
/// The algorithm, ahead of the digits.
const ALGORITHM: &str = "crc32c:";

/// The checksum of a manifest without the field.
pub(super) fn of(manifest: &Value) -> u32 {
    let mut bytes = Vec::new();
    canonical(manifest, &mut bytes);
    crc32c::crc32c(&bytes)
}

/// The field's text.
pub(super) fn to_text(checksum: u32) -> String {
    format!("{ALGORITHM}{checksum:08x}")
}

/// Reads the field.
pub(super) fn from_value(field: Option<&Value>) -> Result<u32, String> {
    let field = field.ok_or_else(|| format!("it has no field `{FIELD}`"))?;
    let digits = field.as_str().and_then(|text| text.strip_prefix(ALGORITHM));
    let is_exact =
        |digits: &&str| digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let checksum = digits.filter(is_exact).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    checksum.ok_or_else(|| format!("its `{FIELD}` is {field}: expected `{ALGORITHM}` and 8 digits"))
}

/// Whether objects keep the file's order is a feature of `serde_json` that any crate may switch on:
/// the order is made here.
fn canonical(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let mut fields = fields.iter().collect::<Vec<_>>();
            fields.sort_by_key(|(name, _)| *name);
            separated(b"{}", fields, bytes, |(name, value), bytes| {
                scalar(&Value::from(name.as_str()), bytes);
                bytes.push(b':');
                canonical(value, bytes);
            });
        }
        Value::Array(items) => separated(b"[]", items, bytes, canonical),
        _ => scalar(value, bytes),
    }
}

fn separated<T>(
    brackets: &[u8; 2],
    items: impl IntoIterator<Item = T>,
    bytes: &mut Vec<u8>,
    write: impl Fn(T, &mut Vec<u8>),
) {
    bytes.push(brackets[0]);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        write(item, bytes);
    }
    bytes.push(brackets[1]);
}

fn scalar(value: &Value, bytes: &mut Vec<u8>) {
    serde_json::to_writer(bytes, value).expect("a value can be written to memory");
}
