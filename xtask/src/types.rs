//! Makes types up, with serde's attributes combined at random, and writes them down as a program: what
//! the property test of types goes through (`crates/tidegate/tests/types`).
//!
//! The same seed makes the same types. Of each it is known whether one of its attributes makes it write
//! something else than it reads, and which words a refusal has to contain then.

use std::{collections::BTreeSet, fmt::Write};

/// How many types there are.
const TYPES: usize = 240;

/// One type in so many goes through states and savepoints, which take the compiler long; the others
/// through the bytes that those are made of, and as a variant of an enum through states and savepoints.
const WHOLE: usize = 8;

/// How many types are the variants of one enum: each is a column of its own in a savepoint.
const VARIANTS: usize = 24;

const SEED: u64 = 0x7469_6465_6761_7465;

/// What is written in front.
const HEADER: &str = "//! Made by `cargo xtask types`; not to be edited.

#![expect(clippy::all, clippy::pedantic, reason = \"nobody has written it\")]
#![allow(
    dead_code,
    unreachable_pub,
    unused_variables,
    reason = \"some types use neither all of their fields nor chance\"
)]

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    Case, one_of,
    random::{Random, Randomness},
};
";

/// A generator of Knuth's kind (MMIX): its sequence is the same everywhere.
struct Randomness(u64);

impl Randomness {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// What is known of a type.
#[derive(Clone, Debug)]
struct Known {
    name: String,
    /// Words of which a refusal has to contain one; none if it is not refused.
    refused: BTreeSet<&'static str>,
    has_eq: bool,
    /// Whether equal values of it may be written in different ways.
    has_no_order: bool,
    has_default: bool,
}

impl Known {
    fn leaf(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            refused: BTreeSet::new(),
            has_eq: true,
            has_no_order: false,
            has_default: true,
        }
    }

    /// A type with this one inside.
    fn inside(&self, name: String, has_default: bool) -> Self {
        Self { name, has_default, ..self.clone() }
    }

    fn take_in(&mut self, part: &Self) {
        self.refused.extend(&part.refused);
        self.has_eq &= part.has_eq;
        self.has_no_order |= part.has_no_order;
    }
}

const LEAVES: &[&str] = &[
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "bool",
    "char",
    "String",
    "String",
    "u64",
    "()",
    "(u8, String)",
    "[i16; 3]",
];

/// A type for a field.
fn part(random: &mut Randomness, known: &[Known], depth: usize) -> Known {
    let inner = |random: &mut Randomness| part(random, known, depth + 1);
    match random.below(if depth > 2 { 10 } else { 20 }) {
        0..=8 => Known::leaf(random.pick(LEAVES)),
        9 => Known { has_eq: false, ..Known::leaf("f64") },
        10 => Known { has_no_order: true, ..Known::leaf("HashMap<String, u8>") },
        11 if random.percent(20) => {
            let refused = BTreeSet::from(["serde_json::Value"]);
            Known { refused, ..Known::leaf("serde_json::Value") }
        }
        11..=13 => {
            let inner = inner(random);
            inner.inside(format!("Option<{}>", inner.name), true)
        }
        14 | 15 => {
            let inner = inner(random);
            inner.inside(format!("Vec<{}>", inner.name), true)
        }
        16 => {
            let inner = inner(random);
            inner.inside(format!("BTreeMap<String, {}>", inner.name), true)
        }
        17 => {
            let inner = inner(random);
            inner.inside(format!("(u16, {})", inner.name), false)
        }
        // Mostly those that are not refused, so that not all are in the end.
        _ if !known.is_empty() => {
            let fitting = known.iter().filter(|known| known.refused.is_empty()).collect::<Vec<_>>();
            match random.percent(90) && !fitting.is_empty() {
                true => fitting[random.below(fitting.len())].clone(),
                false => known[random.below(known.len())].clone(),
            }
        }
        _ => Known::leaf("u64"),
    }
}

/// A field with its attributes, which may make the whole be refused.
fn field(random: &mut Randomness, known: &[Known], whole: &mut Known, number: usize) -> Field {
    let part = part(random, known, 0);
    let name = format!("f{number}");
    let mut attributes = Vec::new();
    let is_empty =
        [("Option<", "Option::is_none"), ("Vec<", "Vec::is_empty"), ("String", "String::is_empty")];
    let is_empty = is_empty.iter().find(|(begin, _)| part.name.starts_with(begin));
    match random.below(40) {
        0..=2 => attributes.push(format!("rename = \"n{number}\"")),
        3..=5 => attributes.push(format!("alias = \"a{number}\"")),
        6..=8 if part.has_default => attributes.push("default".to_owned()),
        9 | 10 => {
            if let Some((_, is_empty)) = is_empty {
                attributes.push(format!("default, skip_serializing_if = \"{is_empty}\""));
                whole.refused.insert("skip_serializing_if");
            }
        }
        11 if part.has_default => {
            attributes.push("default, skip_serializing".to_owned());
            whole.refused.insert("skip_serializing");
        }
        12 if part.has_default => {
            attributes.push("skip_deserializing".to_owned());
            whole.refused.insert("skip_deserializing");
        }
        13 => {
            attributes.push(format!("rename(serialize = \"w{number}\")"));
            whole.refused.insert("rename(serialize");
        }
        14 if part.name == "u64" => {
            attributes.push("serialize_with = \"super::random::as_text::serialize\"".to_owned());
            whole.refused.insert("serialize_with");
        }
        15..=18 if part.name == "u64" => {
            attributes.push("with = \"super::random::as_text\"".to_owned())
        }
        19 if part.name.starts_with("BTreeMap<String") => {
            attributes.push("flatten".to_owned());
            whole.refused.insert("flatten");
        }
        _ => {}
    }
    whole.take_in(&part);
    Field { name, of: part.name, attributes }
}

struct Field {
    name: String,
    of: String,
    attributes: Vec<String>,
}

impl Field {
    fn attributes(&self) -> String {
        let attributes = self.attributes.join(", ");
        if attributes.is_empty() { String::new() } else { format!("#[serde({attributes})] ") }
    }
}

/// What is inside of a struct or variant, and how one is made.
fn body(
    random: &mut Randomness,
    known: &[Known],
    whole: &mut Known,
    path: &str,
    kinds: &[&str],
) -> (String, String) {
    let make = "Random::random(random)";
    match random.pick(kinds) {
        "unit" => (String::new(), path.to_owned()),
        "newtype" => {
            let part = part(random, known, 0);
            whole.take_in(&part);
            (format!("({})", part.name), format!("{path}({make})"))
        }
        "tuple" => {
            let parts =
                (0..random.below(3) + 2).map(|_| part(random, known, 0)).collect::<Vec<_>>();
            parts.iter().for_each(|part| whole.take_in(part));
            let names = parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>().join(", ");
            (format!("({names})"), format!("{path}({})", vec![make; parts.len()].join(", ")))
        }
        _ => {
            let count = random.below(4) + 1;
            let fields =
                (0..count).map(|number| field(random, known, whole, number)).collect::<Vec<_>>();
            let inside = fields.iter().map(|f| format!("{}{}: {}", f.attributes(), f.name, f.of));
            let made = fields.iter().map(|f| format!("{}: {make}", f.name));
            let inside = inside.collect::<Vec<_>>().join(", ");
            let made = made.collect::<Vec<_>>().join(", ");
            (format!(" {{ {inside} }}"), format!("{path} {{ {made} }}"))
        }
    }
}

/// A struct: its attributes, its text, and how one is made.
fn make_struct(
    random: &mut Randomness,
    known: &[Known],
    whole: &mut Known,
) -> (String, String, String) {
    let kinds = ["fields", "fields", "fields", "fields", "tuple", "newtype", "unit"];
    let (body, made) = body(random, known, whole, "Self", &kinds);
    let mut attributes = String::new();
    if random.percent(15) {
        attributes.push_str("#[serde(rename_all = \"camelCase\")]\n");
    }
    let end = if body.starts_with(" {") { "" } else { ";" };
    (attributes, format!("pub struct {}{body}{end}", whole.name), made)
}

/// An enum, as [`make_struct`].
fn make_enum(
    random: &mut Randomness,
    known: &[Known],
    whole: &mut Known,
) -> (String, String, String) {
    let all = ["unit", "newtype", "tuple", "fields"];
    let (attributes, kinds) = match random.below(20) {
        0 => ("#[serde(tag = \"kind\")]\n", &["unit", "fields"][..]),
        1 => ("#[serde(tag = \"kind\", content = \"of\")]\n", &all[..]),
        2 => ("#[serde(untagged)]\n", &all[..]),
        3..=6 => ("#[serde(rename_all = \"kebab-case\")]\n", &all[..]),
        _ => ("", &all[..]),
    };
    let word = if attributes.contains("tag") { Some("tag") } else { None };
    whole.refused.extend(word);
    let count = random.below(4) + 2;
    let (mut variants, mut made) = (String::new(), Vec::new());
    let mut hidden = false;
    for number in 0..count {
        if hidden {
            whole.refused.insert("#[serde(skip)]");
        }
        let (body, make) = body(random, known, whole, &format!("Self::V{number}"), kinds);
        let attribute = match random.below(30) {
            0 if number > 0 && number + 1 < count => {
                hidden = true;
                "#[serde(skip)] ".to_owned()
            }
            1..=3 => format!("#[serde(rename = \"R{number}\")] "),
            _ => String::new(),
        };
        if !attribute.contains("skip") {
            made.push(make);
        }
        let _ = writeln!(variants, "    {attribute}V{number}{body},");
    }
    let arms = made.iter().enumerate().map(|(place, make)| format!("{place} => {make}, "));
    let arms = arms.collect::<String>();
    let made = format!("match random.below({}) {{ {arms}_ => unreachable!() }}", made.len());
    (attributes.to_owned(), format!("pub enum {} {{\n{variants}}}", whole.name), made)
}

/// The program.
pub(crate) fn program() -> String {
    let random = &mut Randomness(SEED);
    let (mut text, mut known) = (HEADER.to_owned(), Vec::<Known>::new());
    for number in 0..TYPES {
        let mut whole = Known { has_default: false, ..Known::leaf(&format!("T{number}")) };
        let (attributes, definition, made) = match random.percent(40) {
            true => make_enum(random, &known, &mut whole),
            false => make_struct(random, &known, &mut whole),
        };
        let eq = if whole.has_eq { ", Eq" } else { "" };
        let _ = write!(
            text,
            "\n#[derive(Clone, Debug, PartialEq{eq}, Serialize, Deserialize)]\n{attributes}\
             {definition}\n\nimpl Random for T{number} {{\n    fn random(random: &mut Randomness) -> \
             Self {{\n        {made}\n    }}\n}}\n"
        );
        known.push(whole);
    }
    let enums = enums(&known, &mut text);
    text.push_str("\n/// All of them.\npub fn all() -> Vec<Case> {\n    vec![\n");
    for (number, known) in known.iter().enumerate() {
        let Known { name, refused, has_eq, has_no_order, .. } = known;
        let refused = refused.iter().collect::<Vec<_>>();
        let whole = if number % WHOLE == 0 { "_in_states" } else { "" };
        let kind = match (has_eq, has_no_order) {
            (true, false) => "key",
            (true, true) => "unordered",
            (false, _) => "value",
        };
        let _ = writeln!(text, "        Case::{kind}{whole}::<{name}>(\"{name}\", &{refused:?}),");
    }
    for name in enums {
        let kind = if name.starts_with("Keys") { "key" } else { "value" };
        let _ = writeln!(text, "        Case::{kind}_in_states::<{name}>(\"{name}\", &[]),");
    }
    text.push_str("    ]\n}\n");
    text
}

/// Enums with every type that is not refused as a variant, those that can be keys apart; their names.
/// With them each type goes through states, savepoints and a job of two processes, at the compiler's
/// price of a few.
fn enums(known: &[Known], text: &mut String) -> Vec<String> {
    let mut names = Vec::new();
    let fitting = known.iter().filter(|known| known.refused.is_empty());
    let (keys, values) =
        fitting.partition::<Vec<_>, _>(|known| known.has_eq && !known.has_no_order);
    for (kind, eq, of) in [("Keys", "Eq", keys), ("Values", "", values)] {
        let mut parts = Vec::new();
        for (number, of) in of.chunks(VARIANTS).enumerate() {
            let variants = of.iter().map(|known| known.name.as_str()).collect::<Vec<_>>();
            let name = format!("{kind}{number}");
            let variants = variants.join(", ");
            let _ = writeln!(text, "\none_of!({name}, [{eq}], [{variants}]);");
            parts.push(name);
        }
        let all = parts.join(", ");
        let _ = writeln!(text, "\none_of!({kind}, [{eq}], [{all}]);");
        names.append(&mut parts);
    }
    names
}
