//! Runs a [`Sink`] as the runtime's [`Operator`].

use std::collections::VecDeque;

use tidegate_types::{ErrorKind, UserResult};

use super::{Sink, SinkContext, SinkWriter};
use crate::{
    batch::{Batch, ErasedBatch, MixedTimes, typed},
    context::OperatorContext,
    operator::{Operator, Output, Readiness},
};

/// Makes the runtime's operator of one subtask of `sink`.
///
/// # Errors
///
/// What the writer reports.
pub fn sink_operator<S: Sink>(
    sink: &S,
    context: &OperatorContext,
) -> UserResult<Box<dyn Operator>> {
    let writer = sink.writer(SinkContext::from(context))?;
    Ok(Box::new(PlainSink { inbox: Inbox::new(writer) }))
}

struct PlainSink<W: SinkWriter> {
    inbox: Inbox<W>,
}

impl<W: SinkWriter> Operator for PlainSink<W> {
    fn is_passive(&self) -> bool {
        true
    }

    fn on_batch(&mut self, batch: ErasedBatch, _out: &mut dyn Output) -> UserResult<()> {
        self.inbox.offer(batch)
    }

    fn poll_ready(&mut self) -> UserResult<Readiness> {
        self.inbox.poll_written()
    }

    fn poll_flushed(&mut self) -> UserResult<Readiness> {
        self.inbox.poll_flushed()
    }
}

/// Which word a writer has not kept. No restart mends it.
#[derive(Debug, thiserror::Error)]
enum Breach {
    #[error(
        "the writer answered Ready and left {all} of {all} records: one that can't take more has \
         to answer Pending or RetryAfter"
    )]
    TookNone { all: usize },
    #[error("the writer was handed {all} records, and left {left}")]
    LeftMore { all: usize, left: usize },
    #[error("the writer took records without their event times, and left {0}")]
    LeftTimes(MixedTimes),
}

/// Looks at what a writer has left of a batch of so many records.
fn check_taken<T>(all: usize, left: &Batch<T>, readiness: Readiness) -> Result<(), Breach> {
    match left.len() {
        0 => Ok(()),
        left if left > all => Err(Breach::LeftMore { all, left }),
        left if left == all && readiness == Readiness::Ready => Err(Breach::TookNone { all }),
        _ => left.check().map_err(Breach::LeftTimes),
    }
}

/// What a writer has not taken yet, and the writer.
///
/// INV-INBOX: while anything is left here the operator is not ready, so that no barrier gets past
/// it. More than one batch is left here only when one packet or timer made several.
pub(super) struct Inbox<W: SinkWriter> {
    pub(super) writer: W,
    waiting: VecDeque<Batch<W::Item>>,
}

impl<W: SinkWriter> Inbox<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, waiting: VecDeque::new() }
    }

    pub(super) fn offer(&mut self, batch: ErasedBatch) -> UserResult<()> {
        self.waiting.push_back(typed::<W::Item>(batch));
        self.poll_written().map(|_| ())
    }

    pub(super) fn poll_written(&mut self) -> UserResult<Readiness> {
        while let Some(batch) = self.waiting.front_mut() {
            let all = batch.len();
            let readiness = self.writer.write(batch)?;
            check_taken(all, batch, readiness).map_err(|breach| ErrorKind::Invalid.mark(breach))?;
            if batch.is_empty() {
                self.waiting.pop_front();
            }
            if readiness != Readiness::Ready {
                return Ok(readiness);
            }
        }
        Ok(Readiness::Ready)
    }

    pub(super) fn poll_flushed(&mut self) -> UserResult<Readiness> {
        match self.poll_written()? {
            Readiness::Ready => self.writer.flush(),
            waiting => Ok(waiting),
        }
    }
}

#[cfg(test)]
mod tests;
