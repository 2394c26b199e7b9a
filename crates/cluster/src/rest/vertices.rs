//! Tasks of a job, and their subtasks.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;
use tidegate_runtime::TaskDescription;
use tidegate_types::{SubtaskFigures, SubtaskRates, Timestamp};

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, HexId, job, millis, number},
    jobs::duration,
    metrics::Metric,
    plan::vertex_id,
    states::TaskState,
};
use crate::dispatcher::{JobView, ProcessPlace};

/// From which share of its time on a subtask counts as held back a little, and a lot (Flink's).
const LOW: f64 = 0.1;
const HIGH: f64 = 0.5;

/// What has gone in and out. Bytes are not counted.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct IoMetrics {
    read_bytes: u64,
    read_bytes_complete: bool,
    write_bytes: u64,
    write_bytes_complete: bool,
    read_records: u64,
    read_records_complete: bool,
    write_records: u64,
    write_records_complete: bool,
    accumulated_backpressured_time: u64,
    accumulated_idle_time: u64,
    accumulated_busy_time: f64,
}

impl IoMetrics {
    fn sum<'a>(subtasks: impl IntoIterator<Item = &'a SubtaskFigures>) -> Self {
        let mut all = Self::default();
        for subtask in subtasks {
            all.read_records += subtask.records_in;
            all.write_records += subtask.records_out;
            all.accumulated_backpressured_time += subtask.backpressured.as_millis() as u64;
            all.accumulated_idle_time += subtask.idle.as_millis() as u64;
            all.accumulated_busy_time += subtask.busy.as_secs_f64() * 1e3;
            (all.read_records_complete, all.write_records_complete) = (true, true);
        }
        all
    }
}

/// What a list shows of a task.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Vertex {
    #[schemars(with = "HexId")]
    id: String,
    #[serde(rename = "slotSharingGroupId")]
    #[schemars(with = "HexId")]
    slot_sharing_group_id: String,
    name: String,
    #[serde(rename = "maxParallelism")]
    max_parallelism: u32,
    parallelism: u32,
    status: TaskState,
    start_time: i64,
    end_time: i64,
    duration: i64,
    /// How many of its subtasks are in each state.
    tasks: BTreeMap<TaskState, u64>,
    metrics: IoMetrics,
}

/// All tasks of a job.
pub(super) fn vertices(view: &JobView, now: Timestamp) -> Vec<Vertex> {
    let (status, parallelism) = (TaskState::of(view), view.stats.parallelism.get());
    let vertex = |(index, task): (usize, &TaskDescription)| Vertex {
        id: vertex_id(task),
        slot_sharing_group_id: view.id.to_string(),
        name: task.name.clone(),
        max_parallelism: view.stats.max_parallelism.get(),
        parallelism,
        status,
        start_time: millis(Some(view.stats.attempt_started)),
        end_time: millis(view.ended),
        duration: duration(view, now),
        tasks: status.counts(u64::from(parallelism)),
        metrics: IoMetrics::sum(of_task(view, index).map(|(figures, _)| figures)),
    };
    view.description.plan.tasks.iter().enumerate().map(vertex).collect()
}

/// The figures of a task's subtasks.
fn of_task(view: &JobView, task: usize) -> impl Iterator<Item = (&SubtaskFigures, SubtaskRates)> {
    let rates = view.stats.rates.iter().copied().chain(std::iter::repeat(SubtaskRates::default()));
    let all = view.stats.subtasks.iter().zip(rates);
    all.filter(move |(figures, _)| figures.task as usize == task)
}

/// A task of a job, as a path names it.
pub(super) struct TaskView {
    pub(super) job: JobView,
    pub(super) index: usize,
}

impl TaskView {
    pub(super) fn find(api: &Api, id: &str, vertex: &str) -> Result<Self, ApiError> {
        let job = job(&api.dispatcher, id)?;
        if vertex.len() != 32 || !vertex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ApiError::path("vertexid", vertex));
        }
        let wanted = vertex.to_ascii_lowercase();
        let mut tasks = job.description.plan.tasks.iter();
        let index = tasks.position(|task| vertex_id(task) == wanted);
        let missing =
            || ApiError::not_found(format!("JobVertex {wanted} not found in job {}", job.id));
        let index = index.ok_or_else(missing)?;
        Ok(Self { job, index })
    }

    pub(super) fn task(&self) -> &TaskDescription {
        &self.job.description.plan.tasks[self.index]
    }

    /// Its subtasks, with what is counted of each.
    pub(super) fn subtasks(&self) -> impl Iterator<Item = (&SubtaskFigures, SubtaskRates)> {
        of_task(&self.job, self.index)
    }

    /// Where a subtask runs.
    fn place(&self, subtask: u32) -> Option<&ProcessPlace> {
        self.job.places.iter().rev().find(|place| place.first_subtask <= subtask)
    }
}

/// A task.
#[derive(Serialize, JsonSchema)]
pub(super) struct VertexDetail {
    #[schemars(with = "HexId")]
    id: String,
    name: String,
    parallelism: u32,
    #[serde(rename = "maxParallelism")]
    max_parallelism: u32,
    now: i64,
    subtasks: Vec<Subtask>,
    aggregated: Aggregated,
}

/// Over all subtasks. Not told.
#[derive(Serialize, JsonSchema)]
struct Aggregated {
    metrics: BTreeMap<String, u64>,
    #[serde(rename = "status-duration")]
    status_duration: BTreeMap<String, u64>,
}

/// A subtask.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Subtask {
    subtask: u32,
    status: TaskState,
    attempt: u64,
    endpoint: String,
    start_time: i64,
    #[serde(rename = "start_time")]
    start_time_again: i64,
    end_time: i64,
    duration: i64,
    metrics: IoMetrics,
    taskmanager_id: String,
    status_duration: BTreeMap<TaskState, i64>,
}

fn subtask(view: &TaskView, index: u32, now: Timestamp) -> Subtask {
    let job = &view.job;
    let started = millis(Some(job.stats.attempt_started));
    let place = view.place(index);
    let status = TaskState::of(job);
    let lasted = millis(Some(job.ended.unwrap_or(now))) - started;
    let figures = view.subtasks().map(|(figures, _)| figures);
    Subtask {
        subtask: index,
        status,
        attempt: job.stats.attempt.get(),
        endpoint: place.map(|place| place.host.clone()).unwrap_or_default(),
        start_time: started,
        start_time_again: started,
        end_time: millis(job.ended),
        duration: lasted,
        metrics: IoMetrics::sum(figures.filter(|figures| figures.subtask.get() == index)),
        taskmanager_id: place.map(|place| place.task_manager.0.clone()).unwrap_or_default(),
        status_duration: BTreeMap::from([(status, lasted)]),
    }
}

pub(super) async fn detail(
    State(api): State<Api>,
    Path((id, vertex)): Path<(String, String)>,
) -> ApiResult<VertexDetail> {
    let (view, now) = (TaskView::find(&api, &id, &vertex)?, api.dispatcher.now());
    let parallelism = view.job.stats.parallelism.get();
    Ok(Answer::ok(VertexDetail {
        id: vertex_id(view.task()),
        name: view.task().name.clone(),
        parallelism,
        max_parallelism: view.job.stats.max_parallelism.get(),
        now: millis(Some(now)),
        subtasks: (0..parallelism).map(|index| subtask(&view, index, now)).collect(),
        aggregated: Aggregated { metrics: BTreeMap::new(), status_duration: BTreeMap::new() },
    }))
}

pub(super) async fn subtask_detail(
    State(api): State<Api>,
    Path((id, vertex, index)): Path<(String, String, String)>,
) -> ApiResult<Subtask> {
    let (view, now) = (TaskView::find(&api, &id, &vertex)?, api.dispatcher.now());
    let index = number::<u32>("subtaskindex", &index)?;
    if index >= view.job.stats.parallelism.get() {
        return Err(ApiError::not_found(format!("Invalid subtask index for vertex {vertex}")));
    }
    Ok(Answer::ok(subtask(&view, index, now)))
}

/// How much a task is held back.
#[derive(Serialize, JsonSchema)]
pub(super) struct Backpressure {
    status: &'static str,
    #[serde(rename = "backpressureLevel")]
    level: &'static str,
    #[serde(rename = "backpressure-level")]
    level_again: &'static str,
    #[serde(rename = "end-timestamp")]
    end_timestamp: i64,
    subtasks: Vec<SubtaskBackpressure>,
}

/// How much a subtask is held back: shares of its time, from 0 to 1.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SubtaskBackpressure {
    subtask: u32,
    #[serde(rename = "attempt-number")]
    attempt_number: u64,
    backpressure_level: &'static str,
    #[serde(rename = "backpressure-level")]
    level_again: &'static str,
    ratio: f64,
    idle_ratio: f64,
    busy_ratio: f64,
}

fn level(ratio: f64) -> &'static str {
    match ratio {
        ratio if ratio > HIGH => "high",
        ratio if ratio > LOW => "low",
        _ => "ok",
    }
}

pub(super) async fn backpressure(
    State(api): State<Api>,
    Path((id, vertex)): Path<(String, String)>,
) -> ApiResult<Backpressure> {
    let view = TaskView::find(&api, &id, &vertex)?;
    let of = |(figures, rates): (&SubtaskFigures, SubtaskRates)| SubtaskBackpressure {
        subtask: figures.subtask.get(),
        attempt_number: view.job.stats.attempt.get(),
        backpressure_level: level(rates.backpressured),
        level_again: level(rates.backpressured),
        ratio: rates.backpressured,
        idle_ratio: rates.idle,
        busy_ratio: rates.busy,
    };
    let subtasks = view.subtasks().map(of).collect::<Vec<_>>();
    let worst = level(subtasks.iter().map(|subtask| subtask.ratio).fold(0.0, f64::max));
    let end_timestamp = millis(Some(api.dispatcher.now()));
    Ok(Answer::ok(Backpressure {
        status: "ok",
        level: worst,
        level_again: worst,
        end_timestamp,
        subtasks,
    }))
}

/// When a task's subtasks came into their state.
#[derive(Serialize, JsonSchema)]
pub(super) struct SubtaskTimes {
    #[schemars(with = "HexId")]
    id: String,
    name: String,
    now: i64,
    subtasks: Vec<SubtaskTime>,
}

/// When a subtask came into its state.
#[derive(Serialize, JsonSchema)]
struct SubtaskTime {
    subtask: u32,
    endpoint: String,
    duration: i64,
    timestamps: BTreeMap<TaskState, i64>,
}

pub(super) async fn subtask_times(
    State(api): State<Api>,
    Path((id, vertex)): Path<(String, String)>,
) -> ApiResult<SubtaskTimes> {
    let (view, now) = (TaskView::find(&api, &id, &vertex)?, api.dispatcher.now());
    let of = |index: u32| {
        let Subtask { endpoint, duration, status, .. } = subtask(&view, index, now);
        let since = millis(Some(view.job.last_modified()));
        let timestamps = BTreeMap::from([(status, since)]);
        SubtaskTime { subtask: index, endpoint, duration, timestamps }
    };
    Ok(Answer::ok(SubtaskTimes {
        id: vertex_id(view.task()),
        name: view.task().name.clone(),
        now: millis(Some(now)),
        subtasks: (0..view.job.stats.parallelism.get()).map(of).collect(),
    }))
}

pub(super) async fn watermarks(
    State(api): State<Api>,
    Path((id, vertex)): Path<(String, String)>,
) -> ApiResult<Vec<Metric>> {
    let view = TaskView::find(&api, &id, &vertex)?;
    let of = |(figures, _): (&SubtaskFigures, SubtaskRates)| {
        let name = format!("{}.currentInputWatermark", figures.subtask);
        Some(Metric::new(name, figures.watermark?.0))
    };
    Ok(Answer::ok(view.subtasks().filter_map(of).collect()))
}

/// Where a task runs.
#[derive(Serialize, JsonSchema)]
pub(super) struct VertexTaskManagers {
    #[schemars(with = "HexId")]
    id: String,
    name: String,
    now: i64,
    taskmanagers: Vec<VertexTaskManager>,
}

/// What of a task runs on a TaskManager.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct VertexTaskManager {
    endpoint: String,
    status: TaskState,
    start_time: i64,
    end_time: i64,
    duration: i64,
    metrics: IoMetrics,
    status_counts: BTreeMap<TaskState, u64>,
    taskmanager_id: String,
}

pub(super) async fn task_managers(
    State(api): State<Api>,
    Path((id, vertex)): Path<(String, String)>,
) -> ApiResult<VertexTaskManagers> {
    let (view, now) = (TaskView::find(&api, &id, &vertex)?, api.dispatcher.now());
    let status = TaskState::of(&view.job);
    let of = |place: &ProcessPlace| {
        let here = place.first_subtask..place.first_subtask + place.subtasks;
        let figures = view.subtasks().map(|(figures, _)| figures);
        let started = millis(Some(view.job.stats.attempt_started));
        VertexTaskManager {
            endpoint: place.host.clone(),
            status,
            start_time: started,
            end_time: millis(view.job.ended),
            duration: millis(Some(now)) - started,
            metrics: IoMetrics::sum(figures.filter(|one| here.contains(&one.subtask.get()))),
            status_counts: status.counts(u64::from(place.subtasks)),
            taskmanager_id: place.task_manager.0.clone(),
        }
    };
    Ok(Answer::ok(VertexTaskManagers {
        id: vertex_id(view.task()),
        name: view.task().name.clone(),
        now: millis(Some(now)),
        taskmanagers: view.job.places.iter().map(of).collect(),
    }))
}

/// What a task has accumulated: jobs have no accumulators here.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct VertexAccumulators {
    #[schemars(with = "HexId")]
    id: String,
    user_accumulators: [(); 0],
}

pub(super) async fn accumulators(
    State(api): State<Api>,
    Path((id, vertex)): Path<(String, String)>,
) -> ApiResult<VertexAccumulators> {
    let view = TaskView::find(&api, &id, &vertex)?;
    Ok(Answer::ok(VertexAccumulators { id: vertex_id(view.task()), user_accumulators: [] }))
}
