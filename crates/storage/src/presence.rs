//! Whether another run of a job lives: whoever starts one is refused then, or waits to find out.
//!
//! ```text
//!   <folder>/lock               on a local disk: locked by the run's process
//!   <folder>/<token>-<number>   elsewhere: a run's newest sign of life, and who it is
//! ```
//!
//! # Protocol
//!
//! On a local disk the kernel tells: a run holds a lock, which is let go with its process, however
//! that ends. Elsewhere a run leaves a sign of life every [`PresenceOptions::period`]. Whoever finds
//! signs watches them for [`PresenceOptions::silence`], by its own monotonic clock: if they change,
//! their run lives; if not, it counts as dead. A run that ends in order takes its signs away.
//!
//! # Failure
//!
//! A run that is taken for dead and is not does no harm: nothing that it does counts without an
//! entry in the job's log, where its successor stands ([`crate::log`]). So this decides only who
//! waits for whom, and no clock decides what is safe.

use std::{
    collections::BTreeMap,
    fs::{File, Metadata, TryLockError},
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep},
};
use tracing::{debug, warn};

use crate::{
    Place, Records, StoreError,
    log::{Run, RunToken},
};

/// The name of the lock's file.
const LOCK: &str = "lock";
/// How often a run that has taken over tries to get the lock of the one before it.
const RETRY: Duration = Duration::from_secs(1);

/// How a run shows that it lives, and finds out whether others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceOptions {
    /// How often a sign of life is left.
    pub period: Duration,
    /// After how much silence another run counts as dead.
    pub silence: Duration,
    /// Whether to take over from one that lives.
    pub take_over: bool,
}

impl Default for PresenceOptions {
    fn default() -> Self {
        let (period, silence) = (Duration::from_secs(5), Duration::from_secs(15));
        Self { period, silence, take_over: false }
    }
}

/// Why a run may not start.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another run of the job lives.
    #[error("another run of this job is alive: {by}")]
    Alive {
        /// What a person calls it.
        by: String,
    },
}

/// That a run lives, for others to see, until this is dropped.
#[derive(Debug)]
pub struct Presence(Kept);

#[derive(Debug)]
enum Kept {
    /// In memory there is nobody else.
    Alone,
    /// The lock, or who tries to get it.
    Locked {
        path: PathBuf,
        hold: Hold,
    },
    Signs {
        records: Records,
        token: RunToken,
        signs: JoinHandle<()>,
    },
}

#[derive(Debug)]
enum Hold {
    Lock { _file: File },
    Waiting(AbortHandle),
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Self::Waiting(waiting) = self {
            waiting.abort();
        }
    }
}

impl Presence {
    /// Shows that a run lives whose signs lie in `folder`, once no other is seen alive.
    ///
    /// # Errors
    ///
    /// [`PresenceError::Alive`] if another one is, unless this one is to take over.
    pub async fn claim(
        folder: &Place,
        run: &Run,
        options: PresenceOptions,
    ) -> Result<Self, PresenceError> {
        if folder.address().memory().is_some() {
            return Ok(Self(Kept::Alone));
        }
        match folder.local() {
            Some(local) => claim_lock(local, run, options.take_over).map(Self),
            None => claim_signs(folder, run, options).await.map(Self),
        }
    }

    /// The run ends in order: nobody has to wait for it. With `forget` nothing is left of it.
    pub async fn leave(self, forget: bool) {
        let (records, token, signs) = match self.0 {
            Kept::Signs { records, token, signs } => (records, token, signs),
            Kept::Locked { path, hold: hold @ Hold::Lock { .. } } if forget => {
                // While it is held: whoever has opened it meanwhile finds that it is not there any more.
                let removed = std::fs::remove_file(&path);
                debug!(?path, ?removed, "the job's lock");
                drop(hold);
                // Another run may have begun.
                let _ = path.parent().map(std::fs::remove_dir);
                return;
            }
            Kept::Alone | Kept::Locked { .. } => return,
        };
        signs.abort();
        for name in records.names().await.unwrap_or_default() {
            if sign_of(&name).is_some_and(|(owner, _)| owner == token) {
                // Whoever comes next waits a little longer if it stays.
                let _ = records.remove(&name).await;
            }
        }
    }
}

/// Who holds the lock of a folder on a local disk, if anybody does. Nothing is made. Elsewhere nobody
/// can tell at once.
#[must_use]
pub fn holder(folder: &Place) -> Option<String> {
    let path = folder.local()?.join(LOCK);
    let file = File::open(&path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(named(&path)),
        _ => None,
    }
}

/// What a person calls who holds a lock.
fn named(path: &Path) -> String {
    let name = std::fs::read_to_string(path).unwrap_or_default();
    if name.is_empty() { "its name can't be read".to_owned() } else { name }
}

fn claim_lock(folder: &Path, run: &Run, take_over: bool) -> Result<Kept, PresenceError> {
    let path = folder.join(LOCK);
    let file = match open(&path) {
        Ok(file) => file,
        Err(error) => {
            debug!(%error, ?path, "the job's lock can't be used");
            return Ok(Kept::Alone);
        }
    };
    match lock(&path, file, run) {
        Ok(lock) => Ok(Kept::Locked { path, hold: Hold::Lock { _file: lock } }),
        Err(TryLockError::WouldBlock) if take_over => {
            let (lock_path, run) = (path.clone(), run.clone());
            let waiting = tokio::spawn(async move {
                loop {
                    sleep(RETRY).await;
                    if let Ok(file) = open(&lock_path)
                        && let Ok(lock) = lock(&lock_path, file, &run)
                    {
                        // Held until this is aborted.
                        let _held = lock;
                        std::future::pending::<()>().await;
                    }
                }
            });
            Ok(Kept::Locked { path, hold: Hold::Waiting(waiting.abort_handle()) })
        }
        Err(TryLockError::WouldBlock) => Err(PresenceError::Alive { by: named(&path) }),
        Err(TryLockError::Error(error)) => {
            debug!(%error, ?path, "the job's lock can't be used");
            Ok(Kept::Alone)
        }
    }
}

/// Whether a file is the one that bears that name now.
fn is_at(path: &Path, file: &File) -> bool {
    let identity = |metadata: std::io::Result<Metadata>| {
        metadata.map(|metadata| (metadata.dev(), metadata.ino())).ok()
    };
    identity(file.metadata()) == identity(std::fs::metadata(path))
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::options().create(true).truncate(false).read(true).write(true).open(path)
}

/// Locks the file, and writes into it who has.
fn lock(path: &Path, mut file: File, run: &Run) -> Result<File, TryLockError> {
    file.try_lock()?;
    // Somebody may have ended and taken it away since it was opened: that lock is worth nothing.
    while !is_at(path, &file) {
        file = open(path).map_err(TryLockError::Error)?;
        file.try_lock()?;
    }
    let named = file.set_len(0).and_then(|()| file.write_all(run.name.as_bytes()));
    if let Err(error) = named {
        debug!(%error, ?path, "the lock does not say who holds it");
    }
    Ok(file)
}

/// The run that has left a sign, and which of its signs that is.
fn sign_of(name: &str) -> Option<(RunToken, u64)> {
    let (token, number) = name.split_once('-')?;
    Some((RunToken(u64::from_str_radix(token, 16).ok()?), number.parse().ok()?))
}

/// The newest sign of each other run, and its name.
async fn others(
    records: &Records,
    own: RunToken,
) -> Result<BTreeMap<RunToken, (u64, String)>, StoreError> {
    let mut newest = BTreeMap::new();
    for name in records.names().await? {
        if let Some((token, number)) = sign_of(&name).filter(|(token, _)| *token != own) {
            newest.insert(token, (number, name));
        }
    }
    Ok(newest)
}

async fn claim_signs(
    folder: &Place,
    run: &Run,
    options: PresenceOptions,
) -> Result<Kept, PresenceError> {
    let records = folder.records("");
    let before = others(&records, run.token).await?;
    if !options.take_over {
        watch(&records, run.token, &before, options).await?;
    }
    for (_, name) in before.values() {
        // One that stays makes somebody wait in vain, and no more.
        let _ = records.remove(name).await;
    }
    leave_sign(&records, run, 0).await?;
    let (signs, token) =
        (tokio::spawn(leave_signs(records.clone(), run.clone(), options)), run.token);
    Ok(Kept::Signs { records, token, signs })
}

/// Waits until every other run has been silent for long enough.
async fn watch(
    records: &Records,
    own: RunToken,
    before: &BTreeMap<RunToken, (u64, String)>,
    options: PresenceOptions,
) -> Result<(), PresenceError> {
    let PresenceOptions { period, silence, .. } = options;
    let Some((_, name)) = before.values().next() else { return Ok(()) };
    let by = by(records, name).await;
    warn!(run = by, "another run of this job was alive: waiting {silence:?} to see whether it is");
    let until = Instant::now() + silence;
    while Instant::now() < until {
        sleep(period.min(RETRY)).await;
        let now = others(records, own).await?;
        if now.is_empty() {
            return Ok(());
        }
        let newer = |(token, (number, _)): &(&RunToken, &(u64, String))| {
            before.get(token).is_none_or(|(seen, _)| seen < number)
        };
        if let Some((_, (_, name))) = now.iter().find(newer) {
            return Err(PresenceError::Alive { by: self::by(records, name).await });
        }
    }
    Ok(())
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

async fn leave_signs(records: Records, run: Run, options: PresenceOptions) {
    for number in 1.. {
        sleep(options.period).await;
        if let Err(error) = leave_sign(&records, &run, number).await {
            warn!(%error, "this run could not show that it is alive");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(token: u64) -> Run {
        Run { token: RunToken(token), rank: 0, name: format!("host {token}") }
    }

    fn quick() -> PresenceOptions {
        let (period, silence) = (Duration::from_millis(5), Duration::from_millis(60));
        PresenceOptions { period, silence, take_over: false }
    }

    fn alive(result: Result<Presence, PresenceError>) -> String {
        match result {
            Err(PresenceError::Alive { by }) => by,
            other => panic!("it is alive: {other:?}"),
        }
    }

    #[tokio::test]
    async fn on_a_local_disk_the_kernel_tells_who_lives() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::open(&folder.path().display().to_string()).expect("it opens");
        let claim = |token, take_over| {
            let (place, options) = (place.clone(), PresenceOptions { take_over, ..quick() });
            async move { Presence::claim(&place, &run(token), options).await }
        };
        assert_eq!(holder(&place), None);
        let first = claim(1, false).await.expect("nobody is there");
        assert_eq!(holder(&place).as_deref(), Some("host 1"));
        assert_eq!(alive(claim(2, false).await), "host 1");
        let second = claim(2, true).await.expect("it takes over");
        first.leave(true).await;
        // As soon as the first is gone, the second holds the lock.
        let third = loop {
            match claim(3, false).await {
                Err(PresenceError::Alive { by }) => break by,
                Ok(too_early) => drop(too_early),
                Err(error) => panic!("{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(third, "host 2");
        drop(second);
        tokio::task::yield_now().await;
        while claim(4, false).await.is_err() {
            sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn elsewhere_signs_of_life_tell() {
        let place = Place::open("memory://presence").expect("it opens");
        let claim = |token| {
            let place = place.clone();
            async move { claim_signs(&place, &run(token), quick()).await.map(Presence) }
        };
        let first = claim(1).await.expect("nobody is there");
        assert_eq!(alive(claim(2).await), "host 1");
        first.leave(false).await;
        let begun = Instant::now();
        let second = claim(2).await.expect("it has left");
        assert!(begun.elapsed() < quick().silence, "nobody has to wait for it");
        let Presence(Kept::Signs { signs, .. }) = &second else { panic!("not by signs") };
        signs.abort();
        claim(3).await.expect("it is silent");
    }
}
