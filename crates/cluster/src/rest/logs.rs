//! The logs of job processes, which lie on their TaskManagers.

use axum::{
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_protocol::resources::LogFile;

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult},
};
use crate::{
    dispatcher::TaskManagerId,
    resources::{LogError, Resources},
};

/// How much is asked of a TaskManager at once, in bytes.
const PART: u64 = 1 << 20;

/// Logs.
#[derive(Serialize, JsonSchema)]
pub(super) struct LogList {
    logs: Vec<Log>,
}

/// A log.
#[derive(Serialize, JsonSchema)]
struct Log {
    name: String,
    /// In bytes.
    size: u64,
    /// When it was last written.
    mtime: u64,
}

impl From<LogFile> for Log {
    fn from(log: LogFile) -> Self {
        Self { name: log.name, size: log.bytes, mtime: log.modified.millis() }
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        let message = error.to_string();
        match error {
            LogError::NoTaskManager(_) | LogError::NoLog(_) => Self::not_found(message),
            LogError::Silent(_) => Self::unavailable(message),
        }
    }
}

pub(super) async fn list(State(api): State<Api>, Path(id): Path<String>) -> ApiResult<LogList> {
    let logs = api.dispatcher.resources().logs(&TaskManagerId(id)).await?;
    Ok(Answer::ok(LogList { logs: logs.into_iter().map(Log::from).collect() }))
}

/// Which part of a log to send.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    /// How many bytes to leave out at its beginning. Not in Flink.
    #[schemars(range(min = 0))]
    offset: Option<u64>,
}

/// Sends a log as it is now, a part at a time.
pub(super) async fn read(
    State(api): State<Api>,
    Path((id, name)): Path<(String, String)>,
    query: Query<LogQuery>,
) -> Result<Response, ApiError> {
    let (resources, id) = (api.dispatcher.resources().clone(), TaskManagerId(id));
    let offset = query.offset.unwrap_or(0);
    // Whatever is wrong is said before the first byte.
    let first = resources.read_log(&id, &name, offset, PART).await?;
    let end = first.total.max(offset);
    let next = offset + first.bytes.len() as u64;
    let parts = Parts { resources, id, name, next, end };
    let rest = futures::stream::try_unfold(parts, Parts::next);
    let all =
        futures::stream::once(async { Ok(first.bytes) }).chain(rest.map_err(std::io::Error::other));
    let text = HeaderValue::from_static("text/plain; charset=UTF-8");
    let body = axum::body::Body::from_stream(all);
    Ok(([(header::CONTENT_TYPE, text)], body).into_response())
}

/// What is still to be sent of a log.
struct Parts {
    resources: Resources,
    id: TaskManagerId,
    name: String,
    next: u64,
    end: u64,
}

impl Parts {
    async fn next(mut self) -> Result<Option<(bytes::Bytes, Self)>, LogError> {
        if self.next >= self.end {
            return Ok(None);
        }
        let length = PART.min(self.end - self.next);
        let part = self.resources.read_log(&self.id, &self.name, self.next, length).await?;
        if part.bytes.is_empty() {
            return Ok(None);
        }
        self.next += part.bytes.len() as u64;
        Ok(Some((part.bytes, self)))
    }
}
