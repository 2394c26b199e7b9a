//! Whether a header has the names that the records' type is read by.

use csv::ByteRecord;
use serde::de::DeserializeOwned;
use tidegate_core::{RecordField, record_fields};

use super::super::super::error::FileError;

/// What else is likely to stand between fields.
const DELIMITERS: &[u8] = b",;\t|:";

/// Refuses a header that lacks a field of `T`, or has none of them.
///
/// # Errors
///
/// [`FileError::Header`], with both lists of names and what may be the reason.
pub(super) fn check<T: DeserializeOwned>(
    header: &ByteRecord,
    delimiter: u8,
    path: &str,
) -> Result<(), FileError> {
    let Some(fields) = record_fields::<T>().filter(|fields| !fields.is_empty()) else {
        return Ok(());
    };
    // An empty file has no header, and no records that could lack anything.
    if header.is_empty() {
        return Ok(());
    }
    let found = names(header);
    if fits(&fields, &found) {
        return Ok(());
    }
    let missing = missing(&fields, &found);
    Err(FileError::Header {
        path: path.to_owned(),
        found: listed(found.iter()),
        wanted: listed(fields.iter().map(|field| &field.names[0])),
        missing: if missing.is_empty() { "any of them".to_owned() } else { listed(missing.iter()) },
        hint: hint(&fields, header, delimiter).unwrap_or_default(),
    })
}

fn names(header: &ByteRecord) -> Vec<String> {
    header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

fn is_in(field: &RecordField, found: &[String]) -> bool {
    field.names.iter().any(|name| found.contains(name))
}

fn missing(fields: &[RecordField], found: &[String]) -> Vec<String> {
    let missing = fields.iter().filter(|field| !field.is_optional && !is_in(field, found));
    missing.map(|field| field.names[0].clone()).collect()
}

/// Whether no field is missing, and any is there.
fn fits(fields: &[RecordField], found: &[String]) -> bool {
    missing(fields, found).is_empty() && fields.iter().any(|field| is_in(field, found))
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let quoted = names.map(|name| format!("`{name}`")).collect::<Vec<_>>();
    quoted.join(", ")
}

/// What would make the header fit.
fn hint(fields: &[RecordField], header: &ByteRecord, delimiter: u8) -> Option<String> {
    let raw = header.iter().collect::<Vec<_>>().join(&delimiter);
    if raw.contains(&0) || raw.starts_with(&[0xff, 0xfe]) || raw.starts_with(&[0xfe, 0xff]) {
        return Some("; the file looks like UTF-16: convert it to UTF-8".to_owned());
    }
    let raw = String::from_utf8_lossy(&raw).into_owned();
    for other in DELIMITERS.iter().filter(|other| **other != delimiter) {
        let split = raw.split(char::from(*other));
        let found = split.map(|name| name.trim().trim_matches('"').to_owned()).collect::<Vec<_>>();
        if fits(fields, &found) {
            return Some(format!("; is `{}` the delimiter?", char::from(*other).escape_default()));
        }
    }
    let trimmed = names(header).iter().map(|name| name.trim().to_owned()).collect::<Vec<_>>();
    if fits(fields, &trimmed) {
        return Some("; there are blanks around the names".to_owned());
    }
    let lower = |name: &String| name.trim().to_lowercase();
    let lowered = trimmed.iter().map(lower).collect::<Vec<_>>();
    let alike = fields.iter().all(|field| {
        field.is_optional || field.names.iter().any(|name| lowered.contains(&lower(name)))
    });
    alike.then(|| "; upper and lower case differ".to_owned())
}
