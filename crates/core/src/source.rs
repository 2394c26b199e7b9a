//! How to write a source.
//!
//! ```text
//!   discover --splits--> assign --own splits--> SourceReader --batches--> stream
//!   (Tokio)              (pure)                 (worker, never blocks)
//! ```
//!
//! A source's input falls into *splits* (a file, a partition, a range of numbers). Every subtask
//! finds the splits by itself and reads those that [`Source::assign`] gives it, so that nobody has
//! to hand them out. A split carries its own position; the splits of all subtasks make up the
//! source's state, every subtask sees all of them on restore, and takes its own again at whatever
//! parallelism the job has then.
//!
//! # Invariants
//!
//! - INV-ONE-READER: `assign` is a function of the split's identity and the parallelism alone, so
//!   that each split has one reader.
//! - INV-POSITION: what [`SourceReader::snapshot`] returns is the position after exactly the
//!   records that [`SourceReader::poll_batch`] has handed out.
//!
//! What can be seen of a breach is refused where it is seen, with an error that names the split:
//! a subtask that there is not, two splits with one id, a snapshot without a split that the reader
//! was given, a batch that mixes records with and without event times.
//!
//! # Failure
//!
//! A split that has been read to its end stays in the state (see [`Split::is_finished`]), so that
//! a restart does not read it again.

mod contract;
mod driver;
mod named;

use std::{ops::Range, sync::Arc, task::Waker, time::Duration};

use futures::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use tidegate_types::{Clock, KeyHash, Parallelism, SubtaskIndex, UserResult};

pub use driver::{declare_source, source_operator};
pub use named::compare_source;

use crate::{
    batch::{Batch, Data},
    operator::SourceProgress,
};

/// A part of a source's input that one subtask reads, with the position in it.
pub trait Split: Clone + Send + Serialize + DeserializeOwned + 'static {
    /// What tells this split from all others, whatever its position: two splits with one id, found
    /// at once, are an error.
    fn id(&self) -> String;

    /// Whether it has been read to its end.
    fn is_finished(&self) -> bool;
}

/// What a reader is told when it starts.
#[derive(Clone)]
pub struct ReaderContext {
    /// Which of the source's subtasks this is.
    pub subtask: SubtaskIndex,
    /// How many subtasks there are.
    pub parallelism: Parallelism,
    /// Where waiting happens: disk and network belong there, never on the worker's thread.
    pub tokio: tokio::runtime::Handle,
    /// Call it when there is something to poll for.
    pub waker: Waker,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
}

/// What a reader has to say after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderStatus {
    /// There may be more right now.
    More,
    /// It will call its waker when there is more.
    Pending,
    /// Ask again after this time.
    Wait(Duration),
    /// All splits that it was given have been read to their end.
    Exhausted,
}

/// Finds a source's splits each time it is called.
pub type Discovery<S> = Box<dyn FnMut() -> BoxFuture<'static, UserResult<Vec<S>>> + Send>;

/// A source, as its author writes it.
pub trait Source: 'static {
    /// What it emits.
    type Item: Data;
    /// The parts of its input.
    type Split: Split;
    /// What reads them.
    type Reader: SourceReader<Item = Self::Item, Split = Self::Split>;

    /// How to find the splits, each at its beginning. What it returns is called, and the future
    /// awaited, on Tokio, by every subtask, once or at each [`Source::discovery_interval`]; splits
    /// that are known already are left out by the caller. A bounded source that every subtask has
    /// found the splits of is not asked again when the job is restored, but once at its start, and in a
    /// dry run, to tell whether it names something else now.
    fn discovery(&self) -> Discovery<Self::Split>;

    /// How often to look for new splits, `None` for a bounded source that looks once.
    fn discovery_interval(&self) -> Option<Duration> {
        None
    }

    /// Which subtask, below the parallelism, reads a split: by the hash of its id, unless the author knows better.
    fn assign(&self, split: &Self::Split, parallelism: Parallelism) -> SubtaskIndex {
        SubtaskIndex((KeyHash::of(&split.id()).0 % u64::from(parallelism.get())) as u32)
    }

    /// Makes the reader of one subtask.
    ///
    /// # Errors
    ///
    /// What prevents it; it fails the attempt.
    fn reader(&self, context: ReaderContext) -> UserResult<Self::Reader>;
}

/// Reads the splits of one subtask.
pub trait SourceReader: 'static {
    /// What it reads.
    type Item: Data;
    /// The parts of the input.
    type Split: Split;

    /// Takes over splits, new ones and restored ones, finished ones too.
    ///
    /// # Errors
    ///
    /// What is wrong with them; it fails the attempt.
    fn add_splits(&mut self, splits: Vec<Self::Split>) -> UserResult<()>;

    /// Hears of splits that it has and that a later search has found once more, each at its
    /// beginning and as it is now: who knows by then that the input has changed can say so. Called
    /// after every search that has found some, on the worker's thread.
    fn found_again(&mut self, splits: Vec<Self::Split>) {
        drop(splits);
    }

    /// Appends up to `max` records to `batch` without blocking, with their event times if the
    /// source has any: all that are handed out at once have one, or none.
    ///
    /// # Errors
    ///
    /// What is wrong with the input, and where; it fails the attempt.
    fn poll_batch(&mut self, max: usize, batch: &mut Batch<Self::Item>)
    -> UserResult<ReaderStatus>;

    /// All splits it was given, each at the position after the records handed out.
    fn snapshot(&self) -> Vec<Self::Split>;

    /// How far it has come through a bounded input.
    fn progress(&self) -> Option<SourceProgress> {
        None
    }

    /// Where in the input those of the records lie that the latest [`SourceReader::poll_batch`] has
    /// handed out, in words that follow upon "of": `a.jsonl line 8`. Asked at most once, when user
    /// code has failed on one of them: what it needs should cost nothing as long as all is well.
    fn origin(&self, records: Range<usize>) -> Option<String> {
        let _ = records;
        None
    }
}
