//! Which of this crate's services a server offers.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use tonic::{
    Status,
    body::Body,
    codegen::{
        BoxFuture, Service,
        http::{Request, Response},
    },
    server::NamedService,
};

use crate::{coordination, resources};

/// The services of a server, each at most once. A request names one by its path, and is answered
/// `UNIMPLEMENTED` if it is not there.
#[derive(Clone, Default)]
pub struct Services {
    coordination: Option<coordination::Service>,
    resources: Option<resources::Service>,
}

impl Services {
    /// With a host of processes that join.
    #[must_use]
    pub fn with_coordination(self, service: coordination::Service) -> Self {
        Self { coordination: Some(service), ..self }
    }

    /// With a manager of TaskManagers that register.
    #[must_use]
    pub fn with_resources(self, service: resources::Service) -> Self {
        Self { resources: Some(service), ..self }
    }
}

impl Service<Request<Body>> for Services {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        match (&mut self.coordination, &mut self.resources) {
            (Some(service), _) if name == name_of(service) => service.call(request),
            (_, Some(service)) if name == name_of(service) => service.call(request),
            _ => {
                let unknown = Status::unimplemented(format!("there is no service '{name}' here"));
                Box::pin(async move { Ok(unknown.into_http()) })
            }
        }
    }
}

fn name_of<S: NamedService>(_service: &S) -> &'static str {
    S::NAME
}
