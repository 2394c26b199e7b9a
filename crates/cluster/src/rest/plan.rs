//! Jobs as graphs of tasks.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tidegate_runtime::{JobDescription, JobPlan, TaskDescription};
use tidegate_types::{JobId, Parallelism};

use super::answer::HexId;
use crate::dispatcher::JobView;

/// A plan, alone.
#[derive(Serialize, JsonSchema)]
pub(super) struct PlanAnswer {
    pub(super) plan: Plan,
}

/// The tasks of a job.
#[derive(Serialize, JsonSchema)]
pub(super) struct Plan {
    #[schemars(with = "HexId")]
    jid: String,
    name: String,
    r#type: &'static str,
    nodes: Vec<Node>,
}

/// A task.
#[derive(Serialize, JsonSchema)]
struct Node {
    #[schemars(with = "HexId")]
    id: String,
    parallelism: u32,
    operator: &'static str,
    operator_strategy: &'static str,
    /// Its operators.
    description: String,
    optimizer_properties: Map<String, Value>,
    inputs: Vec<Input>,
}

/// A stream into a task.
#[derive(Serialize, JsonSchema)]
struct Input {
    num: usize,
    #[schemars(with = "HexId")]
    id: String,
    ship_strategy: String,
    exchange: &'static str,
}

/// A task's id, which stays the same as long as the uid of its first operator does.
pub(super) fn vertex_id(task: &TaskDescription) -> String {
    let uid = task.operators.first().map(|operator| operator.uid.to_string());
    JobId::from_name(&uid.unwrap_or_default()).to_string()
}

impl Plan {
    fn new(id: JobId, name: &str, plan: &JobPlan, parallelism: Parallelism) -> Self {
        let input = |(num, input): (usize, &tidegate_runtime::InputDescription)| Input {
            num,
            id: plan.tasks.get(input.from).map(vertex_id).unwrap_or_default(),
            ship_strategy: input.partitioning.to_uppercase(),
            exchange: "pipelined_bounded",
        };
        let node = |task: &TaskDescription| Node {
            id: vertex_id(task),
            parallelism: parallelism.get(),
            operator: "",
            operator_strategy: "",
            description: task.name.clone(),
            optimizer_properties: Map::new(),
            inputs: task.inputs.iter().enumerate().map(input).collect(),
        };
        Self {
            jid: id.to_string(),
            name: name.to_owned(),
            r#type: "STREAMING",
            nodes: plan.tasks.iter().map(node).collect(),
        }
    }

    /// Of a job that has not been submitted.
    pub(super) fn of(description: &JobDescription) -> Self {
        let JobDescription { id, name, plan, parallelism, .. } = description;
        Self::new(*id, name, plan, *parallelism)
    }

    /// Of a job that has.
    pub(super) fn of_job(view: &JobView) -> Self {
        Self::new(view.id, &view.name, &view.description.plan, view.stats.parallelism)
    }
}
