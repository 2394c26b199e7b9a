//! The phases of source and operator tasks under random interleavings.
//!
//! [`Model`] plays a small job, `sources --> operator --> log`, its coordinator, and the mail
//! between them: who hears of what, when, and who has its turn, is drawn. It holds both kinds of
//! tasks to their invariants after each step, and in the end has everything come to its end.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use proptest::prelude::*;
use tidegate_checkpoint::{
    alignment::Guarantee,
    task::{
        Firing, TaskCommand,
        operator::{self, OperatorTask},
        source::{self, SourceTask},
    },
};
use tidegate_types::{Barrier, BarrierKind, CheckpointId};

/// One thing that happens. Numbers pick among what is there.
#[derive(Clone, Debug)]
enum Step {
    Trigger(BarrierKind),
    /// The latest stop has failed.
    Abort,
    /// A task hears of the next thing that it was told.
    Hear(usize),
    /// A source has its turn; it may come to its end.
    Source {
        pick: usize,
        ends: bool,
    },
    /// The operator has its turn; it takes from that channel, if it takes.
    Operator {
        pick: usize,
    },
    /// A watermark sets something off in a task.
    SetOff {
        pick: usize,
        count: usize,
        records: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packet {
    Record,
    Barrier(Barrier),
    End,
}

/// What operators have left to do.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    count: usize,
    records: bool,
}

impl Left {
    fn firing(self) -> Firing {
        Firing { any: self.count > 0, records: self.count > 0 && self.records }
    }

    fn fire(&mut self) {
        self.count -= 1;
    }
}

/// What a task has sent, and what it was told.
#[derive(Debug, Default)]
struct Log {
    sent: Vec<Packet>,
    snapshots: Vec<u64>,
    mail: VecDeque<TaskCommand>,
    heard: BTreeSet<u64>,
    left: Left,
}

impl Log {
    /// Behind which stop this task holds still, as far as it has heard.
    fn stopped_behind(&self) -> Option<u64> {
        match self.sent.last() {
            Some(Packet::Barrier(Barrier {
                checkpoint,
                kind: BarrierKind::StopWithSavepoint { .. },
            })) if !self.heard.contains(&checkpoint.get()) => Some(checkpoint.get()),
            _ => None,
        }
    }

    /// INV-STOPPED, INV-SEALED
    fn send(&mut self, packet: Packet) {
        assert!(!self.sent.contains(&Packet::End), "INV-SEALED: {packet:?}");
        // A later barrier tells that the stop has failed, ahead of the mail.
        let stopped = self.stopped_behind().filter(|_| !matches!(packet, Packet::Barrier(_)));
        assert_eq!(stopped, None, "INV-STOPPED: {packet:?}");
        self.sent.push(packet);
    }

    fn snapshot(&mut self, barrier: Barrier, finished: bool) {
        let id = barrier.checkpoint.get();
        assert!(self.snapshots.last() < Some(&id), "{id} after {:?}", self.snapshots);
        assert_eq!(finished, self.sent.contains(&Packet::End), "INV-BARRIER");
        let drains = barrier.kind == BarrierKind::StopWithSavepoint { drain: true };
        let firing = self.left.firing();
        assert!(!(firing.records || drains && firing.any), "INV-CUT: {barrier:?}, {firing:?}");
        self.snapshots.push(id);
        if !finished {
            self.send(Packet::Barrier(barrier));
        }
    }
}

struct Source {
    task: SourceTask,
    log: Log,
    has_ended: bool,
    has_drained: bool,
}

impl Source {
    fn run(&mut self, ends: bool) {
        match self.task.turn() {
            source::Turn::Emit => {
                assert!(!self.has_ended, "INV-SEALED: the source has ended");
                self.has_ended = ends;
                if self.log.left.count > 0 {
                    self.log.left.fire();
                }
                self.log.send(Packet::Record);
                if ends {
                    self.task.on_source_end();
                }
            }
            source::Turn::Flush => self.flush(),
            source::Turn::HoldStill => assert!(self.log.stopped_behind().is_some()),
            source::Turn::Rest => assert_eq!(self.log.sent.last(), Some(&Packet::End)),
        }
    }

    fn flush(&mut self) {
        match self.task.on_flushed(self.log.left.firing()) {
            source::Flushed::FinalWatermark => {
                assert!(!self.has_drained, "INV-DRAIN");
                self.has_drained = true;
                self.log.left.count += 2;
            }
            source::Flushed::Fire => {
                self.log.left.fire();
                self.log.send(Packet::Record);
            }
            source::Flushed::Again => {}
            source::Flushed::Snapshot { barrier, finished } => {
                let drains = barrier.kind == BarrierKind::StopWithSavepoint { drain: true };
                assert!(self.has_drained || !drains, "INV-DRAIN");
                self.log.snapshot(barrier, finished);
                self.task.on_snapshot();
            }
            source::Flushed::End => {
                assert!(self.has_drained && self.log.left.count == 0, "INV-DRAIN");
                self.log.send(Packet::End);
                self.task.on_end_sent();
            }
        }
    }
}

struct Operator {
    task: OperatorTask<Rc<()>>,
    log: Log,
    capability: Rc<()>,
    /// How much of each channel's was taken in.
    taken: Vec<usize>,
    /// By snapshot, the same as it was then.
    cuts: BTreeMap<u64, Vec<usize>>,
}

impl Operator {
    fn run(&mut self, channel: usize, packet: Option<Packet>) {
        match self.task.turn() {
            operator::Turn::TakeIn => self.take_in(channel, packet),
            operator::Turn::Flush => self.flush(),
            operator::Turn::HoldStill => {
                let ended = self.log.sent.last() == Some(&Packet::End);
                assert!(ended || self.log.stopped_behind().is_some(), "it holds still for nothing");
            }
        }
        let held = Rc::strong_count(&self.capability) > 1;
        let ended = self.log.sent.contains(&Packet::End);
        assert!(!held || !(self.task.is_running() || ended), "it holds what it does not need");
    }

    fn take_in(&mut self, channel: usize, packet: Option<Packet>) {
        assert_eq!(self.log.stopped_behind(), None, "INV-STOPPED");
        let Some(packet) = packet.filter(|_| !self.task.is_blocked(channel)) else { return };
        self.taken[channel] += 1;
        let capability = Rc::clone(&self.capability);
        match packet {
            Packet::Record => self.log.send(packet),
            Packet::Barrier(barrier) => {
                self.task.on_barrier(channel, barrier, capability);
            }
            Packet::End => {
                self.task.on_channel_end(channel, capability);
            }
        }
    }

    fn flush(&mut self) {
        match self.task.on_flushed(self.log.left.firing()) {
            operator::Flushed::Fire => {
                self.log.left.fire();
                self.log.send(Packet::Record);
            }
            operator::Flushed::Again => {}
            operator::Flushed::Snapshot { barrier, finished } => {
                assert_eq!(self.task.origin().is_none(), finished, "INV-BARRIER");
                self.log.snapshot(barrier, finished);
                self.cuts.insert(barrier.checkpoint.get(), self.taken.clone());
                self.task.on_snapshot();
            }
            operator::Flushed::End => {
                assert!(self.task.origin().is_some(), "INV-SEALED");
                assert_eq!(self.log.left.count, 0, "INV-SEALED");
                self.log.send(Packet::End);
                self.task.on_end_sent();
            }
        }
    }
}

struct Model {
    guarantee: Guarantee,
    sources: Vec<Source>,
    operator: Operator,
    next: u64,
    /// A stop that has not failed yet: nothing is triggered behind it.
    stop: Option<u64>,
}

impl Model {
    fn new(sources: usize, guarantee: Guarantee) -> Self {
        let source = |_| Source {
            task: SourceTask::new(false),
            log: Log::default(),
            has_ended: false,
            has_drained: false,
        };
        let operator = Operator {
            task: OperatorTask::new(sources, guarantee),
            log: Log::default(),
            capability: Rc::new(()),
            taken: vec![0; sources],
            cuts: BTreeMap::new(),
        };
        let sources = (0..sources).map(source).collect();
        Self { guarantee, sources, operator, next: 1, stop: None }
    }

    fn logs(&mut self) -> impl Iterator<Item = &mut Log> {
        let operator = &mut self.operator.log;
        self.sources.iter_mut().map(|source| &mut source.log).chain([operator])
    }

    fn log(&mut self, pick: usize) -> &mut Log {
        let index = pick % (self.sources.len() + 1);
        self.logs().nth(index).expect("it is one of them")
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Trigger(kind) if self.stop.is_none() => self.trigger(kind),
            Step::Trigger(_) => {}
            Step::Abort => self.abort(),
            Step::Hear(pick) => self.hear(pick),
            Step::Source { pick, ends } => {
                let index = pick % self.sources.len();
                self.sources[index].run(ends);
            }
            Step::Operator { pick } => self.run_operator(pick % self.sources.len()),
            Step::SetOff { pick, count, records } => {
                let log = self.log(pick);
                if !log.sent.contains(&Packet::End) && log.stopped_behind().is_none() {
                    log.left = Left { count, records };
                }
            }
        }
    }

    fn trigger(&mut self, kind: BarrierKind) {
        let barrier = Barrier { checkpoint: CheckpointId(self.next), kind };
        if matches!(kind, BarrierKind::StopWithSavepoint { .. }) {
            self.stop = Some(self.next);
        }
        self.next += 1;
        self.logs().for_each(|log| log.mail.push_back(TaskCommand::Trigger(barrier)));
    }

    fn abort(&mut self) {
        let Some(id) = self.stop.take() else { return };
        let aborted = TaskCommand::Aborted(CheckpointId(id));
        self.logs().for_each(|log| log.mail.push_back(aborted));
    }

    fn hear(&mut self, pick: usize) {
        let log = self.log(pick);
        let Some(command) = log.mail.pop_front() else { return };
        if let TaskCommand::Aborted(checkpoint) = command {
            log.heard.insert(checkpoint.get());
        }
        let index = pick % (self.sources.len() + 1);
        match self.sources.get_mut(index) {
            Some(source) => source.task.on_command(command),
            None => self.operator.task.on_command(command),
        }
    }

    fn run_operator(&mut self, channel: usize) {
        let packet = self.sources[channel].log.sent.get(self.operator.taken[channel]).copied();
        self.operator.run(channel, packet);
        self.check_cuts();
    }

    /// INV-CUT: a snapshot holds what precedes its barrier on every channel.
    fn check_cuts(&self) {
        for (id, taken) in &self.operator.cuts {
            for (source, taken) in self.sources.iter().zip(taken) {
                let sent = &source.log.sent;
                let precedes = |packet: &&Packet| match packet {
                    Packet::Barrier(barrier) => barrier.checkpoint.get() < *id,
                    Packet::Record | Packet::End => true,
                };
                // The barrier itself was taken in too, if there was one.
                let preceding = sent.iter().take_while(precedes).count();
                let with_barrier = preceding + usize::from(preceding < sent.len());
                let exact = self.guarantee == Guarantee::ExactlyOnce;
                let has_barrier = sent.get(preceding).is_some_and(
                    |packet| matches!(packet, Packet::Barrier(one) if one.checkpoint.get() == *id),
                );
                let least = if has_barrier { with_barrier } else { preceding };
                assert!(*taken >= least, "INV-CUT: {id} holds {taken} of {least}: {sent:?}");
                assert!(!exact || *taken == least, "INV-CUT: {id} holds {taken}, not {least}");
            }
        }
    }

    /// Everything comes to its end, and nothing is left out.
    fn wind_up(&mut self) {
        self.abort();
        let tasks = self.sources.len() + 1;
        for _ in 0..10_000 {
            (0..tasks).for_each(|task| self.hear(task));
            self.sources.iter_mut().for_each(|source| source.run(true));
            (0..tasks - 1).for_each(|channel| self.run_operator(channel));
            let ended =
                |log: &mut Log| log.mail.is_empty() && log.sent.last() == Some(&Packet::End);
            if self.logs().all(ended) {
                break;
            }
        }
        // One more turn each, for the triggers that were heard last.
        for _ in 0..2 * self.next {
            self.sources.iter_mut().for_each(|source| source.run(true));
            self.run_operator(0);
        }
        let all = (1..self.next).collect::<Vec<_>>();
        for log in self.logs() {
            assert_eq!(log.sent.last(), Some(&Packet::End), "it is stuck");
            assert_eq!(log.snapshots, all, "INV-TRIGGER");
            let barriers = log.sent.iter().filter(|packet| matches!(packet, Packet::Barrier(_)));
            assert!(barriers.count() <= all.len(), "INV-BARRIER");
        }
    }
}

fn kind() -> impl Strategy<Value = BarrierKind> {
    prop_oneof![
        6 => Just(BarrierKind::Checkpoint),
        2 => Just(BarrierKind::Savepoint),
        2 => any::<bool>().prop_map(|drain| BarrierKind::StopWithSavepoint { drain }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let pick = || 0..12_usize;
    prop_oneof![
        4 => kind().prop_map(Step::Trigger),
        2 => Just(Step::Abort),
        16 => pick().prop_map(Step::Hear),
        16 => (pick(), prop::bool::weighted(0.05))
            .prop_map(|(pick, ends)| Step::Source { pick, ends }),
        30 => pick().prop_map(|pick| Step::Operator { pick }),
        2 => (pick(), 1..4_usize, any::<bool>())
            .prop_map(|(pick, count, records)| Step::SetOff { pick, count, records }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_invariants_hold_whatever_happens(
        sources in 1..4_usize,
        exactly_once in any::<bool>(),
        steps in prop::collection::vec(step(), 0..250),
    ) {
        let guarantee =
            if exactly_once { Guarantee::ExactlyOnce } else { Guarantee::AtLeastOnce };
        let mut model = Model::new(sources, guarantee);
        steps.into_iter().for_each(|step| model.take(step));
        model.wind_up();
    }
}
