//! Runs a [`TwoPhaseSink`] as the runtime's [`Operator`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use tidegate_snapshot::{
    codec,
    segment::{ListState, Redistribution},
};
use tidegate_types::{Barrier, CheckpointId, SubtaskIndex, UserResult};
use tokio::sync::oneshot;

use super::{SinkContext, TwoPhaseSink, TwoPhaseWriter, plain::Inbox};
use crate::{
    batch::ErasedBatch,
    context::OperatorContext,
    operator::{Operator, OperatorSnapshot, Output, Readiness},
};

/// The name of the state that holds what is prepared and not known to be committed.
const COMMITTABLES: &str = "committables";

/// Makes the runtime's operator of one subtask of `sink`.
///
/// # Errors
///
/// What the writer reports, or that the snapshot's committables no longer decode.
pub fn two_phase_operator<S: TwoPhaseSink>(
    sink: S,
    context: &OperatorContext,
) -> UserResult<Box<dyn Operator>> {
    let recovery = start_recovery(&sink, context)?;
    let writer = sink.writer(SinkContext::from(context))?;
    let prepared = Arc::default();
    Ok(Box::new(TwoPhase { sink, inbox: Inbox::new(writer), prepared, previous: None, recovery }))
}

/// Commits what the snapshot holds and then aborts leftovers. One subtask does so for all, since
/// only who has seen all committables can tell a leftover.
fn start_recovery<S: TwoPhaseSink>(
    sink: &S,
    context: &OperatorContext,
) -> UserResult<Option<oneshot::Receiver<UserResult<()>>>> {
    if context.subtask != SubtaskIndex(0) {
        return Ok(None);
    }
    let items = context.restored.items(COMMITTABLES).iter();
    let committables = items.map(|bytes| codec::decode_exact::<S::Committable>(bytes));
    let committables = committables.collect::<Result<Vec<_>, _>>().map_err(|error| {
        let expected = std::any::type_name::<S::Committable>();
        format!("the sink's committables in the snapshot are not of type {expected}: {error}")
    })?;
    let commit = (!committables.is_empty()).then(|| sink.commit(committables));
    let recover = sink.recover(SinkContext::from(context));
    let waker = context.waker.clone();
    let (done, recovery) = oneshot::channel();
    context.tokio.spawn(async move {
        let result = async {
            if let Some(commit) = commit {
                commit.await?;
            }
            recover.await
        };
        let result = result.await;
        // Nobody waits any more if the attempt has ended meanwhile.
        let _ = done.send(result);
        waker.wake();
    });
    Ok(Some(recovery))
}

/// By checkpoint, what was prepared for it. Shared with the futures that fill it in.
type Prepared<C> = Arc<Mutex<BTreeMap<CheckpointId, Vec<C>>>>;

struct TwoPhase<S: TwoPhaseSink> {
    sink: S,
    inbox: Inbox<S::Writer>,
    prepared: Prepared<S::Committable>,
    /// Resolves when the previous `prepare` has: with several checkpoints in flight a later one
    /// must not be acknowledged without the committables of an earlier one (INV-CARRY).
    previous: Option<oneshot::Receiver<()>>,
    /// There while restored committables are being committed and leftovers aborted.
    recovery: Option<oneshot::Receiver<UserResult<()>>>,
}

impl<S: TwoPhaseSink> TwoPhase<S> {
    fn poll_recovered(&mut self) -> UserResult<Readiness> {
        let Some(recovery) = &mut self.recovery else { return Ok(Readiness::Ready) };
        match recovery.try_recv() {
            Ok(result) => {
                self.recovery = None;
                result.map(|()| Readiness::Ready)
            }
            Err(oneshot::error::TryRecvError::Empty) => Ok(Readiness::Pending),
            Err(oneshot::error::TryRecvError::Closed) => {
                Err("the recovery of the sink was dropped before it ended".into())
            }
        }
    }
}

impl<S: TwoPhaseSink> Operator for TwoPhase<S> {
    fn on_batch(&mut self, batch: ErasedBatch, _out: &mut dyn Output) -> UserResult<()> {
        self.inbox.offer(batch)
    }

    fn poll_ready(&mut self) -> UserResult<Readiness> {
        match self.poll_recovered()? {
            Readiness::Ready => self.inbox.poll_written(),
            waiting => Ok(waiting),
        }
    }

    fn poll_flushed(&mut self) -> UserResult<Readiness> {
        match self.poll_ready()? {
            Readiness::Ready => self.inbox.poll_flushed(),
            waiting => Ok(waiting),
        }
    }

    fn snapshot(&mut self, barrier: Barrier) -> UserResult<OperatorSnapshot> {
        let checkpoint = barrier.checkpoint;
        let preparing = self.inbox.writer.prepare(checkpoint);
        let prepared = Arc::clone(&self.prepared);
        let (done, next_previous) = oneshot::channel();
        let previous = self.previous.replace(next_previous);
        let pending = async move {
            let new = preparing.await?;
            if let Some(previous) = previous {
                // It is dropped only when it failed, and then the whole attempt fails.
                let _ = previous.await;
            }
            let mut prepared = lock(&prepared);
            prepared.insert(checkpoint, new);
            // INV-CARRY: everything up to this checkpoint, whether or not earlier ones completed.
            let carried = prepared.range(..=checkpoint).flat_map(|(_, committables)| committables);
            let items = carried.map(|committable| {
                let mut bytes = Vec::new();
                codec::encode(committable, &mut bytes).map(|()| bytes.into())
            });
            let items = items.collect::<Result<Vec<_>, _>>()?;
            let redistribution = Redistribution::Union;
            // Nobody waits if no later checkpoint is under way.
            let _ = done.send(());
            Ok(vec![ListState { name: COMMITTABLES.to_owned(), redistribution, items }])
        };
        Ok(OperatorSnapshot { pending: Some(Box::pin(pending)), ..OperatorSnapshot::default() })
    }

    fn on_completed(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Option<BoxFuture<'static, UserResult<()>>> {
        let mut prepared = lock(&self.prepared);
        let later = prepared.split_off(&checkpoint.next());
        let ready = std::mem::replace(&mut *prepared, later);
        let ready = ready.into_values().flatten().collect::<Vec<_>>();
        (!ready.is_empty()).then(|| self.sink.commit(ready))
    }
}

/// The lock is held for moves of vectors only, so a worker never waits behind I/O, and a poisoned
/// one still holds whole entries.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
