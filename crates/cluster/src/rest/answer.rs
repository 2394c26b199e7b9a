//! What requests are made of, and what answers look like.

use std::borrow::Cow;

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use tidegate_types::{ErrorKind, JobId, Timestamp, error::chain};

use crate::dispatcher::{Dispatcher, JobView, RescaleError, SubmitError};

/// An answer with a JSON body.
pub(super) struct Answer<T>(StatusCode, T);

impl<T: Serialize> Answer<T> {
    pub(super) fn ok(body: T) -> Self {
        Self(StatusCode::OK, body)
    }

    pub(super) fn accepted(body: T) -> Self {
        Self(StatusCode::ACCEPTED, body)
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json; charset=UTF-8");
        match serde_json::to_vec(&self.1) {
            Ok(body) => (self.0, [(header::CONTENT_TYPE, json)], body).into_response(),
            Err(error) => {
                ApiError::internal(format!("Internal server error: {error}")).into_response()
            }
        }
    }
}

/// Nothing but that it was done.
#[derive(Serialize, JsonSchema)]
pub(super) struct Empty {}

/// Why a request was not carried out.
#[derive(Serialize, JsonSchema)]
pub(super) struct Errors {
    /// One text, for a person.
    errors: [String; 1],
}

/// An answer that is none.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
}

pub(super) type ApiResult<T> = Result<Answer<T>, ApiError>;

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    #[cfg(test)]
    pub(super) fn message(&self) -> &str {
        &self.message
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

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(super) fn too_long(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
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

    /// A parameter of the query that is not what it should be.
    pub(super) fn query(name: &str, value: &str) -> Self {
        Self::bad_request(format!(
            "Bad request, could not parse parameters: Cannot resolve query parameter ({name}) from \
             value \"{value}\"."
        ))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        Answer(self.status, Errors { errors: [self.message] }).into_response()
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

impl From<RescaleError> for ApiError {
    fn from(error: RescaleError) -> Self {
        let status = match error {
            RescaleError::NoJob(_) => StatusCode::NOT_FOUND,
            RescaleError::Ended(..) => StatusCode::CONFLICT,
            RescaleError::TooMany { .. } | RescaleError::Bounds(_) => StatusCode::BAD_REQUEST,
            RescaleError::Ha(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, chain(&error))
    }
}

/// Reads a job's id from the path.
pub(super) fn job_id(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| ApiError::path("jobid", text))
}

/// Reads a number from the path.
pub(super) fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, ApiError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    number.ok_or_else(|| ApiError::path(name, text))
}

/// The job that the path names.
pub(super) fn job(dispatcher: &Dispatcher, text: &str) -> Result<JobView, ApiError> {
    let id = job_id(text)?;
    dispatcher.job(id).ok_or_else(|| ApiError::not_found(format!("Job {id} not found")))
}

/// Reads a JSON body; an empty one is `{}`. `name` is what Flink calls it.
pub(super) fn body<T: DeserializeOwned>(bytes: &Bytes, name: &str) -> Result<T, ApiError> {
    let wrong = || ApiError::bad_request(format!("Request did not match expected format {name}."));
    let bytes = if bytes.is_empty() { b"{}" } else { bytes.as_ref() };
    // Serde would take a list of values for an object.
    let value = serde_json::from_slice::<serde_json::Value>(bytes).map_err(|_| wrong())?;
    let object = Some(value).filter(serde_json::Value::is_object).ok_or_else(wrong)?;
    serde_json::from_value(object).map_err(|_| wrong())
}

/// A time as Flink tells it: milliseconds since 1970, -1 for none.
pub(super) fn millis(time: Option<Timestamp>) -> i64 {
    time.map_or(-1, |time| i64::try_from(time.millis()).unwrap_or(i64::MAX))
}

/// An id of 32 hexadecimal digits, for the description of the API.
pub(super) struct HexId;

impl JsonSchema for HexId {
    fn schema_name() -> Cow<'static, str> {
        "HexId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-fA-F]{32}$" })
    }
}
