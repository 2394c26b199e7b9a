//! A source of event times that the test hands in while the job runs.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
};

use serde::{Deserialize, Serialize};
use tidegate::{
    Result,
    connector::{
        Batch, ReaderContext, ReaderStatus, Source, SourceReader, Split, source::Discovery,
    },
};

/// What has been handed in and not read.
#[derive(Default)]
struct Feed {
    times: VecDeque<i64>,
    ended: bool,
    waker: Option<Waker>,
}

/// The source, and the test's hold on it.
#[derive(Clone, Default)]
pub(crate) struct Fed(Arc<Mutex<Feed>>);

impl Fed {
    pub(crate) fn feed(&self, times: impl IntoIterator<Item = i64>) {
        self.change(|feed| feed.times.extend(times));
    }

    pub(crate) fn end(&self) {
        self.change(|feed| feed.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Feed)) {
        let mut feed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut feed);
        if let Some(waker) = &feed.waker {
            waker.wake_by_ref();
        }
    }
}

/// The only split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whole {
    finished: bool,
}

impl Split for Whole {
    fn id(&self) -> String {
        "whole".to_owned()
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}

pub(crate) struct FedReader {
    fed: Fed,
    waker: Waker,
    splits: Vec<Whole>,
}

impl Source for Fed {
    type Item = i64;
    type Split = Whole;
    type Reader = FedReader;

    fn discovery(&self) -> Discovery<Whole> {
        Box::new(|| Box::pin(async { Ok(vec![Whole { finished: false }]) }))
    }

    fn reader(&self, context: ReaderContext) -> Result<FedReader> {
        Ok(FedReader { fed: self.clone(), waker: context.waker, splits: Vec::new() })
    }
}

impl SourceReader for FedReader {
    type Item = i64;
    type Split = Whole;

    fn add_splits(&mut self, splits: Vec<Whole>) -> Result<()> {
        self.splits.extend(splits);
        Ok(())
    }

    fn poll_batch(&mut self, max: usize, batch: &mut Batch<i64>) -> Result<ReaderStatus> {
        if self.splits.iter().all(Split::is_finished) {
            return Ok(ReaderStatus::Exhausted);
        }
        let mut feed = self.fed.0.lock().unwrap_or_else(PoisonError::into_inner);
        feed.waker = Some(self.waker.clone());
        let count = max.min(feed.times.len());
        feed.times.drain(..count).for_each(|time| batch.push(time));
        Ok(match (count, feed.ended) {
            (0, true) => {
                self.splits.iter_mut().for_each(|split| split.finished = true);
                ReaderStatus::Exhausted
            }
            (0, false) => ReaderStatus::Pending,
            _ => ReaderStatus::More,
        })
    }

    fn snapshot(&self) -> Vec<Whole> {
        self.splits.clone()
    }
}
