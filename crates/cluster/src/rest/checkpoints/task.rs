//! A task's part of a snapshot, subtask by subtask.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;

use super::{TaskCheckpoint, not_found, parts_of};
use crate::rest::{
    Api,
    answer::{Answer, ApiResult, millis, number},
    summary::Summary,
    vertices::TaskView,
};

/// A task's part of a snapshot, with that of each subtask.
#[derive(Serialize, JsonSchema)]
pub(in crate::rest) struct TaskCheckpointDetail {
    #[serde(flatten)]
    task: TaskCheckpoint,
    summary: TaskSummary,
    subtasks: Vec<SubtaskCheckpoint>,
}

/// Over all subtasks of a task.
#[derive(Serialize, JsonSchema)]
struct TaskSummary {
    checkpointed_size: Summary,
    state_size: Summary,
    end_to_end_duration: Summary,
    checkpoint_duration: Durations<Summary>,
    alignment: Alignment<Summary>,
    start_delay: Summary,
}

/// How long the parts of a snapshot took, in milliseconds.
#[derive(Serialize, JsonSchema)]
struct Durations<T> {
    sync: T,
    r#async: T,
}

/// Bringing a subtask's inputs to the same point.
#[derive(Serialize, JsonSchema)]
struct Alignment<T> {
    buffered: T,
    processed: T,
    persisted: T,
    duration: T,
}

/// A subtask's part of a snapshot.
#[derive(Serialize, JsonSchema)]
struct SubtaskCheckpoint {
    #[serde(rename = "className")]
    class_name: &'static str,
    index: u32,
    status: &'static str,
    ack_timestamp: i64,
    end_to_end_duration: u64,
    checkpointed_size: u64,
    state_size: u64,
    checkpoint: Durations<u64>,
    alignment: Alignment<u64>,
    start_delay: u64,
    unaligned_checkpoint: bool,
    aborted: bool,
}

pub(in crate::rest) async fn subtasks(
    State(api): State<Api>,
    Path((id, checkpoint, vertex)): Path<(String, String, String)>,
) -> ApiResult<TaskCheckpointDetail> {
    let TaskView { job: view, index } = TaskView::find(&api, &id, &vertex)?;
    let number = number::<u64>("checkpointid", &checkpoint)?;
    let done = view.stats.completed.iter().find(|done| done.id.get() == number);
    let done = done.ok_or_else(|| not_found(number))?;
    // The operators of a subtask are chained: their times add up.
    let mut by_subtask = BTreeMap::<u32, [u64; 4]>::new();
    for part in parts_of(&view, index, done) {
        let sums = by_subtask.entry(part.subtask.get()).or_default();
        let stats = &part.stats;
        let values = [stats.bytes, stats.sync_us, stats.async_us, stats.alignment_us];
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    let duration = done.duration.as_millis() as u64;
    let subtask =
        |(index, [bytes, sync, asynchronous, alignment]): (&u32, &[u64; 4])| SubtaskCheckpoint {
            class_name: "completed",
            index: *index,
            status: "completed",
            ack_timestamp: millis(Some(done.completed_at)),
            end_to_end_duration: duration,
            checkpointed_size: *bytes,
            state_size: *bytes,
            checkpoint: Durations { sync: sync / 1000, r#async: asynchronous / 1000 },
            alignment: Alignment {
                buffered: 0,
                processed: 0,
                persisted: 0,
                duration: alignment / 1000,
            },
            start_delay: 0,
            unaligned_checkpoint: false,
            aborted: false,
        };
    let subtasks = by_subtask.iter().map(subtask).collect::<Vec<_>>();
    let figures =
        |figure: fn(&SubtaskCheckpoint) -> u64| Summary::of(subtasks.iter().map(figure).collect());
    let nothing = || figures(|_| 0);
    let summary = TaskSummary {
        checkpointed_size: figures(|subtask| subtask.checkpointed_size),
        state_size: figures(|subtask| subtask.state_size),
        end_to_end_duration: figures(|subtask| subtask.end_to_end_duration),
        checkpoint_duration: Durations {
            sync: figures(|subtask| subtask.checkpoint.sync),
            r#async: figures(|subtask| subtask.checkpoint.r#async),
        },
        alignment: Alignment {
            buffered: nothing(),
            processed: nothing(),
            persisted: nothing(),
            duration: figures(|subtask| subtask.alignment.duration),
        },
        start_delay: nothing(),
    };
    let task = TaskCheckpoint::of(&view, index, done);
    Ok(Answer::ok(TaskCheckpointDetail { task, summary, subtasks }))
}
