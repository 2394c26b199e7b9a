//! All routes of the API.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::{Method, StatusCode},
    response::IntoResponse,
    routing::get,
};

use super::{
    Api, access,
    answer::{Answer, Empty},
    checkpoints, cluster, jars, jobs, logs, metrics,
    openapi::{Operation, Routes},
    operations::{Polled, Triggered},
    plan, prometheus,
    request::Understood,
    rescaling, snapshots, vertices,
};

const CONFLICT: &[StatusCode] = &[StatusCode::CONFLICT];
const TOO_LONG: &[StatusCode] = &[StatusCode::PAYLOAD_TOO_LARGE];

/// The routes, with `/openapi.json`, which describes them.
pub(super) fn routes(takes_token: bool) -> Router<Api> {
    let routes = snapshot_routes(job_routes(cluster_routes(Routes::new())));
    let routes = vertex_routes(jar_routes(routes));
    let (router, document) = routes.finish(takes_token);
    let described = move || {
        let document = document.clone();
        async move { Answer::ok(document).into_response() }
    };
    router.route("/openapi.json", Understood::nothing().guard(get(described)))
}

fn cluster_routes(routes: Routes) -> Routes {
    routes
        .get(
            "/health",
            access::health,
            Operation::answers::<Empty>("That somebody is there.").open(),
        )
        .get(
            "/login",
            access::log_in,
            Operation::answers_text("Turns a code into a browser's cookie.", "text/html")
                .with_query::<access::LoginQuery>()
                .open()
                .changes(),
        )
        .post(
            "/login",
            access::make_code,
            Operation::answers::<access::Login>("Makes a code for a browser."),
        )
        .get(
            "/config",
            cluster::config,
            Operation::answers::<cluster::Config>("What a web interface is set up with."),
        )
        .get(
            "/overview",
            cluster::overview,
            Operation::answers::<cluster::Overview>("The cluster in numbers."),
        )
        .on(
            Method::DELETE,
            "/cluster",
            cluster::shut_down,
            Operation::answers::<Empty>("Ends the JobManager."),
        )
        .get(
            "/taskmanagers",
            cluster::task_managers,
            Operation::answers::<cluster::TaskManagers>("All TaskManagers."),
        )
        .get(
            "/taskmanagers/{taskmanagerid}",
            cluster::task_manager,
            Operation::answers::<cluster::TaskManagerDetail>("A TaskManager."),
        )
        .get(
            "/taskmanagers/{taskmanagerid}/logs",
            logs::list,
            Operation::answers::<logs::LogList>("The logs of job processes there."),
        )
        .get(
            "/taskmanagers/{taskmanagerid}/logs/{filename}",
            logs::read,
            Operation::answers_text("The log of a job process.", "text/plain")
                .with_query::<logs::LogQuery>(),
        )
        .get(
            "/jobmanager/config",
            cluster::configuration,
            Operation::answers::<Vec<cluster::ConfigEntry>>("The JobManager's options."),
        )
        .get(
            "/jobmanager/metrics",
            metrics::jobmanager,
            Operation::answers::<Vec<metrics::Metric>>("Figures of the cluster.")
                .with_query::<metrics::MetricsQuery>(),
        )
        .get(
            "/metrics",
            prometheus::metrics,
            Operation::answers_text("All figures, for Prometheus.", prometheus::CONTENT_TYPE),
        )
}

fn job_routes(routes: Routes) -> Routes {
    routes
        .get("/jobs", jobs::list, Operation::answers::<jobs::JobList>("All jobs' states."))
        .get(
            "/jobs/overview",
            jobs::overview,
            Operation::answers::<jobs::JobsOverview>("All jobs."),
        )
        .get(
            "/jobs/metrics",
            metrics::all_jobs,
            Operation::answers::<Vec<metrics::AggregatedMetric>>("Figures over all jobs.")
                .with_query::<metrics::JobsQuery>(),
        )
        .get("/jobs/{jobid}", jobs::detail, Operation::answers::<jobs::JobDetail>("A job."))
        .on(
            Method::PATCH,
            "/jobs/{jobid}",
            jobs::cancel,
            Operation::answers::<Empty>("Cancels a job.")
                .accepts()
                .with_query::<jobs::CancelQuery>()
                .fails(CONFLICT)
                .fails(&[StatusCode::PERMANENT_REDIRECT]),
        )
        .get(
            "/jobs/{jobid}/yarn-cancel",
            jobs::yarn_cancel,
            Operation::answers::<Empty>("Cancels a job, from a browser.").accepts().fails(CONFLICT),
        )
        .get(
            "/jobs/{jobid}/status",
            jobs::status,
            Operation::answers::<jobs::StatusAnswer>("A job's state."),
        )
        .get(
            "/jobs/{jobid}/plan",
            jobs::plan,
            Operation::answers::<plan::PlanAnswer>("A job's tasks."),
        )
        .get(
            "/jobs/{jobid}/config",
            jobs::config,
            Operation::answers::<jobs::JobConfig>("A job's options."),
        )
        .get(
            "/jobs/{jobid}/exceptions",
            jobs::exceptions,
            Operation::answers::<jobs::Exceptions>("Why a job's attempts have failed.")
                .with_query::<jobs::ExceptionsQuery>()
                .without(&[("failureLabelFilter", "failures have no labels")]),
        )
        .get(
            "/jobs/{jobid}/execution-result",
            jobs::execution_result,
            Operation::answers::<jobs::ResultAnswer>("How a job has ended."),
        )
        .get(
            "/jobs/{jobid}/accumulators",
            jobs::accumulators,
            Operation::answers::<jobs::Accumulators>("A job's accumulators: none.")
                .with_query::<jobs::AccumulatorsQuery>(),
        )
        .on(
            Method::PATCH,
            "/jobs/{jobid}/clientHeartbeat",
            jobs::client_heartbeat,
            Operation::answers::<Empty>("A client is still there.")
                .accepts()
                .takes::<jobs::Heartbeat>(),
        )
        .get(
            "/jobs/{jobid}/metrics",
            metrics::job_metrics,
            Operation::answers::<Vec<metrics::Metric>>("A job's figures.")
                .with_query::<metrics::MetricsQuery>(),
        )
        .get(
            "/jobs/{jobid}/resource-requirements",
            rescaling::requirements,
            Operation::answers::<rescaling::ResourceRequirements>("How many subtasks it may have."),
        )
        .on(
            Method::PUT,
            "/jobs/{jobid}/resource-requirements",
            rescaling::change,
            Operation::answers::<Empty>("Rescales a job.")
                .takes::<rescaling::ResourceRequirements>()
                .fails(CONFLICT),
        )
}

fn snapshot_routes(routes: Routes) -> Routes {
    routes
        .post(
            "/jobs/{jobid}/savepoints",
            snapshots::savepoint,
            Operation::answers::<Triggered>("Takes a savepoint.")
                .accepts()
                .takes::<snapshots::SavepointRequest>(),
        )
        .post(
            "/jobs/{jobid}/stop",
            snapshots::stop,
            Operation::answers::<Triggered>("Takes a savepoint and stops with it.")
                .accepts()
                .takes::<snapshots::StopRequest>(),
        )
        .get(
            "/jobs/{jobid}/savepoints/{triggerid}",
            snapshots::savepoint_result,
            Operation::answers::<Polled<snapshots::SavepointInfo>>("What came of a savepoint."),
        )
        .post(
            "/jobs/{jobid}/checkpoints",
            snapshots::checkpoint,
            Operation::answers::<Triggered>("Takes a checkpoint.")
                .accepts()
                .takes::<snapshots::CheckpointRequest>(),
        )
        .get(
            "/jobs/{jobid}/checkpoints",
            checkpoints::statistics,
            Operation::answers::<checkpoints::Checkpoints>("A job's checkpoints and savepoints."),
        )
        .get(
            "/jobs/{jobid}/checkpoints/config",
            checkpoints::config,
            Operation::answers::<checkpoints::CheckpointConfig>("How checkpoints are taken."),
        )
        .get(
            "/jobs/{jobid}/checkpoints/details/{checkpointid}",
            checkpoints::details,
            Operation::answers::<checkpoints::Checkpoint>("A checkpoint."),
        )
        .get(
            "/jobs/{jobid}/checkpoints/details/{checkpointid}/subtasks/{vertexid}",
            checkpoints::subtasks,
            Operation::answers::<checkpoints::TaskCheckpointDetail>("A task's part of it."),
        )
        .get(
            "/jobs/{jobid}/checkpoints/{triggerid}",
            snapshots::checkpoint_result,
            Operation::answers::<Polled<snapshots::CheckpointInfo>>("What came of a checkpoint."),
        )
        .post(
            "/savepoint-disposal",
            snapshots::dispose,
            Operation::answers::<Triggered>("Deletes a savepoint.")
                .takes::<snapshots::DisposalRequest>(),
        )
        .get(
            "/savepoint-disposal/{triggerid}",
            snapshots::disposal_result,
            Operation::answers::<Polled<snapshots::DisposalInfo>>("What came of a disposal."),
        )
}

fn jar_routes(routes: Routes) -> Routes {
    let plan = || {
        Operation::answers::<plan::PlanAnswer>("What a binary would run.")
            .with_query::<jars::RunQuery>()
            .fails(TOO_LONG)
    };
    routes
        .get("/jars", jars::list, Operation::answers::<jars::Jars>("All binaries."))
        .post(
            "/jars/upload",
            // What is uploaded is counted while it is written.
            jars::upload.layer(DefaultBodyLimit::disable()),
            Operation::answers::<jars::Uploaded>("Uploads a job's binary.").takes_file(),
        )
        .on(
            Method::DELETE,
            "/jars/{jarid}",
            jars::remove,
            Operation::answers::<Empty>("Deletes a binary."),
        )
        .post(
            "/jars/{jarid}/run",
            jars::run,
            Operation::answers::<jars::Submitted>("Runs a binary.")
                .takes::<jars::RunRequest>()
                .with_query::<jars::RunQuery>()
                .fails(CONFLICT),
        )
        .get("/jars/{jarid}/plan", jars::plan, plan().quietly_takes::<jars::RunRequest>())
        .post("/jars/{jarid}/plan", jars::plan, plan().takes::<jars::RunRequest>())
}

fn vertex_routes(routes: Routes) -> Routes {
    routes
        .get(
            "/jobs/{jobid}/vertices/{vertexid}",
            vertices::detail,
            Operation::answers::<vertices::VertexDetail>("A task of a job."),
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/backpressure",
            vertices::backpressure,
            Operation::answers::<vertices::Backpressure>("How much a task is held back."),
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/subtasktimes",
            vertices::subtask_times,
            Operation::answers::<vertices::SubtaskTimes>("Since when its subtasks run."),
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/taskmanagers",
            vertices::task_managers,
            Operation::answers::<vertices::VertexTaskManagers>("Where a task runs."),
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/watermarks",
            vertices::watermarks,
            Operation::answers::<Vec<metrics::Metric>>("The watermarks of its subtasks."),
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/accumulators",
            vertices::accumulators,
            Operation::answers::<vertices::VertexAccumulators>("A task's accumulators: none."),
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/metrics",
            metrics::vertex,
            Operation::answers::<Vec<metrics::Metric>>("Figures of its subtasks.")
                .with_query::<metrics::MetricsQuery>(),
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/subtasks/metrics",
            metrics::all_subtasks,
            Operation::answers::<Vec<metrics::AggregatedMetric>>("Figures over its subtasks.")
                .with_query::<metrics::SubtasksQuery>(),
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}",
            vertices::subtask_detail,
            Operation::answers::<vertices::Subtask>("A subtask."),
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/metrics",
            metrics::subtask,
            Operation::answers::<Vec<metrics::Metric>>("A subtask's figures.")
                .with_query::<metrics::MetricsQuery>(),
        )
}
