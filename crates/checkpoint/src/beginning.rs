//! How an attempt begins: nobody emits or commits before everybody has what they take over.
//!
//! ```text
//!   worker --restored--> [Beginning] --Restored--> [coordinator: Roll] --Begin--> [Beginning] --> workers
//!          --duty------>     |  one per process                                       |
//!                            +---- kept until Begin ------------------------------> duties
//! ```
//!
//! # Protocol
//!
//! Each worker decodes what its subtasks take over while it builds its dataflow, and then says so;
//! it does not step that before it is told to begin. A process reports ([`Report::Restored`]) once all
//! of its workers have, the coordinator tells all processes to begin ([`Command::Begin`]) once all of
//! these have. What operators begin while they are built (a sink commits what the snapshot holds for
//! it) is kept until then, and is never begun if the attempt ends before.
//!
//! [`Command::Begin`]: crate::protocol::Command::Begin
//!
//! # Invariants
//!
//! - INV-BEGIN: no subtask of an attempt emits, and none commits, before all subtasks of all of its
//!   processes have decoded what they take over: a block that is damaged is found before anything
//!   has come of the snapshot it is in.
//! - INV-BEGUN: an attempt is told to begin once, and never when a process of it has failed.
//!
//! # Failure
//!
//! Who fails to decode says that instead, and so ends the attempt; who dies is noticed by the end of
//! its connection. Nobody waits here for anybody else than the coordinator, whose loss ends a
//! process. A second report, one by somebody who is not called, and one of an earlier attempt
//! (INV-FENCE) change nothing.

use std::collections::BTreeSet;

use tidegate_types::{ProcessIndex, SubtaskIndex};

use crate::protocol::Report;

/// Those of whom all have to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll<T> {
    missing: BTreeSet<T>,
}

impl<T: Ord> Roll<T> {
    /// Nobody of these is ready yet.
    #[must_use]
    pub fn of(all: impl IntoIterator<Item = T>) -> Self {
        Self { missing: all.into_iter().collect() }
    }

    /// Somebody is ready; tells whether that was the last one who was missing.
    pub fn ready(&mut self, who: &T) -> bool {
        self.missing.remove(who) && self.missing.is_empty()
    }
}

/// What a process hears before its attempt has begun, and may hear later. `D` is what an operator has
/// begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<D> {
    /// All subtasks of that worker have what they take over.
    Restored(SubtaskIndex),
    /// An operator has something that is to be run to its end.
    Duty(D),
    /// The coordinator says that all processes are ready.
    Begin,
}

/// What it does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<D> {
    /// Tell the coordinator.
    Report(Report),
    /// Let the workers step.
    Begin,
    /// Run it.
    Run(D),
}

/// How far a process has come with beginning.
#[derive(Clone, Debug)]
pub struct Beginning<D> {
    process: ProcessIndex,
    phase: Phase<D>,
}

#[derive(Clone, Debug)]
enum Phase<D> {
    /// Workers restore, or wait for those of other processes. What operators have begun is kept.
    Waiting { workers: Roll<SubtaskIndex>, duties: Vec<D> },
    /// The attempt has begun.
    Begun,
}

impl<D> Beginning<D> {
    /// For a process with these workers, of which there is at least one.
    #[must_use]
    pub fn new(process: ProcessIndex, workers: impl IntoIterator<Item = SubtaskIndex>) -> Self {
        let workers = Roll::of(workers);
        Self { process, phase: Phase::Waiting { workers, duties: Vec::new() } }
    }

    /// Takes in one event and tells what to do.
    pub fn step(&mut self, event: Event<D>) -> Vec<Action<D>> {
        match (event, &mut self.phase) {
            (Event::Restored(worker), Phase::Waiting { workers, .. }) => {
                let process = self.process;
                let last = workers.ready(&worker);
                last.then_some(Action::Report(Report::Restored { process })).into_iter().collect()
            }
            (Event::Duty(duty), Phase::Waiting { duties, .. }) => {
                duties.push(duty);
                Vec::new()
            }
            (Event::Duty(duty), Phase::Begun) => vec![Action::Run(duty)],
            (Event::Begin, Phase::Waiting { duties, .. }) => {
                let duties = std::mem::take(duties);
                self.phase = Phase::Begun;
                std::iter::once(Action::Begin).chain(duties.into_iter().map(Action::Run)).collect()
            }
            (Event::Restored(_) | Event::Begin, Phase::Begun) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
