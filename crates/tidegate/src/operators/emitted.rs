//! What a function emits, cut into batches.

use tidegate_core::{Batch, Data, Output, batch::TARGET_LEN};
use tidegate_types::EventTime;

use crate::Result;

/// What a function has emitted and the operator has not handed on yet.
///
/// However much a record or a timer sets off, no batch is longer than [`TARGET_LEN`], and each has
/// event times for all of its records or for none.
pub(crate) struct Emitted<T> {
    closed: Vec<Batch<T>>,
    open: Batch<T>,
}

impl<T> Default for Emitted<T> {
    fn default() -> Self {
        Self { closed: Vec::new(), open: Batch::default() }
    }
}

impl<T: Data> Emitted<T> {
    #[inline]
    pub(crate) fn push(&mut self, record: T, time: Option<EventTime>) {
        if !self.open.is_empty() && !self.takes(time) {
            self.closed.push(std::mem::take(&mut self.open));
        }
        self.open.push_at(record, time);
    }

    #[inline]
    fn takes(&self, time: Option<EventTime>) -> bool {
        self.open.len() < TARGET_LEN && self.open.times.is_some() == time.is_some()
    }

    /// Hands on the batches that are closed, so that they do not pile up; tells whether there were
    /// any.
    ///
    /// # Errors
    ///
    /// What the operators behind report.
    #[inline]
    pub(crate) fn hand_on(&mut self, out: &mut dyn Output) -> Result<bool> {
        if self.closed.is_empty() {
            return Ok(false);
        }
        self.closed.drain(..).try_for_each(|batch| out.emit(Box::new(batch)))?;
        Ok(true)
    }

    /// Hands on everything.
    ///
    /// # Errors
    ///
    /// What the operators behind report.
    pub(crate) fn flush(&mut self, out: &mut dyn Output) -> Result<()> {
        self.hand_on(out)?;
        if self.open.is_empty() {
            return Ok(());
        }
        let next = Batch::with_capacity(self.open.len());
        out.emit(Box::new(std::mem::replace(&mut self.open, next)))
    }
}
