//! How an attempt begins: what it takes over, and whose leftovers it may delete.

use futures::{FutureExt, future::BoxFuture};
use tidegate_storage::log::{JobLog, LogError, Recorded};
use tidegate_types::{Superseded, error::chain};
use tracing::warn;

use super::{AttemptEnd, AttemptStart, Attempts, JobMaster, RunningAttempt};
use crate::{
    api::{JobError, Request},
    prepare::{Beginning, RestorePoint, restore_point_at, tidy},
};

impl JobMaster {
    /// Starts the next attempt, unless the job is cancelled meanwhile. Finding out what it takes
    /// over is part of it: a store that does not answer is a matter for the restart strategy.
    pub(super) async fn start_attempt(&mut self) -> Result<RunningAttempt, AttemptEnd> {
        check_tenure(self.tenure.log()).await?;
        let restored = match self.beginning.take() {
            Some(Beginning::At(restored)) => restored,
            Some(Beginning::Recovered(recorded)) => {
                let known = recorded.clone();
                // As long as it has not been done, it is done first.
                self.beginning = Some(Beginning::Recovered(recorded));
                self.tidy_up(known).await?;
                self.beginning = None;
                self.find_restored().await?
            }
            None => self.find_restored().await?,
        };
        self.max_parallelism = restored.max_parallelism;
        self.stats.update(|stats| {
            stats.restored = restored.from.clone();
            stats.max_parallelism = restored.max_parallelism;
        });
        let (attempt, token) = (self.attempt, self.tenure.attempt_token(self.attempt));
        self.token = token;
        let concludes = self.coordinator.is_concluding();
        let log = self.tenure.log();
        if let Err(error) = log.let_go_of_disposed().await {
            // What is kept for nobody can be deleted later.
            warn!(job = %self.settings.id, error = chain(&error), "was a savepoint disposed of?");
        }
        log.restored(restored.from.as_ref().map(|(id, path)| (*id, path.as_str()))).await;
        let superseded = Superseded::Runs { runs: self.tenure.superseded(), but: log.held().await };
        let telling = std::mem::take(&mut self.telling);
        let location = restored.from.as_ref().map(|(_, location)| location);
        let leaves_output = location.is_some() && location == self.fork_of.as_ref();
        let start = AttemptStart {
            attempt,
            token,
            restored,
            concludes,
            leaves_output,
            superseded,
            telling,
        };
        self.unless_cancelled(|attempts| attempts.start(start)).await
    }

    /// Does what there is to do before a job that was recovered goes on.
    async fn tidy_up(&mut self, recorded: Vec<Recorded>) -> Result<(), AttemptEnd> {
        let (stores, settings) = (self.stores.clone(), self.settings.clone());
        let superseded = self.tenure.log().superseded().clone();
        let tidied = tidy(stores, settings, recorded, superseded);
        let highest = self.unless_cancelled(|_| tidied.boxed()).await?;
        if let Some(highest) = highest {
            self.coordinator.skip_to(highest.next());
        }
        Ok(())
    }

    /// What the coordinator's restore point is.
    async fn find_restored(&mut self) -> Result<RestorePoint, AttemptEnd> {
        let (settings, plan) = (self.settings.clone(), self.plan.clone());
        let point = self.coordinator.restore_point();
        let location = point.map(|point| self.location_of(&point.location));
        let location = location.transpose().map_err(JobError::from)?;
        let found = restore_point_at(location, self.max_parallelism, settings, plan);
        self.unless_cancelled(|_| found.boxed()).await
    }

    /// Waits for something that an attempt begins with, unless the job is cancelled meanwhile.
    async fn unless_cancelled<'a, T>(
        &'a mut self,
        work: impl FnOnce(&'a mut dyn Attempts) -> BoxFuture<'a, Result<T, JobError>>,
    ) -> Result<T, AttemptEnd> {
        let Self { attempts, requests, waiting, .. } = self;
        let mut work = work(attempts.as_mut());
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done.map_err(AttemptEnd::from),
                Some(request) = requests.recv() => match request {
                    Request::Cancel => return Err(AttemptEnd::Canceled),
                    Request::Suspend { .. } => return Err(AttemptEnd::Suspended),
                    // Whoever asks for a snapshot of a job that is being started waits for it.
                    request => waiting.push(request),
                },
            }
        }
    }
}

/// Whether the job is still this master's: whoever has taken it over deletes what an attempt would
/// go on from, which would be looked for as long as the restart strategy allows, since without an
/// attempt no snapshot is completed that says so. Where the log can't be read the attempt finds out
/// by itself.
async fn check_tenure(log: &JobLog) -> Result<(), AttemptEnd> {
    match log.check().await {
        Err(error @ LogError::Fenced { .. }) => Err(JobError::from(error).into()),
        _ => Ok(()),
    }
}
