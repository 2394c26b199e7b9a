//! A task that has inputs.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Instant};

use tidegate_checkpoint::{
    alignment::{Alignment, Decision},
    watermarks::{Advance, Reached, Status, Watermarks},
};
use tidegate_core::{BatchType, Readiness};
use tidegate_types::{Barrier, BarrierKind, CheckpointId, EventTime, UserResult};
use timely::{
    dataflow::operators::{Capability, InputCapability},
    scheduling::Activator,
};

use super::{
    Alarm, Mailbox, Session, Slice, TaskReport, TaskSnapshot, WorkerContext, caught,
    chain::{Chain, Outbox},
    input::{Inbox, Received},
    meter::{Meter, Pause},
    own::{Own, OwnFlow},
    pack, reached, send, send_all,
};
use crate::{
    graph::TaskId,
    packet::{Body, Control, decoded},
    round::Round,
};

/// Where a task stands.
enum Phase {
    /// It takes in packets.
    Running,
    /// The last barrier has come; what precedes it is handed on. The capability is that of the
    /// packet that completed the alignment, `None` once all inputs have ended.
    Flushing { barrier: Barrier, capability: Option<InputCapability<Round>> },
    /// It holds still behind the barrier of a stop-with-savepoint: what timers would emit from here
    /// on belongs to no snapshot any more. All inputs may have ended, the capability is there then.
    Stopped { checkpoint: CheckpointId, ending: Option<InputCapability<Round>> },
    /// All inputs have ended; what is buffered is handed on.
    Ending { capability: InputCapability<Round> },
    /// Everything is handed on; only snapshots are still taken.
    Ended,
}

/// The operators of one task that has inputs.
pub(crate) struct OperatorTask {
    id: TaskId,
    chain: Chain,
    phase: Phase,
    inbox: Inbox,
    alignment: Alignment,
    /// When the first barrier of the pending snapshot came.
    aligning_since: Option<Instant>,
    last_alignment: std::time::Duration,
    watermarks: Watermarks,
    /// Where event time goes on after a restore, until the operators have been told.
    restored_to: Option<EventTime>,
    /// The packet that is being worked on (INV-HOLD).
    holding: Option<InputCapability<Round>>,
    /// There as long as an operator may emit by itself.
    own: Option<Own>,
    own_flow: Option<OwnFlow>,
    outbox: Outbox,
    meter: Meter,
    batch_types: Vec<BatchType>,
    open_channels: usize,
    ended_channels: Vec<bool>,
    /// Triggers of which this task has heard and whose barriers have not come (yet).
    triggers: VecDeque<Barrier>,
    /// Snapshots that never will be, of which this task may still see the barriers.
    aborted: VecDeque<CheckpointId>,
    context: Rc<WorkerContext>,
    mailbox: Rc<RefCell<Mailbox>>,
    alarm: Alarm,
}

/// What an operator task is built from.
pub(crate) struct OperatorParts {
    pub(crate) id: TaskId,
    pub(crate) chain: Chain,
    pub(crate) context: Rc<WorkerContext>,
    pub(crate) mailbox: Rc<RefCell<Mailbox>>,
    pub(crate) activator: Activator,
    /// There if an operator may emit by itself.
    pub(crate) own: Option<OwnFlow>,
    pub(crate) channels: usize,
    pub(crate) batch_types: Vec<BatchType>,
    pub(crate) alignment: Alignment,
    /// Where it goes on.
    pub(crate) reached: Reached,
}

impl OperatorTask {
    pub(crate) fn new(parts: OperatorParts) -> Self {
        let Reached { received, sent } = parts.reached;
        Self {
            id: parts.id,
            chain: parts.chain,
            phase: Phase::Running,
            inbox: Inbox::default(),
            alignment: parts.alignment,
            aligning_since: None,
            last_alignment: std::time::Duration::ZERO,
            watermarks: Watermarks::restored(parts.channels, received),
            restored_to: Some(received)
                .filter(|time| *time > EventTime::MIN && !parts.context.concludes),
            holding: None,
            own: None,
            own_flow: parts.own,
            outbox: Outbox::restored(sent),
            meter: Meter::new(&parts.context.counters, parts.id),
            batch_types: parts.batch_types,
            open_channels: parts.channels,
            ended_channels: vec![false; parts.channels],
            triggers: VecDeque::new(),
            aborted: VecDeque::new(),
            context: parts.context,
            mailbox: parts.mailbox,
            alarm: Alarm::new(parts.activator),
        }
    }

    /// Takes hold of what it emits with by itself, if it ever does.
    pub(crate) fn hold(&mut self, capability: Capability<Round>) {
        self.own = self.own_flow.take().map(|flow| Own::new(capability, flow));
    }

    pub(crate) fn receive(&mut self, packet: Received) {
        self.inbox.push(packet);
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
                self.context.fail(self.id, error);
                false
            }
        }
    }

    fn run_slice(&mut self, begun: Instant, session: &mut Session<'_>) -> UserResult<bool> {
        let slice = Slice::begin(begun);
        self.take_mail();
        let is_blocked = self.fire_wakeups(session)?;
        let again = loop {
            if !self.step(session)? {
                break false;
            }
            if slice.is_over() {
                break true;
            }
        };
        self.set_alarm(is_blocked);
        Ok(again | pack(&mut self.chain, begun)?)
    }

    /// Does one thing; tells whether there may be another.
    fn step(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        match &mut self.phase {
            Phase::Running => self.on_running(session),
            Phase::Flushing { barrier, .. } => {
                let barrier = *barrier;
                self.on_flushing(barrier, session)
            }
            Phase::Stopped { checkpoint, .. } => {
                let checkpoint = *checkpoint;
                Ok(self.on_stopped(checkpoint))
            }
            Phase::Ending { .. } => self.on_ending(session),
            Phase::Ended => Ok(self.on_ended()),
        }
    }

    fn take_mail(&mut self) {
        let Mailbox { triggers, completed, aborted } = self.mailbox.take();
        self.triggers.extend(triggers);
        self.aborted.extend(aborted);
        for checkpoint in completed {
            let commits = self.chain.on_completed(checkpoint);
            self.context.report(self.id, TaskReport::Commits(checkpoint, commits));
        }
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
        let alignment = &self.alignment;
        let Some(packet) = self.inbox.next(|channel| alignment.is_blocked(channel)) else {
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
        if let Some(own) = &mut self.own {
            own.send(&mut self.outbox, &self.meter, &self.context, session);
        }
        Ok(())
    }

    /// A watermark has set off more than was done at once. What comes next on its channel and is no
    /// record need not wait for the rest: barriers above all, since the rest is in the operators'
    /// state; later watermarks, and the end, queue up behind it in the chain.
    fn on_firing(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        let alignment = &self.alignment;
        match self.inbox.next_control(|channel| alignment.is_blocked(channel)) {
            Some(packet) => {
                self.on_packet(packet, session)?;
                Ok(true)
            }
            None => self.fire(session),
        }
    }

    /// Does some of what a watermark has set off; tells whether to go on at once.
    fn fire(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        let Some(own) = &mut self.own else {
            return Err(
                "an operator that says it is passive has more to do after a watermark".into()
            );
        };
        if !own.may_emit() {
            self.meter.pause(Pause::Backpressured);
            return Ok(false);
        }
        self.chain.fire(&mut self.outbox)?;
        own.send(&mut self.outbox, &self.meter, &self.context, session);
        if !self.chain.is_firing() {
            own.pause();
        }
        Ok(true)
    }

    fn on_packet(&mut self, packet: Received, session: &mut Session<'_>) -> UserResult<()> {
        let Received { channel, input, capability, body } = packet;
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
                self.on_barrier(channel, barrier, capability);
                return Ok(());
            }
            Body::Control(Control::End) => {
                return self.on_channel_end(channel, capability, session);
            }
        }
        send_all(&mut self.outbox, &self.meter, &self.context, session, &capability);
        self.holding = Some(capability);
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

    fn on_barrier(&mut self, channel: usize, barrier: Barrier, capability: InputCapability<Round>) {
        self.aligning_since.get_or_insert_with(Instant::now);
        let decision = self.alignment.on_barrier(channel, barrier);
        // A newer barrier may have given an older snapshot up, whose channels are free then.
        self.inbox.take_up();
        self.follow(decision, Some(capability));
    }

    fn follow(&mut self, decision: Decision, capability: Option<InputCapability<Round>>) {
        if let Decision::Snapshot(barrier) = decision {
            let since = self.aligning_since.take();
            self.last_alignment = since.map(|since| since.elapsed()).unwrap_or_default();
            self.phase = Phase::Flushing { barrier, capability };
        }
    }

    fn on_channel_end(
        &mut self,
        channel: usize,
        capability: InputCapability<Round>,
        session: &mut Session<'_>,
    ) -> UserResult<()> {
        self.ended_channels[channel] = true;
        self.open_channels -= 1;
        let last = self.open_channels == 0;
        let advance = self.watermarks.on_end(channel);
        self.on_advance(advance)?;
        send_all(&mut self.outbox, &self.meter, &self.context, session, &capability);
        let decision = self.alignment.on_end(channel);
        let snapshots = matches!(decision, Decision::Snapshot(_));
        if snapshots {
            self.follow(decision, Some(capability));
        } else if last {
            self.phase = Phase::Ending { capability };
        }
        Ok(())
    }

    fn on_flushing(&mut self, barrier: Barrier, session: &mut Session<'_>) -> UserResult<bool> {
        let readiness = self.chain.poll_flushed()?;
        if !self.is_ready(readiness) {
            return Ok(false);
        }
        if self.chain.must_fire_before(barrier) {
            return self.fire(session);
        }
        let ended = self.open_channels == 0;
        let phase = std::mem::replace(&mut self.phase, Phase::Ended);
        let Phase::Flushing { capability, .. } = phase else { return Ok(false) };
        self.snapshot(barrier, capability.is_none())?;
        self.triggers.retain(|trigger| trigger.checkpoint > barrier.checkpoint);
        self.aborted.retain(|aborted| *aborted >= barrier.checkpoint);
        self.inbox.take_up();
        if let Some(capability) = capability {
            send(Body::Control(Control::Barrier(barrier)), &self.context, session, &capability);
            self.phase = match self.alignment.after_snapshot() {
                Decision::Snapshot(barrier) => {
                    Phase::Flushing { barrier, capability: Some(capability) }
                }
                Decision::Wait => {
                    let ending = ended.then_some(capability);
                    match barrier.kind {
                        BarrierKind::StopWithSavepoint { .. } => {
                            Phase::Stopped { checkpoint: barrier.checkpoint, ending }
                        }
                        _ => running(ending),
                    }
                }
            };
        }
        Ok(true)
    }

    fn on_stopped(&mut self, checkpoint: CheckpointId) -> bool {
        self.meter.pause(Pause::Idle);
        let is_aborted = self.aborted.contains(&checkpoint);
        if is_aborted && let Phase::Stopped { ending, .. } = &mut self.phase {
            self.phase = running(ending.take());
        }
        is_aborted
    }

    fn snapshot(&mut self, barrier: Barrier, finished: bool) -> UserResult<()> {
        let begin = Instant::now();
        let mut links = self.chain.snapshot(barrier)?;
        let reached = Reached { received: self.watermarks.current(), sent: self.outbox.sent };
        reached::keep(reached, &self.context, &mut links)?;
        let alignment = std::mem::take(&mut self.last_alignment);
        let snapshot = TaskSnapshot { barrier, links, sync: begin.elapsed(), alignment, finished };
        self.context.report(self.id, TaskReport::Snapshot(snapshot));
        Ok(())
    }

    fn on_ending(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
        let readiness = self.chain.poll_flushed()?;
        if !self.is_ready(readiness) {
            return Ok(false);
        }
        let is_firing = self.chain.is_firing();
        let trigger = if is_firing { self.next_trigger() } else { None };
        if is_firing && trigger.is_none() {
            return self.fire(session);
        }
        let Phase::Ending { capability } = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return Ok(false);
        };
        if let Some(barrier) = trigger {
            // All channels have ended, but there is more to come of this task, so that those behind
            // it wait for its barrier.
            self.phase = Phase::Flushing { barrier, capability: Some(capability) };
            return Ok(true);
        }
        // The final watermark has come with the end of the last channel.
        self.chain.on_end(&mut self.outbox)?;
        send_all(&mut self.outbox, &self.meter, &self.context, session, &capability);
        send(Body::Control(Control::End), &self.context, session, &capability);
        (self.holding, self.own) = (None, None);
        self.context.report(self.id, TaskReport::InputEnded);
        Ok(true)
    }

    /// Nobody sends barriers any more: the triggers themselves ask for snapshots.
    fn on_ended(&mut self) -> bool {
        self.meter.pause(Pause::Idle);
        if let Some(barrier) = self.next_trigger() {
            self.phase = Phase::Flushing { barrier, capability: None };
            return true;
        }
        false
    }

    /// The next snapshot that nobody sends a barrier for.
    fn next_trigger(&mut self) -> Option<Barrier> {
        while let Some(barrier) = self.triggers.pop_front() {
            if let Decision::Snapshot(barrier) = self.alignment.on_trigger(barrier) {
                return Some(barrier);
            }
        }
        None
    }

    /// Wakes operators whose time has come. Tells whether that had to wait for something, upon which
    /// the task will have a turn.
    fn fire_wakeups(&mut self, session: &mut Session<'_>) -> UserResult<bool> {
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
        let Some(own) = &mut self.own else { return Ok(true) };
        if !own.may_emit() {
            return Ok(true);
        }
        self.chain.on_wakeup(now, &mut self.outbox)?;
        own.send(&mut self.outbox, &self.meter, &self.context, session);
        own.pause();
        Ok(false)
    }

    /// Whether operators may be woken: not in the middle of a snapshot, and not while they are busy
    /// with a watermark. The timers of a job that concludes belong to its savepoint.
    fn may_wake(&self) -> bool {
        !self.context.concludes
            && self.restored_to.is_none()
            && matches!(self.phase, Phase::Running)
            && !self.chain.next_wakeup().is_never()
            && !self.chain.is_firing()
    }

    /// Sees to it that operators are woken when they want to.
    fn set_alarm(&mut self, is_blocked: bool) {
        if !self.may_wake() {
            return;
        }
        let (wakeup, now) = (self.chain.next_wakeup(), self.context.clock.both());
        if is_blocked && wakeup.is_due(now) {
            return;
        }
        if let Some(wait) = wakeup.wait(now) {
            self.alarm.set(wait, Instant::now());
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

/// How a task goes on: with its inputs, or if they have ended with what is left to do.
fn running(ending: Option<InputCapability<Round>>) -> Phase {
    ending.map_or(Phase::Running, |capability| Phase::Ending { capability })
}
