//! What is told of a job's checkpoints and savepoints.

use axum::extract::{Path, State};
use serde_json::{Value, json};
use tidegate_runtime::{CheckpointSummary, FailedCheckpoint};
use tidegate_types::{BarrierKind, options::CheckpointingMode, options::RetentionPolicy};

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, job},
};
use crate::dispatcher::JobView;

/// How many snapshots the history tells of (Flink's `web.checkpoints.history`).
const HISTORY: usize = 10;

fn is_savepoint(kind: BarrierKind) -> bool {
    matches!(kind, BarrierKind::Savepoint | BarrierKind::StopWithSavepoint { .. })
}

fn completed(view: &JobView, summary: &CheckpointSummary) -> Value {
    let duration = summary.duration.as_millis() as u64;
    let subtasks = subtasks(view);
    let checkpoint_type = match summary.kind {
        BarrierKind::StopWithSavepoint { .. } => "SYNC_SAVEPOINT",
        BarrierKind::Savepoint => "SAVEPOINT",
        _ => "CHECKPOINT",
    };
    let is_savepoint = is_savepoint(summary.kind);
    json!({
        "className": "completed",
        "id": summary.id.get(),
        "status": "COMPLETED",
        "is_savepoint": is_savepoint,
        "savepointFormat": is_savepoint.then_some("NATIVE"),
        "trigger_timestamp": summary.triggered_at.millis(),
        "latest_ack_timestamp": summary.completed_at.millis(),
        "checkpointed_size": summary.bytes,
        "state_size": summary.bytes,
        "end_to_end_duration": duration,
        "alignment_buffered": 0,
        "processed_data": 0,
        "persisted_data": 0,
        "num_subtasks": subtasks,
        "num_acknowledged_subtasks": subtasks,
        "checkpoint_type": checkpoint_type,
        "tasks": {},
        "external_path": summary.path,
        "discarded": false,
    })
}

fn failed(view: &JobView, failed: &FailedCheckpoint) -> Value {
    json!({
        "className": "failed",
        "id": failed.id.get(),
        "status": "FAILED",
        "is_savepoint": false,
        "savepointFormat": null,
        "trigger_timestamp": failed.time.millis(),
        "latest_ack_timestamp": -1,
        "checkpointed_size": 0,
        "state_size": 0,
        "end_to_end_duration": 0,
        "alignment_buffered": 0,
        "processed_data": 0,
        "persisted_data": 0,
        "num_subtasks": subtasks(view),
        "num_acknowledged_subtasks": 0,
        "checkpoint_type": "CHECKPOINT",
        "tasks": {},
        "failure_timestamp": failed.time.millis(),
        "failure_message": failed.reason,
    })
}

fn subtasks(view: &JobView) -> u64 {
    view.description.plan.tasks.len() as u64 * u64::from(view.stats.parallelism.get())
}

/// Flink's summary of a figure: least, most, mean and percentiles.
fn summary(mut figures: Vec<u64>) -> Value {
    if figures.is_empty() {
        return json!({
            "min": 0, "max": 0, "avg": 0,
            "p50": "NaN", "p90": "NaN", "p95": "NaN", "p99": "NaN", "p999": "NaN",
        });
    }
    figures.sort_unstable();
    let last = figures.len() - 1;
    let at = |share: f64| figures[(last as f64 * share).ceil() as usize] as f64;
    json!({
        "min": figures[0],
        "max": figures[last],
        "avg": figures.iter().sum::<u64>() / figures.len() as u64,
        "p50": at(0.5), "p90": at(0.9), "p95": at(0.95), "p99": at(0.99), "p999": at(0.999),
    })
}

pub(super) async fn statistics(State(api): State<Api>, Path(id): Path<String>) -> ApiResult {
    let view = job(&api.dispatcher, &id)?;
    let stats = &view.stats;
    let figures = |figure: &dyn Fn(&CheckpointSummary) -> u64| {
        summary(stats.completed.iter().map(|done| figure(done)).collect())
    };
    let latest = |savepoint: bool| {
        let found = stats.completed.iter().rfind(|done| is_savepoint(done.kind) == savepoint);
        found.map(|done| completed(&view, done))
    };
    let restored = stats.restored.as_ref().map(|(checkpoint, path)| {
        json!({
            "id": checkpoint.get(),
            "restore_timestamp": stats.attempt_started.millis(),
            "is_savepoint": !path.contains("/chk-"),
            "external_path": path,
        })
    });
    let mut history = stats
        .completed
        .iter()
        .map(|done| (done.id, completed(&view, done)))
        .chain(stats.failed.iter().map(|gone| (gone.id, failed(&view, gone))))
        .collect::<Vec<_>>();
    history.sort_by_key(|(checkpoint, _)| std::cmp::Reverse(*checkpoint));
    let history = history.into_iter().take(HISTORY).map(|(_, entry)| entry).collect::<Vec<_>>();
    let total = stats.completed_count + stats.failed_count + stats.pending.len() as u64;
    Ok(Answer::ok(json!({
        "counts": {
            "restored": u64::from(stats.restored.is_some()),
            "total": total,
            "in_progress": stats.pending.len(),
            "completed": stats.completed_count,
            "failed": stats.failed_count,
        },
        "summary": {
            "checkpointed_size": figures(&|done| done.bytes),
            "state_size": figures(&|done| done.bytes),
            "end_to_end_duration": figures(&|done| done.duration.as_millis() as u64),
            "alignment_buffered": figures(&|_| 0),
            "processed_data": figures(&|_| 0),
            "persisted_data": figures(&|_| 0),
        },
        "latest": {
            "completed": latest(false),
            "savepoint": latest(true),
            "failed": stats.failed.last().map(|gone| failed(&view, gone)),
            "restored": restored,
        },
        "history": history,
    })))
}

pub(super) async fn config(State(api): State<Api>, Path(id): Path<String>) -> ApiResult {
    let view = job(&api.dispatcher, &id)?;
    let options = &view.options.checkpointing;
    let Some(interval) = options.interval else {
        let message = format!("Checkpointing is not enabled for this job ({}).", view.id);
        return Err(ApiError::not_found(message));
    };
    let mode = match options.mode {
        CheckpointingMode::ExactlyOnce => "exactly_once",
        CheckpointingMode::AtLeastOnce => "at_least_once",
    };
    let retained = options.retention == RetentionPolicy::RetainOnCancellation;
    Ok(Answer::ok(json!({
        "mode": mode,
        "interval": interval.as_millis() as u64,
        "timeout": options.timeout.as_millis() as u64,
        "min_pause": options.min_pause.as_millis() as u64,
        "max_concurrent": options.max_concurrent,
        "externalization": {
            "enabled": options.retention != RetentionPolicy::NoExternalizedCheckpoints,
            "delete_on_cancellation": !retained,
        },
        "state_backend": "copy-on-write tables in memory",
        "checkpoint_storage": options.dir.clone().unwrap_or_default(),
        "unaligned_checkpoints": false,
        "tolerable_failed_checkpoints": options.tolerable_failed,
        "aligned_checkpoint_timeout": 0,
        "checkpoints_after_tasks_finish": options.checkpoints_after_tasks_finish,
        "state_changelog_enabled": false,
        "changelog_periodic_materialization_interval": 0,
        "changelog_storage": null,
    })))
}

pub(super) async fn details(
    State(api): State<Api>,
    Path((id, checkpoint)): Path<(String, String)>,
) -> ApiResult {
    let view = job(&api.dispatcher, &id)?;
    let number: u64 =
        checkpoint.parse().map_err(|_| ApiError::path("checkpointid", &checkpoint))?;
    let done = view.stats.completed.iter().find(|done| done.id.get() == number);
    let gone = view.stats.failed.iter().find(|gone| gone.id.get() == number);
    let found = done.map(|done| completed(&view, done)).or(gone.map(|gone| failed(&view, gone)));
    found.map(Answer::ok).ok_or_else(|| {
        let message = format!("Could not find checkpointing statistics for checkpoint {number}");
        ApiError::not_found(message)
    })
}
