//! The cluster as a whole: its TaskManagers, slots and options.

use axum::extract::{Path, State};
use serde_json::{Value, json};
use tidegate_runtime::JobStatus;

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult},
};
use crate::dispatcher::TaskManagerView;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Options whose values nobody is to see.
const HIDDEN: [&str; 4] = ["token", "password", "secret", "key"];

pub(super) async fn config() -> Answer {
    Answer::ok(json!({
        "refresh-interval": 3000,
        "timezone-name": "UTC",
        "timezone-offset": 0,
        "flink-version": VERSION,
        "flink-revision": "tidegate",
        "features": {
            "web-submit": true, "web-cancel": true, "web-rescale": false, "web-history": false,
        },
    }))
}

pub(super) async fn overview(State(api): State<Api>) -> Answer {
    let jobs = api.dispatcher.jobs();
    let count = |is: &dyn Fn(JobStatus) -> bool| jobs.iter().filter(|job| is(job.status)).count();
    let (slots, free) = api.dispatcher.slots();
    Answer::ok(json!({
        "taskmanagers": api.dispatcher.task_managers().len(),
        "slots-total": slots,
        "slots-available": free,
        "jobs-running": count(&|status| !status.is_terminal()),
        "jobs-finished": count(&|status| status == JobStatus::Finished),
        "jobs-cancelled": count(&|status| status == JobStatus::Canceled),
        "jobs-failed": count(&|status| status == JobStatus::Failed),
        "flink-version": VERSION,
        "flink-commit": "tidegate",
    }))
}

pub(super) async fn configuration(State(api): State<Api>) -> Answer {
    let shown = |(key, value): (&String, &String)| {
        let hidden = HIDDEN.iter().any(|part| key.contains(part));
        json!({ "key": key, "value": if hidden { "******" } else { value.as_str() } })
    };
    Answer::ok(api.dispatcher.configuration().iter().map(shown).collect::<Vec<_>>())
}

fn resources(slots: u32, manager: &TaskManagerView) -> Value {
    let share = f64::from(slots) / f64::from(manager.slots.max(1));
    let memory = (manager.memory_bytes as f64 * share) as u64 >> 20;
    json!({
        "cpuCores": f64::from(manager.cpu_cores) * share,
        "taskHeapMemory": memory,
        "taskOffHeapMemory": 0,
        "managedMemory": 0,
        "networkMemory": 0,
        "extendedResources": {},
    })
}

fn task_manager_json(manager: &TaskManagerView) -> Value {
    let total = manager.memory_bytes;
    json!({
        "id": manager.id.0,
        "path": manager.host,
        "dataPort": -1,
        "jmxPort": -1,
        "timeSinceLastHeartbeat": manager.last_heartbeat.millis(),
        "slotsNumber": manager.slots,
        "freeSlots": manager.free_slots,
        "assignedTasks": manager.slots - manager.free_slots,
        "totalResource": resources(manager.slots, manager),
        "freeResource": resources(manager.free_slots, manager),
        "hardware": {
            "cpuCores": manager.cpu_cores,
            "physicalMemory": total,
            "freeMemory": 0,
            "managedMemory": 0,
        },
        "memoryConfiguration": {
            "frameworkHeap": 0, "taskHeap": total, "frameworkOffHeap": 0, "taskOffHeap": 0,
            "networkMemory": 0, "managedMemory": 0, "jvmMetaspace": 0, "jvmOverhead": 0,
            "totalFlinkMemory": total, "totalProcessMemory": total,
        },
    })
}

pub(super) async fn task_managers(State(api): State<Api>) -> Answer {
    let managers = api.dispatcher.task_managers();
    let managers = managers.iter().map(task_manager_json).collect::<Vec<_>>();
    Answer::ok(json!({ "taskmanagers": managers }))
}

pub(super) async fn task_manager(State(api): State<Api>, Path(id): Path<String>) -> ApiResult {
    let managers = api.dispatcher.task_managers();
    let Some(manager) = managers.iter().find(|manager| manager.id.0 == id) else {
        return Err(ApiError::not_found(format!("TaskManager {id} not found")));
    };
    let slots = manager.jobs.iter().map(|(job, slots)| {
        json!({
            "resource": resources(*slots, manager), "jobId": job.to_string(), "assignedTasks": slots,
        })
    });
    let mut detail = task_manager_json(manager);
    detail["allocatedSlots"] = slots.collect();
    detail["metrics"] = json!({ "heapUsed": 0, "garbageCollectors": [] });
    Ok(Answer::ok(detail))
}
