//! Whether somebody else lives who holds the same: another run of a job, or another JobManager.
//! Whoever comes is refused then, or waits.
//!
//! ```text
//!   <folder>/lock               on a local disk: locked by the process that holds it
//!   <folder>/<token>-<number>   a holder's newest sign of life, and who it is
//!   <folder>/ending             that the holder is about to end, and will do nothing more
//! ```
//!
//! # Protocol
//!
//! A holder leaves a sign of life every [`PresenceOptions::period`]. Whoever finds signs watches them
//! for [`PresenceOptions::silence`], by its own monotonic clock: if they change, their holder lives; if
//! not, it counts as dead. No times of two machines are ever compared, and a watch in which the store
//! could not be read begins anew. A holder that ends in order takes its signs away.
//!
//! On a local disk it holds a lock too, which the kernel lets go with its process, however that ends.
//! A lock that is held is its holder's life; one that is free is its death if the same kernel had given
//! it. Where several machines share a disk the locks of another one may not be seen here, and signs
//! have to do.
//!
//! Of JobManagers of one sequence each takes over from the one before it ([`Run::rank`]): runs of the same
//! sequence do not wait for each other.
//!
//! # Failure
//!
//! Who is taken for dead and is not does no harm: nothing that it does counts without an entry in a
//! log, where its successor stands ([`crate::log`]). So between runs of one job this decides only who
//! waits for whom, and no clock and no lock decides what is safe. Of two jobs one begins beside the
//! other if it is seen alive ([`living`]); that is as good as the signs are.

mod lock;
mod memory;
mod signs;

use std::time::Duration;

use tidegate_types::error::chain;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tracing::warn;

use self::{
    lock::{Found, Hold, Seen},
    signs::Signs,
};
use crate::{
    Place, Records, StoreError,
    log::{Run, RunToken},
};

/// How often it is looked at most whether somebody has gone.
const LOOK: Duration = Duration::from_secs(1);
/// How often who waits says so.
const TELL: Duration = Duration::from_secs(10);
/// What says that a holder is about to end.
const ENDING: &str = "ending";
/// How often a lock has to be found taken before it is, and how long to wait in between.
const LOCK_LOOKS: usize = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// How a holder shows that it lives, and finds out whether others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceOptions {
    /// How often a sign of life is left.
    pub period: Duration,
    /// After how much silence another one counts as dead.
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

/// Why somebody may not start.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another one lives.
    #[error("{by} is alive")]
    Alive {
        /// What a person calls it.
        by: String,
    },
}

/// That somebody lives, for others to see, until this is dropped.
#[derive(Debug)]
pub struct Presence {
    /// `None` where there are no locks.
    lock: Option<Hold>,
    /// `None` in memory.
    signs: Option<Signs>,
    /// `None` but in memory, where nobody is kept out.
    in_memory: Option<memory::Held>,
    /// Once it is said that it is about to end.
    ending: Option<Ending>,
}

/// What says that a holder is about to end.
#[derive(Debug)]
struct Ending {
    records: Records,
    writing: JoinHandle<()>,
}

/// Who is seen to be alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// What a person calls it.
    pub by: String,
    /// Whether it is about to end, and will do nothing more.
    pub is_ending: bool,
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
        Self::try_claim(folder, run, options, &mut Telling::default()).await
    }

    /// The same, and waits for as long as another one is alive. One that holds a lock and says nothing
    /// stands still, and counts as dead too.
    ///
    /// # Errors
    ///
    /// When the store does not answer at all. One that stops doing so is waited for.
    pub async fn claim_in_turn(
        folder: &Place,
        run: &Run,
        mut options: PresenceOptions,
    ) -> Result<Self, StoreError> {
        let (mut telling, mut has_answered) = (Telling::default(), false);
        let mut silence = Silence::default();
        loop {
            match Self::try_claim(folder, run, options, &mut telling).await {
                Ok(presence) => return Ok(presence),
                Err(PresenceError::Alive { by }) => {
                    has_answered = true;
                    telling.tell(folder, &by, options);
                    if silence.so_far(folder).await >= options.silence {
                        warn!(%folder, "{by} has said nothing for {:?}: it counts as dead", options.silence);
                        options.take_over = true;
                        continue;
                    }
                }
                Err(PresenceError::Store(error)) if !has_answered => return Err(error),
                Err(PresenceError::Store(error)) => {
                    warn!(%folder, error = chain(&error), "who is alive? looking again");
                }
            }
            sleep(LOOK.min(options.period)).await;
        }
    }

    async fn try_claim(
        folder: &Place,
        run: &Run,
        options: PresenceOptions,
        telling: &mut Telling,
    ) -> Result<Self, PresenceError> {
        if folder.address().memory().is_some() {
            let held = memory::Held::by(folder.address(), run);
            return Ok(Self { lock: None, signs: None, in_memory: Some(held), ending: None });
        }
        let lock = look(folder).await;
        let is_certain = match &lock {
            Some(Found::Held { by, sequence })
                if !options.take_over && !is_of_sequence(run, *sequence) =>
            {
                return Err(PresenceError::Alive { by: by.clone() });
            }
            Some(Found::Free(free)) => free.was_given_by_this_kernel(),
            Some(Found::Held { .. } | Found::Unusable) | None => false,
        };
        let records = folder.records("");
        let before = signs::others(&records, run).await?;
        if let Some(by) = before.first_of_others(&records).await
            && !is_certain
            && !options.take_over
        {
            telling.tell(folder, &by, options);
            signs::watch(&records, run, &before, options).await?;
        }
        let lock = match (lock, folder.local()) {
            (Some(Found::Free(free)), _) => Some(free.hold(run)),
            (Some(Found::Held { .. }), Some(folder)) => Some(Hold::when_free(folder, run)),
            _ => None,
        };
        before.forget(&records).await;
        // Whoever said so did not live to take it away.
        records.remove(ENDING).await?;
        let signs = Some(Signs::begin(records, run, options.period).await?);
        Ok(Self { lock, signs, in_memory: None, ending: None })
    }

    /// Says that this one is about to end and will do nothing more: who looks waits for that.
    pub fn say_ending(&mut self) {
        if let Some(held) = &self.in_memory {
            return held.say_ending();
        }
        let Some(signs) = self.signs.as_ref().filter(|_| self.ending.is_none()) else { return };
        let records = signs.records().clone();
        let written = records.clone();
        let writing = tokio::spawn(async move {
            if let Err(error) = written.create(ENDING, "".into()).await {
                warn!(error = chain(&error), "nobody is told that this one is about to end");
            }
        });
        self.ending = Some(Ending { records, writing });
    }

    /// Ends in order: nobody has to wait. With `forget` nothing is left.
    pub async fn leave(self, forget: bool) {
        if let Some(Ending { records, writing }) = self.ending {
            // If its task has panicked there is none; one that stays goes with whoever comes next.
            let _ = writing.await;
            let _ = records.remove(ENDING).await;
        }
        if let Some(signs) = self.signs {
            signs.remove().await;
        }
        if let Some(lock) = self.lock {
            lock.leave(forget);
        }
    }
}

/// Whether a run takes over from those of that sequence without waiting.
fn is_of_sequence(run: &Run, sequence: Option<u64>) -> bool {
    sequence.is_some() && sequence == run.rank.map(|rank| rank.sequence)
}

/// For how long nobody has left a sign of life, while somebody watched.
#[derive(Default)]
struct Silence {
    /// The signs that there were, and when that was looked at.
    seen: Option<(Vec<String>, Instant)>,
    so_far: Duration,
}

impl Silence {
    async fn so_far(&mut self, folder: &Place) -> Duration {
        let now = Instant::now();
        let names = folder.records("").names().await.ok();
        self.so_far = match (self.seen.take(), &names) {
            // Who has stood still itself has not watched meanwhile.
            (Some((before, at)), Some(names)) if before == *names => {
                self.so_far + now.duration_since(at).min(LOOK * 2)
            }
            _ => Duration::ZERO,
        };
        self.seen = names.map(|names| (names, now));
        self.so_far
    }
}

/// Says for whom somebody waits, and not too often.
#[derive(Default)]
struct Telling(Option<Instant>);

impl Telling {
    fn tell(&mut self, folder: &Place, by: &str, options: PresenceOptions) {
        if self.0.is_some_and(|told| told.elapsed() < TELL) {
            return;
        }
        self.0 = Some(Instant::now());
        let silence = options.silence;
        warn!(
            %folder,
            "{by} was alive: waiting for its end; it counts as dead after {silence:?} of silence, and \
             --take-over takes over at once"
        );
    }
}

/// Gets the lock of a folder if it is free; `None` where there are none. Whoever merely looks who has
/// it has it for a moment itself, and is no reason to stay out.
async fn look(folder: &Place) -> Option<Found> {
    let folder = folder.local()?;
    for _ in 0..LOCK_LOOKS {
        match lock::look(folder) {
            Found::Held { .. } => sleep(LOCK_PAUSE).await,
            found => return Some(found),
        }
    }
    Some(lock::look(folder))
}

/// Who holds the lock of a folder on a local disk, if anybody does. Nothing is made. Elsewhere nobody
/// can tell at once.
#[must_use]
pub fn holder(folder: &Place) -> Option<String> {
    match lock::seen(folder.local()?) {
        Seen::Held { by } => Some(by),
        Seen::Free { .. } | Seen::Nothing => None,
    }
}

/// Who lives whose signs lie in a folder, if anybody does. Nothing is made, and nobody is kept out.
/// Where signs alone tell, and there are some, this takes up to [`PresenceOptions::silence`].
///
/// # Errors
///
/// When the store does not answer.
pub async fn living(
    folder: &Place,
    options: PresenceOptions,
) -> Result<Option<Living>, StoreError> {
    if folder.address().memory().is_some() {
        return Ok(memory::holder(folder.address()));
    }
    let records = folder.records("");
    let Some(by) = living_by(folder, &records, options).await? else { return Ok(None) };
    let is_ending = records.names().await?.iter().any(|name| name == ENDING);
    Ok(Some(Living { by, is_ending }))
}

async fn living_by(
    folder: &Place,
    records: &Records,
    options: PresenceOptions,
) -> Result<Option<String>, StoreError> {
    match folder.local().map(lock::seen) {
        Some(Seen::Held { by }) => return Ok(Some(by)),
        Some(Seen::Free { by_this_kernel: true }) => return Ok(None),
        Some(Seen::Free { .. } | Seen::Nothing) | None => {}
    }
    let nobody = Run { token: RunToken::default(), rank: None, name: String::new() };
    let before = signs::others(records, &nobody).await?;
    if before.is_empty() {
        return Ok(None);
    }
    match signs::watch(records, &nobody, &before, options).await {
        Ok(()) => Ok(None),
        Err(PresenceError::Alive { by }) => Ok(Some(by)),
        Err(PresenceError::Store(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
