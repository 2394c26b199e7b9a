//! Wakes a task's operators when they have asked for it.

use tidegate_core::Readiness;
use tidegate_types::UserResult;

use super::{OperatorTask, Session};

impl OperatorTask {
    /// Wakes operators whose time has come. Tells whether that had to wait for something, upon
    /// which the task will have a turn.
    pub(super) fn fire_wakeups(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        if !self.may_wake() {
            return Ok(false);
        }
        let now = self.context.clock.both();
        if !self.chain.next_wakeup().is_due(now) {
            return Ok(false);
        }
        if self.chain.poll_ready()? != Readiness::Ready {
            return Ok(true);
        }
        let Some(own) = &self.own else { return Ok(true) };
        if !own.may_emit() {
            return Ok(true);
        }
        self.chain.on_wakeup(now, &mut self.outbox)?;
        own.send(&mut self.outbox, &self.meter, &self.outlet, (session, self.context.now()));
        own.pause();
        Ok(false)
    }

    /// Whether operators may be woken: not in the middle of a snapshot, and not while they are busy
    /// with a watermark. The timers of a job that concludes belong to its savepoint.
    fn may_wake(&self) -> bool {
        !self.context.concludes
            && self.restored_to.is_none()
            && self.phases.is_running()
            && !self.chain.next_wakeup().is_never()
            && !self.chain.is_firing()
    }

    /// Sees to it that operators are woken when they want to.
    pub(super) fn set_alarm(&mut self, is_blocked: bool) {
        if !self.may_wake() {
            return;
        }
        let (wakeup, now) = (self.chain.next_wakeup(), self.context.clock.both());
        if is_blocked && wakeup.is_due(now) {
            return;
        }
        if let Some(wait) = wakeup.wait(now) {
            self.alarm.set(wait, now.monotonic);
        }
    }
}
