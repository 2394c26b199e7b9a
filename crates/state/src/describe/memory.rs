//! What the passes over a type know: the candidates refused, the variants seen, the types around.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use super::{
    probe::KnownStruct,
    shape::{Body, Field, Fields, Name, Shape},
};

/// How many questions a type may ask in one pass, and how deep it may go.
const STEPS: usize = 100_000;
const DEPTH: usize = 200;

/// What is known of an enum.
struct KnownEnum {
    variants: &'static [&'static str],
    bodies: Vec<Option<Body>>,
    /// How often it has been gone through with all of its variants known.
    turn: usize,
    /// How often it has been made up.
    made_up: usize,
}

/// What values to make up, once it is known what a type reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Making {
    /// Whatever tells what the type reads.
    #[default]
    Shape,
    /// Options are some, collections have an element, and enums go through their variants.
    Full,
    /// Options are none and collections empty.
    Empty,
    /// As [`Making::Full`], with other numbers and texts.
    Other,
    /// Collections of many elements that differ, in this order or the other way round, and enums'
    /// variants from this one on.
    Many {
        /// The last element comes first.
        backwards: bool,
        /// The first variant.
        round: usize,
    },
}

/// How many elements there are in a collection of [`Making::Many`].
const MANY: usize = 8;

/// A question that only a format with names and types can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Where in the type.
    pub(crate) path: String,
    /// What would have been content with any answer, by its name in Rust.
    pub(crate) by: &'static str,
    /// What it wanted to know.
    pub(crate) wants: Wants,
}

/// What a type wants to know that only names could tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// What comes next.
    Anything,
    /// Which field of a map that stands for a struct.
    FieldName,
    /// Which variant the field beside it is of.
    Tag,
}

/// What one pass knows, and what it leaves to the next.
#[derive(Default)]
pub(super) struct Memory {
    /// Which candidate to answer with, for each question that has been refused before.
    candidates: RefCell<HashMap<String, usize>>,
    enums: RefCell<HashMap<&'static str, KnownEnum>>,
    /// The structs seen, and the variants with fields: identity, and variant if any.
    pub(super) structs: RefCell<HashMap<(&'static str, Option<usize>), KnownStruct>>,
    /// Whether to find out what a struct does without a field.
    pub(super) with_defaults: bool,
    /// The last question with candidates in this pass, and how many it has.
    last: RefCell<Option<(String, usize)>>,
    /// The structs and enums around the current place: identity, and variant if any.
    around: RefCell<Vec<(&'static str, Option<usize>)>>,
    steps: Cell<usize>,
    pub(super) making: Cell<Making>,
    /// Which element of a collection the current place is in.
    element: Cell<usize>,
    /// The names of the fields or variants at a place.
    names: RefCell<HashMap<String, Vec<&'static str>>>,
    pub(super) asked: RefCell<Option<Asked>>,
}

impl Memory {
    pub(super) fn begin_pass(&self) {
        self.steps.set(0);
        self.element.set(0);
        self.around.borrow_mut().clear();
        *self.last.borrow_mut() = None;
    }

    pub(super) fn new(with_defaults: bool) -> Self {
        Self { with_defaults, ..Self::default() }
    }

    pub(super) fn complete(&self) -> bool {
        self.enums.borrow().values().all(|known| known.bodies.iter().all(Option::is_some))
    }

    /// How many variants the largest enum has.
    pub(super) fn most_variants(&self) -> usize {
        self.enums.borrow().values().map(|known| known.variants.len()).max().unwrap_or(1)
    }

    /// Whether every variant of every enum has been made up.
    pub(super) fn has_made_all(&self) -> bool {
        self.enums.borrow().values().all(|known| known.made_up >= known.variants.len())
    }

    /// After a refusal, which follows the answer that is refused.
    pub(super) fn try_next_candidate(&self) -> Option<()> {
        let (path, count) = self.last.borrow_mut().take()?;
        let mut candidates = self.candidates.borrow_mut();
        let choice = candidates.entry(path).or_insert(0);
        *choice += 1;
        (*choice < count).then_some(())
    }

    /// Whether the current place is inside a type that contains itself.
    pub(super) fn inside_itself(&self) -> bool {
        let around = self.around.borrow();
        around
            .iter()
            .enumerate()
            .any(|(i, (identity, _))| around[..i].iter().any(|(outer, _)| outer == identity))
    }

    /// How many elements to put into a collection.
    pub(super) fn count(&self) -> usize {
        match self.making.get() {
            _ if self.inside_itself() => 0,
            Making::Empty => 0,
            Making::Many { .. } => MANY,
            Making::Shape | Making::Full | Making::Other => 1,
        }
    }

    /// Whether to leave an option empty.
    pub(super) fn is_none(&self) -> bool {
        self.inside_itself() || self.making.get() == Making::Empty
    }

    /// Goes into the element at this place of a collection; to be handed what it returns.
    pub(super) fn enter_element(&self, place: usize) -> usize {
        let element = match self.making.get() {
            Making::Many { backwards: true, .. } => MANY.saturating_sub(place + 1),
            _ => place,
        };
        self.element.replace(element)
    }

    pub(super) fn leave_element(&self, outer: usize) {
        self.element.set(outer);
    }

    /// Notes what the fields or variants at a place are called.
    pub(super) fn note_names(&self, path: &str, names: Vec<&'static str>) {
        self.names.borrow_mut().insert(path.to_owned(), names);
    }

    /// Notes a question that can't be answered; no other candidate would help.
    pub(super) fn asked_for_any(&self, path: &str, by: &'static str) {
        self.note_asked(path, by, Wants::Anything);
    }

    /// As [`Memory::asked_for_any`], of a name.
    pub(super) fn asked_for_name(&self, path: &str, by: &'static str) {
        let around = path.rsplit_once('.').map_or("", |(around, _)| around);
        let is_in_struct = self.names.borrow().contains_key(around);
        match is_in_struct {
            true => self.note_asked(path, by, Wants::Tag),
            false => self.note_asked(around, by, Wants::FieldName),
        }
    }

    fn note_asked(&self, path: &str, by: &'static str, wants: Wants) {
        self.give_up();
        let path = self.in_names(path);
        self.asked.borrow_mut().get_or_insert(Asked { path, by, wants });
    }

    /// A path by the names of fields and variants, without what is in no struct.
    fn in_names(&self, path: &str) -> String {
        let names = self.names.borrow();
        let mut parts = Vec::new();
        let ends = path.char_indices().filter(|(_, c)| matches!(c, '.' | '/' | '?'));
        for (begin, kind) in ends {
            let rest = &path[begin + 1..];
            let number = &rest[..rest.find(['.', '/', '?']).unwrap_or(rest.len())];
            let Ok(place) = number.parse::<usize>() else { continue };
            let known = names.get(&path[..begin]).and_then(|names| names.get(place));
            match known {
                Some(name) => parts.push((*name).to_owned()),
                None if kind == '.' => parts.push(number.to_owned()),
                None => {}
            }
        }
        parts.join(".")
    }

    pub(super) fn is_around(&self, identity: &str) -> bool {
        self.around.borrow().iter().any(|(outer, _)| *outer == identity)
    }

    /// Goes into a struct or a variant; `false` if that is too deep.
    pub(super) fn enter(&self, identity: &'static str, variant: Option<usize>) -> bool {
        let mut around = self.around.borrow_mut();
        around.push((identity, variant));
        let fits = around.len() <= DEPTH;
        if !fits {
            self.give_up();
        }
        fits
    }

    pub(super) fn leave(&self) {
        self.around.borrow_mut().pop();
    }

    /// No other candidate would help.
    pub(super) fn give_up(&self) {
        *self.last.borrow_mut() = None;
    }

    /// The answer to the question at `path`: the first candidate that has not been refused. `None`
    /// after too many questions.
    pub(super) fn choose<T: Copy>(&self, path: &str, candidates: &[T]) -> Option<T> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > STEPS {
            self.give_up();
            return None;
        }
        let choice = self.candidates.borrow().get(path).copied().unwrap_or(0);
        *self.last.borrow_mut() = Some((path.to_owned(), candidates.len()));
        let choice = match self.making.get() {
            Making::Shape | Making::Full | Making::Empty => choice,
            Making::Other => (choice + 1) % candidates.len(),
            Making::Many { .. } => (choice + self.element.get()) % candidates.len(),
        };
        candidates.get(choice).copied()
    }

    /// Which variant to go through: one not seen yet, and inside itself one that leads out. `None`
    /// if there is none.
    pub(super) fn choose_variant(
        &self,
        identity: &'static str,
        variants: &'static [&'static str],
    ) -> Option<usize> {
        let mut enums = self.enums.borrow_mut();
        let known = enums.entry(identity).or_insert_with(|| KnownEnum {
            variants,
            bodies: vec![None; variants.len()],
            turn: 0,
            made_up: 0,
        });
        if !self.is_around(identity) && self.making.get() != Making::Shape && !variants.is_empty() {
            let next = match self.making.get() {
                Making::Many { round, .. } => round + self.element.get(),
                _ => known.made_up,
            };
            known.made_up += 1;
            return Some(next % variants.len());
        }
        if !self.is_around(identity) {
            // With all of them known, each in turn: enums inside of them may not be.
            let unseen = known.bodies.iter().position(Option::is_none);
            return Some(unseen.unwrap_or_else(|| {
                known.turn += 1;
                known.turn % variants.len().max(1)
            }));
        }
        let unit = known.bodies.iter().position(|body| *body == Some(Body::Unit));
        let around = self.around.borrow();
        let in_progress = |variant: usize| around.contains(&(identity, Some(variant)));
        let way_out = unit.or_else(|| (0..variants.len()).find(|variant| !in_progress(*variant)));
        if way_out.is_none() {
            self.give_up();
        }
        way_out
    }

    pub(super) fn note_variant(&self, identity: &'static str, variant: usize, body: Body) {
        if let Some(known) = self.enums.borrow_mut().get_mut(identity) {
            known.bodies[variant].get_or_insert(body);
        }
    }

    /// Puts every variant into the enums of `shape`, which holds those of the last pass.
    pub(super) fn with_all_variants(&self, shape: Shape) -> Shape {
        self.complete_shape(shape, &mut Vec::new())
    }

    fn complete_shape(&self, shape: Shape, within: &mut Vec<Name>) -> Shape {
        match shape {
            Shape::Option(inner) => Shape::Option(Box::new(self.complete_shape(*inner, within))),
            Shape::List(inner) => Shape::List(Box::new(self.complete_shape(*inner, within))),
            Shape::Map(key, value) => Shape::Map(
                Box::new(self.complete_shape(*key, within)),
                Box::new(self.complete_shape(*value, within)),
            ),
            Shape::Tuple(parts) => Shape::Tuple(self.complete_shapes(parts, within)),
            Shape::Named { identity, .. } if within.contains(&identity) => {
                Shape::Recursion(identity)
            }
            Shape::Named { identity, name, body } => {
                within.push(identity.clone());
                let body = self.complete_body(&identity, body, within);
                within.pop();
                Shape::Named { identity, name, body }
            }
            leaf => leaf,
        }
    }

    fn complete_shapes(&self, shapes: Vec<Shape>, within: &mut Vec<Name>) -> Vec<Shape> {
        shapes.into_iter().map(|shape| self.complete_shape(shape, within)).collect()
    }

    fn complete_body(&self, identity: &str, body: Body, within: &mut Vec<Name>) -> Body {
        match body {
            Body::Unit => Body::Unit,
            Body::Tuple(parts) => Body::Tuple(self.complete_shapes(parts, within)),
            Body::Fields(Fields { fields, denies_others }) => {
                let complete = |field: Field| Field {
                    shape: self.complete_shape(field.shape, within),
                    ..field
                };
                let fields = fields.into_iter().map(complete).collect();
                Body::Fields(Fields { fields, denies_others })
            }
            Body::Variants(_) => {
                let known = self.enums.borrow();
                let Some(known) = known.get(identity) else { return Body::Unit };
                let variants = known.variants.iter().zip(&known.bodies).map(|(name, body)| {
                    let body = body.clone().map(|body| self.complete_body("", body, within));
                    (Name::Borrowed(*name), body)
                });
                Body::Variants(variants.collect())
            }
        }
    }
}
