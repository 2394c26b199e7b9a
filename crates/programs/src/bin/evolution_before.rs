//! Jobs as they were when their savepoints were taken. What became of each: `evolution_after`.

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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stats {
    count: u32,
    name: String,
}

fn stats(number: u64) -> Stats {
    Stats { count: number as u32, name: format!("n{number}") }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Numbers {
    small: i8,
    medium: u32,
    float: f32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Maybe {
    count: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Event {
    Opened,
    Moved(i32, i32),
    Renamed { to: String },
}

fn event(number: u64) -> Event {
    match number % 3 {
        0 => Event::Opened,
        1 => Event::Moved(number as i32, -1),
        _ => Event::Renamed { to: number.to_string() },
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Nested {
    all: Vec<Stats>,
    by_name: BTreeMap<String, Option<Stats>>,
    by_stats: Vec<(Event, Stats)>,
}

values! {
    Added: Stats = stats;
    AddedWithoutDefault: Stats = stats;
    Removed: Stats = stats;
    RemovedAndDenied: Stats = stats;
    Reordered: Stats = stats;
    Renamed: Stats = stats;
    RenamedWithoutAlias: Stats = stats;
    MadeOptional: Stats = stats;
    NotOptionalAnyMore: Maybe = |number| Maybe { count: (number > 3).then_some(number as u32) };
    Widened: Numbers = |number| Numbers {
        small: -(number as i8),
        medium: number as u32,
        float: number as f32 / 4.0,
    };
    OtherKindOfNumber: Numbers = |_| Numbers { small: 0, medium: 0, float: 0.0 };
    VariantAdded: Event = event;
    VariantRemoved: Event = event;
    InsideOfOthers: Nested = |number| Nested {
        all: vec![stats(number)],
        by_name: BTreeMap::from([("a".to_owned(), Some(stats(1))), ("b".to_owned(), None)]),
        by_stats: vec![(event(number), stats(2))],
    };
    LongerTuple: (u8, u8) = |number| (number as u8, 1);
    AnotherType: String = |number| number.to_string();
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    city: String,
    code: u16,
    event: Event,
}

fn place(number: u64) -> Place {
    Place { city: format!("city {number}"), code: number as u16, event: event(number) }
}

keys! {
    KeyChanged: Place = place;
    KeyFieldAdded: Place = place;
    KeyFieldRemoved: Place = place;
    KeyWidened: u32 = |number| number as u32;
    KeyNarrowed: u32 = |number| number as u32;
}

/// As many keys as there are key groups, and more.
struct Many;

impl Case for Many {
    type Key = (String, u64);
    type Value = Stats;

    const KEYS: u64 = 5_000;

    fn key(number: u64) -> (String, u64) {
        (format!("key {number}"), number)
    }

    fn value(number: u64) -> Stats {
        stats(number)
    }
}

/// Its state has another name.
struct RenamedState;

impl Case for RenamedState {
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
        ("many", run::<Many>),
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
