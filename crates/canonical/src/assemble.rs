//! Puts values together again, from the values and levels of each leaf into the native form.
//!
//! [Dremel][dremel], section 4.3, drives this by an automaton over the leaves of whole records; here the
//! tree of the type is walked once per row, and the levels at hand decide what there is. What the levels
//! mean is told in `plan`.
//!
//! Whatever a file says, levels that contradict each other are an error.
//!
//! [dremel]: <https://research.google/pubs/dremel-interactive-analysis-of-web-scale-datasets-2/>

use parquet::column::reader::ColumnReader;
use tidegate_snapshot::wire::{WireError, put_varint};
use tidegate_types::KeyGroup;

use crate::{
    CanonicalError,
    entries::Entries,
    plan::{Node, Plan},
};

/// Rows that have been read, leaf by leaf.
pub(crate) struct Assembler<'a> {
    plan: &'a Plan,
    leaves: Vec<Entries<'a>>,
}

impl<'a> Assembler<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        Self { leaves: plan.leaves.iter().map(Entries::new).collect(), plan }
    }

    /// Reads so many rows of each leaf, once all that there were have been taken.
    pub(crate) fn read(
        &mut self,
        readers: &mut [ColumnReader],
        rows: usize,
    ) -> Result<(), CanonicalError> {
        let leaves = self.leaves.iter_mut().zip(readers);
        leaves.map(|(leaf, reader)| leaf.read(reader, rows)).collect()
    }

    /// Appends the value of a column in the row at hand: each column has its turn.
    pub(crate) fn put(&mut self, column: usize, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.put_part(&self.plan.columns[column], 0, out)
    }

    pub(crate) fn columns(&self) -> usize {
        self.plan.columns.len()
    }

    /// Takes the key group of the row at hand, which is its first column.
    pub(crate) fn group(&mut self) -> Result<KeyGroup, WireError> {
        let number = self.leaves.first_mut().map(|leaf| leaf.number(0));
        number.unwrap_or(Ok(0)).map(KeyGroup)
    }

    /// Leaves a row out whose key group has been taken.
    pub(crate) fn skip(&mut self) -> Result<(), WireError> {
        self.leaves.iter_mut().skip(1).try_for_each(|leaf| leaf.skip(0, 0))
    }

    /// Whether each leaf has been taken whole.
    pub(crate) fn end(&self) -> Result<(), WireError> {
        self.leaves.iter().try_for_each(Entries::end)
    }

    /// Appends a part that goes on at this repetition level.
    fn put_part(
        &mut self,
        node: &'a Node,
        repetition: i16,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        match node {
            Node::Leaf(leaf) => self.leaves[*leaf].put(repetition, out),
            Node::Optional { level, leaves, inner } => {
                let is_some = self.leaves[leaves.start].definition()? >= *level;
                out.push(u8::from(is_some));
                if is_some {
                    return self.put_part(inner, repetition, out);
                }
                let leaves = &mut self.leaves[leaves.clone()];
                leaves.iter_mut().try_for_each(|leaf| leaf.pass(repetition, level - 1))
            }
            Node::Required { level, leaf, inner } => {
                if self.leaves[*leaf].definition()? < *level {
                    return Err(WireError::new("a column has nulls"));
                }
                self.put_part(inner, repetition, out)
            }
            Node::Repeated { level, repetition: next, leaves, parts } => {
                let first = &self.leaves[leaves.start];
                if first.definition()? < *level {
                    put_varint(0, out);
                    let leaves = &mut self.leaves[leaves.clone()];
                    return leaves.iter_mut().try_for_each(|leaf| leaf.pass(repetition, level - 1));
                }
                let count = first.count(*next);
                put_varint(count as u128, out);
                let mut repetition = repetition;
                for _ in 0..count {
                    parts.iter().try_for_each(|part| self.put_part(part, repetition, out))?;
                    repetition = *next;
                }
                Ok(())
            }
            Node::Parts(parts) => {
                parts.iter().try_for_each(|part| self.put_part(part, repetition, out))
            }
            Node::Choice { tag, names, bodies } => {
                let tag = self.leaves[*tag].text(repetition)?;
                let unknown = || WireError::new(format!("there is no variant `{tag}`"));
                let variant = names.iter().position(|name| name == tag).ok_or_else(unknown)?;
                put_varint(variant as u128, out);
                for (index, body) in bodies.iter().enumerate() {
                    let Some(body) = body else { continue };
                    if index == variant {
                        self.put_part(&body.node, repetition, out)?;
                    } else {
                        // Whatever there is: the tag tells.
                        let leaves = &mut self.leaves[body.leaves.clone()];
                        leaves
                            .iter_mut()
                            .try_for_each(|leaf| leaf.skip(repetition, body.repetition))?;
                    }
                }
                Ok(())
            }
        }
    }
}
