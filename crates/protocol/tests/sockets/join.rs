//! A process joins its coordinator.

use std::{sync::Arc, time::Duration};

use tidegate_checkpoint::protocol::{Command, Report};
use tidegate_protocol::{
    Endpoint, KeepAlive, LinkError, MAX_MESSAGE_BYTES, Services,
    coordination::{Figures, FromProcess, Start, ToProcess, join, service},
    serve,
};
use tidegate_types::{
    AttemptId, CheckpointId, ErrorKind, MaxParallelism, Parallelism, ProcessIndex, Superseded,
    Timestamp,
};

use tokio::sync::{mpsc, oneshot};

use crate::support::{
    Doorman, PATIENCE, coordinator, coordinator_at, endpoint, hello, socket, soon,
};

fn start() -> ToProcess {
    ToProcess::Start(Start {
        attempt: AttemptId(2),
        token: 1,
        parallelism: Parallelism::new(6).unwrap(),
        max_parallelism: MaxParallelism::new(128).unwrap(),
        restored_from: Some("s3://bucket/chk-7".to_owned()),
        addresses: vec!["10.0.0.1:4000".to_owned(), "10.0.0.2:4000".to_owned()],
        concludes: false,
        leaves_output: false,
        superseded: Superseded::others(),
        telling: false,
    })
}

fn committed(checkpoint: u64) -> FromProcess {
    let (checkpoint, process) = (CheckpointId(checkpoint), ProcessIndex(3));
    FromProcess::Report(Report::Committed { checkpoint, process })
}

fn completed(checkpoint: u64) -> ToProcess {
    ToProcess::Command(Command::Completed { checkpoint: CheckpointId(checkpoint) })
}

fn declined(reason: String) -> FromProcess {
    let (checkpoint, process) = (CheckpointId(1), ProcessIndex(3));
    FromProcess::Report(Report::Declined { checkpoint, process, reason })
}

#[tokio::test]
async fn a_process_joins_and_both_sides_talk() {
    let (endpoint, mut joined) = coordinator().await;
    let mut process = soon(join(&endpoint, hello(), PATIENCE)).await.unwrap();
    let (said, mut host) = soon(joined.recv()).await.unwrap();
    assert_eq!(said, hello());
    assert_eq!(process.peer(), endpoint.url);
    assert!(host.peer().starts_with("127.0.0.1:"), "{}", host.peer());

    host.send(start()).unwrap();
    assert_eq!(soon(process.receive()).await.unwrap().unwrap(), start());
    let figures = FromProcess::Figures(Figures {
        records: 5,
        progress: Some((1, 2)),
        in_flight_max: Duration::from_nanos(7),
        first_record: Some(Timestamp(9)),
        ..Figures::default()
    });
    process.send(figures.clone()).unwrap();
    assert_eq!(soon(host.receive()).await.unwrap().unwrap(), figures);
}

#[tokio::test]
async fn messages_arrive_in_order_both_ways_at_once() {
    const MANY: u64 = 5_000;
    let (endpoint, mut joined) = coordinator().await;
    let process = soon(join(&endpoint, hello(), PATIENCE)).await.unwrap();
    let (_, host) = soon(joined.recv()).await.unwrap();
    let (process_sender, mut process_receiver) = process.split();
    let (host_sender, mut host_receiver) = host.split();
    for number in 0..MANY {
        process_sender.send(committed(number)).unwrap();
        host_sender.clone().send(completed(number)).unwrap();
    }
    for number in 0..MANY {
        assert_eq!(soon(process_receiver.receive()).await.unwrap().unwrap(), completed(number));
        assert_eq!(soon(host_receiver.receive()).await.unwrap().unwrap(), committed(number));
    }
}

#[tokio::test]
async fn a_process_that_is_refused_is_told_why() {
    let (endpoint, mut joined) = coordinator().await;
    let mut process = soon(join(&endpoint, hello(), PATIENCE)).await.unwrap();
    let (_, host) = soon(joined.recv()).await.unwrap();
    host.send(ToProcess::Refused("another plan".to_owned())).unwrap();
    drop(host);
    let word = soon(process.receive()).await.unwrap().unwrap();
    assert_eq!(word, ToProcess::Refused("another plan".to_owned()));
    assert!(soon(process.receive()).await.is_none());
    assert!(soon(process.receive()).await.is_none(), "and ever after");
}

#[tokio::test]
async fn what_was_said_before_a_link_is_closed_arrives() {
    const MANY: u64 = 20_000;
    let (endpoint, mut joined) = coordinator().await;
    let process = soon(join(&endpoint, hello(), PATIENCE)).await.unwrap();
    let (_, mut host) = soon(joined.recv()).await.unwrap();
    let heard = tokio::spawn(async move {
        let mut heard = 0;
        while let Some(word) = host.receive().await {
            assert_eq!(word.unwrap(), committed(heard));
            heard += 1;
        }
        heard
    });
    for number in 0..MANY {
        process.send(committed(number)).unwrap();
    }
    soon(process.close()).await;
    assert_eq!(soon(heard).await.unwrap(), MANY);
}

#[tokio::test]
async fn what_a_host_said_before_it_drops_the_link_arrives() {
    const MANY: u64 = 20_000;
    let (endpoint, mut joined) = coordinator().await;
    let mut process = soon(join(&endpoint, hello(), PATIENCE)).await.unwrap();
    let (_, host) = soon(joined.recv()).await.unwrap();
    for number in 0..MANY {
        host.send(completed(number)).unwrap();
    }
    drop(host);
    for number in 0..MANY {
        assert_eq!(soon(process.receive()).await.unwrap().unwrap(), completed(number));
    }
    assert!(soon(process.receive()).await.is_none());
}

#[tokio::test]
async fn a_large_message_passes_and_a_larger_one_is_refused_where_it_is_sent() {
    let (endpoint, mut joined) = coordinator().await;
    let process = soon(join(&endpoint, hello(), PATIENCE)).await.unwrap();
    let (_, mut host) = soon(joined.recv()).await.unwrap();

    let error = process.send(declined("x".repeat(MAX_MESSAGE_BYTES))).unwrap_err();
    assert!(matches!(error, LinkError::TooLong { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Invalid);

    // The rest of the message has its place below the limit.
    let longest = declined("x".repeat(MAX_MESSAGE_BYTES - 64));
    process.send(longest.clone()).unwrap();
    assert!(soon(host.receive()).await.unwrap().unwrap() == longest, "it came out changed");
}

#[tokio::test]
async fn a_coordinator_that_is_not_there_yet_is_waited_for() {
    let (listener, address) = socket().await;
    drop(listener);
    let endpoint = endpoint(address);
    let joining = tokio::spawn(async move { join(&endpoint, hello(), PATIENCE).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let mut joined = coordinator_at(listener, KeepAlive::default(), None);
    let _process = soon(joining).await.unwrap().unwrap();
    assert_eq!(soon(joined.recv()).await.unwrap().0, hello());
}

#[tokio::test]
async fn a_server_that_is_shut_down_lets_nobody_in_and_waits_for_its_links() {
    let (listener, address) = socket().await;
    let (sender, mut joined) = mpsc::unbounded_channel();
    let services = Services::default().with_coordination(service(Arc::new(Doorman(sender))));
    let (shut_down, shutdown) = oneshot::channel::<()>();
    let shutdown = async { shutdown.await.expect("it is shut down") };
    let server = tokio::spawn(serve(listener, KeepAlive::default(), None, services, shutdown));
    let mut process = soon(join(&endpoint(address), hello(), PATIENCE)).await.unwrap();
    let (_, host) = soon(joined.recv()).await.unwrap();

    shut_down.send(()).unwrap();
    let patience = Duration::from_millis(300);
    soon(join(&endpoint(address), hello(), patience)).await.unwrap_err();
    host.send(completed(1)).unwrap();
    assert_eq!(soon(process.receive()).await.unwrap().unwrap(), completed(1));
    assert!(!server.is_finished());
    drop(host);
    assert!(soon(process.receive()).await.is_none());
    drop(process);
    soon(server).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_without_a_scheme_will_do() {
    let (endpoint, mut joined) = coordinator().await;
    let bare = endpoint.url.strip_prefix("http://").unwrap();
    let _process = soon(join(&Endpoint::new(bare, None), hello(), PATIENCE)).await.unwrap();
    assert_eq!(soon(joined.recv()).await.unwrap().0, hello());
}

#[tokio::test]
async fn patience_has_an_end() {
    let (listener, address) = socket().await;
    drop(listener);
    let patience = Duration::from_millis(300);
    let error = soon(join(&endpoint(address), hello(), patience)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("http://{address} has not answered within 300ms"));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let chain = tidegate_types::error::chain(&error);
    assert!(chain.contains("can't be reached") && chain.contains("refused"), "{chain}");
}

#[tokio::test]
async fn an_address_that_can_not_be_right_is_told_at_once() {
    for url in ["https://127.0.0.1:1", "http://", "a b"] {
        let endpoint = Endpoint::new(url, None);
        let error = soon(join(&endpoint, hello(), Duration::MAX)).await.unwrap_err();
        assert!(matches!(error, LinkError::Address { .. }), "{url}: {error:?}");
    }
}
