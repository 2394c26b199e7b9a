//! Runs a [`TwoPhaseSink`] as the runtime's [`Operator`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use tidegate_snapshot::{
    codec,
    segment::{ItemType, ListState, Redistribution},
};
use tidegate_state::{DeclaredList, type_description};
use tidegate_types::{Barrier, CheckpointId, SubtaskIndex, UserResult};
use tokio::sync::oneshot;

use super::{SinkContext, TwoPhaseSink, TwoPhaseWriter, plain::Inbox};
use crate::{
    batch::{Data, ErasedBatch},
    context::OperatorContext,
    duty::Duties,
    operator::{Operator, OperatorSnapshot, Output, Readiness},
};

/// The name of the state that holds what is prepared and not known to be committed.
const COMMITTABLES: &str = "committables";

/// The lists that a sink keeps in snapshots.
#[must_use]
pub fn declare_two_phase<S: TwoPhaseSink>() -> Vec<DeclaredList> {
    vec![DeclaredList::of::<S::Committable>(COMMITTABLES)]
}

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
    Ok(Box::new(TwoPhase {
        sink,
        inbox: Inbox::new(writer),
        ledger: Arc::default(),
        committable_type: type_description::<S::Committable>(),
        duties: context.duties.clone(),
        previous: None,
        previous_commit: None,
        recovery,
    }))
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
    let committables = context.restored.values::<S::Committable>(COMMITTABLES)?;
    let commit = (!committables.is_empty()).then(|| sink.commit(committables));
    let recover = sink.recover(SinkContext::from(context));
    let waker = context.waker.clone();
    let (done, recovery) = oneshot::channel();
    context.duties.begin("commit what the snapshot holds", async move {
        let result = async {
            if let Some(commit) = commit {
                commit.await?;
            }
            recover.await
        };
        let result = result.await;
        // The operator reports it. Nobody waits any more if the attempt has ended meanwhile.
        let _ = done.send(result);
        waker.wake();
        Ok(())
    });
    Ok(Some(recovery))
}

/// What is written and not known to be committed, by the checkpoint that it was prepared for.
/// Shared with the duties that prepare, and with the futures that commit.
struct Ledger<C> {
    /// Waits for its checkpoint, or a later one, to complete.
    prepared: BTreeMap<CheckpointId, Vec<C>>,
    /// Is being committed. A crash may come before that is done, and the job be restored from a
    /// snapshot taken meanwhile: snapshots leave these out only when they are committed.
    committing: BTreeMap<CheckpointId, Vec<C>>,
}

impl<C> Default for Ledger<C> {
    fn default() -> Self {
        Self { prepared: BTreeMap::new(), committing: BTreeMap::new() }
    }
}

impl<C: Data> Ledger<C> {
    /// INV-CARRY: everything up to this checkpoint, whether or not earlier ones completed.
    fn carried(&self, checkpoint: CheckpointId) -> impl Iterator<Item = &C> {
        let prepared = self.prepared.range(..=checkpoint);
        self.committing.iter().chain(prepared).flat_map(|(_, committables)| committables)
    }

    fn encode_carried(&self, checkpoint: CheckpointId) -> UserResult<Vec<Bytes>> {
        let encode = |committable: &C| {
            let mut bytes = Vec::new();
            codec::encode(committable, &mut bytes)?;
            Ok(bytes.into())
        };
        self.carried(checkpoint).map(encode).collect()
    }

    /// Moves what belongs to a completed checkpoint on; tells what it is, and for which ones.
    fn begin_commit(&mut self, checkpoint: CheckpointId) -> (Vec<CheckpointId>, Vec<C>) {
        let later = self.prepared.split_off(&checkpoint.next());
        let ready = std::mem::replace(&mut self.prepared, later);
        let ids = ready.keys().copied().collect();
        let committables = ready.values().flatten().cloned().collect();
        self.committing.extend(ready);
        (ids, committables)
    }
}

struct TwoPhase<S: TwoPhaseSink> {
    sink: S,
    /// The description of the committables' type.
    committable_type: String,
    inbox: Inbox<S::Writer>,
    ledger: Arc<Mutex<Ledger<S::Committable>>>,
    /// Where preparing goes on, whatever becomes of its snapshot (INV-CARRY).
    duties: Duties,
    /// Resolves when the previous `prepare` has: with several checkpoints in flight a later one
    /// must not be acknowledged without the committables of an earlier one (INV-CARRY).
    previous: Option<oneshot::Receiver<()>>,
    /// Resolves when the previous commit is done: a checkpoint is committed only when all that
    /// precedes it is.
    previous_commit: Option<oneshot::Receiver<()>>,
    /// There while restored committables are being committed and leftovers aborted.
    recovery: Option<oneshot::Receiver<UserResult<()>>>,
}

impl<S: TwoPhaseSink> TwoPhase<S> {
    /// INV-CARRY: brings `preparing` to its end, puts what it makes into the ledger, and then hands
    /// `promise` all that a snapshot of this checkpoint has to hold.
    fn keep(
        &mut self,
        checkpoint: CheckpointId,
        preparing: BoxFuture<'static, UserResult<Vec<S::Committable>>>,
        promise: oneshot::Sender<Vec<ListState>>,
    ) -> impl Future<Output = UserResult<()>> + use<S> {
        let ledger = Arc::clone(&self.ledger);
        let (done, next_previous) = oneshot::channel();
        let previous = self.previous.replace(next_previous);
        let item_type = ItemType::Is(self.committable_type.clone());
        async move {
            let new = preparing.await?;
            lock(&ledger).prepared.insert(checkpoint, new);
            if let Some(previous) = previous
                && previous.await.is_err()
            {
                // It has failed, and has said so: without it no snapshot may hold this one.
                return Ok(());
            }
            let items = lock(&ledger).encode_carried(checkpoint)?;
            // Nobody waits if no later checkpoint is under way.
            let _ = done.send(());
            // Nobody waits if the snapshot has been given up: a later one holds it, too.
            let _ = promise.send(vec![ListState {
                name: COMMITTABLES.to_owned(),
                redistribution: Redistribution::Union,
                item_type,
                items,
            }]);
            Ok(())
        }
    }

    fn poll_recovered(&mut self) -> UserResult<Readiness> {
        let Some(recovery) = &mut self.recovery else {
            return Ok(Readiness::Ready);
        };
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
    fn is_passive(&self) -> bool {
        true
    }

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
        let (promise, pending) = oneshot::channel();
        let keep = self.keep(checkpoint, preparing, promise);
        self.duties.begin("prepare its commit", keep);
        Ok(OperatorSnapshot { pending: Some(pending), ..OperatorSnapshot::default() })
    }

    fn on_completed(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Option<BoxFuture<'static, UserResult<()>>> {
        let (ids, committables) = lock(&self.ledger).begin_commit(checkpoint);
        let commit = (!committables.is_empty()).then(|| self.sink.commit(committables));
        let (done, next_previous) = oneshot::channel();
        let previous = self.previous_commit.replace(next_previous);
        let ledger = Arc::clone(&self.ledger);
        Some(Box::pin(async move {
            if let Some(commit) = commit {
                commit.await?;
            }
            if let Some(previous) = previous {
                previous.await.map_err(|_| "an earlier commit has failed")?;
            }
            let mut ledger = lock(&ledger);
            ids.iter().for_each(|id| {
                ledger.committing.remove(id);
            });
            // Nobody waits if no later checkpoint has completed.
            let _ = done.send(());
            Ok(())
        }))
    }
}

/// The lock is held for moves of vectors only, so a worker never waits behind I/O, and a poisoned
/// one still holds whole entries.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
