use futures::FutureExt;
use tidegate_types::{
    AttemptId, BarrierKind, JobId, MaxParallelism, Parallelism, time::ManualClock,
};

use super::*;
use crate::{
    batch::Batch,
    context::RestoredState,
    sink::{SinkWriter, TwoPhaseWriter},
};

/// A sink whose commits take as long as the test wants.
#[derive(Clone, Default)]
struct SlowSink {
    gates: Arc<Mutex<Vec<oneshot::Receiver<UserResult<()>>>>>,
}

#[derive(Default)]
struct Writer;

impl SinkWriter for Writer {
    type Item = u64;

    fn write(&mut self, batch: &mut Batch<u64>) -> UserResult<Readiness> {
        *batch = Batch::default();
        Ok(Readiness::Ready)
    }
}

impl TwoPhaseWriter for Writer {
    type Committable = u64;

    fn prepare(&mut self, checkpoint: CheckpointId) -> BoxFuture<'static, UserResult<Vec<u64>>> {
        Box::pin(async move { Ok(vec![checkpoint.get()]) })
    }
}

impl TwoPhaseSink for SlowSink {
    type Item = u64;
    type Committable = u64;
    type Writer = Writer;

    fn writer(&self, _context: SinkContext) -> UserResult<Writer> {
        Ok(Writer)
    }

    fn commit(&self, _committables: Vec<u64>) -> BoxFuture<'static, UserResult<()>> {
        let gate = self.gates.lock().expect("nobody panics").remove(0);
        Box::pin(async move { gate.await? })
    }

    fn recover(&self, _context: SinkContext) -> BoxFuture<'static, UserResult<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// Subtask 1: it has nothing to recover.
fn context(runtime: &tokio::runtime::Runtime) -> OperatorContext {
    OperatorContext {
        uid: "sink".into(),
        subtask: SubtaskIndex(1),
        parallelism: Parallelism::new(2).expect("it is not 0"),
        max_parallelism: MaxParallelism::new(128).expect("it is not 0"),
        job: JobId::from_name("test"),
        attempt: AttemptId(0),
        attempt_token: 0,
        restored: RestoredState::default(),
        tokio: runtime.handle().clone(),
        waker: std::task::Waker::noop().clone(),
        clock: Arc::new(ManualClock::default()),
    }
}

/// The committables in the snapshot of a checkpoint.
fn snapshot(operator: &mut dyn Operator, id: u64) -> Vec<u64> {
    let (checkpoint, kind) = (CheckpointId(id), BarrierKind::Checkpoint);
    let snapshot = operator.snapshot(Barrier { checkpoint, kind }).unwrap();
    let lists = snapshot.pending.unwrap().now_or_never().unwrap().unwrap();
    lists[0].items.iter().map(|item| codec::decode_exact(item).unwrap()).collect()
}

#[test]
fn inv_carry_snapshots_hold_what_is_being_committed_until_it_is() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (opens, gates): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
    let mut opens = opens.into_iter();
    let sink = SlowSink { gates: Arc::new(Mutex::new(gates)) };
    let mut operator = two_phase_operator(sink, &context(&runtime)).unwrap();
    assert_eq!(snapshot(&mut *operator, 1), [1]);

    let mut first = operator.on_completed(CheckpointId(1)).unwrap();
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(snapshot(&mut *operator, 2), [1, 2], "1 is not known to be committed");

    // The second is committed first, and says so only once the first is, too.
    let mut second = operator.on_completed(CheckpointId(2)).unwrap();
    let first_opens = opens.next().unwrap();
    opens.next().unwrap().send(Ok(())).unwrap();
    assert!((&mut second).now_or_never().is_none());
    first_opens.send(Ok(())).unwrap();
    assert!(first.now_or_never().unwrap().is_ok());
    assert!(second.now_or_never().unwrap().is_ok());
    assert_eq!(snapshot(&mut *operator, 3), [3]);
}

#[test]
fn a_commit_that_fails_fails_those_after_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (opens, gates): (Vec<_>, Vec<_>) = (0..2).map(|_| oneshot::channel()).unzip();
    let sink = SlowSink { gates: Arc::new(Mutex::new(gates)) };
    let mut operator = two_phase_operator(sink, &context(&runtime)).unwrap();
    snapshot(&mut *operator, 1);
    let first = operator.on_completed(CheckpointId(1)).unwrap();
    snapshot(&mut *operator, 2);
    let second = operator.on_completed(CheckpointId(2)).unwrap();
    let mut opens = opens.into_iter();
    opens.next().unwrap().send(Err("the outside does not answer".into())).unwrap();
    opens.next().unwrap().send(Ok(())).unwrap();
    assert!(first.now_or_never().unwrap().is_err());
    assert!(second.now_or_never().unwrap().is_err());
    assert_eq!(snapshot(&mut *operator, 3), [1, 2, 3]);
}
