//! Runs a [`Sink`] as the runtime's [`Operator`].

use std::{collections::VecDeque, time::Duration};

use tidegate_types::UserResult;

use super::{Sink, SinkContext, SinkWriter};
use crate::{
    batch::{Batch, ErasedBatch, typed},
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
            let before = batch.len();
            let readiness = self.writer.write(batch)?;
            let (left, taken) = (batch.len(), before - batch.len());
            if left == 0 {
                self.waiting.pop_front();
            }
            match readiness {
                // Ready and yet nothing taken: do not spin on such a writer.
                Readiness::Ready if left > 0 && taken == 0 => {
                    return Ok(Readiness::RetryAfter(Duration::from_millis(1)));
                }
                Readiness::Ready => {}
                waiting => return Ok(waiting),
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
