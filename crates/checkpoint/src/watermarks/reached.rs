//! How far event time had come in a snapshot.
//!
//! Each subtask of a task that has heard or said anything about time keeps one [`ReachedItem`] in
//! the list [`REACHED`], which every subtask gets whole. It lies with the first of the task's
//! operators that has a uid of its own: one without is not known again when the program has changed.

use serde::{Deserialize, Serialize};
use tidegate_types::{EventTime, Parallelism, SubtaskIndex};

/// The name of the list that holds what tasks have reached.
pub const REACHED: &str = "_watermarks";

/// The watermarks of one subtask, in milliseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// What its channels have let it come to; [`EventTime::MIN`] for a source.
    pub received: EventTime,
    /// What it has said to those behind it.
    pub sent: EventTime,
}

/// What one subtask has reached, as snapshots hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachedItem {
    /// Which subtask it was.
    pub subtask: SubtaskIndex,
    /// Of how many.
    pub parallelism: u32,
    /// Its watermarks.
    pub reached: Reached,
}

impl Default for Reached {
    fn default() -> Self {
        Self { received: EventTime::MIN, sent: EventTime::MIN }
    }
}

impl Reached {
    /// Where a subtask goes on: where it was if there were as many of them, and else where the last
    /// of them was.
    ///
    /// The final watermark is no time that anybody has reached. It comes again with the ends that it
    /// followed from, and a job that goes on after it was drained begins anew.
    #[must_use]
    pub fn restored(
        items: &[ReachedItem],
        subtask: SubtaskIndex,
        parallelism: Parallelism,
    ) -> Self {
        let Some(first) = items.first() else { return Self::default() };
        let own = if first.parallelism == parallelism.get() { Some(subtask) } else { None };
        let is_wanted = |item: &&ReachedItem| own.is_none_or(|own| item.subtask == own);
        let of_silent = own.is_none() && items.len() < first.parallelism as usize;
        let wanted = items.iter().filter(is_wanted).map(|item| item.reached);
        let wanted = wanted.chain(of_silent.then(Self::default));
        let reached = wanted.reduce(Self::earlier).unwrap_or_default();
        Self { received: not_final(reached.received), sent: not_final(reached.sent) }
    }

    /// The earlier of both, each watermark by itself.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        Self { received: self.received.min(other.received), sent: self.sent.min(other.sent) }
    }

    /// Whether nobody has said anything about time.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

fn not_final(time: EventTime) -> EventTime {
    if time == EventTime::MAX { EventTime::MIN } else { time }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(received: i64, sent: i64) -> Reached {
        Reached { received: EventTime(received), sent: EventTime(sent) }
    }

    /// What subtask `subtask` of `parallelism` many restores from what these of `was` many had.
    fn restored(all: &[(u32, Reached)], was: u32, subtask: u32, parallelism: u32) -> Reached {
        let item = |(subtask, reached): &(u32, Reached)| ReachedItem {
            subtask: SubtaskIndex(*subtask),
            parallelism: was,
            reached: *reached,
        };
        let items = all.iter().map(item).collect::<Vec<_>>();
        let parallelism = Parallelism::new(parallelism).expect("not zero");
        Reached::restored(&items, SubtaskIndex(subtask), parallelism)
    }

    #[test]
    fn as_many_subtasks_go_on_each_where_it_was() {
        let items = [(1, reached(9, 9)), (0, reached(5, 4))];
        assert_eq!(restored(&items, 2, 1, 2), reached(9, 9));
        assert!(restored(&items[..1], 2, 0, 2).is_nothing(), "it had heard nothing");
    }

    #[test]
    fn others_go_on_where_the_last_one_was() {
        let items = [(0, reached(5, 9)), (1, reached(9, 4))];
        for subtask in 0..3 {
            assert_eq!(restored(&items, 2, subtask, 3), reached(5, 4));
        }
        assert!(restored(&items[..1], 2, 0, 1).is_nothing(), "one had heard nothing");
    }

    #[test]
    fn the_final_watermark_is_nowhere_to_go_on_from() {
        let end = reached(i64::MAX, i64::MAX);
        assert!(restored(&[(0, end), (1, end)], 2, 0, 2).is_nothing());
        assert_eq!(restored(&[(0, end), (1, reached(7, 6))], 2, 0, 1), reached(7, 6));
        assert!(restored(&[], 1, 0, 1).is_nothing());
    }
}
