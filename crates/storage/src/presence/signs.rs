//! Signs of life in a store.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tracing::warn;

use super::{LOOK, PresenceError, PresenceOptions};
use crate::{
    Records, StoreError,
    log::{Run, RunToken},
};

/// The signs that a holder leaves until this is dropped.
#[derive(Debug)]
pub(super) struct Signs {
    records: Records,
    token: RunToken,
    /// Ends it when it is dropped.
    stop: oneshot::Sender<()>,
    leaving: JoinHandle<()>,
}

impl Signs {
    /// Leaves the first of them.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(super) async fn begin(
        records: Records,
        run: &Run,
        period: Duration,
    ) -> Result<Self, StoreError> {
        leave_sign(&records, run, 0).await?;
        let (stop, stopped) = oneshot::channel();
        let leaving = tokio::spawn(leave_signs(records.clone(), run.clone(), period, stopped));
        Ok(Self { records, token: run.token, stop, leaving })
    }

    /// Takes them away, so that nobody waits.
    pub(super) async fn remove(self) {
        drop(self.stop);
        // One that is just being left would stay behind; if its task has panicked there is none.
        let _ = self.leaving.await;
        for name in self.records.names().await.unwrap_or_default() {
            if sign_of(&name).is_some_and(|(owner, _)| owner == self.token) {
                // Whoever comes next waits a little longer if it stays.
                let _ = self.records.remove(&name).await;
            }
        }
    }
}

/// The newest sign of each other holder: its number, and its name.
pub(super) struct Others(BTreeMap<RunToken, (u64, String)>);

impl Others {
    /// What a person calls one of them, if there is any.
    pub(super) async fn first(&self, records: &Records) -> Option<String> {
        let (_, name) = self.0.values().next()?;
        Some(by(records, name).await)
    }

    /// Takes them away.
    pub(super) async fn forget(&self, records: &Records) {
        for (_, name) in self.0.values() {
            // One that stays makes somebody wait in vain, and no more.
            let _ = records.remove(name).await;
        }
    }
}

/// The signs of all but one.
pub(super) async fn others(records: &Records, own: RunToken) -> Result<Others, StoreError> {
    let mut newest = BTreeMap::new();
    for name in records.names().await? {
        if let Some((token, number)) = sign_of(&name).filter(|(token, _)| *token != own) {
            newest.insert(token, (number, name));
        }
    }
    Ok(Others(newest))
}

/// Waits until every other holder has been silent for long enough.
///
/// # Errors
///
/// [`PresenceError::Alive`] as soon as one has left a new sign.
pub(super) async fn watch(
    records: &Records,
    own: RunToken,
    before: &Others,
    options: PresenceOptions,
) -> Result<(), PresenceError> {
    let PresenceOptions { period, silence, .. } = options;
    let until = Instant::now() + silence;
    while Instant::now() < until {
        sleep(period.min(LOOK)).await;
        let Others(now) = others(records, own).await?;
        if now.is_empty() {
            return Ok(());
        }
        let newer = |(token, (number, _)): &(&RunToken, &(u64, String))| {
            before.0.get(token).is_none_or(|(seen, _)| seen < number)
        };
        if let Some((_, (_, name))) = now.iter().find(newer) {
            return Err(PresenceError::Alive { by: by(records, name).await });
        }
    }
    Ok(())
}

/// The holder that has left a sign, and which of its signs that is.
fn sign_of(name: &str) -> Option<(RunToken, u64)> {
    let (token, number) = name.split_once('-')?;
    Some((RunToken(u64::from_str_radix(token, 16).ok()?), number.parse().ok()?))
}

async fn by(records: &Records, name: &str) -> String {
    let read = records.read(name).await.ok().flatten();
    read.map_or_else(|| name.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

async fn leave_sign(records: &Records, run: &Run, number: u64) -> Result<(), StoreError> {
    // Names that sort as their numbers do.
    let name = |number: u64| format!("{}-{number:020}", run.token);
    records.create(&name(number), run.name.clone().into()).await?;
    match number.checked_sub(1) {
        Some(before) => records.remove(&name(before)).await,
        None => Ok(()),
    }
}

async fn leave_signs(
    records: Records,
    run: Run,
    period: Duration,
    mut stopped: oneshot::Receiver<()>,
) {
    for number in 1.. {
        tokio::select! {
            () = sleep(period) => {}
            _ = &mut stopped => return,
        }
        if let Err(error) = leave_sign(&records, &run, number).await {
            warn!(%error, "no sign of life could be left: others may take this one for dead");
        }
    }
}
