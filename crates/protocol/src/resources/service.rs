//! The JobManager's side.

use std::{path::PathBuf, sync::Arc};

use bytes::BytesMut;
use futures::stream;
use tokio::{fs::File, io::AsyncReadExt};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{ManagerLink, Registration, messages};
use crate::{
    convert::wrong,
    error::MessageError,
    guard::only_cluster,
    link::{Answers, MAX_MESSAGE_BYTES, first_word, host, peer_of},
    version,
    wire::{
        self,
        resources_server::{Resources, ResourcesServer},
    },
};

/// How much of an artifact one message carries, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// What a JobManager does with TaskManagers.
pub trait Manager: Send + Sync + 'static {
    /// Called for every TaskManager that registers, whatever it says, and must not block. Who is to
    /// be refused is sent [`super::ToTaskManager::Refused`]; dropping the link ends it.
    fn registered(&self, registration: Registration, link: ManagerLink);

    /// Where the artifact with this content hash lies: 64 lower-case hexadecimal digits, nothing
    /// else is asked for.
    fn artifact(&self, hash: &str) -> Option<PathBuf>;
}

/// What [`service`] returns: one of [`crate::Services`].
pub type Service = ResourcesServer<Managed>;

/// A manager as a service.
pub struct Managed(Arc<dyn Manager>);

/// The service of `manager`.
#[must_use]
pub fn service(manager: Arc<dyn Manager>) -> Service {
    ResourcesServer::new(Managed(manager)).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

#[async_trait]
impl Resources for Managed {
    type RegisterStream = Answers<wire::ToTaskManager>;
    type FetchStream = Answers<wire::Chunk>;

    async fn register(
        &self,
        request: Request<Streaming<wire::FromTaskManager>>,
    ) -> Result<Response<Self::RegisterStream>, Status> {
        only_cluster(&request)?;
        let peer = peer_of(&request);
        let mut words = request.into_inner();
        let registration = messages::registration(first_word(&mut words).await?)?;
        let (link, answers) = host(peer, words);
        self.0.registered(registration, link);
        Ok(Response::new(answers))
    }

    async fn fetch(
        &self,
        request: Request<wire::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        only_cluster(&request)?;
        let wire::FetchRequest { protocol_version, hash } = request.into_inner();
        version::check("FetchRequest", protocol_version)?;
        check_hash(&hash)?;
        let unknown = || Status::not_found(format!("there is no artifact `{hash}`"));
        let path = self.0.artifact(&hash).ok_or_else(unknown)?;
        let file = File::open(&path).await.map_err(|error| {
            Status::unavailable(format!("artifact `{hash}` can't be opened: {error}"))
        })?;
        Ok(Response::new(Box::pin(stream::try_unfold(file, next_chunk))))
    }
}

/// The hash becomes part of a path: nothing else may.
fn check_hash(hash: &str) -> Result<(), MessageError> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if hash.len() == 64 && hash.bytes().all(digit) {
        return Ok(());
    }
    Err(wrong("FetchRequest", "hash", "expected 64 lower-case hexadecimal digits"))
}

async fn next_chunk(mut file: File) -> Result<Option<(wire::Chunk, File)>, Status> {
    let mut data = BytesMut::with_capacity(CHUNK_BYTES);
    let mut rest = (&mut file).take(CHUNK_BYTES as u64);
    while rest.read_buf(&mut data).await? > 0 {}
    if data.is_empty() {
        return Ok(None);
    }
    Ok(Some((wire::Chunk { data: data.freeze() }, file)))
}
