//! How a job takes checkpoints.

use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;
use tidegate_types::options::{CheckpointingMode, RetentionPolicy};

use crate::rest::{
    Api,
    answer::{Answer, ApiError, ApiResult, job},
};

/// How a job takes checkpoints.
#[derive(Serialize, JsonSchema)]
pub(in crate::rest) struct CheckpointConfig {
    mode: &'static str,
    interval: u64,
    timeout: u64,
    min_pause: u64,
    max_concurrent: u32,
    externalization: Externalization,
    state_backend: &'static str,
    checkpoint_storage: String,
    unaligned_checkpoints: bool,
    tolerable_failed_checkpoints: u32,
    aligned_checkpoint_timeout: u64,
    checkpoints_after_tasks_finish: bool,
    state_changelog_enabled: bool,
    changelog_periodic_materialization_interval: u64,
    changelog_storage: Option<String>,
}

/// What becomes of checkpoints when the job is cancelled.
#[derive(Serialize, JsonSchema)]
struct Externalization {
    enabled: bool,
    delete_on_cancellation: bool,
}

pub(in crate::rest) async fn config(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> ApiResult<CheckpointConfig> {
    let view = job(&api.dispatcher, &id)?;
    let options = &view.options.checkpointing;
    let Some(interval) = options.interval else {
        let message = format!("Checkpointing is not enabled for this job ({}).", view.id);
        return Err(ApiError::not_found(message));
    };
    Ok(Answer::ok(CheckpointConfig {
        mode: match options.mode {
            CheckpointingMode::ExactlyOnce => "exactly_once",
            CheckpointingMode::AtLeastOnce => "at_least_once",
        },
        interval: interval.as_millis() as u64,
        timeout: options.timeout.as_millis() as u64,
        min_pause: options.min_pause.as_millis() as u64,
        max_concurrent: options.max_concurrent,
        externalization: Externalization {
            enabled: options.retention != RetentionPolicy::NoExternalizedCheckpoints,
            delete_on_cancellation: options.retention != RetentionPolicy::RetainOnCancellation,
        },
        state_backend: "tables in memory",
        checkpoint_storage: options.dir.clone().unwrap_or_default(),
        unaligned_checkpoints: false,
        tolerable_failed_checkpoints: options.tolerable_failed,
        aligned_checkpoint_timeout: 0,
        checkpoints_after_tasks_finish: options.checkpoints_after_tasks_finish,
        state_changelog_enabled: false,
        changelog_periodic_materialization_interval: 0,
        changelog_storage: None,
    }))
}
