//! Operations that take their time: a request starts one, others ask for its result by its trigger
//! id.
//!
//! # Invariants
//!
//! - INV-ONCE: a request with the trigger id of an operation that is known starts none.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_runtime::JobHandle;
use tidegate_types::JobId;

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, body, job_id},
    throwable::failure_cause,
};

/// What an operation belongs to, and its trigger id.
type Key = (Option<JobId>, String);

/// An operation.
enum Operation {
    Running,
    Done { result: Value, at: Instant },
}

/// All operations that are known. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Operations {
    known: Arc<Mutex<HashMap<Key, Operation>>>,
    kept: Duration,
}

impl Operations {
    pub(super) fn new(kept: Duration) -> Self {
        Self { known: Arc::default(), kept }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Operation>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an operation unless its key is known.
    fn start(&self, key: Key, work: impl Future<Output = Value> + Send + 'static) {
        let mut known = self.lock();
        let kept = self.kept;
        known.retain(|_, operation| match operation {
            Operation::Running => true,
            Operation::Done { at, .. } => at.elapsed() < kept,
        });
        if known.contains_key(&key) {
            return;
        }
        known.insert(key.clone(), Operation::Running);
        drop(known);
        let operations = self.clone();
        tokio::spawn(async move {
            let result = work.await;
            operations.lock().insert(key, Operation::Done { result, at: Instant::now() });
        });
    }

    /// How an operation stands, `None` if it is not known.
    fn status(&self, key: &Key) -> Option<Value> {
        Some(match self.lock().get(key)? {
            Operation::Running => json!({ "status": { "id": "IN_PROGRESS" }, "operation": null }),
            Operation::Done { at, .. } if at.elapsed() >= self.kept => return None,
            Operation::Done { result, .. } => {
                json!({ "status": { "id": "COMPLETED" }, "operation": result })
            }
        })
    }
}

/// The trigger id that a client gives, or a new one.
fn trigger_id(given: Option<String>) -> Result<String, ApiError> {
    match given {
        None => Ok(format!("{:032x}", rand::random::<u128>())),
        Some(id) if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(id.to_ascii_lowercase())
        }
        Some(id) => Err(ApiError::bad_request(format!("triggerId `{id}` is not 32 hex digits"))),
    }
}

fn job_not_found(id: JobId) -> Value {
    failure_cause(
        "org.apache.flink.runtime.messages.FlinkJobNotFoundException",
        &format!("Could not find Flink job ({id})"),
    )
}

fn checkpoint_failed(reason: &str) -> Value {
    failure_cause("org.apache.flink.runtime.checkpoint.CheckpointException", reason)
}

fn savepoint_info(result: Result<String, String>) -> Value {
    match result {
        Ok(location) => json!({ "location": location }),
        Err(reason) => json!({ "failure-cause": checkpoint_failed(&reason) }),
    }
}

/// Starts what is done to a job that runs; one that is not there is told of in the result.
fn start<F>(
    api: &Api,
    id: JobId,
    trigger: Option<String>,
    work: impl FnOnce(JobHandle) -> F,
    cause: &'static str,
) -> ApiResult
where
    F: Future<Output = Value> + Send + 'static,
{
    let trigger = trigger_id(trigger)?;
    let key = (Some(id), trigger.clone());
    match api.dispatcher.handle(id) {
        Some(handle) => api.operations.start(key, work(handle)),
        None => api.operations.start(key, async move { json!({ cause: job_not_found(id) }) }),
    }
    Ok(Answer::accepted(json!({ "request-id": trigger })))
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
    target.map(|target| {
        if target.contains("://") {
            return target;
        }
        std::path::absolute(&target).map_or(target, |path| path.display().to_string())
    })
}

#[derive(Deserialize)]
pub(super) struct SavepointRequest {
    #[serde(rename = "target-directory")]
    target_directory: Option<String>,
    #[serde(rename = "cancel-job")]
    cancel_job: Option<bool>,
    #[serde(rename = "triggerId")]
    trigger_id: Option<String>,
}

pub(super) async fn savepoint(
    State(api): State<Api>,
    Path(job): Path<String>,
    bytes: Bytes,
) -> ApiResult {
    let id = job_id(&job)?;
    let request: SavepointRequest = body(&bytes, "SavepointTriggerRequestBody")?;
    check_target(&api, id, request.target_directory.as_deref(), "target-directory")?;
    let target = absolute(request.target_directory);
    let cancel = request.cancel_job.unwrap_or(false);
    let work = move |handle: JobHandle| async move {
        savepoint_info(if cancel {
            handle.stop_with_savepoint(target, false).await
        } else {
            handle.savepoint(target).await
        })
    };
    start(&api, id, request.trigger_id, work, "failure-cause")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StopRequest {
    target_directory: Option<String>,
    drain: Option<bool>,
    trigger_id: Option<String>,
}

pub(super) async fn stop(
    State(api): State<Api>,
    Path(job): Path<String>,
    bytes: Bytes,
) -> ApiResult {
    let id = job_id(&job)?;
    let request: StopRequest = body(&bytes, "StopWithSavepointRequestBody")?;
    check_target(&api, id, request.target_directory.as_deref(), "targetDirectory")?;
    let target = absolute(request.target_directory);
    let drain = request.drain.unwrap_or(false);
    let work = move |handle: JobHandle| async move {
        savepoint_info(handle.stop_with_savepoint(target, drain).await)
    };
    start(&api, id, request.trigger_id, work, "failure-cause")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckpointRequest {
    checkpoint_type: Option<String>,
    trigger_id: Option<String>,
}

pub(super) async fn checkpoint(
    State(api): State<Api>,
    Path(job): Path<String>,
    bytes: Bytes,
) -> ApiResult {
    let id = job_id(&job)?;
    let request: CheckpointRequest = body(&bytes, "CheckpointTriggerRequestBody")?;
    match request.checkpoint_type.as_deref() {
        None | Some("CONFIGURED" | "FULL") => {}
        Some(other) => {
            let message = format!("checkpointType `{other}` is neither CONFIGURED nor FULL");
            return Err(ApiError::bad_request(message));
        }
    }
    let work = |handle: JobHandle| async move {
        match handle.checkpoint().await {
            Ok(path) => json!({ "checkpointId": checkpoint_number(&path) }),
            Err(reason) => json!({ "failureCause": checkpoint_failed(&reason) }),
        }
    };
    start(&api, id, request.trigger_id, work, "failureCause")
}

/// The number in the name of a checkpoint's folder.
fn checkpoint_number(path: &str) -> i64 {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_prefix("chk-").and_then(|number| number.parse().ok()).unwrap_or(-1)
}

fn result_of(api: &Api, job: &str, trigger: &str, what: &str) -> ApiResult {
    let id = job_id(job)?;
    let status = api.operations.status(&(Some(id), trigger.to_ascii_lowercase()));
    status.map(Answer::ok).ok_or_else(|| {
        let message =
            format!("There is no {what} operation with triggerId={trigger} for job {id}.");
        ApiError::not_found(message)
    })
}

pub(super) async fn savepoint_result(
    State(api): State<Api>,
    Path((job, trigger)): Path<(String, String)>,
) -> ApiResult {
    result_of(&api, &job, &trigger, "savepoint")
}

pub(super) async fn checkpoint_result(
    State(api): State<Api>,
    Path((job, trigger)): Path<(String, String)>,
) -> ApiResult {
    result_of(&api, &job, &trigger, "checkpoint")
}

#[derive(Deserialize)]
pub(super) struct DisposalRequest {
    #[serde(rename = "savepoint-path")]
    path: Option<String>,
}

pub(super) async fn dispose(State(api): State<Api>, bytes: Bytes) -> ApiResult {
    let request: DisposalRequest = body(&bytes, "SavepointDisposalRequest")?;
    let Some(path) = request.path else {
        let message = "Field savepoint-path must not be omitted or be null.";
        return Err(ApiError::bad_request(message));
    };
    let trigger = trigger_id(None)?;
    let work = async move {
        match tidegate_runtime::dispose_savepoint(&path).await {
            Ok(()) => json!({}),
            Err(error) => json!({ "failure-cause": failure_cause(
                "org.apache.flink.util.FlinkException", &error.to_string(),
            ) }),
        }
    };
    api.operations.start((None, trigger.clone()), work);
    Ok(Answer::ok(json!({ "request-id": trigger })))
}

pub(super) async fn disposal_result(
    State(api): State<Api>,
    Path(trigger): Path<String>,
) -> ApiResult {
    let status = api.operations.status(&(None, trigger.to_ascii_lowercase()));
    let message = || format!("Operation not found under key: {trigger}");
    status.map(Answer::ok).ok_or_else(|| ApiError::not_found(message()))
}
