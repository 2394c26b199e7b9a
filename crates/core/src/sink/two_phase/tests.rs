use std::collections::VecDeque;

use futures::FutureExt;
use tidegate_types::{
    AttemptId, BarrierKind, JobId, MaxParallelism, Parallelism, time::ManualClock,
};

use super::*;
use crate::{
    batch::Batch,
    context::RestoredState,
    duty::Duty,
    operator::PendingLists,
    sink::{SinkWriter, TwoPhaseWriter},
};

type Gate<T> = oneshot::Receiver<UserResult<T>>;

/// A sink whose commits take as long as the test wants.
#[derive(Clone, Default)]
struct SlowSink {
    gates: Arc<Mutex<Vec<Gate<()>>>>,
    /// What preparing waits for, if there is anything left.
    preparing: Arc<Mutex<VecDeque<Gate<()>>>>,
}

struct Writer {
    preparing: Arc<Mutex<VecDeque<Gate<()>>>>,
}

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
        let gate = lock(&self.preparing).pop_front();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.await??;
            }
            Ok(vec![checkpoint.get()])
        })
    }
}

impl TwoPhaseSink for SlowSink {
    type Item = u64;
    type Committable = u64;
    type Writer = Writer;

    fn writer(&self, _context: SinkContext) -> UserResult<Writer> {
        Ok(Writer { preparing: Arc::clone(&self.preparing) })
    }

    fn commit(&self, _committables: Vec<u64>) -> BoxFuture<'static, UserResult<()>> {
        let gate = self.gates.lock().expect("nobody panics").remove(0);
        Box::pin(async move { gate.await? })
    }

    fn recover(&self, _context: SinkContext) -> BoxFuture<'static, UserResult<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// Where the sink's waiting happens, and what its duties have failed with.
struct Bench {
    runtime: tokio::runtime::Runtime,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Self { runtime: runtime.expect("a runtime starts"), failures: Arc::default() }
    }

    /// Runs what can run.
    fn settle(&self) {
        self.runtime.block_on(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
    }

    fn failures(&self) -> Vec<String> {
        self.settle();
        lock(&self.failures).clone()
    }

    fn duties(&self) -> Duties {
        let (handle, failures) = (self.runtime.handle().clone(), Arc::clone(&self.failures));
        Duties::new(move |Duty { what, work }| {
            let failures = Arc::clone(&failures);
            handle.spawn(async move {
                if let Err(error) = work.await {
                    lock(&failures).push(format!("could not {what}: {error}"));
                }
            });
        })
    }

    /// Subtask 1: it has nothing to recover.
    fn start(&self, sink: SlowSink) -> Box<dyn Operator> {
        let context = OperatorContext {
            uid: "sink".into(),
            subtask: SubtaskIndex(1),
            parallelism: Parallelism::new(2).expect("it is not 0"),
            max_parallelism: MaxParallelism::new(128).expect("it is not 0"),
            job: JobId::from_name("test"),
            attempt: AttemptId(0),
            attempt_token: 0,
            restored: RestoredState::default(),
            tokio: self.runtime.handle().clone(),
            duties: self.duties(),
            waker: std::task::Waker::noop().clone(),
            clock: Arc::new(ManualClock::default()),
        };
        two_phase_operator(sink, &context).expect("it starts")
    }

    /// The committables in the snapshot of a checkpoint.
    fn snapshot(&self, operator: &mut dyn Operator, id: u64) -> Vec<u64> {
        self.committables(begin_snapshot(operator, id))
    }

    fn committables(&self, pending: PendingLists) -> Vec<u64> {
        let lists = self.runtime.block_on(pending).expect("it is prepared");
        lists[0].items.iter().map(|item| codec::decode_exact(item).expect("a number")).collect()
    }
}

fn begin_snapshot(operator: &mut dyn Operator, id: u64) -> PendingLists {
    let (checkpoint, kind) = (CheckpointId(id), BarrierKind::Checkpoint);
    let snapshot = operator.snapshot(Barrier { checkpoint, kind }).expect("nothing fails");
    snapshot.pending.expect("it prepares")
}

fn gates<T, G: FromIterator<Gate<T>> + Default + Extend<Gate<T>>>(
    count: usize,
) -> (Vec<oneshot::Sender<UserResult<T>>>, Arc<Mutex<G>>) {
    let (opens, gates): (Vec<_>, G) = (0..count).map(|_| oneshot::channel()).unzip();
    (opens, Arc::new(Mutex::new(gates)))
}

#[test]
fn inv_carry_snapshots_hold_what_is_being_committed_until_it_is() {
    let bench = Bench::new();
    let (opens, gates) = gates(3);
    let mut opens = opens.into_iter();
    let mut operator = bench.start(SlowSink { gates, ..SlowSink::default() });
    assert_eq!(bench.snapshot(&mut *operator, 1), [1]);

    let mut first = operator.on_completed(CheckpointId(1)).unwrap();
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(bench.snapshot(&mut *operator, 2), [1, 2], "1 is not known to be committed");

    // The second is committed first, and says so only once the first is, too.
    let mut second = operator.on_completed(CheckpointId(2)).unwrap();
    let first_opens = opens.next().unwrap();
    opens.next().unwrap().send(Ok(())).unwrap();
    assert!((&mut second).now_or_never().is_none());
    first_opens.send(Ok(())).unwrap();
    assert!(first.now_or_never().unwrap().is_ok());
    assert!(second.now_or_never().unwrap().is_ok());
    assert_eq!(bench.snapshot(&mut *operator, 3), [3]);
}

#[test]
fn a_commit_that_fails_fails_those_after_it() {
    let bench = Bench::new();
    let (opens, gates) = gates(2);
    let mut operator = bench.start(SlowSink { gates, ..SlowSink::default() });
    bench.snapshot(&mut *operator, 1);
    let first = operator.on_completed(CheckpointId(1)).unwrap();
    bench.snapshot(&mut *operator, 2);
    let second = operator.on_completed(CheckpointId(2)).unwrap();
    let mut opens = opens.into_iter();
    opens.next().unwrap().send(Err("the outside does not answer".into())).unwrap();
    opens.next().unwrap().send(Ok(())).unwrap();
    assert!(first.now_or_never().unwrap().is_err());
    assert!(second.now_or_never().unwrap().is_err());
    assert_eq!(bench.snapshot(&mut *operator, 3), [1, 2, 3]);
}

#[test]
fn inv_carry_what_a_snapshot_that_was_given_up_has_prepared_is_in_the_next_one() {
    let bench = Bench::new();
    let (opens, preparing) = gates(1);
    let mut operator = bench.start(SlowSink { preparing, ..SlowSink::default() });
    // Nobody waits for it any more, and it is not prepared yet.
    drop(begin_snapshot(&mut *operator, 1));
    let second = begin_snapshot(&mut *operator, 2);
    for open in opens {
        open.send(Ok(())).expect("it is still preparing");
    }
    assert_eq!(bench.committables(second), [1, 2]);
    assert_eq!(bench.snapshot(&mut *operator, 3), [1, 2, 3]);
    assert_eq!(bench.failures(), [""; 0]);
}

#[test]
fn preparing_that_fails_is_told_whether_or_not_its_snapshot_was_given_up() {
    for given_up in [true, false] {
        let bench = Bench::new();
        let (opens, preparing) = gates(1);
        let mut operator = bench.start(SlowSink { preparing, ..SlowSink::default() });
        let first = Some(begin_snapshot(&mut *operator, 1)).filter(|_| !given_up);
        let second = begin_snapshot(&mut *operator, 2);
        for open in opens {
            open.send(Err("the disk is full".into())).expect("it is still preparing");
        }
        assert_eq!(bench.failures(), ["could not prepare its commit: the disk is full"]);
        assert!(first.is_none_or(|first| bench.runtime.block_on(first).is_err()));
        let gap = bench.runtime.block_on(second);
        assert!(gap.is_err(), "a snapshot without what was prepared before it");
    }
}
