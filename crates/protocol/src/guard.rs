//! Who may talk to a server at all: those who know the cluster's token, and the processes of an
//! attempt, which may join it and nothing else.

use tidegate_types::options::Secret;
use tonic::{Request, Status, service::Interceptor};

use crate::{incoming::Guest, token::Shown};

/// Lets a request pass if it shows the token; see [`guarded`].
#[derive(Clone, Debug)]
pub struct Guard {
    token: Option<Secret>,
}

/// An interceptor that answers `UNAUTHENTICATED` to whoever does not show `token`, or an attempt's
/// credential that is signed with it, as `authorization: Bearer …`; without one it lets everything
/// pass.
#[must_use]
pub const fn guarded(token: Option<Secret>) -> Guard {
    Guard { token }
}

impl Guard {
    fn look_at(&self, request: &Request<()>) -> Result<Shown, Status> {
        let Some(token) = &self.token else { return Ok(Shown::Cluster) };
        let shown = request.metadata().get("authorization");
        match shown.and_then(|value| value.as_bytes().strip_prefix(b"Bearer ")) {
            Some(shown) => Shown::read(token, shown)
                .ok_or_else(|| Status::unauthenticated("the cluster's token is another one")),
            None => Err(Status::unauthenticated("the cluster's token is missing")),
        }
    }
}

impl Interceptor for Guard {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let shown = self.look_at(&request)?;
        if let Some(guest) = request.extensions().get::<Guest>().cloned() {
            guest.is_known();
            request.extensions_mut().insert(guest.address());
        }
        request.extensions_mut().insert(shown);
        Ok(request)
    }
}

/// Whoever has shown no more than an attempt's credential is no TaskManager.
pub(crate) fn only_cluster<T>(request: &Request<T>) -> Result<(), Status> {
    match request.extensions().get::<Shown>() {
        Some(Shown::Cluster) => Ok(()),
        _ => Err(Status::unauthenticated("this takes the cluster's token")),
    }
}
