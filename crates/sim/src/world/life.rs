//! One life of the manager: from a start by hand to the job's end, or until it is killed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidegate_checkpoint::{
    CompletedSnapshot, Coordinator, RestartStrategy,
    beginning::Event as Beginning,
    coordinator::{EndStatus, RequestId},
    protocol::Failure,
    restore::{PlannedOperator, Program, RestorePlan, plan_restore},
};
use tidegate_types::{
    AttemptId, BarrierKind, CheckpointId, OperatorUid, Parallelism, ProcessIndex,
};

use super::{Run, Start, Work, World};
use crate::{
    process::{Process, UIDS},
    scenario::one_of,
    store::{Loaded, Transaction},
    task::{Operator, Restored, Source, Task},
};

/// Where a life stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    /// An attempt runs.
    Running,
    /// The attempt is over, its processes are not gone yet.
    TearingDown(AttemptEnd),
    /// It is being cleared up which snapshot is the latest.
    Settling(AttemptEnd),
    /// The next attempt starts soon.
    Restarting,
    /// What nobody needs any more is being deleted.
    Ending(EndStatus),
}

/// How an attempt has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AttemptEnd {
    Closed(EndStatus),
    GaveWay,
    Canceled,
    Failed(Failure),
}

/// The manager of the job, and its coordinator.
pub(crate) struct Life {
    pub(crate) number: u64,
    pub(crate) coordinator: Coordinator,
    pub(crate) restart: RestartStrategy,
    pub(crate) stage: Stage,
    pub(crate) attempt: AttemptId,
    /// The folders of snapshots under way.
    pub(crate) folders: BTreeMap<CheckpointId, String>,
    /// Manifests that are being written.
    pub(crate) manifests: BTreeMap<CheckpointId, Bytes>,
    pub(crate) deleting: BTreeSet<String>,
    /// Who has asked for a snapshot, and whether there was an answer.
    pub(crate) requests: BTreeMap<RequestId, bool>,
    /// The savepoint that the job was stopped with.
    pub(crate) stopped_with: Option<String>,
    /// What the job was started from and does not own.
    pub(crate) unclaimed: Option<String>,
    pub(crate) highest: CheckpointId,
    /// When the next tick is due, in microseconds.
    pub(crate) tick: Option<u64>,
}

impl Life {
    /// Whether the job has come to its end and needs nobody to start it again.
    pub(crate) fn is_ending(&self) -> bool {
        match &self.stage {
            Stage::Running | Stage::Restarting => false,
            Stage::TearingDown(end) | Stage::Settling(end) => {
                matches!(end, AttemptEnd::Closed(_) | AttemptEnd::Canceled)
            }
            Stage::Ending(_) => true,
        }
    }
}

/// The id in a folder's name.
fn id_of(folder: &str) -> CheckpointId {
    let id = folder.split('-').nth(1).and_then(|id| id.parse().ok());
    CheckpointId(id.expect("folders are named after ids"))
}

fn snapshot(folder: &str, kind: BarrierKind) -> CompletedSnapshot {
    CompletedSnapshot { id: id_of(folder), kind, location: folder.to_owned(), bytes: 0 }
}

impl World {
    /// Somebody starts the job.
    pub(super) fn start(&mut self, start: &Start) {
        self.schedule.note(|| format!("START {start:?}"));
        self.sweep();
        let next_id = self.store.folders().map(|(folder, _)| id_of(folder)).max();
        let next_id = next_id.map_or(CheckpointId(1), CheckpointId::next);
        let (owned, unclaimed) = self.claim(start);
        let foreign = unclaimed.as_deref().map(|folder| snapshot(folder, BarrierKind::Savepoint));
        let config = self.scenario.coordinator.clone();
        self.lives += 1;
        self.life = Some(Life {
            number: self.lives,
            coordinator: Coordinator::new(config, next_id, owned, foreign),
            restart: RestartStrategy::new(self.scenario.restart.clone()),
            stage: Stage::Restarting,
            attempt: AttemptId(0),
            folders: BTreeMap::new(),
            manifests: BTreeMap::new(),
            deleting: BTreeSet::new(),
            requests: BTreeMap::new(),
            stopped_with: None,
            unclaimed,
            highest: CheckpointId(next_id.get() - 1),
            tick: None,
        });
        self.start_attempt();
    }

    /// Deletes what crashes have left half-written.
    fn sweep(&mut self) {
        let incomplete = self.store.folders().filter(|(_, folder)| folder.metadata.is_none());
        for folder in incomplete.map(|(path, _)| path.clone()).collect::<Vec<_>>() {
            self.store.delete(&folder);
        }
        // Ids of snapshots that are gone may be given again: nobody remembers them.
        self.durable.clear();
        let complete = self.store.folders().map(|(path, _)| (path.clone(), id_of(path)));
        for (folder, id) in complete.collect::<Vec<_>>() {
            // A manifest may have become durable as its writer crashed.
            self.durable.insert(id);
            if folder.starts_with("savepoint") && !self.claimed.contains(&folder) {
                self.savepoints.insert(folder);
            }
        }
    }

    /// What the job owns from its start, and what it starts from without owning it.
    fn claim(&mut self, start: &Start) -> (Vec<CompletedSnapshot>, Option<String>) {
        let own = self.store.folders().map(|(path, _)| path);
        let own = own.filter(|path| path.starts_with("chk") || self.claimed.contains(*path));
        let mut owned = own.map(|path| snapshot(path, BarrierKind::Checkpoint)).collect::<Vec<_>>();
        let finals = self.savepoints.iter().filter(|folder| self.store.is_final(folder));
        let newest = finals.max_by_key(|folder| id_of(folder)).cloned();
        match start {
            Start::Latest => {
                let latest = owned.iter().map(|snapshot| snapshot.id).max();
                let is_newer = |folder: &String| latest.is_none_or(|latest| latest < id_of(folder));
                (owned, newest.filter(is_newer))
            }
            Start::Savepoint { folder, claimed: true } => {
                self.savepoints.remove(folder);
                self.claimed.insert(folder.clone());
                owned.push(snapshot(folder, BarrierKind::Checkpoint));
                (owned, None)
            }
            Start::Savepoint { folder, claimed: false } => (owned, Some(folder.clone())),
        }
    }

    /// Starts an attempt of some parallelism from the latest snapshot.
    pub(super) fn start_attempt(&mut self) {
        let life = self.life.as_mut().expect("somebody starts it");
        life.stage = Stage::Running;
        let concludes = life.coordinator.is_concluding();
        let attempt = life.attempt;
        life.attempt = attempt.next();
        let point = life.coordinator.restore_point().cloned();
        let from = point.as_ref().map(|point| point.id);
        let committed = self.committed;
        self.demand(from >= committed, || {
            format!("goes back to {from:?}, and {committed:?} is committed")
        });
        // What the snapshot holds is committed again, or now.
        self.committed = committed.max(from);
        let parallelism = *one_of(&mut self.schedule.random, &[1, 1, 2, 2, 3, 4]);
        let parallelism = Parallelism::new(parallelism).expect("it is not 0");
        let processes = *one_of(&mut self.schedule.random, &[1, 2, 3]);
        let processes = processes.min(parallelism.get());
        self.schedule.note(|| format!("ATTEMPT {attempt}: {parallelism} subtasks from {point:?}"));
        let loaded = point.map(|point| self.store.load(&point.location)).transpose();
        let Some(loaded) = self.demand_ok(loaded) else { return };
        let run = self.restore(attempt, parallelism, processes, loaded.as_ref(), concludes);
        let Some((run, restored)) = self.demand_ok(run) else { return };
        self.run = Some(run);
        self.manager_started(attempt, processes);
        self.set_going(parallelism, restored);
    }

    /// Builds the processes and tasks of a run; tells which transactions the snapshot holds.
    fn restore(
        &mut self,
        attempt: AttemptId,
        parallelism: Parallelism,
        processes: u32,
        loaded: Option<&Loaded>,
        concludes: bool,
    ) -> Result<(Run, Vec<Transaction>), String> {
        self.runs += 1;
        let (id, max_parallelism) = (self.runs, self.scenario.max_parallelism);
        let plan = loaded.map(|loaded| self.plan(loaded, parallelism)).transpose()?;
        let restored = |operator: usize, subtask: usize| {
            let restore = plan.as_ref()?.operators.get(&OperatorUid::from(UIDS[operator]))?;
            Some(Restored { snapshot: loaded?, share: &restore.subtasks[subtask] })
        };
        let splits = self.scenario.splits.len() as u32;
        let (mut sources, mut sums, mut sinks) = (Vec::new(), Vec::new(), Vec::new());
        for (index, subtask) in parallelism.subtasks().enumerate() {
            let share = restored(0, index);
            let source =
                Source::new(subtask, parallelism, max_parallelism, splits, share, concludes);
            sources.push(source?);
            let share = restored(1, index);
            sums.push(Operator::sum(subtask, parallelism, max_parallelism, share.as_ref())?);
            sinks.push(Operator::sink(subtask, id));
        }
        let (channels, guarantee) = (sources.len(), self.scenario.guarantee);
        let tasks = sums.into_iter().chain(sinks);
        let tasks = tasks.map(|operator| Task::new(operator, channels, guarantee)).collect();
        let process = |index: u32| {
            let workers =
                parallelism.subtasks().filter(|subtask| subtask.get() % processes == index);
            let (index, threshold) = (ProcessIndex(index), self.scenario.inline_threshold);
            Process::new(index, workers.collect(), id, max_parallelism, threshold)
        };
        let processes = (0..processes).map(process).collect();
        let transactions = restored(2, 0).map(|restored| restored.items()).transpose()?;
        let (channels, mail, encoders) = Default::default();
        let restored = BTreeSet::new();
        let run = Run {
            id,
            attempt,
            parallelism,
            concludes,
            processes,
            restored,
            sources,
            tasks,
            channels,
            mail,
            encoders,
        };
        Ok((run, transactions.unwrap_or_default()))
    }

    /// Who takes over what, as the real thing decides it.
    fn plan(&self, loaded: &Loaded, parallelism: Parallelism) -> Result<RestorePlan, String> {
        let operators = UIDS.map(|uid| PlannedOperator {
            uid: uid.into(),
            name: uid.to_owned(),
            rekeyed: false,
        });
        let program = Program {
            operators: &operators,
            parallelism,
            max_parallelism: None,
            allow_non_restored_state: false,
        };
        let plan = plan_restore(&loaded.manifest, &program).map_err(|error| error.to_string())?;
        if plan.max_parallelism == self.scenario.max_parallelism {
            Ok(plan)
        } else {
            Err(format!("the number of key groups has become {}", plan.max_parallelism))
        }
    }

    /// Has workers take over what is theirs; what the snapshot holds for the sink its first subtask
    /// wants to commit.
    fn set_going(&mut self, parallelism: Parallelism, restored: Vec<Transaction>) {
        self.begin(0, Beginning::Duty(restored));
        for subtask in parallelism.subtasks() {
            let micros = self.schedule.latency(&self.scenario.store);
            self.later(micros, Work::Restored(subtask));
        }
    }

    /// The manager dies. What it was writing or deleting has happened, or never will.
    pub(super) fn end_life(&mut self) {
        let Some(life) = self.life.take() else { return };
        for (id, metadata) in life.manifests {
            if self.schedule.toss() {
                let result = self.store.commit(&life.folders[&id], metadata);
                self.demand_ok(result);
            }
        }
        for folder in life.deleting {
            if self.schedule.toss() {
                self.store.delete(&folder);
            } else if self.schedule.toss() {
                self.store.delete_metadata(&folder);
            }
        }
    }
}
