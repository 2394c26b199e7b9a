//! How many subtasks a job may have.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{Path, State},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_types::Parallelism;

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, Empty, body, job},
    plan::vertex_id,
};
use crate::scheduler::Requirements;

/// By task, how many subtasks it may have; the same for all tasks of a job.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct ResourceRequirements(BTreeMap<String, VertexRequirements>);

/// How many subtasks a task may have.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct VertexRequirements {
    parallelism: Bounds,
}

/// At least, and at most.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bounds {
    #[schemars(range(min = 1, max = 32768))]
    lower_bound: u32,
    #[schemars(range(min = 1, max = 32768))]
    upper_bound: u32,
}

pub(super) async fn requirements(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> ApiResult<ResourceRequirements> {
    let view = job(&api.dispatcher, &id)?;
    let Requirements { lower, upper } = view.requirements;
    let bounds = Bounds { lower_bound: lower.get(), upper_bound: upper.get() };
    let of = |task| (vertex_id(task), VertexRequirements { parallelism: bounds });
    Ok(Answer::ok(ResourceRequirements(view.description.plan.tasks.iter().map(of).collect())))
}

pub(super) async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> ApiResult<Empty> {
    let view = job(&api.dispatcher, &id)?;
    let name = "JobResourceRequirementsBody";
    let ResourceRequirements(asked) = body(&bytes, name)?;
    let tasks = view.description.plan.tasks.iter().map(vertex_id).collect::<Vec<_>>();
    if let Some(unknown) = asked.keys().find(|vertex| !tasks.contains(vertex)) {
        return Err(ApiError::bad_request(format!("JobVertex {unknown} not found in job {id}")));
    }
    let mut bounds = asked.values().map(|vertex| vertex.parallelism);
    let Some(first) = bounds.next() else {
        return Err(ApiError::bad_request("no bounds are given: name each vertex of the job"));
    };
    if asked.len() != tasks.len() || bounds.any(|other| other != first) {
        return Err(ApiError::bad_request(
            "every vertex of a job has the same parallelism: give all of them the same bounds",
        ));
    }
    let (Some(lower), Some(upper)) =
        (Parallelism::new(first.lower_bound), Parallelism::new(first.upper_bound))
    else {
        return Err(ApiError::bad_request("a bound is 0, and a job has at least one subtask"));
    };
    api.dispatcher.rescale(view.id, Requirements { lower, upper }).await?;
    Ok(Answer::ok(Empty {}))
}
