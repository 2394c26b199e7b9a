//! Nobody gets in without the token.

use std::{collections::HashMap, time::Duration};

use tidegate_protocol::{
    Endpoint, KeepAlive, LinkError, Secret, attempt_credential,
    coordination::{Hello, join},
    resources::{fetch, register},
};
use tidegate_types::{AttemptId, ErrorKind, JobId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    PATIENCE, coordinator, coordinator_at, endpoint, hello, jobmanager, registration, socket, soon,
};

fn secret() -> Option<Secret> {
    Some(Secret::new("right"))
}

fn with(endpoint: &Endpoint, token: Option<&str>) -> Endpoint {
    Endpoint { token: token.map(Secret::from), ..endpoint.clone() }
}

#[tokio::test]
async fn a_wrong_token_is_told_at_once_and_the_host_never_hears_of_it() {
    let (listener, address) = socket().await;
    let mut joined = coordinator_at(listener, KeepAlive::default(), secret());
    let endpoint = endpoint(address);
    for token in [None, Some("wrong"), Some("righ"), Some("right "), Some("")] {
        let error = soon(join(&with(&endpoint, token), hello(), PATIENCE)).await.unwrap_err();
        assert!(matches!(error, LinkError::Token { .. }), "{token:?}: {error:?}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert!(joined.try_recv().is_err());

    let _process = soon(join(&with(&endpoint, Some("right")), hello(), PATIENCE)).await.unwrap();
    assert_eq!(soon(joined.recv()).await.unwrap().0, hello());
}

#[tokio::test]
async fn neither_registering_nor_fetching_works_without_the_token() {
    let (endpoint, mut registered) = jobmanager(secret(), HashMap::new()).await;
    let error = soon(register(&endpoint, registration())).await.unwrap_err();
    assert!(matches!(error, LinkError::Token { .. }), "{error:?}");
    let error = soon(fetch(&endpoint, &"0".repeat(64), &mut Vec::new())).await.unwrap_err();
    assert!(matches!(error, LinkError::Token { .. }), "{error:?}");
    assert!(registered.try_recv().is_err());

    let endpoint = with(&endpoint, Some("right"));
    let _link = soon(register(&endpoint, registration())).await.unwrap();
    let error = soon(fetch(&endpoint, &"0".repeat(64), &mut Vec::new())).await.unwrap_err();
    assert!(matches!(error, LinkError::UnknownArtifact { .. }), "{error:?}");
}

#[tokio::test]
async fn an_attempts_credential_joins_that_attempt_and_does_nothing_else() {
    let (job, attempt) = (hello().job, hello().attempt.unwrap());
    let credential = attempt_credential(&secret().unwrap(), job, attempt, hello().token);
    let (listener, address) = socket().await;
    let mut joined = coordinator_at(listener, KeepAlive::default(), secret());
    let own = with(&endpoint(address), Some(credential.expose()));
    let _process = soon(join(&own, hello(), PATIENCE)).await.unwrap();
    assert_eq!(soon(joined.recv()).await.unwrap().0, hello());
    for other in [
        Hello { attempt: Some(AttemptId(attempt.get() + 1)), ..hello() },
        Hello { attempt: None, ..hello() },
        Hello { token: 1, ..hello() },
        Hello { job: JobId::from_name("another"), ..hello() },
    ] {
        let error = soon(join(&own, other, PATIENCE)).await.unwrap_err();
        assert!(matches!(error, LinkError::Token { .. }), "{error:?}");
    }
    assert!(joined.try_recv().is_err());

    let (endpoint, mut registered) = jobmanager(secret(), HashMap::new()).await;
    let own = with(&endpoint, Some(credential.expose()));
    let error = soon(register(&own, registration())).await.unwrap_err();
    assert!(matches!(error, LinkError::Token { .. }), "{error:?}");
    let error = soon(fetch(&own, &"0".repeat(64), &mut Vec::new())).await.unwrap_err();
    assert!(matches!(error, LinkError::Token { .. }), "{error:?}");
    assert!(registered.try_recv().is_err());
}

#[test]
fn a_secret_does_not_show() {
    let endpoint = Endpoint::new("http://127.0.0.1:1", secret());
    let text = format!("{endpoint:?}");
    assert!(text.contains("127.0.0.1") && !text.contains("right"), "{text}");
}

#[tokio::test]
async fn a_token_that_can_not_be_sent_is_told_without_showing_it() {
    let (endpoint, _joined) = coordinator().await;
    let endpoint = with(&endpoint, Some("a\nb"));
    let error = soon(join(&endpoint, hello(), PATIENCE)).await.unwrap_err();
    assert!(matches!(error, LinkError::Address { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("a\\nb"), "{error:?}");
}

#[tokio::test]
async fn a_service_that_is_not_served_is_told() {
    let (endpoint, _joined) = coordinator().await;
    let error = soon(register(&endpoint, registration())).await.unwrap_err();
    assert!(matches!(error, LinkError::NotServed { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_server_survives_what_is_not_its_protocol() {
    let (listener, address) = socket().await;
    let mut joined = coordinator_at(listener, KeepAlive::default(), None);
    for garbage in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0xff; 4096], b"PRI * HTTP/2.0\r\n"]
    {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        // What it answers, if it does, is its own affair.
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    let _process = soon(join(&endpoint(address), hello(), PATIENCE)).await.unwrap();
    assert_eq!(soon(joined.recv()).await.unwrap().0, hello());
}

#[tokio::test]
async fn what_is_no_server_of_tidegate_is_not_joined() {
    let (listener, address) = socket().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").await;
        }
    });
    let patience = Duration::from_millis(300);
    let error = soon(join(&endpoint(address), hello(), patience)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}
