//! Runs a [`TwoPhaseSink`] as the runtime's [`Operator`].

mod commit;
mod ledger;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use tidegate_snapshot::segment::{ItemType, ListState, Redistribution};
use tidegate_state::{DeclaredList, type_description};
use tidegate_types::{Barrier, BoxError, CheckpointId, SubtaskIndex, UserResult};
use tokio::sync::oneshot;

use self::{
    commit::{Committer, Interval},
    ledger::Ledger,
};
use super::{SinkContext, TwoPhaseSink, TwoPhaseWriter, plain::Inbox};
use crate::{
    batch::ErasedBatch,
    context::OperatorContext,
    duty::Duties,
    operator::{Operator, OperatorSnapshot, Output, Readiness},
    user_code::caught_async,
};

/// The name of the state that holds what is prepared and not known to be committed.
const COMMITTABLES: &str = "committables";

/// The lists that a sink keeps in snapshots.
///
/// # Errors
///
/// When its committables could be written and not read back.
pub fn declare_two_phase<S: TwoPhaseSink>() -> UserResult<Vec<DeclaredList>> {
    Ok(vec![DeclaredList::of::<S::Committable>(COMMITTABLES)?])
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
    // First of all: what a sink needs in order to commit, its writer may be what sets it up.
    let inbox = Inbox::new(sink.writer(SinkContext::from(context))?);
    let sink = Arc::new(sink);
    let (uid, allow_lost) = (context.uid.clone(), context.allow_lost_output);
    let committer = Committer { uid, allow_lost };
    let recovery = start_recovery(&sink, &committer, context)?;
    Ok(Box::new(TwoPhase {
        sink,
        inbox,
        ledger: Arc::default(),
        committable_type: type_description::<S::Committable>(),
        duties: context.duties.clone(),
        committer,
        previous: None,
        previous_commit: None,
        recovery,
    }))
}

/// Commits what the snapshot holds and then aborts leftovers. One subtask does so for all, since
/// only who has seen all committables can tell a leftover.
fn start_recovery<S: TwoPhaseSink>(
    sink: &Arc<S>,
    committer: &Committer,
    context: &OperatorContext,
) -> UserResult<Option<oneshot::Receiver<UserResult<()>>>> {
    if context.subtask != SubtaskIndex(0) {
        return Ok(None);
    }
    let committables = context.restored.values::<S::Committable>(COMMITTABLES)?;
    // The job that lives and has prepared it commits it, or goes back behind it and writes it again.
    let restored = context.restored.checkpoint.filter(|_| !context.leaves_output);
    let restored = restored.map(Interval::Snapshot);
    let (sink, committer) = (Arc::clone(sink), committer.clone());
    let (sink_context, waker) = (SinkContext::from(context), context.waker.clone());
    let (done, recovery) = oneshot::channel();
    context.duties.begin("commit what the snapshot holds", async move {
        let recovered = async {
            if let Some(restored) = restored {
                committer.commit(&*sink, committables, restored).await?;
            }
            let recover = caught_async(async { sink.recover(sink_context).await });
            Ok(recover.await.map_err(RecoveryError)?)
        };
        // The operator reports it. Nobody waits any more if the attempt has ended meanwhile.
        let _ = done.send(recovered.await);
        waker.wake();
        Ok(())
    });
    Ok(Some(recovery))
}

/// A sink could not get ready to take records in.
#[derive(Debug, thiserror::Error)]
#[error("could not abort what earlier attempts have left")]
struct RecoveryError(#[source] BoxError);

struct TwoPhase<S: TwoPhaseSink> {
    sink: Arc<S>,
    /// The description of the committables' type.
    committable_type: String,
    inbox: Inbox<S::Writer>,
    ledger: Arc<Mutex<Ledger<S::Committable>>>,
    /// Where preparing goes on, whatever becomes of its snapshot (INV-CARRY).
    duties: Duties,
    /// Resolves when the previous `prepare` has: with several checkpoints in flight a later one
    /// must not be acknowledged without the committables of an earlier one (INV-CARRY).
    previous: Option<oneshot::Receiver<()>>,
    committer: Committer,
    /// Resolves when the previous commit is done: a checkpoint is committed only when all that
    /// precedes it is (INV-TURN).
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
            lock(&ledger).add(checkpoint, new);
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

    /// Commits what belongs to a completed checkpoint, in its turn. What belongs to checkpoints that
    /// have completed while it waited for that is committed along with it, so that commits that take
    /// longer than a checkpoint does not pile up.
    fn commit_up_to(
        &mut self,
        checkpoint: CheckpointId,
    ) -> impl Future<Output = UserResult<()>> + use<S> {
        let (done, next_previous) = oneshot::channel();
        let previous = self.previous_commit.replace(next_previous);
        let (sink, ledger) = (Arc::clone(&self.sink), Arc::clone(&self.ledger));
        let committer = self.committer.clone();
        async move {
            let (alone, beside) =
                if sink.commits_overlap() { (None, previous) } else { (previous, None) };
            end_of(alone).await?;
            let up_to = if sink.commits_overlap() { None } else { lock(&ledger).completed() };
            let (ids, committables) = lock(&ledger).begin_commit(up_to.unwrap_or(checkpoint));
            if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
                let interval = Interval::Checkpoints(*first, *last);
                committer.commit(&*sink, committables, interval).await?;
            }
            end_of(beside).await?;
            lock(&ledger).end_commit(&ids);
            // Nobody waits if no later checkpoint has completed.
            let _ = done.send(());
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
        lock(&self.ledger).complete(checkpoint);
        Some(Box::pin(self.commit_up_to(checkpoint)))
    }
}

/// Waits for an earlier commit, if there is one.
async fn end_of(commit: Option<oneshot::Receiver<()>>) -> UserResult<()> {
    match commit {
        Some(commit) => Ok(commit.await.map_err(|_| "an earlier commit has failed")?),
        None => Ok(()),
    }
}

/// The lock is held for moves of vectors only, so a worker never waits behind I/O, and a poisoned
/// one still holds whole entries.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
