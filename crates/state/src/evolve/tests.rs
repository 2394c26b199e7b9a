use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate_snapshot::{codec, wire::decode_as};

use super::*;
use crate::describe::{accepted, type_description};

/// What is said of reading `Old` as `New`: the changes, or why not.
fn said<Old: DeserializeOwned, New: DeserializeOwned>(role: Role) -> Result<Vec<String>, String> {
    let stored = Described::parse(&type_description::<Old>());
    let declared = accepted::<New>().expect("it can be traced");
    let changes = compare(&stored, &declared, role).map_err(|misfit| misfit.to_string())?;
    Ok(changes.iter().map(Change::to_string).collect())
}

/// Reads what was written as `Old`, once [`compare`] has agreed.
fn carried<Old: Serialize + DeserializeOwned, New: DeserializeOwned>(old: &Old) -> New {
    said::<Old, New>(Role::Value).expect("they fit");
    let mut bytes = Vec::new();
    codec::encode(old, &mut bytes).expect("plain data");
    let stored = Described::parse(&type_description::<Old>());
    let mut rest = &bytes[..];
    let new = decode_as(&stored, &mut rest).expect("it was said to fit");
    assert!(rest.is_empty());
    new
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Old {
    count: u16,
    gone: Vec<String>,
    before: f32,
    inner: Inner,
    event: Event,
    by_name: BTreeMap<String, Inner>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    a: i8,
    b: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    Nothing,
    Number(u32),
    Pair(u8, u8),
    Fields { x: i32 },
}

#[derive(Debug, PartialEq, Deserialize)]
struct New {
    event: NewEvent,
    #[serde(alias = "before")]
    after: f64,
    #[serde(default = "seven")]
    added: u8,
    count: Option<i64>,
    inner: NewInner,
    by_name: BTreeMap<String, NewInner>,
    may_be: Option<u64>,
}

fn seven() -> u8 {
    7
}

#[derive(Debug, PartialEq, Deserialize)]
struct NewInner {
    b: Option<String>,
    a: i128,
}

#[derive(Debug, PartialEq, Deserialize)]
enum NewEvent {
    Fields {
        x: i64,
        #[serde(default)]
        y: u8,
    },
    Added(String),
    Number(u64),
    Pair(u8, u16),
    Nothing,
}

#[test]
fn everything_at_once_and_nested() {
    let old = |event| Old {
        count: 300,
        gone: vec!["x".to_owned()],
        before: 1.5,
        inner: Inner { a: -3, b: None },
        event,
        by_name: BTreeMap::from([("k".to_owned(), Inner { a: 4, b: Some("v".to_owned()) })]),
    };
    let new = |event| New {
        event,
        after: 1.5,
        added: 7,
        count: Some(300),
        inner: NewInner { b: None, a: -3 },
        by_name: BTreeMap::from([("k".to_owned(), NewInner { a: 4, b: Some("v".to_owned()) })]),
        may_be: None,
    };
    assert_eq!(carried::<Old, New>(&old(Event::Nothing)), new(NewEvent::Nothing));
    assert_eq!(carried::<Old, New>(&old(Event::Number(70_000))), new(NewEvent::Number(70_000)));
    assert_eq!(carried::<Old, New>(&old(Event::Pair(1, 2))), new(NewEvent::Pair(1, 2)));
    let fields = new(NewEvent::Fields { x: -9, y: 0 });
    assert_eq!(carried::<Old, New>(&old(Event::Fields { x: -9 })), fields);
    let changes = said::<Old, New>(Role::Value).expect("they fit");
    assert_eq!(
        changes,
        [
            "`count`: widened from `u16` to `i64`",
            "`count`: made optional",
            "`gone`: removed",
            "`after`: widened from `f32` to `f64`",
            "`before`: renamed to `after`",
            "`inner.a`: widened from `i8` to `i128`",
            "`inner`: fields in another order",
            "`event.Number.0`: widened from `u32` to `u64`",
            "`event.Pair.1`: widened from `u8` to `u16`",
            "`event.Fields.x`: widened from `i32` to `i64`",
            "`event.Fields.y`: added with its default",
            "`event.Added`: variant added",
            "`by_name.(value).a`: widened from `i8` to `i128`",
            "`by_name.(value)`: fields in another order",
            "`added`: added with its default",
            "`may_be`: added with its default",
            "fields in another order",
        ]
    );
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only described")]
struct WithoutDefault {
    a: i8,
    b: Option<String>,
    c: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is only described")]
struct Strict {
    a: i8,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only described")]
struct Ambiguous {
    #[serde(alias = "b")]
    a: i8,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only described")]
enum Fewer {
    Nothing,
    Number(u32),
    Pair(u8),
    Fields { x: i32 },
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only described")]
struct Node {
    value: u8,
    next: Option<Box<Node>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only described")]
struct NewNode {
    value: u16,
    next: Option<Box<NewNode>>,
    #[serde(default)]
    more: u8,
}

#[test]
fn what_does_not_fit_and_what_can_be_done() {
    let value = |said: Result<Vec<String>, String>| said.expect_err("they do not fit");
    let messages = [
        value(said::<Inner, WithoutDefault>(Role::Value)),
        value(said::<Inner, Strict>(Role::Value)),
        value(said::<Inner, Ambiguous>(Role::Value)),
        value(said::<Event, Fewer>(Role::Value)),
        value(said::<Fewer, Event>(Role::Value)),
        value(said::<u64, u32>(Role::Value)),
        value(said::<u32, i32>(Role::Value)),
        value(said::<i8, u64>(Role::Value)),
        value(said::<u8, f64>(Role::Value)),
        value(said::<Option<u8>, u8>(Role::Value)),
        value(said::<String, u8>(Role::Value)),
        value(said::<(u8, u8), (u8, u8, u8)>(Role::Value)),
        value(said::<Vec<Inner>, Vec<u8>>(Role::Value)),
        value(said::<Inner, Event>(Role::Value)),
        value(said::<NewInner, WithoutDefault>(Role::Key)),
        value(said::<NewInner, Strict>(Role::Key)),
        value(said::<Strict, Inner>(Role::Key)),
        value(said::<NewNode, Node>(Role::Value)),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn keys_may_change_as_long_as_they_mean_the_same() {
    assert_eq!(
        said::<Inner, NewInner>(Role::Key),
        Ok(vec![
            "`a`: widened from `i8` to `i128`".to_owned(),
            "fields in another order".to_owned()
        ])
    );
    assert_eq!(said::<u32, Option<u64>>(Role::Key).map(|changes| changes.len()), Ok(2));
}

#[test]
fn types_that_contain_themselves() {
    let changes = said::<Node, NewNode>(Role::Value).expect("they fit");
    assert_eq!(changes, ["`value`: widened from `u8` to `u16`", "`more`: added with its default"]);
}

proptest! {
    /// The types that a change is allowed between are those between which no number is lost.
    #[test]
    fn numbers_stay_the_same(number in any::<i16>(), small in any::<u8>(), float in any::<f32>()) {
        prop_assert_eq!(carried::<i16, i64>(&number), i64::from(number));
        prop_assert_eq!(carried::<i16, i128>(&number), i128::from(number));
        prop_assert_eq!(carried::<u8, i16>(&small), i16::from(small));
        prop_assert_eq!(carried::<u8, u128>(&small), u128::from(small));
        prop_assert_eq!(carried::<f32, f64>(&float).to_bits(), f64::from(float).to_bits());
    }
}
