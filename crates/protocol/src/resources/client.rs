//! The TaskManager's side.

use std::{future::Future, sync::Arc};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tonic::{Code, Status, Streaming};

use super::{Registration, TaskManagerLink};
use crate::{
    endpoint::Endpoint,
    error::LinkError,
    link::{Link, LinkReceiver, MAX_MESSAGE_BYTES, outgoing},
    version,
    wire::{self, from_task_manager::Word, resources_client::ResourcesClient},
};

/// Registers a TaskManager, and returns as soon as the JobManager has read who it is. One attempt:
/// whoever can wait tries again.
///
/// # Errors
///
/// When nobody answers within the timeout of the endpoint's [`crate::KeepAlive`], or the token or
/// the protocol is another one.
pub async fn register(
    jobmanager: &Endpoint,
    registration: Registration,
) -> Result<TaskManagerLink, LinkError> {
    let peer: Arc<str> = jobmanager.url.as_str().into();
    let first = wire::FromTaskManager { word: Some(Word::Registration(registration.into())) };
    let (sender, words) = outgoing(peer.clone(), Some(first));
    let request = jobmanager.request(words)?;
    let answers = answered(jobmanager, async {
        let mut client = client(jobmanager).await?;
        let answers = client.register(request).await;
        answers.map_err(|status| LinkError::from_status(&peer, &status))
    })
    .await?;
    Ok(Link::new(sender, LinkReceiver::new(peer, answers.into_inner())))
}

/// Fetches the artifact with the content hash `hash` (SHA-256, 64 lower-case hexadecimal digits)
/// and writes it `into`. That its content has this hash is for the caller to check.
///
/// # Errors
///
/// [`LinkError::UnknownArtifact`] when the JobManager has none; when the connection is lost, or
/// `into` fails: what was written until then is no whole artifact.
pub async fn fetch(
    jobmanager: &Endpoint,
    hash: &str,
    into: &mut (impl AsyncWrite + Unpin),
) -> Result<(), LinkError> {
    let request = wire::FetchRequest { protocol_version: version::ours(), hash: hash.to_owned() };
    let request = jobmanager.request(request)?;
    let unfetched = |status: Status| unfetched(&jobmanager.url, hash, &status);
    let mut chunks: Streaming<wire::Chunk> = answered(jobmanager, async {
        let mut client = client(jobmanager).await?;
        client.fetch(request).await.map_err(unfetched)
    })
    .await?
    .into_inner();
    let unwritten = |source| LinkError::Write { hash: hash.to_owned(), source };
    while let Some(chunk) = chunks.message().await.map_err(unfetched)? {
        into.write_all(&chunk.data).await.map_err(unwritten)?;
    }
    into.flush().await.map_err(unwritten)
}

async fn client(
    jobmanager: &Endpoint,
) -> Result<ResourcesClient<tonic::transport::Channel>, LinkError> {
    let channel = jobmanager.connect().await?;
    Ok(ResourcesClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
}

/// What `call` returns, if it does so in time.
async fn answered<T>(
    jobmanager: &Endpoint,
    call: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    let patience = jobmanager.keep_alive.timeout;
    timeout(patience, call).await.unwrap_or_else(|_| {
        Err(LinkError::Patience { peer: jobmanager.url.clone(), patience, last: None })
    })
}

fn unfetched(peer: &str, hash: &str, status: &Status) -> LinkError {
    if status.code() == Code::NotFound {
        LinkError::UnknownArtifact { peer: peer.to_owned(), hash: hash.to_owned() }
    } else {
        LinkError::from_status(peer, status)
    }
}
