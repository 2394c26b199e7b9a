//! Either side is lost, in every way there is.

use std::{
    future::Future,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tidegate_checkpoint::protocol::Command;
use tidegate_protocol::{
    KeepAlive, Link, LinkError, Word,
    coordination::{HostLink, ProcessLink, ToProcess, join},
};
use tidegate_types::ErrorKind;

use crate::support::{PATIENCE, Proxy, coordinator, coordinator_at, endpoint, hello, socket, soon};

/// How quickly the loss of a connection must be noticed: well before the first ping.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn quickly<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_ONCE, future).await.expect("it has to be noticed at once")
}

async fn linked() -> (ProcessLink, HostLink) {
    let (endpoint, mut joined) = coordinator().await;
    let process = soon(join(&endpoint, hello(), PATIENCE)).await.unwrap();
    (process, soon(joined.recv()).await.unwrap().1)
}

/// Both sides of a link through a proxy.
async fn through_proxy(keep_alive: KeepAlive) -> (Proxy, ProcessLink, HostLink) {
    let (listener, address): (_, SocketAddr) = socket().await;
    let mut joined = coordinator_at(listener, keep_alive, None);
    let proxy = Proxy::to(address).await;
    let endpoint = endpoint(proxy.address).with_keep_alive(keep_alive);
    let process = soon(join(&endpoint, hello(), PATIENCE)).await.unwrap();
    (proxy, process, soon(joined.recv()).await.unwrap().1)
}

async fn sending_fails<Out: Word, In: Word>(link: &Link<Out, In>, word: impl Fn() -> Out) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match link.send(word()) {
            Err(LinkError::Closed { .. }) => return,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn cancel() -> ToProcess {
    ToProcess::Command(Command::Cancel)
}

#[tokio::test]
async fn a_process_that_drops_its_link_is_noticed() {
    let (process, mut host) = linked().await;
    drop(process);
    // Its last words may be lost, and so may the word that these were all.
    let end = quickly(host.receive()).await;
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    assert!(quickly(host.receive()).await.is_none());
    sending_fails(&host, cancel).await;
}

#[tokio::test]
async fn a_host_that_drops_its_link_is_noticed() {
    let (mut process, host) = linked().await;
    drop(host);
    let end = quickly(process.receive()).await;
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn a_half_that_waits_for_the_end_of_its_link_is_told() {
    let (process, host) = linked().await;
    let (sender, receiver) = host.split();
    drop(process);
    quickly(sender.closed()).await;
    drop(receiver);
}

#[tokio::test]
async fn a_connection_that_is_cut_is_noticed_on_both_sides() {
    let (proxy, mut process, mut host) = through_proxy(KeepAlive::default()).await;
    drop(proxy);
    let lost = quickly(host.receive()).await.unwrap().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost}");
    let lost = quickly(process.receive()).await.unwrap().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost}");
    assert!(lost.to_string().starts_with("the connection to http://127.0.0.1:"), "{lost}");
    assert!(process.receive().await.is_none());
    sending_fails(&host, cancel).await;
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_noticed_on_both_sides() {
    let keep_alive =
        KeepAlive { interval: Duration::from_millis(200), timeout: Duration::from_millis(300) };
    let (proxy, mut process, mut host) = through_proxy(keep_alive).await;
    // While it answers to pings a link that says nothing lives on.
    let idle = tokio::time::timeout(Duration::from_millis(1_200), process.receive()).await;
    assert!(idle.is_err(), "{idle:?}");

    proxy.fall_silent();
    let begun = Instant::now();
    let lost = soon(host.receive()).await;
    assert!(!matches!(lost, Some(Ok(_))), "{lost:?}");
    let lost = soon(process.receive()).await.unwrap().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_process_joins_again_after_its_connection_was_cut() {
    let (listener, address) = socket().await;
    let mut joined = coordinator_at(listener, KeepAlive::default(), None);
    let proxy = Proxy::to(address).await;
    let mut process = soon(join(&endpoint(proxy.address), hello(), PATIENCE)).await.unwrap();
    soon(joined.recv()).await.unwrap();
    drop(proxy);
    assert!(!matches!(quickly(process.receive()).await, Some(Ok(_))));

    let mut process = soon(join(&endpoint(address), hello(), PATIENCE)).await.unwrap();
    let (_, host) = soon(joined.recv()).await.unwrap();
    host.send(cancel()).unwrap();
    assert_eq!(soon(process.receive()).await.unwrap().unwrap(), cancel());
}
