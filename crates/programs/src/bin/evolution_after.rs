//! The jobs of `evolution_before`, changed.

use std::{collections::BTreeMap, process::ExitCode};

use serde::{Deserialize, Serialize};
use tidegate_programs::evolution::{self, Case, run};

/// A case with plain keys.
macro_rules! values {
    ($($case:ident: $value:ty = $make:expr;)*) => {
        $(
            struct $case;

            impl Case for $case {
                type Key = u64;
                type Value = $value;

                fn key(number: u64) -> u64 {
                    number
                }

                fn value(number: u64) -> $value {
                    let make: fn(u64) -> $value = $make;
                    make(number)
                }
            }
        )*
    };
}

/// A case whose values are numbers.
macro_rules! keys {
    ($($case:ident: $key:ty = $make:expr;)*) => {
        $(
            struct $case;

            impl Case for $case {
                type Key = $key;
                type Value = u64;

                fn key(number: u64) -> $key {
                    let make: fn(u64) -> $key = $make;
                    make(number)
                }

                fn value(number: u64) -> u64 {
                    number
                }
            }
        )*
    };
}

/// A field more, in front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct WithMore {
    #[serde(default = "seven")]
    more: u8,
    count: u32,
    name: String,
    may_be: Option<bool>,
}

fn seven() -> u8 {
    7
}

fn with_more(number: u64) -> WithMore {
    WithMore { more: 1, count: number as u32, name: format!("n{number}"), may_be: None }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WithMoreAndNoDefault {
    count: u32,
    name: String,
    more: u8,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WithLess {
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WithLessAndDenies {
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OtherOrder {
    name: String,
    count: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OtherName {
    #[serde(alias = "count")]
    total: u32,
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OtherNameAndNoAlias {
    total: u32,
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Optional {
    count: Option<u32>,
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct NotOptional {
    count: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Numbers {
    small: i64,
    medium: i128,
    float: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OtherNumbers {
    small: i8,
    medium: i32,
    float: f32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Event {
    Closed { at: u64 },
    Renamed { to: String },
    Moved(i64, i64),
    Opened,
}

fn event(number: u64) -> Event {
    match number % 4 {
        0 => Event::Opened,
        1 => Event::Moved(number as i64, -1),
        2 => Event::Renamed { to: number.to_string() },
        _ => Event::Closed { at: number },
    }
}

/// As a job of before would have it.
fn old_event(number: u64) -> Event {
    match number % 3 {
        0 => Event::Opened,
        1 => Event::Moved(number as i64, -1),
        _ => Event::Renamed { to: number.to_string() },
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum FewerEvents {
    Opened,
    Moved(i32, i32),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Nested {
    by_stats: Vec<(Event, WithMore)>,
    by_name: BTreeMap<String, Option<WithMore>>,
    all: Vec<WithMore>,
}

values! {
    Added: WithMore = with_more;
    AddedWithoutDefault: WithMoreAndNoDefault = |number| WithMoreAndNoDefault {
        count: number as u32,
        name: String::new(),
        more: 0,
    };
    Removed: WithLess = |number| WithLess { name: number.to_string() };
    RemovedAndDenied: WithLessAndDenies = |number| WithLessAndDenies { name: number.to_string() };
    Reordered: OtherOrder = |number| OtherOrder { name: "x".to_owned(), count: number as u32 };
    Renamed: OtherName = |number| OtherName { total: number as u32, name: "x".to_owned() };
    RenamedWithoutAlias: OtherNameAndNoAlias = |number| OtherNameAndNoAlias {
        total: number as u32,
        name: "x".to_owned(),
    };
    MadeOptional: Optional = |number| Optional { count: Some(number as u32), name: String::new() };
    NotOptionalAnyMore: NotOptional = |number| NotOptional { count: number as u32 };
    Widened: Numbers = |_| Numbers { small: 0, medium: 0, float: 0.0 };
    OtherKindOfNumber: OtherNumbers = |_| OtherNumbers { small: 0, medium: 0, float: 0.0 };
    VariantAdded: Event = event;
    VariantRemoved: FewerEvents = |_| FewerEvents::Opened;
    InsideOfOthers: Nested = |number| Nested {
        by_stats: vec![(event(number), with_more(2))],
        by_name: BTreeMap::new(),
        all: vec![with_more(number)],
    };
    LongerTuple: (u8, u8, u8) = |number| (number as u8, 1, 2);
    AnotherType: u64 = |number| number;
}

/// The same places: a name, the order, and types that hold the old ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    event: Event,
    #[serde(alias = "city")]
    town: Option<String>,
    code: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PlaceWithMore {
    city: String,
    code: u16,
    event: Event,
    #[serde(default)]
    country: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PlaceWithLess {
    city: String,
    event: Event,
}

keys! {
    KeyChanged: Place = |number| Place {
        event: old_event(number),
        town: Some(format!("city {number}")),
        code: number as u32,
    };
    KeyFieldAdded: PlaceWithMore = |number| PlaceWithMore {
        city: format!("city {number}"),
        code: number as u16,
        event: old_event(number),
        country: String::new(),
    };
    KeyFieldRemoved: PlaceWithLess = |number| PlaceWithLess {
        city: format!("city {number}"),
        event: old_event(number),
    };
    KeyWidened: u64 = |number| number;
    KeyNarrowed: u16 = |number| number as u16;
}

/// Its state has another name.
struct RenamedState;

impl Case for RenamedState {
    const STATE: &'static str = "kept";

    type Key = u64;
    type Value = u64;

    fn key(number: u64) -> u64 {
        number
    }

    fn value(number: u64) -> u64 {
        number
    }
}

fn main() -> ExitCode {
    evolution::main(&[
        ("added", run::<Added>),
        ("added-without-default", run::<AddedWithoutDefault>),
        ("removed", run::<Removed>),
        ("removed-and-denied", run::<RemovedAndDenied>),
        ("reordered", run::<Reordered>),
        ("renamed", run::<Renamed>),
        ("renamed-without-alias", run::<RenamedWithoutAlias>),
        ("made-optional", run::<MadeOptional>),
        ("not-optional-any-more", run::<NotOptionalAnyMore>),
        ("widened", run::<Widened>),
        ("other-kind-of-number", run::<OtherKindOfNumber>),
        ("variant-added", run::<VariantAdded>),
        ("variant-removed", run::<VariantRemoved>),
        ("inside-of-others", run::<InsideOfOthers>),
        ("longer-tuple", run::<LongerTuple>),
        ("another-type", run::<AnotherType>),
        ("key-changed", run::<KeyChanged>),
        ("key-field-added", run::<KeyFieldAdded>),
        ("key-field-removed", run::<KeyFieldRemoved>),
        ("key-widened", run::<KeyWidened>),
        ("key-narrowed", run::<KeyNarrowed>),
        ("renamed-state", run::<RenamedState>),
    ])
}
