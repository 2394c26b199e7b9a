//! All figures for Prometheus, under the names that Flink's reporter gives them.

use std::{collections::BTreeMap, fmt};

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, text::encode},
    metrics::MetricType,
    registry::Registry,
};

use super::{
    Api,
    answer::ApiError,
    metrics::{Metric, of_cluster, of_job, of_subtask},
    plan::vertex_id,
};
use crate::dispatcher::{Dispatcher, JobView};

/// How the text is written: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// The figures of a scrape: by name, the value for each set of labels.
#[derive(Debug, Default)]
struct Figures(BTreeMap<String, Vec<(Labels, f64)>>);

impl Figures {
    /// Adds figures of one scope; those that are no numbers are left out.
    fn add(&mut self, scope: &str, labels: &Labels, metrics: &[Metric]) {
        for metric in metrics {
            if let Some(value) = metric.number() {
                let name = format!("flink_{scope}_{}", metric.id);
                self.0.entry(name).or_default().push((labels.clone(), value));
            }
        }
    }

    fn add_job(&mut self, dispatcher: &Dispatcher, view: &JobView) {
        let labels = vec![("job_id", view.id.to_string()), ("job_name", view.name.clone())];
        self.add("jobmanager_job", &labels, &of_job(view, dispatcher.now()));
        let tasks = &view.description.plan.tasks;
        for (figures, rates) in view.stats.subtasks.iter().zip(&view.stats.rates) {
            let Some(task) = tasks.get(figures.task as usize) else { continue };
            let index = figures.subtask.get();
            let place = view.places.iter().rev().find(|place| place.first_subtask <= index);
            let mut labels = labels.clone();
            labels.extend([
                ("task_id", vertex_id(task)),
                ("task_name", task.name.clone()),
                ("subtask_index", index.to_string()),
                ("tm_id", place.map(|place| place.task_manager.0.clone()).unwrap_or_default()),
                ("host", place.map(|place| place.host.clone()).unwrap_or_default()),
            ]);
            self.add("taskmanager_job_task", &labels, &of_subtask(figures, *rates));
        }
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, values) in &self.0 {
            // As in Flink's reporter: a counter can begin anew with an attempt.
            let kind = MetricType::Gauge;
            let mut metric = encoder.encode_descriptor(name, "As in Flink", None, kind)?;
            for (labels, value) in values {
                metric.encode_family(labels)?.encode_gauge(value)?;
            }
        }
        Ok(())
    }
}

pub(super) async fn metrics(State(api): State<Api>) -> Result<Response, ApiError> {
    let mut figures = Figures::default();
    figures.add("jobmanager", &Vec::new(), &of_cluster(&api.dispatcher));
    for view in api.dispatcher.jobs().iter().filter(|view| !view.status.is_terminal()) {
        figures.add_job(&api.dispatcher, view);
    }
    let mut registry = Registry::default();
    registry.register_collector(Box::new(figures));
    let mut text = String::new();
    encode(&mut text, &registry)
        .map_err(|error| ApiError::internal(format!("cannot write the metrics: {error}")))?;
    let kind = HeaderValue::from_static(CONTENT_TYPE);
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
