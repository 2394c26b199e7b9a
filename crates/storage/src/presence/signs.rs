//! Signs of life in a store.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tracing::warn;

use super::{LOOK, PresenceError, PresenceOptions, is_of_sequence};
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

    /// Where they lie.
    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// Takes them away, so that nobody waits.
    pub(super) async fn remove(self) {
        drop(self.stop);
        // One that is just being left would stay behind; if its task has panicked there is none.
        let _ = self.leaving.await;
        for name in self.records.names().await.unwrap_or_default() {
            if sign_of(&name).is_some_and(|(owner, ..)| owner == self.token) {
                // Whoever comes next waits a little longer if it stays.
                let _ = self.records.remove(&name).await;
            }
        }
    }
}

/// The newest sign of each other holder.
pub(super) struct Others(BTreeMap<RunToken, Sign>);

struct Sign {
    name: String,
    number: u64,
    /// Whether its holder is of the same sequence of JobManagers.
    is_own: bool,
}

impl Others {
    /// Whether nobody has left one.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a person calls one of them, if there is any that is to be waited for.
    pub(super) async fn first_of_others(&self, records: &Records) -> Option<String> {
        let sign = self.0.values().find(|sign| !sign.is_own)?;
        Some(by(records, &sign.name).await)
    }

    /// Takes them away.
    pub(super) async fn forget(&self, records: &Records) {
        for sign in self.0.values() {
            // One that stays makes somebody wait in vain, and no more.
            let _ = records.remove(&sign.name).await;
        }
    }
}

/// How often nothing has to be found before nobody is there: while a sign takes the place of the one
/// before it, a listing of a folder may miss both.
const LOOKS: usize = 3;

/// The signs of all but one.
pub(super) async fn others(records: &Records, own: &Run) -> Result<Others, StoreError> {
    let mut found = Others(BTreeMap::new());
    for _ in 0..LOOKS {
        found = listed(records, own).await?;
        if !found.0.is_empty() {
            break;
        }
    }
    Ok(found)
}

async fn listed(records: &Records, own: &Run) -> Result<Others, StoreError> {
    let mut newest = BTreeMap::new();
    for name in records.names().await? {
        if let Some((token, sequence, number)) = sign_of(&name)
            && token != own.token
        {
            let is_own = is_of_sequence(own, sequence);
            newest.insert(token, Sign { name, number, is_own });
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
    own: &Run,
    before: &Others,
    options: PresenceOptions,
) -> Result<(), PresenceError> {
    let PresenceOptions { period, silence, .. } = options;
    let until = Instant::now() + silence;
    while Instant::now() < until {
        sleep(period.min(LOOK)).await;
        let Others(mut now) = others(records, own).await?;
        now.retain(|_, sign| !sign.is_own);
        if now.is_empty() {
            return Ok(());
        }
        let newer = |(token, sign): &(&RunToken, &Sign)| {
            before.0.get(token).is_none_or(|seen| seen.number < sign.number)
        };
        if let Some((_, sign)) = now.iter().find(newer) {
            return Err(PresenceError::Alive { by: by(records, &sign.name).await });
        }
    }
    Ok(())
}

/// The holder that has left a sign, the sequence of JobManagers that it is of, and which of its signs
/// that is.
fn sign_of(name: &str) -> Option<(RunToken, Option<u64>, u64)> {
    let (who, number) = name.split_once('-')?;
    let (token, sequence) = match who.split_once('.') {
        Some((token, sequence)) => (token, Some(u64::from_str_radix(sequence, 16).ok()?)),
        None => (who, None),
    };
    let token = RunToken(u64::from_str_radix(token, 16).ok()?);
    Some((token, sequence, number.parse().ok()?))
}

async fn by(records: &Records, name: &str) -> String {
    let read = records.read(name).await.ok().flatten();
    read.map_or_else(|| name.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

async fn leave_sign(records: &Records, run: &Run, number: u64) -> Result<(), StoreError> {
    // Names that sort as their numbers do.
    let sequence = run.rank.map(|rank| format!(".{:016x}", rank.sequence)).unwrap_or_default();
    let name = |number: u64| format!("{}{sequence}-{number:020}", run.token);
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
            biased;
            _ = &mut stopped => return,
            () = sleep(period) => {}
        }
        if let Err(error) = leave_sign(&records, &run, number).await {
            warn!(%error, "no sign of life could be left: others may take this one for dead");
        }
    }
}
