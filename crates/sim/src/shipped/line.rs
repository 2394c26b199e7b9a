//! The way from one machine to what lies outside of it: the store and the target.
//!
//! ```text
//!   ask --(takes a while)--> [cut?] --> [what becomes of it] --> done, or not, or done and not answered
//! ```
//!
//! # Failure
//!
//! A machine that dies has writes under way that were not answered. Of each nothing or all happens, as
//! was drawn when it was asked for, in that order; nothing else that it has asked for happens any more.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::executor::block_on;

use super::{
    chance::{Chance, Fate},
    clock::PlayClock,
    coverage::{Fault, Watch, Writes},
    machine::Pulse,
    picture::MachineNumber,
};

/// How long whoever has asked waits for an answer that does not come.
const PATIENCE: Duration = Duration::from_secs(2);

/// The way from one machine to the outside. Clones are the same.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) number: MachineNumber,
    pub(crate) pulse: Pulse,
    pub(crate) chance: Chance,
    pub(crate) clock: PlayClock,
    pub(crate) watch: Watch,
    cut_until_nanos: Arc<AtomicU64>,
    next: Arc<AtomicU64>,
    last: Arc<Mutex<BTreeMap<u64, LastWord>>>,
}

type LastWord = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

/// There is no answer, or one that says no.
#[derive(Debug, thiserror::Error)]
#[error("an injected fault")]
pub(crate) struct NoAnswer;

impl Line {
    pub(crate) fn new(
        number: MachineNumber,
        pulse: Pulse,
        (chance, clock): (Chance, PlayClock),
        watch: Watch,
    ) -> Self {
        let (cut_until_nanos, next, last) = (Arc::default(), Arc::default(), Arc::default());
        Self { number, pulse, chance, clock, watch, cut_until_nanos, next, last }
    }

    /// Nothing goes to the outside, or comes back, until then.
    pub(crate) fn cut(&self, until: Duration) {
        self.cut_until_nanos.store(until.as_nanos() as u64, Ordering::Relaxed);
    }

    fn is_cut(&self) -> bool {
        (self.clock.elapsed().as_nanos() as u64) < self.cut_until_nanos.load(Ordering::Relaxed)
    }

    /// Asks for something that changes nothing.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub(crate) async fn read<T, F>(&self, read: impl FnOnce() -> F) -> Result<T, NoAnswer>
    where
        F: Future<Output = T>,
    {
        tokio::time::sleep(self.chance.delay()).await;
        self.stop_if_gone().await;
        if self.is_cut() {
            return self.no_answer().await;
        }
        match self.chance.fate() {
            Fate::Success => Ok(read().await),
            Fate::Before | Fate::After => Err(NoAnswer),
        }
    }

    /// Asks for something that changes what is outside.
    ///
    /// # Errors
    ///
    /// When there is no answer; it may have happened.
    pub(crate) async fn write<T, F>(
        &self,
        write: impl Fn() -> F + Clone + Send + 'static,
    ) -> Result<T, NoAnswer>
    where
        F: Future<Output = T> + Send,
    {
        let doom = self.watch.take_doom();
        let is_late = doom == Some(Fault::WriteLate) || self.chance.is_slow();
        let delay = self.chance.delay_if(is_late);
        if is_late {
            self.watch.hit(Fault::WriteLate);
        }
        let reaches = !self.is_cut();
        let asked = self.asked(reaches, write.clone());
        tokio::time::sleep(delay).await;
        self.stop_if_gone().await;
        if self.is_cut() {
            // What was on its way when the line was cut may have come there.
            if asked.take() {
                write().await;
            }
            return self.no_answer().await;
        }
        drop(asked);
        let fate = match doom {
            Some(Fault::WriteFailed) => Fate::Before,
            Some(Fault::WriteUnanswered) => Fate::After,
            _ => self.chance.fate(),
        };
        match fate {
            Fate::Success => Ok(write().await),
            Fate::Before => {
                self.watch.hit(Fault::WriteFailed);
                Err(NoAnswer)
            }
            Fate::After => {
                write().await;
                self.watch.hit(Fault::WriteUnanswered);
                Err(NoAnswer)
            }
        }
    }

    /// What a machine that is gone has asked for is never answered.
    async fn stop_if_gone(&self) {
        if self.pulse.is_gone() {
            std::future::pending::<()>().await;
        }
    }

    async fn no_answer<T>(&self) -> Result<T, NoAnswer> {
        tokio::time::sleep(PATIENCE).await;
        self.stop_if_gone().await;
        Err(NoAnswer)
    }

    /// A write is on its way, and may come there even if its machine dies now.
    fn asked<F>(&self, reaches: bool, write: impl Fn() -> F + Send + 'static) -> Asked
    where
        F: Future + Send,
    {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Drawn in any case, so that all else is as it would be.
        if self.chance.coin() && reaches {
            let last: LastWord = Box::new(move || _ = block_on(write()));
            self.last().insert(number, last);
        }
        Asked { line: self.clone(), number, _under_way: self.watch.writes() }
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<u64, LastWord>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine is gone: what was on its way happens, as far as it does.
    pub(crate) fn have_last_words(&self) {
        std::mem::take(&mut *self.last()).into_values().for_each(|last| last());
    }
}

/// A write that was asked for and not answered yet.
struct Asked {
    line: Line,
    number: u64,
    _under_way: Writes,
}

impl Asked {
    /// Whether it would come there.
    fn take(&self) -> bool {
        self.line.last().remove(&self.number).is_some()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // Of a machine that dies it stays, to happen.
        if !self.line.pulse.is_gone() {
            self.take();
        }
    }
}
