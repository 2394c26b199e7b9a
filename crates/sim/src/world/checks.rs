//! What must hold after every step, and what must have come out in the end.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_checkpoint::{CompletedSnapshot, alignment::Guarantee, protocol::Command};
use tidegate_types::CheckpointId;

use super::{End, World};
use crate::store::Output;

impl World {
    /// INV-GROW
    pub(super) fn check_trigger(&mut self, id: CheckpointId) {
        let highest = std::mem::replace(&mut self.alive().highest, id);
        self.demand(highest < id, || format!("INV-GROW: {id} follows {highest}"));
        let is_new = !self.durable.contains(&id);
        self.demand(is_new, || format!("INV-GROW: there was a snapshot {id} already"));
    }

    /// INV-DURABLE
    pub(super) fn check_command(&mut self, command: &Command) {
        let Command::Completed { checkpoint } = command else { return };
        let durable = self.durable.contains(checkpoint);
        self.demand(durable, || format!("INV-DURABLE: {checkpoint} is not durable yet"));
        if self.run.is_some() {
            self.committed = self.committed.max(Some(*checkpoint));
        }
    }

    /// INV-REACH for snapshots that were never completed.
    pub(super) fn check_discard(&mut self, id: CheckpointId, folder: Option<&str>) {
        let Some(folder) = folder else {
            return self.demand(false, || format!("INV-SWEEP: {id} is discarded twice"));
        };
        let complete = self.store.is_complete(folder);
        self.demand(!complete, || format!("INV-REACH: {folder} is complete"));
        let writing = self.alive().manifests.contains_key(&id);
        self.demand(!writing, || format!("INV-REACH: the manifest of {id} may still come"));
        if let Some(run) = &self.run {
            let may_write = run.processes.iter().enumerate().find(|(process, state)| {
                state.is_alive && !self.answered.contains(&(run.id, *process, id))
            });
            let may_write = may_write.map(|(process, _)| process);
            self.demand(may_write.is_none(), || {
                format!("INV-SWEEP: process {may_write:?} may still write into {folder}")
            });
        }
    }

    /// INV-REACH for complete ones.
    pub(super) fn check_delete(&mut self, snapshot: &CompletedSnapshot) {
        let folder = &snapshot.location;
        let is_users = self.savepoints.contains(folder);
        self.demand(!is_users, || format!("INV-REACH: {folder} is its user's"));
        let unclaimed = self.alive().unclaimed.as_ref() == Some(folder);
        self.demand(!unclaimed, || format!("INV-REACH: {folder} is not claimed"));
        let retained = self.alive().coordinator.retained().contains(snapshot);
        self.demand(!retained, || format!("INV-REACH: {folder} is retained"));
    }

    /// What is known of the coordinator from outside.
    pub(super) fn check_coordinator(&mut self) {
        let config = &self.scenario.coordinator;
        let most = if config.min_pause.is_zero() { config.max_concurrent as usize } else { 1 };
        let now = self.schedule.monotonic();
        let coordinator = &self.alive().coordinator;
        let (pending, deadline) = (coordinator.pending_count(), coordinator.next_deadline());
        let retained = coordinator.retained();
        self.demand(pending <= most, || format!("{pending} snapshots under way, {most} allowed"));
        self.demand(deadline.is_none_or(|time| time > now), || {
            format!("the manager would spin: {deadline:?} at {now:?}")
        });
        for snapshot in retained {
            let complete = self.store.is_complete(&snapshot.location);
            self.demand(complete, || format!("INV-REACH: {snapshot:?} is not there"));
        }
    }

    /// Whoever has asked has been answered.
    pub(super) fn check_requests(&mut self) {
        let open = self.alive().requests.iter().find(|(_, answered)| !**answered);
        let open = open.map(|(request, _)| *request);
        self.demand(open.is_none(), || format!("{open:?} waits for an answer for ever"));
    }

    /// INV-SWEEP, when nothing is under way any more.
    pub(super) fn check_leftovers(&mut self) {
        let retained = self.alive().coordinator.retained();
        let retained = retained.into_iter().map(|snapshot| snapshot.location);
        let known = retained.chain(self.savepoints.iter().cloned()).collect::<BTreeSet<_>>();
        let there = self.store.folders().map(|(path, _)| path.clone()).collect::<BTreeSet<_>>();
        let (left, gone) = (&there - &known, &known - &there);
        self.demand(left.is_empty(), || format!("INV-SWEEP: nobody needs {left:?}"));
        self.demand(gone.is_empty(), || format!("INV-REACH: {gone:?} are gone"));
    }

    /// What can be seen outside, compared with what a plain program makes of the input.
    pub(super) fn check_results(&mut self) {
        let mut visible = self.outside.visible().copied().collect::<Vec<_>>();
        visible.sort_unstable();
        let complete = self.end == Some(End::Finished)
            && self.scenario.coordinator.checkpoints_after_tasks_finish;
        let result = match self.scenario.guarantee {
            Guarantee::ExactlyOnce => self.check_exactly_once(&visible, complete),
            Guarantee::AtLeastOnce => self.check_at_least_once(&visible, complete),
        };
        self.demand_ok(result);
        let staged = self.outside.staged_by();
        self.demand(!complete || staged.is_empty(), || {
            format!("runs {staged:?} have left something uncommitted")
        });
    }

    /// Every record is there once, and the outputs of each key are its running count and sum. A job
    /// that was ended before may not have come to commit all that belongs to its last snapshot.
    fn check_exactly_once(&self, visible: &[Output], complete: bool) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        let mut sums: BTreeMap<u64, (u64, i64)> = BTreeMap::new();
        for output in visible {
            if !seen.insert(output.record) {
                return Err(format!("the record {:?} is counted twice", output.record));
            }
            let (split, place) = output.record;
            let (key, value) = self.scenario.splits[split as usize][place as usize];
            let (count, sum) = sums.entry(key).or_default();
            (*count, *sum) = (*count + 1, *sum + value);
            if complete && (output.key, output.count, output.sum) != (key, *count, *sum) {
                return Err(format!("expected ({key}, {count}, {sum}), found {output:?}"));
            }
        }
        self.check_all_there(&seen, complete)
    }

    fn check_at_least_once(&self, visible: &[Output], complete: bool) -> Result<(), String> {
        let seen = visible.iter().map(|output| output.record).collect();
        self.check_all_there(&seen, complete)
    }

    fn check_all_there(&self, seen: &BTreeSet<(u32, u64)>, complete: bool) -> Result<(), String> {
        let lengths =
            (0..).zip(&self.scenario.splits).map(|(split, records)| (split, records.len()));
        let mut all = lengths.flat_map(|(split, len)| (0..len as u64).map(move |at| (split, at)));
        match all.find(|record| complete && !seen.contains(record)) {
            Some(record) => Err(format!("the record {record:?} is lost")),
            None => Ok(()),
        }
    }
}
