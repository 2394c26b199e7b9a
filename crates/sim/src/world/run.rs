//! One run of the job: the processes of an attempt, and their tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use rand::RngExt;
use tidegate_checkpoint::{
    beginning,
    gathering::Target,
    protocol::{Command, Failure, Report},
    task::TaskCommand,
};
use tidegate_types::{AttemptId, CheckpointId, ErrorKind, Parallelism, ProcessIndex, SubtaskIndex};

use super::{Errand, Happening, Work, World};
use crate::{
    process::{Action, Event, Process, TaskId},
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
    /// Whether its sources hold still.
    pub(crate) concludes: bool,
    pub(crate) processes: Vec<Process>,
    /// The workers that have what their subtasks take over.
    pub(crate) restored: BTreeSet<SubtaskIndex>,
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
            | Work::Told(task, _)
            | Work::Packet { to: task, .. }
            | Work::Staged(task, ..)
            | Work::Encoded(task, ..)
            | Work::Commit { task, .. } => self.running().process_of(*task),
            Work::Command { process, .. } | Work::FileIsWritten { process, .. } => *process,
            Work::Restored(subtask) => subtask.get() as usize % self.running().processes.len(),
            Work::CommitRestored(_) | Work::AbortOthers => 0,
        };
        if !self.running().processes[process].is_alive {
            return;
        }
        if let Work::Packet { .. } = &work
            && !self.running().processes[process].has_begun
        {
            return self.running().processes[process].waiting.push(work);
        }
        match work {
            Work::Restored(subtask) => self.on_restored(process, subtask),
            Work::Poll(task) => self.poll(task),
            Work::Command { process, command } => self.on_command(process, command),
            Work::Told(task, command) => self.on_told(task, command),
            Work::Packet { to, channel, packet } => {
                let effects = self.running().task(to).receive(channel, packet);
                self.carry_out(to, effects);
            }
            // Prepared data stays prepared whatever becomes of the snapshot.
            Work::Staged(_, transaction, outputs) => self.outside.stage(transaction, outputs),
            Work::Encoded(task, checkpoint, part) => self.on_encoded(task, checkpoint, *part),
            Work::FileIsWritten { process, checkpoint } => self.on_written(process, checkpoint),
            Work::Commit { task, checkpoint, transactions } => {
                self.on_commit(task, checkpoint, &transactions);
            }
            Work::CommitRestored(transactions) => self.on_commit_restored(&transactions),
            Work::AbortOthers => self.on_abort_others(),
        }
    }

    /// A worker has read what its subtasks take over, or could not.
    fn on_restored(&mut self, process: usize, subtask: SubtaskIndex) {
        if self.schedule.fate() == Fate::Success {
            self.running().restored.insert(subtask);
            self.begin(process, beginning::Event::Restored(subtask));
        } else {
            self.fail(process, "what a subtask takes over can't be read");
        }
    }

    /// Tells a process of something that has to do with the beginning, and does what it wants done.
    pub(super) fn begin(&mut self, process: usize, event: beginning::Event<Vec<Transaction>>) {
        for action in self.running().processes[process].beginning.step(event) {
            match action {
                beginning::Action::Report(report) => self.report(process, report),
                beginning::Action::Begin => self.on_begun(process),
                beginning::Action::Run(transactions) => {
                    let micros = self.schedule.latency(&self.scenario.store);
                    self.later(micros, Work::CommitRestored(transactions));
                }
            }
        }
    }

    fn on_begun(&mut self, process: usize) {
        let run = self.running();
        let missing = run.parallelism.subtasks().find(|subtask| !run.restored.contains(subtask));
        let is_held = run.concludes;
        let sources = run.tasks_of(process).into_iter().filter(|task| task.operator == SOURCE);
        let sources = sources.collect::<Vec<_>>();
        run.processes[process].has_begun = true;
        let waiting = std::mem::take(&mut run.processes[process].waiting);
        self.demand(missing.is_none(), || format!("INV-BEGIN: subtask {missing:?} restores yet"));
        for task in sources.into_iter().filter(|_| !is_held) {
            let micros = self.schedule.latency(&self.scenario.network);
            self.later(micros, Work::Poll(task));
        }
        waiting.into_iter().for_each(|work| self.on_work(work));
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

    fn on_told(&mut self, task: TaskId, command: TaskCommand) {
        let effects = if task.operator == SOURCE {
            self.running().sources[task.subtask.get() as usize].on_command(command)
        } else {
            self.running().task(task).on_command(command)
        };
        self.carry_out(task, effects);
        if let TaskCommand::Completed(checkpoint) = command {
            self.on_completed(task, checkpoint);
        }
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
                Effect::Snapshot(checkpoint, mut part) => {
                    if let Some((transaction, outputs)) = part.staged.take() {
                        self.encoder_does(task, Work::Staged(task, transaction, outputs));
                    }
                    let process = self.running().process_of(task);
                    self.gather(process, Event::Part(checkpoint, (task, part)));
                }
                Effect::Ended => {
                    let process = self.running().process_of(task);
                    self.gather(process, Event::InputEnded(task.operator, task.subtask));
                }
            }
        }
    }

    /// Has something done off the task's thread, behind what was begun there before.
    fn encoder_does(&mut self, task: TaskId, work: Work) {
        let run = self.run.as_mut().expect("work is done for the run that runs");
        let link = run.encoders.entry(task).or_default();
        let arrival = link.arrival(&mut self.schedule, &self.scenario.store);
        self.schedule.at(arrival, Happening::Work { run: run.id, work });
    }

    /// Tells a process of something, and does what it wants done.
    fn gather(&mut self, process: usize, event: Event) {
        for action in self.running().processes[process].gathering.step(event) {
            match action {
                Action::Tell(command) => self.tell(process, command),
                Action::Encode { checkpoint, part: (task, part), .. } => {
                    self.encoder_does(task, Work::Encoded(task, checkpoint, Box::new(part)));
                }
                Action::Write { checkpoint, target, parts } => {
                    self.running().processes[process].write(checkpoint, target.folder, parts);
                    let micros = self.schedule.latency(&self.scenario.store);
                    self.later(micros, Work::FileIsWritten { process, checkpoint });
                }
                Action::Report(report) => self.report(process, report),
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
        let event = match command {
            Command::Begin => return self.begin(process, beginning::Event::Begin),
            Command::Trigger { barrier, target, form } => {
                Event::Triggered { barrier, target: Target { folder: target, form } }
            }
            Command::Completed { checkpoint } => Event::Completed(checkpoint),
            Command::SavepointCompleted { checkpoint } => Event::SavepointCompleted(checkpoint),
            Command::Aborted { checkpoint } => Event::Aborted(checkpoint),
            Command::Finish => {
                let index = ProcessIndex(process as u32);
                self.report(process, Report::Closed { process: index });
                self.running().processes[process].is_alive = false;
                return;
            }
            // The manager ends the run.
            Command::Cancel => return,
        };
        self.gather(process, event);
    }

    /// Puts something into the mailboxes of a process's tasks.
    fn tell(&mut self, process: usize, command: TaskCommand) {
        let run = self.run.as_mut().expect("work is done for the run that runs");
        for task in run.tasks_of(process) {
            let arrival = run.mail.entry(task).or_default().arrival(&mut self.schedule, &MAIL);
            let work = Work::Told(task, command);
            self.schedule.at(arrival, Happening::Work { run: run.id, work });
        }
    }

    fn on_encoded(&mut self, task: TaskId, checkpoint: CheckpointId, part: Part) {
        let process = self.running().process_of(task);
        let event = if self.schedule.fails_to_encode() {
            Event::NotEncoded(checkpoint, "a part can't be encoded".to_owned())
        } else {
            Event::Encoded(checkpoint, (task, part))
        };
        self.gather(process, event);
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
        let result = match fate {
            Fate::Success => Ok(write.ack),
            _ => Err("the store failed".to_owned()),
        };
        self.gather(process, Event::Written(checkpoint, result));
    }

    fn on_completed(&mut self, task: TaskId, checkpoint: CheckpointId) {
        let process = self.running().process_of(task);
        let commits = usize::from(task.operator == SINK);
        self.gather(process, Event::Commits(checkpoint, commits));
        if task.operator == SINK {
            let transactions = self.running().task(task).operator.on_completed(checkpoint);
            let micros = self.schedule.latency(&self.scenario.store);
            self.later(micros, Work::Commit { task, checkpoint, transactions });
        }
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
        self.gather(process, Event::CommitDone(checkpoint));
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
