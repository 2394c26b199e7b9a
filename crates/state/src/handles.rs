//! What user code holds: Flink's five kinds of keyed state, for the key of the current record.
//!
//! A handle is declared once by name ([`crate::KeyedBackend`]) and kept in the user's struct. It
//! does not mention the key's type: it reads and writes the current key, which the operator sets
//! before it calls user code. Reads take `&self`, writes `&mut self`, and a handle can't be
//! cloned, so the compiler refuses to write a state from inside a function that is reading it.
//!
//! # Panics
//!
//! Every access outside of a record or a timer, where there is no current key.

mod folding;
mod list;
mod map;
mod value;

pub use folding::{AggregateFunction, AggregatingState, ReducingState};
pub use list::ListState;
pub use map::MapState;
pub use value::ValueState;

use std::rc::Rc;

use crate::{StateTtl, cell::CurrentValue};

/// Where a handle's values are: `P` without TTL, `T` with one.
pub(crate) enum Backing<P, T> {
    Plain(Rc<dyn CurrentValue<P>>),
    Timed(Rc<dyn CurrentValue<T>>, StateTtl),
}

#[cfg(test)]
mod tests;
