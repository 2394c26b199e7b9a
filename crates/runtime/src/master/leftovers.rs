//! Whose leftovers an attempt may delete, as far as its run knows.
//!
//! What a savepoint has prepared is committed by the next checkpoint. Until that is complete the
//! output is the savepoint's alone: an attempt that goes back behind the savepoint leaves it to
//! whoever starts from there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidegate_checkpoint::coordinator::CompletedSnapshot;
use tidegate_types::{BarrierKind, CheckpointId, Superseded};

/// Of how many earlier attempts leftovers are looked for by their tokens: what those before them
/// have left the ones between have deleted.
const KEPT: usize = 1_000;

/// The attempts of this run, by their tokens.
#[derive(Default)]
pub(super) struct Lineage {
    /// The latest of them, the running one last.
    attempts: VecDeque<u64>,
    /// Those whose prepared output a savepoint holds and no checkpoint has committed.
    held: BTreeMap<CheckpointId, u64>,
}

impl Lineage {
    /// Another attempt begins; tells whose leftovers it may delete. Without a folder for checkpoints
    /// nothing tells what has become of other runs of the job, and they may be writing right now.
    pub(super) fn begin(&mut self, token: u64, has_folder: bool) -> Superseded {
        let held = self.held.values().copied().collect::<BTreeSet<_>>();
        let superseded = if has_folder {
            Superseded::Others { but: held }
        } else {
            let earlier = self.attempts.iter().copied();
            Superseded::These(earlier.filter(|token| !held.contains(token)).collect())
        };
        if self.attempts.len() == KEPT {
            self.attempts.pop_front();
        }
        self.attempts.push_back(token);
        superseded
    }

    /// The running attempt has completed a snapshot.
    pub(super) fn completed(&mut self, snapshot: &CompletedSnapshot) {
        let Some(running) = self.attempts.back().copied() else { return };
        match snapshot.kind {
            BarrierKind::Savepoint => _ = self.held.insert(snapshot.id, running),
            // The job ends with it, and commits it.
            BarrierKind::StopWithSavepoint { .. } => {}
            BarrierKind::Checkpoint | BarrierKind::Final => {
                self.held.retain(|savepoint, token| *token != running || *savepoint > snapshot.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(but: &[u64]) -> Superseded {
        Superseded::Others { but: but.iter().copied().collect() }
    }

    fn these(tokens: &[u64]) -> Superseded {
        Superseded::These(tokens.iter().copied().collect())
    }

    fn snapshot(id: u64, kind: BarrierKind) -> CompletedSnapshot {
        CompletedSnapshot { id: CheckpointId(id), kind, location: String::new(), bytes: 0 }
    }

    #[test]
    fn without_a_folder_only_earlier_attempts_of_the_run_are_superseded() {
        let mut lineage = Lineage::default();
        assert_eq!(lineage.begin(7, false), these(&[]));
        assert_eq!(lineage.begin(8, false), these(&[7]));
        assert_eq!(lineage.begin(9, false), these(&[7, 8]));
        for token in 10..=10 + KEPT as u64 {
            lineage.begin(token, false);
        }
        let Superseded::These(tokens) = lineage.begin(0, false) else { panic!("not by token") };
        assert_eq!((tokens.len(), tokens.first()), (KEPT, Some(&11)));
    }

    #[test]
    fn what_a_savepoint_holds_is_nobody_s_leftover_until_a_later_checkpoint_has_committed_it() {
        for has_folder in [true, false] {
            let expect = |held: &[u64], earlier: &[u64]| {
                if has_folder { others(held) } else { these(earlier) }
            };
            let mut lineage = Lineage::default();
            lineage.begin(7, has_folder);
            lineage.completed(&snapshot(2, BarrierKind::Savepoint));
            // One that was under way before.
            lineage.completed(&snapshot(1, BarrierKind::Checkpoint));
            assert_eq!(lineage.begin(8, has_folder), expect(&[7], &[]));
            lineage.completed(&snapshot(4, BarrierKind::Savepoint));
            lineage.completed(&snapshot(5, BarrierKind::Checkpoint));
            // Of 7 nothing was committed by that.
            assert_eq!(lineage.begin(9, has_folder), expect(&[7], &[8]));
        }
    }
}
