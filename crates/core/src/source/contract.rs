//! What a source's author has to uphold, looked at where it is relied upon: a breach loses records
//! without a word otherwise. Whoever calls a source's code names its uid and subtask in the error.

use std::collections::HashSet;

use tidegate_types::{BoxError, ErrorKind, Parallelism, SubtaskIndex};

use super::{Source, Split};
use crate::batch::MixedTimes;

/// Which word a source has not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum Breach {
    #[error(
        "`assign` gave the split `{split}` to subtask {given}, and the last of {parallelism} is \
         {last}: nobody would read it"
    )]
    Beyond { split: String, given: SubtaskIndex, parallelism: Parallelism, last: SubtaskIndex },
    #[error(
        "{found_in} holds two splits with the id `{split}`: an id has to tell a split from all \
         others"
    )]
    OneId { split: String, found_in: &'static str },
    #[error(
        "the reader's snapshot is without the split `{split}`, which it was given: finished ones \
         belong in it, too"
    )]
    Missing { split: String },
    #[error("the reader's snapshot holds the split `{split}`, which it was not given")]
    Stranger { split: String },
    #[error("the reader is exhausted, and its split `{split}` has not been read to its end")]
    Unfinished { split: String },
    #[error("the reader handed out a batch of {0}")]
    Mixed(MixedTimes),
}

impl Breach {
    /// No restart mends it.
    pub(super) fn mark(self) -> BoxError {
        ErrorKind::Invalid.mark(self)
    }
}

/// INV-ONE-READER: the splits with their ids and readers; every subtask finds the same.
pub(super) fn assigned<S: Source>(
    source: &S,
    splits: Vec<S::Split>,
    parallelism: Parallelism,
    found_in: &'static str,
) -> Result<Vec<(S::Split, String, SubtaskIndex)>, Breach> {
    let mut ids = HashSet::with_capacity(splits.len());
    let mut all = Vec::with_capacity(splits.len());
    for split in splits {
        let (id, given) = (split.id(), source.assign(&split, parallelism));
        if given.get() >= parallelism.get() {
            let last = SubtaskIndex(parallelism.get() - 1);
            return Err(Breach::Beyond { split: id, given, parallelism, last });
        }
        if !ids.insert(id.clone()) {
            return Err(Breach::OneId { split: id, found_in });
        }
        all.push((split, id, given));
    }
    Ok(all)
}

/// A reader's snapshot holds the splits that it was given, each once.
pub(super) fn check_kept<S: Split>(splits: &[S], given: &HashSet<String>) -> Result<(), Breach> {
    let mut kept = HashSet::with_capacity(splits.len());
    for split in splits.iter().map(Split::id) {
        if !given.contains(&split) {
            return Err(Breach::Stranger { split });
        }
        if let Some(split) = kept.replace(split) {
            return Err(Breach::OneId { split, found_in: "the reader's snapshot" });
        }
    }
    match given.iter().filter(|split| !kept.contains(*split)).min() {
        Some(split) => Err(Breach::Missing { split: split.clone() }),
        None => Ok(()),
    }
}

/// A reader that is exhausted has read all of its splits.
pub(super) fn check_exhausted<S: Split>(splits: &[S]) -> Result<(), Breach> {
    match splits.iter().find(|split| !split.is_finished()) {
        Some(split) => Err(Breach::Unfinished { split: split.id() }),
        None => Ok(()),
    }
}
