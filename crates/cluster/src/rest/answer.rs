//! What requests are made of, and what answers look like.

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tidegate_types::{ErrorKind, JobId, error::chain};

use crate::dispatcher::{Dispatcher, JobView, SubmitError};

/// An answer with a JSON body.
pub(super) struct Answer(StatusCode, serde_json::Value);

impl Answer {
    pub(super) fn ok(body: impl Serialize) -> Self {
        Self::with(StatusCode::OK, body)
    }

    pub(super) fn accepted(body: impl Serialize) -> Self {
        Self::with(StatusCode::ACCEPTED, body)
    }

    fn with(status: StatusCode, body: impl Serialize) -> Self {
        match serde_json::to_value(body) {
            Ok(body) => Self(status, body),
            Err(error) => {
                let message = format!("Internal server error: {error}");
                Self(StatusCode::INTERNAL_SERVER_ERROR, json!({ "errors": [message] }))
            }
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json; charset=UTF-8");
        (self.0, [(header::CONTENT_TYPE, json)], self.1.to_string()).into_response()
    }
}

/// An answer that is none.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
}

pub(super) type ApiResult = Result<Answer, ApiError>;

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub(super) fn too_long(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// A part of the path that is not what it should be.
    pub(super) fn path(name: &str, value: &str) -> Self {
        Self::bad_request(format!(
            "Bad request, could not parse parameters: Cannot resolve path parameter ({name}) from \
             value \"{value}\"."
        ))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        Answer(self.status, json!({ "errors": [self.message] })).into_response()
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let status = match (&error, error.kind()) {
            (SubmitError::NoArtifact { .. }, _) => StatusCode::NOT_FOUND,
            (SubmitError::Duplicate { .. }, _) => StatusCode::CONFLICT,
            (_, ErrorKind::Unavailable | ErrorKind::Fenced) => StatusCode::SERVICE_UNAVAILABLE,
            (_, ErrorKind::Internal) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, chain(&error))
    }
}

/// Reads a job's id from the path.
pub(super) fn job_id(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| ApiError::path("jobid", text))
}

/// The job that the path names.
pub(super) fn job(dispatcher: &Dispatcher, text: &str) -> Result<JobView, ApiError> {
    let id = job_id(text)?;
    dispatcher.job(id).ok_or_else(|| ApiError::not_found(format!("Job {id} not found")))
}

/// Reads a JSON body; an empty one is `{}`. `name` is what Flink calls it.
pub(super) fn body<T: DeserializeOwned>(bytes: &Bytes, name: &str) -> Result<T, ApiError> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes.as_ref() };
    serde_json::from_slice(bytes).map_err(|_| {
        ApiError::bad_request(format!("Request did not match expected format {name}."))
    })
}
