//! Who may talk to a server at all: those who know the cluster's token.

use tonic::{Request, Status, service::Interceptor};

use crate::endpoint::Secret;

/// Lets a request pass if it shows the token; see [`guarded`].
#[derive(Clone, Debug)]
pub struct Guard {
    token: Option<Secret>,
}

/// An interceptor that answers `UNAUTHENTICATED` to whoever does not show `token` as
/// `authorization: Bearer …`; without one it lets everything pass.
#[must_use]
pub const fn guarded(token: Option<Secret>) -> Guard {
    Guard { token }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(token) = &self.token else { return Ok(request) };
        let shown = request.metadata().get("authorization");
        let shown = shown.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        match shown {
            Some(shown) if token.is(shown) => Ok(request),
            Some(_) => Err(Status::unauthenticated("the cluster's token is another one")),
            None => Err(Status::unauthenticated("the cluster's token is missing")),
        }
    }
}
