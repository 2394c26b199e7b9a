//! Requests under trigger ids: recorded before they are carried out, and answered by the next
//! JobManager too. [`crate::triggers`] decides; this carries it out.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tidegate_runtime::{JobHandle, JobStatus, RecoveredJob, Ticket, Wish, sweep_unfinished};
use tidegate_snapshot::store::{SnapshotLocation, SnapshotStore};
use tidegate_storage::{StoreError, log::Recorded};
use tidegate_types::{JobId, RunToken, error::chain};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Dispatcher, JobView};
use crate::{
    ha::HaError,
    triggers::{
        Facts, Outcome, Standing, Taken, TriggerKey, What, by_the_log, stopped, unanswered,
        was_never_recorded,
    },
};

/// How long to wait before the store is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// How often it is looked whether a job runs again.
const LOOK: Duration = Duration::from_millis(200);
/// For how long results are kept where nobody says (Flink's `rest.async.store-duration`).
const KEPT: Duration = Duration::from_secs(300);
/// How long the record of a job that has ended waits for what was asked of it to be answered.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of requests in this process.
pub(super) struct Triggers {
    kept: Mutex<Duration>,
    /// How many requests about a job have no recorded result yet.
    unanswered: watch::Sender<BTreeMap<JobId, u32>>,
    inheritance: Mutex<Inheritance>,
}

impl Default for Triggers {
    fn default() -> Self {
        let (unanswered, inheritance) = (watch::channel(BTreeMap::new()).0, Mutex::default());
        Self { kept: Mutex::new(KEPT), unanswered, inheritance }
    }
}

/// The jobs of earlier JobManagers whose requests are not answered yet.
#[derive(Default)]
struct Inheritance {
    /// Whether it is known which these are.
    is_known: bool,
    open: BTreeSet<JobId>,
}

/// That a request about a job has no recorded result yet.
struct Unanswered {
    dispatcher: Dispatcher,
    job: JobId,
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.dispatcher.0.triggers.unanswered.send_modify(|counts| {
            if let Some(count) = counts.get_mut(&self.job) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&self.job);
                }
            }
        });
    }
}

/// How a request was taken.
enum TakenIn {
    /// It is to be carried out. Without high availability there is no ticket.
    New(Option<Ticket>),
    /// One of that id is known: it is not to be carried out.
    Known,
}

impl Dispatcher {
    /// Says for how long results are kept.
    pub fn keep_results_for(&self, kept: Duration) {
        *self.0.triggers.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// Takes a snapshot in that somebody asks for, and then has it taken: that is what the future does,
    /// which tells what has come of it, as it does of a request that is known already. `None` if there is
    /// no such job.
    ///
    /// # Errors
    ///
    /// When it can't be recorded that it is asked for; nothing is carried out then.
    pub async fn ask(
        &self,
        key: TriggerKey,
        wish: Wish,
    ) -> Result<Option<BoxFuture<'static, Outcome>>, HaError> {
        let Some((job, handle)) = key.job.and_then(|job| Some((job, self.handle(job)?))) else {
            return Ok(None);
        };
        let dispatcher = self.clone();
        let unanswered = self.unanswered(job);
        let ticket = match self.take_in(&key, &wish).await? {
            TakenIn::New(ticket) => ticket,
            TakenIn::Known => {
                drop(unanswered);
                return Ok(Some(async move { dispatcher.answer_of(&key).await }.boxed()));
            }
        };
        let carried_out = async move {
            let outcome = Outcome::from(handle.take_by(ticket, wish).await);
            let noted = outcome.clone();
            // Whoever waits for the result need not wait for that.
            tokio::spawn(async move {
                dispatcher.note(key, noted).await;
                drop(unanswered);
            });
            outcome
        };
        Ok(Some(carried_out.boxed()))
    }

    /// Takes in that a savepoint is to go, as [`Dispatcher::ask`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ask_to_dispose(
        &self,
        key: TriggerKey,
        path: String,
    ) -> Result<BoxFuture<'static, Outcome>, HaError> {
        let dispatcher = self.clone();
        if let TakenIn::Known = self.take_in_disposal(&key, &path).await? {
            return Ok(async move { dispatcher.answer_of(&key).await }.boxed());
        }
        let carried_out = async move {
            let disposed = dispatcher.dispose(&path).await;
            let outcome = Outcome::from(disposed.map(|()| path).map_err(|error| error.to_string()));
            let noted = outcome.clone();
            tokio::spawn(async move { dispatcher.note(key, noted).await });
            outcome
        };
        Ok(carried_out.boxed())
    }

    /// Records that a snapshot is asked for: INV-TAKEN.
    ///
    /// # Errors
    ///
    /// When it can't be recorded; it must not be carried out then.
    async fn take_in(&self, key: &TriggerKey, wish: &Wish) -> Result<TakenIn, HaError> {
        let view = key.job.and_then(|job| self.job(job));
        let (Some(ha), Some(view)) = (&self.0.ha, view) else { return Ok(TakenIn::New(None)) };
        let (target, form) = match wish {
            Wish::Checkpoint => (None, None),
            // Where it can't go, the job says why.
            Wish::Savepoint { target, form, .. } => {
                (self.savepoint_folder(&view, target.as_deref()), Some(*form))
            }
        };
        let trigger = self.number_of(key);
        let taken = Taken {
            what: wish.into(),
            trigger: trigger.clone(),
            epoch: ha.epoch(),
            location: target.as_ref().map(ToString::to_string),
            form,
            behind: view.stats.completed.last().map(|done| done.id),
        };
        let is_new = ha.put_trigger(key, &taken).await?;
        let ticket = Ticket { trigger, location: target };
        Ok(if is_new { TakenIn::New(Some(ticket)) } else { TakenIn::Known })
    }

    /// Records that a savepoint is to go.
    ///
    /// # Errors
    ///
    /// As [`Dispatcher::take_in`].
    async fn take_in_disposal(&self, key: &TriggerKey, path: &str) -> Result<TakenIn, HaError> {
        let Some(ha) = &self.0.ha else { return Ok(TakenIn::New(None)) };
        let (trigger, location) = (self.number_of(key), Some(tidegate_storage::absolute(path)));
        let (what, epoch) = (What::Disposal, ha.epoch());
        let taken = Taken { what, trigger, epoch, location, form: None, behind: None };
        let is_new = ha.put_trigger(key, &taken).await?;
        Ok(if is_new { TakenIn::New(None) } else { TakenIn::Known })
    }

    /// The record of a job stays until this is dropped.
    fn unanswered(&self, job: JobId) -> Unanswered {
        self.0.triggers.unanswered.send_modify(|counts| *counts.entry(job).or_default() += 1);
        Unanswered { dispatcher: self.clone(), job }
    }

    /// Waits until what was asked of a job that has ended is answered, for as long as that may
    /// take.
    pub(super) async fn all_answered(&self, job: JobId) {
        let mut counts = self.0.triggers.unanswered.subscribe();
        let none = counts.wait_for(|counts| !counts.contains_key(&job));
        if tokio::time::timeout(PATIENCE, none).await.is_err() {
            warn!(%job, "what came of a request about the job could not be recorded yet");
        }
    }

    /// Records what came of a request, and forgets both after a time.
    async fn note(&self, key: TriggerKey, outcome: Outcome) {
        let Some(ha) = &self.0.ha else { return };
        if lasting(|| ha.put_outcome(&key, &outcome)).await.is_none() {
            return;
        }
        let (dispatcher, kept) = (self.clone(), self.kept());
        tokio::spawn(async move {
            tokio::time::sleep(kept).await;
            if let Some(ha) = &dispatcher.0.ha {
                lasting(|| ha.forget_trigger(&key)).await;
            }
        });
    }

    /// How a request stands that this JobManager does not carry out itself; `None` if nobody knows
    /// it.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn standing(&self, key: &TriggerKey) -> Result<Option<Standing>, HaError> {
        let Some(ha) = &self.0.ha else { return Ok(None) };
        // In this order: what is decided meanwhile has a result.
        let is_open = key.job.is_some_and(|job| self.is_open(job));
        let runs = key.job.is_some_and(|job| self.handle(job).is_some());
        let Some(taken) = ha.trigger(key).await? else { return Ok(None) };
        if let Some(outcome) = ha.outcome(key).await? {
            return Ok(Some(Standing::Done(outcome)));
        }
        let is_there = match (&taken.what, &taken.location) {
            (What::Disposal, Some(path)) => self.is_there(path).await?,
            _ => false,
        };
        let facts = Facts { own: ha.epoch(), is_open, runs, is_there };
        Ok(Some(unanswered(&taken, facts)))
    }

    /// What came of a request that is known already, once that is known.
    async fn answer_of(&self, key: &TriggerKey) -> Outcome {
        loop {
            match self.standing(key).await {
                Ok(Some(Standing::Done(outcome))) => return outcome,
                Ok(None) => return Outcome::Failed("its record is gone".to_owned()),
                Ok(Some(_)) => {}
                Err(error) => warn!(request = key.name(), error = chain(&error), "asking again"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// These jobs have been left behind. Whatever else has been asked for has its time.
    pub(super) fn inherit(&self, jobs: impl IntoIterator<Item = JobId>) {
        let mut inheritance = self.inheritance();
        if inheritance.is_known {
            return;
        }
        inheritance.is_known = true;
        inheritance.open.extend(jobs);
        drop(inheritance);
        let dispatcher = self.clone();
        tokio::spawn(async move {
            let Some(ha) = &dispatcher.0.ha else { return };
            for job in lasting(|| ha.triggered()).await.unwrap_or_default() {
                if job.is_none_or(|job| !dispatcher.is_open(job)) {
                    tokio::spawn(dispatcher.clone().expire(job));
                }
            }
        });
    }

    /// A job that was left behind will not go on: nothing more is found out about it.
    pub(super) fn disinherit(&self, job: JobId) {
        self.inheritance().open.remove(&job);
        tokio::spawn(self.clone().expire(Some(job)));
    }

    /// Answers what was asked of a job before it was taken over, and sweeps what is left of it.
    pub(super) fn settle(&self, job: JobId, recovered: RecoveredJob) {
        let unanswered = self.unanswered(job);
        let dispatcher = self.clone();
        tokio::spawn(async move {
            let inherited = dispatcher.inherited(Some(job)).await;
            let RecoveredJob { handle, recorded, superseded } = recovered;
            let answered = async {
                dispatcher.answer(&inherited, &recorded, &handle).await;
                dispatcher.inheritance().open.remove(&job);
                drop(unanswered);
            };
            let swept = async {
                // What its processes still write when this one goes on they have written by then.
                while matches!(
                    handle.stats().status,
                    JobStatus::Initializing | JobStatus::Restarting
                ) {
                    tokio::time::sleep(LOOK).await;
                }
                dispatcher.sweep(job, &inherited, &recorded, &superseded).await;
            };
            tokio::join!(answered, swept);
            tokio::time::sleep(dispatcher.kept()).await;
            dispatcher.sweep(job, &inherited, &recorded, &superseded).await;
            dispatcher.forget_inherited(Some(job)).await;
        });
    }

    /// The requests about a job that earlier JobManagers have taken.
    async fn inherited(&self, job: Option<JobId>) -> Vec<(TriggerKey, Taken)> {
        let Some(ha) = &self.0.ha else { return Vec::new() };
        let mut inherited = Vec::new();
        for key in lasting(|| ha.triggers_of(job)).await.unwrap_or_default() {
            if let Some(Some(taken)) = lasting(|| ha.trigger(&key)).await
                && taken.epoch != ha.epoch()
            {
                inherited.push((key, taken));
            }
        }
        inherited
    }

    async fn answer(
        &self,
        inherited: &[(TriggerKey, Taken)],
        recorded: &[Recorded],
        handle: &JobHandle,
    ) {
        let Some(ha) = &self.0.ha else { return };
        let mut ending = Vec::new();
        for (key, taken) in inherited {
            if !matches!(lasting(|| ha.outcome(key)).await, Some(None)) {
                continue;
            }
            match by_the_log(taken, recorded) {
                Standing::Done(outcome) => {
                    info!(request = key.name(), ?outcome, "answered for an earlier JobManager");
                    lasting(|| ha.put_outcome(key, &outcome)).await;
                }
                Standing::Ending(location) => ending.push((key, location)),
                Standing::Open => {}
            }
        }
        if ending.is_empty() {
            return;
        }
        let end = handle.wait().await.map(|result| result.status);
        if end == Ok(JobStatus::Suspended) {
            // The next one goes on with it.
            return;
        }
        for (key, location) in ending {
            let outcome = stopped(location, end == Ok(JobStatus::Finished));
            lasting(|| ha.put_outcome(key, &outcome)).await;
        }
    }

    /// Deletes what is left of savepoints that were never complete.
    async fn sweep(
        &self,
        job: JobId,
        inherited: &[(TriggerKey, Taken)],
        recorded: &[Recorded],
        superseded: &BTreeSet<RunToken>,
    ) {
        for (_, taken) in inherited {
            let Some(location) = taken.location.as_deref() else { continue };
            if recorded.iter().any(|done| done.location == location) {
                continue;
            }
            let unrecorded = was_never_recorded(taken, recorded);
            let places = &self.0.host.places;
            let swept = sweep_unfinished((job, location), superseded, unrecorded, places).await;
            if let Err(error) = swept {
                let error = chain(&error);
                warn!(%job, location, error, "what is left of a savepoint can't be swept");
            }
        }
    }

    async fn expire(self, job: Option<JobId>) {
        tokio::time::sleep(self.kept()).await;
        self.forget_inherited(job).await;
    }

    async fn forget_inherited(&self, job: Option<JobId>) {
        let Some(ha) = &self.0.ha else { return };
        for (key, _) in self.inherited(job).await {
            lasting(|| ha.forget_trigger(&key)).await;
        }
    }

    /// What a job's log calls a request: no other, of the same id later on either, has it.
    fn number_of(&self, key: &TriggerKey) -> String {
        format!("{}-{:016x}", key.name(), self.0.host.random.number())
    }

    /// The folder of a savepoint that is to be taken, if it is known where it may go.
    fn savepoint_folder(&self, view: &JobView, target: Option<&str>) -> Option<SnapshotLocation> {
        let place = target.or(view.options.checkpointing.savepoint_dir.as_deref())?;
        let store = SnapshotStore::from(self.0.host.places.open(place).ok()?);
        Some(store.savepoint(view.id, self.0.host.random.number()))
    }

    async fn is_there(&self, path: &str) -> Result<bool, StoreError> {
        SnapshotLocation::find(&self.0.host.places, path)?.exists().await
    }

    fn kept(&self) -> Duration {
        *self.0.triggers.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self, job: JobId) -> bool {
        let inheritance = self.inheritance();
        !inheritance.is_known || inheritance.open.contains(&job)
    }

    fn inheritance(&self) -> MutexGuard<'_, Inheritance> {
        self.0.triggers.inheritance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does something again until the store answers; `None` if it can't be done: another JobManager has
/// taken over, or a record is damaged.
pub(super) async fn lasting<T, F: Future<Output = Result<T, HaError>>>(
    work: impl Fn() -> F,
) -> Option<T> {
    loop {
        match work().await {
            Ok(done) => return Some(done),
            Err(error @ HaError::Store(_)) => {
                warn!(error = chain(&error), "high-availability.storageDir can't be reached");
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => {
                warn!(error = chain(&error), "what was to be done in there is left as it is");
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
