//! How the native form of a type and the columns of a table belong together.
//!
//! Parquet keeps the leaves of nested values, a column each. So that a value can be put together again,
//! each of a column's entries has two numbers beside it ([Dremel][dremel], section 4.1):
//!
//! - its *definition level*: how many of the options, lists and maps around it that could be nothing, or
//!   empty, are there. At the column's highest one there is a value; below it there is none.
//! - its *repetition level*: at which of the lists and maps around it it goes on; 0 begins a row.
//!
//! A plan is the tree of a type with these levels at each of its nodes, made once per table from the type
//! and the table's schema. `shred` takes values apart by it, `assemble` puts them together.
//!
//! A table that another tool has written anew may have nulls where the type has none (they are an error
//! once there is one), none where it could have, and other names in lists and maps.
//!
//! [dremel]: <https://research.google/pubs/dremel-interactive-analysis-of-web-scale-datasets-2/>
//! "S. Melnik et al., Dremel: Interactive Analysis of Web-Scale Datasets, VLDB 2010"

use std::ops::Range;

use parquet::{
    basic::Repetition,
    schema::types::{Type as Column, TypePtr},
};
use tidegate_snapshot::described::Type;

use crate::{
    leaf::{Kind, Leaf},
    schema::{
        SOME, VARIANT, body_name, element, entries, is_nullable, is_tag, map_key, optional,
        primitive, repetition, with_data,
    },
    words,
};

/// The columns of a table, and their leaves, in order.
pub(crate) struct Plan {
    pub(crate) columns: Vec<Node>,
    pub(crate) leaves: Vec<Leaf>,
}

/// A part of a type.
pub(crate) enum Node {
    /// Has no parts: the leaf of this number.
    Leaf(usize),
    /// A value or nothing: it is there from this definition level on.
    Optional { level: i16, leaves: Range<usize>, inner: Box<Self> },
    /// What the table could have no value for, and the type must: it is there from this level on.
    Required { level: i16, leaf: usize, inner: Box<Self> },
    /// A list, or a map with its two parts: an element is there from this definition level on, and all but
    /// the first have this repetition level.
    Repeated { level: i16, repetition: i16, leaves: Range<usize>, parts: Vec<Self> },
    /// Fields or parts.
    Parts(Vec<Self>),
    /// An enum: the leaf that holds a variant's name, and the data of those that have some.
    Choice { tag: usize, names: Vec<String>, bodies: Vec<Option<Body>> },
}

/// The data of a variant.
pub(crate) struct Body {
    /// It is there from this definition level on.
    pub(crate) level: i16,
    /// The repetition level of the innermost list around it.
    pub(crate) repetition: i16,
    pub(crate) leaves: Range<usize>,
    pub(crate) node: Node,
}

impl Plan {
    /// For columns of these names and types in a table; `None` if it has others.
    pub(crate) fn new<'a>(
        columns: impl ExactSizeIterator<Item = (&'a str, &'a Type)>,
        table: &Column,
    ) -> Option<Self> {
        let mut planner = Planner { leaves: Vec::new() };
        let columns = planner.fields(columns, table.get_fields(), Levels::default())?;
        Some(Self { columns, leaves: planner.leaves })
    }
}

/// The levels of what is there.
#[derive(Clone, Copy, Default)]
struct Levels {
    definition: i16,
    repetition: i16,
}

impl Levels {
    /// Those of a column, from the ones around it.
    fn of(self, column: &Column) -> Option<Self> {
        match repetition(column) {
            Repetition::REQUIRED => Some(self),
            Repetition::OPTIONAL => Some(Self { definition: self.definition + 1, ..self }),
            Repetition::REPEATED => None,
        }
    }

    /// Those of an element.
    fn of_element(self) -> Self {
        Self { definition: self.definition + 1, repetition: self.repetition + 1 }
    }
}

struct Planner {
    leaves: Vec<Leaf>,
}

impl Planner {
    /// Columns that have to be called like this.
    fn fields<'a>(
        &mut self,
        expected: impl ExactSizeIterator<Item = (&'a str, &'a Type)>,
        found: &[TypePtr],
        around: Levels,
    ) -> Option<Vec<Node>> {
        if expected.len() != found.len() {
            return None;
        }
        let fields = expected.zip(found).map(|((name, of), column)| {
            (column.name() == name).then(|| self.field(of, column, around))?
        });
        fields.collect()
    }

    fn field(&mut self, of: &Type, column: &Column, around: Levels) -> Option<Node> {
        let (first, levels) = (self.leaves.len(), around.of(column)?);
        let level = levels.definition;
        let Some(inner) = optional(of) else {
            let inner = self.value(of, column, levels)?;
            // A leaf sees for itself whether it has a value.
            return Some(if level > around.definition && column.is_group() {
                Node::Required { level, leaf: first, inner: Box::new(inner) }
            } else {
                inner
            });
        };
        let inner = if is_nullable(inner) {
            let some = parts(column)?;
            self.fields([(SOME, inner)].into_iter(), some, levels)?.pop()?
        } else {
            self.value(inner, column, levels)?
        };
        let leaves = first..self.leaves.len();
        Some(Node::Optional { level, leaves, inner: Box::new(inner) })
    }

    /// What is there, and no option.
    fn value(&mut self, of: &Type, column: &Column, levels: Levels) -> Option<Node> {
        let first = self.leaves.len();
        match of {
            Type::List(of) => {
                let inner = levels.of_element();
                let parts = vec![self.field(of, element(column)?, inner)?];
                Some(self.repeated(inner, first, parts))
            }
            Type::Map(key, value) => {
                let inner = levels.of_element();
                let (_, keys, values) = entries(column)?;
                let key = self.field(&map_key(key), keys, inner)?;
                let parts = vec![key, self.field(value, values, inner)?];
                Some(self.repeated(inner, first, parts))
            }
            Type::Tuple(inner) if inner.len() == 1 => self.value(&inner[0], column, levels),
            Type::Tuple(inner) if !inner.is_empty() => {
                let names = (0..inner.len()).map(|place| place.to_string()).collect::<Vec<_>>();
                let expected = names.iter().map(String::as_str).zip(inner);
                self.fields(expected, parts(column)?, levels).map(Node::Parts)
            }
            Type::Struct(fields) if !fields.is_empty() => {
                let expected = fields.iter().map(|(name, of)| (name.as_str(), of));
                self.fields(expected, parts(column)?, levels).map(Node::Parts)
            }
            Type::Enum(variants) => self.choice(variants, column, levels),
            leaf => self.leaf(leaf, column, levels).map(Node::Leaf),
        }
    }

    fn repeated(&self, inner: Levels, first: usize, parts: Vec<Node>) -> Node {
        let leaves = first..self.leaves.len();
        Node::Repeated { level: inner.definition, repetition: inner.repetition, leaves, parts }
    }

    fn choice(
        &mut self,
        variants: &[(String, Type)],
        column: &Column,
        levels: Levels,
    ) -> Option<Node> {
        let names = variants.iter().map(|(name, _)| name.clone()).collect();
        let mut bodies = variants.iter().map(|_| None).collect::<Vec<_>>();
        if is_tag(variants) {
            let tag = self.leaf(&Type::String, column, levels)?;
            return Some(Node::Choice { tag, names, bodies });
        }
        let (tag, data) = parts(column)?.split_first()?;
        if tag.name() != VARIANT || data.len() != with_data(variants).count() {
            return None;
        }
        let tag = self.leaf(&Type::String, tag, levels.of(tag)?)?;
        for ((index, name, of), column) in with_data(variants).zip(data) {
            if column.name() != body_name(name) {
                return None;
            }
            bodies[index] = Some(self.body(of, column, levels)?);
        }
        Some(Node::Choice { tag, names, bodies })
    }

    /// The data of a variant. If it is an option, it is null for either reason; the tag tells.
    fn body(&mut self, of: &Type, column: &Column, levels: Levels) -> Option<Body> {
        let (first, level) = (self.leaves.len(), levels.of(column)?.definition);
        let node = self.field(of, column, levels)?;
        let leaves = first..self.leaves.len();
        Some(Body { level, repetition: levels.repetition, leaves, node })
    }

    fn leaf(&mut self, of: &Type, column: &Column, levels: Levels) -> Option<usize> {
        let expected = primitive("", Repetition::REQUIRED, of);
        let is_same = column.is_primitive()
            && column.get_physical_type() == expected.get_physical_type()
            && words::primitive(column) == words::primitive(&expected);
        if !is_same {
            return None;
        }
        let Levels { definition, repetition } = levels;
        self.leaves.push(Leaf { kind: Kind::of(of), definition, repetition });
        Some(self.leaves.len() - 1)
    }
}

/// The fields of a struct.
fn parts(column: &Column) -> Option<&[TypePtr]> {
    let is_struct = element(column).is_none() && entries(column).is_none();
    (column.is_group() && is_struct).then(|| column.get_fields())
}
