//! A server for the services of this crate.

use std::future::Future;

use tidegate_types::{error::chain, options::Secret};
use tokio::net::TcpListener;
use tonic::{service::InterceptorLayer, transport::Server};

use crate::{
    endpoint::KeepAlive,
    error::LinkError,
    guard::guarded,
    incoming::{Limits, incoming},
    link::WINDOW_BYTES,
    services::Services,
};

/// Serves `services` on `listener` to those who know `token`.
///
/// When `shutdown` is over nobody new is let in, and this returns as soon as all links are dropped. When
/// the future is dropped nobody new is let in either, and links that are open go on.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    keep_alive: KeepAlive,
    token: Option<Secret>,
    services: Services,
    shutdown: impl Future<Output = ()>,
) -> Result<(), LinkError> {
    Server::builder()
        .http2_keepalive_interval(Some(keep_alive.interval))
        .http2_keepalive_timeout(Some(keep_alive.timeout))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .layer(InterceptorLayer::new(guarded(token)))
        .serve_with_incoming_shutdown(services, incoming(listener, Limits::default()), shutdown)
        .await
        .map_err(|error| LinkError::Serve { problem: chain(&error) })
}
