//! Makes and drives one subtask of an operator, and moves its state between parallelisms.

use std::{panic::Location, sync::Arc, task::Waker};

use tidegate_core::{
    Batch, Data, Duties, ErasedBatch, Operator, OperatorContext, OperatorSnapshot, Output,
    Progress, RestoredKeyed, RestoredState, batch::typed, selector::KeySelector,
    user_code::Telling,
};
use tidegate_snapshot::segment::{KeyedSegmentReader, KeyedSegmentWriter};
use tidegate_types::{
    AttemptId, Barrier, BarrierKind, CheckpointId, EventTime, JobId, KeyGroupRange, MaxParallelism,
    Parallelism, SubtaskIndex, Superseded, time::ManualClock,
};

use crate::Result;

/// What came out, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen<T> {
    Batch(Batch<T>),
    Watermark(i64),
    Idle,
    Active,
}

/// Collects what an operator puts out.
pub(super) struct Collect<T>(pub(super) Vec<Seen<T>>);

impl<T: Data> Output for Collect<T> {
    fn emit(&mut self, batch: ErasedBatch) -> Result<()> {
        if !batch.is_empty() {
            self.0.push(Seen::Batch(typed(batch)));
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: EventTime) -> Result<()> {
        self.0.push(Seen::Watermark(watermark.millis()));
        Ok(())
    }

    fn idle(&mut self) -> Result<()> {
        self.0.push(Seen::Idle);
        Ok(())
    }

    fn active(&mut self) -> Result<()> {
        self.0.push(Seen::Active);
        Ok(())
    }
}

impl<T: Data> Collect<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes all batches out, as one.
    pub(super) fn take(&mut self) -> Vec<(T, Option<i64>)> {
        let batches = self.0.drain(..).filter_map(|seen| match seen {
            Seen::Batch(batch) => Some(batch.into_timed()),
            Seen::Watermark(_) | Seen::Idle | Seen::Active => None,
        });
        batches.flatten().map(|(record, time)| (record, time.map(EventTime::millis))).collect()
    }

    /// Takes all records out.
    pub(super) fn records(&mut self) -> Vec<T> {
        self.take().into_iter().map(|(record, _)| record).collect()
    }
}

/// A key selector of the operator that is tested.
pub(super) fn selector<F>(select: F) -> KeySelector<F> {
    KeySelector::new(select, "tested".into(), Location::caller())
}

/// What the subtasks of one operator share.
pub(super) struct Bench {
    tokio: tokio::runtime::Runtime,
    pub(super) clock: Arc<ManualClock>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { tokio, clock: Arc::default() }
    }

    /// The context of the only subtask.
    pub(super) fn context(&self) -> OperatorContext {
        self.context_of(0, 1, RestoredState::default())
    }

    pub(super) fn context_of(
        &self,
        subtask: u32,
        parallelism: u32,
        restored: RestoredState,
    ) -> OperatorContext {
        OperatorContext {
            uid: "tested".into(),
            subtask: SubtaskIndex(subtask),
            parallelism: Parallelism::new(parallelism).expect("at least 1"),
            max_parallelism: MaxParallelism::new(128).expect("in range"),
            job: JobId::from_name("test"),
            attempt: AttemptId(0),
            attempt_token: 1,
            allow_lost_output: false,
            leaves_output: false,
            check_keys: false,
            superseded: Superseded::others(),
            restored,
            tokio: self.tokio.handle().clone(),
            duties: Duties::new(|_| panic!("only sinks have duties")),
            waker: Waker::noop().clone(),
            clock: Arc::<ManualClock>::clone(&self.clock),
            telling: Telling::default(),
        }
    }
}

/// The snapshot of a subtask, as another subtask that owns `groups` is handed it.
pub(super) fn restored(
    operator: &mut dyn Operator,
    groups: impl Fn(KeyGroupRange) -> KeyGroupRange,
) -> RestoredState {
    let barrier = Barrier { checkpoint: CheckpointId(1), kind: BarrierKind::Checkpoint };
    let snapshot = operator.snapshot(barrier).expect("snapshots");
    let OperatorSnapshot { key_type, states, keyed, lists, .. } = snapshot;
    let keyed = keyed.map(|(range, keyed)| {
        let mut writer = KeyedSegmentWriter::new(range);
        keyed.encode(&mut writer).expect("encodes");
        let segment = KeyedSegmentReader::open(writer.finish().into()).expect("just written");
        RestoredKeyed {
            blocks: Arc::new(segment.into_source(groups(range))),
            states: states.into(),
            key_type: key_type.expect("keyed state has a key type"),
        }
    });
    let checkpoint = Some(CheckpointId(1));
    RestoredState { checkpoint, keyed: keyed.into_iter().collect(), lists, finished: false }
}

/// Gives an operator records without event times.
pub(super) fn feed<T: Data>(
    operator: &mut dyn Operator,
    records: impl IntoIterator<Item = T>,
    out: &mut dyn Output,
) {
    let batch = Batch::from(records.into_iter().collect::<Vec<_>>());
    operator.on_batch(Box::new(batch), out).expect("takes the records");
}

/// Tells an operator of a watermark, again and again until it has done all that this sets off;
/// returns how often it had to be told.
pub(super) fn pass(operator: &mut dyn Operator, watermark: i64, out: &mut dyn Output) -> usize {
    let mut told = 1;
    while operator.on_watermark(EventTime(watermark), out).expect("takes it in") == Progress::More {
        told += 1;
    }
    told
}

/// A batch of records with event times.
pub(super) fn timed<T: Data>(records: impl IntoIterator<Item = (T, i64)>) -> ErasedBatch {
    let mut batch = Batch::default();
    for (record, time) in records {
        batch.push_at(record, Some(EventTime(time)));
    }
    Box::new(batch)
}
