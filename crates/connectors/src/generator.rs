//! A record for each index, up to a count or without end.
//!
//! The same index always makes the same record, so that nothing but the next index has to be kept:
//! generators are exactly once, and the input of tests and benchmarks.
//!
//! ```
//! use tidegate_connectors::generator::{self, Generator};
//!
//! let squares = Generator::new(Some(1_000), |index| index * index);
//! let ticks = Generator::new(None, |index| format!("tick {index}")).rate(10);
//! let numbers = generator::sequence(100..200);
//! ```
//!
//! # Invariants
//!
//! - INV-SPLITS: how the indices fall into splits depends on the count and the number of splits
//!   alone, never on the parallelism. Bounded, split i of n holds the i-th of n equal ranges;
//!   without end, the indices that leave i when divided by n.

use std::{marker::PhantomData, ops::Range};

use futures::FutureExt;
use serde::{Deserialize, Serialize};
use tidegate_core::{
    Batch, Data, ReaderContext, ReaderStatus, Source, SourceProgress, SourceReader, Split,
    source::Discovery,
};
use tidegate_types::{ErrorKind, Parallelism, SubtaskIndex, UserResult};

use crate::rate::{Allowance, RateLimit};

/// How many splits a generator has: enough to share them evenly among any usual parallelism.
const SPLITS: u32 = 128;

/// The numbers of a range, in splits: subtasks take turns, so their order is not kept.
#[must_use]
pub fn sequence(range: Range<u64>) -> Generator<u64, impl Fn(u64) -> u64 + Clone + 'static> {
    let count = range.end.saturating_sub(range.start);
    Generator::new(Some(count), move |index| range.start + index)
}

/// Makes a record for each index from 0, up to a count or without end.
#[derive(Clone, Debug)]
pub struct Generator<T, F> {
    count: Option<u64>,
    make: F,
    rate: Option<u64>,
    item: PhantomData<fn() -> T>,
}

impl<T: Data, F: Fn(u64) -> T + Clone + 'static> Generator<T, F> {
    /// Makes `make(index)` for the indices below `count`, or for all if there is none.
    ///
    /// `make` must make the same record each time it is given the same index.
    #[must_use]
    pub fn new(count: Option<u64>, make: F) -> Self {
        Self { count, make, rate: None, item: PhantomData }
    }

    /// Makes at most so many records per second: each subtask an equal share of them.
    #[must_use]
    pub fn rate(mut self, records_per_second: u64) -> Self {
        self.rate = Some(records_per_second);
        self
    }
}

/// Some of a generator's indices, and which of them comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorSplit {
    number: u32,
    next: u64,
    /// Where the range ends; without end, every [`SPLITS`]-th index belongs to the split.
    end: Option<u64>,
}

impl GeneratorSplit {
    fn at_beginning(number: u32, count: Option<u64>) -> Self {
        let Some(count) = count else { return Self { number, next: number.into(), end: None } };
        let boundary = |number: u32| {
            let product = u128::from(count) * u128::from(number) / u128::from(SPLITS);
            u64::try_from(product).expect("at most the count")
        };
        Self { number, next: boundary(number), end: Some(boundary(number + 1)) }
    }

    /// Where it begins and ends, to tell the generator it was made for.
    fn belongs_to(&self, count: Option<u64>) -> bool {
        self.number < SPLITS && self.end == Self::at_beginning(self.number, count).end
    }

    /// Appends up to `max` records.
    #[inline]
    fn fill<T>(&mut self, max: usize, make: &impl Fn(u64) -> T, into: &mut Vec<T>) {
        let next = self.next;
        match self.end {
            Some(end) => {
                let stop = next + (end - next).min(max as u64);
                into.extend((next..stop).map(make));
                self.next = stop;
            }
            None => {
                let stride = u64::from(SPLITS);
                into.extend((0..max as u64).map(|index| make(next + index * stride)));
                self.next = next + max as u64 * stride;
            }
        }
    }
}

impl Split for GeneratorSplit {
    fn id(&self) -> String {
        self.number.to_string()
    }

    fn is_finished(&self) -> bool {
        self.end == Some(self.next)
    }
}

/// What can be wrong with a generator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeneratorError {
    /// Its rate is 0.
    #[error("a generator's rate must be at least 1")]
    Rate,
    /// The snapshot was taken of a generator with another count.
    #[error(
        "the snapshot's generator is not this one: its split {number} ends at {found:?}, \
         expected {expected:?}; its count must not change"
    )]
    Changed {
        /// The split.
        number: u32,
        /// Where it ends in the snapshot, as an index.
        found: Option<u64>,
        /// Where it ends now, as an index.
        expected: Option<u64>,
    },
}

impl GeneratorError {
    /// What the one who sees it should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Rate => ErrorKind::Invalid,
            Self::Changed { .. } => ErrorKind::Incompatible,
        }
    }
}

impl<T: Data, F: Fn(u64) -> T + Clone + 'static> Source for Generator<T, F> {
    type Item = T;
    type Split = GeneratorSplit;
    type Reader = GeneratorReader<T, F>;

    fn discovery(&self) -> Discovery<GeneratorSplit> {
        let count = self.count;
        Box::new(move || {
            let splits = (0..SPLITS).map(|number| GeneratorSplit::at_beginning(number, count));
            futures::future::ready(Ok(splits.collect())).boxed()
        })
    }

    fn assign(&self, split: &GeneratorSplit, parallelism: Parallelism) -> SubtaskIndex {
        SubtaskIndex(split.number % parallelism.get())
    }

    fn reader(&self, context: ReaderContext) -> UserResult<GeneratorReader<T, F>> {
        if self.rate == Some(0) {
            let error = GeneratorError::Rate;
            return Err(error.kind().mark(error));
        }
        Ok(GeneratorReader {
            count: self.count,
            make: self.make.clone(),
            limit: RateLimit::shared(self.rate, context.parallelism),
            context,
            splits: Vec::new(),
            current: 0,
            item: PhantomData,
        })
    }
}

/// Makes the records of one subtask.
pub struct GeneratorReader<T, F> {
    count: Option<u64>,
    make: F,
    limit: RateLimit,
    context: ReaderContext,
    splits: Vec<GeneratorSplit>,
    /// Which split comes next; when bounded, all before it are finished.
    current: usize,
    item: PhantomData<fn() -> T>,
}

impl<T: Data, F: Fn(u64) -> T + 'static> GeneratorReader<T, F> {
    /// Appends up to `max` records: of bounded splits one after the other, of endless ones one
    /// run of each in turn.
    fn fill(&mut self, max: usize, into: &mut Vec<T>) -> ReaderStatus {
        into.reserve(max);
        let full = into.len() + max;
        while into.len() < full {
            let Some(split) = self.splits.get_mut(self.current) else {
                return ReaderStatus::Exhausted;
            };
            split.fill(full - into.len(), &self.make, into);
            if split.end.is_none() {
                self.current = (self.current + 1) % self.splits.len();
            } else if split.is_finished() {
                self.current += 1;
            }
        }
        ReaderStatus::More
    }
}

impl<T: Data, F: Fn(u64) -> T + 'static> SourceReader for GeneratorReader<T, F> {
    type Item = T;
    type Split = GeneratorSplit;

    fn add_splits(&mut self, splits: Vec<GeneratorSplit>) -> UserResult<()> {
        if let Some(split) = splits.iter().find(|split| !split.belongs_to(self.count)) {
            let expected = GeneratorSplit::at_beginning(split.number % SPLITS, self.count).end;
            let (number, found) = (split.number, split.end);
            let error = GeneratorError::Changed { number, found, expected };
            return Err(error.kind().mark(error));
        }
        self.splits.extend(splits);
        Ok(())
    }

    fn poll_batch(&mut self, max: usize, batch: &mut Batch<T>) -> UserResult<ReaderStatus> {
        if self.current >= self.splits.len() {
            return Ok(ReaderStatus::Exhausted);
        }
        let allowed = match self.limit.allow(max, || self.context.clock.monotonic()) {
            Allowance::Records(allowed) => allowed,
            Allowance::Wait(time) => return Ok(ReaderStatus::Wait(time)),
        };
        let before = batch.len();
        let status = self.fill(allowed, &mut batch.records);
        self.limit.spend(batch.len() - before);
        Ok(status)
    }

    fn snapshot(&self) -> Vec<GeneratorSplit> {
        self.splits.clone()
    }

    fn progress(&self) -> Option<SourceProgress> {
        let count = self.count?;
        let mut progress = SourceProgress::default();
        for split in &self.splits {
            let start = GeneratorSplit::at_beginning(split.number, Some(count)).next;
            progress.done += split.next - start;
            progress.total += split.end.unwrap_or(start) - start;
        }
        Some(progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_index_once() {
        for count in [0, 1, 127, 128, 1_000, u64::MAX] {
            let splits =
                (0..SPLITS).map(|number| GeneratorSplit::at_beginning(number, Some(count)));
            let last = splits.fold(0, |end, split| {
                assert_eq!(split.next, end);
                split.end.expect("bounded")
            });
            assert_eq!(last, count);
        }
    }

    #[test]
    fn endless_splits_interleave() {
        let mut split = GeneratorSplit::at_beginning(5, None);
        let mut records = Vec::new();
        split.fill(2, &|index| index, &mut records);
        split.fill(1, &|index| index, &mut records);
        assert_eq!(records, [5, 5 + 128, 5 + 256]);
        assert!(!split.is_finished());
    }

    #[test]
    fn a_split_of_another_count_is_not_its_own() {
        let split = GeneratorSplit::at_beginning(1, Some(1_000));
        assert!(split.belongs_to(Some(1_000)));
        assert!(!split.belongs_to(Some(2_000)));
        assert!(!split.belongs_to(None));
    }
}
