//! What Flink's API has and Tidegate's does not: answered with why.

use axum::{Router, http::Method, routing::any};

use super::{Api, answer::ApiError};

const JVM: &str = "Tidegate's processes are no JVMs";
const JOBMANAGER_LOG: &str = "the JobManager logs to standard error, which `tidegate cluster start` keeps as \
     <dir>/jobmanager.log";
const TASKMANAGER_LOG: &str = "the logs of job processes are at /taskmanagers/:id/logs; the \
                               TaskManager itself logs to standard error";
const APPLICATIONS: &str = "an application is a job here: see /jobs";
const RESCALES: &str = "no history of rescalings is kept: the job's metric numRescales counts them";

/// Paths of Flink's API, and why they are not served.
const PATHS: [(&str, &str); 24] = [
    ("/applications/overview", APPLICATIONS),
    ("/applications/{id}", APPLICATIONS),
    ("/applications/{id}/cancel", APPLICATIONS),
    ("/applications/{id}/exceptions", APPLICATIONS),
    ("/datasets", "jobs keep no datasets for others"),
    ("/datasets/{id}", "jobs keep no datasets for others"),
    ("/jobmanager/environment", JVM),
    ("/jobmanager/log", JOBMANAGER_LOG),
    ("/jobmanager/logs", JOBMANAGER_LOG),
    ("/jobmanager/logs/{name}", JOBMANAGER_LOG),
    ("/jobmanager/stdout", JOBMANAGER_LOG),
    ("/jobmanager/profiler", JVM),
    ("/jobmanager/thread-dump", JVM),
    ("/jobs/{jobid}/rescaling", "it is disabled in Flink too: PUT /jobs/:id/resource-requirements"),
    ("/jobs/{jobid}/rescales/{*rest}", RESCALES),
    ("/jobs/{jobid}/vertices/{vertexid}/flamegraph", "flame graphs are drawn with perf"),
    ("/jobs/{jobid}/vertices/{vertexid}/subtasks/accumulators", "jobs have no accumulators"),
    ("/taskmanagers/metrics", JVM),
    ("/taskmanagers/{taskmanagerid}/metrics", JVM),
    ("/taskmanagers/{taskmanagerid}/log", TASKMANAGER_LOG),
    ("/taskmanagers/{taskmanagerid}/stdout", TASKMANAGER_LOG),
    ("/taskmanagers/{taskmanagerid}/profiler", JVM),
    ("/taskmanagers/{taskmanagerid}/thread-dump", JVM),
    ("/taskmanagers/{taskmanagerid}/profiler/{name}", JVM),
];

/// The routes of all of them.
pub(super) fn routes() -> Router<Api> {
    PATHS.iter().fold(Router::new(), |router, (path, why)| {
        router.route(
            path,
            any(move |method: Method| async move {
                ApiError::not_found(format!("Flink has {method} {path}, Tidegate has not: {why}"))
            }),
        )
    })
}
