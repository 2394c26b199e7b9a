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
    entries::{Broken, Entries},
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
        let mut leaves = self.leaves.iter_mut().zip(readers);
        leaves.try_for_each(|(leaf, reader)| leaf.read(reader, rows))
    }

    /// Appends the value of a column in the row at hand: each column has its turn.
    #[inline]
    pub(crate) fn put(&mut self, column: usize, out: &mut Vec<u8>) -> Result<(), WireError> {
        match &self.plan.columns[column] {
            Node::Leaf(leaf) => self.leaves[*leaf].put(0, out),
            node => self.put_part(node, 0, out),
        }
    }

    pub(crate) fn columns(&self) -> usize {
        self.plan.columns.len()
    }

    /// Takes the key group of the row at hand, which is its first column.
    #[inline]
    pub(crate) fn group(&mut self) -> Result<KeyGroup, WireError> {
        self.leaves[0].number(0).map(KeyGroup)
    }

    /// Leaves a row out whose key group has been taken.
    pub(crate) fn skip(&mut self) -> Result<(), WireError> {
        Ok(self.leaves.iter_mut().skip(1).try_for_each(|leaf| leaf.skip(0, 0))?)
    }

    /// Whether each leaf has been taken whole.
    pub(crate) fn end(&self) -> Result<(), WireError> {
        Ok(self.leaves.iter().try_for_each(Entries::end)?)
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
                Ok(leaves.iter_mut().try_for_each(|leaf| leaf.pass(repetition, level - 1))?)
            }
            Node::Required { level, leaf, inner } => {
                if self.leaves[*leaf].definition()? < *level {
                    return Err(Broken::Nulls.into());
                }
                self.put_part(inner, repetition, out)
            }
            Node::Repeated { level, repetition: next, leaves, parts } => {
                let first = &self.leaves[leaves.start];
                if first.definition()? < *level {
                    put_varint(0, out);
                    let leaves = &mut self.leaves[leaves.clone()];
                    leaves.iter_mut().try_for_each(|leaf| leaf.pass(repetition, level - 1))?;
                    return Ok(());
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
