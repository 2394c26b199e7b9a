//! Processes that no release of Tidegate has: what a host tells them.

use std::sync::Arc;

use futures::{Stream, stream};
use tidegate_types::ErrorKind;
use tokio::net::TcpListener;

use crate::{
    Endpoint, KeepAlive, LinkError, Services,
    coordination::{Figures, Hello, Host, HostLink, service},
    serve,
    wire::{self, coordination_client::CoordinationClient, from_process::Word},
};

struct Nobody;

impl Host for Nobody {
    fn joined(&self, hello: Hello, _: HostLink) {
        panic!("{hello:?} must not get in");
    }
}

/// What a host answers to `words`.
async fn answer(words: impl Stream<Item = wire::FromProcess> + Send + 'static) -> LinkError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let services = Services::default().with_coordination(service(Arc::new(Nobody)));
    let server = serve(listener, KeepAlive::default(), None, services, std::future::pending());
    tokio::spawn(server);
    let channel = Endpoint::new(address.to_string(), None).connect().await.unwrap();
    let status = CoordinationClient::new(channel).join(words).await.unwrap_err();
    LinkError::from_status("the JobManager", &status)
}

fn says(word: Word) -> impl Stream<Item = wire::FromProcess> {
    stream::iter([wire::FromProcess { word: Some(word) }])
}

#[tokio::test]
async fn a_process_of_another_version_is_told_both_versions() {
    // It need not have what this version's hello has: the version is read first.
    let protocol_version = Some(wire::ProtocolVersion { major: 2, minor: 5 });
    let hello = wire::Hello { protocol_version, ..Default::default() };
    let error = answer(says(Word::Hello(hello))).await;
    assert_eq!(
        error.to_string(),
        "the JobManager refuses: the other side speaks protocol version 2.5, and this one 1.0: run \
         the same release of Tidegate on both"
    );
    assert_eq!(error.kind(), ErrorKind::Incompatible);
}

#[tokio::test]
async fn a_process_that_does_not_say_hello_is_told() {
    let error = answer(says(Word::Figures(Figures::default().into()))).await;
    assert_eq!(
        error.to_string(),
        "the JobManager does not understand: a message `Figures` has come, and `Hello` was expected"
    );
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_process_that_says_nothing_is_told() {
    let error = answer(stream::empty()).await;
    assert_eq!(
        error.to_string(),
        "the JobManager does not understand: the stream has no first message"
    );
}
