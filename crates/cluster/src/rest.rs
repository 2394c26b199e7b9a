//! Flink's REST API: the paths, methods, fields and error form of its version 1, with the prefix
//! `/v1` and without.
//!
//! # Failure
//!
//! Every answer that is none is `{"errors": [...]}` with a status that is no success. A request that
//! is too long, too slow or not what was expected ends there, and nothing else with it.

mod access;
mod answer;
mod checkpoints;
mod cluster;
mod jars;
mod jobs;
mod logs;
mod metrics;
mod openapi;
mod operations;
mod plan;
mod prometheus;
mod request;
mod rescaling;
mod routes;
mod server;
mod snapshots;
mod states;
mod summary;
mod throwable;
mod unserved;
mod vertices;

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tidegate_protocol::Secret;
use tidegate_types::JobId;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::RequestBodyTimeoutLayer;

pub use self::access::new_code;
use self::{
    access::Access,
    answer::ApiError,
    operations::Operations,
    server::{Connection, Limits},
    snapshots::{CheckpointInfo, DisposalInfo, SavepointInfo},
};
use crate::dispatcher::Dispatcher;

/// The longest JSON body, in bytes.
const LONGEST_BODY: usize = 1 << 20;
/// How long a request may take: a binary that is submitted has to describe its job first.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);
/// How long the next part of a request's body may take to arrive.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// How the API is served.
#[derive(Clone, Debug)]
pub struct RestOptions {
    /// What clients have to send as `Authorization: Bearer …`, if anything.
    pub token: Option<Secret>,
    /// Names of this JobManager, besides `localhost` and the addresses where it listens; `*` for any.
    pub names: Vec<String>,
    /// A code that lets a browser in once, if there is a token; see [`new_code`].
    pub first_code: Option<Secret>,
    /// The longest upload, in bytes.
    pub max_content_length: u64,
    /// For how long the results of asynchronous operations are kept.
    pub async_store_duration: Duration,
}

/// What every handler has.
#[derive(Clone)]
struct Api {
    dispatcher: Dispatcher,
    savepoints: Operations<(JobId, String), SavepointInfo>,
    checkpoints: Operations<(JobId, String), CheckpointInfo>,
    disposals: Operations<String, DisposalInfo>,
    options: Arc<RestOptions>,
    access: Arc<Access>,
    /// Ends the JobManager.
    shutdown: CancellationToken,
}

/// Serves the API until `shutdown`, which a client may bring about too.
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
    let router = router(dispatcher, options, shutdown.clone());
    server::serve(listener, router, Limits::default(), shutdown).await
}

/// The API without a server, for who has requests already. Names are all that it knows of this
/// JobManager then, besides `localhost`: where it listens a connection tells.
pub fn router(dispatcher: Dispatcher, options: RestOptions, shutdown: CancellationToken) -> Router {
    let kept = options.async_store_duration;
    dispatcher.keep_results_for(kept);
    let (token, first_code) = (options.token.clone(), options.first_code.clone());
    let access = Access::new(token, &options.names, first_code);
    let api = Api {
        dispatcher,
        savepoints: Operations::new(kept),
        checkpoints: Operations::new(kept),
        disposals: Operations::new(kept),
        access: Arc::new(access),
        options: Arc::new(options),
        shutdown,
    };
    let routes = routes::routes(api.options.token.is_some())
        .merge(unserved::routes())
        .with_state(api.clone());
    Router::new()
        .nest("/v1", routes.clone())
        .merge(routes)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(RequestBodyTimeoutLayer::new(LONGEST_SILENCE))
        .layer(middleware::from_fn_with_state(api, guard))
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
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut error = ApiError::new(status, format!("Bad request, could not parse it: {reason}."))
        .into_response();
    error.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    error
}

async fn not_found(request: Request) -> ApiError {
    ApiError::not_found(format!("Not found: {}", request.uri().path()))
}

async fn method_not_allowed(request: Request) -> ApiError {
    let (method, path) = (request.method(), request.uri().path());
    ApiError::method_not_allowed(format!("{method} is not offered at {path}"))
}

/// Lets a request in if it may come in, and gives every error its one form.
async fn guard(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    let admitted = api.access.admit(&mut request, connection.as_deref());
    let _busy = connection.map(Connection::busy);
    match admitted {
        Ok(()) => in_one_form(run_in_time(request, next).await),
        Err(refusal) => refusal.into_response(),
    }
}

#[cfg(test)]
mod tests;
