//! Runs a [`Source`] as the runtime's [`SourceOperator`].

use std::collections::HashSet;

use tidegate_snapshot::{
    codec,
    segment::{ListState, Redistribution},
};
use tidegate_types::{Barrier, Parallelism, SubtaskIndex, UserResult};
use tokio::sync::mpsc;

use super::{ReaderContext, ReaderStatus, Source, SourceReader, Split};
use crate::{
    batch::{Batch, TARGET_LEN},
    context::{OperatorContext, RestoredState},
    operator::{OperatorSnapshot, Output, SourceOperator, SourceProgress, SourceStatus},
};

/// The name of the state that holds a source's splits.
const SPLITS: &str = "splits";

/// Makes the runtime's operator of one subtask of `source`.
///
/// # Errors
///
/// What the reader reports, or that the snapshot's splits no longer decode.
pub fn source_operator<S: Source>(
    source: S,
    context: OperatorContext,
) -> UserResult<Box<dyn SourceOperator>> {
    Ok(Box::new(SourceDriver::new(source, context)?))
}

struct SourceDriver<S: Source> {
    source: S,
    reader: S::Reader,
    known: HashSet<String>,
    subtask: SubtaskIndex,
    parallelism: Parallelism,
    discoveries: mpsc::UnboundedReceiver<UserResult<Vec<S::Split>>>,
    bounded: bool,
    discovered: bool,
}

impl<S: Source> SourceDriver<S> {
    fn new(source: S, context: OperatorContext) -> UserResult<Self> {
        let reader = source.reader(ReaderContext {
            subtask: context.subtask,
            parallelism: context.parallelism,
            tokio: context.tokio.clone(),
            waker: context.waker.clone(),
            clock: context.clock.clone(),
        })?;
        let mut driver = Self {
            reader,
            known: HashSet::new(),
            subtask: context.subtask,
            parallelism: context.parallelism,
            discoveries: start_discovery(&source, &context),
            bounded: source.discovery_interval().is_none(),
            discovered: false,
            source,
        };
        driver.restore(&context.restored)?;
        Ok(driver)
    }

    fn restore(&mut self, restored: &RestoredState) -> UserResult<()> {
        let splits =
            restored.items(SPLITS).iter().map(|bytes| codec::decode_exact::<S::Split>(bytes));
        let splits = splits.collect::<Result<Vec<_>, _>>().map_err(|error| {
            let expected = std::any::type_name::<S::Split>();
            format!("the source's splits in the snapshot are not of type {expected}: {error}")
        })?;
        self.take_own(splits)
    }

    /// Gives the reader those splits that are this subtask's and new.
    fn take_own(&mut self, mut splits: Vec<S::Split>) -> UserResult<()> {
        splits.retain(|split| {
            self.source.assign(split, self.parallelism) == self.subtask
                && self.known.insert(split.id())
        });
        if splits.is_empty() { Ok(()) } else { self.reader.add_splits(splits) }
    }

    fn take_discoveries(&mut self) -> UserResult<()> {
        while let Ok(found) = self.discoveries.try_recv() {
            self.take_own(found?)?;
            self.discovered = true;
        }
        Ok(())
    }
}

/// Looks for splits on Tokio, once or again and again, until the receiver is gone.
fn start_discovery<S: Source>(
    source: &S,
    context: &OperatorContext,
) -> mpsc::UnboundedReceiver<UserResult<Vec<S::Split>>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut discover = source.discovery();
    let interval = source.discovery_interval();
    let waker = context.waker.clone();
    context.tokio.spawn(async move {
        loop {
            let found = discover().await;
            let over = found.is_err() || interval.is_none();
            let abandoned = sender.send(found).is_err();
            waker.wake_by_ref();
            match interval {
                Some(interval) if !over && !abandoned => tokio::time::sleep(interval).await,
                _ => break,
            }
        }
    });
    receiver
}

impl<S: Source> SourceOperator for SourceDriver<S> {
    fn poll(&mut self, budget: usize, out: &mut dyn Output) -> UserResult<SourceStatus> {
        self.take_discoveries()?;
        let mut batch = Batch::with_capacity(budget.min(TARGET_LEN));
        let status = self.reader.poll_batch(budget, &mut batch)?;
        if !batch.is_empty() {
            out.emit(Box::new(batch))?;
        }
        Ok(match status {
            ReaderStatus::More => SourceStatus::More,
            ReaderStatus::Pending => SourceStatus::Pending,
            ReaderStatus::Wait(time) => SourceStatus::Wait(time),
            ReaderStatus::Exhausted if self.bounded && self.discovered => SourceStatus::Ended,
            ReaderStatus::Exhausted => SourceStatus::Pending,
        })
    }

    fn snapshot(&mut self, _barrier: Barrier) -> UserResult<OperatorSnapshot> {
        let splits = self.reader.snapshot();
        let items = splits.iter().map(|split| {
            let mut bytes = Vec::new();
            codec::encode(split, &mut bytes).map(|()| bytes.into())
        });
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let redistribution = Redistribution::Union;
        let splits = ListState { name: SPLITS.to_owned(), redistribution, items };
        Ok(OperatorSnapshot { lists: vec![splits], ..OperatorSnapshot::default() })
    }

    fn progress(&self) -> Option<SourceProgress> {
        self.reader.progress()
    }
}
