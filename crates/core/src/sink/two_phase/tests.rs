use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Waker},
};

use futures::{FutureExt, future};
use tidegate_snapshot::codec;
use tidegate_types::{
    AttemptId, BarrierKind, JobId, MaxParallelism, Parallelism, Superseded, time::ManualClock,
};

use super::*;
use crate::{
    batch::Batch,
    context::RestoredState,
    duty::Duty,
    operator::PendingLists,
    sink::{CommitOutcome, SinkWriter, TwoPhaseWriter},
    user_code::Telling,
};

type Gate = oneshot::Receiver<UserResult<()>>;

/// A sink whose commits take as long as the test wants, if it wants anything.
#[derive(Clone, Default)]
struct SlowSink {
    gates: Arc<Mutex<VecDeque<Gate>>>,
    /// What preparing waits for, if there is anything left.
    preparing: Arc<Mutex<VecDeque<Gate>>>,
    overlaps: bool,
    /// What it answers, if anything in particular.
    answer: Option<Vec<CommitOutcome>>,
    /// What it has been asked to do, in order.
    asked: Arc<Mutex<Vec<String>>>,
}

impl SlowSink {
    fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

struct Writer {
    preparing: Arc<Mutex<VecDeque<Gate>>>,
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
        lock(&self.asked).push("writer".to_owned());
        Ok(Writer { preparing: Arc::clone(&self.preparing) })
    }

    fn commit(&self, numbers: Vec<u64>) -> BoxFuture<'static, UserResult<Vec<CommitOutcome>>> {
        lock(&self.asked).push(format!("commit {numbers:?}"));
        let gate = lock(&self.gates).pop_front();
        let all = vec![CommitOutcome::Committed; numbers.len()];
        let answer = self.answer.clone().unwrap_or(all);
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.await??;
            }
            Ok(answer)
        })
    }

    fn commits_overlap(&self) -> bool {
        self.overlaps
    }

    fn recover(&self, _context: SinkContext) -> BoxFuture<'static, UserResult<()>> {
        lock(&self.asked).push("recover".to_owned());
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
            // On a thread of its own it may begin at once.
            let mut work = future::maybe_done(work);
            let _ = work.poll_unpin(&mut Context::from_waker(Waker::noop()));
            handle.spawn(async move {
                (&mut work).await;
                if let Some(Err(error)) = Pin::new(&mut work).take_output() {
                    lock(&failures).push(format!("could not {what}: {error}"));
                }
            });
        })
    }

    /// Subtask 1: it has nothing to recover.
    fn start(&self, sink: &SlowSink) -> Box<dyn Operator> {
        two_phase_operator(sink.clone(), &self.context(1)).expect("it starts")
    }

    /// Subtask 0 from a snapshot that holds these numbers.
    fn restore(
        &self,
        sink: &SlowSink,
        numbers: &[u64],
        told: impl FnOnce(&mut OperatorContext),
    ) -> Box<dyn Operator> {
        let encode = |number| {
            let mut bytes = Vec::new();
            codec::encode(number, &mut bytes).map(|()| bytes.into())
        };
        let list = ListState {
            name: COMMITTABLES.to_owned(),
            redistribution: Redistribution::Union,
            item_type: ItemType::Is(type_description::<u64>()),
            items: numbers.iter().map(encode).collect::<Result<_, _>>().expect("numbers encode"),
        };
        let (checkpoint, lists) = (Some(CheckpointId(7)), vec![list]);
        let restored = RestoredState { checkpoint, lists, ..RestoredState::default() };
        let mut context = OperatorContext { restored, ..self.context(0) };
        told(&mut context);
        two_phase_operator(sink.clone(), &context).expect("it starts")
    }

    /// Begins a commit; tells what has come of it when it has.
    fn commit(&self, operator: &mut dyn Operator, id: u64) -> oneshot::Receiver<String> {
        let commit = operator.on_completed(CheckpointId(id)).expect("a sink commits");
        let (end, ended) = oneshot::channel();
        self.runtime.spawn(async move {
            let said = commit.await.map_or_else(|error| error.to_string(), |()| "done".to_owned());
            end.send(said).expect("the test waits for it");
        });
        self.settle();
        ended
    }

    fn context(&self, subtask: u32) -> OperatorContext {
        OperatorContext {
            uid: "sink".into(),
            subtask: SubtaskIndex(subtask),
            parallelism: Parallelism::new(2).expect("it is not 0"),
            max_parallelism: MaxParallelism::new(128).expect("it is not 0"),
            job: JobId::from_name("test"),
            attempt: AttemptId(0),
            attempt_token: 0,
            allow_lost_output: false,
            leaves_output: false,
            check_keys: false,
            superseded: Superseded::others(),
            restored: RestoredState::default(),
            tokio: self.runtime.handle().clone(),
            duties: self.duties(),
            waker: std::task::Waker::noop().clone(),
            clock: Arc::new(ManualClock::default()),
            telling: Telling::default(),
        }
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

/// So many gates, and what opens them.
fn gates(count: usize) -> (Opens, Arc<Mutex<VecDeque<Gate>>>) {
    let (opens, gates): (VecDeque<_>, _) = (0..count).map(|_| oneshot::channel()).unzip();
    (Opens(opens), Arc::new(Mutex::new(gates)))
}

struct Opens(VecDeque<oneshot::Sender<UserResult<()>>>);

impl Opens {
    fn next(&mut self, result: UserResult<()>) {
        let open = self.0.pop_front().expect("there is another gate");
        open.send(result).expect("somebody waits, or will");
    }
}

#[test]
fn inv_turn_commits_come_one_at_a_time_and_in_order() {
    let bench = Bench::new();
    let (mut opens, gates) = gates(2);
    let sink = SlowSink { gates, ..SlowSink::default() };
    let mut operator = bench.start(&sink);
    for id in 1..=3 {
        bench.snapshot(&mut *operator, id);
    }
    let mut commits = [1, 2, 3].map(|id| bench.commit(&mut *operator, id));
    assert_eq!(sink.asked(), ["writer", "commit [1]"]);
    opens.next(Ok(()));
    bench.settle();
    // Both have waited for the first one.
    assert_eq!(sink.asked(), ["writer", "commit [1]", "commit [2, 3]"]);
    assert!(commits[0].try_recv().is_ok() && commits[1].try_recv().is_err());
    assert_eq!(bench.snapshot(&mut *operator, 4), [2, 3, 4], "2 and 3 are being committed");
    opens.next(Ok(()));
    bench.settle();
    assert!(commits[1].try_recv().is_ok() && commits[2].try_recv().is_ok());
    assert_eq!(bench.snapshot(&mut *operator, 5), [4, 5]);
}

#[test]
fn inv_carry_snapshots_hold_what_is_being_committed_until_it_is() {
    let bench = Bench::new();
    let (mut opens, gates) = gates(2);
    let sink = SlowSink { gates, overlaps: true, ..SlowSink::default() };
    let mut operator = bench.start(&sink);
    assert_eq!(bench.snapshot(&mut *operator, 1), [1]);
    let mut first = bench.commit(&mut *operator, 1);
    assert_eq!(bench.snapshot(&mut *operator, 2), [1, 2], "1 is not known to be committed");
    let mut second = bench.commit(&mut *operator, 2);
    assert_eq!(sink.asked(), ["writer", "commit [1]", "commit [2]"], "they may overlap");
    // The second is committed first, and says so only once the first is, too.
    opens.0.swap(0, 1);
    opens.next(Ok(()));
    bench.settle();
    assert!(second.try_recv().is_err());
    opens.next(Ok(()));
    bench.settle();
    assert!(first.try_recv().is_ok() && second.try_recv().is_ok());
    assert_eq!(bench.snapshot(&mut *operator, 3), [3]);
}

#[test]
fn a_commit_that_fails_fails_those_after_it() {
    for overlaps in [false, true] {
        let bench = Bench::new();
        let (mut opens, gates) = gates(2);
        let sink = SlowSink { gates, overlaps, ..SlowSink::default() };
        let mut operator = bench.start(&sink);
        let mut commits = [1, 2].map(|id| {
            bench.snapshot(&mut *operator, id);
            bench.commit(&mut *operator, id)
        });
        opens.next(Err("the outside does not answer".into()));
        opens.next(Ok(()));
        bench.settle();
        let said = commits.each_mut().map(|commit| commit.try_recv().expect("it has ended"));
        assert_eq!(said, ["the outside does not answer", "an earlier commit has failed"]);
        assert_eq!(sink.asked().len(), if overlaps { 3 } else { 2 });
        assert_eq!(bench.snapshot(&mut *operator, 3), [1, 2, 3]);
    }
}

#[test]
fn a_restore_makes_the_writer_commits_and_then_recovers_and_takes_nothing_in_before() {
    let bench = Bench::new();
    let (mut opens, gates) = gates(1);
    let sink = SlowSink { gates, ..SlowSink::default() };
    let mut operator = bench.restore(&sink, &[4, 5], |_| ());
    bench.settle();
    assert_eq!(sink.asked(), ["writer", "commit [4, 5]"]);
    assert_eq!(operator.poll_ready().expect("nothing fails"), Readiness::Pending);
    opens.next(Ok(()));
    bench.settle();
    assert_eq!(sink.asked(), ["writer", "commit [4, 5]", "recover"]);
    assert_eq!(operator.poll_ready().expect("nothing fails"), Readiness::Ready);
}

/// What the operator says once it has restored the numbers 1 to 5.
fn restored(answer: Vec<CommitOutcome>, allow_lost: bool) -> Result<Readiness, String> {
    let bench = Bench::new();
    let sink = SlowSink { answer: Some(answer), ..SlowSink::default() };
    let mut operator =
        bench.restore(&sink, &[1, 2, 3, 4, 5], |told| told.allow_lost_output = allow_lost);
    bench.settle();
    operator.poll_ready().map_err(|error| error.to_string())
}

#[test]
fn lost_output_is_named_and_counted_and_passed_over_only_if_that_was_asked_for() {
    use CommitOutcome::{AlreadyCommitted, Committed, Lost};
    let lost = |name: &str| Lost(format!("`{name}` is gone"));
    assert_eq!(
        restored(vec![Committed, AlreadyCommitted, lost("c"), Committed, Committed], false),
        Err("1 of 5 outputs of snapshot 7 are lost: `c` is gone".to_owned())
    );
    let all = ["a", "b", "c", "d", "e"].map(lost).to_vec();
    let expected = "5 of 5 outputs of snapshot 7 are lost: `a` is gone, `b` is gone, \
                    `c` is gone, and 2 more";
    assert_eq!(restored(all.clone(), false), Err(expected.to_owned()));
    assert_eq!(restored(all, true), Ok(Readiness::Ready));
    assert_eq!(restored(vec![AlreadyCommitted; 5], false), Ok(Readiness::Ready));
}

#[test]
fn what_is_left_to_the_job_that_has_prepared_it_is_not_asked_for() {
    let bench = Bench::new();
    let lost = CommitOutcome::Lost("the target was asked".to_owned());
    let sink = SlowSink { answer: Some(vec![lost; 2]), ..SlowSink::default() };
    let mut operator = bench.restore(&sink, &[1, 2], |told| told.leaves_output = true);
    bench.settle();
    assert_eq!(operator.poll_ready().map_err(|error| error.to_string()), Ok(Readiness::Ready));
}

#[test]
fn a_commit_that_does_not_answer_for_each_is_refused() {
    let expected = "`commit` was handed 5 committables, and answered for 4";
    assert_eq!(restored(vec![CommitOutcome::Committed; 4], true), Err(expected.to_owned()));
}

#[test]
fn what_a_running_attempt_loses_is_lost_with_nobody_s_leave() {
    let bench = Bench::new();
    let answer = Some(vec![CommitOutcome::Lost("it is gone".to_owned()); 2]);
    let sink = SlowSink { answer, ..SlowSink::default() };
    let mut operator = bench.restore(&sink, &[], |_| ());
    bench.settle();
    bench.snapshot(&mut *operator, 1);
    bench.snapshot(&mut *operator, 2);
    let said = bench.commit(&mut *operator, 2).try_recv().expect("it has ended");
    let expected = "2 of 2 outputs of checkpoints 1 to 2 are lost: it is gone, it is gone";
    assert_eq!(said, expected);
}

#[test]
fn inv_carry_what_a_snapshot_that_was_given_up_has_prepared_is_in_the_next_one() {
    let bench = Bench::new();
    let (mut opens, preparing) = gates(1);
    let mut operator = bench.start(&SlowSink { preparing, ..SlowSink::default() });
    // Nobody waits for it any more, and it is not prepared yet.
    drop(begin_snapshot(&mut *operator, 1));
    let second = begin_snapshot(&mut *operator, 2);
    opens.next(Ok(()));
    assert_eq!(bench.committables(second), [1, 2]);
    assert_eq!(bench.snapshot(&mut *operator, 3), [1, 2, 3]);
    assert_eq!(bench.failures(), [""; 0]);
}

#[test]
fn preparing_that_fails_is_told_whether_or_not_its_snapshot_was_given_up() {
    for given_up in [true, false] {
        let bench = Bench::new();
        let (mut opens, preparing) = gates(1);
        let mut operator = bench.start(&SlowSink { preparing, ..SlowSink::default() });
        let first = Some(begin_snapshot(&mut *operator, 1)).filter(|_| !given_up);
        let second = begin_snapshot(&mut *operator, 2);
        opens.next(Err("the disk is full".into()));
        assert_eq!(bench.failures(), ["could not prepare its commit: the disk is full"]);
        assert!(first.is_none_or(|first| bench.runtime.block_on(first).is_err()));
        let gap = bench.runtime.block_on(second);
        assert!(gap.is_err(), "a snapshot without what was prepared before it");
    }
}
