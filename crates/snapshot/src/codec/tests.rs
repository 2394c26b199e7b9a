use std::{collections::BTreeMap, fmt, net::Ipv4Addr};

use serde::{Serialize, Serializer};

use super::{CodecError, EncodeError, encode};

#[derive(Serialize)]
enum Event {
    Opened,
    Moved(i32, i32),
    Renamed { to: String, after: Option<u16> },
    Paid(f64),
}

#[derive(Serialize)]
struct Marker;

#[derive(Serialize)]
struct Meters(f32);

#[derive(Serialize)]
struct Order {
    id: u64,
    large: (u128, i128),
    small: [i8; 3],
    events: Vec<Event>,
    by_name: BTreeMap<String, Option<char>>,
    marker: Marker,
    length: Meters,
    address: Ipv4Addr,
    shown: Shown,
}

/// Is written by its `Display`.
struct Shown;

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shown")
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Serialize)]
struct Document {
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[test]
fn the_form_is_postcard() {
    let renamed = |after| Event::Renamed { to: "b".repeat(20), after };
    let order = Order {
        id: 300,
        large: (u128::MAX, i128::MIN),
        small: [-1, 0, 1],
        events: vec![
            Event::Opened,
            Event::Moved(-1, 70_000),
            renamed(None),
            renamed(Some(9)),
            Event::Paid(0.5),
        ],
        by_name: BTreeMap::from([("a".to_owned(), None), ("ß".to_owned(), Some('ß'))]),
        marker: Marker,
        length: Meters(1.5),
        address: Ipv4Addr::LOCALHOST,
        shown: Shown,
    };
    let mut bytes = Vec::new();
    encode(&order, &mut bytes).expect("plain data");
    assert_eq!(bytes, postcard::to_allocvec(&order).expect("plain data"));
}

#[test]
fn a_field_that_is_left_out_is_named() {
    let mut bytes = Vec::new();
    let whole = Document { title: "a".to_owned(), note: Some("b".to_owned()) };
    encode(&whole, &mut bytes).expect("all fields are there");
    let error = encode(&Document { note: None, ..whole }, &mut bytes);
    let expected = EncodeError::LeftOut { name: "Document", field: "note" };
    assert!(matches!(error, Err(CodecError::Encode(found)) if found == expected));
}

#[test]
fn what_has_no_length_is_refused_in_words() {
    let error = encode(&Flat { id: 1, rest: BTreeMap::new() }, &mut Vec::new());
    assert!(matches!(error, Err(CodecError::Encode(EncodeError::UnknownLength))));
}
