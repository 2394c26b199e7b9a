//! What people do with the job: they start it, ask something of it, kill it, take it over, and start it
//! again from where they were told.

use std::{collections::BTreeSet, time::Duration};

use rand::RngExt;
use tidegate_runtime::{
    AfterSavepoint, JobError, JobHandle, JobResult, JobStatus, SnapshotForm, Wish,
};
use tidegate_storage::log::{self, Concluded};
use tidegate_types::{ErrorKind, JobId};

use super::{
    coverage::Activity,
    mutation::Mutation,
    play::Play,
    runs::{Running, Word},
    scenario::{Operation, Scenario},
    store::ADDRESS,
};

/// How long it takes until somebody starts a job again.
const STARTED_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How long a job may take to end for now.
const SUSPENDED_WITHIN: Duration = Duration::from_secs(10);

/// From where a job is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    Latest,
    Savepoint { path: String, claim: bool },
}

/// Whether the job runs, as its user sees it.
pub(super) enum Life {
    /// Somebody starts it at that time, from there.
    Due(Duration, Option<From>),
    Runs(Box<Running>),
    Over(JobStatus),
}

/// What the user knows.
#[derive(Debug, Default)]
pub(super) struct User {
    pub(super) job: Option<JobId>,
    /// Savepoints that were taken in passing.
    pub(super) passing: BTreeSet<String>,
    /// Savepoints that were reported complete.
    pub(super) savepoints: BTreeSet<String>,
    pub(super) has_told_its_end: bool,
    pub(super) has_taken_over: bool,
    /// How a run has ended though it was taken over from: it was faster.
    other_end: Option<(JobStatus, Option<String>)>,
    /// Whether somebody has asked for the job to be cancelled.
    is_canceled: bool,
}

impl User {
    /// The folder that the job has its checkpoints in.
    pub(super) fn folder(&self) -> String {
        format!("checkpoints/{}", self.job.map(|job| job.to_string()).unwrap_or_default())
    }
}

impl Play {
    /// Somebody starts the job.
    pub(super) fn start(&mut self, from: Option<From>) {
        self.lives += 1;
        let before = self.scenario.parallelism();
        let likely = if self.aims_at(Activity::Rescale) { 0.9 } else { 0.3 };
        if self.scenario.rescales && self.random.random_bool(likely) {
            self.rescale();
        }
        let mut running = match self.run_from(from.as_ref()) {
            Ok(running) => running,
            Err(error) => return self.fail(format!("the job can't be built: {error}")),
        };
        let is_rescaled = self.scenario.parallelism() != before;
        self.begin_start(&running.machine.line, from.as_ref(), is_rescaled);
        let mut claimed = None;
        if let Some(From::Savepoint { path, claim: true }) = &from {
            // From now on it is the job's, who may delete it.
            self.user.savepoints.remove(path);
            claimed = Some(path.clone());
        }
        let Scenario { processes, workers, .. } = self.scenario;
        let life = self.lives;
        let started =
            format!("start {life} from {from:?} with {processes} processes of {workers} workers");
        self.note_at(Some(running.machine.line.number), &started);
        running.claimed = claimed;
        self.life = Life::Runs(Box::new(running));
    }

    fn rescale(&mut self) {
        if self.scenario.processes == 1 {
            self.scenario.workers = self.random.random_range(1..4);
        } else {
            self.scenario.processes = self.random.random_range(2..4);
            self.scenario.workers = self.random.random_range(1..3);
        }
    }

    pub(super) fn due_again(&self, from: Option<From>) -> Life {
        Life::Due(self.clock.elapsed() + STARTED_AGAIN_AFTER, from)
    }

    /// A machine dies, and somebody starts the job again.
    pub(super) fn kill(&mut self) {
        // What it has said by then was heard.
        self.listen();
        if let Life::Runs(_) = self.life {
            let next = self.due_again(Some(From::Latest));
            let Some(pulse) = self.kill_one(next) else { return };
            match self.mutation {
                Some(Mutation::LosesLatest) => self.store.lose_latest(&pulse, self.clock.elapsed()),
                Some(Mutation::ForgetsPrepared) => self.target.forget_prepared(),
                _ => {}
            }
        }
    }

    /// Somebody asks something of the job.
    pub(super) fn operate(&mut self) {
        let operation = self.next_operation();
        if self.scenario.wall_steps {
            self.set_clocks();
        }
        match operation {
            Operation::TakeOver => return self.take_over(),
            Operation::Dispose => return self.dispose(),
            Operation::Sweep => return self.sweep(),
            _ => {}
        }
        let Life::Runs(running) = &mut self.life else { return };
        let Running { machine, told, handle: Some(handle), cancels, .. } = &mut **running else {
            return;
        };
        machine.line.watch.begin(operation.activity());
        let cancels_it = matches!(operation, Operation::Cancel | Operation::CancelWithSavepoint);
        *cancels += u32::from(cancels_it);
        let (handle, says) = (handle.clone(), told.clone());
        machine.spawn(async move {
            let answer = ask(&handle, operation).await;
            says.say(Word::Answered(operation, answer));
        });
        self.user.is_canceled |= operation == Operation::Cancel;
        self.note_at(self.running(), &format!("{operation:?}"));
    }

    /// Somebody starts the job elsewhere, though it lives: a second terminal, cron, a rolling restart.
    fn take_over(&mut self) {
        if !self.scenario.take_over {
            return;
        }
        let next = self.due_again(Some(From::Latest));
        match std::mem::replace(&mut self.life, next) {
            Life::Runs(running) => {
                running.machine.line.watch.begin(Activity::TakeOver);
                self.note_at(Some(running.machine.line.number), "is taken over from");
                self.user.has_taken_over = true;
                self.superseded.push(*running);
                self.site += 1;
            }
            life => self.life = life,
        }
    }

    /// Hears what the machines have told.
    pub(super) fn listen(&mut self) {
        for (by, told) in self.store.take_told().into_iter().chain(self.target.take_told()) {
            self.note_at(Some(by), &told);
        }
        if let Life::Runs(running) = &self.life {
            for word in running.told.take() {
                self.hear(word);
            }
        }
        self.listen_to_followers();
        self.give_up(self.due_again(Some(From::Latest)));
        for index in (0..self.superseded.len()).rev() {
            for word in self.superseded[index].told.take() {
                let end = match word {
                    Word::Ended(end) => {
                        if let Ok(result) = &*end {
                            self.user.other_end = Some((result.status, result.savepoint.clone()));
                        }
                        end.map_or_else(|e| e.to_string(), |it| format!("{:?}", it.status))
                    }
                    Word::NotStarted(error) => error.to_string(),
                    Word::Started(_) | Word::Answered(..) => continue,
                };
                let running = self.superseded.remove(index);
                let ended = format!("a run that was taken over from has ended: {end}");
                self.note_at(Some(running.machine.line.number), &ended);
                self.end(running);
                break;
            }
        }
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Started(started) => {
                if let Life::Runs(running) = &mut self.life {
                    running.handle = Some(started);
                }
                self.note_at(self.running(), "started");
            }
            Word::NotStarted(error) => self.not_started(&error),
            Word::Answered(operation, answer) => {
                self.note_at(self.running(), &format!("{operation:?} -> {answer:?}"));
                self.answered(operation, &answer);
                if let Ok(path) = answer
                    && operation.takes_savepoint()
                {
                    self.snapshots += 1;
                    if let Operation::Savepoint { .. } = operation {
                        self.user.passing.insert(path.clone());
                    }
                    self.user.savepoints.insert(path);
                }
            }
            Word::Ended(end) => match *end {
                Ok(result) => self.ended(&result),
                Err(error) => self.failed(&error),
            },
        }
    }

    /// What has to be so whenever something is answered.
    fn answered(&mut self, operation: Operation, answer: &Result<String, String>) {
        let Life::Runs(running) = &mut self.life else { return };
        if operation != Operation::Cancel {
            running.machine.line.watch.end(operation.activity());
        }
        let ends_job = matches!(operation, Operation::Stop { .. } | Operation::CancelWithSavepoint);
        let has_ended = running.handle().is_some_and(|job| job.stats().status.is_terminal());
        if ends_job && answer.is_ok() && !has_ended {
            self.fail(format!("{operation:?} was answered and the job has not ended"));
        } else if operation == Operation::CancelWithSavepoint && answer.is_err() {
            running.cancels -= 1;
        }
    }

    fn failed(&mut self, error: &JobError) {
        self.note_at(self.running(), &format!("failed: {error}"));
        let is_fenced = error.kind() == ErrorKind::Fenced;
        if is_fenced && self.superseded.is_empty() {
            return self.fail(format!("nobody else has started the job: {error}"));
        }
        // A run of several processes ends with whatever goes wrong.
        let calm_from = self.scenario.calm_from;
        let has_begun = matches!(&self.life, Life::Runs(running) if running.since < calm_from);
        let may_fail = self.scenario.processes > 1 && has_begun;
        // Of two that were told to take it over the one that was started later may be the first to do so.
        if self.is_calm() && !may_fail && !is_fenced {
            return self.fail(format!("it has failed although all goes well: {error}"));
        }
        let next = self.due_again(Some(From::Latest));
        self.end_life(next);
    }

    fn not_started(&mut self, error: &JobError) {
        self.note_at(self.running(), &format!("not started: {error}"));
        let next = match self.concluded() {
            Some(status) => Life::Over(status),
            // There is nothing to go on from: the job has never completed anything, or it has ended and
            // was killed before it could say so.
            // Whoever has taken the job over from a run that lives does not begin anew beside it.
            None if error.kind() == ErrorKind::Invalid && self.superseded.is_empty() => {
                match self.user.other_end.take() {
                    Some((_, Some(path))) => {
                        self.user.savepoints.insert(path.clone());
                        self.due_again(Some(From::Savepoint { path, claim: false }))
                    }
                    Some((status, None)) if status != JobStatus::Suspended => Life::Over(status),
                    _ => self.nothing_to_go_on_from(),
                }
            }
            None => self.due_again(Some(From::Latest)),
        };
        self.end_life(next);
    }

    fn nothing_to_go_on_from(&self) -> Life {
        match self.target.visible().is_empty() {
            true => self.due_again(None),
            false if self.user.is_canceled => Life::Over(JobStatus::Canceled),
            false => Life::Over(JobStatus::Finished),
        }
    }

    /// How the job has ended, as its log has it.
    fn concluded(&self) -> Option<JobStatus> {
        let folder = format!("{ADDRESS}/{}/log", self.user.folder());
        let folder = self.store.plain().find(&folder).expect("it is an address");
        let concluded = futures::executor::block_on(log::concluded(&folder));
        concluded.expect("it can be read").map(|how| match how {
            Concluded::Finished => JobStatus::Finished,
            Concluded::Canceled => JobStatus::Canceled,
        })
    }

    fn ended(&mut self, result: &JobResult) {
        let (status, savepoint) = (result.status, result.savepoint.clone());
        self.note_at(self.running(), &format!("ended: {status:?} {savepoint:?}"));
        self.snapshots += result.stats.completed_count;
        self.check_figures(&result.stats);
        let cancels = match &self.life {
            Life::Runs(running) => running.cancels,
            Life::Due(..) | Life::Over(_) => 0,
        };
        if status == JobStatus::Canceled && cancels == 0 {
            return self.fail("it was cancelled, and nobody has asked for that");
        }
        let next = match savepoint {
            // It goes on later.
            None if status == JobStatus::Suspended => self.due_again(Some(From::Latest)),
            // Its user goes on from there.
            Some(path) => {
                self.user.savepoints.insert(path.clone());
                let likely = if self.aims_at(Activity::Claim) { 0.9 } else { 0.3 };
                let claim = self.random.random_bool(likely);
                self.due_again(Some(From::Savepoint { path, claim }))
            }
            None => {
                self.user.has_told_its_end = true;
                Life::Over(status)
            }
        };
        self.end_life(next);
    }
}

async fn ask(handle: &JobHandle, operation: Operation) -> Result<String, String> {
    let savepoint = |form, then| Wish::Savepoint { target: None, form, then };
    let form = |canonical| if canonical { SnapshotForm::Canonical } else { SnapshotForm::Native };
    let wish = match operation {
        Operation::Checkpoint => Wish::Checkpoint,
        Operation::Savepoint { canonical } => savepoint(form(canonical), AfterSavepoint::GoOn),
        Operation::Stop { drain } => savepoint(form(false), AfterSavepoint::Stop { drain }),
        Operation::CancelWithSavepoint => savepoint(form(false), AfterSavepoint::Cancel),
        Operation::Suspend => {
            handle.suspend(SUSPENDED_WITHIN);
            return Ok(String::new());
        }
        // What is not asked of the job has been done by now.
        Operation::Cancel | Operation::TakeOver | Operation::Dispose | Operation::Sweep => {
            handle.cancel();
            return Ok(String::new());
        }
    };
    handle.take_by(None, wish).await
}
