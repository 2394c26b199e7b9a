//! Jobs: what there is, how they are, cancelling.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_runtime::{AttemptFailure, JobStatus};
use tidegate_types::Timestamp;

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, Empty, HexId, body, job, job_id, millis},
    plan::{Plan, PlanAnswer},
    states::{JobState, TaskCounts, TaskState},
    throwable::{FailureCause, failure_cause},
    vertices::{Vertex, vertices},
};
use crate::dispatcher::{Cancellation, JobView};

/// How many failures are told of (Flink's default of `maxExceptions`).
const EXCEPTIONS: usize = 16;

/// For how long a job has been there.
pub(super) fn duration(view: &JobView, now: Timestamp) -> i64 {
    millis(Some(view.ended.unwrap_or(now))) - millis(Some(view.started))
}

/// What `jobmanager.scheduler` is for a job.
fn scheduler(view: &JobView) -> &'static str {
    match view.options.scheduler.kind {
        tidegate_types::options::SchedulerKind::Default => "Default",
        tidegate_types::options::SchedulerKind::Adaptive => "Adaptive",
    }
}

/// All jobs, with what a list shows of each.
#[derive(Serialize, JsonSchema)]
pub(super) struct JobsOverview {
    jobs: Vec<JobOverview>,
}

/// What a list shows of a job.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct JobOverview {
    #[schemars(with = "HexId")]
    jid: String,
    name: String,
    #[serde(rename = "jobType")]
    job_type: &'static str,
    #[serde(rename = "schedulerType")]
    scheduler_type: &'static str,
    start_time: i64,
    end_time: i64,
    duration: i64,
    state: JobState,
    last_modification: i64,
    tasks: TaskCounts,
    pending_operators: u32,
}

impl JobOverview {
    fn of(view: &JobView, now: Timestamp) -> Self {
        let tasks = view.description.plan.tasks.len() as u64;
        let subtasks = tasks * u64::from(view.stats.parallelism.get());
        Self {
            jid: view.id.to_string(),
            name: view.name.clone(),
            job_type: "STREAMING",
            scheduler_type: scheduler(view),
            start_time: millis(Some(view.started)),
            end_time: millis(view.ended),
            duration: duration(view, now),
            state: view.status.into(),
            last_modification: millis(Some(view.last_modified())),
            tasks: TaskCounts::all(TaskState::of(view), subtasks),
            pending_operators: 0,
        }
    }
}

pub(super) async fn overview(State(api): State<Api>) -> Answer<JobsOverview> {
    let (jobs, now) = (api.dispatcher.jobs(), api.dispatcher.now());
    Answer::ok(JobsOverview { jobs: jobs.iter().map(|view| JobOverview::of(view, now)).collect() })
}

/// All jobs, with their states.
#[derive(Serialize, JsonSchema)]
pub(super) struct JobList {
    jobs: Vec<JobAndState>,
}

/// A job, with its state.
#[derive(Serialize, JsonSchema)]
struct JobAndState {
    #[schemars(with = "HexId")]
    id: String,
    status: JobState,
}

pub(super) async fn list(State(api): State<Api>) -> Answer<JobList> {
    let of = |view: &JobView| JobAndState { id: view.id.to_string(), status: view.status.into() };
    Answer::ok(JobList { jobs: api.dispatcher.jobs().iter().map(of).collect() })
}

/// A job's state.
#[derive(Serialize, JsonSchema)]
pub(super) struct StatusAnswer {
    status: JobState,
}

pub(super) async fn status(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> ApiResult<StatusAnswer> {
    let view = job(&api.dispatcher, &id)?;
    Ok(Answer::ok(StatusAnswer { status: view.status.into() }))
}

/// A job.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct JobDetail {
    #[schemars(with = "HexId")]
    jid: String,
    name: String,
    #[serde(rename = "isStoppable")]
    is_stoppable: bool,
    state: JobState,
    job_type: &'static str,
    #[serde(rename = "schedulerType")]
    scheduler_type: &'static str,
    start_time: i64,
    end_time: i64,
    duration: i64,
    #[serde(rename = "maxParallelism")]
    max_parallelism: i64,
    now: i64,
    /// When it last came into each state, 0 if it never has.
    timestamps: BTreeMap<JobState, u64>,
    vertices: Vec<Vertex>,
    /// How many of its tasks are in each state.
    status_counts: BTreeMap<TaskState, u64>,
    plan: Plan,
    pending_operators: u32,
    /// How many slots are missing, while it waits for some. Not in Flink.
    missing_slots: u32,
    /// How many attempts have failed and been followed by another. Not in Flink.
    restarts: u64,
    /// How many records its sources emit per second. Not in Flink.
    records_per_second: f64,
}

pub(super) async fn detail(State(api): State<Api>, Path(id): Path<String>) -> ApiResult<JobDetail> {
    let (view, now) = (job(&api.dispatcher, &id)?, api.dispatcher.now());
    let since = |state: &JobState| {
        let times = &view.stats.status_since;
        let time = times.iter().find(|(status, _)| JobState::from(**status) == *state);
        (*state, time.map_or(0, |(_, time)| time.millis()))
    };
    Ok(Answer::ok(JobDetail {
        jid: view.id.to_string(),
        name: view.name.clone(),
        is_stoppable: false,
        state: view.status.into(),
        job_type: "STREAMING",
        scheduler_type: scheduler(&view),
        start_time: millis(Some(view.started)),
        end_time: millis(view.ended),
        duration: duration(&view, now),
        max_parallelism: i64::from(view.stats.max_parallelism.get()),
        now: millis(Some(now)),
        timestamps: JobState::ALL.iter().map(since).collect(),
        vertices: vertices(&view, now),
        status_counts: TaskState::of(&view).counts(view.description.plan.tasks.len() as u64),
        plan: Plan::of_job(&view),
        pending_operators: 0,
        missing_slots: view.missing_slots,
        restarts: view.stats.restarts,
        records_per_second: view.stats.records_per_second,
    }))
}

pub(super) async fn plan(State(api): State<Api>, Path(id): Path<String>) -> ApiResult<PlanAnswer> {
    let view = job(&api.dispatcher, &id)?;
    Ok(Answer::ok(PlanAnswer { plan: Plan::of_job(&view) }))
}

/// How a job is configured.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct JobConfig {
    #[schemars(with = "HexId")]
    jid: String,
    name: String,
    execution_config: ExecutionConfig,
}

/// How a job is run.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct ExecutionConfig {
    restart_strategy: String,
    job_parallelism: u32,
    object_reuse_mode: bool,
    /// Every option that is set; values that are secrets are hidden.
    user_config: BTreeMap<String, String>,
}

pub(super) async fn config(State(api): State<Api>, Path(id): Path<String>) -> ApiResult<JobConfig> {
    let view = job(&api.dispatcher, &id)?;
    let shown = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Ok(Answer::ok(JobConfig {
        jid: view.id.to_string(),
        name: view.name.clone(),
        execution_config: ExecutionConfig {
            restart_strategy: format!("{:?}", view.options.restart),
            job_parallelism: view.stats.parallelism.get(),
            object_reuse_mode: true,
            user_config: view.description.configuration.shown().map(shown).collect(),
        },
    }))
}

/// Which failures to tell of.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExceptionsQuery {
    /// How many at most.
    #[schemars(range(min = 0, max = 4294967295_u32))]
    max_exceptions: Option<u32>,
}

/// Why attempts of a job have failed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Exceptions {
    exception_history: ExceptionHistory,
}

/// The latest failures, newest first.
#[derive(Serialize, JsonSchema)]
struct ExceptionHistory {
    entries: Vec<Exception>,
    /// Whether there were more.
    truncated: bool,
}

/// Why an attempt has failed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Exception {
    exception_name: String,
    /// The whole chain of causes.
    stacktrace: String,
    timestamp: i64,
    failure_labels: BTreeMap<String, String>,
    /// The operator's uid, and its subtask.
    task_name: Option<String>,
    endpoint: Option<String>,
    task_manager_id: Option<String>,
    /// The attempt's number. Not in Flink.
    attempt: u64,
    concurrent_exceptions: [(); 0],
}

impl Exception {
    fn of(failure: &AttemptFailure) -> Self {
        let task_name = failure.uid.as_ref().map(|uid| match failure.subtask {
            Some(subtask) => format!("{uid} ({})", subtask.get() + 1),
            None => uid.to_string(),
        });
        let location = failure.location.as_ref();
        Self {
            exception_name: failure.kind.to_string(),
            stacktrace: failure.message.clone(),
            timestamp: millis(Some(failure.time)),
            failure_labels: BTreeMap::new(),
            task_name,
            endpoint: location.map(|location| location.host.clone()),
            task_manager_id: location.map(|location| location.task_manager.clone()),
            attempt: failure.attempt.get(),
            concurrent_exceptions: [],
        }
    }
}

pub(super) async fn exceptions(
    State(api): State<Api>,
    Path(id): Path<String>,
    query: Query<ExceptionsQuery>,
) -> ApiResult<Exceptions> {
    let view = job(&api.dispatcher, &id)?;
    let most = query.max_exceptions.map_or(EXCEPTIONS, |most| most as usize);
    let failures = &view.stats.failures;
    let entries = failures.iter().rev().take(most).map(Exception::of).collect();
    let truncated = failures.len() > most;
    Ok(Answer::ok(Exceptions { exception_history: ExceptionHistory { entries, truncated } }))
}

/// How a job has ended, once it has.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ResultAnswer {
    status: super::operations::OperationStatus,
    job_execution_result: Option<JobExecutionResult>,
}

/// How a job has ended.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct JobExecutionResult {
    #[schemars(with = "HexId")]
    id: String,
    name: String,
    application_status: &'static str,
    accumulator_results: BTreeMap<String, String>,
    net_runtime: i64,
    start_time: i64,
    end_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_cause: Option<FailureCause>,
}

pub(super) async fn execution_result(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> ApiResult<ResultAnswer> {
    let (view, now) = (job(&api.dispatcher, &id)?, api.dispatcher.now());
    let application_status = match view.status {
        JobStatus::Finished => "SUCCEEDED",
        JobStatus::Canceled => "CANCELED",
        JobStatus::Suspended => "UNKNOWN",
        _ => "FAILED",
    };
    let class = "org.apache.flink.runtime.client.JobExecutionException";
    let is_over = view.status.is_terminal();
    let result = JobExecutionResult {
        id: view.id.to_string(),
        name: view.name.clone(),
        application_status,
        accumulator_results: BTreeMap::new(),
        net_runtime: duration(&view, now),
        start_time: millis(Some(view.started)),
        end_time: millis(view.ended),
        failure_cause: view.error.as_ref().map(|error| failure_cause(class, &error.to_string())),
    };
    Ok(Answer::ok(ResultAnswer {
        status: super::operations::OperationStatus::new(is_over),
        job_execution_result: is_over.then_some(result),
    }))
}

/// How a job is to be ended.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelQuery {
    /// `cancel`.
    #[schemars(regex(pattern = "^cancel$"))]
    mode: Option<String>,
}

pub(super) async fn cancel(
    State(api): State<Api>,
    Path(id): Path<String>,
    query: Query<CancelQuery>,
) -> ApiResult<Empty> {
    match query.mode.as_deref() {
        None | Some("cancel") => cancel_job(&api, &id),
        Some("stop") => Err(ApiError::new(
            StatusCode::PERMANENT_REDIRECT,
            "The termination mode \"stop\" has been removed. For an ungraceful shutdown, please \
             use \"cancel\" instead. For a graceful shutdown, please use \"jobs/:jobid/stop\" \
             instead.",
        )),
        Some(other) => Err(ApiError::query("mode", other)),
    }
}

pub(super) async fn yarn_cancel(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> ApiResult<Empty> {
    cancel_job(&api, &id)
}

fn cancel_job(api: &Api, id: &str) -> ApiResult<Empty> {
    match api.dispatcher.cancel(job_id(id)?) {
        Cancellation::Accepted => Ok(Answer::accepted(Empty {})),
        Cancellation::Unknown => Err(ApiError::not_found("Job could not be found.")),
        Cancellation::Ended(status) => Err(ApiError::conflict(format!(
            "Job cancellation failed because the job has already reached another terminal state \
             ({}).",
            JobState::from(status).name()
        ))),
    }
}

/// Until when a client counts as there.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Heartbeat {
    /// In milliseconds since 1970.
    #[serde(rename = "expiredTimestamp")]
    _expired_timestamp: Option<i64>,
}

/// Clients of Flink say so while they wait. Jobs here do not end with their client.
pub(super) async fn client_heartbeat(
    State(api): State<Api>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> ApiResult<Empty> {
    let _: Heartbeat = body(&bytes, "JobClientHeartbeatRequestBody")?;
    job(&api.dispatcher, &id)?;
    Ok(Answer::accepted(Empty {}))
}

/// Whether to tell accumulators in a form for Flink's own client, too.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AccumulatorsQuery {
    #[serde(rename = "includeSerializedValue")]
    _include_serialized_value: Option<bool>,
}

/// What a job has accumulated: jobs have no accumulators here.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Accumulators {
    job_accumulators: [(); 0],
    user_task_accumulators: [(); 0],
    serialized_user_task_accumulators: BTreeMap<String, String>,
}

pub(super) async fn accumulators(
    State(api): State<Api>,
    Path(id): Path<String>,
    _: Query<AccumulatorsQuery>,
) -> ApiResult<Accumulators> {
    job(&api.dispatcher, &id)?;
    Ok(Answer::ok(Accumulators::default()))
}
