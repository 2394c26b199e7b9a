//! A sink that stands around the collecting one, so that a test can come between.

use futures::{FutureExt, future::BoxFuture};
use tidegate::{
    CheckpointId, Result,
    collect::{Collector, ExactlyOnceCollectSink, ExactlyOnceCollectWriter, Uncommitted},
    connector::{
        Batch, CommitOutcome, Readiness, SinkContext, SinkWriter, TwoPhaseSink, TwoPhaseWriter,
    },
    prelude::Data,
};

/// What happens first.
pub(crate) trait Before: Clone + Send + Sync + 'static {
    /// Before what was prepared for a checkpoint is handed over.
    fn prepared(&self, _checkpoint: CheckpointId) -> BoxFuture<'static, Result<()>> {
        async { Ok(()) }.boxed()
    }

    /// Before something is committed.
    fn commit(&self) -> Result<()> {
        Ok(())
    }
}

/// The sink.
pub(crate) struct Wrapped<T, B> {
    sink: ExactlyOnceCollectSink<T>,
    before: B,
}

impl<T: Data + Sync, B: Before> Wrapped<T, B> {
    pub(crate) fn around(results: &Collector<T>, before: &B) -> Self {
        Self { sink: results.exactly_once_sink(), before: before.clone() }
    }
}

/// Its writer.
pub(crate) struct WrappedWriter<T, B> {
    writer: ExactlyOnceCollectWriter<T>,
    before: B,
}

impl<T: Data + Sync, B: Before> TwoPhaseSink for Wrapped<T, B> {
    type Item = T;
    type Committable = Uncommitted<T>;
    type Writer = WrappedWriter<T, B>;

    fn writer(&self, context: SinkContext) -> Result<WrappedWriter<T, B>> {
        Ok(WrappedWriter { writer: self.sink.writer(context)?, before: self.before.clone() })
    }

    fn commit(
        &self,
        committables: Vec<Uncommitted<T>>,
    ) -> BoxFuture<'static, Result<Vec<CommitOutcome>>> {
        match self.before.commit() {
            Ok(()) => self.sink.commit(committables),
            Err(error) => async { Err(error) }.boxed(),
        }
    }

    fn recover(&self, context: SinkContext) -> BoxFuture<'static, Result<()>> {
        self.sink.recover(context)
    }
}

impl<T: Data + Sync, B: Before> SinkWriter for WrappedWriter<T, B> {
    type Item = T;

    fn write(&mut self, batch: &mut Batch<T>) -> Result<Readiness> {
        self.writer.write(batch)
    }
}

impl<T: Data + Sync, B: Before> TwoPhaseWriter for WrappedWriter<T, B> {
    type Committable = Uncommitted<T>;

    fn prepare(
        &mut self,
        checkpoint: CheckpointId,
    ) -> BoxFuture<'static, Result<Vec<Uncommitted<T>>>> {
        let (before, prepared) =
            (self.before.prepared(checkpoint), self.writer.prepare(checkpoint));
        async move {
            before.await?;
            prepared.await
        }
        .boxed()
    }
}
