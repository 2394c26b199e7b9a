//! A task that begins with a source.

use std::{cell::RefCell, rc::Rc, sync::atomic::Ordering, time::Instant};

use tidegate_checkpoint::watermarks::Reached;
use tidegate_core::{
    ErasedBatch, Output, Readiness, SourceOperator, SourceStatus, batch::TARGET_LEN,
    plan::SourceFactory,
};
use tidegate_types::{Barrier, BarrierKind, CheckpointId, EventTime, OperatorUid, UserResult};
use timely::{dataflow::operators::Capability, scheduling::Activator};

use super::{
    Alarm, Mailbox, Session, Slice, TaskReport, TaskSnapshot, WorkerContext, caught,
    chain::{Chain, ContextFor, LinkSnapshot, Outbox, blame},
    meter::{Meter, Pause},
    own::size,
    pack,
    reached::{self, Found},
    send, send_all,
};
use crate::{
    graph::{ChainLink, TaskId},
    packet::{Body, Control},
    round::{Lane, Round},
};

/// Where a source task stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// It emits.
    Running,
    /// It has emitted all that precedes this barrier and hands it on.
    Flushing { barrier: Barrier, then: After, drained: bool },
    /// It holds still behind the barrier of a stop-with-savepoint.
    Stopped { checkpoint: CheckpointId },
    /// It holds still from its beginning to its end: the job concludes.
    Held,
    /// The source has ended; what is buffered behind it is handed on, then the final watermark
    /// (`drained`), and what that sets off.
    Ending { drained: bool },
    /// Everything is handed on.
    Ended,
}

/// Where a source task goes on after a snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    Running,
    /// What the final watermark has set off is not all done.
    Ending,
    Ended,
}

/// The source of one task and its operators.
pub(crate) struct SourceTask {
    id: TaskId,
    uid: OperatorUid,
    name: String,
    source: Box<dyn SourceOperator>,
    chain: Chain,
    phase: Phase,
    outbox: Outbox,
    meter: Meter,
    context: Rc<WorkerContext>,
    mailbox: Rc<RefCell<Mailbox>>,
    alarm: Alarm,
    capability: Option<Capability<Round>>,
}

/// What a source task is built from.
pub(crate) struct SourceParts<'a> {
    pub(crate) id: TaskId,
    pub(crate) link: ChainLink<SourceFactory>,
    pub(crate) chain: Chain,
    pub(crate) context: Rc<WorkerContext>,
    pub(crate) mailbox: Rc<RefCell<Mailbox>>,
    pub(crate) activator: Activator,
    pub(crate) operator_context: ContextFor<'a>,
    pub(crate) found: &'a Found,
}

impl SourceTask {
    pub(crate) fn new(parts: SourceParts<'_>) -> Result<Self, super::TaskError> {
        let ChainLink { uid, name, factory, .. } = parts.link;
        let source = caught(|| factory((parts.operator_context)(&uid)?))
            .map_err(|error| super::TaskError::in_operator(&uid, &name, error))?;
        Ok(Self {
            id: parts.id,
            uid,
            name,
            source,
            chain: parts.chain,
            phase: if parts.context.concludes { Phase::Held } else { Phase::Running },
            outbox: Outbox::restored(parts.found.reached().sent),
            meter: Meter::new(&parts.context.counters, parts.id),
            context: parts.context,
            mailbox: parts.mailbox,
            alarm: Alarm::new(parts.activator),
            capability: None,
        })
    }

    /// Takes hold of what it emits with, before its first turn.
    pub(crate) fn hold(&mut self, capability: Capability<Round>) {
        self.capability = Some(capability);
    }

    /// Has its turn; tells whether it wants another one at once.
    pub(crate) fn run(&mut self, session: &mut Session<'_>) -> bool {
        if self.context.failed.get() {
            return false;
        }
        let begun = self.meter.begin();
        let ran = caught(|| self.run_slice(begun, session));
        self.meter.end();
        match ran {
            Ok(again) => again,
            Err(error) => {
                let error = blame(&self.uid, &self.name, error);
                self.context.fail(self.id, error);
                false
            }
        }
    }

    fn run_slice(&mut self, begun: Instant, session: &mut Session<'_>) -> UserResult<bool> {
        let slice = Slice::begin(begun);
        self.follow_round();
        self.take_completions();
        let again = loop {
            let go_on = match self.phase {
                Phase::Running => self.on_running(session)?,
                Phase::Flushing { barrier, then, drained } => {
                    self.on_flushing(barrier, then, drained, session)?
                }
                Phase::Stopped { checkpoint } => self.on_stopped(checkpoint),
                Phase::Held => self.hold_still(),
                Phase::Ending { drained } => self.on_ending(drained, session)?,
                Phase::Ended => self.on_ended(),
            };
            if !go_on {
                break false;
            }
            if slice.is_over() {
                break true;
            }
        };
        Ok(again | pack(&mut self.chain, begun)?)
    }

    /// Emits in the round that flow control is in now.
    fn follow_round(&mut self) {
        let round =
            Round::of(Lane::of_sources(self.context.worker), self.context.flow.borrow().round());
        if let Some(capability) = &mut self.capability
            && *capability.time() != round
        {
            capability.downgrade(&round);
        }
    }

    fn take_completions(&mut self) {
        loop {
            let next = self.mailbox.borrow_mut().completed.pop_front();
            let Some(checkpoint) = next else { break };
            let own = self.source.on_completed(checkpoint).map(|commit| (self.uid.clone(), commit));
            let commits = own.into_iter().chain(self.chain.on_completed(checkpoint)).collect();
            self.context.report(self.id, TaskReport::Commits(checkpoint, commits));
        }
    }

    fn on_running(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        let trigger = self.mailbox.borrow_mut().triggers.pop_front();
        if let Some(barrier) = trigger {
            self.mailbox.borrow_mut().aborted.retain(|id| *id >= barrier.checkpoint);
            let then = After::Running;
            self.phase = Phase::Flushing { barrier, then, drained: false };
            return Ok(true);
        }
        let readiness = self.chain.poll_ready()?;
        if !self.is_ready(readiness) {
            return Ok(false);
        }
        if self.chain.is_firing() {
            return self.fire(session);
        }
        let budget = self.context.flow.borrow_mut().budget().min(TARGET_LEN);
        if budget == 0 {
            self.hold_back();
            return Ok(false);
        }
        self.fire_wakeups(session)?;
        if self.chain.is_firing() {
            return Ok(true);
        }
        let status = self.poll_source(budget)?;
        self.emit(session);
        self.after_poll(status)
    }

    /// What comes behind takes no more for now.
    fn hold_back(&mut self) {
        self.meter.pause(Pause::Backpressured);
        self.context.flow.borrow_mut().pause();
        self.follow_round();
    }

    /// Does some of what a watermark has set off; tells whether to go on at once.
    fn fire(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        if self.context.flow.borrow_mut().budget() == 0 {
            self.hold_back();
            return Ok(false);
        }
        self.chain.fire(&mut self.outbox)?;
        self.emit(session);
        Ok(true)
    }

    fn fire_wakeups(&mut self, session: &mut Session<'_>) -> UserResult<()> {
        let wakeup = self.chain.next_wakeup();
        if wakeup.is_never() {
            return Ok(());
        }
        let now = self.context.clock.both();
        if wakeup.is_due(now) {
            self.chain.on_wakeup(now, &mut self.outbox)?;
            self.emit(session);
        }
        if let Some(wait) = self.chain.next_wakeup().wait(now) {
            self.alarm.set(wait, Instant::now());
        }
        Ok(())
    }

    fn poll_source(&mut self, budget: usize) -> UserResult<SourceStatus> {
        let mut out = SourceOutput { chain: &mut self.chain, outbox: &mut self.outbox, records: 0 };
        let status = self.source.poll(budget, &mut out)?;
        let records = out.records;
        if records > 0 {
            self.context.counters.add_records(records);
            self.meter.received(records as usize);
        }
        if let Some(progress) = self.source.progress() {
            self.context.counters.progress_done.store(progress.done, Ordering::Relaxed);
            self.context.counters.progress_total.store(progress.total, Ordering::Relaxed);
        }
        Ok(status)
    }

    fn after_poll(&mut self, status: SourceStatus) -> UserResult<bool> {
        match status {
            SourceStatus::More => return Ok(true),
            SourceStatus::Ended => {
                self.phase = Phase::Ending { drained: false };
                return Ok(true);
            }
            SourceStatus::Wait(time) => self.alarm.set(time, Instant::now()),
            SourceStatus::Pending => {}
        }
        self.meter.pause(Pause::Idle);
        self.context.flow.borrow_mut().pause();
        self.follow_round();
        Ok(false)
    }

    fn emit(&mut self, session: &mut Session<'_>) {
        let Some(capability) = &self.capability else { return };
        let (records, bytes) = size(&self.outbox);
        send_all(&mut self.outbox, &self.meter, &self.context, session, capability);
        self.context.flow.borrow_mut().emitted(records, bytes, Instant::now());
        self.follow_round();
    }

    fn on_flushing(
        &mut self,
        barrier: Barrier,
        then: After,
        drained: bool,
        session: &mut Session<'_>,
    ) -> UserResult<bool> {
        let readiness = self.chain.poll_flushed()?;
        if !self.is_ready(readiness) {
            return Ok(false);
        }
        if barrier.kind == (BarrierKind::StopWithSavepoint { drain: true }) && !drained {
            // What the final watermark sets off belongs before the barrier too.
            self.chain.on_watermark(EventTime::MAX, &mut self.outbox)?;
            self.emit(session);
            self.phase = Phase::Flushing { barrier, then, drained: true };
            return Ok(true);
        }
        if self.chain.must_fire_before(barrier) {
            return self.fire(session);
        }
        self.snapshot(barrier, then == After::Ended)?;
        if let Some(capability) = &self.capability {
            send(Body::Control(Control::Barrier(barrier)), &self.context, session, capability);
        }
        self.phase = match (then, barrier.kind) {
            (After::Ended, _) => Phase::Ended,
            (_, BarrierKind::StopWithSavepoint { .. }) => {
                Phase::Stopped { checkpoint: barrier.checkpoint }
            }
            (After::Running, _) => Phase::Running,
            (After::Ending, _) => Phase::Ending { drained: true },
        };
        Ok(true)
    }

    fn snapshot(&mut self, barrier: Barrier, finished: bool) -> UserResult<()> {
        let begin = Instant::now();
        let (uid, name) = (self.uid.clone(), self.name.clone());
        let snapshot = self.source.snapshot(barrier)?;
        let mut links = vec![LinkSnapshot { uid, name, keyed: false, snapshot }];
        links.extend(self.chain.snapshot(barrier)?);
        let reached = Reached { sent: self.outbox.sent, ..Reached::default() };
        reached::keep(reached, &self.context, &mut links)?;
        let (sync, alignment) = (begin.elapsed(), std::time::Duration::ZERO);
        let snapshot = TaskSnapshot { barrier, links, sync, alignment, finished };
        self.context.report(self.id, TaskReport::Snapshot(snapshot));
        Ok(())
    }

    fn hold_still(&mut self) -> bool {
        self.meter.pause(Pause::Idle);
        self.context.flow.borrow_mut().pause();
        self.follow_round();
        false
    }

    fn on_stopped(&mut self, checkpoint: CheckpointId) -> bool {
        self.hold_still();
        let aborted = self.mailbox.borrow_mut().aborted.contains(&checkpoint);
        if aborted {
            self.phase = Phase::Running;
        }
        aborted
    }

    fn on_ending(&mut self, drained: bool, session: &mut Session<'_>) -> UserResult<bool> {
        let readiness = self.chain.poll_flushed()?;
        if !self.is_ready(readiness) {
            return Ok(false);
        }
        if !drained {
            self.chain.on_watermark(EventTime::MAX, &mut self.outbox)?;
            self.emit(session);
            self.phase = Phase::Ending { drained: true };
            return Ok(true);
        }
        if self.chain.is_firing() {
            return self.fire_or_snapshot(session);
        }
        self.chain.on_end(&mut self.outbox)?;
        self.emit(session);
        if let Some(capability) = self.capability.take() {
            send(Body::Control(Control::End), &self.context, session, &capability);
        }
        self.context.flow.borrow_mut().pause();
        self.phase = Phase::Ended;
        self.context.report(self.id, TaskReport::InputEnded);
        Ok(true)
    }

    /// Timers that the end sets off keep no snapshot waiting.
    fn fire_or_snapshot(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        let trigger = self.mailbox.borrow_mut().triggers.pop_front();
        let Some(barrier) = trigger else { return self.fire(session) };
        self.phase = Phase::Flushing { barrier, then: After::Ending, drained: true };
        Ok(true)
    }

    fn on_ended(&mut self) -> bool {
        self.meter.pause(Pause::Idle);
        let trigger = self.mailbox.borrow_mut().triggers.pop_front();
        match trigger {
            Some(barrier) => {
                self.phase = Phase::Flushing { barrier, then: After::Ended, drained: true };
                true
            }
            None => false,
        }
    }

    /// Tells whether the chain is ready, and else sees to it that the task has another turn.
    fn is_ready(&mut self, readiness: Readiness) -> bool {
        if let Readiness::RetryAfter(time) = readiness {
            self.alarm.set(time, Instant::now());
        }
        readiness == Readiness::Ready
    }
}

/// Counts what the source emits on its way into the chain.
struct SourceOutput<'a> {
    chain: &'a mut Chain,
    outbox: &'a mut Outbox,
    records: u64,
}

impl Output for SourceOutput<'_> {
    fn emit(&mut self, batch: ErasedBatch) -> UserResult<()> {
        self.records += batch.len() as u64;
        self.chain.on_batch(batch, self.outbox)
    }

    fn watermark(&mut self, watermark: EventTime) -> UserResult<()> {
        self.chain.on_watermark(watermark, self.outbox)
    }

    fn idle(&mut self) -> UserResult<()> {
        self.chain.on_idle(self.outbox)
    }

    fn active(&mut self) -> UserResult<()> {
        self.chain.on_active(self.outbox)
    }
}
