//! What the fields of a struct are called, and what it does without one of them.
//!
//! serde lists the names that a struct reads, aliases among them, and not which belong together. So
//! the struct is asked, a question in each pass: given a field twice, it says what that is called;
//! given all but one, whether it has a default for that one; and given another, whether it minds.

use std::cell::Cell;

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::{
    memory::{Making, Memory},
    shape::{Body, Field, Fields, Name, Shape},
    trace::{Refused, Tracer},
};

/// What is no field of any struct.
const STRANGER: &str = "\u{0}";

/// A struct, or a variant with fields.
pub(super) struct KnownStruct {
    /// How many fields it has.
    count: usize,
    /// For each name that it reads, which field that is.
    owners: Vec<&'static str>,
    /// For each field, whether it may be missing.
    defaults: Vec<bool>,
    denies_others: Option<bool>,
}

impl KnownStruct {
    /// The fields' own names, in the order of their declaration.
    fn names(&self) -> Vec<&'static str> {
        let mut names = self.owners.clone();
        names.dedup();
        names
    }
}

/// What to ask of a struct in this pass.
enum Question {
    /// How many fields it has: nothing is known yet.
    Count,
    /// Which field the name at this place is.
    Owner(&'static str),
    /// Whether it has a default for the field at this place.
    Default(usize),
    /// Whether it refuses a field that it does not know.
    Others,
    /// Nothing more.
    Done,
}

/// Goes through the fields of a struct or variant, or asks something of it and ends the pass.
pub(super) fn fields<'de, V: Visitor<'de>>(
    state: &Memory,
    path: String,
    key: Key,
    names: &'static [&'static str],
    visitor: V,
    recursion: bool,
) -> Result<(V::Value, Body), Refused> {
    note_names(state, &path, key, names);
    let question = if recursion { Question::Done } else { next_question(state, key, names) };
    let given = match question {
        Question::Done | Question::Count => {
            let (value, shapes) = Tracer::elements(state, path, names.len(), visitor)?;
            if matches!(question, Question::Count) && state.making.get() == Making::Shape {
                note_count(state, key, names, shapes.len());
                return Err(Refused::Probed);
            }
            return Ok((value, body(state, key, names, shapes)));
        }
        // Which place that is among the fields is not known; only where its values are made up.
        Question::Owner(name) => vec![(name, names.len()); 2],
        Question::Default(left_out) => {
            let own = state.structs.borrow().get(&key).map(KnownStruct::names).unwrap_or_default();
            let given = own.into_iter().zip(0..).filter(|(_, place)| *place != left_out);
            given.collect()
        }
        Question::Others => {
            let own = state.structs.borrow().get(&key).map(KnownStruct::names).unwrap_or_default();
            own.into_iter().zip(0..).chain([(STRANGER, usize::MAX)]).collect()
        }
    };
    let refused_inside = Cell::new(false);
    let given = given.into_iter();
    let entries = Entries { state, path, given, value: None, refused_inside: &refused_inside };
    let answer = visitor.visit_map(entries).map(drop);
    if refused_inside.get() {
        // It was about a value, which a later pass makes up in another way.
        return Err(answer.err().unwrap_or(Refused::Value));
    }
    note_answer(state, key, &question, &answer);
    Err(Refused::Probed)
}

type Key = (&'static str, Option<usize>);

/// For messages about what is inside.
fn note_names(state: &Memory, path: &str, key: Key, names: &'static [&'static str]) {
    let own = state.structs.borrow().get(&key).map(KnownStruct::names);
    let own = own.filter(|own| !own.is_empty());
    state.note_names(path, own.unwrap_or_else(|| names.to_vec()));
}

fn next_question(state: &Memory, key: Key, names: &[&'static str]) -> Question {
    let structs = state.structs.borrow();
    let Some(known) = structs.get(&key) else { return Question::Count };
    if known.owners.len() < names.len() {
        return Question::Owner(names[known.owners.len()]);
    }
    if !state.with_defaults || known.names().len() != known.count {
        return Question::Done;
    }
    if known.defaults.len() < known.count {
        return Question::Default(known.defaults.len());
    }
    if known.denies_others.is_none() { Question::Others } else { Question::Done }
}

fn note_count(state: &Memory, key: Key, names: &[&'static str], count: usize) {
    // As many names as fields: there are no aliases.
    let owners = if names.len() == count { names.to_vec() } else { Vec::new() };
    let known = KnownStruct { count, owners, defaults: Vec::new(), denies_others: None };
    state.structs.borrow_mut().insert(key, known);
}

fn note_answer(state: &Memory, key: Key, question: &Question, answer: &Result<(), Refused>) {
    let mut structs = state.structs.borrow_mut();
    let Some(known) = structs.get_mut(&key) else { return };
    match question {
        Question::Owner(given) => known.owners.push(match answer {
            Err(Refused::Duplicate(owner)) => owner,
            _ => given,
        }),
        Question::Default(_) => known.defaults.push(answer.is_ok()),
        Question::Others => known.denies_others = Some(answer.is_err()),
        Question::Count | Question::Done => {}
    }
}

fn body(state: &Memory, key: Key, names: &[&'static str], shapes: Vec<Shape>) -> Body {
    let structs = state.structs.borrow();
    let Some(known) = structs.get(&key) else { return Body::Tuple(shapes) };
    let own = known.names();
    if own.len() != shapes.len() {
        return Body::Tuple(shapes);
    }
    let field = |(place, (name, shape)): (usize, (&'static str, Shape))| {
        let aliases = names.iter().zip(&known.owners);
        let aliases = aliases.filter(|(alias, owner)| **owner == name && **alias != name);
        Field {
            name: Name::Borrowed(name),
            aliases: aliases.map(|(alias, _)| Name::Borrowed(*alias)).collect(),
            has_default: known.defaults.get(place).copied().unwrap_or(false),
            shape,
        }
    };
    let fields = own.into_iter().zip(shapes).enumerate().map(field).collect();
    Body::Fields(Fields { fields, denies_others: known.denies_others.unwrap_or(false) })
}

/// The fields that a struct is given by name, each with its place.
struct Entries<'a> {
    state: &'a Memory,
    path: String,
    given: std::vec::IntoIter<(&'static str, usize)>,
    value: Option<(&'static str, usize)>,
    refused_inside: &'a Cell<bool>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        self.value = self.given.next();
        let key = |(name, _): (&'static str, usize)| {
            seed.deserialize(IntoDeserializer::<Refused>::into_deserializer(name))
        };
        self.value.map(key).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        let (name, place) = self.value.take().ok_or(Refused::Value)?;
        if name == STRANGER {
            return seed.deserialize(IntoDeserializer::<Refused>::into_deserializer(()));
        }
        let mut shape = Shape::Unknown;
        let path = format!("{}.{place}", self.path);
        let value = seed.deserialize(Tracer::at(self.state, path, &mut shape));
        if value.is_err() {
            self.refused_inside.set(true);
        }
        value
    }
}
