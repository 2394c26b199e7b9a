//! The notation of types reads back as the type that was described.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_snapshot::described::{Described, Type};

#[derive(Serialize, Deserialize)]
struct Totals {
    flights: u64,
    worst: Option<i32>,
}

#[derive(Serialize, Deserialize)]
struct Meters(f64);

#[derive(Serialize, Deserialize)]
struct Marker;

#[derive(Serialize, Deserialize)]
struct Empty {}

#[derive(Serialize, Deserialize)]
enum Event {
    Opened,
    Moved(i32, i32),
    Renamed {
        #[serde(rename = "to: \"whom\"")]
        to: String,
    },
    Measured(Meters),
}

#[derive(Serialize, Deserialize)]
struct Node {
    value: u8,
    children: Vec<Node>,
}

mod other {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Totals {
        pub(super) a: bool,
    }
}

fn parsed<T: serde::de::DeserializeOwned>() -> Described {
    Described::parse(&tidegate_state::type_description::<T>())
}

fn fields(all: &[(&str, Type)]) -> Vec<(String, Type)> {
    all.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect()
}

#[test]
fn what_a_program_describes_is_read() {
    assert_eq!(parsed::<u64>().root, Type::UInt(64));
    assert_eq!(parsed::<()>().root, Type::Unit);
    assert_eq!(parsed::<Marker>().root, Type::Unit);
    assert_eq!(parsed::<Empty>().root, Type::Struct(Vec::new()));
    assert_eq!(parsed::<[u16; 9]>().root, Type::Tuple(vec![Type::UInt(16); 9]));
    let totals = Type::Struct(fields(&[
        ("flights", Type::UInt(64)),
        ("worst", Type::Option(Box::new(Type::Int(32)))),
    ]));
    assert_eq!(parsed::<Totals>().root, totals);
    let map = Type::Map(Box::new(Type::UInt(8)), Box::new(Type::String));
    assert_eq!(parsed::<BTreeMap<u8, String>>().root, map);
    let event = Type::Enum(fields(&[
        ("Opened", Type::Unit),
        ("Moved", Type::Tuple(vec![Type::Int(32), Type::Int(32)])),
        ("Renamed", Type::Struct(fields(&[("to: \"whom\"", Type::String)]))),
        ("Measured", Type::Tuple(vec![Type::Tuple(vec![Type::F64])])),
    ]));
    assert_eq!(parsed::<Event>().root, event);
}

#[test]
fn types_of_one_name_are_told_apart() {
    let of = parsed::<(Totals, other::Totals, Totals, other::Totals)>();
    let Type::Tuple(parts) = of.root else { panic!("a tuple") };
    assert_eq!(parts[0], parts[2]);
    assert_eq!(parts[1], Type::Struct(fields(&[("a", Type::Bool)])));
    assert_eq!(parts[1], parts[3]);
}

#[test]
fn a_type_that_contains_itself_is_kept_by_its_name() {
    let of = parsed::<Node>();
    let node = Type::Struct(fields(&[
        ("value", Type::UInt(8)),
        ("children", Type::List(Box::new(Type::Recursive("Node".to_owned())))),
    ]));
    assert_eq!(of.root, node);
    assert_eq!(of.definitions.get("Node"), Some(&node));
}

#[test]
fn what_is_no_notation_is_opaque() {
    for text in ["alloc::vec::Vec<x::Y>", "", "(u8", "S { a: }", "List<u8", "u8 u8", "E { A | }"] {
        assert_eq!(Described::parse(text).root, Type::Opaque(text.to_owned()), "{text}");
    }
    let deep = "Option<".repeat(10_000);
    assert!(matches!(Described::parse(&deep).root, Type::Opaque(_)));
}
