//! Savepoints and checkpoints on request, stopping, and the disposal of savepoints.

use std::future::Future;

use axum::{
    body::Bytes,
    extract::{Path, State},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_runtime::{JobHandle, SnapshotForm};
use tidegate_types::JobId;

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, HexId, body, job_id},
    operations::{Operations, Polled, Triggered, trigger_id, trigger_in},
    throwable::{FailureCause, failure_cause},
};

/// What has come of a savepoint: where it lies, or why there is none.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SavepointInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_cause: Option<FailureCause>,
}

impl SavepointInfo {
    fn of(result: Result<String, String>) -> Self {
        let (location, failure_cause) = match result {
            Ok(location) => (Some(location), None),
            Err(reason) => (None, Some(checkpoint_failed(&reason))),
        };
        Self { location, failure_cause }
    }
}

/// What has come of a checkpoint: its id, or why there is none.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckpointInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_cause: Option<FailureCause>,
}

/// What has come of a disposal: why not, if it was not done.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct DisposalInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_cause: Option<FailureCause>,
}

fn job_not_found(id: JobId) -> FailureCause {
    failure_cause(
        "org.apache.flink.runtime.messages.FlinkJobNotFoundException",
        &format!("Could not find Flink job ({id})"),
    )
}

fn checkpoint_failed(reason: &str) -> FailureCause {
    failure_cause("org.apache.flink.runtime.checkpoint.CheckpointException", reason)
}

/// A form of savepoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum FormatType {
    /// Parquet, which any tool can read.
    Canonical,
    /// The state as the job holds it.
    Native,
}

/// The form that is asked for, by default the canonical one.
fn form(format: Option<FormatType>) -> SnapshotForm {
    match format {
        None | Some(FormatType::Canonical) => SnapshotForm::Canonical,
        Some(FormatType::Native) => SnapshotForm::Native,
    }
}

/// A request for a savepoint.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SavepointRequest {
    /// The folder for it, by default `execution.checkpointing.savepoint-dir`.
    #[serde(rename = "target-directory")]
    target_directory: Option<String>,
    /// Whether the job is cancelled with it.
    #[serde(rename = "cancel-job")]
    cancel_job: Option<bool>,
    #[serde(rename = "formatType")]
    format_type: Option<FormatType>,
    /// A request with the id of an earlier one starts nothing.
    #[serde(rename = "triggerId")]
    #[schemars(with = "Option<HexId>")]
    trigger_id: Option<String>,
}

/// A request for a savepoint that the job stops with.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StopRequest {
    /// The folder for it, by default `execution.checkpointing.savepoint-dir`.
    target_directory: Option<String>,
    /// Whether all timers and windows fire before.
    drain: Option<bool>,
    format_type: Option<FormatType>,
    /// A request with the id of an earlier one starts nothing.
    #[schemars(with = "Option<HexId>")]
    trigger_id: Option<String>,
}

/// Which checkpoint to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum CheckpointType {
    Configured,
    /// The same: every checkpoint is whole.
    Full,
}

/// A request for a checkpoint.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CheckpointRequest {
    #[serde(rename = "checkpointType")]
    _checkpoint_type: Option<CheckpointType>,
    /// A request with the id of an earlier one starts nothing.
    #[schemars(with = "Option<HexId>")]
    trigger_id: Option<String>,
}

/// Starts what is done to a job that runs; one that is not there is told of in the result.
fn start<T: Clone + Send + 'static, F: Future<Output = T> + Send + 'static>(
    (api, operations): (&Api, &Operations<(JobId, String), T>),
    id: JobId,
    trigger: Option<String>,
    work: impl FnOnce(JobHandle) -> F,
    failed: impl FnOnce(FailureCause) -> T + Send + 'static,
) -> ApiResult<Triggered> {
    let request_id = trigger_id(trigger)?;
    let key = (id, request_id.clone());
    match api.dispatcher.handle(id) {
        Some(handle) => operations.start(key, work(handle)),
        None => operations.start(key, async move { failed(job_not_found(id)) }),
    }
    Ok(Answer::accepted(Triggered { request_id }))
}

fn no_savepoint(cause: FailureCause) -> SavepointInfo {
    SavepointInfo { location: None, failure_cause: Some(cause) }
}

/// Whether a savepoint has somewhere to go. `property` is what Flink calls the field.
fn check_target(
    api: &Api,
    id: JobId,
    target: Option<&str>,
    property: &str,
) -> Result<(), ApiError> {
    let job = api.dispatcher.job(id);
    let has_default =
        job.as_ref().is_none_or(|job| job.options.checkpointing.savepoint_dir.is_some());
    if target.is_some() || has_default {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "Config key [execution.checkpointing.savepoint-dir] is not set. Property [{property}] must \
         be provided."
    )))
}

fn absolute(target: Option<String>) -> Option<String> {
    target.map(|target| tidegate_storage::absolute(&target))
}

pub(super) async fn savepoint(
    State(api): State<Api>,
    Path(job): Path<String>,
    bytes: Bytes,
) -> ApiResult<Triggered> {
    let id = job_id(&job)?;
    let request: SavepointRequest = body(&bytes, "SavepointTriggerRequestBody")?;
    check_target(&api, id, request.target_directory.as_deref(), "target-directory")?;
    let target = absolute(request.target_directory);
    let (cancel, form) = (request.cancel_job.unwrap_or(false), form(request.format_type));
    let work = move |handle: JobHandle| async move {
        SavepointInfo::of(if cancel {
            handle.cancel_with_savepoint(form, target).await
        } else {
            handle.savepoint_as(form, target).await
        })
    };
    start((&api, &api.savepoints), id, request.trigger_id, work, no_savepoint)
}

pub(super) async fn stop(
    State(api): State<Api>,
    Path(job): Path<String>,
    bytes: Bytes,
) -> ApiResult<Triggered> {
    let id = job_id(&job)?;
    let request: StopRequest = body(&bytes, "StopWithSavepointRequestBody")?;
    check_target(&api, id, request.target_directory.as_deref(), "targetDirectory")?;
    let target = absolute(request.target_directory);
    let (drain, form) = (request.drain.unwrap_or(false), form(request.format_type));
    let work = move |handle: JobHandle| async move {
        SavepointInfo::of(handle.stop_with_savepoint_as(form, target, drain).await)
    };
    start((&api, &api.savepoints), id, request.trigger_id, work, no_savepoint)
}

pub(super) async fn checkpoint(
    State(api): State<Api>,
    Path(job): Path<String>,
    bytes: Bytes,
) -> ApiResult<Triggered> {
    let id = job_id(&job)?;
    let request: CheckpointRequest = body(&bytes, "CheckpointTriggerRequestBody")?;
    let work = |handle: JobHandle| async move {
        let (checkpoint_id, failure_cause) = match handle.checkpoint().await {
            Ok(path) => (Some(checkpoint_number(&path)), None),
            Err(reason) => (None, Some(checkpoint_failed(&reason))),
        };
        CheckpointInfo { checkpoint_id, failure_cause }
    };
    let failed = |cause| CheckpointInfo { checkpoint_id: None, failure_cause: Some(cause) };
    start((&api, &api.checkpoints), id, request.trigger_id, work, failed)
}

/// The number in the name of a checkpoint's folder.
fn checkpoint_number(path: &str) -> i64 {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_prefix("chk-").and_then(|number| number.parse().ok()).unwrap_or(-1)
}

fn result_of<T: Clone + Send + Serialize + 'static>(
    operations: &Operations<(JobId, String), T>,
    job: &str,
    trigger: &str,
    what: &str,
) -> ApiResult<Polled<T>> {
    let id = job_id(job)?;
    let trigger = trigger_in("triggerid", trigger)?;
    let polled = operations.poll(&(id, trigger.clone()));
    polled.map(Answer::ok).ok_or_else(|| {
        let message =
            format!("There is no {what} operation with triggerId={trigger} for job {id}.");
        ApiError::not_found(message)
    })
}

pub(super) async fn savepoint_result(
    State(api): State<Api>,
    Path((job, trigger)): Path<(String, String)>,
) -> ApiResult<Polled<SavepointInfo>> {
    result_of(&api.savepoints, &job, &trigger, "savepoint")
}

pub(super) async fn checkpoint_result(
    State(api): State<Api>,
    Path((job, trigger)): Path<(String, String)>,
) -> ApiResult<Polled<CheckpointInfo>> {
    result_of(&api.checkpoints, &job, &trigger, "checkpoint")
}

/// A savepoint that is to be deleted.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DisposalRequest {
    /// Its folder.
    #[schemars(with = "String")]
    savepoint_path: Option<String>,
}

pub(super) async fn dispose(State(api): State<Api>, bytes: Bytes) -> ApiResult<Triggered> {
    let request: DisposalRequest = body(&bytes, "SavepointDisposalRequest")?;
    let Some(path) = request.savepoint_path else {
        let message = "Field savepoint-path must not be omitted or be null.";
        return Err(ApiError::bad_request(message));
    };
    let request_id = trigger_id(None)?;
    let dispatcher = api.dispatcher.clone();
    let work = async move {
        let class = "org.apache.flink.util.FlinkException";
        let disposed = dispatcher.dispose(&path).await;
        let cause = disposed.err().map(|error| failure_cause(class, &error.to_string()));
        DisposalInfo { failure_cause: cause }
    };
    api.disposals.start(request_id.clone(), work);
    Ok(Answer::ok(Triggered { request_id }))
}

pub(super) async fn disposal_result(
    State(api): State<Api>,
    Path(trigger): Path<String>,
) -> ApiResult<Polled<DisposalInfo>> {
    let trigger = trigger_in("triggerid", &trigger)?;
    let message = || format!("Operation not found under key: {trigger}");
    let polled = api.disposals.poll(&trigger);
    polled.map(Answer::ok).ok_or_else(|| ApiError::not_found(message()))
}
