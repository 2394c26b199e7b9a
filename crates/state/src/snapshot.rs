//! Keyed state on its way from the worker's thread into a snapshot.
//!
//! ```text
//!   worker, at the barrier:  share every table ---> Box<dyn KeyedSnapshot>     microseconds
//!   worker, later:           entries that it writes, and what lies beside them, bit by bit
//!   encoder, later:          group by group, state by state ---> segment       drops each reference
//! ```

use tidegate_snapshot::segment::BlockSink;
use tidegate_types::KeyGroup;

use crate::StateError;

/// References to keyed state as of a barrier, to be encoded on another thread.
pub trait KeyedSnapshot: Send {
    /// Writes everything, key groups ascending, and drops each reference as soon as it is written.
    /// Waits for the worker where that has written to a key group and still packs it.
    ///
    /// # Errors
    ///
    /// [`StateError::Encode`] when a value's own `Serialize` reports an error, [`StateError::Write`]
    /// when the sink does, [`StateError::Abandoned`] when the operator ends first.
    fn encode(self: Box<Self>, sink: &mut dyn BlockSink) -> Result<(), StateError>;
}

/// One state's part of a snapshot.
pub(crate) trait SharedState: Send {
    /// The group that comes next, `None` at the end.
    fn next_group(&mut self) -> Option<KeyGroup>;

    /// Writes the next group as the block of the state with this number.
    fn encode_next(&mut self, state: u16, sink: &mut dyn BlockSink) -> Result<(), StateError>;
}

/// All states of an operator, each at the place of its number.
pub(crate) struct SharedStates(pub(crate) Vec<Box<dyn SharedState>>);

impl KeyedSnapshot for SharedStates {
    fn encode(mut self: Box<Self>, sink: &mut dyn BlockSink) -> Result<(), StateError> {
        while let Some(group) = self.0.iter_mut().filter_map(|state| state.next_group()).min() {
            for (state, id) in self.0.iter_mut().zip(0..) {
                if state.next_group() == Some(group) {
                    state.encode_next(id, sink)?;
                }
            }
        }
        Ok(())
    }
}
