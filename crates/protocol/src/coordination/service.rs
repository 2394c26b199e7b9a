//! The host's side.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{Hello, HostLink, messages};
use crate::{
    link::{Answers, MAX_MESSAGE_BYTES, first_word, host, peer_of},
    token::Shown,
    wire::{
        self,
        coordination_server::{Coordination, CoordinationServer},
    },
};

/// What a coordinator does with processes that join.
pub trait Host: Send + Sync + 'static {
    /// Called for every process that says hello, whatever it says, and must not block. Who is to be
    /// refused is sent [`super::ToProcess::Refused`]; dropping the link ends it.
    fn joined(&self, hello: Hello, link: HostLink);
}

/// What [`service`] returns: one of [`crate::Services`].
pub type Service = CoordinationServer<Hosted>;

/// A host as a service.
pub struct Hosted(Arc<dyn Host>);

/// The service of `host`.
#[must_use]
pub fn service(host: Arc<dyn Host>) -> Service {
    CoordinationServer::new(Hosted(host)).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

#[async_trait]
impl Coordination for Hosted {
    type JoinStream = Answers<wire::ToProcess>;

    async fn join(
        &self,
        request: Request<Streaming<wire::FromProcess>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        let peer = peer_of(&request);
        let shown = request.extensions().get::<Shown>().copied();
        let mut words = request.into_inner();
        let hello = messages::hello(first_word(&mut words).await?)?;
        if let Some(Shown::Attempt { job, attempt, number }) = shown
            && (job, Some(attempt), number) != (hello.job, hello.attempt, hello.token)
        {
            return Err(Status::unauthenticated("the credential is another attempt's"));
        }
        let (link, answers) = host(peer, words);
        self.0.joined(hello, link);
        Ok(Response::new(answers))
    }
}
