//! What others want of a job: snapshots, its end, an end for now, another parallelism.

use std::time::Duration;

use tidegate_checkpoint::{
    Event,
    coordinator::{RequestId, SnapshotRequest, Wish},
};
use tidegate_snapshot::store::SnapshotStore;
use tidegate_types::error::chain;
use tokio::sync::oneshot;
use tracing::warn;

use super::{
    Asked, Attempt, AttemptEnd, JobMaster,
    farewell::{Farewell, Leave},
    handover::{Handover, Step},
};
use crate::{
    api::{JobStatus, Reply, Request},
    ticket::Ticket,
};

impl JobMaster {
    /// Does what follows for a job that has to end and go on later.
    pub(super) fn leave(&mut self, leave: &Leave, attempt: &mut Attempt) -> Option<Event> {
        match leave {
            Leave::Ask if self.coordinator.is_ending() => {
                self.farewell.postpone();
                None
            }
            Leave::Ask => {
                let (reply, answer) = oneshot::channel();
                self.farewell.asked(answer);
                self.ask(Wish::Checkpoint, None, reply)
            }
            Leave::Complete => {
                let newest = self.coordinator.restore_point().map(|point| point.id);
                self.farewell.complete(newest.unwrap_or_default());
                None
            }
            Leave::End(waited_for) => {
                warn!(job = %self.settings.id, waited_for, "the job ends without a last checkpoint");
                attempt.end.get_or_insert(AttemptEnd::Suspended);
                None
            }
        }
    }

    /// Does what follows for an attempt that has to give way.
    pub(super) fn hand_over(
        &mut self,
        step: Step,
        handover: &mut Handover,
        attempt: &mut Attempt,
    ) -> Option<Event> {
        match step {
            Step::Wait => None,
            Step::GiveWay { reason } | Step::Ask { reason, .. } if self.coordinator.is_ending() => {
                handover.postpone(reason, 0);
                None
            }
            Step::GiveWay { reason } => {
                attempt.end.get_or_insert(AttemptEnd::Outdated(reason));
                None
            }
            Step::Ask { reason, failures } => {
                let (reply, answer) = oneshot::channel();
                handover.asked(reason, failures, answer);
                self.ask(Wish::Checkpoint, None, reply)
            }
        }
    }

    pub(super) fn on_request(&mut self, request: Request) -> Option<Event> {
        match request {
            Request::Cancel => {
                self.set_status(JobStatus::Cancelling);
                self.tenure.say_ending();
                Some(Event::CancelRequested)
            }
            Request::Suspend { within } => {
                // What only this process has in memory nobody goes on from.
                let is_kept = self.settings.options.checkpointing.dir.is_some();
                self.farewell = Farewell::begin(if is_kept { within } else { Duration::ZERO });
                None
            }
            Request::Snapshot { wish, ticket, reply } => self.ask(wish, ticket, reply),
        }
    }

    /// Asks the coordinator for a snapshot, on somebody's behalf.
    fn ask(&mut self, wish: Wish, ticket: Option<Box<Ticket>>, reply: Reply) -> Option<Event> {
        let has_folder = ticket.as_ref().is_some_and(|ticket| ticket.location.is_some());
        if let Wish::Savepoint { target, .. } = &wish
            && !has_folder
            && let Err(reason) = self.savepoint_store(target.as_deref())
        {
            // Who has given up waiting needs no answer.
            let _ = reply.send(Err(reason));
            return None;
        }
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.asked.insert(id, Asked { ticket, reply });
        Some(Event::Requested(SnapshotRequest { id, wish }))
    }

    pub(super) fn savepoint_store(&self, target: Option<&str>) -> Result<SnapshotStore, String> {
        match (target, &self.stores.savepoints) {
            (Some(target), _) => {
                let place = self.stores.places().open(target);
                place.map(SnapshotStore::from).map_err(|error| chain(&error))
            }
            (None, Some(store)) => Ok(store.clone()),
            (None, None) => Err("no folder for the savepoint: name one, or set \
                                 execution.checkpointing.savepoint-dir"
                .to_owned()),
        }
    }
}
