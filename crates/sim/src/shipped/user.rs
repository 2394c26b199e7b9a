//! What people do with the job: they start it, ask something of it, kill it, take it over, and start it
//! again from where they were told.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt;
use tidegate_runtime::{
    AfterSavepoint, JobError, JobHandle, JobResult, JobStatus, SnapshotForm, Wish, start_here,
};
use tidegate_storage::log::{self, Concluded};
use tidegate_types::{ErrorKind, JobId};

use super::{
    coverage::Activity,
    job,
    line::Line,
    machine::{Machine, Pulse},
    mutation::Mutation,
    picture::MachineNumber,
    play::Play,
    scenario::Operation,
    store::ADDRESS,
};

/// How long it takes until somebody starts a job again.
const STARTED_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How long a job may take to end for now.
const SUSPENDED_WITHIN: Duration = Duration::from_secs(10);

/// What a machine has told.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Vec<Word>>>);

impl Told {
    fn say(&self, word: Word) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(word);
    }

    fn take(&self) -> Vec<Word> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

enum Word {
    Started(JobHandle),
    NotStarted(JobError),
    Answered(Operation, Result<String, String>),
    Ended(Box<Result<JobResult, JobError>>),
}

/// A run of the job on its machine.
pub(super) struct Running {
    pub(super) machine: Machine,
    pub(super) line: Line,
    told: Told,
    handle: Option<JobHandle>,
    /// The savepoint that it claims.
    claimed: Option<String>,
    /// How often it was asked to be cancelled, and has not refused.
    cancels: u32,
}

impl Running {
    pub(super) fn handle(&self) -> Option<&JobHandle> {
        self.handle.as_ref()
    }

    pub(super) fn claimed(&self) -> Option<&str> {
        self.claimed.as_deref()
    }
}

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
        let before = self.scenario.parallelism;
        let likely = if self.aims_at(Activity::Rescale) { 0.9 } else { 0.3 };
        if self.scenario.rescales && self.random.random_bool(likely) {
            self.scenario.parallelism = self.random.random_range(1..4);
        }
        let (machine, line) = self.switch_on();
        let (life, parallelism) = (self.lives, self.scenario.parallelism);
        let start = format!("start {life} from {from:?} at parallelism {parallelism}");
        self.note_at(Some(line.number), &start);
        let sink = self.target.from(&line, self.mutation);
        let arguments = self.scenario.arguments(from.as_ref());
        let spec = match job::spec(self.scenario.size, &arguments, sink, self.mutation) {
            Ok(spec) => spec,
            Err(error) => return self.fail(format!("the job can't be built: {error}")),
        };
        self.begin_start(&line, from.as_ref(), self.scenario.parallelism != before);
        let mut claimed = None;
        if let Some(From::Savepoint { path, claim }) = &from {
            if *claim {
                // From now on it is the job's, who may delete it.
                self.user.savepoints.remove(path);
                claimed = Some(path.clone());
            }
        }
        self.user.job = Some(spec.settings.id);
        let (told, host) = (Told::default(), machine.host.clone());
        let says = told.clone();
        machine.spawn(async move {
            match start_here(spec, host).await {
                Ok(handle) => {
                    says.say(Word::Started(handle.clone()));
                    says.say(Word::Ended(Box::new(handle.wait().await)));
                }
                Err(error) => says.say(Word::NotStarted(error)),
            }
        });
        let running = Running { machine, line, told, handle: None, claimed, cancels: 0 };
        self.life = Life::Runs(Box::new(running));
    }

    /// A machine is switched on, with its way to the outside.
    pub(super) fn switch_on(&mut self) -> (Machine, Line) {
        let (clock, random) = (Arc::new(self.clock.clone()), Arc::new(self.chance.clone()));
        self.machines += 1;
        let (number, mut line) = (MachineNumber(self.machines), None);
        if let Some(picture) = &mut self.picture {
            picture.begin(number);
        }
        let machine = Machine::new(clock, random, |pulse| {
            let ways = (self.chance.clone(), self.clock.clone());
            let own = Line::new(number, pulse.clone(), ways, self.met.watch());
            self.store.from(line.insert(own), self.mutation)
        });
        (machine, line.expect("it was made with the machine"))
    }

    fn due_again(&self, from: Option<From>) -> Life {
        Life::Due(self.clock.elapsed() + STARTED_AGAIN_AFTER, from)
    }

    /// The machine dies, and somebody starts the job again.
    pub(super) fn kill(&mut self) {
        // What it has said by then was heard.
        self.listen();
        if let Life::Runs(_) = self.life {
            self.note_at(self.running(), "KILL");
            let next = self.due_again(Some(From::Latest));
            if let Life::Runs(running) = &self.life {
                running.line.hit_by_death();
            }
            let Some(pulse) = self.end_life(next) else { return };
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
        let Running { machine, told, handle: Some(handle), line, cancels, .. } = &mut **running
        else {
            return;
        };
        line.watch.begin(operation.activity());
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
                running.line.watch.begin(Activity::TakeOver);
                self.note_at(Some(running.line.number), "is taken over from");
                self.user.has_taken_over = true;
                self.superseded.push(*running);
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
                let mut running = self.superseded.remove(index);
                let ended = format!("a run that was taken over from has ended: {end}");
                self.note_at(Some(running.line.number), &ended);
                running.machine.kill();
                self.gone(running.line.number);
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
            running.line.watch.end(operation.activity());
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
        // Of two that were told to take it over the one that was started later may be the first to do so.
        if self.is_calm() && !is_fenced {
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

    fn end_life(&mut self, next: Life) -> Option<Pulse> {
        match std::mem::replace(&mut self.life, next) {
            Life::Runs(mut running) => {
                running.machine.kill();
                running.line.have_last_words();
                self.gone(running.line.number);
                Some(running.machine.pulse)
            }
            Life::Due(..) | Life::Over(_) => None,
        }
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
