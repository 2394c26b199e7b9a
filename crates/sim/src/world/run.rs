//! One run of the job: the processes of an attempt, and their tasks.

use std::{collections::BTreeMap, ops::Range};

use rand::RngExt;
use tidegate_checkpoint::protocol::{Command, Failure, Report};
use tidegate_types::{
    AttemptId, Barrier, CheckpointId, ErrorKind, Parallelism, ProcessIndex, SubtaskIndex,
};

use super::{Errand, Happening, Work, World};
use crate::{
    process::{Process, TaskId},
    schedule::{Fate, Link},
    store::Transaction,
    task::{Effect, Packet, Part, Source, Task},
};

const SOURCE: usize = 0;
const SINK: usize = 2;
/// Microseconds until a message from a process to one of its tasks arrives.
const MAIL: Range<u64> = 10..2_000;
/// Microseconds until the crash of a process is noticed.
const NOTICE: Range<u64> = 1_000..150_000;

/// The processes and tasks of one attempt.
pub(crate) struct Run {
    /// Tells it apart from the runs of all other attempts and lives.
    pub(crate) id: u64,
    pub(crate) attempt: AttemptId,
    pub(crate) parallelism: Parallelism,
    pub(crate) processes: Vec<Process>,
    pub(crate) sources: Vec<Source>,
    /// The sums, and then the sinks.
    pub(crate) tasks: Vec<Task>,
    /// Channels, by sender and receiver.
    pub(crate) channels: BTreeMap<(TaskId, TaskId), Link>,
    pub(crate) mail: BTreeMap<TaskId, Link>,
    pub(crate) encoders: BTreeMap<TaskId, Link>,
}

impl Run {
    fn process_of(&self, task: TaskId) -> usize {
        task.subtask.get() as usize % self.processes.len()
    }

    fn task(&mut self, id: TaskId) -> &mut Task {
        let index = (id.operator - 1) * self.parallelism.get() as usize;
        &mut self.tasks[index + id.subtask.get() as usize]
    }

    /// Every task of a process.
    fn tasks_of(&self, process: usize) -> Vec<TaskId> {
        let all = (SOURCE..=SINK).flat_map(|operator| {
            self.parallelism.subtasks().map(move |subtask| TaskId { operator, subtask })
        });
        all.filter(|task| self.process_of(*task) == process).collect()
    }
}

impl World {
    /// The running run: work is dropped without one.
    fn running(&mut self) -> &mut Run {
        self.run.as_mut().expect("work is done for the run that runs")
    }

    pub(super) fn later(&mut self, micros: u64, work: Work) {
        let run = self.running().id;
        self.schedule.after(micros, Happening::Work { run, work });
    }

    pub(super) fn on_work(&mut self, work: Work) {
        let process = match &work {
            Work::Poll(task)
            | Work::Trigger(task, _)
            | Work::Aborted(task, _)
            | Work::Completed(task, _)
            | Work::Packet { to: task, .. }
            | Work::Encoded(task, ..)
            | Work::Commit { task, .. } => self.running().process_of(*task),
            Work::Command { process, .. } | Work::FileIsWritten { process, .. } => *process,
            Work::CommitRestored(_) | Work::AbortOthers => 0,
        };
        if !self.running().processes[process].is_alive {
            return;
        }
        match work {
            Work::Poll(task) => self.poll(task),
            Work::Command { process, command } => self.on_command(process, command),
            Work::Trigger(task, barrier) => self.on_trigger(task, barrier),
            Work::Aborted(task, checkpoint) => {
                let source = &mut self.running().sources[task.subtask.get() as usize];
                let effects = source.on_aborted(checkpoint);
                self.carry_out(task, effects);
            }
            Work::Completed(task, checkpoint) => self.on_completed(task, checkpoint),
            Work::Packet { to, channel, packet } => {
                let effects = self.running().task(to).receive(channel, packet);
                self.carry_out(to, effects);
            }
            Work::Encoded(task, checkpoint, part) => self.on_encoded(task, checkpoint, *part),
            Work::FileIsWritten { process, checkpoint } => self.on_written(process, checkpoint),
            Work::Commit { task, checkpoint, transactions } => {
                self.on_commit(task, checkpoint, &transactions);
            }
            Work::CommitRestored(transactions) => self.on_commit_restored(&transactions),
            Work::AbortOthers => self.on_abort_others(),
        }
    }

    fn poll(&mut self, task: TaskId) {
        let run = self.run.as_mut().expect("work is done for the run that runs");
        let source = &mut run.sources[task.subtask.get() as usize];
        let effects = source.poll(&self.scenario.splits, &mut self.schedule.random);
        if !source.has_ended() {
            let micros = self.schedule.random.random_range(self.scenario.source_pace.clone());
            self.later(micros, Work::Poll(task));
        }
        self.carry_out(task, effects);
    }

    fn on_trigger(&mut self, task: TaskId, barrier: Barrier) {
        let effects = if task.operator == SOURCE {
            self.running().sources[task.subtask.get() as usize].on_trigger(barrier)
        } else {
            self.running().task(task).on_trigger(barrier)
        };
        self.carry_out(task, effects);
    }

    fn carry_out(&mut self, task: TaskId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(to, packet) => self.send(task, to, packet),
                Effect::Broadcast(packet) => {
                    for to in 0..self.running().parallelism.get() {
                        self.send(task, to, packet.clone());
                    }
                }
                Effect::Snapshot(checkpoint, part) => {
                    let run = self.run.as_mut().expect("work is done for the run that runs");
                    let link = run.encoders.entry(task).or_default();
                    let arrival = link.arrival(&mut self.schedule, &self.scenario.store);
                    let work = Work::Encoded(task, checkpoint, Box::new(part));
                    self.schedule.at(arrival, Happening::Work { run: run.id, work });
                }
                Effect::Ended => {
                    let process = self.running().process_of(task);
                    let report = self.running().processes[process].on_task_ended();
                    report.into_iter().for_each(|report| self.report(process, report));
                }
            }
        }
    }

    /// Nothing follows the sink.
    fn send(&mut self, from: TaskId, to: u32, packet: Packet) {
        if from.operator == SINK {
            return;
        }
        let run = self.run.as_mut().expect("work is done for the run that runs");
        let to = TaskId { operator: from.operator + 1, subtask: SubtaskIndex(to) };
        let link = run.channels.entry((from, to)).or_default();
        let arrival = link.arrival(&mut self.schedule, &self.scenario.network);
        let channel = from.subtask.get() as usize;
        let work = Work::Packet { to, channel, packet };
        self.schedule.at(arrival, Happening::Work { run: run.id, work });
    }

    /// Tells the coordinator.
    fn report(&mut self, process: usize, report: Report) {
        let Some(life) = self.life.as_ref().map(|life| life.number) else { return };
        let run = self.run.as_mut().expect("work is done for the run that runs");
        if let Report::Acknowledged(ack) = &report {
            self.answered.insert((run.id, process, ack.checkpoint));
        }
        if let Report::Declined { checkpoint, .. } = &report {
            self.answered.insert((run.id, process, *checkpoint));
        }
        let link = &mut run.processes[process].reports;
        let arrival = link.arrival(&mut self.schedule, &self.scenario.network);
        let errand = Errand::Report { run: run.id, report };
        self.schedule.at(arrival, Happening::Errand { life, errand });
    }

    fn on_command(&mut self, process: usize, command: Command) {
        match command {
            Command::Trigger { barrier, target, .. } => {
                let checkpoint = barrier.checkpoint;
                if self.running().processes[process].on_trigger(checkpoint, target) {
                    self.write(process, checkpoint);
                }
                self.mail(process, |task| Some(Work::Trigger(task, barrier)));
            }
            Command::Completed { checkpoint } => {
                let process_state = &mut self.running().processes[process];
                let sinks = process_state.sinks();
                process_state.committing.insert(checkpoint, sinks);
                self.mail(process, |task| {
                    (task.operator == SINK).then_some(Work::Completed(task, checkpoint))
                });
            }
            Command::Aborted { checkpoint } => self.mail(process, |task| {
                (task.operator == SOURCE).then_some(Work::Aborted(task, checkpoint))
            }),
            Command::SavepointCompleted { .. } => {}
            Command::Finish => {
                let index = ProcessIndex(process as u32);
                self.report(process, Report::Closed { process: index });
                self.running().processes[process].is_alive = false;
            }
            // The manager ends the run.
            Command::Cancel => {}
        }
    }

    /// Puts something into the mailboxes of a process's tasks.
    fn mail(&mut self, process: usize, work: impl Fn(TaskId) -> Option<Work>) {
        let run = self.run.as_mut().expect("work is done for the run that runs");
        for task in run.tasks_of(process) {
            if let Some(work) = work(task) {
                let link = run.mail.entry(task).or_default();
                let arrival = link.arrival(&mut self.schedule, &MAIL);
                self.schedule.at(arrival, Happening::Work { run: run.id, work });
            }
        }
    }

    fn on_encoded(&mut self, task: TaskId, checkpoint: CheckpointId, mut part: Part) {
        if let Some((transaction, outputs)) = part.staged.take() {
            // Prepared data stays prepared whatever becomes of the snapshot.
            self.outside.stage(transaction, outputs);
        }
        let fails = self.schedule.fails_to_encode();
        let index = self.running().process_of(task);
        let process = &mut self.running().processes[index];
        if fails {
            let report = process.on_bad_part(checkpoint);
            report.into_iter().for_each(|report| self.report(index, report));
        } else if process.on_part(checkpoint, task, part) {
            self.write(index, checkpoint);
        }
    }

    fn write(&mut self, process: usize, checkpoint: CheckpointId) {
        let micros = self.schedule.latency(&self.scenario.store);
        self.later(micros, Work::FileIsWritten { process, checkpoint });
    }

    fn on_written(&mut self, process: usize, checkpoint: CheckpointId) {
        let fate = self.schedule.fate();
        let write = self.running().processes[process].writing.remove(&checkpoint);
        let write = write.expect("it is written once");
        if fate.takes_effect()
            && let Some((name, bytes)) = write.file
        {
            self.store.write_file(&write.folder, &name, bytes);
        }
        let (index, reason) = (ProcessIndex(process as u32), "the store failed".to_owned());
        self.report(
            process,
            match fate {
                Fate::Success => Report::Acknowledged(write.ack),
                _ => Report::Declined { checkpoint, process: index, reason },
            },
        );
    }

    fn on_completed(&mut self, task: TaskId, checkpoint: CheckpointId) {
        let transactions = self.running().task(task).operator.on_completed(checkpoint);
        let micros = self.schedule.latency(&self.scenario.store);
        self.later(micros, Work::Commit { task, checkpoint, transactions });
    }

    fn on_commit(&mut self, task: TaskId, checkpoint: CheckpointId, transactions: &[Transaction]) {
        if !self.running().task(task).has_recovered() {
            let micros = self.schedule.latency(&self.scenario.store);
            let transactions = transactions.to_vec();
            return self.later(micros, Work::Commit { task, checkpoint, transactions });
        }
        let process = self.running().process_of(task);
        let durable = self.durable.contains(&checkpoint);
        self.demand(durable, || format!("{checkpoint} is committed before it is durable"));
        if !self.commit(process, transactions) {
            return;
        }
        self.running().task(task).operator.on_committed(transactions);
        if self.running().processes[process].on_committed(checkpoint) {
            let index = ProcessIndex(process as u32);
            self.report(process, Report::Committed { checkpoint, process: index });
        }
    }

    /// Commits, or fails the attempt.
    fn commit(&mut self, process: usize, transactions: &[Transaction]) -> bool {
        let fate = self.schedule.fate();
        if fate.takes_effect() {
            for transaction in transactions {
                let result = self.outside.commit(*transaction);
                self.demand_ok(result);
            }
        }
        if fate != Fate::Success {
            self.fail(process, "a commit failed");
        }
        fate == Fate::Success
    }

    fn on_commit_restored(&mut self, transactions: &[Transaction]) {
        if self.commit(0, transactions) {
            let micros = self.schedule.latency(&self.scenario.store);
            self.later(micros, Work::AbortOthers);
        }
    }

    fn on_abort_others(&mut self) {
        let run = self.running().id;
        self.outside.abort_others(run);
        let sink = TaskId { operator: SINK, subtask: SubtaskIndex(0) };
        let effects = self.running().task(sink).on_recovered();
        self.carry_out(sink, effects);
    }

    fn fail(&mut self, process: usize, message: &str) {
        let failure = failure(message);
        let index = ProcessIndex(process as u32);
        self.report(process, Report::Failed { process: index, failure });
    }

    /// A process dies, which somebody notices some time later.
    pub(super) fn crash(&mut self) {
        let Some(run) = &self.run else { return };
        let alive = run.processes.iter().enumerate().filter(|(_, process)| process.is_alive);
        let alive = alive.map(|(index, _)| index).collect::<Vec<_>>();
        if alive.is_empty() {
            return;
        }
        let process = alive[self.schedule.random.random_range(0..alive.len())];
        self.schedule.note(|| format!("CRASH of process {process}"));
        self.end_process(process);
        let Some(life) = self.life.as_ref().map(|life| life.number) else { return };
        let (index, failure) = (ProcessIndex(process as u32), failure("the process is gone"));
        let report = Report::Failed { process: index, failure };
        let micros = self.schedule.latency(&NOTICE);
        let errand = Errand::Report { run: self.running().id, report };
        self.schedule.after(micros, Happening::Errand { life, errand });
    }

    /// What a process was writing has happened, or never will.
    fn end_process(&mut self, process: usize) {
        let process = &mut self.running().processes[process];
        process.is_alive = false;
        for write in std::mem::take(&mut process.writing).into_values() {
            if self.schedule.toss()
                && let Some((name, bytes)) = write.file
            {
                self.store.write_file(&write.folder, &name, bytes);
            }
        }
    }

    /// All processes die.
    pub(super) fn end_run(&mut self) {
        let processes = self.run.as_ref().map_or(0, |run| run.processes.len());
        (0..processes).for_each(|process| self.end_process(process));
        self.run = None;
    }
}

pub(super) fn failure(message: &str) -> Failure {
    let (kind, message) = (ErrorKind::Unavailable, message.to_owned());
    Failure { kind, message, uid: None, subtask: None }
}
