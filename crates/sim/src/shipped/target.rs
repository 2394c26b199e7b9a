//! The outside that the job's sink writes to. It survives every machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use serde::{Deserialize, Serialize};
use tidegate::{
    CheckpointId, Result,
    connector::{
        Batch, CommitOutcome, Readiness, SinkContext, SinkWriter, TwoPhaseSink, TwoPhaseWriter,
    },
};

use super::{line::Line, mutation::Mutation, picture::MachineNumber};

/// What the job has made of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Output {
    pub(crate) key: u64,
    /// The how many-th record of its key it is.
    pub(crate) count: u64,
    /// The sum of the numbers of its key's records so far.
    pub(crate) sum: u64,
    /// The record's number.
    pub(crate) record: u64,
}

/// What one subtask of one attempt has prepared for one barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Prepared {
    token: u64,
    subtask: u32,
    number: u64,
}

#[derive(Debug, Default)]
struct Kept {
    prepared: BTreeMap<Prepared, Vec<Output>>,
    committed: BTreeSet<Prepared>,
    visible: Vec<(Prepared, Output)>,
    /// Whether something was committed before what its subtask had prepared earlier.
    is_out_of_turn: bool,
    /// What has happened since somebody listened.
    told: Vec<(MachineNumber, String)>,
}

impl Kept {
    fn show(&mut self, by: MachineNumber, prepared: Prepared, records: Vec<Output>) {
        let told = format!("{} records become visible, {prepared:?}", records.len());
        self.told.push((by, told));
        self.visible.extend(records.into_iter().map(|output| (prepared, output)));
    }
}

/// Where the sink writes to. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target(Arc<Mutex<Kept>>);

impl Target {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that can be seen, in the order in which it became so, with what it was prepared as.
    pub(crate) fn visible(&self) -> Vec<(Prepared, Output)> {
        self.lock().visible.clone()
    }

    /// What has happened since this was asked before.
    pub(crate) fn take_told(&self) -> Vec<(MachineNumber, String)> {
        std::mem::take(&mut self.lock().told)
    }

    /// Whether something was committed before what its subtask had prepared earlier.
    pub(crate) fn is_out_of_turn(&self) -> bool {
        self.lock().is_out_of_turn
    }

    /// What is prepared and not committed, for a person.
    pub(crate) fn left(&self) -> String {
        format!("{:?}", self.lock().prepared.keys().collect::<Vec<_>>())
    }

    /// How much is prepared and not committed.
    pub(crate) fn prepared(&self) -> usize {
        self.lock().prepared.len()
    }

    /// The sink of one machine that writes there.
    pub(crate) fn from(&self, line: &Line, mutation: Option<Mutation>) -> TargetSink {
        TargetSink { target: self.clone(), line: line.clone(), mutation }
    }

    /// Loses whatever is prepared.
    pub(crate) fn forget_prepared(&self) {
        self.lock().prepared.clear();
    }
}

/// The sink.
#[derive(Clone)]
pub(crate) struct TargetSink {
    target: Target,
    line: Line,
    mutation: Option<Mutation>,
}

impl TwoPhaseSink for TargetSink {
    type Item = Output;
    type Committable = Prepared;
    type Writer = Writer;

    fn writer(&self, context: SinkContext) -> Result<Writer> {
        let (token, subtask) = (context.attempt_token, context.subtask.get());
        let next = Prepared { token, subtask, number: 0 };
        Ok(Writer { sink: self.clone(), next, buffer: Vec::new() })
    }

    fn commit(
        &self,
        committables: Vec<Prepared>,
    ) -> BoxFuture<'static, Result<Vec<CommitOutcome>>> {
        let (target, line, mutation) = (self.target.clone(), self.line.clone(), self.mutation);
        async move {
            let mut outcomes = Vec::new();
            for prepared in committables {
                let target = target.clone();
                let by = line.number;
                let commit = move || ready(target.commit(by, prepared, mutation));
                outcomes.push(line.write(commit).await?);
            }
            Ok(outcomes)
        }
        .boxed()
    }

    fn recover(&self, context: SinkContext) -> BoxFuture<'static, Result<()>> {
        let (target, line) = (self.target.clone(), self.line.clone());
        let abort = move || {
            let mut kept = target.lock();
            kept.prepared.retain(|prepared, _| !context.is_leftover(prepared.token));
            ready(())
        };
        async move { Ok(line.write(abort).await?) }.boxed()
    }
}

impl Target {
    fn commit(
        &self,
        by: MachineNumber,
        prepared: Prepared,
        mutation: Option<Mutation>,
    ) -> CommitOutcome {
        let mut kept = self.lock();
        if mutation == Some(Mutation::CommitsAgain)
            && let Some(records) = kept.prepared.get(&prepared).cloned()
        {
            // It stays as it was, to be committed once more.
            kept.show(by, prepared, records);
            return CommitOutcome::Committed;
        }
        let of_one = Prepared { number: 0, ..prepared }..prepared;
        if kept.prepared.range(of_one).next().is_some() {
            kept.is_out_of_turn = true;
        }
        if let Some(records) = kept.prepared.remove(&prepared) {
            kept.show(by, prepared, records);
            kept.committed.insert(prepared);
            return CommitOutcome::Committed;
        }
        let knows = mutation != Some(Mutation::ForgetsCommitted);
        if knows && kept.committed.contains(&prepared) {
            return CommitOutcome::AlreadyCommitted;
        }
        CommitOutcome::Lost(format!("{prepared:?}"))
    }
}

/// Writes for one subtask.
pub(crate) struct Writer {
    sink: TargetSink,
    next: Prepared,
    buffer: Vec<Output>,
}

impl SinkWriter for Writer {
    type Item = Output;

    fn write(&mut self, batch: &mut Batch<Output>) -> Result<Readiness> {
        self.buffer.append(&mut batch.records);
        *batch = Batch::default();
        // As a sink whose target takes no more for now.
        let wait = self.sink.line.chance.pause();
        Ok(wait.map_or(Readiness::Ready, Readiness::RetryAfter))
    }
}

impl TwoPhaseWriter for Writer {
    type Committable = Prepared;

    fn prepare(&mut self, _checkpoint: CheckpointId) -> BoxFuture<'static, Result<Vec<Prepared>>> {
        let records = std::mem::take(&mut self.buffer);
        if records.is_empty() {
            return async { Ok(Vec::new()) }.boxed();
        }
        let prepared = self.next;
        self.next.number += 1;
        let TargetSink { target, line, .. } = self.sink.clone();
        let keep = move || {
            target.lock().prepared.insert(prepared, records.clone());
            ready(())
        };
        async move {
            line.write(keep).await?;
            Ok(vec![prepared])
        }
        .boxed()
    }
}
