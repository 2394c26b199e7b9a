//! The phases of a task that begins with a source.
//!
//! ```text
//!                         trigger              snapshot, barrier sent
//!   [running], or [ending] -----> [flushing] ------------------------> as before
//!       |                          ^   |
//!       | the source ends          |   | of a stop        aborted
//!       v                          |   +-------> [stopped] ------> as before
//!   [ending] -- nothing left --> [ended] (and back, for a snapshot)
//!
//!   [held]   from its beginning to its end: the job concludes
//! ```
//!
//! # Protocol
//!
//! The driver asks [`SourceTask::turn`] what comes next, and comes back with what came of it. It
//! keeps the right to emit, until the end is sent.
//!
//! # Invariants
//!
//! - INV-CUT: between what precedes a barrier and its snapshot nothing is emitted but what that has
//!   set off.
//! - INV-TRIGGER: every trigger is followed by one snapshot, in their order, and its barrier is
//!   sent once with it, unless the end was sent before.
//! - INV-STOPPED: behind the barrier of a stop-with-savepoint nothing is emitted until the
//!   savepoint is given up.
//! - INV-DRAIN: the final watermark comes once: ahead of the end, or of the savepoint of a drain.

use tidegate_types::{Barrier, BarrierKind, CheckpointId};

use super::{Firing, TaskCommand, Told, must_fire_before};

/// Where a source task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It emits, and so on.
    Going(Going),
    /// It has emitted all that precedes this barrier and hands it on.
    Flushing { barrier: Barrier, then: Going },
    /// It holds still behind the barrier of a stop-with-savepoint.
    Stopped { checkpoint: CheckpointId, then: Going },
    /// It holds still from its beginning to its end: the job concludes.
    Held,
}

/// How far a source task has come, snapshots apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    /// It emits.
    Running,
    /// The source has ended, or a drain has it act as if; what is buffered behind it is handed on,
    /// then the final watermark, and what that sets off.
    Ending,
    /// Everything is handed on.
    Ended,
}

/// What a source task does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Have the source emit, and tell [`SourceTask::on_source_end`] if it ends.
    Emit,
    /// Have operators hand on what they buffer, and ask [`SourceTask::on_flushed`] when they have.
    Flush,
    /// Nothing, until there is another command: what was emitted does not wait for more.
    HoldStill,
    /// Nothing, until there is another command.
    Rest,
}

/// What a source task does once its operators have handed on what they buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Hand operators the final watermark, and have them hand on what they buffer once more.
    FinalWatermark,
    /// Go on with what a watermark has set off, and come back.
    Fire,
    /// Have the source and operators snapshot, send the barrier unless the end is sent, and tell
    /// [`SourceTask::on_snapshot`].
    Snapshot {
        /// For this.
        barrier: Barrier,
        /// Whether the end is sent.
        finished: bool,
    },
    /// A snapshot comes first: have operators hand on what they buffer once more.
    Again,
    /// End operators, send what they emit and then the end, and tell [`SourceTask::on_end_sent`].
    End,
}

/// A task that begins with a source.
#[derive(Clone, Debug)]
pub struct SourceTask {
    phase: Phase,
    /// Whether the final watermark is out.
    drained: bool,
    told: Told,
}

impl SourceTask {
    /// For a source that emits, or in a job that `concludes` does not.
    #[must_use]
    pub fn new(concludes: bool) -> Self {
        let phase = if concludes { Phase::Held } else { Phase::Going(Going::Running) };
        Self { phase, drained: false, told: Told::default() }
    }

    /// The task is told something. Commits are its operators' business.
    pub fn on_command(&mut self, command: TaskCommand) {
        self.told.on_command(command);
    }

    /// What comes next.
    #[inline]
    pub fn turn(&mut self) -> Turn {
        if let Phase::Stopped { checkpoint, then } = self.phase
            && self.told.aborted.contains(&checkpoint)
        {
            self.phase = Phase::Going(then);
        }
        match self.phase {
            // What is buffered behind the source goes first; see `on_flushed`.
            Phase::Going(Going::Ending) | Phase::Flushing { .. } => Turn::Flush,
            Phase::Going(going) => match (self.next_trigger(going), going) {
                (true, _) => Turn::Flush,
                (false, Going::Ended) => Turn::Rest,
                (false, _) => Turn::Emit,
            },
            Phase::Stopped { .. } | Phase::Held => Turn::HoldStill,
        }
    }

    /// Takes up the next trigger; tells whether there is one.
    #[inline]
    fn next_trigger(&mut self, then: Going) -> bool {
        let Some(barrier) = self.told.triggers.pop_front() else { return false };
        self.told.aborted.retain(|aborted| *aborted >= barrier.checkpoint);
        self.phase = Phase::Flushing { barrier, then };
        true
    }

    /// The source will never emit again.
    pub fn on_source_end(&mut self) {
        if self.phase == Phase::Going(Going::Running) {
            self.phase = Phase::Going(Going::Ending);
        }
    }

    /// Operators have handed on what they buffer, and have that left to do.
    pub fn on_flushed(&mut self, firing: Firing) -> Flushed {
        match self.phase {
            Phase::Flushing { barrier, .. } if self.must_drain_before(barrier) => {
                self.drained = true;
                Flushed::FinalWatermark
            }
            Phase::Flushing { barrier, .. } if must_fire_before(barrier, firing) => Flushed::Fire,
            Phase::Flushing { barrier, then } => {
                Flushed::Snapshot { barrier, finished: then == Going::Ended }
            }
            Phase::Going(Going::Ending) if !self.drained => {
                self.drained = true;
                Flushed::FinalWatermark
            }
            // Timers that the end sets off keep no snapshot waiting.
            Phase::Going(Going::Ending) if firing.any => {
                if self.next_trigger(Going::Ending) {
                    Flushed::Again
                } else {
                    Flushed::Fire
                }
            }
            Phase::Going(Going::Ending) => Flushed::End,
            Phase::Going(_) | Phase::Stopped { .. } | Phase::Held => Flushed::Again,
        }
    }

    /// What the final watermark sets off belongs before the barrier of a drain too.
    fn must_drain_before(&self, barrier: Barrier) -> bool {
        barrier.kind == (BarrierKind::StopWithSavepoint { drain: true }) && !self.drained
    }

    /// The snapshot is taken, and its barrier sent.
    pub fn on_snapshot(&mut self) {
        let Phase::Flushing { barrier, then } = self.phase else { return };
        self.phase = match barrier.kind {
            BarrierKind::StopWithSavepoint { .. } if then != Going::Ended => {
                Phase::Stopped { checkpoint: barrier.checkpoint, then }
            }
            _ => Phase::Going(then),
        };
    }

    /// The end is sent: nothing follows it.
    pub fn on_end_sent(&mut self) {
        self.phase = Phase::Going(Going::Ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRING: Firing = Firing { any: true, records: false };

    fn trigger(id: u64, kind: BarrierKind) -> TaskCommand {
        TaskCommand::Trigger(Barrier { checkpoint: CheckpointId(id), kind })
    }

    fn stop(drain: bool) -> BarrierKind {
        BarrierKind::StopWithSavepoint { drain }
    }

    #[test]
    fn inv_stopped_a_source_that_has_ended_does_not_begin_anew_when_a_stop_fails() {
        let mut task = SourceTask::new(false);
        task.on_source_end();
        assert_eq!(task.on_flushed(Firing::default()), Flushed::FinalWatermark);
        task.on_command(trigger(1, stop(false)));
        assert_eq!(task.on_flushed(FIRING), Flushed::Again);
        assert!(matches!(task.on_flushed(FIRING), Flushed::Snapshot { finished: false, .. }));
        task.on_snapshot();
        assert_eq!(task.turn(), Turn::HoldStill);
        task.on_command(TaskCommand::Aborted(CheckpointId(1)));
        assert_eq!(task.turn(), Turn::Flush, "it does not emit");
        assert_eq!(task.on_flushed(Firing::default()), Flushed::End, "nor is there a watermark");
    }

    #[test]
    fn inv_drain_the_final_watermark_and_what_it_sets_off_precede_the_savepoint() {
        let mut task = SourceTask::new(false);
        task.on_command(trigger(1, stop(true)));
        assert_eq!(task.turn(), Turn::Flush);
        assert_eq!(task.on_flushed(Firing::default()), Flushed::FinalWatermark);
        assert_eq!(task.on_flushed(FIRING), Flushed::Fire);
        let flushed = task.on_flushed(Firing::default());
        assert!(matches!(flushed, Flushed::Snapshot { .. }), "{flushed:?}");
    }

    #[test]
    fn inv_trigger_behind_the_end_every_trigger_has_its_snapshot() {
        let mut task = SourceTask::new(false);
        task.on_end_sent();
        assert_eq!(task.turn(), Turn::Rest);
        for (id, kind) in [(1, BarrierKind::Checkpoint), (2, stop(true)), (3, stop(false))] {
            task.on_command(trigger(id, kind));
            assert_eq!(task.turn(), Turn::Flush);
            let _ = (kind == stop(true)).then(|| task.on_flushed(Firing::default()));
            let flushed = task.on_flushed(Firing::default());
            assert!(matches!(flushed, Flushed::Snapshot { finished: true, .. }), "{flushed:?}");
            task.on_snapshot();
            assert_eq!(task.turn(), Turn::Rest, "nobody waits for it");
        }
    }

    #[test]
    fn the_source_of_a_job_that_concludes_holds_still() {
        assert_eq!(SourceTask::new(true).turn(), Turn::HoldStill);
    }
}
