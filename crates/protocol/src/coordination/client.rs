//! The process's side.

use std::{sync::Arc, time::Duration};

use tidegate_types::ErrorKind;
use tokio::time::{sleep, timeout};

use super::{Hello, ProcessLink};
use crate::{
    endpoint::Endpoint,
    error::LinkError,
    link::{Link, LinkReceiver, MAX_MESSAGE_BYTES, outgoing},
    wire::{self, coordination_client::CoordinationClient, from_process::Word},
};

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(50);

/// Joins the attempt that `hello` names, and returns as soon as the host has read it. An endpoint
/// that can't be reached is tried again until `patience` is over.
///
/// # Errors
///
/// [`LinkError::Patience`] when nobody answers for so long; at once when the token or the protocol
/// is another one, or the address can't be right.
pub async fn join(
    coordinator: &Endpoint,
    hello: Hello,
    patience: Duration,
) -> Result<ProcessLink, LinkError> {
    let mut last = None;
    let attempts = async {
        loop {
            match open(coordinator, &hello).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => last = Some(error.into()),
                done => return done,
            }
            sleep(PAUSE).await;
        }
    };
    match timeout(patience, attempts).await {
        Ok(done) => done,
        Err(_) => Err(LinkError::Patience { peer: coordinator.url.clone(), patience, last }),
    }
}

async fn open(coordinator: &Endpoint, hello: &Hello) -> Result<ProcessLink, LinkError> {
    let peer: Arc<str> = coordinator.url.as_str().into();
    let first = wire::FromProcess { word: Some(Word::Hello(hello.clone().into())) };
    let channel = coordinator.connect().await?;
    let mut client = CoordinationClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let (sender, words) = outgoing(peer.clone(), Some(first));
    let answers = client.join(coordinator.request(words)?).await;
    let answers = answers.map_err(|status| LinkError::from_status(&peer, &status))?;
    Ok(Link::new(sender, LinkReceiver::new(peer, answers.into_inner())))
}
