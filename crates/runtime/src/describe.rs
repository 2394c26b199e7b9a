//! A job without its code: what a JobManager has to know of it to run it in other processes.

use serde::{Deserialize, Serialize};
use tidegate_core::plan::DeclareState;
use tidegate_state::StateDeclaration;
use tidegate_types::{
    JobId, MaxParallelism, OperatorUid, Parallelism, UserResult, error::chain as chain_of,
    options::OptionValues,
};

use crate::graph::{Task, TaskId};

/// A job as its own binary describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDescription {
    /// What a person calls it.
    pub name: String,
    /// What its snapshots are found by.
    pub id: JobId,
    /// How many subtasks each operator has, unless the JobManager says otherwise.
    pub parallelism: Parallelism,
    /// How many key groups, `None` for the snapshot's or Flink's default.
    pub max_parallelism: Option<MaxParallelism>,
    /// Every option that is set: by the program, in its files, on its command line.
    pub configuration: OptionValues,
    /// Its operators, chained into tasks.
    pub plan: JobPlan,
}

/// The tasks of a job, inputs before consumers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// The tasks.
    pub tasks: Vec<TaskDescription>,
    /// Alike for two plans if and only if they have the same operators, uids, streams and record
    /// types.
    pub fingerprint: String,
}

/// Operators that run chained, as one task (Flink's job vertex).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDescription {
    /// What a person calls it: `source -> map -> filter`.
    pub name: String,
    /// Whether it begins with a source.
    pub is_source: bool,
    /// Its operators, in order.
    pub operators: Vec<OperatorDescription>,
    /// The streams into it.
    pub inputs: Vec<InputDescription>,
}

/// An operator of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorDescription {
    /// What its state is found by.
    pub uid: OperatorUid,
    /// What a person calls it.
    pub name: String,
    /// What the program says about its state.
    #[serde(default)]
    pub state: StateDeclaration,
    /// Whether it makes something visible outside when a snapshot is complete.
    #[serde(default)]
    pub commits: bool,
}

/// A stream into a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputDescription {
    /// The task that it comes from, by its place among the tasks.
    pub from: usize,
    /// How records find their subtask: `forward`, `hash`, `rebalance` or `broadcast`.
    pub partitioning: String,
}

impl JobPlan {
    pub(crate) fn of(tasks: Vec<Task>, fingerprint: String) -> UserResult<Self> {
        let tasks = tasks.into_iter().map(describe).collect::<UserResult<_>>()?;
        Ok(Self { tasks, fingerprint })
    }

    /// All operators, in the order of their tasks.
    pub fn operators(&self) -> impl Iterator<Item = &OperatorDescription> {
        self.tasks.iter().flat_map(|task| &task.operators)
    }

    /// The operators that make something visible outside when a snapshot is complete, so that going
    /// back behind one would do so twice.
    pub fn committing(&self) -> impl Iterator<Item = &OperatorUid> {
        self.operators().filter(|operator| operator.commits).map(|operator| &operator.uid)
    }
}

type Link = (OperatorUid, String, bool, Option<DeclareState>);

fn describe(task: Task) -> UserResult<TaskDescription> {
    let name = task.name();
    let (is_source, source) = (task.source.is_some(), task.source);
    let source = source.map(|link| (link.uid, link.name, link.commits, link.state));
    let chain = task.chain.into_iter();
    let chain = chain.map(|link| (link.uid, link.name, link.commits, link.state));
    let operator = |(uid, name, commits, state): Link| {
        let state = state.map(|declare| declare()).transpose();
        let state = state.map_err(|error| format!("operator `{uid}`: {}", chain_of(&*error)))?;
        Ok(OperatorDescription { uid, name, state: state.unwrap_or_default(), commits })
    };
    let inputs = task.inputs.iter().map(|input| {
        let TaskId(from) = input.from;
        InputDescription { from, partitioning: input.partitioning.name().to_owned() }
    });
    Ok(TaskDescription {
        name,
        is_source,
        operators: source.into_iter().chain(chain).map(operator).collect::<UserResult<_>>()?,
        inputs: inputs.collect(),
    })
}
