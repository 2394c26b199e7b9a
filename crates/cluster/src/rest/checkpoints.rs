//! What is told of a job's checkpoints and savepoints.

mod config;
mod task;

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;
use tidegate_runtime::{
    CheckpointSummary, FailedCheckpoint, PendingCheckpoint, SnapshotForm, SubtaskSnapshot,
};
use tidegate_types::{BarrierKind, Timestamp};

pub(super) use self::{
    config::{CheckpointConfig, config},
    task::{TaskCheckpointDetail, subtasks},
};
use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, job, millis, number},
    plan::vertex_id,
    summary::Summary,
};
use crate::dispatcher::JobView;

/// How many snapshots the history tells of (Flink's `web.checkpoints.history`).
const HISTORY: usize = 10;

/// How far a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum CheckpointStatus {
    InProgress,
    Completed,
    Failed,
}

/// What a snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum CheckpointType {
    Checkpoint,
    Savepoint,
    SyncSavepoint,
}

impl From<BarrierKind> for CheckpointType {
    fn from(kind: BarrierKind) -> Self {
        match kind {
            BarrierKind::StopWithSavepoint { .. } => Self::SyncSavepoint,
            BarrierKind::Savepoint => Self::Savepoint,
            BarrierKind::Checkpoint | BarrierKind::Final => Self::Checkpoint,
        }
    }
}

/// A snapshot.
#[derive(Serialize, JsonSchema)]
pub(super) struct Checkpoint {
    #[serde(rename = "className")]
    class_name: &'static str,
    id: u64,
    status: CheckpointStatus,
    is_savepoint: bool,
    #[serde(rename = "savepointFormat")]
    savepoint_format: Option<&'static str>,
    trigger_timestamp: i64,
    latest_ack_timestamp: i64,
    checkpointed_size: u64,
    state_size: u64,
    end_to_end_duration: u64,
    alignment_buffered: u64,
    processed_data: u64,
    persisted_data: u64,
    num_subtasks: u64,
    num_acknowledged_subtasks: u64,
    checkpoint_type: CheckpointType,
    /// By task; in lists it is empty.
    tasks: BTreeMap<String, TaskCheckpoint>,
    /// Where it lies, if it is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_path: Option<String>,
    /// Whether it has been deleted, if it is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    discarded: Option<bool>,
    /// When it failed, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_timestamp: Option<i64>,
    /// Why it failed, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_message: Option<String>,
}

impl Checkpoint {
    fn new(
        view: &JobView,
        id: u64,
        (kind, form): (BarrierKind, SnapshotForm),
        triggered_at: Timestamp,
    ) -> Self {
        let kind = CheckpointType::from(kind);
        let is_savepoint = kind != CheckpointType::Checkpoint;
        let tasks = view.description.plan.tasks.len() as u64;
        Self {
            class_name: "in_progress",
            id,
            status: CheckpointStatus::InProgress,
            is_savepoint,
            savepoint_format: is_savepoint.then_some(match form {
                SnapshotForm::Native => "NATIVE",
                SnapshotForm::Canonical => "CANONICAL",
            }),
            trigger_timestamp: millis(Some(triggered_at)),
            latest_ack_timestamp: -1,
            checkpointed_size: 0,
            state_size: 0,
            end_to_end_duration: 0,
            alignment_buffered: 0,
            processed_data: 0,
            persisted_data: 0,
            num_subtasks: tasks * u64::from(view.stats.parallelism.get()),
            num_acknowledged_subtasks: 0,
            checkpoint_type: kind,
            tasks: BTreeMap::new(),
            external_path: None,
            discarded: None,
            failure_timestamp: None,
            failure_message: None,
        }
    }

    fn completed(view: &JobView, done: &CheckpointSummary) -> Self {
        let checkpoint = Self::new(view, done.id.get(), (done.kind, done.form), done.triggered_at);
        Self {
            class_name: "completed",
            status: CheckpointStatus::Completed,
            latest_ack_timestamp: millis(Some(done.completed_at)),
            checkpointed_size: done.bytes,
            state_size: done.bytes,
            end_to_end_duration: done.duration.as_millis() as u64,
            num_acknowledged_subtasks: checkpoint.num_subtasks,
            external_path: Some(done.path.clone()),
            discarded: Some(false),
            ..checkpoint
        }
    }

    fn failed(view: &JobView, gone: &FailedCheckpoint) -> Self {
        let checkpoint = Self::new(view, gone.id.get(), (gone.kind, gone.form), gone.triggered_at);
        Self {
            class_name: "failed",
            status: CheckpointStatus::Failed,
            end_to_end_duration: gone.time.since(gone.triggered_at).as_millis() as u64,
            failure_timestamp: Some(millis(Some(gone.time))),
            failure_message: Some(gone.reason.clone()),
            ..checkpoint
        }
    }

    fn pending(view: &JobView, pending: &PendingCheckpoint, now: Timestamp) -> Self {
        Self {
            checkpointed_size: pending.bytes,
            state_size: pending.bytes,
            end_to_end_duration: now.since(pending.triggered_at).as_millis() as u64,
            num_acknowledged_subtasks: u64::from(pending.subtasks),
            ..Self::new(view, pending.id.get(), (pending.kind, pending.form), pending.triggered_at)
        }
    }
}

/// A task's part of a snapshot.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct TaskCheckpoint {
    id: u64,
    status: CheckpointStatus,
    latest_ack_timestamp: i64,
    checkpointed_size: u64,
    state_size: u64,
    end_to_end_duration: u64,
    alignment_buffered: u64,
    processed_data: u64,
    persisted_data: u64,
    num_subtasks: u64,
    num_acknowledged_subtasks: u64,
}

impl TaskCheckpoint {
    fn of(view: &JobView, task: usize, done: &CheckpointSummary) -> Self {
        let bytes = parts_of(view, task, done).map(|part| part.stats.bytes).sum();
        let subtasks = u64::from(view.stats.parallelism.get());
        Self {
            id: done.id.get(),
            status: CheckpointStatus::Completed,
            latest_ack_timestamp: millis(Some(done.completed_at)),
            checkpointed_size: bytes,
            state_size: bytes,
            end_to_end_duration: done.duration.as_millis() as u64,
            alignment_buffered: 0,
            processed_data: 0,
            persisted_data: 0,
            num_subtasks: subtasks,
            num_acknowledged_subtasks: subtasks,
        }
    }
}

/// What was measured of a task's operators.
fn parts_of<'a>(
    view: &'a JobView,
    task: usize,
    done: &CheckpointSummary,
) -> impl Iterator<Item = &'a SubtaskSnapshot> {
    let operators = &view.description.plan.tasks[task].operators;
    let parts = view.stats.parts.get(&done.id).into_iter().flat_map(|parts| parts.iter());
    parts.filter(|part| operators.iter().any(|operator| operator.uid == part.uid))
}

/// The snapshots of a job.
#[derive(Serialize, JsonSchema)]
pub(super) struct Checkpoints {
    counts: Counts,
    summary: Summaries,
    latest: Latest,
    /// The latest of all kinds, newest first.
    history: Vec<Checkpoint>,
}

/// How many snapshots there were.
#[derive(Serialize, JsonSchema)]
struct Counts {
    restored: u64,
    total: u64,
    in_progress: u64,
    completed: u64,
    failed: u64,
}

/// Over all completed snapshots.
#[derive(Serialize, JsonSchema)]
struct Summaries {
    checkpointed_size: Summary,
    state_size: Summary,
    end_to_end_duration: Summary,
    alignment_buffered: Summary,
    processed_data: Summary,
    persisted_data: Summary,
}

/// The latest snapshot of each kind.
#[derive(Serialize, JsonSchema)]
struct Latest {
    completed: Option<Checkpoint>,
    savepoint: Option<Checkpoint>,
    failed: Option<Checkpoint>,
    restored: Option<Restored>,
}

/// The snapshot that the current attempt was restored from.
#[derive(Serialize, JsonSchema)]
struct Restored {
    id: u64,
    restore_timestamp: i64,
    is_savepoint: bool,
    external_path: String,
}

pub(super) async fn statistics(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> ApiResult<Checkpoints> {
    let (view, now) = (job(&api.dispatcher, &id)?, api.dispatcher.now());
    let stats = &view.stats;
    let figures = |figure: fn(&CheckpointSummary) -> u64| {
        Summary::of(stats.completed.iter().map(|done| figure(done)).collect())
    };
    let nothing = || figures(|_| 0);
    let latest = |savepoint: bool| {
        let is = |kind| (CheckpointType::from(kind) != CheckpointType::Checkpoint) == savepoint;
        let found = stats.completed.iter().rfind(|done| is(done.kind));
        found.map(|done| Checkpoint::completed(&view, done))
    };
    let restored = stats.restored.as_ref().map(|(checkpoint, path)| Restored {
        id: checkpoint.get(),
        restore_timestamp: millis(Some(stats.attempt_started)),
        is_savepoint: !path.contains("/chk-"),
        external_path: path.clone(),
    });
    let completed = stats.completed.iter().rev().take(HISTORY);
    let completed = completed.map(|done| Checkpoint::completed(&view, done));
    let failed = stats.failed.iter().map(|gone| Checkpoint::failed(&view, gone));
    let pending = stats.pending.iter().map(|pending| Checkpoint::pending(&view, pending, now));
    let mut history = completed.chain(failed).chain(pending).collect::<Vec<_>>();
    history.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.id));
    history.truncate(HISTORY);
    let in_progress = stats.pending.len() as u64;
    Ok(Answer::ok(Checkpoints {
        counts: Counts {
            restored: u64::from(stats.restored.is_some()),
            total: stats.completed_count + stats.failed_count + in_progress,
            in_progress,
            completed: stats.completed_count,
            failed: stats.failed_count,
        },
        summary: Summaries {
            checkpointed_size: figures(|done| done.bytes),
            state_size: figures(|done| done.bytes),
            end_to_end_duration: figures(|done| done.duration.as_millis() as u64),
            alignment_buffered: nothing(),
            processed_data: nothing(),
            persisted_data: nothing(),
        },
        latest: Latest {
            completed: latest(false),
            savepoint: latest(true),
            failed: stats.failed.last().map(|gone| Checkpoint::failed(&view, gone)),
            restored,
        },
        history,
    }))
}

fn not_found(number: u64) -> ApiError {
    let message = format!("Could not find checkpointing statistics for checkpoint {number}");
    ApiError::not_found(message)
}

pub(super) async fn details(
    State(api): State<Api>,
    Path((id, checkpoint)): Path<(String, String)>,
) -> ApiResult<Checkpoint> {
    let (view, now) = (job(&api.dispatcher, &id)?, api.dispatcher.now());
    let number = number::<u64>("checkpointid", &checkpoint)?;
    let stats = &view.stats;
    if let Some(done) = stats.completed.iter().find(|done| done.id.get() == number) {
        let tasks = view.description.plan.tasks.iter().enumerate();
        let tasks =
            tasks.map(|(index, task)| (vertex_id(task), TaskCheckpoint::of(&view, index, done)));
        let tasks = tasks.collect();
        return Ok(Answer::ok(Checkpoint { tasks, ..Checkpoint::completed(&view, done) }));
    }
    let gone = stats.failed.iter().find(|gone| gone.id.get() == number);
    let pending = stats.pending.iter().find(|pending| pending.id.get() == number);
    let found = gone
        .map(|gone| Checkpoint::failed(&view, gone))
        .or(pending.map(|pending| Checkpoint::pending(&view, pending, now)));
    found.map(Answer::ok).ok_or_else(|| not_found(number))
}
