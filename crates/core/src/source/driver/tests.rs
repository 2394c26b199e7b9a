use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock, Mutex},
    task::Wake,
    thread::Thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tidegate_types::{
    AttemptId, BarrierKind, CheckpointId, ErrorKind, EventTime, JobId, MaxParallelism, Superseded,
    time::SystemClock,
};

use super::*;
use crate::{
    batch::{ErasedBatch, typed},
    duty::Duties,
    source::{Discovery, Split},
    user_code::Telling,
};

static TOKIO: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime starts")
});

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a source breaks its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    AssignsBeyond,
    DropsFinished,
    KeepsTwice,
    KeepsStrangers,
    MixesTimes,
}

/// A number that is emitted once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Number {
    number: u32,
    finished: bool,
}

impl Split for Number {
    fn id(&self) -> String {
        self.number.to_string()
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}

/// What looking for splits does, one entry each time.
#[derive(Clone)]
enum Look {
    Finds(Vec<u32>),
    Panics,
    Hangs,
}

/// Numbers that stand somewhere outside, where they come and go.
#[derive(Clone)]
struct Numbers {
    looks: Arc<Mutex<VecDeque<Look>>>,
    /// What readers have been told of once more.
    again: Arc<Mutex<Vec<u32>>>,
    interval: Option<Duration>,
    fault: Option<Fault>,
}

impl Numbers {
    fn bounded(looks: &[Look]) -> Self {
        let looks = Arc::new(Mutex::new(looks.iter().cloned().collect()));
        Self { looks, again: Arc::default(), interval: None, fault: None }
    }

    fn faulty(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::bounded(&[Look::Finds(vec![0, 1, 2])]) }
    }

    fn looks_left(&self) -> usize {
        self.looks.lock().expect("no panic").len()
    }
}

async fn look(look: Option<Look>) -> UserResult<Vec<Number>> {
    match look {
        Some(Look::Finds(numbers)) => {
            let split = |number| Number { number, finished: false };
            Ok(numbers.into_iter().map(split).collect())
        }
        Some(Look::Panics) => panic!("discovery panics on purpose"),
        Some(Look::Hangs) => std::future::pending().await,
        None => Err("it looked once too often".into()),
    }
}

impl Source for Numbers {
    type Item = u32;
    type Split = Number;
    type Reader = NumberReader;

    fn discovery(&self) -> Discovery<Number> {
        let looks = Arc::clone(&self.looks);
        Box::new(move || Box::pin(look(looks.lock().expect("no panic").pop_front())))
    }

    fn discovery_interval(&self) -> Option<Duration> {
        self.interval
    }

    fn assign(&self, split: &Number, parallelism: Parallelism) -> SubtaskIndex {
        let beyond = u32::from(self.fault == Some(Fault::AssignsBeyond));
        SubtaskIndex(split.number % (parallelism.get() + beyond))
    }

    fn reader(&self, _context: ReaderContext) -> UserResult<NumberReader> {
        let again = Arc::clone(&self.again);
        Ok(NumberReader { splits: Vec::new(), again, fault: self.fault })
    }
}

struct NumberReader {
    splits: Vec<Number>,
    again: Arc<Mutex<Vec<u32>>>,
    fault: Option<Fault>,
}

impl SourceReader for NumberReader {
    type Item = u32;
    type Split = Number;

    fn add_splits(&mut self, splits: Vec<Number>) -> UserResult<()> {
        self.splits.extend(splits);
        Ok(())
    }

    fn found_again(&mut self, splits: Vec<Number>) {
        let numbers = splits.into_iter().map(|split| split.number);
        self.again.lock().expect("no panic").extend(numbers);
    }

    fn poll_batch(&mut self, _max: usize, batch: &mut Batch<u32>) -> UserResult<ReaderStatus> {
        match self.splits.iter_mut().find(|split| !split.finished) {
            None => Ok(ReaderStatus::Exhausted),
            Some(split) => {
                split.finished = true;
                batch.push(split.number);
                if self.fault == Some(Fault::MixesTimes) {
                    batch.push_at(split.number, Some(EventTime(1)));
                }
                Ok(ReaderStatus::More)
            }
        }
    }

    fn snapshot(&self) -> Vec<Number> {
        let mut splits = self.splits.clone();
        match self.fault {
            Some(Fault::DropsFinished) => splits.retain(|split| !split.finished),
            Some(Fault::KeepsTwice) => splits[1] = splits[0].clone(),
            Some(Fault::KeepsStrangers) => splits.push(Number { number: 7, finished: true }),
            _ => {}
        }
        splits
    }
}

struct Emitted(Vec<u32>);

impl Output for Emitted {
    fn emit(&mut self, batch: ErasedBatch) -> UserResult<()> {
        self.0.extend(typed::<u32>(batch).records);
        Ok(())
    }

    fn watermark(&mut self, _watermark: EventTime) -> UserResult<()> {
        Ok(())
    }

    fn idle(&mut self) -> UserResult<()> {
        Ok(())
    }

    fn active(&mut self) -> UserResult<()> {
        Ok(())
    }
}

/// What a subtask says about being waited for.
#[derive(Default)]
struct Statuses(Vec<&'static str>);

impl Output for Statuses {
    fn emit(&mut self, _batch: ErasedBatch) -> UserResult<()> {
        self.0.push("records");
        Ok(())
    }

    fn watermark(&mut self, _watermark: EventTime) -> UserResult<()> {
        Ok(())
    }

    fn idle(&mut self) -> UserResult<()> {
        self.0.push("idle");
        Ok(())
    }

    fn active(&mut self) -> UserResult<()> {
        self.0.push("active");
        Ok(())
    }
}

/// What a subtask says until it has said so much, or ends.
fn statuses(source: &mut dyn SourceOperator, count: usize) -> Vec<&'static str> {
    let (begin, mut out) = (Instant::now(), Statuses::default());
    while out.0.len() < count {
        assert!(begin.elapsed() < PATIENCE, "only {:?} were said", out.0);
        match source.poll(TARGET_LEN, &mut out).expect("polls") {
            SourceStatus::Ended => break,
            SourceStatus::More => {}
            SourceStatus::Pending | SourceStatus::Wait(_) => std::thread::park_timeout(PATIENCE),
        }
    }
    out.0
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn context((subtask, parallelism): (u32, u32), restored: &[ListState]) -> OperatorContext {
    OperatorContext {
        uid: "numbers".into(),
        subtask: SubtaskIndex(subtask),
        parallelism: Parallelism::new(parallelism).expect("not zero"),
        max_parallelism: MaxParallelism::new(128).expect("in bounds"),
        job: JobId::from_name("test"),
        attempt: AttemptId(0),
        attempt_token: 1,
        allow_lost_output: false,
        leaves_output: false,
        check_keys: false,
        superseded: Superseded::others(),
        restored: RestoredState { lists: restored.to_vec(), ..RestoredState::default() },
        tokio: TOKIO.handle().clone(),
        duties: Duties::new(|_| panic!("a source has none")),
        waker: Waker::from(Arc::new(Unpark(std::thread::current()))),
        clock: Arc::new(SystemClock),
        telling: Telling::default(),
    }
}

fn start(source: &Numbers, who: (u32, u32), restored: &[ListState]) -> Box<dyn SourceOperator> {
    source_operator(source.clone(), context(who, restored)).expect("it starts")
}

/// Polls as the runtime does, only when woken, until the source ends.
fn run(source: &mut dyn SourceOperator) -> UserResult<Vec<u32>> {
    let begin = Instant::now();
    let mut emitted = Emitted(Vec::new());
    loop {
        match source.poll(TARGET_LEN, &mut emitted)? {
            SourceStatus::Ended => return Ok(emitted.0),
            SourceStatus::More => {}
            SourceStatus::Pending | SourceStatus::Wait(_) => std::thread::park_timeout(PATIENCE),
        }
        assert!(begin.elapsed() < PATIENCE, "nobody called the waker");
    }
}

/// Polls until there are `count` numbers.
fn run_until(source: &mut dyn SourceOperator, count: usize, emitted: &mut Emitted) {
    let begin = Instant::now();
    while emitted.0.len() < count {
        assert!(begin.elapsed() < PATIENCE, "no number has come");
        if source.poll(TARGET_LEN, emitted).expect("polls") == SourceStatus::Pending {
            std::thread::park_timeout(PATIENCE);
        }
    }
}

/// What the subtasks' snapshots hold together, as a restore hands it to everyone.
fn union(sources: &mut [Box<dyn SourceOperator>]) -> Vec<ListState> {
    let mut all = Vec::<ListState>::new();
    let barrier = Barrier { checkpoint: CheckpointId(1), kind: BarrierKind::Checkpoint };
    let lists =
        sources.iter_mut().flat_map(|source| source.snapshot(barrier).expect("taken").lists);
    for list in lists {
        match all.iter_mut().find(|other| other.name == list.name) {
            Some(other) => other.items.extend(list.items),
            None => all.push(list),
        }
    }
    all
}

/// Runs all subtasks from a snapshot to their end and returns what they emit, sorted.
fn run_restored(source: &Numbers, parallelism: u32, restored: &[ListState]) -> Vec<u32> {
    let run =
        |subtask| run(start(source, (subtask, parallelism), restored).as_mut()).expect("runs");
    let mut emitted = (0..parallelism).flat_map(run).collect::<Vec<_>>();
    emitted.sort_unstable();
    emitted
}

#[test]
fn a_bounded_source_reads_the_input_it_began_with_at_any_parallelism() {
    let source = Numbers::bounded(&[Look::Finds(vec![0, 1, 2, 3]), Look::Finds(vec![0, 1, 2, 3])]);
    let mut subtasks = [start(&source, (0, 2), &[]), start(&source, (1, 2), &[])];
    let mut emitted = Emitted(Vec::new());
    for (count, subtask) in (1..).zip(&mut subtasks) {
        // Its first number; the other is left for after the restore.
        run_until(subtask.as_mut(), count, &mut emitted);
    }
    assert_eq!(emitted.0, [0, 1]);
    let snapshot = union(&mut subtasks);
    // By now 2 is gone and 9 has come; whoever looked would find that out.
    let changed = Numbers::bounded(&[]);
    for parallelism in [1, 2, 3] {
        assert_eq!(run_restored(&changed, parallelism, &snapshot), [2, 3], "at {parallelism}");
    }
    let mut again = [start(&changed, (0, 1), &snapshot)];
    let later = union(&mut again);
    assert_eq!(run_restored(&changed, 2, &later), [2, 3], "the mark survives a second restore");
}

#[test]
fn input_that_the_snapshot_does_not_know_is_told() {
    let mut subtasks = [start(&Numbers::bounded(&[Look::Finds(vec![0, 1])]), (0, 1), &[])];
    run_until(subtasks[0].as_mut(), 1, &mut Emitted(Vec::new()));
    let restored = context((0, 1), &union(&mut subtasks)).restored;
    let told = |source: &Numbers| {
        let difference = compare_source(source, &restored).expect("the splits decode");
        TOKIO.block_on(difference).expect("it looks")
    };
    assert_eq!(told(&Numbers::bounded(&[Look::Finds(vec![0, 1])])), None);
    // 0 has been read to its end, and may be gone.
    let other = told(&Numbers::bounded(&[Look::Finds(vec![2])])).expect("it is another input");
    assert!(other.contains("the source names `2`, of which the snapshot knows nothing"), "{other}");
    assert!(
        other.contains("the snapshot has `1`, which the source does not name any more"),
        "{other}"
    );
    // One that looks again by itself reads what is new.
    let interval = Some(Duration::from_secs(3600));
    assert_eq!(told(&Numbers { interval, ..Numbers::bounded(&[]) }), None);
}

#[test]
fn what_one_subtask_had_not_found_yet_is_looked_for_after_the_restore() {
    let source = Numbers::bounded(&[Look::Finds(vec![0, 1])]);
    let mut fast = start(&source, (0, 2), &[]);
    assert_eq!(run(fast.as_mut()).expect("runs"), [0]);
    let slow = start(&Numbers::bounded(&[Look::Hangs]), (1, 2), &[]);
    let snapshot = union(&mut [fast, slow]);
    for parallelism in [1, 2, 3] {
        let looks = vec![Look::Finds(vec![0, 1]); parallelism as usize];
        let source = Numbers::bounded(&looks);
        assert_eq!(run_restored(&source, parallelism, &snapshot), [1], "at {parallelism}");
        assert_eq!(source.looks_left(), 0);
    }
}

#[test]
fn an_unbounded_source_always_looks_again() {
    let found = Look::Finds(vec![0, 1]);
    let interval = Some(Duration::from_secs(3600));
    let source = Numbers { interval, ..Numbers::bounded(&[found.clone(), found]) };
    let mut subtasks = [start(&source, (0, 1), &[])];
    let mut emitted = Emitted(Vec::new());
    run_until(subtasks[0].as_mut(), 2, &mut emitted);
    let snapshot = union(&mut subtasks);
    // As a bounded source, too, it has to look: more may have come.
    let bounded = Numbers::bounded(&[Look::Finds(vec![0, 1, 2])]);
    assert_eq!(run_restored(&bounded, 1, &snapshot), [2]);
}

#[test]
fn a_discovery_that_panics_or_fails_fails_the_source() {
    for (looks, expected) in
        [(vec![Look::Panics], "panicked: discovery panics on purpose"), (vec![], "once too often")]
    {
        for interval in [None, Some(Duration::from_secs(3600))] {
            let source = Numbers { interval, ..Numbers::bounded(&looks) };
            let error = run(start(&source, (0, 1), &[]).as_mut()).expect_err("it failed");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}

#[test]
fn a_subtask_of_an_unbounded_source_is_idle_until_it_gets_a_split() {
    let looks = [vec![], vec![0], vec![0, 1]].map(Look::Finds);
    let mut looks = looks.to_vec();
    looks.push(Look::Hangs);
    let source = Numbers { interval: Some(Duration::ZERO), ..Numbers::bounded(&looks) };
    let mut late = start(&source, (1, 2), &[]);
    assert_eq!(statuses(late.as_mut(), 3), ["idle", "active", "records"]);
    let hangs = Numbers { interval: Some(Duration::ZERO), ..Numbers::bounded(&[Look::Hangs]) };
    let mut unknown = start(&hangs, (1, 2), &[]);
    let mut out = Statuses::default();
    unknown.poll(TARGET_LEN, &mut out).expect("polls");
    assert_eq!(out.0, [""; 0], "it may get one yet");
}

#[test]
fn a_subtask_of_a_bounded_source_without_a_split_ends() {
    let source = Numbers::bounded(&[Look::Finds(vec![0])]);
    assert_eq!(statuses(start(&source, (1, 2), &[]).as_mut(), 1), [""; 0]);
}

/// What the only subtask of a source that breaks its word fails with, at the end or in a snapshot.
fn breach(source: &Numbers, parallelism: u32) -> String {
    let mut source = start(source, (0, parallelism), &[]);
    let barrier = Barrier { checkpoint: CheckpointId(1), kind: BarrierKind::Checkpoint };
    let run = run(source.as_mut()).and_then(|_| source.snapshot(barrier));
    let error = run.err().expect("it is refused");
    assert_eq!(ErrorKind::marked(error.as_ref()), Some(ErrorKind::Invalid));
    error.to_string()
}

#[test]
fn a_source_that_breaks_its_word_is_refused_where_it_does() {
    let expected = [
        (
            Fault::AssignsBeyond,
            "`assign` gave the split `2` to subtask 2, and the last of 2 is 1: nobody would read it",
        ),
        (
            Fault::DropsFinished,
            "the reader's snapshot is without the split `0`, which it was given: finished ones \
             belong in it, too",
        ),
        (
            Fault::KeepsTwice,
            "the reader's snapshot holds two splits with the id `0`: an id has to tell a split \
             from all others",
        ),
        (
            Fault::KeepsStrangers,
            "the reader's snapshot holds the split `7`, which it was not given",
        ),
        (
            Fault::MixesTimes,
            "the reader handed out a batch of 2 records with 1 event times: in a batch either all \
             records have one, or none",
        ),
    ];
    for (fault, expected) in expected {
        // At 2, subtask 0 has the splits 0 and 2.
        assert_eq!(breach(&Numbers::faulty(fault), 2), expected, "{fault:?}");
    }
}

#[test]
fn two_splits_with_one_id_are_refused_in_one_look_and_known_in_the_next() {
    let twice = Numbers::bounded(&[Look::Finds(vec![1, 0, 1])]);
    let expected = "what was discovered holds two splits with the id `1`: an id has to tell a \
                    split from all others";
    // Whoever reads them: each subtask sees all.
    assert_eq!(breach(&twice, 1), expected);
    let twice = Numbers::bounded(&[Look::Finds(vec![1, 0, 1])]);
    assert_eq!(breach(&twice, 2), expected);
    let looks = [Look::Finds(vec![0]), Look::Finds(vec![0, 1]), Look::Hangs];
    let source = Numbers { interval: Some(Duration::ZERO), ..Numbers::bounded(&looks) };
    let (mut subtask, mut emitted) = (start(&source, (0, 1), &[]), Emitted(Vec::new()));
    run_until(subtask.as_mut(), 2, &mut emitted);
    assert_eq!(emitted.0, [0, 1]);
}

#[test]
fn a_reader_hears_of_its_own_splits_that_are_found_again_restored_ones_too() {
    let looks = [Look::Finds(vec![0, 1, 2]), Look::Finds(vec![0, 1, 2, 3, 4]), Look::Hangs];
    let source = Numbers { interval: Some(Duration::ZERO), ..Numbers::bounded(&looks) };
    let (mut subtask, mut emitted) = (start(&source, (0, 2), &[]), Emitted(Vec::new()));
    run_until(subtask.as_mut(), 3, &mut emitted);
    let told = || std::mem::take(&mut *source.again.lock().expect("no panic"));
    assert_eq!((emitted.0, told()), (vec![0, 2, 4], vec![0, 2]), "1 and 3 are another subtask's");

    let snapshot = union(&mut [subtask]);
    let looks = [Look::Finds(vec![2, 4, 6, 8]), Look::Hangs];
    let interval = Some(Duration::ZERO);
    let again = Arc::clone(&source.again);
    let later = Numbers { again, interval, ..Numbers::bounded(&looks) };
    let (mut restored, mut emitted) = (start(&later, (0, 2), &snapshot), Emitted(Vec::new()));
    run_until(restored.as_mut(), 2, &mut emitted);
    assert_eq!((emitted.0, told()), (vec![6, 8], vec![2, 4]), "0 is not there any more");
}

#[test]
fn a_snapshot_that_holds_a_split_twice_is_refused() {
    let source = Numbers::bounded(&[Look::Finds(vec![0])]);
    let mut subtask = start(&source, (0, 1), &[]);
    run_until(subtask.as_mut(), 1, &mut Emitted(Vec::new()));
    let barrier = Barrier { checkpoint: CheckpointId(1), kind: BarrierKind::Checkpoint };
    let mut snapshot = subtask.snapshot(barrier).expect("taken").lists;
    let splits = snapshot.iter_mut().find(|list| list.name == SPLITS).expect("it has splits");
    splits.items.push(splits.items[0].clone());
    let refused = source_operator(source, context((0, 1), &snapshot)).err().expect("refused");
    assert!(refused.to_string().starts_with("the snapshot holds two splits with the id `0`"));
}
