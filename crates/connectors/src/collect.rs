//! Collects records in memory, for tests.
//!
//! ```
//! use tidegate_connectors::collect::Collector;
//!
//! let collector = Collector::<u64>::default();
//! let sink = collector.exactly_once_sink();
//! // … run a job that writes to `sink` …
//! let records = collector.take();
//! # assert!(records.is_empty());
//! ```

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use tidegate_core::{
    Batch, CommitOutcome, Data, Readiness, Sink, SinkContext, SinkWriter, TwoPhaseSink,
    TwoPhaseWriter,
};
use tidegate_types::{CheckpointId, UserResult};

/// What all sinks made from it have collected. Clones share it, over all workers and attempts of
/// this process.
#[derive(Clone, Debug)]
pub struct Collector<T> {
    collected: Arc<Mutex<Collected<T>>>,
}

#[derive(Debug)]
struct Collected<T> {
    records: Vec<T>,
    /// What has been committed, so that a second time changes nothing.
    committed: HashSet<CommitId>,
}

impl<T> Default for Collector<T> {
    fn default() -> Self {
        let collected = Collected { records: Vec::new(), committed: HashSet::new() };
        Self { collected: Arc::new(Mutex::new(collected)) }
    }
}

impl<T> Collector<T> {
    /// A sink that collects records as they come: one may come again after a failure.
    #[must_use]
    pub fn sink(&self) -> CollectSink<T> {
        CollectSink { collected: Arc::clone(&self.collected) }
    }

    /// A sink that collects each record exactly once, when its checkpoint is complete.
    #[must_use]
    pub fn exactly_once_sink(&self) -> ExactlyOnceCollectSink<T> {
        ExactlyOnceCollectSink { collected: Arc::clone(&self.collected) }
    }

    /// Takes all records out. The order is each subtask's own, mixed among subtasks.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut lock(&self.collected).records)
    }

    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.collected).records.len()
    }

    /// Whether it holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The lock is held for moves of records only, and a poisoned one still holds whole records.
fn lock<T>(collected: &Mutex<Collected<T>>) -> MutexGuard<'_, Collected<T>> {
    collected.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Collects records as they come. Also the writer of its subtasks.
#[derive(Clone, Debug)]
pub struct CollectSink<T> {
    collected: Arc<Mutex<Collected<T>>>,
}

impl<T: Data> Sink for CollectSink<T> {
    type Item = T;
    type Writer = Self;

    fn writer(&self, _context: SinkContext) -> UserResult<Self> {
        Ok(Self { collected: Arc::clone(&self.collected) })
    }
}

impl<T: Data> SinkWriter for CollectSink<T> {
    type Item = T;

    fn write(&mut self, batch: &mut Batch<T>) -> UserResult<Readiness> {
        lock(&self.collected).records.append(&mut batch.records);
        *batch = Batch::default();
        Ok(Readiness::Ready)
    }
}

/// Collects each record exactly once.
#[derive(Clone, Debug)]
pub struct ExactlyOnceCollectSink<T> {
    collected: Arc<Mutex<Collected<T>>>,
}

/// What one subtask of one attempt has prepared for one barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct CommitId {
    attempt_token: u64,
    subtask: u32,
    counter: u64,
}

/// Records that are not visible yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Uncommitted<T> {
    id: CommitId,
    records: Vec<T>,
}

impl<T: Data + Sync> TwoPhaseSink for ExactlyOnceCollectSink<T> {
    type Item = T;
    type Committable = Uncommitted<T>;
    type Writer = ExactlyOnceCollectWriter<T>;

    fn writer(&self, context: SinkContext) -> UserResult<ExactlyOnceCollectWriter<T>> {
        let (attempt_token, subtask) = (context.attempt_token, context.subtask.get());
        let next = CommitId { attempt_token, subtask, counter: 0 };
        Ok(ExactlyOnceCollectWriter { next, records: Vec::new() })
    }

    fn commit(
        &self,
        committables: Vec<Uncommitted<T>>,
    ) -> BoxFuture<'static, UserResult<Vec<CommitOutcome>>> {
        let collected = Arc::clone(&self.collected);
        async move {
            let mut collected = lock(&collected);
            let commit = |committable: Uncommitted<T>| {
                if !collected.committed.insert(committable.id) {
                    return CommitOutcome::AlreadyCommitted;
                }
                collected.records.extend(committable.records);
                CommitOutcome::Committed
            };
            Ok(committables.into_iter().map(commit).collect())
        }
        .boxed()
    }

    /// What is not committed lives in snapshots alone and is gone without them.
    fn recover(&self, _context: SinkContext) -> BoxFuture<'static, UserResult<()>> {
        futures::future::ready(Ok(())).boxed()
    }
}

/// Holds the records of one subtask until a barrier.
pub struct ExactlyOnceCollectWriter<T> {
    next: CommitId,
    records: Vec<T>,
}

impl<T: Data> SinkWriter for ExactlyOnceCollectWriter<T> {
    type Item = T;

    fn write(&mut self, batch: &mut Batch<T>) -> UserResult<Readiness> {
        self.records.append(&mut batch.records);
        *batch = Batch::default();
        Ok(Readiness::Ready)
    }
}

impl<T: Data + Sync> TwoPhaseWriter for ExactlyOnceCollectWriter<T> {
    type Committable = Uncommitted<T>;

    fn prepare(&mut self, _: CheckpointId) -> BoxFuture<'static, UserResult<Vec<Uncommitted<T>>>> {
        let records = std::mem::take(&mut self.records);
        if records.is_empty() {
            return futures::future::ready(Ok(Vec::new())).boxed();
        }
        let id = self.next;
        self.next.counter += 1;
        futures::future::ready(Ok(vec![Uncommitted { id, records }])).boxed()
    }
}
