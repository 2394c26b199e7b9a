//! Figures by name, under Flink's names: of the cluster, of jobs, of tasks and their subtasks.

use std::ops::RangeInclusive;

use axum::extract::{Path, Query, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_runtime::{CheckpointSummary, JobStatus};
use tidegate_types::{JobId, SubtaskFigures, SubtaskRates, Timestamp};

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, job, number},
    vertices::TaskView,
};
use crate::dispatcher::{Dispatcher, JobView};

/// A figure, or its name alone.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct Metric {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
}

impl Metric {
    pub(super) fn new(id: impl Into<String>, value: impl ToString) -> Self {
        Self { id: id.into(), value: Some(value.to_string()) }
    }

    /// Its value, if it is a number.
    pub(super) fn number(&self) -> Option<f64> {
        self.value.as_ref()?.parse().ok()
    }
}

/// Which figures to tell.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsQuery {
    /// Their names, separated by commas; without it the names of all are told.
    get: Option<String>,
}

impl MetricsQuery {
    fn select(&self, all: Vec<Metric>) -> Vec<Metric> {
        let Some(wanted) = &self.get else {
            return all.into_iter().map(|Metric { id, .. }| Metric { id, value: None }).collect();
        };
        let wanted = wanted.split(',').collect::<Vec<_>>();
        all.into_iter().filter(|metric| wanted.contains(&metric.id.as_str())).collect()
    }
}

/// Figures of the cluster.
pub(super) fn of_cluster(dispatcher: &Dispatcher) -> Vec<Metric> {
    let (slots, free) = dispatcher.slots();
    let running = dispatcher.jobs().iter().filter(|job| !job.status.is_terminal()).count();
    vec![
        Metric::new("taskSlotsTotal", slots),
        Metric::new("taskSlotsAvailable", free),
        Metric::new("numRegisteredTaskManagers", dispatcher.task_managers().len()),
        Metric::new("numRunningJobs", running),
    ]
}

/// Figures of a job.
pub(super) fn of_job(view: &JobView, now: Timestamp) -> Vec<Metric> {
    let stats = &view.stats;
    let total = stats.completed_count + stats.failed_count + stats.pending.len() as u64;
    let since = |status: JobStatus| {
        let begun = stats.status_since.get(&status).filter(|_| view.status == status);
        begun.map_or(0, |begun| now.since(*begun).as_millis() as i64)
    };
    let mut metrics = vec![
        Metric::new("numRestarts", stats.restarts),
        Metric::new("fullRestarts", stats.restarts),
        Metric::new("numRescales", stats.rescales),
        Metric::new("uptime", since(JobStatus::Running)),
        Metric::new("runningTime", since(JobStatus::Running)),
        Metric::new("restartingTime", since(JobStatus::Restarting)),
        Metric::new("initializingTime", since(JobStatus::Initializing)),
        Metric::new("cancellingTime", since(JobStatus::Cancelling)),
        Metric::new("totalNumberOfCheckpoints", total),
        Metric::new("numberOfCompletedCheckpoints", stats.completed_count),
        Metric::new("numberOfFailedCheckpoints", stats.failed_count),
        Metric::new("numberOfInProgressCheckpoints", stats.pending.len()),
        Metric::new("numRecordsInPerSecond", stats.records_per_second),
    ];
    let of_checkpoint = |last: &CheckpointSummary| {
        [
            Metric::new("lastCheckpointDuration", last.duration.as_millis()),
            Metric::new("lastCheckpointSize", last.bytes),
            Metric::new("lastCheckpointFullSize", last.bytes),
            Metric::new("lastCompletedCheckpointId", last.id),
            Metric::new("lastCheckpointExternalPath", &last.path),
        ]
    };
    metrics.extend(stats.completed.last().map(|last| of_checkpoint(last)).into_iter().flatten());
    if stats.restored.is_some() {
        let time = stats.attempt_started.millis();
        metrics.push(Metric::new("lastCheckpointRestoreTimestamp", time));
    }
    metrics
}

/// Figures of a subtask.
pub(super) fn of_subtask(figures: &SubtaskFigures, rates: SubtaskRates) -> Vec<Metric> {
    let per_second = |share: f64| (share * 1e3).round() as u64;
    let mut metrics = vec![
        Metric::new("numRecordsIn", figures.records_in),
        Metric::new("numRecordsOut", figures.records_out),
        Metric::new("numRecordsInPerSecond", rates.records_in),
        Metric::new("numRecordsOutPerSecond", rates.records_out),
        Metric::new("busyTimeMsPerSecond", per_second(rates.busy)),
        Metric::new("idleTimeMsPerSecond", per_second(rates.idle)),
        Metric::new("backPressuredTimeMsPerSecond", per_second(rates.backpressured)),
        Metric::new("accumulateBusyTimeMs", figures.busy.as_millis()),
        Metric::new("accumulateIdleTimeMs", figures.idle.as_millis()),
        Metric::new("accumulateBackPressuredTimeMs", figures.backpressured.as_millis()),
    ];
    metrics.extend(figures.watermark.map(|time| Metric::new("currentInputWatermark", time.0)));
    metrics
}

pub(super) async fn jobmanager(
    State(api): State<Api>,
    query: Query<MetricsQuery>,
) -> Answer<Vec<Metric>> {
    Answer::ok(query.select(of_cluster(&api.dispatcher)))
}

pub(super) async fn job_metrics(
    State(api): State<Api>,
    Path(id): Path<String>,
    query: Query<MetricsQuery>,
) -> ApiResult<Vec<Metric>> {
    let view = job(&api.dispatcher, &id)?;
    Ok(Answer::ok(query.select(of_job(&view, api.dispatcher.now()))))
}

pub(super) async fn vertex(
    State(api): State<Api>,
    Path((id, vertex)): Path<(String, String)>,
    query: Query<MetricsQuery>,
) -> ApiResult<Vec<Metric>> {
    let view = TaskView::find(&api, &id, &vertex)?;
    let of = |(figures, rates): (&SubtaskFigures, SubtaskRates)| {
        let index = figures.subtask;
        let metrics = of_subtask(figures, rates).into_iter();
        metrics.map(move |Metric { id, value }| Metric { id: format!("{index}.{id}"), value })
    };
    Ok(Answer::ok(query.select(view.subtasks().flat_map(of).collect())))
}

pub(super) async fn subtask(
    State(api): State<Api>,
    Path((id, vertex, index)): Path<(String, String, String)>,
    query: Query<MetricsQuery>,
) -> ApiResult<Vec<Metric>> {
    let view = TaskView::find(&api, &id, &vertex)?;
    let index = number::<u32>("subtaskindex", &index)?;
    let found = view.subtasks().find(|(figures, _)| figures.subtask.get() == index);
    let metrics = found.map(|(figures, rates)| of_subtask(figures, rates));
    Ok(Answer::ok(query.select(metrics.unwrap_or_default())))
}

/// Which figures of which jobs to tell, and what of them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsQuery {
    /// Their names, separated by commas; without it the names of all are told.
    get: Option<String>,
    /// Some of min, max, sum, avg and skew, separated by commas; without it all but skew.
    #[schemars(regex(pattern = "^(min|max|sum|avg|skew)(,(min|max|sum|avg|skew))*$"))]
    agg: Option<String>,
    /// The jobs' ids, separated by commas; without it all.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{32}(,[0-9a-fA-F]{32})*$"))]
    jobs: Option<String>,
}

/// Which figures of which subtasks to tell, and what of them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubtasksQuery {
    /// Their names, separated by commas; without it the names of all are told.
    get: Option<String>,
    /// Some of min, max, sum, avg and skew, separated by commas; without it all but skew.
    #[schemars(regex(pattern = "^(min|max|sum|avg|skew)(,(min|max|sum|avg|skew))*$"))]
    agg: Option<String>,
    /// Of which subtasks: numbers and ranges, such as `1,3,5-9`; without it all.
    #[schemars(regex(pattern = "^[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*$"))]
    subtasks: Option<String>,
}

/// A figure over several jobs or subtasks, or its name alone.
#[derive(Serialize, JsonSchema)]
pub(super) struct AggregatedMetric {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avg: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<f64>,
    /// How uneven they are, in percent: 0 if all are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    skew: Option<f64>,
}

/// Takes the figures together that `get` names, in the ways that `agg` does.
fn aggregate(
    get: Option<&str>,
    agg: Option<&str>,
    all: &[Vec<Metric>],
) -> Result<Vec<AggregatedMetric>, ApiError> {
    let how = match agg {
        None => vec!["min", "max", "sum", "avg"],
        Some(how) => how.split(',').collect(),
    };
    let known = ["min", "max", "sum", "avg", "skew"];
    if let Some(other) = how.iter().find(|how| !known.contains(how)) {
        return Err(ApiError::query("agg", other));
    }
    let mut names = all.iter().flatten().map(|metric| metric.id.clone()).collect::<Vec<_>>();
    names.sort();
    names.dedup();
    let wanted = get.map(|get| get.split(',').collect::<Vec<_>>());
    let is_wanted =
        |name: &String| wanted.as_ref().is_none_or(|wanted| wanted.contains(&name.as_str()));
    let of = |id: String| {
        let metrics = all.iter().flatten().filter(|metric| metric.id == id);
        let values = metrics.filter_map(Metric::number).collect::<Vec<_>>();
        let asked = |name: &str| wanted.is_some() && !values.is_empty() && how.contains(&name);
        let sum = values.iter().sum::<f64>();
        let avg = sum / values.len().max(1) as f64;
        let off = values.iter().map(|value| (value - avg).abs()).sum::<f64>();
        let skew = if sum == 0.0 { 0.0 } else { off / sum * 100.0 };
        AggregatedMetric {
            min: asked("min").then(|| values.iter().copied().fold(f64::INFINITY, f64::min)),
            max: asked("max").then(|| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            avg: asked("avg").then_some(avg),
            sum: asked("sum").then_some(sum),
            skew: asked("skew").then_some(skew),
            id,
        }
    };
    Ok(names.into_iter().filter(is_wanted).map(of).collect())
}

/// Reads numbers and ranges, such as `1,3,5-9`.
fn ranges(text: &str) -> Result<Vec<RangeInclusive<u32>>, ApiError> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|_| is_plain)
        };
        number(first).zip(number(last)).map(|(first, last)| first..=last)
    };
    let all = text.split(',').map(range).collect::<Option<Vec<_>>>();
    all.ok_or_else(|| ApiError::query("subtasks", text))
}

pub(super) async fn all_jobs(
    State(api): State<Api>,
    query: Query<JobsQuery>,
) -> ApiResult<Vec<AggregatedMetric>> {
    let now = api.dispatcher.now();
    let wanted = match &query.jobs {
        None => None,
        Some(ids) => Some(
            ids.split(',')
                .map(|id| id.parse().map_err(|_| ApiError::query("jobs", id)))
                .collect::<Result<Vec<JobId>, _>>()?,
        ),
    };
    let jobs = api.dispatcher.jobs().into_iter();
    let jobs = jobs.filter(|job| wanted.as_ref().is_none_or(|wanted| wanted.contains(&job.id)));
    let metrics = jobs.map(|job| of_job(&job, now)).collect::<Vec<_>>();
    Ok(Answer::ok(aggregate(query.get.as_deref(), query.agg.as_deref(), &metrics)?))
}

pub(super) async fn all_subtasks(
    State(api): State<Api>,
    Path((id, vertex)): Path<(String, String)>,
    query: Query<SubtasksQuery>,
) -> ApiResult<Vec<AggregatedMetric>> {
    let view = TaskView::find(&api, &id, &vertex)?;
    let wanted = query.subtasks.as_deref().map(ranges).transpose()?;
    let is_wanted = |subtask: u32| {
        wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|range| range.contains(&subtask)))
    };
    let subtasks = view.subtasks().filter(|(figures, _)| is_wanted(figures.subtask.get()));
    let metrics = subtasks.map(|(figures, rates)| of_subtask(figures, rates)).collect::<Vec<_>>();
    Ok(Answer::ok(aggregate(query.get.as_deref(), query.agg.as_deref(), &metrics)?))
}
