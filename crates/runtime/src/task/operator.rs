//! A task that has inputs.
//!
//! In which order it does what is decided in [`tidegate_checkpoint::task::operator`]; here packets
//! are taken in and operators called.

mod wakeups;

use std::{cell::RefCell, rc::Rc};

use tidegate_checkpoint::{
    alignment::Guarantee,
    task::{
        TaskCommand,
        operator::{Flushed, OperatorTask as Phases, Turn},
    },
    watermarks::{Advance, Reached, Status, Watermarks},
};
use tidegate_core::{BatchType, Readiness, user_code::caught};
use tidegate_types::{Barrier, EventTime, Monotonic, UserResult};

use super::{
    Mailbox, Slice, TaskReport, TaskSnapshot, WorkerContext,
    alarm::Alarm,
    chain::{Chain, Outbox},
    input::{Inbox, Received},
    meter::{Meter, Pause},
    outlet::{Outlet, Session},
    own::OwnFlow,
    pack, reached,
};
use crate::{
    graph::TaskId,
    in_flight::{Account, Held},
    packet::{Body, Control, decoded},
};

/// The operators of one task that has inputs.
pub(crate) struct OperatorTask {
    id: TaskId,
    chain: Chain,
    phases: Phases<Account>,
    inbox: Inbox,
    /// When the first barrier of the pending snapshot came.
    aligning_since: Option<Monotonic>,
    last_alignment: std::time::Duration,
    watermarks: Watermarks,
    /// Where event time goes on after a restore, until the operators have been told.
    restored_to: Option<EventTime>,
    /// The packet that is being worked on (INV-HOLD).
    holding: Option<Held>,
    /// There as long as an operator may emit by itself.
    own: Option<OwnFlow>,
    outbox: Outbox,
    outlet: Outlet,
    meter: Meter,
    batch_types: Vec<BatchType>,
    context: Rc<WorkerContext>,
    mailbox: Rc<RefCell<Mailbox>>,
    alarm: Alarm,
}

/// What an operator task is built from.
pub(crate) struct OperatorParts {
    pub(crate) id: TaskId,
    pub(crate) chain: Chain,
    pub(crate) outlet: Outlet,
    pub(crate) context: Rc<WorkerContext>,
    pub(crate) mailbox: Rc<RefCell<Mailbox>>,
    pub(crate) alarm: Alarm,
    /// There if an operator may emit by itself.
    pub(crate) own: Option<OwnFlow>,
    pub(crate) channels: usize,
    pub(crate) batch_types: Vec<BatchType>,
    /// Where it goes on.
    pub(crate) reached: Reached,
    pub(crate) guarantee: Guarantee,
}

impl OperatorTask {
    pub(crate) fn new(parts: OperatorParts) -> Self {
        let Reached { received, sent } = parts.reached;
        Self {
            id: parts.id,
            chain: parts.chain,
            phases: Phases::new(parts.channels, parts.guarantee),
            inbox: Inbox::default(),
            aligning_since: None,
            last_alignment: std::time::Duration::ZERO,
            watermarks: Watermarks::restored(parts.channels, received),
            restored_to: Some(received)
                .filter(|time| *time > EventTime::MIN && !parts.context.concludes),
            holding: None,
            own: parts.own,
            outbox: Outbox::restored(sent),
            outlet: parts.outlet,
            meter: Meter::new(&parts.context.counters, parts.id, parts.context.now()),
            batch_types: parts.batch_types,
            context: parts.context,
            mailbox: parts.mailbox,
            alarm: parts.alarm,
        }
    }

    pub(crate) fn receive(&mut self, packet: Received) {
        self.inbox.push(packet);
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
                self.context.fail(self.id, error);
                false
            }
        }
    }

    fn run_slice(&mut self, begun: Monotonic, session: &mut Session<'_>) -> UserResult<bool> {
        let slice = Slice::begin(begun);
        self.take_mail()?;
        let is_blocked = self.fire_wakeups(session)?;
        let again = loop {
            if !self.step(session)? {
                break false;
            }
            if slice.is_over(self.context.now()) {
                break true;
            }
        };
        self.set_alarm(is_blocked);
        Ok(again | pack(&mut self.chain, begun, self.context.clock.as_ref())?)
    }

    /// Does one thing; tells whether there may be another.
    fn step(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        match self.phases.turn() {
            Turn::TakeIn => self.on_running(session),
            Turn::Flush => self.on_flushing(session),
            Turn::HoldStill => {
                self.meter.pause(Pause::Idle);
                Ok(false)
            }
        }
    }

    fn take_mail(&mut self) -> UserResult<()> {
        for command in self.mailbox.take() {
            self.phases.on_command(command);
            if let TaskCommand::Completed(checkpoint) = command {
                self.context.telling.end();
                let commits = self.chain.on_completed(checkpoint)?;
                self.context.report(self.id, TaskReport::Commits(checkpoint, commits));
            }
        }
        Ok(())
    }

    fn on_running(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        let readiness = self.chain.poll_ready()?;
        if !self.is_ready(readiness) {
            return Ok(false);
        }
        if let Some(time) = self.restored_to.take() {
            self.go_on_from(time, session)?;
        }
        if self.chain.is_firing() {
            return self.on_firing(session);
        }
        self.holding = None;
        let phases = &self.phases;
        let Some(packet) = self.inbox.next(|channel| phases.is_blocked(channel)) else {
            self.meter.pause(Pause::Idle);
            return Ok(false);
        };
        self.on_packet(packet, session)?;
        Ok(true)
    }

    /// Tells the operators how far event time had come in the snapshot: their timers up to there fire,
    /// if any are left, and records up to there are late, as they were before. What a task that never
    /// emits by itself passes on waits for its first packet.
    fn go_on_from(&mut self, time: EventTime, session: &mut Session<'_>) -> UserResult<()> {
        self.meter.watermark(time);
        self.chain.on_watermark(time, &mut self.outbox)?;
        if let Some(own) = &self.own {
            let now = self.context.now();
            own.send(&mut self.outbox, &self.meter, &self.outlet, (session, now));
        }
        Ok(())
    }

    /// A watermark has set off more than was done at once. What comes next on its channel and is no
    /// record need not wait for the rest: barriers above all, since the rest is in the operators'
    /// state; later watermarks, and the end, queue up behind it in the chain.
    fn on_firing(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        let phases = &self.phases;
        match self.inbox.next_control(|channel| phases.is_blocked(channel)) {
            Some(packet) => {
                self.on_packet(packet, session)?;
                Ok(true)
            }
            None => self.fire(session),
        }
    }

    /// Does some of what a watermark has set off; tells whether to go on at once.
    fn fire(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        let Some(own) = &self.own else {
            return Err(
                "an operator that says it is passive has more to do after a watermark".into()
            );
        };
        if !own.may_emit() {
            self.meter.pause(Pause::Backpressured);
            return Ok(false);
        }
        self.chain.fire(&mut self.outbox)?;
        let now = self.context.now();
        own.send(&mut self.outbox, &self.meter, &self.outlet, (session, now));
        if !self.chain.is_firing() {
            own.pause();
        }
        Ok(true)
    }

    fn on_packet(&mut self, packet: Received, session: &mut Session<'_>) -> UserResult<()> {
        let Received { channel, input, held, body } = packet;
        let account = held.account();
        match body {
            Body::Empty => {}
            Body::Batch(batch) => {
                self.meter.received(batch.len());
                self.chain.on_batch(batch, &mut self.outbox)?;
            }
            Body::Encoded(_, bytes) => {
                let batch = decoded(&bytes, &self.batch_types[input])?;
                self.meter.received(batch.len());
                self.chain.on_batch(batch, &mut self.outbox)?;
            }
            Body::Control(Control::Watermark(time)) => {
                let advance = self.watermarks.on_watermark(channel, time);
                self.on_advance(advance)?;
            }
            Body::Control(Control::Idle) => {
                let advance = self.watermarks.on_idle(channel);
                self.on_advance(advance)?;
            }
            Body::Control(Control::Active) => {
                let advance = self.watermarks.on_active(channel);
                self.on_advance(advance)?;
            }
            Body::Control(Control::Barrier(barrier)) => {
                self.on_barrier(channel, barrier, account);
                return Ok(());
            }
            Body::Control(Control::End) => {
                return self.on_channel_end(channel, account, session);
            }
        }
        self.outlet.send_all(&mut self.outbox, &self.meter, account, session);
        self.holding = Some(held);
        Ok(())
    }

    fn on_advance(&mut self, advance: Advance) -> UserResult<()> {
        if let Some(time) = advance.to {
            self.meter.watermark(time);
            self.chain.on_watermark(time, &mut self.outbox)?;
        }
        match advance.status {
            Some(Status::Idle) => self.chain.on_idle(&mut self.outbox),
            Some(Status::Active) => self.chain.on_active(&mut self.outbox),
            None => Ok(()),
        }
    }

    fn on_barrier(&mut self, channel: usize, barrier: Barrier, account: Account) {
        self.aligning_since.get_or_insert_with(|| self.context.now());
        if self.phases.on_barrier(channel, barrier, account) {
            self.is_aligned();
        }
        // A newer barrier may have given an older snapshot up, whose channels are free then.
        self.inbox.take_up();
    }

    fn is_aligned(&mut self) {
        let since = self.aligning_since.take();
        self.last_alignment =
            since.map(|since| self.context.now().since(since)).unwrap_or_default();
    }

    fn on_channel_end(
        &mut self,
        channel: usize,
        account: Account,
        session: &mut Session<'_>,
    ) -> UserResult<()> {
        let advance = self.watermarks.on_end(channel);
        self.on_advance(advance)?;
        self.outlet.send_all(&mut self.outbox, &self.meter, account, session);
        if self.phases.on_channel_end(channel, account) {
            self.is_aligned();
        }
        Ok(())
    }

    fn on_flushing(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        let readiness = self.chain.poll_flushed()?;
        if !self.is_ready(readiness) {
            return Ok(false);
        }
        match self.phases.on_flushed(self.chain.firing()) {
            Flushed::Fire => return self.fire(session),
            Flushed::Again => {}
            Flushed::Snapshot { barrier, finished } => {
                self.snapshot(barrier, finished)?;
                if let Some(account) = self.phases.origin() {
                    let body = Body::Control(Control::Barrier(barrier));
                    self.outlet.send(body, *account, session);
                }
                self.phases.on_snapshot();
                self.inbox.take_up();
            }
            Flushed::End => self.end(session)?,
        }
        Ok(true)
    }

    fn snapshot(&mut self, barrier: Barrier, finished: bool) -> UserResult<()> {
        let begin = self.context.now();
        let mut links = self.chain.snapshot(barrier)?;
        let reached = Reached { received: self.watermarks.current(), sent: self.outbox.sent };
        reached::keep(reached, &self.context, &mut links)?;
        let alignment = std::mem::take(&mut self.last_alignment);
        let snapshot = TaskSnapshot {
            barrier,
            links,
            sync: self.context.now().since(begin),
            alignment,
            finished,
        };
        self.context.report(self.id, TaskReport::Snapshot(snapshot));
        Ok(())
    }

    /// The final watermark has come with the end of the last channel.
    fn end(&mut self, session: &mut Session<'_>) -> UserResult<()> {
        self.chain.on_end(&mut self.outbox)?;
        if let Some(account) = self.phases.origin() {
            self.outlet.send_all(&mut self.outbox, &self.meter, *account, session);
            self.outlet.send(Body::Control(Control::End), *account, session);
        }
        self.phases.on_end_sent();
        (self.holding, self.own) = (None, None);
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
