//! An attempt whose subtasks are handed what they take over: it begins when all have it.

use tidegate_types::{Monotonic, ProcessIndex};

use super::{Action, Coordinator, Phase};
use crate::protocol::{Command, Failure};

impl Coordinator {
    /// INV-BEGIN
    pub(super) fn on_restored(
        &mut self,
        process: ProcessIndex,
        now: Monotonic,
        actions: &mut Vec<Action>,
    ) {
        let Phase::Restoring(roll) = &mut self.phase else { return };
        if roll.ready(&process) {
            self.phase = Phase::Running;
            self.next_periodic = self.config.interval.map(|interval| now + interval);
            actions.push(Action::Send(Command::Begin));
            self.conclude(actions);
        }
    }

    pub(super) fn on_failed(&mut self, failure: Failure, actions: &mut Vec<Action>) {
        // INV-BEGUN
        if let Phase::Restoring(_) = self.phase {
            self.phase = Phase::GivingWay;
        }
        actions.push(Action::FailAttempt(failure));
    }
}
