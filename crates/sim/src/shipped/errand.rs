//! What somebody does beside the job, on a machine of their own: a savepoint is deleted, or what no
//! manifest reaches. As `tidegate savepoint --dispose` and `tidegate state sweep` do.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rand::RngExt;
use tidegate_runtime::{HeldSnapshot, dispose_savepoint, note_disposal};
use tidegate_snapshot::store::{Rule, find_untidy};
use tidegate_storage::Places;
use tidegate_types::{Clock, error::chain};

use super::{
    coverage::{Activity, Fault},
    line::Line,
    machine::Machine,
    play::Play,
    store::ADDRESS,
    user::Life,
};

/// What `tidegate state sweep` leaves alone: what was written less long ago.
const AGE: Duration = Duration::from_secs(3600);

/// What somebody is at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    /// This savepoint is to go.
    Dispose(String),
    /// What no manifest reaches is to go; whatever its age, if nothing runs.
    Sweep { all: bool },
}

impl Task {
    fn activity(&self) -> Activity {
        match self {
            Self::Dispose(_) => Activity::Dispose,
            Self::Sweep { .. } => Activity::Sweep,
        }
    }
}

/// Somebody's own machine, and what they are at there.
pub(super) struct Errand {
    pub(super) machine: Machine,
    task: Task,
    done: Arc<Mutex<Option<Result<(), String>>>>,
}

impl Play {
    /// Somebody deletes a savepoint, if there is one that nobody needs.
    pub(super) fn dispose(&mut self) {
        // What the job was stopped with it may go on from, if nobody has claimed it.
        let mut may_go = self.user.savepoints.intersection(&self.user.passing);
        let Some(path) = may_go.next().cloned() else { return };
        if self.random.random_bool(0.3) {
            // By hand, as one that is moved away: nobody is asked.
            self.user.savepoints.remove(&path);
            self.note(|_| format!("{path} is taken away"));
            return self.store.take_away(&folder_of(&path));
        }
        let held = self.held();
        if held.iter().any(|held| held.location.as_ref() == Some(&path)) {
            return;
        }
        self.user.savepoints.remove(&path);
        self.send(Task::Dispose(path.clone()), |places, _| async move {
            let disposed = dispose_savepoint(&path, &held, &places).await;
            let disposed = disposed.map_err(|error| error.to_string())?;
            let folder = format!("{ADDRESS}/checkpoints");
            let noted = note_disposal(&disposed, (&folder, true), &places).await;
            noted.map(drop).map_err(|error| error.to_string())
        });
    }

    /// What the running job holds, as whoever asks it is told.
    fn held(&self) -> Vec<HeldSnapshot> {
        let Life::Runs(running) = &self.life else { return Vec::new() };
        let (Some(handle), Some(job)) = (running.handle(), self.user.job) else {
            return Vec::new();
        };
        let held = handle.stats().held.into_iter();
        held.map(|location| HeldSnapshot { job, name: "play".to_owned(), location: Some(location) })
            .collect()
    }

    /// Somebody deletes what no manifest reaches.
    pub(super) fn sweep(&mut self) {
        let all = !matches!(self.life, Life::Runs(_)) && self.nobody_else_runs();
        let age = if all { Duration::ZERO } else { AGE };
        let savepoints = self.scenario.savepoints;
        self.send(Task::Sweep { all }, move |places, clock| async move {
            for folder in ["checkpoints", savepoints] {
                sweep(&places, folder, clock.as_ref(), age).await?;
            }
            Ok(())
        });
    }

    /// Whether nothing is left of earlier runs.
    pub(super) fn nobody_else_runs(&self) -> bool {
        self.superseded.is_empty() && self.left.is_empty() && self.silent.is_empty()
    }

    fn send<F>(&mut self, task: Task, work: impl FnOnce(Places, Arc<dyn Clock>) -> F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let machine = self.switch_on(self.met.watch());
        machine.line.watch.begin(task.activity());
        self.note_at(Some(machine.line.number), &format!("{task:?}"));
        let done = Arc::new(Mutex::new(None));
        let (work, says) =
            (work(machine.host.places.clone(), Arc::clone(&machine.host.clock)), Arc::clone(&done));
        machine.spawn(async move {
            let end = work.await;
            *says.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        });
        self.errands.push(Errand { machine, task, done });
    }

    /// Whether nobody starts anything until what no manifest reaches is gone.
    pub(super) fn is_swept(&self) -> bool {
        self.errands.iter().any(|errand| errand.task == Task::Sweep { all: true })
    }

    pub(super) fn kill_errand(&mut self, index: usize) {
        let mut errand = self.errands.remove(index);
        self.note_at(Some(errand.machine.line.number), "KILL");
        errand.machine.line.hit_by_death();
        errand.machine.kill();
        self.gone(errand.machine.line.number);
    }

    /// Hears what has come of them.
    pub(super) fn listen_to_errands(&mut self) {
        for index in (0..self.errands.len()).rev() {
            let errand = &self.errands[index];
            let done = errand.done.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(end) = done else { continue };
            let mut errand = self.errands.remove(index);
            errand.machine.kill();
            self.note_at(
                Some(errand.machine.line.number),
                &format!("{:?} -> {end:?}", errand.task),
            );
            self.gone(errand.machine.line.number);
            if end.is_ok() {
                self.check_errand(&errand.task);
            }
        }
    }

    fn check_errand(&mut self, task: &Task) {
        match task {
            Task::Dispose(path) => {
                let folder = folder_of(path);
                let left = self.store.files().into_iter().find(|file| file.starts_with(&folder));
                if let Some(file) = left {
                    self.fail(format!("{file} is left of a savepoint that was disposed of"));
                }
            }
            Task::Sweep { all: true } => {
                let places = self.store.plain();
                for folder in ["checkpoints", self.scenario.savepoints] {
                    let place = places.find(&format!("{ADDRESS}/{folder}")).expect("an address");
                    let rule = Rule { now: SystemTime::UNIX_EPOCH, age: Duration::ZERO };
                    let untidy = futures::executor::block_on(find_untidy(&place, rule));
                    if let Some(left) = untidy.expect("it answers").first() {
                        self.fail(format!("{} was not swept", left.location));
                    }
                }
            }
            Task::Sweep { all: false } => {}
        }
    }
}

/// A snapshot's folder, as the store calls it.
fn folder_of(path: &str) -> String {
    format!("{}/", path.trim_start_matches(ADDRESS).trim_matches('/'))
}

async fn sweep(
    places: &Places,
    folder: &str,
    clock: &dyn Clock,
    age: Duration,
) -> Result<(), String> {
    let place = places.find(&format!("{ADDRESS}/{folder}")).map_err(|error| chain(&error))?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(clock.now().millis());
    let found = find_untidy(&place, Rule { now, age }).await.map_err(|error| chain(&error))?;
    for untidy in found.into_iter().filter(|untidy| untidy.spared.is_none()) {
        let removed = untidy.location.remove(untidy.leftovers).await;
        removed.map_err(|error| chain(&error))?;
    }
    Ok(())
}

impl Line {
    /// The machine dies: what it has asked for and was not answered may be lost.
    pub(super) fn hit_by_death(&self) {
        if self.watch.is_writing() {
            self.watch.hit(Fault::WriteLost);
        }
        self.watch.hit(Fault::Kill);
    }
}
