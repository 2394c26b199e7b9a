//! Savepoints and checkpoints on request, stopping, and the disposal of savepoints.

use axum::{
    body::Bytes,
    extract::{Path, State},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_runtime::{AfterSavepoint, SnapshotForm, Wish};
use tidegate_types::{JobId, error::chain};

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, HexId, body, job_id},
    operations::{Operations, Polled, Triggered, trigger_id, trigger_in},
    throwable::{FailureCause, failure_cause},
};
use crate::{
    ha::HaError,
    triggers::{Kind, Standing, TriggerKey},
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

/// What is told of an operation, by the outcome.
trait Told: Clone + Send + Serialize + 'static {
    /// From the location, or the reason why there is none.
    fn of(result: Result<String, String>) -> Self;
}

impl Told for SavepointInfo {
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

impl Told for CheckpointInfo {
    fn of(result: Result<String, String>) -> Self {
        let (checkpoint_id, failure_cause) = match result {
            Ok(path) => (Some(checkpoint_number(&path)), None),
            Err(reason) => (None, Some(checkpoint_failed(&reason))),
        };
        Self { checkpoint_id, failure_cause }
    }
}

impl Told for DisposalInfo {
    fn of(result: Result<String, String>) -> Self {
        let class = "org.apache.flink.util.FlinkException";
        Self { failure_cause: result.err().map(|reason| failure_cause(class, &reason)) }
    }
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
async fn start<T: Told>(
    (api, operations): (&Api, &Operations<(JobId, String), T>),
    (id, kind): (JobId, Kind),
    trigger: Option<String>,
    wish: Wish,
    failed: impl FnOnce(FailureCause) -> T + Send + 'static,
) -> ApiResult<Triggered> {
    let request_id = trigger_id(trigger)?;
    let key = TriggerKey { kind, job: Some(id), id: request_id.clone() };
    let dispatcher = api.dispatcher.clone();
    let taken_in = async move {
        let asked = dispatcher.ask(key, wish).await.map_err(not_recorded)?;
        Ok(async move {
            match asked {
                Some(carried_out) => T::of(carried_out.await.into()),
                None => failed(job_not_found(id)),
            }
        })
    };
    operations.start((id, request_id.clone()), taken_in).await?;
    Ok(Answer::accepted(Triggered { request_id }))
}

fn not_recorded(error: HaError) -> ApiError {
    ApiError::unavailable(format!(
        "nothing was triggered, since that could not be recorded for the next JobManager: {}",
        chain(&error)
    ))
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
    let then = if cancel { AfterSavepoint::Cancel } else { AfterSavepoint::GoOn };
    let wish = Wish::Savepoint { target, form, then };
    let to = (id, Kind::Savepoint);
    start((&api, &api.savepoints), to, request.trigger_id, wish, no_savepoint).await
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
    let wish = Wish::Savepoint { target, form, then: AfterSavepoint::Stop { drain } };
    let to = (id, Kind::Savepoint);
    start((&api, &api.savepoints), to, request.trigger_id, wish, no_savepoint).await
}

pub(super) async fn checkpoint(
    State(api): State<Api>,
    Path(job): Path<String>,
    bytes: Bytes,
) -> ApiResult<Triggered> {
    let id = job_id(&job)?;
    let request: CheckpointRequest = body(&bytes, "CheckpointTriggerRequestBody")?;
    let failed = |cause| CheckpointInfo { checkpoint_id: None, failure_cause: Some(cause) };
    let (to, wish) = ((id, Kind::Checkpoint), Wish::Checkpoint);
    start((&api, &api.checkpoints), to, request.trigger_id, wish, failed).await
}

/// The number in the name of a checkpoint's folder.
fn checkpoint_number(path: &str) -> i64 {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_prefix("chk-").and_then(|number| number.parse().ok()).unwrap_or(-1)
}

/// How an operation stands: as this JobManager knows it, or as an earlier one has left it.
async fn result_of<T: Told>(
    (api, operations): (&Api, &Operations<(JobId, String), T>),
    (job, kind): (&str, Kind),
    trigger: &str,
    what: &str,
) -> ApiResult<Polled<T>> {
    let id = job_id(job)?;
    let trigger = trigger_in("triggerid", trigger)?;
    if let Some(polled) = operations.poll(&(id, trigger.clone())) {
        return Ok(Answer::ok(polled));
    }
    let key = TriggerKey { kind, job: Some(id), id: trigger.clone() };
    let polled = inherited(api, &key).await?;
    polled.map(Answer::ok).ok_or_else(|| {
        let kept = api.options.async_store_duration;
        ApiError::not_found(format!(
            "There is no {what} operation with triggerId={trigger} for job {id}. Results are kept \
             for {kept:?}, and without high-availability.storageDir no longer than the JobManager \
             lives that was asked."
        ))
    })
}

async fn inherited<T: Told>(api: &Api, key: &TriggerKey) -> Result<Option<Polled<T>>, ApiError> {
    let standing = api.dispatcher.standing(key).await;
    let standing = standing.map_err(|error| ApiError::unavailable(chain(&error)))?;
    Ok(standing.map(|standing| match standing {
        Standing::Done(outcome) => Polled::new(Some(T::of(outcome.into()))),
        Standing::Open | Standing::Ending(_) => Polled::new(None),
    }))
}

pub(super) async fn savepoint_result(
    State(api): State<Api>,
    Path((job, trigger)): Path<(String, String)>,
) -> ApiResult<Polled<SavepointInfo>> {
    let of = (job.as_str(), Kind::Savepoint);
    result_of((&api, &api.savepoints), of, &trigger, "savepoint").await
}

pub(super) async fn checkpoint_result(
    State(api): State<Api>,
    Path((job, trigger)): Path<(String, String)>,
) -> ApiResult<Polled<CheckpointInfo>> {
    let of = (job.as_str(), Kind::Checkpoint);
    result_of((&api, &api.checkpoints), of, &trigger, "checkpoint").await
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
    let key = TriggerKey { kind: Kind::Disposal, job: None, id: request_id.clone() };
    let taken_in = async move {
        let asked = dispatcher.ask_to_dispose(key, path).await.map_err(not_recorded)?;
        Ok(async move { DisposalInfo::of(asked.await.into()) })
    };
    api.disposals.start(request_id.clone(), taken_in).await?;
    Ok(Answer::ok(Triggered { request_id }))
}

pub(super) async fn disposal_result(
    State(api): State<Api>,
    Path(trigger): Path<String>,
) -> ApiResult<Polled<DisposalInfo>> {
    let trigger = trigger_in("triggerid", &trigger)?;
    if let Some(polled) = api.disposals.poll(&trigger) {
        return Ok(Answer::ok(polled));
    }
    let key = TriggerKey { kind: Kind::Disposal, job: None, id: trigger.clone() };
    let message = || format!("Operation not found under key: {trigger}");
    let polled = inherited(&api, &key).await?;
    polled.map(Answer::ok).ok_or_else(|| ApiError::not_found(message()))
}
