//! The job of a play: numbers by key, counted and summed up, into a two-phase sink.

use std::time::Duration;

use futures::FutureExt;
use serde::{Deserialize, Serialize};
use tidegate::{
    AggregateFunction, Env, Job, Result,
    connector::{
        Batch, ReaderContext, ReaderStatus, Source, SourceReader, Split, source::Discovery,
    },
};
use tidegate_runtime::{JobError, JobSpec};

use super::{
    mutation::Mutation,
    target::{Output, TargetSink},
};

/// How big the job is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) splits: u64,
    /// How many records each split has.
    pub(crate) records: u64,
    pub(crate) keys: u64,
    /// How many records a split has per millisecond at most.
    pub(crate) per_milli: u64,
}

impl Size {
    /// All records that there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = u64> {
        0..self.splits * self.records
    }
}

/// Records, each with a number that no other has.
#[derive(Clone, Copy)]
struct Numbers(Size, Option<Mutation>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Range {
    split: u64,
    next: u64,
    end: u64,
}

impl Split for Range {
    fn id(&self) -> String {
        self.split.to_string()
    }

    fn is_finished(&self) -> bool {
        self.next == self.end
    }
}

impl Source for Numbers {
    type Item = u64;
    type Split = Range;
    type Reader = Reader;

    fn discovery(&self) -> Discovery<Range> {
        let Size { splits, records, .. } = self.0;
        Box::new(move || {
            let ranges = (0..splits).map(|split| Range {
                split,
                next: split * records,
                end: (split + 1) * records,
            });
            let ranges = ranges.collect();
            async move { Ok(ranges) }.boxed()
        })
    }

    fn reader(&self, _context: ReaderContext) -> Result<Reader> {
        Ok(Reader { per_milli: self.0.per_milli, ranges: Vec::new(), mutation: self.1 })
    }
}

struct Reader {
    per_milli: u64,
    ranges: Vec<Range>,
    mutation: Option<Mutation>,
}

impl SourceReader for Reader {
    type Item = u64;
    type Split = Range;

    fn add_splits(&mut self, splits: Vec<Range>) -> Result<()> {
        self.ranges.extend(splits);
        Ok(())
    }

    fn poll_batch(&mut self, max: usize, batch: &mut Batch<u64>) -> Result<ReaderStatus> {
        let Some(range) = self.ranges.iter_mut().find(|range| !range.is_finished()) else {
            return Ok(ReaderStatus::Exhausted);
        };
        let until = (range.next + self.per_milli.min(max as u64)).min(range.end);
        batch.records.extend(range.next..until);
        range.next = until;
        Ok(ReaderStatus::Wait(Duration::from_millis(1)))
    }

    fn snapshot(&self) -> Vec<Range> {
        let mut ranges = self.ranges.clone();
        for range in ranges.iter_mut().filter(|range| !range.is_finished()) {
            match self.mutation {
                Some(Mutation::SkipsRecord) => range.next += 1,
                Some(Mutation::RepeatsRecord) => range.next = range.next.saturating_sub(1),
                _ => {}
            }
        }
        ranges
    }
}

/// Counts and sums.
struct Tally;

impl AggregateFunction<u64> for Tally {
    type Acc = (u64, u64, u64);
    type Out = (u64, u64, u64);

    fn create(&self) -> Self::Acc {
        (0, 0, 0)
    }

    fn add(&self, (count, sum, record): &mut Self::Acc, number: u64) -> Result<()> {
        (*count, *sum, *record) = (*count + 1, *sum + number, number);
        Ok(())
    }

    fn result(&self, acc: &Self::Acc) -> Result<Self::Out> {
        Ok(*acc)
    }
}

/// What is to be run.
///
/// # Errors
///
/// What is wrong with the arguments.
pub(crate) fn spec(
    size: Size,
    arguments: &[String],
    sink: TargetSink,
    mutation: Option<Mutation>,
) -> std::result::Result<JobSpec, JobError> {
    let build = move |env: &Env| {
        let keys = size.keys;
        env.source("numbers", Numbers(size, mutation))
            .key_by(move |number: &u64| number % keys)
            .aggregate("tally", Tally)
            .map(|(key, (count, sum, record))| Ok(Output { key, count, sum, record }))
            .sink("target", sink.clone());
        Ok(())
    };
    Job::new("play").parsed(arguments.iter().cloned(), build)
}
