//! Takes values in the native form apart, into the values and levels of each leaf.
//!
//! What is nothing or empty leaves an entry with a level below the highest one in every leaf under it:
//! [Dremel][dremel], section 4.2. What the levels mean is told in `plan`.
//!
//! [dremel]: <https://research.google/pubs/dremel-interactive-analysis-of-web-scale-datasets-2/>

use std::{io::Write, ops::Range};

use parquet::{errors::ParquetError, file::writer::SerializedRowGroupWriter};
use tidegate_snapshot::{
    described::Definitions,
    wire::{Limits, WireError, take_bool, take_length, take_variant},
};

use crate::{
    buffer::Buffer,
    plan::{Node, Plan},
};

/// Rows as they grow, leaf by leaf.
pub(crate) struct Shredder {
    columns: Vec<Node>,
    leaves: Vec<Buffer>,
    /// How much memory the rows take, in bytes.
    size: usize,
}

impl Shredder {
    pub(crate) fn new(plan: Plan) -> Self {
        let leaves = plan.leaves.into_iter().map(Buffer::new).collect();
        Self { columns: plan.columns, leaves, size: 0 }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Takes the value of a column from the front of `bytes`.
    #[inline]
    pub(crate) fn append(
        &mut self,
        column: usize,
        bytes: &mut &[u8],
        definitions: &Definitions,
    ) -> Result<(), WireError> {
        let before = bytes.len();
        match &self.columns[column] {
            Node::Leaf(leaf) => {
                let leaf = &mut self.leaves[*leaf];
                self.size += leaf.cost();
                leaf.append(bytes, definitions, 0)?;
            }
            _ => self.append_parts(column, bytes, definitions)?,
        }
        // Strings take what they took there; everything else has been counted.
        self.size += before - bytes.len();
        Ok(())
    }

    #[inline(never)]
    fn append_parts(
        &mut self,
        column: usize,
        bytes: &mut &[u8],
        definitions: &Definitions,
    ) -> Result<(), WireError> {
        let Self { columns, leaves, size } = self;
        let limits = Limits::default();
        Value { leaves, size, bytes, definitions, limits }.append(&columns[column], 0)
    }

    /// Takes the key group, which is no part of an entry.
    #[inline]
    pub(crate) fn append_number(&mut self, leaf: usize, number: u32) -> Result<(), WireError> {
        self.size += self.leaves[leaf].cost();
        self.leaves[leaf].append_number(number)
    }

    /// Takes bytes whose end somebody else knows, for a type that can't be described.
    pub(crate) fn append_native(&mut self, column: usize, bytes: &[u8]) -> Result<(), WireError> {
        let Node::Leaf(leaf) = &self.columns[column] else {
            return Err(WireError::new("a type that can't be described has parts"));
        };
        self.size += self.leaves[*leaf].cost() + bytes.len();
        self.leaves[*leaf].append_bytes(bytes, 0)
    }

    /// Writes all rows, and forgets them.
    pub(crate) fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        for leaf in &mut self.leaves {
            let missing = || ParquetError::General("the file has too few columns".to_owned());
            let mut column = group.next_column()?.ok_or_else(missing)?;
            leaf.write(column.untyped())?;
            column.close()?;
        }
        self.size = 0;
        Ok(())
    }
}

/// A value that is being taken apart.
struct Value<'a, 'b> {
    leaves: &'a mut [Buffer],
    size: &'a mut usize,
    /// What is left of it.
    bytes: &'a mut &'b [u8],
    definitions: &'a Definitions,
    limits: Limits,
}

impl Value<'_, '_> {
    /// Takes a part that goes on at this repetition level.
    fn append(&mut self, node: &Node, repetition: i16) -> Result<(), WireError> {
        match node {
            Node::Leaf(leaf) => {
                let leaf = &mut self.leaves[*leaf];
                *self.size += leaf.cost();
                leaf.append(self.bytes, self.definitions, repetition)?;
            }
            Node::Optional { level, leaves, inner } => {
                if take_bool(self.bytes)? {
                    self.append(inner, repetition)?;
                } else {
                    self.append_nothing(leaves, repetition, level - 1);
                }
            }
            Node::Required { inner, .. } => self.append(inner, repetition)?,
            Node::Repeated { level, repetition: next, leaves, parts } => {
                let count = take_length(self.bytes)?;
                if count == 0 {
                    self.append_nothing(leaves, repetition, level - 1);
                }
                let mut repetition = repetition;
                for _ in 0..count {
                    let before = self.bytes.len();
                    parts.iter().try_for_each(|part| self.append(part, repetition))?;
                    self.limits.passed(before, self.bytes.len())?;
                    repetition = *next;
                }
            }
            Node::Parts(parts) => {
                parts.iter().try_for_each(|part| self.append(part, repetition))?;
            }
            Node::Choice { tag, names, bodies } => {
                let variant = take_variant(self.bytes, names.len())?;
                let name = names[variant].as_bytes();
                *self.size += self.leaves[*tag].cost() + name.len();
                self.leaves[*tag].append_bytes(name, repetition)?;
                for (index, body) in bodies.iter().enumerate() {
                    let Some(body) = body else { continue };
                    if index == variant {
                        self.append(&body.node, repetition)?;
                    } else {
                        self.append_nothing(&body.leaves, repetition, body.level - 1);
                    }
                }
            }
        }
        Ok(())
    }

    /// Tells leaves up to which level there is something.
    fn append_nothing(&mut self, leaves: &Range<usize>, repetition: i16, definition: i16) {
        for leaf in &mut self.leaves[leaves.clone()] {
            *self.size += leaf.cost();
            leaf.append_levels(repetition, definition);
        }
    }
}
