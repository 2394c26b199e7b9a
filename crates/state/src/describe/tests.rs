#![expect(dead_code, reason = "the types are only described")]

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    num::NonZeroU32,
    time::Duration,
};

use serde::Deserialize;

use super::{
    accepted,
    shape::{Body, Fields, Shape},
    type_description,
};

#[derive(Deserialize)]
struct Stats {
    _flights: u64,
    _delay: Option<f64>,
    _by_month: BTreeMap<u8, u32>,
}

#[derive(Deserialize)]
struct Meters(f64);

#[derive(Deserialize)]
struct Renamed {
    _a: u8,
    #[serde(alias = "_old")]
    _b: u16,
}

#[derive(Deserialize)]
struct Marker;

#[derive(Deserialize)]
enum Event {
    Opened,
    Moved(i32, i32),
    Renamed { to: String },
    Measured(Meters),
}

#[derive(Deserialize)]
struct Node {
    _value: u8,
    _next: Option<Box<Node>>,
    _children: Vec<Node>,
}

#[derive(Deserialize)]
enum Expression {
    Add(Box<Expression>, Box<Expression>),
    Negated(Box<Expression>),
    Number(i64),
}

/// Refuses every text that is not a date, as the types of time libraries do.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Date;

impl TryFrom<String> for Date {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text == "1970-01-01" { Ok(Self) } else { Err("not a date") }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Untagged {
    _Number { _of: u64 },
}

#[derive(Deserialize)]
struct Endless {
    _inner: Box<Endless>,
}

#[derive(Deserialize)]
struct Flight {
    _from: (NonZeroU32, Date),
    _to: Date,
    _event: Option<Event>,
}

#[test]
fn leaves_and_collections() {
    assert_eq!(type_description::<u64>(), "u64");
    assert_eq!(type_description::<i128>(), "i128");
    assert_eq!(type_description::<()>(), "()");
    assert_eq!(type_description::<String>(), "String");
    assert_eq!(type_description::<(char, bool)>(), "(char, bool)");
    assert_eq!(type_description::<[u8; 32]>(), "[u8; 32]");
    assert_eq!(type_description::<Vec<Option<f32>>>(), "List<Option<f32>>");
    assert_eq!(type_description::<HashSet<String>>(), "List<String>");
    assert_eq!(type_description::<Box<NonZeroU32>>(), "u32");
    assert_eq!(type_description::<Duration>(), "Duration { secs: u64, nanos: u32 }");
    assert_eq!(type_description::<IpAddr>(), "IpAddr { V4((u8, u8, u8, u8)) | V6([u8; 16]) }");
}

#[derive(Deserialize)]
enum Outer {
    First,
    Second(Option<Inner>),
    Third,
}

#[derive(Deserialize)]
enum Inner {
    One { of: Vec<Event> },
    Two,
    Three(u8),
}

#[test]
fn an_enum_inside_of_a_later_variant_of_another() {
    assert_eq!(
        type_description::<Outer>(),
        "Outer { First | Second(Option<Inner { One { of: List<Event { Opened | Moved(i32, i32) | \
         Renamed { to: String } | Measured(Meters(f64)) }> } | Two | Three(u8) }>) | Third }"
    );
}

#[test]
fn structs_and_enums() {
    assert_eq!(
        type_description::<Stats>(),
        "Stats { _flights: u64, _delay: Option<f64>, _by_month: Map<u8, u32> }"
    );
    assert_eq!(type_description::<Meters>(), "Meters(f64)");
    assert_eq!(type_description::<Marker>(), "Marker");
    assert_eq!(type_description::<Renamed>(), "Renamed { _a: u8, _b: u16 }");
    assert_eq!(
        type_description::<Event>(),
        "Event { Opened | Moved(i32, i32) | Renamed { to: String } | Measured(Meters(f64)) }"
    );
    assert_eq!(type_description::<(Meters, Meters)>(), "(Meters(f64), Meters)");
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Evolved {
    #[serde(alias = "zeta", alias = "alpha")]
    name: String,
    #[serde(default)]
    count: NonZeroDefault,
    plain: Option<u8>,
    kind: Kind,
}

#[derive(Deserialize)]
struct NonZeroDefault(NonZeroU32);

impl Default for NonZeroDefault {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

#[derive(Deserialize)]
enum Kind {
    Plain,
    Detailed {
        #[serde(alias = "old")]
        new: u8,
        #[serde(default)]
        more: u8,
    },
}

fn in_words(fields: &Fields) -> Vec<String> {
    let words = fields.fields.iter().map(|field| {
        let default = if field.has_default { " = …" } else { "" };
        format!("{}{:?}{default}", field.name, field.aliases)
    });
    words.collect()
}

#[test]
fn other_names_and_defaults_of_fields() {
    assert_eq!(
        type_description::<Evolved>(),
        "Evolved { name: String, count: NonZeroDefault(u32), plain: Option<u8>, \
         kind: Kind { Plain | Detailed { new: u8, more: u8 } } }"
    );
    let Some(Shape::Named { body: Body::Fields(fields), .. }) = accepted::<Evolved>() else {
        panic!("it is a struct");
    };
    assert!(fields.denies_others);
    let words = in_words(&fields);
    assert_eq!(words, ["name[\"alpha\", \"zeta\"]", "count[] = …", "plain[] = …", "kind[]"]);
    let Shape::Named { body: Body::Variants(variants), .. } = &fields.fields[3].shape else {
        panic!("it is an enum");
    };
    let Some(Body::Fields(fields)) = &variants[1].1 else { panic!("it has fields") };
    assert_eq!(in_words(fields), ["new[\"old\"]", "more[] = …"]);
    assert!(!fields.denies_others);
}

#[test]
fn types_that_contain_themselves() {
    assert_eq!(
        type_description::<Node>(),
        "Node { _value: u8, _next: Option<Node>, _children: List<Node> }"
    );
    assert_eq!(
        type_description::<Expression>(),
        "Expression { Add(Expression, Expression) | Negated(Expression) | Number(i64) }"
    );
}

#[test]
fn values_that_a_type_refuses() {
    assert_eq!(type_description::<Date>(), "String");
    assert_eq!(
        type_description::<Flight>(),
        "Flight { _from: (u32, String), _to: String, _event: Option<Event { Opened | \
         Moved(i32, i32) | Renamed { to: String } | Measured(Meters(f64)) }> }"
    );
}

#[test]
fn a_type_that_cannot_be_traced_goes_by_its_name() {
    assert_eq!(type_description::<Untagged>(), std::any::type_name::<Untagged>());
    assert_eq!(type_description::<Endless>(), std::any::type_name::<Endless>());
}
