//! Jobs: what there is, how they are, cancelling.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_runtime::{JobStatus, TaskDescription};
use tidegate_types::{JobId, Timestamp};

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, job, job_id},
    throwable::failure_cause,
};
use crate::dispatcher::{Cancellation, JobView};

/// Flink's states of a job.
const JOB_STATES: [&str; 11] = [
    "INITIALIZING",
    "CREATED",
    "RUNNING",
    "FAILING",
    "FAILED",
    "CANCELLING",
    "CANCELED",
    "FINISHED",
    "RESTARTING",
    "SUSPENDED",
    "RECONCILING",
];
/// Flink's states of a subtask.
const TASK_STATES: [&str; 10] = [
    "CREATED",
    "SCHEDULED",
    "DEPLOYING",
    "INITIALIZING",
    "RUNNING",
    "FINISHED",
    "CANCELING",
    "CANCELED",
    "FAILED",
    "RECONCILING",
];

pub(super) fn state_name(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Initializing => "INITIALIZING",
        JobStatus::Running => "RUNNING",
        JobStatus::Restarting => "RESTARTING",
        JobStatus::Cancelling => "CANCELLING",
        JobStatus::Canceled => "CANCELED",
        JobStatus::Failed => "FAILED",
        JobStatus::Finished => "FINISHED",
    }
}

/// The state that all subtasks of a job are in.
fn task_state(view: &JobView) -> &'static str {
    match view.status {
        JobStatus::Initializing | JobStatus::Restarting if view.places.is_empty() => "SCHEDULED",
        JobStatus::Initializing | JobStatus::Restarting => "INITIALIZING",
        JobStatus::Running => "RUNNING",
        JobStatus::Cancelling => "CANCELING",
        JobStatus::Canceled => "CANCELED",
        JobStatus::Failed => "FAILED",
        JobStatus::Finished => "FINISHED",
    }
}

/// How many subtasks are in each state, when all are in one.
fn task_counts(state: &str, count: u64, lower_case: bool) -> BTreeMap<String, u64> {
    let name = |name: &str| if lower_case { name.to_lowercase() } else { name.to_owned() };
    TASK_STATES.iter().map(|other| (name(other), if *other == state { count } else { 0 })).collect()
}

fn millis(time: Option<Timestamp>) -> i64 {
    time.map_or(-1, |time| i64::try_from(time.millis()).unwrap_or(i64::MAX))
}

fn duration(view: &JobView, now: Timestamp) -> i64 {
    millis(Some(view.ended.unwrap_or(now))) - millis(Some(view.started))
}

fn overview_of(view: &JobView, now: Timestamp) -> Value {
    let subtasks =
        view.description.plan.tasks.len() as u64 * u64::from(view.stats.parallelism.get());
    let mut tasks = task_counts(task_state(view), subtasks, true);
    tasks.insert("total".to_owned(), subtasks);
    json!({
        "jid": view.id.to_string(),
        "name": view.name,
        "jobType": "STREAMING",
        "schedulerType": "Default",
        "start-time": millis(Some(view.started)),
        "end-time": millis(view.ended),
        "duration": duration(view, now),
        "state": state_name(view.status),
        "last-modification": millis(Some(view.last_modified())),
        "tasks": tasks,
        "pending-operators": 0,
    })
}

pub(super) async fn overview(State(api): State<Api>) -> Answer {
    let (jobs, now) = (api.dispatcher.jobs(), api.dispatcher.now());
    let jobs = jobs.iter().map(|view| overview_of(view, now)).collect::<Vec<_>>();
    Answer::ok(json!({ "jobs": jobs }))
}

pub(super) async fn list(State(api): State<Api>) -> Answer {
    let job =
        |view: &JobView| json!({ "id": view.id.to_string(), "status": state_name(view.status) });
    let jobs = api.dispatcher.jobs().iter().map(job).collect::<Vec<_>>();
    Answer::ok(json!({ "jobs": jobs }))
}

pub(super) async fn status(State(api): State<Api>, Path(id): Path<String>) -> ApiResult {
    let view = job(&api.dispatcher, &id)?;
    Ok(Answer::ok(json!({ "status": state_name(view.status) })))
}

/// A task's id, which stays the same as long as the uid of its first operator does.
pub(super) fn vertex_id(task: &TaskDescription) -> String {
    let uid = task.operators.first().map(|operator| operator.uid.to_string());
    JobId::from_name(&uid.unwrap_or_default()).to_string()
}

fn io_metrics(records: u64) -> Value {
    json!({
        "read-bytes": 0, "read-bytes-complete": false,
        "write-bytes": 0, "write-bytes-complete": false,
        "read-records": 0, "read-records-complete": false,
        "write-records": records, "write-records-complete": records > 0,
        "accumulated-backpressured-time": 0,
        "accumulated-idle-time": 0,
        "accumulated-busy-time": 0.0,
    })
}

fn vertex(view: &JobView, task: &TaskDescription, now: Timestamp) -> Value {
    let (state, parallelism) = (task_state(view), u64::from(view.stats.parallelism.get()));
    let records = if task.is_source { view.stats.records } else { 0 };
    json!({
        "id": vertex_id(task),
        "slotSharingGroupId": view.id.to_string(),
        "name": task.name,
        "maxParallelism": view.max_parallelism.map_or(-1, |max| i64::from(max.get())),
        "parallelism": parallelism,
        "status": state,
        "start-time": millis(Some(view.stats.attempt_started)),
        "end-time": millis(view.ended),
        "duration": duration(view, now),
        "tasks": task_counts(state, parallelism, false),
        "metrics": io_metrics(records),
    })
}

fn plan_of(view_id: JobId, name: &str, tasks: &[TaskDescription], parallelism: u32) -> Value {
    let node = |task: &TaskDescription| {
        let inputs = task.inputs.iter().enumerate().map(|(number, input)| {
            json!({
                "num": number,
                "id": tasks.get(input.from).map(vertex_id),
                "ship_strategy": input.partitioning.to_uppercase(),
                "exchange": "pipelined_bounded",
            })
        });
        json!({
            "id": vertex_id(task),
            "parallelism": parallelism,
            "operator": "",
            "operator_strategy": "",
            "description": task.name,
            "optimizer_properties": {},
            "inputs": inputs.collect::<Vec<_>>(),
        })
    };
    json!({
        "jid": view_id.to_string(),
        "name": name,
        "type": "STREAMING",
        "nodes": tasks.iter().map(node).collect::<Vec<_>>(),
    })
}

/// The plan of a job that has not been submitted, or has.
pub(super) fn plan_json(description: &tidegate_runtime::JobDescription) -> Value {
    let tasks = &description.plan.tasks;
    plan_of(description.id, &description.name, tasks, description.parallelism.get())
}

fn plan_of_view(view: &JobView) -> Value {
    plan_of(view.id, &view.name, &view.description.plan.tasks, view.stats.parallelism.get())
}

pub(super) async fn detail(State(api): State<Api>, Path(id): Path<String>) -> ApiResult {
    let (view, now) = (job(&api.dispatcher, &id)?, api.dispatcher.now());
    let tasks = &view.description.plan.tasks;
    let since = |name: &&str| {
        let time = view.stats.status_since.iter().find(|(status, _)| state_name(**status) == *name);
        ((*name).to_owned(), time.map_or(0, |(_, time)| time.millis()))
    };
    Ok(Answer::ok(json!({
        "jid": view.id.to_string(),
        "name": view.name,
        "isStoppable": false,
        "state": state_name(view.status),
        "job-type": "STREAMING",
        "start-time": millis(Some(view.started)),
        "end-time": millis(view.ended),
        "duration": duration(&view, now),
        "maxParallelism": view.max_parallelism.map_or(-1, |max| i64::from(max.get())),
        "now": millis(Some(now)),
        "timestamps": JOB_STATES.iter().map(since).collect::<BTreeMap<_, _>>(),
        "vertices": tasks.iter().map(|task| vertex(&view, task, now)).collect::<Vec<_>>(),
        "status-counts": task_counts(task_state(&view), tasks.len() as u64, false),
        "plan": plan_of_view(&view),
        "pending-operators": 0,
    })))
}

pub(super) async fn plan(State(api): State<Api>, Path(id): Path<String>) -> ApiResult {
    let view = job(&api.dispatcher, &id)?;
    Ok(Answer::ok(json!({ "plan": plan_of_view(&view) })))
}

pub(super) async fn config(State(api): State<Api>, Path(id): Path<String>) -> ApiResult {
    let view = job(&api.dispatcher, &id)?;
    Ok(Answer::ok(json!({
        "jid": view.id.to_string(),
        "name": view.name,
        "execution-config": {
            "restart-strategy": format!("{:?}", view.options.restart),
            "job-parallelism": view.stats.parallelism.get(),
            "object-reuse-mode": true,
            "user-config": view.description.configuration,
        },
    })))
}

#[derive(Deserialize)]
pub(super) struct ExceptionsQuery {
    #[serde(rename = "maxExceptions")]
    most: Option<usize>,
}

pub(super) async fn exceptions(
    State(api): State<Api>,
    Path(id): Path<String>,
    query: Query<ExceptionsQuery>,
) -> ApiResult {
    let view = job(&api.dispatcher, &id)?;
    let most = query.most.unwrap_or(16);
    let entry = |failure: &tidegate_runtime::AttemptFailure| {
        json!({
            "exceptionName": failure.kind.to_string(),
            "stacktrace": failure.message,
            "timestamp": millis(Some(failure.time)),
            "failureLabels": {},
            "taskName": failure.uid.as_ref().map(|uid| match failure.subtask {
                Some(subtask) => format!("{uid} ({})", subtask.get() + 1),
                None => uid.to_string(),
            }),
            "endpoint": null,
            "taskManagerId": null,
            "concurrentExceptions": [],
        })
    };
    let failures = &view.stats.failures;
    let entries = failures.iter().rev().take(most).map(entry).collect::<Vec<_>>();
    let truncated = failures.len() > most;
    Ok(Answer::ok(json!({
        "exceptionHistory": { "entries": entries, "truncated": truncated },
    })))
}

pub(super) async fn execution_result(State(api): State<Api>, Path(id): Path<String>) -> ApiResult {
    let (view, now) = (job(&api.dispatcher, &id)?, api.dispatcher.now());
    if !view.status.is_terminal() {
        return Ok(Answer::ok(json!({
            "status": { "id": "IN_PROGRESS" }, "job-execution-result": null,
        })));
    }
    let application_status = match view.status {
        JobStatus::Finished => "SUCCEEDED",
        JobStatus::Canceled => "CANCELED",
        _ => "FAILED",
    };
    let mut result = json!({
        "id": view.id.to_string(),
        "name": view.name,
        "application-status": application_status,
        "accumulator-results": {},
        "net-runtime": duration(&view, now),
        "start-time": millis(Some(view.started)),
        "end-time": millis(view.ended),
    });
    if let Some(error) = &view.error {
        let class = "org.apache.flink.runtime.client.JobExecutionException";
        result["failure-cause"] = failure_cause(class, &error.to_string());
    }
    Ok(Answer::ok(json!({
        "status": { "id": "COMPLETED" }, "job-execution-result": result,
    })))
}

#[derive(Deserialize)]
pub(super) struct CancelQuery {
    mode: Option<String>,
}

pub(super) async fn cancel(
    State(api): State<Api>,
    Path(id): Path<String>,
    query: Query<CancelQuery>,
) -> ApiResult {
    match query.mode.as_deref() {
        None | Some("cancel") => cancel_job(&api, &id),
        Some("stop") => Err(ApiError::new(
            StatusCode::PERMANENT_REDIRECT,
            "The termination mode \"stop\" has been removed. For an ungraceful shutdown, please \
             use \"cancel\" instead. For a graceful shutdown, please use \"jobs/:jobid/stop\" \
             instead.",
        )),
        Some(other) => Err(ApiError::bad_request(format!(
            "Bad request, could not parse parameters: Cannot resolve query parameter (mode) from \
             value \"{other}\"."
        ))),
    }
}

pub(super) async fn yarn_cancel(State(api): State<Api>, Path(id): Path<String>) -> ApiResult {
    cancel_job(&api, &id)
}

fn cancel_job(api: &Api, id: &str) -> ApiResult {
    match api.dispatcher.cancel(job_id(id)?) {
        Cancellation::Accepted => Ok(Answer::accepted(json!({}))),
        Cancellation::Unknown => Err(ApiError::not_found("Job could not be found.")),
        Cancellation::Ended(status) => Err(ApiError::conflict(format!(
            "Job cancellation failed because the job has already reached another terminal state \
             ({}).",
            state_name(status)
        ))),
    }
}
