//! What people do with the cluster: they submit the job, at times twice at once, ask something of it and
//! for what came of that, and submit it again from where they were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rand::RngExt;
use tidegate_cluster::{
    dispatcher::{Dispatcher, Submission, SubmitError},
    jobmanager::JobManager,
    scheduler::Requirements,
    triggers::{Outcome, Standing},
};
use tidegate_runtime::{AfterSavepoint, JobError, JobStatus, SnapshotForm, Wish};
use tidegate_types::{ErrorKind, JobId, Parallelism, error::chain};

use super::{
    super::{trouble::WALL, user::From},
    play::ClusterPlay,
    programs::BINARY,
    requests::{Answer, Known, Refusal, Request, Requests},
    scenario::{Operation, operation},
    sites::Word,
};

/// How long it takes until somebody submits a job again.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// How often somebody looks how it goes.
const LOOK: Duration = Duration::from_millis(100);
/// How long a JobManager has, once it leads, to list the jobs that it has found.
const LISTED_WITHIN: Duration = Duration::from_secs(3);

/// Whether the job runs, as its user sees it.
#[derive(Debug)]
pub(super) enum Life {
    /// Somebody submits it at that time, from there.
    Due(Duration, Option<From>),
    /// It has been submitted, and not answered.
    Submitted(Option<From>),
    /// It was taken in, for certain or perhaps.
    Runs {
        is_certain: bool,
        from: Option<From>,
    },
    Over {
        is_complete: bool,
    },
}

/// What the user knows.
#[derive(Debug, Default)]
pub(super) struct User {
    /// How many submissions and requests there were.
    number: u64,
    /// Submissions that belong together: by which JobManager each is to be answered, and whether it was
    /// taken in.
    round: BTreeMap<u64, (u64, Option<bool>)>,
    /// The number of the round.
    submission: u64,
    /// How many JobManagers have led.
    pub(super) led: u64,
    /// Savepoints that were reported complete.
    pub(super) savepoints: BTreeSet<String>,
    /// Whether some have been deleted that may have held something.
    pub(super) has_deleted: bool,
    /// All that the job was ever submitted from.
    used: BTreeSet<String>,
    /// From where the job was submitted.
    started_from: Option<String>,
    /// Whether somebody has asked for the job to be cancelled.
    is_canceled: bool,
    /// Whether a JobManager that is gone by now knew that the job had ended.
    has_ended: bool,
    next_look: Duration,
}

/// The job.
pub(super) fn job() -> JobId {
    JobId::from_name("play")
}

impl ClusterPlay {
    /// The site of the JobManager that leads, as far as anybody can see.
    fn leader(&self) -> Option<(usize, Arc<JobManager>, Duration)> {
        let leads = self.jobmanagers.iter().enumerate().filter_map(|(index, site)| {
            let runs = site.runs.as_ref().filter(|runs| !runs.is_ending)?;
            let (manager, since) = runs.leads.as_ref()?;
            Some((runs.led, (index, Arc::clone(manager), *since)))
        });
        leads.max_by_key(|(led, _)| *led).map(|(_, leader)| leader)
    }

    /// Has something done on the machine of the JobManager at a site; tells its number.
    fn there<F: Future<Output = Answer> + Send + 'static>(
        &self,
        index: usize,
        work: impl FnOnce(Dispatcher) -> F,
    ) -> Option<u64> {
        let runs = self.jobmanagers[index].runs.as_ref()?;
        let dispatcher = runs.leads.as_ref()?.0.dispatcher().clone();
        let (says, work) = (runs.heard.clone(), work(dispatcher));
        runs.machine.spawn(async move { says.say(Word::Answer(work.await)) });
        Some(runs.number)
    }

    /// What the user does by himself; tells whether he did something.
    pub(super) fn go_on(&mut self, now: Duration) -> bool {
        if let Life::Due(at, from) = &self.life
            && *at <= now
        {
            let from = from.clone();
            self.submit(from);
            return true;
        }
        if self.user.next_look <= now {
            self.user.next_look = now + LOOK;
            self.look();
            return true;
        }
        false
    }

    fn due_again(&self, from: Option<From>) -> Life {
        Life::Due(self.clock.elapsed() + AGAIN_AFTER, from)
    }

    fn submit(&mut self, from: Option<From>) {
        let Some((index, ..)) = self.leader() else {
            self.life = self.due_again(from);
            return;
        };
        if self.random.random_bool(0.3) {
            self.scenario.parallelism = self.random.random_range(1..4);
        }
        let parallelism = self.scenario.parallelism;
        self.note(|_| format!("submit from {from:?} at parallelism {parallelism}"));
        self.user.started_from = None;
        if let Some(From::Savepoint { path, claim }) = &from {
            self.user.started_from = Some(path.clone());
            self.user.used.insert(path.clone());
            if *claim {
                // From now on it is the job's, who may delete it.
                self.user.savepoints.remove(path);
            }
        }
        let submission = Submission {
            artifact: String::new(),
            arguments: Vec::new(),
            configuration: self.scenario.options(from.as_ref()),
            job_id: Some(job()),
        };
        self.user.round.clear();
        (self.user.is_canceled, self.user.has_ended) = (false, false);
        let times = if self.random.random_bool(0.2) { 2 } else { 1 };
        for _ in 0..times {
            self.user.number += 1;
            let (number, submission) = (self.user.number, submission.clone());
            let by = self.there(index, |dispatcher| submitted(dispatcher, submission, number));
            self.user.round.extend(by.map(|by| (number, (by, None))));
        }
        self.user.submission = self.user.number;
        self.life = Life::Submitted(from);
    }

    /// Somebody asks something of the job, or does something to savepoints.
    pub(super) fn operate(&mut self) {
        let operation = operation(&mut self.random);
        if self.scenario.wall_steps {
            let millis = self.random.random_range(-WALL..WALL);
            self.clock.set_wall(millis);
        }
        match operation {
            Operation::Move | Operation::Delete => return self.tidy_savepoints(operation),
            _ => {}
        }
        let Some((index, ..)) = self.leader() else { return };
        let path = match operation {
            Operation::Dispose => match self.any_savepoint() {
                Some(path) => Some(path),
                None => return,
            },
            _ => None,
        };
        if let Some(path) = &path {
            // It may be gone from now on.
            self.user.savepoints.remove(path);
        }
        self.user.number += 1;
        let number = self.user.number;
        self.note(|_| format!("{number}: {operation:?} {path:?}"));
        self.user.is_canceled |= operation == Operation::Cancel;
        let target = path.clone();
        let by = self.there(index, |dispatcher| carried_out(dispatcher, number, operation, target));
        if let Some(by) = by
            && !matches!(operation, Operation::Cancel | Operation::Rescale(_))
        {
            let (of, known) = (self.user.submission, Known::Asked(by));
            self.requests.ask(number, Request { operation, of, path, known });
        }
    }

    fn any_savepoint(&mut self) -> Option<String> {
        let count = self.user.savepoints.len();
        let chosen = (count > 0).then(|| self.random.random_range(0..count))?;
        self.user.savepoints.iter().nth(chosen).cloned()
    }

    /// Moves or deletes one that no job needs, as its owner may at any time.
    fn tidy_savepoints(&mut self, operation: Operation) {
        let Some(path) = self.any_savepoint() else { return };
        let is_due = matches!(
            &self.life,
            Life::Due(_, Some(From::Savepoint { path: due, .. })) if *due == path
        );
        // Its user is about to go on from it.
        let has_stopped = self.stopped_with().ok().flatten().as_ref() == Some(&path);
        if is_due || has_stopped || self.user.started_from.as_ref() == Some(&path) {
            return;
        }
        self.user.savepoints.remove(&path);
        self.user.number += 1;
        let moved = format!("{}/moved-{}", super::super::store::ADDRESS, self.user.number);
        let moved = (operation == Operation::Move).then_some(moved);
        self.note(|_| format!("{path} is moved to {moved:?}"));
        self.store.move_folder(&path, moved.as_deref());
        self.user.has_deleted |= moved.is_none();
        self.user.savepoints.extend(moved);
    }

    /// Hears what the machines have told.
    pub(super) fn listen(&mut self) {
        for (by, told) in self.store.take_told().into_iter().chain(self.target.take_told()) {
            self.note(|_| format!("machine {} {told}", by.0));
        }
        for index in 0..self.jobmanagers.len() {
            let Some(runs) = &self.jobmanagers[index].runs else { continue };
            for word in runs.heard.take() {
                match word {
                    Word::Leads(manager) => self.leads(index, manager),
                    Word::Answer(answer) => self.hear(answer),
                    Word::Ended(why) => {
                        self.note(|_| format!("the JobManager at site {index} has ended: {why}"));
                        let again_in = Duration::from_millis(self.random.random_range(10..500));
                        self.kill_jobmanager(index, again_in);
                    }
                }
            }
        }
    }

    fn hear(&mut self, answer: Answer) {
        self.note(|_| format!("{answer:?}"));
        match answer {
            Answer::Submitted(number, answer) => self.submission_answered(number, answer),
            Answer::Done(number, outcome) => self.request_answered(number, outcome),
            Answer::Refused(number, _) => self.requests.forget(number),
            Answer::Stands(number, Ok(Some(Standing::Done(outcome)))) => {
                self.request_answered(number, outcome);
            }
            Answer::Stands(number, Ok(None)) => self.requests.forget(number),
            Answer::Stands(..) | Answer::Rescaled(_) => {}
        }
    }

    fn submission_answered(&mut self, number: u64, answer: Result<(), Refusal>) {
        let Some((_, taken_in)) = self.user.round.get_mut(&number) else { return };
        *taken_in = Some(answer.is_ok());
        let taken_in = self.user.round.values().filter(|(_, taken_in)| *taken_in == Some(true));
        if taken_in.count() > 1 {
            return self.fail("a job was taken in twice");
        }
        let Life::Submitted(from) = &self.life else { return };
        let from = from.clone();
        match answer {
            Ok(()) => self.life = Life::Runs { is_certain: true, from },
            Err(_) if self.user.round.values().any(|(_, answer)| answer.is_none()) => {}
            Err(refusal) if refusal.is_there => {
                self.life = Life::Runs { is_certain: false, from };
            }
            Err(refusal) => self.refused(from, &refusal),
        }
    }

    fn refused(&mut self, from: Option<From>, Refusal { kind, why, .. }: &Refusal) {
        let is_anew = *kind == ErrorKind::Invalid || *kind == ErrorKind::Incompatible;
        let next = match from {
            // There is nothing to go on from.
            Some(From::Latest) if is_anew => return self.unlisted(false, None),
            // What it was to start from may be gone.
            Some(From::Savepoint { .. }) if is_anew && !self.is_calm() => Some(From::Latest),
            from => from,
        };
        if self.is_calm() && is_anew {
            return self.fail(format!("refused although all goes well: {why}"));
        }
        self.life = self.due_again(next);
    }

    fn request_answered(&mut self, number: u64, outcome: Outcome) {
        match self.requests.answered(number, outcome.clone()) {
            Err(what) => return self.fail(what),
            Ok(false) => return,
            Ok(true) => {}
        }
        let Some(request) = self.requests.get(number).cloned() else { return };
        match (request.operation, outcome) {
            (
                Operation::Savepoint { .. }
                | Operation::Stop { .. }
                | Operation::CancelWithSavepoint,
                Outcome::Completed(path),
            ) => {
                self.snapshots += 1;
                self.user.savepoints.insert(path);
            }
            (Operation::Checkpoint, Outcome::Completed(_)) => self.snapshots += 1,
            (Operation::Dispose, Outcome::Completed(path)) if self.verify(&path).is_ok() => {
                self.fail(format!("{path} was disposed of, and is there"));
            }
            // It was refused, or nothing of it is gone yet: nobody is at it any more.
            (Operation::Dispose, Outcome::Failed(_)) => {
                let whole = request.path.filter(|path| self.verify(path).is_ok());
                self.user.savepoints.extend(whole);
            }
            _ => {}
        }
    }

    /// Looks how it goes.
    fn look(&mut self) {
        let Some((index, manager, since)) = self.leader() else { return };
        self.ask_again(index);
        let lost = self
            .user
            .round
            .values()
            .any(|(by, answer)| answer.is_none() && !self.runs_jobmanager(*by));
        if lost && let Life::Submitted(from) = &self.life {
            self.life = Life::Runs { is_certain: false, from: from.clone() };
        }
        let Life::Runs { is_certain, from } = &self.life else { return };
        let (is_certain, from) = (*is_certain, from.clone());
        match manager.dispatcher().job(job()) {
            Some(view) if view.ended.is_some() => {
                let is_fenced = |error: &JobError| error.kind() == ErrorKind::Fenced;
                // Another one leads, and goes on with it.
                if !view.error.as_ref().is_some_and(is_fenced) {
                    self.ended(view.status, view.error.map(|error| error.to_string()));
                }
            }
            Some(_) if !is_certain => self.life = Life::Runs { is_certain: true, from },
            Some(_) => {}
            None if self.clock.elapsed() < since + LISTED_WITHIN => {}
            None => self.unlisted(is_certain, from),
        }
    }

    fn runs_jobmanager(&self, number: u64) -> bool {
        let mut all = self.jobmanagers.iter().filter_map(|site| site.runs.as_ref());
        all.any(|runs| runs.number == number)
    }

    /// Asks for what came of what JobManagers that are gone were at, and now and then for what is known.
    fn ask_again(&mut self, index: usize) {
        let mut asked = Vec::new();
        for (number, request) in self.requests.all() {
            let likely = match request.known {
                Known::Lost => 0.5,
                Known::Answered(_) => 0.01,
                Known::Asked(_) | Known::Forgotten => continue,
            };
            asked.push((*number, request.operation, likely));
        }
        for (number, operation, likely) in asked {
            if self.random.random_bool(likely) {
                let key = Requests::key(number, operation, job());
                self.there(index, |dispatcher| async move {
                    let standing = dispatcher.standing(&key).await;
                    Answer::Stands(number, standing.map_err(|error| chain(&error)))
                });
            }
        }
    }

    /// The savepoint that the job has stopped with, if it has, once that is known.
    ///
    /// # Errors
    ///
    /// When it is not known yet.
    fn stopped_with(&self) -> Result<Option<String>, ()> {
        let mut found = None;
        for (_, request) in self.requests.all() {
            let ends = matches!(
                request.operation,
                Operation::Stop { .. } | Operation::CancelWithSavepoint
            );
            if !ends || request.of != self.user.submission {
                continue;
            }
            match &request.known {
                Known::Asked(_) | Known::Lost => return Err(()),
                Known::Answered(Outcome::Completed(path)) => found = Some(path.clone()),
                Known::Answered(Outcome::Failed(_)) | Known::Forgotten => {}
            }
        }
        Ok(found)
    }

    fn ended(&mut self, status: JobStatus, error: Option<String>) {
        if status == JobStatus::Suspended {
            return;
        }
        let Ok(savepoint) = self.stopped_with() else { return };
        self.note(|_| format!("ended: {status:?} {error:?} {savepoint:?}"));
        if status == JobStatus::Failed {
            if self.is_calm() {
                return self.fail(format!("it has failed although all goes well: {error:?}"));
            }
            self.life = self.due_again(Some(From::Latest));
            return;
        }
        self.conclude(savepoint, status == JobStatus::Canceled);
    }

    /// The job has ended, and has stopped with that savepoint if there is one.
    fn conclude(&mut self, savepoint: Option<String>, is_canceled: bool) {
        let unused = || {
            let found = self.final_savepoint().filter(|_| !is_canceled)?;
            (!self.user.used.contains(&found)).then_some(found)
        };
        let savepoint = savepoint.or_else(unused);
        self.life = match savepoint {
            // Its user goes on from there.
            Some(path) if self.verify(&path).is_ok() => {
                let claim = self.random.random_bool(0.3);
                self.due_again(Some(From::Savepoint { path, claim }))
            }
            // Or he has taken it away himself: what it held is nowhere else.
            Some(_) => Life::Over { is_complete: false },
            None => Life::Over { is_complete: !is_canceled },
        };
    }

    /// The job was taken in, or may have been, and nobody lists it.
    fn unlisted(&mut self, is_certain: bool, from: Option<From>) {
        if self.is_recorded() {
            let led = self.leader().map(|(_, _, since)| since);
            let patience = Duration::from_secs(30);
            if led.is_some_and(|since| {
                self.clock.elapsed() > since.max(self.scenario.calm_from) + patience
            }) {
                self.fail("a job is recorded, and is not listed");
            }
            return;
        }
        let Ok(savepoint) = self.stopped_with() else { return };
        self.note(|_| format!("nobody lists the job; it has stopped with {savepoint:?}"));
        if is_certain && !self.user.has_ended {
            return self.fail("a job was taken in, has not ended, and nobody lists it");
        }
        if savepoint.is_some() || self.is_complete() {
            return self.conclude(savepoint, false);
        }
        if let Some(is_canceled) = self.concluded() {
            return self.conclude(None, is_canceled);
        }
        let can_go_on = self.can_go_on();
        self.life = match from {
            _ if self.user.is_canceled && !can_go_on => Life::Over { is_complete: false },
            _ if can_go_on => self.due_again(Some(From::Latest)),
            Some(From::Latest) | None if self.target.visible().is_empty() => self.due_again(None),
            Some(from) if from != From::Latest => self.due_again(Some(from)),
            _ => return self.conclude(None, false),
        };
    }

    /// Notes what a JobManager that is about to go knows of the job.
    pub(super) fn remember_end(&mut self, manager: &JobManager) {
        let view = manager.dispatcher().job(job());
        self.user.has_ended |= view.is_some_and(|view| view.status.is_terminal());
    }
}

async fn submitted(dispatcher: Dispatcher, mut submission: Submission, number: u64) -> Answer {
    let mut binary = BINARY;
    let added = dispatcher.artifacts().add("play", &mut binary, u64::MAX).await;
    submission.artifact = match added {
        Ok(artifact) => artifact.hash,
        Err(error) => {
            let (kind, why) = (ErrorKind::Unavailable, chain(&error));
            return Answer::Submitted(number, Err(Refusal { is_there: false, kind, why }));
        }
    };
    let answer = dispatcher.submit(submission).await;
    let told = |error: SubmitError| Refusal {
        is_there: matches!(error, SubmitError::Duplicate { .. }),
        kind: error.kind(),
        why: chain(&error),
    };
    Answer::Submitted(number, answer.map(drop).map_err(told))
}

async fn carried_out(
    dispatcher: Dispatcher,
    number: u64,
    operation: Operation,
    path: Option<String>,
) -> Answer {
    let form = |canonical| if canonical { SnapshotForm::Canonical } else { SnapshotForm::Native };
    let savepoint = |form, then| Wish::Savepoint { target: None, form, then };
    let key = Requests::key(number, operation, job());
    let wish = match operation {
        Operation::Checkpoint => Wish::Checkpoint,
        Operation::Savepoint { canonical } => savepoint(form(canonical), AfterSavepoint::GoOn),
        Operation::Stop { drain, canonical } => {
            savepoint(form(canonical), AfterSavepoint::Stop { drain })
        }
        Operation::CancelWithSavepoint => savepoint(form(false), AfterSavepoint::Cancel),
        Operation::Cancel => {
            let canceled = dispatcher.cancel(job());
            return Answer::Rescaled(Err(format!("{canceled:?}")));
        }
        Operation::Rescale(count) => {
            let upper = Parallelism::new(count).expect("above 0");
            let rescaled = dispatcher.rescale(job(), Requirements { lower: upper, upper }).await;
            return Answer::Rescaled(rescaled.map_err(|error| chain(&error)));
        }
        Operation::Dispose => {
            let asked = dispatcher.ask_to_dispose(key, path.unwrap_or_default()).await;
            return match asked {
                Ok(carried_out) => Answer::Done(number, carried_out.await),
                Err(error) => Answer::Refused(number, chain(&error)),
            };
        }
        Operation::Move | Operation::Delete => return Answer::Refused(number, String::new()),
    };
    match dispatcher.ask(key, wish).await {
        Ok(Some(carried_out)) => Answer::Done(number, carried_out.await),
        Ok(None) => Answer::Refused(number, "there is no such job".to_owned()),
        Err(error) => Answer::Refused(number, chain(&error)),
    }
}
