//! Flink's REST API: the paths, methods, fields and error form of its version 1, with the prefix
//! `/v1` and without.
//!
//! # Failure
//!
//! Every answer that is none is `{"errors": [...]}` with a status that is no success. A request that
//! is too long, too slow or not what was expected ends there, and nothing else with it.

mod answer;
mod checkpoints;
mod cluster;
mod jars;
mod jobs;
mod operations;
mod throwable;

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post},
};
use tidegate_protocol::Secret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{
    answer::{Answer, ApiError},
    operations::Operations,
};
use crate::dispatcher::Dispatcher;

/// The longest JSON body, in bytes.
const LONGEST_BODY: usize = 1 << 20;
/// How long a request may take: a binary that is submitted has to describe its job first.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);

/// How the API is served.
#[derive(Clone, Debug)]
pub struct RestOptions {
    /// What clients have to send as `Authorization: Bearer …`, if anything.
    pub token: Option<Secret>,
    /// The longest upload, in bytes.
    pub max_content_length: u64,
    /// For how long the results of asynchronous operations are kept.
    pub async_store_duration: Duration,
}

/// What every handler has.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) operations: Operations,
    pub(crate) options: Arc<RestOptions>,
}

/// Serves the API until `shutdown`.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    dispatcher: Dispatcher,
    options: RestOptions,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let operations = Operations::new(options.async_store_duration);
    let api = Api { dispatcher, operations, options: Arc::new(options) };
    let service = router(api).into_make_service();
    axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

fn router(api: Api) -> Router {
    let routes = routes().with_state(api.clone());
    Router::new()
        .nest("/v1", routes.clone())
        .merge(routes)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(api, guard))
}

fn routes() -> Router<Api> {
    Router::new()
        .route("/config", get(cluster::config))
        .route("/overview", get(cluster::overview))
        .route("/taskmanagers", get(cluster::task_managers))
        .route("/taskmanagers/{id}", get(cluster::task_manager))
        .route("/jobmanager/config", get(cluster::configuration))
        .route("/jobs", get(jobs::list))
        .route("/jobs/overview", get(jobs::overview))
        .route("/jobs/{job}", get(jobs::detail).merge(patch(jobs::cancel)))
        .route("/jobs/{job}/status", get(jobs::status))
        .route("/jobs/{job}/plan", get(jobs::plan))
        .route("/jobs/{job}/config", get(jobs::config))
        .route("/jobs/{job}/exceptions", get(jobs::exceptions))
        .route("/jobs/{job}/execution-result", get(jobs::execution_result))
        .route("/jobs/{job}/yarn-cancel", get(jobs::yarn_cancel))
        .route("/jobs/{job}/savepoints", post(operations::savepoint))
        .route("/jobs/{job}/stop", post(operations::stop))
        .route("/jobs/{job}/savepoints/{trigger}", get(operations::savepoint_result))
        .route(
            "/jobs/{job}/checkpoints",
            get(checkpoints::statistics).merge(post(operations::checkpoint)),
        )
        .route("/jobs/{job}/checkpoints/config", get(checkpoints::config))
        .route("/jobs/{job}/checkpoints/details/{checkpoint}", get(checkpoints::details))
        .route("/jobs/{job}/checkpoints/{trigger}", get(operations::checkpoint_result))
        .route("/savepoint-disposal", post(operations::dispose))
        .route("/savepoint-disposal/{trigger}", get(operations::disposal_result))
        .route("/jars", get(jars::list))
        .route("/jars/upload", post(jars::upload).layer(DefaultBodyLimit::disable()))
        .route("/jars/{jar}", delete(jars::remove))
        .route("/jars/{jar}/run", post(jars::run))
        .route("/jars/{jar}/plan", get(jars::plan).merge(post(jars::plan)))
}

/// A request that takes too long is given up; an upload may take its time.
async fn run_in_time(request: Request, next: Next) -> Response {
    if request.uri().path().ends_with("/jars/upload") {
        return next.run(request).await;
    }
    match tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("the request has taken more than {LONGEST_REQUEST:?}");
            ApiError::new(StatusCode::REQUEST_TIMEOUT, message).into_response()
        }
    }
}

/// What the framework itself has refused becomes an error like all others.
fn in_one_form(response: Response) -> Response {
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if status.is_success() || is_json {
        return response;
    }
    let reason = status.canonical_reason().unwrap_or("the request was refused");
    ApiError::new(status, format!("Bad request, could not parse it: {reason}.")).into_response()
}

async fn not_found(request: Request) -> ApiError {
    ApiError::not_found(format!("Not found: {}", request.uri().path()))
}

async fn method_not_allowed(request: Request) -> ApiError {
    let (method, path) = (request.method(), request.uri().path());
    ApiError::method_not_allowed(format!("{method} is not offered at {path}"))
}

/// Lets a request pass if it shows the token, gives every error its one form, and marks every answer
/// as one that a browser's page from elsewhere may read.
async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION);
    let shown = shown.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let may_pass = match &api.options.token {
        Some(token) => shown.is_some_and(|shown| token.is(shown)),
        None => true,
    };
    let mut response = if request.method() == Method::OPTIONS {
        Answer::ok(serde_json::json!({})).into_response()
    } else if may_pass {
        in_one_form(run_in_time(request, next).await)
    } else {
        let message = "the request shows no token, or another one than security.rest.token";
        ApiError::unauthorized(message).into_response()
    };
    let anywhere = header::HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anywhere);
    response
}

#[cfg(test)]
mod tests;
