//! The cluster as a whole: its TaskManagers, slots and options.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;
use tidegate_runtime::JobStatus;

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, Empty, HexId},
};
use crate::dispatcher::TaskManagerView;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the web interface of Flink is set up with.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Config {
    refresh_interval: u64,
    timezone_name: &'static str,
    timezone_offset: i64,
    flink_version: &'static str,
    flink_revision: &'static str,
    features: Features,
}

/// What it offers.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Features {
    web_submit: bool,
    web_cancel: bool,
    web_rescale: bool,
    web_history: bool,
}

pub(super) async fn config() -> Answer<Config> {
    Answer::ok(Config {
        refresh_interval: 3000,
        timezone_name: "UTC",
        timezone_offset: 0,
        flink_version: VERSION,
        flink_revision: "tidegate",
        features: Features {
            web_submit: true,
            web_cancel: true,
            web_rescale: true,
            web_history: false,
        },
    })
}

/// The cluster in numbers.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Overview {
    taskmanagers: usize,
    slots_total: u32,
    slots_available: u32,
    jobs_running: usize,
    jobs_finished: usize,
    jobs_cancelled: usize,
    jobs_failed: usize,
    flink_version: &'static str,
    flink_commit: &'static str,
}

pub(super) async fn overview(State(api): State<Api>) -> Answer<Overview> {
    let jobs = api.dispatcher.jobs();
    let count = |is: &dyn Fn(JobStatus) -> bool| jobs.iter().filter(|job| is(job.status)).count();
    let (slots_total, slots_available) = api.dispatcher.slots();
    Answer::ok(Overview {
        taskmanagers: api.dispatcher.task_managers().len(),
        slots_total,
        slots_available,
        jobs_running: count(&|status| !status.is_terminal()),
        jobs_finished: count(&|status| status == JobStatus::Finished),
        jobs_cancelled: count(&|status| status == JobStatus::Canceled),
        jobs_failed: count(&|status| status == JobStatus::Failed),
        flink_version: VERSION,
        flink_commit: "tidegate",
    })
}

/// An option that is set.
#[derive(Serialize, JsonSchema)]
pub(super) struct ConfigEntry {
    key: String,
    value: String,
}

pub(super) async fn configuration(State(api): State<Api>) -> Answer<Vec<ConfigEntry>> {
    let entry =
        |(key, value): (&str, &str)| ConfigEntry { key: key.to_owned(), value: value.to_owned() };
    Answer::ok(api.dispatcher.configuration().shown().map(entry).collect())
}

/// Ends the JobManager. Its TaskManagers wait for the next one; with `high-availability.storageDir`
/// that goes on with all jobs, and without it they end here.
pub(super) async fn shut_down(State(api): State<Api>) -> Answer<Empty> {
    tracing::warn!("a client has asked this JobManager to end");
    api.shutdown.cancel();
    Answer::ok(Empty {})
}

/// A share of a TaskManager's machine.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Resource {
    cpu_cores: f64,
    /// In MiB.
    task_heap_memory: u64,
    task_off_heap_memory: u64,
    managed_memory: u64,
    network_memory: u64,
    extended_resources: BTreeMap<String, f64>,
}

impl Resource {
    fn of(slots: u32, manager: &TaskManagerView) -> Self {
        let share = f64::from(slots) / f64::from(manager.slots.max(1));
        Self {
            cpu_cores: f64::from(manager.cpu_cores) * share,
            task_heap_memory: (manager.memory_bytes as f64 * share) as u64 >> 20,
            task_off_heap_memory: 0,
            managed_memory: 0,
            network_memory: 0,
            extended_resources: BTreeMap::new(),
        }
    }
}

/// A TaskManager's machine; sizes in bytes.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Hardware {
    cpu_cores: u32,
    physical_memory: u64,
    free_memory: u64,
    managed_memory: u64,
}

/// What a JVM's memory is cut into: here all of it is one.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MemoryConfiguration {
    framework_heap: u64,
    task_heap: u64,
    framework_off_heap: u64,
    task_off_heap: u64,
    network_memory: u64,
    managed_memory: u64,
    jvm_metaspace: u64,
    jvm_overhead: u64,
    total_flink_memory: u64,
    total_process_memory: u64,
}

/// A TaskManager.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TaskManager {
    id: String,
    path: String,
    data_port: i32,
    jmx_port: i32,
    /// When it was last heard of.
    time_since_last_heartbeat: u64,
    slots_number: u32,
    free_slots: u32,
    assigned_tasks: u32,
    total_resource: Resource,
    free_resource: Resource,
    hardware: Hardware,
    memory_configuration: MemoryConfiguration,
}

impl TaskManager {
    fn of(manager: &TaskManagerView) -> Self {
        let total = manager.memory_bytes;
        Self {
            id: manager.id.0.clone(),
            path: manager.host.clone(),
            data_port: -1,
            jmx_port: -1,
            time_since_last_heartbeat: manager.last_heartbeat.millis(),
            slots_number: manager.slots,
            free_slots: manager.free_slots,
            assigned_tasks: manager.slots - manager.free_slots,
            total_resource: Resource::of(manager.slots, manager),
            free_resource: Resource::of(manager.free_slots, manager),
            hardware: Hardware {
                cpu_cores: manager.cpu_cores,
                physical_memory: total,
                free_memory: 0,
                managed_memory: 0,
            },
            memory_configuration: MemoryConfiguration {
                framework_heap: 0,
                task_heap: total,
                framework_off_heap: 0,
                task_off_heap: 0,
                network_memory: 0,
                managed_memory: 0,
                jvm_metaspace: 0,
                jvm_overhead: 0,
                total_flink_memory: total,
                total_process_memory: total,
            },
        }
    }
}

/// All TaskManagers.
#[derive(Serialize, JsonSchema)]
pub(super) struct TaskManagers {
    taskmanagers: Vec<TaskManager>,
}

pub(super) async fn task_managers(State(api): State<Api>) -> Answer<TaskManagers> {
    let managers = api.dispatcher.task_managers();
    Answer::ok(TaskManagers { taskmanagers: managers.iter().map(TaskManager::of).collect() })
}

/// Slots that a job has.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AllocatedSlots {
    resource: Resource,
    #[schemars(with = "HexId")]
    job_id: String,
    assigned_tasks: u32,
}

/// What a JVM counts: nothing here.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TaskManagerMetrics {
    heap_used: u64,
    garbage_collectors: [(); 0],
}

/// A TaskManager, with the jobs there.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskManagerDetail {
    #[serde(flatten)]
    task_manager: TaskManager,
    allocated_slots: Vec<AllocatedSlots>,
    metrics: TaskManagerMetrics,
}

pub(super) async fn task_manager(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> ApiResult<TaskManagerDetail> {
    let managers = api.dispatcher.task_managers();
    let Some(manager) = managers.iter().find(|manager| manager.id.0 == id) else {
        return Err(ApiError::not_found(format!("TaskManager {id} not found")));
    };
    let slots = manager.jobs.iter().map(|(job, slots)| AllocatedSlots {
        resource: Resource::of(*slots, manager),
        job_id: job.to_string(),
        assigned_tasks: *slots,
    });
    Ok(Answer::ok(TaskManagerDetail {
        task_manager: TaskManager::of(manager),
        allocated_slots: slots.collect(),
        metrics: TaskManagerMetrics { heap_used: 0, garbage_collectors: [] },
    }))
}
