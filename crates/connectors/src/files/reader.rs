//! Reads the files of one subtask, one after the other.
//!
//! Everything here runs on the worker's thread and never waits: a [`pump`](super::pump) reads.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    rc::Rc,
};

use tidegate_core::{Batch, ReaderContext, ReaderStatus, SourceProgress, SourceReader, Split};
use tidegate_types::UserResult;
use tokio::sync::mpsc::error::TryRecvError;

use super::{
    discover::FileSplit,
    error::FileError,
    format::Format,
    handed_out::HandedOut,
    pump::{self, Chunk, Chunks, Policy, RecordEnd},
};
use crate::rate::{Allowance, RateLimit};

/// Reads the files of one subtask, one after the other.
pub struct FileReader<F: Format> {
    format: F,
    policy: Policy,
    context: ReaderContext,
    limit: RateLimit,
    bounded: bool,
    splits: Vec<FileSplit>,
    /// Where in `splits` a file is, by the split's id; of a bounded source none are asked for.
    places: HashMap<String, usize>,
    /// Those of `splits` that have not been begun since the start.
    waiting: VecDeque<usize>,
    current: Option<Reading<F::Item>>,
    handed_out: HandedOut,
}

/// A file that is being read.
struct Reading<T> {
    split: usize,
    chunks: Chunks<T>,
    /// What of the latest chunk has not been handed out.
    records: std::vec::IntoIter<T>,
    /// Where all records of that chunk end.
    ends: Rc<Vec<RecordEnd>>,
    /// What is to be known of the file once that has been handed out.
    behind: Behind,
}

/// What comes behind the records of the latest chunk.
enum Behind {
    /// More of the file, which has been used so far.
    More { used: u64 },
    /// The end of the file.
    End,
    /// An error.
    Error(FileError),
}

impl<F: Format> FileReader<F> {
    pub(super) fn new(
        format: F,
        policy: Policy,
        limit: RateLimit,
        bounded: bool,
        context: ReaderContext,
    ) -> Self {
        Self {
            format,
            policy,
            limit,
            bounded,
            context,
            splits: Vec::new(),
            places: HashMap::new(),
            waiting: VecDeque::new(),
            current: None,
            handed_out: HandedOut::default(),
        }
    }

    /// Begins the next file; `false` if there is none.
    fn begin_next(&mut self) -> bool {
        let Some(index) = self.waiting.pop_front() else { return false };
        let split = &self.splits[index];
        let (policy, waker) = (self.policy.clone(), self.context.waker.clone());
        let chunks = pump::start(&self.format, split, policy, &self.context.tokio, waker);
        let behind = Behind::More { used: split.position.used };
        let (records, ends) = (Vec::new().into_iter(), Rc::default());
        self.current = Some(Reading { split: index, chunks, records, ends, behind });
        true
    }

    /// Moves records into `batch` until it has `max`, or no more are there.
    fn fill(&mut self, max: usize, batch: &mut Batch<F::Item>) -> UserResult<ReaderStatus> {
        while batch.len() < max {
            let Some(current) = &mut self.current else {
                if self.begin_next() {
                    continue;
                }
                return Ok(ReaderStatus::Exhausted);
            };
            let split = &mut self.splits[current.split];
            match current.step(max, split, batch, &mut self.handed_out)? {
                Step::Again => {}
                Step::Stop if batch.is_empty() => return Ok(ReaderStatus::Pending),
                Step::Stop => return Ok(ReaderStatus::More),
                Step::Finished => self.current = None,
            }
        }
        Ok(ReaderStatus::More)
    }
}

/// What to do after a step.
enum Step {
    Again,
    /// Nothing more can come with this batch.
    Stop,
    Finished,
}

impl<T> Reading<T> {
    fn step(
        &mut self,
        max: usize,
        split: &mut FileSplit,
        batch: &mut Batch<T>,
        handed_out: &mut HandedOut,
    ) -> UserResult<Step> {
        if self.records.len() > 0 {
            let records = self.hand_out(max - batch.len(), split, batch);
            handed_out.add(self.split, &self.ends, records);
            return Ok(Step::Again);
        }
        match &self.behind {
            Behind::End => {
                split.finished = true;
                return Ok(Step::Finished);
            }
            // What is in the batch is good: the error comes with the next call.
            Behind::Error(_) if !batch.is_empty() => return Ok(Step::Stop),
            Behind::Error(error) => return Err(error.clone().mark()),
            Behind::More { used } => split.position.used = *used,
        }
        self.receive(split)
    }

    /// INV-POSITION: the split moves together with the records. Returns which of the chunk's they are.
    fn hand_out(
        &mut self,
        room: usize,
        split: &mut FileSplit,
        batch: &mut Batch<T>,
    ) -> Range<usize> {
        let first = self.ends.len() - self.records.len();
        let count = room.min(self.records.len());
        batch.records.extend(self.records.by_ref().take(count));
        let handed_out = first..first + count;
        if let Some(end) = self.ends[handed_out.clone()].last() {
            split.advance(count as u64, *end);
        }
        split.finished = self.records.len() == 0 && matches!(self.behind, Behind::End);
        handed_out
    }

    fn receive(&mut self, split: &FileSplit) -> UserResult<Step> {
        match self.chunks.try_recv() {
            Ok(Ok(chunk)) => self.take(chunk),
            Ok(Err(error)) => self.behind = Behind::Error(error),
            Err(TryRecvError::Empty) => return Ok(Step::Stop),
            Err(TryRecvError::Disconnected) => {
                let path = split.path.clone();
                self.behind = Behind::Error(FileError::Panicked { action: "read", path });
            }
        }
        Ok(Step::Again)
    }

    fn take(&mut self, chunk: Chunk<T>) {
        self.behind = if chunk.finished { Behind::End } else { Behind::More { used: chunk.used } };
        self.records = chunk.records.into_iter();
        self.ends = Rc::new(chunk.ends);
    }
}

impl<F: Format> SourceReader for FileReader<F> {
    type Item = F::Item;
    type Split = FileSplit;

    fn add_splits(&mut self, splits: Vec<FileSplit>) -> UserResult<()> {
        for split in splits {
            if !split.is_finished() {
                self.waiting.push_back(self.splits.len());
            }
            if !self.bounded {
                self.places.insert(split.id(), self.splits.len());
            }
            self.splits.push(split);
        }
        Ok(())
    }

    fn found_again(&mut self, splits: Vec<FileSplit>) {
        for now in splits {
            if let Some(place) = self.places.get(&now.id()) {
                self.splits[*place].tell_change(&now);
            }
        }
    }

    fn poll_batch(&mut self, max: usize, batch: &mut Batch<F::Item>) -> UserResult<ReaderStatus> {
        self.handed_out.clear();
        if self.current.is_none() && self.waiting.is_empty() {
            return Ok(ReaderStatus::Exhausted);
        }
        let allowed = match self.limit.allow(max, || self.context.clock.monotonic()) {
            Allowance::Records(allowed) => allowed,
            Allowance::Wait(time) => return Ok(ReaderStatus::Wait(time)),
        };
        let before = batch.len();
        let status = self.fill(before + allowed, batch)?;
        self.limit.spend(batch.len() - before);
        Ok(status)
    }

    fn snapshot(&self) -> Vec<FileSplit> {
        self.splits.clone()
    }

    fn progress(&self) -> Option<SourceProgress> {
        if !self.bounded {
            return None;
        }
        let done = self.splits.iter().map(FileSplit::used).sum();
        let total = self.splits.iter().map(|split| split.length).sum();
        Some(SourceProgress { done, total })
    }

    fn origin(&self, records: Range<usize>) -> Option<String> {
        self.handed_out.origin(&self.splits, records)
    }
}
