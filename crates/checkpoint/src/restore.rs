//! What each new subtask takes over from a snapshot.
//!
//! Keyed state moves in whole key groups, by ranges, unless the type of its keys has changed; split lists are cut evenly and contiguously;
//! union lists go to everyone whole; of a broadcast list, which all subtasks hold alike, each new
//! subtask takes one copy.

use std::collections::BTreeMap;

use tidegate_snapshot::{
    manifest::{Manifest, OperatorManifest, SegmentRef, SubtaskManifest},
    segment::Redistribution,
};
use tidegate_types::{
    ErrorKind, KeyGroupRange, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex, key_group,
};

/// An operator of the program that is to be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOperator {
    /// What its state is found by.
    pub uid: OperatorUid,
    /// What a person calls it.
    pub name: String,
    /// Whether its keys are of another type than those in the snapshot, and so in other key groups.
    pub rekeyed: bool,
}

/// A part of a list that a subtask takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRange {
    /// Where the list segment lies.
    pub segment: SegmentRef,
    /// The name of the list in it.
    pub name: String,
    /// The first item.
    pub start: u64,
    /// One past the last item.
    pub end: u64,
}

/// What one new subtask takes over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubtaskRestore {
    /// Keyed segments, and the key groups to take from each.
    pub keyed: Vec<(SegmentRef, KeyGroupRange)>,
    /// Parts of lists, in order.
    pub lists: Vec<ListRange>,
}

/// What one operator takes over.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorRestore {
    /// What the snapshot says of it.
    pub manifest: OperatorManifest,
    /// By subtask.
    pub subtasks: Vec<SubtaskRestore>,
    /// Whether it had consumed all of its input.
    pub finished: bool,
}

/// What a job takes over from a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct RestorePlan {
    /// The number of key groups that the job has to have.
    pub max_parallelism: MaxParallelism,
    /// By uid; operators that are new to the snapshot are not in it.
    pub operators: BTreeMap<OperatorUid, OperatorRestore>,
    /// What the snapshot holds and the program does not, and is left behind.
    pub left_behind: Vec<OperatorUid>,
}

/// Why a snapshot does not fit a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The program lacks operators whose state is in the snapshot.
    #[error(
        "cannot map checkpoint/savepoint state for operator {} to the new program, because the \
         operator is not available in the new program. If you want to allow to skip this, you can \
         set the --allow-non-restored-state option on the CLI",
        uids.iter().map(|uid| format!("`{uid}`")).collect::<Vec<_>>().join(", ")
    )]
    NotInProgram {
        /// The operators' uids.
        uids: Vec<OperatorUid>,
    },
    /// The numbers of key groups differ.
    #[error(
        "max parallelism mismatch between checkpoint/savepoint state and new program: operator \
         `{uid}` was written with {found}, and the program asks for {expected}; set \
         pipeline.max-parallelism to {found} or leave it out"
    )]
    MaxParallelism {
        /// The operator.
        uid: OperatorUid,
        /// In the snapshot.
        found: MaxParallelism,
        /// In the program.
        expected: MaxParallelism,
    },
    /// There are fewer key groups than subtasks.
    #[error(
        "the state of operator `{uid}` can not be restored: it has {max_parallelism} key groups, \
         and the parallelism is {parallelism}; run the job with at most {max_parallelism}"
    )]
    Parallelism {
        /// The operator.
        uid: OperatorUid,
        /// In the snapshot.
        max_parallelism: MaxParallelism,
        /// Of the job.
        parallelism: Parallelism,
    },
    /// Keys were hashed in another way.
    #[error(
        "the keys of operator `{uid}` were hashed with `{found}`, and this version of Tidegate \
         hashes with `{expected}`"
    )]
    KeyHash {
        /// The operator.
        uid: OperatorUid,
        /// In the snapshot.
        found: String,
        /// Here.
        expected: &'static str,
    },
}

impl RestoreError {
    /// Always [`ErrorKind::Incompatible`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Incompatible
    }
}

/// What the program asks for.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    /// Its operators that have a uid.
    pub operators: &'a [PlannedOperator],
    /// How many subtasks each has.
    pub parallelism: Parallelism,
    /// How many key groups, if the user says so.
    pub max_parallelism: Option<MaxParallelism>,
    /// Whether state of operators that are not in the program is left behind.
    pub allow_non_restored_state: bool,
}

/// Decides what each subtask of `program` takes over.
///
/// # Errors
///
/// [`RestoreError`] says what does not fit, in Flink's words where it has some.
pub fn plan_restore(
    manifest: &Manifest,
    program: &Program<'_>,
) -> Result<RestorePlan, RestoreError> {
    let left_behind = left_behind(manifest, program)?;
    let mut plan = RestorePlan {
        max_parallelism: program
            .max_parallelism
            .unwrap_or_else(|| MaxParallelism::default_for(program.parallelism)),
        operators: BTreeMap::new(),
        left_behind,
    };
    for (uid, operator) in &manifest.operators {
        if plan.left_behind.contains(uid) || !has_state(operator) {
            continue;
        }
        check(uid, operator, program)?;
        plan.max_parallelism = operator.max_parallelism;
        let is_rekeyed = |planned: &&PlannedOperator| planned.uid == *uid && planned.rekeyed;
        let rekeyed = program.operators.iter().find(is_rekeyed).is_some();
        plan.operators.insert(uid.clone(), redistribute(operator, program.parallelism, rekeyed));
    }
    Ok(plan)
}

fn has_state(operator: &OperatorManifest) -> bool {
    operator.subtasks.iter().any(|subtask| subtask.keyed.is_some() || subtask.lists.is_some())
}

fn left_behind(
    manifest: &Manifest,
    program: &Program<'_>,
) -> Result<Vec<OperatorUid>, RestoreError> {
    let is_planned =
        |uid: &OperatorUid| program.operators.iter().any(|operator| operator.uid == *uid);
    let missing =
        manifest.operators.iter().filter(|(uid, operator)| has_state(operator) && !is_planned(uid));
    let uids = missing.map(|(uid, _)| uid.clone()).collect::<Vec<_>>();
    if uids.is_empty() || program.allow_non_restored_state {
        Ok(uids)
    } else {
        Err(RestoreError::NotInProgram { uids })
    }
}

fn check(
    uid: &OperatorUid,
    operator: &OperatorManifest,
    program: &Program<'_>,
) -> Result<(), RestoreError> {
    let uid = || uid.clone();
    let found = operator.max_parallelism;
    if let Some(expected) = program.max_parallelism.filter(|expected| *expected != found) {
        return Err(RestoreError::MaxParallelism { uid: uid(), found, expected });
    }
    if found.get() < program.parallelism.get() {
        let parallelism = program.parallelism;
        return Err(RestoreError::Parallelism { uid: uid(), max_parallelism: found, parallelism });
    }
    match &operator.key_hash {
        Some(hash) if hash != key_group::FINGERPRINT => Err(RestoreError::KeyHash {
            uid: uid(),
            found: hash.clone(),
            expected: key_group::FINGERPRINT,
        }),
        _ => Ok(()),
    }
}

fn redistribute(
    operator: &OperatorManifest,
    parallelism: Parallelism,
    rekeyed: bool,
) -> OperatorRestore {
    let mut old = operator.subtasks.iter().collect::<Vec<_>>();
    old.sort_by_key(|subtask| subtask.index);
    let subtasks = parallelism.subtasks().map(|subtask| SubtaskRestore {
        // A key may have gone to any group: each subtask looks through all of them.
        keyed: match rekeyed {
            true => all_keyed(&old),
            false => keyed_for(&old, subtask, parallelism, operator.max_parallelism),
        },
        lists: lists_for(&old, subtask, parallelism),
    });
    let subtasks = subtasks.collect();
    let finished = old.iter().all(|subtask| subtask.finished);
    OperatorRestore { manifest: operator.clone(), subtasks, finished }
}

fn all_keyed(old: &[&SubtaskManifest]) -> Vec<(SegmentRef, KeyGroupRange)> {
    let keyed = old.iter().filter_map(|subtask| subtask.keyed.as_ref());
    keyed.map(|keyed| (keyed.segment.clone(), keyed.groups)).collect()
}

fn keyed_for(
    old: &[&SubtaskManifest],
    subtask: SubtaskIndex,
    parallelism: Parallelism,
    max: MaxParallelism,
) -> Vec<(SegmentRef, KeyGroupRange)> {
    let own = KeyGroupRange::owned_by(subtask, parallelism, max);
    let keyed = old.iter().filter_map(|subtask| subtask.keyed.as_ref());
    let taken = keyed.map(|keyed| (keyed.segment.clone(), keyed.groups.intersection(&own)));
    taken.filter(|(_, groups)| !groups.is_empty()).collect()
}

fn lists_for(
    old: &[&SubtaskManifest],
    subtask: SubtaskIndex,
    parallelism: Parallelism,
) -> Vec<ListRange> {
    let mut names = Vec::new();
    let lists = || old.iter().filter_map(|subtask| subtask.lists.as_ref());
    for summary in lists().flat_map(|lists| &lists.lists) {
        if !names.contains(&(&summary.name, summary.redistribution)) {
            names.push((&summary.name, summary.redistribution));
        }
    }
    let mut ranges = Vec::new();
    for (name, redistribution) in names {
        let parts = lists().filter_map(|lists| {
            let summary = lists.lists.iter().find(|summary| summary.name == *name)?;
            Some((&lists.segment, summary.items))
        });
        let parts = parts.collect::<Vec<_>>();
        let take = match redistribution {
            Redistribution::Split => even_share(&parts, subtask, parallelism),
            Redistribution::Union => parts.iter().map(|(_, items)| (0, *items)).collect(),
            Redistribution::Broadcast => {
                let copy = subtask.get() as usize % parts.len();
                let share = |(index, (_, items)): (usize, &(&SegmentRef, u64))| {
                    if index == copy { (0, *items) } else { (0, 0) }
                };
                parts.iter().enumerate().map(share).collect()
            }
        };
        let taken = parts.iter().zip(take).filter(|(_, (start, end))| start < end);
        ranges.extend(taken.map(|((segment, _), (start, end))| ListRange {
            segment: (*segment).clone(),
            name: name.clone(),
            start,
            end,
        }));
    }
    ranges
}

/// Of all parts taken together, the range of each that falls into this subtask's even share.
fn even_share(
    parts: &[(&SegmentRef, u64)],
    subtask: SubtaskIndex,
    parallelism: Parallelism,
) -> Vec<(u64, u64)> {
    let total = parts.iter().map(|(_, items)| items).sum::<u64>();
    let cut = |index: u64| index * total / u64::from(parallelism.get());
    let (start, end) = (cut(subtask.get().into()), cut(u64::from(subtask.get()) + 1));
    let mut before = 0;
    let share = parts.iter().map(|(_, items)| {
        let range =
            (start.saturating_sub(before).min(*items), end.saturating_sub(before).min(*items));
        before += items;
        range
    });
    share.collect()
}

#[cfg(test)]
mod tests;
