//! A task that begins with a source.
//!
//! In which order it does what is decided in [`tidegate_checkpoint::task::source`]; here the source
//! and its operators are called.

use std::{cell::RefCell, rc::Rc, sync::atomic::Ordering};

use tidegate_checkpoint::{
    task::{
        TaskCommand,
        source::{Flushed, SourceTask as Phases, Turn},
    },
    watermarks::Reached,
};
use tidegate_core::{
    ErasedBatch, Output, Readiness, SourceOperator, SourceStatus,
    batch::TARGET_LEN,
    plan::SourceFactory,
    user_code::{OperatorError, caught},
};
use tidegate_types::{
    Barrier, BoxError, CheckpointId, EventTime, Monotonic, OperatorUid, UserResult,
};

use super::{
    Mailbox, Slice, TaskReport, TaskSnapshot, WorkerContext,
    alarm::Alarm,
    chain::{Chain, ContextFor, LinkSnapshot, Outbox},
    meter::{Meter, Pause},
    outlet::{Outlet, Session},
    own::size,
    pack,
    reached::{self, Found},
};
use crate::{
    graph::{ChainLink, TaskId},
    in_flight::{Account, Lane},
    packet::{Body, Control},
};

/// The source of one task and its operators.
pub(crate) struct SourceTask {
    id: TaskId,
    uid: OperatorUid,
    name: String,
    /// What a person finds it by.
    shown: String,
    source: Box<dyn SourceOperator>,
    chain: Chain,
    phases: Phases,
    outbox: Outbox,
    outlet: Outlet,
    meter: Meter,
    context: Rc<WorkerContext>,
    mailbox: Rc<RefCell<Mailbox>>,
    alarm: Alarm,
}

/// What a source task is built from.
pub(crate) struct SourceParts<'a> {
    pub(crate) id: TaskId,
    pub(crate) link: ChainLink<SourceFactory>,
    pub(crate) chain: Chain,
    pub(crate) outlet: Outlet,
    pub(crate) context: Rc<WorkerContext>,
    pub(crate) mailbox: Rc<RefCell<Mailbox>>,
    pub(crate) alarm: Alarm,
    pub(crate) operator_context: ContextFor<'a>,
    pub(crate) found: &'a Found,
}

impl SourceTask {
    pub(crate) fn new(parts: SourceParts<'_>) -> Result<Self, super::TaskError> {
        let ChainLink { uid, name, shown, factory, .. } = parts.link;
        let source = caught(|| factory((parts.operator_context)(&uid)?))
            .map_err(|error| super::TaskError::in_operator(&uid, &shown, error))?;
        Ok(Self {
            id: parts.id,
            uid,
            name,
            shown,
            source,
            chain: parts.chain,
            phases: Phases::new(parts.context.concludes),
            outbox: Outbox::restored(parts.found.reached().sent),
            outlet: parts.outlet,
            meter: Meter::new(&parts.context.counters, parts.id, parts.context.now()),
            context: parts.context,
            mailbox: parts.mailbox,
            alarm: parts.alarm,
        })
    }

    /// Has its turn; tells whether it wants another one at once.
    pub(crate) fn run(&mut self, session: &mut Session<'_>) -> bool {
        if self.context.failed.get() {
            return false;
        }
        let begun = self.context.now();
        self.meter.begin(begun);
        let ran = caught(|| self.run_slice(begun, session));
        self.meter.end(self.context.now());
        match ran {
            Ok(again) => again,
            Err(error) => {
                let error = OperatorError::blame(&self.uid, &self.shown, error);
                self.context.fail(self.id, self.with_origin(error));
                false
            }
        }
    }

    /// Says of a record that user code has failed on where in the input it lies: exactly, unless an
    /// operator in between makes other records of those that it is handed. What fails here is in the
    /// midst of what the latest poll has emitted, since the next one waits until all of that is sent.
    fn with_origin(&self, mut error: BoxError) -> BoxError {
        if let Some(failed) = error.downcast_mut::<OperatorError>()
            && let Some(record) = failed.record()
        {
            let is_exact = self.chain.keeps_records(&failed.uid);
            let origin = caught(|| Ok(self.source.origin(is_exact.then_some(record))));
            // Nothing that fails while it is told takes the place of what is to be told.
            failed.set_input(origin.unwrap_or_default());
        }
        error
    }

    fn run_slice(&mut self, begun: Monotonic, session: &mut Session<'_>) -> UserResult<bool> {
        let slice = Slice::begin(begun);
        self.take_mail()?;
        let again = loop {
            let go_on = match self.phases.turn() {
                Turn::Emit => self.on_running(session)?,
                Turn::Flush => self.on_flushing(session)?,
                Turn::HoldStill => self.hold_still(),
                Turn::Rest => {
                    self.meter.pause(Pause::Idle);
                    false
                }
            };
            if !go_on {
                break false;
            }
            if slice.is_over(self.context.now()) {
                break true;
            }
        };
        Ok(again | pack(&mut self.chain, begun, self.context.clock.as_ref())?)
    }

    /// What is emitted now counts against.
    fn account(&self) -> Account {
        Account::of(Lane::of_sources(self.context.worker), self.context.flow.borrow().round())
    }

    fn take_mail(&mut self) -> UserResult<()> {
        for command in self.mailbox.take() {
            self.phases.on_command(command);
            if let TaskCommand::Completed(checkpoint) = command {
                self.on_completed(checkpoint)?;
            }
        }
        Ok(())
    }

    fn on_completed(&mut self, checkpoint: CheckpointId) -> UserResult<()> {
        self.context.telling.end();
        let own = self.source.on_completed(checkpoint).map(|commit| (self.uid.clone(), commit));
        let commits = own.into_iter().chain(self.chain.on_completed(checkpoint)?).collect();
        self.context.report(self.id, TaskReport::Commits(checkpoint, commits));
        Ok(())
    }

    fn on_running(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
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
            self.alarm.set(wait, now.monotonic);
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
                self.phases.on_source_end();
                return Ok(true);
            }
            SourceStatus::Wait(time) => self.alarm.set(time, self.context.now()),
            SourceStatus::Pending => {}
        }
        self.meter.pause(Pause::Idle);
        self.context.flow.borrow_mut().pause();
        Ok(false)
    }

    fn emit(&mut self, session: &mut Session<'_>) {
        let (records, bytes) = size(&self.outbox);
        let account = self.account();
        self.outlet.send_all(&mut self.outbox, &self.meter, account, session);
        self.context.flow.borrow_mut().emitted(records, bytes, self.context.now());
    }

    fn send_control(&self, control: Control, session: &mut Session<'_>) {
        self.outlet.send(Body::Control(control), self.account(), session);
    }

    fn on_flushing(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        let readiness = self.chain.poll_flushed()?;
        if !self.is_ready(readiness) {
            return Ok(false);
        }
        match self.phases.on_flushed(self.chain.firing()) {
            Flushed::FinalWatermark => {
                self.chain.on_watermark(EventTime::MAX, &mut self.outbox)?;
                self.emit(session);
            }
            Flushed::Fire => return self.fire(session),
            Flushed::Again => {}
            Flushed::Snapshot { barrier, finished } => {
                self.snapshot(barrier, finished)?;
                // Nothing follows the end.
                if !finished {
                    self.send_control(Control::Barrier(barrier), session);
                }
                self.phases.on_snapshot();
            }
            Flushed::End => self.end(session)?,
        }
        Ok(true)
    }

    fn snapshot(&mut self, barrier: Barrier, finished: bool) -> UserResult<()> {
        let begin = self.context.now();
        let (uid, name) = (self.uid.clone(), self.name.clone());
        let snapshot = self.source.snapshot(barrier)?;
        let mut links = vec![LinkSnapshot { uid, name, keyed: false, snapshot }];
        links.extend(self.chain.snapshot(barrier)?);
        let reached = Reached { sent: self.outbox.sent, ..Reached::default() };
        reached::keep(reached, &self.context, &mut links)?;
        let (sync, alignment) = (self.context.now().since(begin), std::time::Duration::ZERO);
        let snapshot = TaskSnapshot { barrier, links, sync, alignment, finished };
        self.context.report(self.id, TaskReport::Snapshot(snapshot));
        Ok(())
    }

    fn hold_still(&mut self) -> bool {
        self.meter.pause(Pause::Idle);
        self.context.flow.borrow_mut().pause();
        false
    }

    fn end(&mut self, session: &mut Session<'_>) -> UserResult<()> {
        self.chain.on_end(&mut self.outbox)?;
        self.emit(session);
        self.send_control(Control::End, session);
        self.context.flow.borrow_mut().pause();
        self.phases.on_end_sent();
        self.context.report(self.id, TaskReport::InputEnded);
        Ok(())
    }

    /// Tells whether the chain is ready, and else sees to it that the task has another turn.
    fn is_ready(&mut self, readiness: Readiness) -> bool {
        if let Readiness::RetryAfter(time) = readiness {
            self.alarm.set(time, self.context.now());
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
