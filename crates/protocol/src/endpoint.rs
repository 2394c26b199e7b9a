//! Where the other side is, and how to get there.

use std::time::Duration;

use tidegate_types::{error::chain, options::Secret};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{error::LinkError, link::WINDOW_BYTES};

/// For how long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// When a peer that says nothing is taken for lost: `interval` after its last sign of life it is
/// asked for one, and `timeout` later it is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Without a sign of life, until it is asked for one.
    pub interval: Duration,
    /// From there until it is lost.
    pub timeout: Duration,
}

impl Default for KeepAlive {
    /// Flink's `heartbeat.interval` and `heartbeat.timeout`: 10 s and 50 s.
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), timeout: Duration::from_secs(50) }
    }
}

/// Where a JobManager or a coordinator is, and how to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Such as `http://host:6123`; without a scheme, `http://` is meant.
    pub url: String,
    /// The cluster's token.
    pub token: Option<Secret>,
    /// When it is taken for lost.
    pub keep_alive: KeepAlive,
}

impl Endpoint {
    /// The endpoint at `url`, with the default of [`KeepAlive`].
    #[must_use]
    pub fn new(url: impl Into<String>, token: Option<Secret>) -> Self {
        Self { url: url.into(), token, keep_alive: KeepAlive::default() }
    }

    /// The same with another `keep_alive`.
    #[must_use]
    pub fn with_keep_alive(self, keep_alive: KeepAlive) -> Self {
        Self { keep_alive, ..self }
    }

    /// Opens a connection, in one attempt.
    pub(crate) async fn connect(&self) -> Result<Channel, LinkError> {
        let endpoint = self.transport()?;
        let unreachable = |problem| LinkError::Unreachable { peer: self.url.clone(), problem };
        endpoint.connect().await.map_err(|error| unreachable(problem(&error)))
    }

    fn transport(&self) -> Result<tonic::transport::Endpoint, LinkError> {
        let url = &self.url;
        let wrong = |problem: String| LinkError::Address { url: url.clone(), problem };
        let url = if url.contains("://") { url.clone() } else { format!("http://{url}") };
        let endpoint =
            tonic::transport::Endpoint::from_shared(url).map_err(|error| wrong(problem(&error)))?;
        if endpoint.uri().scheme_str() != Some("http") {
            return Err(wrong("only http:// is spoken".to_owned()));
        }
        let KeepAlive { interval, timeout } = self.keep_alive;
        Ok(endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(interval)
            .keep_alive_timeout(timeout)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES))
    }

    /// `message` as a request that shows the token.
    pub(crate) fn request<T>(&self, message: T) -> Result<Request<T>, LinkError> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            let value = bearer(token).ok_or_else(|| LinkError::Address {
                url: self.url.clone(),
                problem: "the cluster's token has characters other than visible ASCII".to_owned(),
            })?;
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

/// What the transport says, without the words that are in every one of its errors.
fn problem(error: &tonic::transport::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => chain(source),
        None => error.to_string(),
    }
}

fn bearer(token: &Secret) -> Option<MetadataValue<Ascii>> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.expose()).parse().ok()?;
    value.set_sensitive(true);
    Some(value)
}
