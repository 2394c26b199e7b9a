//! Runs a [`Source`] as the runtime's [`SourceOperator`].
//!
//! A bounded source looks for its splits once in the job's life, not once per attempt: a job that
//! is restored reads the input that it began with, whatever has come or gone since. For that each
//! subtask puts into the snapshot whether it has looked; a subtask that has not has its splits in
//! nobody's state, so the source looks again unless all of them had. When a job has been started from a
//! snapshot one subtask looks once more, only to tell what it would find now.

use std::{
    collections::HashSet,
    task::{Context, Poll, Waker},
};

use tidegate_snapshot::{
    codec,
    segment::{ItemType, ListState, Redistribution},
};
use tidegate_state::{DeclaredList, StateDeclaration, type_description};
use tidegate_types::{AttemptId, Barrier, Parallelism, SubtaskIndex, UserResult};
use tokio::sync::mpsc;
use tracing::warn;

use super::{
    ReaderContext, ReaderStatus, Source, SourceReader,
    contract::{self, Breach},
    named::compare_source,
};
use crate::{
    batch::{Batch, TARGET_LEN},
    context::{OperatorContext, RestoredState, single_item},
    operator::{OperatorSnapshot, Output, SourceOperator, SourceProgress, SourceStatus},
    user_code::caught_async,
};

/// The name of the state that holds a source's splits.
pub(super) const SPLITS: &str = "splits";
/// The name of the state that holds, per subtask, whether it knows all of its splits.
const DISCOVERED: &str = "discovered";

/// What a source keeps in snapshots.
///
/// # Errors
///
/// When its splits could be written and not read back.
pub fn declare_source<S: Source>() -> UserResult<StateDeclaration> {
    let splits = DeclaredList::of::<S::Split>(SPLITS)?;
    let lists = vec![splits, DeclaredList::of::<bool>(DISCOVERED)?];
    Ok(StateDeclaration { keyed: None, lists })
}

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

/// What discovery sends, each time that it has looked.
type Discoveries<S> = mpsc::UnboundedReceiver<UserResult<Vec<<S as Source>::Split>>>;

struct SourceDriver<S: Source> {
    source: S,
    reader: S::Reader,
    known: HashSet<String>,
    /// The description of the splits' type.
    split_type: String,
    subtask: SubtaskIndex,
    parallelism: Parallelism,
    waker: Waker,
    /// `None` once a bounded source knows all of its splits.
    discoveries: Option<Discoveries<S>>,
    /// Whether the source has been looked through at least once.
    has_looked: bool,
    /// Whether it has said that nobody should wait for its watermarks.
    idle: bool,
    /// How many records the latest poll has emitted.
    emitted: usize,
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
            split_type: type_description::<S::Split>(),
            subtask: context.subtask,
            parallelism: context.parallelism,
            waker: context.waker.clone(),
            discoveries: None,
            has_looked: false,
            idle: false,
            emitted: 0,
            source,
        };
        driver.restore(&context.restored)?;
        if !driver.is_bounded() || !all_had_discovered(&context.restored)? {
            driver.discoveries = Some(start_discovery(&driver.source, &context));
        } else if context.subtask == SubtaskIndex(0) && context.attempt == AttemptId(0) {
            tell_difference(&driver.source, &context)?;
        }
        Ok(driver)
    }

    fn is_bounded(&self) -> bool {
        self.source.discovery_interval().is_none()
    }

    fn restore(&mut self, restored: &RestoredState) -> UserResult<()> {
        self.take_own(restored.values(SPLITS)?, "the snapshot")
    }

    /// Gives the reader those splits that are this subtask's and new, and tells it which of the
    /// others are still there.
    fn take_own(&mut self, splits: Vec<S::Split>, found_in: &'static str) -> UserResult<()> {
        let splits = contract::assigned(&self.source, splits, self.parallelism, found_in);
        let (mut own, mut again) = (Vec::new(), Vec::new());
        for (split, id, reader) in splits.map_err(Breach::mark)? {
            if reader == self.subtask {
                let which = if self.known.insert(id) { &mut own } else { &mut again };
                which.push(split);
            }
        }
        if !again.is_empty() {
            self.reader.found_again(again);
        }
        if own.is_empty() { Ok(()) } else { self.reader.add_splits(own) }
    }

    fn take_discoveries(&mut self) -> UserResult<()> {
        while let Some(found) = self.next_discovery()? {
            self.has_looked = true;
            if self.is_bounded() {
                self.discoveries = None;
            }
            self.take_own(found, "what was discovered")?;
        }
        Ok(())
    }

    fn next_discovery(&mut self) -> UserResult<Option<Vec<S::Split>>> {
        let Some(discoveries) = &mut self.discoveries else { return Ok(None) };
        match discoveries.poll_recv(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(Some(found)) => found.map(Some),
            Poll::Ready(None) => {
                Err("the search for the source's splits ended with no result".into())
            }
            Poll::Pending => Ok(None),
        }
    }

    /// A subtask that the search has left without a split has nothing to say about time until it
    /// gets one. One that has read its splits may get more of them that go on where those ended, so
    /// that it is waited for.
    fn tell_status(&mut self, out: &mut dyn Output) -> UserResult<()> {
        let idle = self.has_looked && self.known.is_empty() && !self.is_bounded();
        if idle == std::mem::replace(&mut self.idle, idle) {
            Ok(())
        } else if idle {
            out.idle()
        } else {
            out.active()
        }
    }

    fn snapshot_splits(&self) -> UserResult<ListState> {
        let splits = self.reader.snapshot();
        contract::check_kept(&splits, &self.known).map_err(Breach::mark)?;
        let items = splits.iter().map(|split| {
            let mut bytes = Vec::new();
            codec::encode(split, &mut bytes).map(|()| bytes.into())
        });
        let items = items.collect::<Result<Vec<_>, _>>()?;
        Ok(ListState {
            name: SPLITS.to_owned(),
            redistribution: Redistribution::Union,
            item_type: ItemType::Is(self.split_type.clone()),
            items,
        })
    }

    fn snapshot_discovered(&self) -> UserResult<ListState> {
        let mut item = Vec::new();
        codec::encode(&self.discoveries.is_none(), &mut item)?;
        Ok(single_item(DISCOVERED, Redistribution::Union, "bool", item))
    }
}

/// Whether every subtask that the snapshot was taken of knew all of its splits.
pub(super) fn all_had_discovered(restored: &RestoredState) -> UserResult<bool> {
    let marks = restored.items(DISCOVERED);
    let marks = marks.iter().map(|bytes| codec::decode_exact::<bool>(bytes));
    let marks = marks.collect::<Result<Vec<_>, _>>()?;
    let discovered = marks.iter().filter(|discovered| **discovered).count();
    Ok(!marks.is_empty() && discovered == marks.len())
}

/// Looks for splits on Tokio, once or again and again, until the receiver is gone.
///
/// The receiver is woken by what is sent, and by the end of the task too.
fn start_discovery<S: Source>(source: &S, context: &OperatorContext) -> Discoveries<S> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut discover = source.discovery();
    let interval = source.discovery_interval();
    context.tokio.spawn(async move {
        loop {
            let found = caught_async(async { discover().await }).await;
            let over = found.is_err() || interval.is_none();
            let abandoned = sender.send(found).is_err();
            match interval {
                Some(interval) if !over && !abandoned => tokio::time::sleep(interval).await,
                _ => break,
            }
        }
    });
    receiver
}

/// Warns, in a job that has just been started from a snapshot, if the source names something else now.
fn tell_difference<S: Source>(source: &S, context: &OperatorContext) -> UserResult<()> {
    let (difference, operator) = (compare_source(source, &context.restored)?, context.uid.clone());
    context.tokio.spawn(async move {
        // What can't be looked at is not read either.
        if let Ok(Some(difference)) = difference.await {
            warn!(%operator, "{difference}");
        }
    });
    Ok(())
}

impl<S: Source> SourceOperator for SourceDriver<S> {
    fn poll(&mut self, budget: usize, out: &mut dyn Output) -> UserResult<SourceStatus> {
        self.take_discoveries()?;
        self.tell_status(out)?;
        let mut batch = Batch::with_capacity(budget.min(TARGET_LEN));
        let status = self.reader.poll_batch(budget, &mut batch)?;
        batch.check().map_err(|mixed| Breach::Mixed(mixed).mark())?;
        self.emitted = batch.len();
        if !batch.is_empty() {
            out.emit(Box::new(batch))?;
        }
        Ok(match status {
            ReaderStatus::More => SourceStatus::More,
            ReaderStatus::Pending => SourceStatus::Pending,
            ReaderStatus::Wait(time) => SourceStatus::Wait(time),
            ReaderStatus::Exhausted if self.discoveries.is_none() => SourceStatus::Ended,
            ReaderStatus::Exhausted => SourceStatus::Pending,
        })
    }

    fn snapshot(&mut self, _barrier: Barrier) -> UserResult<OperatorSnapshot> {
        let lists = vec![self.snapshot_splits()?, self.snapshot_discovered()?];
        Ok(OperatorSnapshot { lists, ..OperatorSnapshot::default() })
    }

    fn progress(&self) -> Option<SourceProgress> {
        self.reader.progress()
    }

    fn origin(&self, record: Option<usize>) -> Option<String> {
        let all = 0..self.emitted;
        let records = record.map_or_else(|| all.clone(), |index| index..index + 1);
        // Who says that it keeps records and does not is told nothing wrong.
        let some = !records.is_empty() && records.end <= all.end;
        some.then(|| self.reader.origin(records)).flatten()
    }
}

#[cfg(test)]
mod tests;
