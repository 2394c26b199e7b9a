//! Whose leftovers an attempt may delete, as far as its run knows.
//!
//! What a savepoint has prepared is committed by the next checkpoint. Until that is complete the
//! output is the savepoint's alone: an attempt that goes back behind the savepoint leaves it to
//! whoever starts from there.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_checkpoint::coordinator::CompletedSnapshot;
use tidegate_types::{BarrierKind, CheckpointId, RunToken, Superseded};

/// The attempts of this run, by their tokens.
#[derive(Default)]
pub(super) struct Lineage {
    /// The latest of them.
    running: Option<u64>,
    /// Those whose prepared output a savepoint holds and no checkpoint has committed.
    held: BTreeMap<CheckpointId, u64>,
}

impl Lineage {
    /// Another attempt begins; tells whose leftovers it may delete, of those of `runs`.
    pub(super) fn begin(&mut self, token: u64, runs: BTreeSet<RunToken>) -> Superseded {
        self.running = Some(token);
        Superseded::Runs { runs, but: self.held.values().copied().collect() }
    }

    /// The running attempt has completed a snapshot.
    pub(super) fn completed(&mut self, snapshot: &CompletedSnapshot) {
        let Some(running) = self.running else { return };
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

    fn snapshot(id: u64, kind: BarrierKind) -> CompletedSnapshot {
        CompletedSnapshot { id: CheckpointId(id), kind, location: String::new(), bytes: 0 }
    }

    #[test]
    fn what_a_savepoint_holds_is_nobody_s_leftover_until_a_later_checkpoint_has_committed_it() {
        let runs = BTreeSet::from([RunToken(0)]);
        let mut lineage = Lineage::default();
        let begin = |lineage: &mut Lineage, token| match lineage.begin(token, runs.clone()) {
            Superseded::Runs { but, .. } => but.into_iter().collect::<Vec<_>>(),
            Superseded::Others { .. } => panic!("it is told which runs"),
        };
        assert_eq!(begin(&mut lineage, 7), [0; 0]);
        lineage.completed(&snapshot(2, BarrierKind::Savepoint));
        // One that was under way before.
        lineage.completed(&snapshot(1, BarrierKind::Checkpoint));
        assert_eq!(begin(&mut lineage, 8), [7]);
        lineage.completed(&snapshot(4, BarrierKind::Savepoint));
        lineage.completed(&snapshot(5, BarrierKind::Checkpoint));
        // Of 7 nothing was committed by that.
        assert_eq!(begin(&mut lineage, 9), [7]);
    }
}
