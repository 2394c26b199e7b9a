//! What a restore would do, without a job.
//!
//! Types are compared as before every start. Where they are the same nothing of the keyed state is read
//! but how many rows it has; where they have changed every key and value is decoded as the program's own
//! types, for every subtask, and thrown away, since a type's own code may refuse some of them. Sources
//! and sinks are not made: they would touch the world. Bounded sources look for their splits, and
//! nothing is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    task::Waker,
};

use tidegate_core::{Duties, NodeKind, OperatorContext, user_code::Telling};
use tidegate_snapshot::{
    manifest::{Manifest, OperatorManifest},
    store::{SnapshotLocation, StoredSegment},
};
use tidegate_state::{Fate, StateError, evolve::Change};
use tidegate_storage::Places;
use tidegate_types::{
    AttemptId, ErrorKind, OperatorUid, SubtaskIndex, Superseded, error::chain, time::SystemClock,
};

use crate::{
    api::{JobError, JobSpec},
    describe::JobPlan,
    fit,
    host::Host,
    job::io_runtime,
    prepare::{
        Fork, RestorePoint, Rewind, Share, check_files, check_plan, locate_start, open_stores,
        plan_for, read,
    },
    restore::RestoredJob,
    worker::plan_of,
};

/// What a restore would do.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The snapshot.
    pub from: String,
    /// How many subtasks the job would have, and how many key groups.
    pub parallelism: u32,
    /// `None` if nothing could be restored at all.
    pub max_parallelism: Option<u32>,
    /// What would become of each state.
    pub states: Vec<StateOutcome>,
    /// What would be written again.
    pub rewind: Option<Rewind>,
    /// Which other job, that lives, the job would begin beside.
    pub fork: Option<Fork>,
    /// Sources that name other input now than they have begun with.
    pub sources: Vec<String>,
    /// Why the job would not start.
    pub refused: Vec<String>,
}

/// What would become of a state.
#[derive(Clone, Debug)]
pub struct StateOutcome {
    /// The operator.
    pub uid: OperatorUid,
    /// The state.
    pub state: String,
    /// How many entries or items the snapshot has.
    pub rows: u64,
    /// What a restore does with it.
    pub fate: Fate,
}

/// Finds out what a restore would do.
///
/// # Errors
///
/// When there is no snapshot to look at, or the job itself is wrong; what does not fit is in the
/// answer.
pub fn dry_run(spec: &JobSpec) -> Result<DryRun, JobError> {
    io_runtime()?.block_on(look(spec))
}

async fn look(spec: &JobSpec) -> Result<DryRun, JobError> {
    let plan = check_plan(spec)?;
    let stores = open_stores(&spec.settings, &Places::default())?;
    let (location, recorded) = locate_start(&spec.settings, &stores).await?.ok_or_else(|| {
        let message = "--dry-run tells what a restore would do: name the savepoint or checkpoint \
                       with --from-savepoint";
        JobError::new(ErrorKind::Invalid, message)
    })?;
    let manifest = location.load_named().await?;
    let mut outcome = DryRun {
        from: location.to_string(),
        parallelism: spec.settings.parallelism.get(),
        max_parallelism: None,
        states: outcomes(&location, &manifest, &plan).await?,
        rewind: Rewind::of(&location, &manifest, (&spec.settings, &plan), &stores, &recorded).await,
        fork: Fork::of(&location, &manifest, (&spec.settings, &plan), &stores).await?,
        sources: Vec::new(),
        refused: Vec::new(),
    };
    match decode(spec, &plan, &location, &manifest).await {
        Ok((point, restored)) => {
            outcome.max_parallelism = Some(point.max_parallelism.get());
            outcome.sources = compare_sources(spec, &restored).await?;
        }
        Err(reasons) => outcome.refused = reasons,
    }
    Ok(outcome)
}

/// What the types say of each state.
async fn outcomes(
    location: &SnapshotLocation,
    manifest: &Manifest,
    plan: &JobPlan,
) -> Result<Vec<StateOutcome>, JobError> {
    let mut fates = BTreeMap::new();
    for (uid, stored, declared) in fit::keyed(manifest, plan) {
        let key = declared.key_changes(stored);
        for (state, fate) in declared.fates(stored) {
            fates.insert((uid.clone(), state), with_key(fate, &key));
        }
    }
    let lists = fit::lists(manifest, plan).into_iter();
    fates.extend(lists.map(|(uid, name, fate)| ((uid, name), fate)));
    let is_taken_over = |uid: &OperatorUid, name: &String| {
        let operator = plan.operators().find(|operator| operator.uid == *uid);
        operator
            .zip(manifest.operators.get(uid))
            .is_some_and(|(operator, stored)| !fit::left_behind(stored, operator).contains(name))
    };
    let mut all = Vec::new();
    for (uid, state, rows) in rows(location, manifest).await? {
        let known = fates.remove(&(uid.clone(), state.clone()));
        let by_name = || if is_taken_over(&uid, &state) { Fate::Restored } else { Fate::Dropped };
        let fate = known.unwrap_or_else(by_name);
        all.push(StateOutcome { uid, state, rows, fate });
    }
    let new = fates.into_iter();
    all.extend(new.map(|((uid, state), fate)| StateOutcome { uid, state, rows: 0, fate }));
    Ok(all)
}

/// How many rows each state has.
async fn rows(
    location: &SnapshotLocation,
    manifest: &Manifest,
) -> Result<Vec<(OperatorUid, String, u64)>, JobError> {
    let mut all = Vec::new();
    for (uid, operator) in &manifest.operators {
        let native = entries(location, manifest, operator).await?;
        let tables = || operator.subtasks.iter().flat_map(|subtask| &subtask.tables);
        for state in &operator.states {
            let keyed = tables().filter(|table| table.groups.is_some());
            let rows = keyed.filter(|table| table.state == state.name).map(|table| table.rows);
            let rows = rows.sum::<u64>() + native.get(&state.id).copied().unwrap_or(0);
            all.push((uid.clone(), state.name.clone(), rows));
        }
        let lists = operator.subtasks.iter().filter_map(|subtask| subtask.lists.as_ref());
        let lists = lists.flat_map(|lists| &lists.lists).map(|list| (&list.name, list.items));
        let tables = tables().filter(|table| table.list.is_some());
        let mut items = BTreeMap::<&String, u64>::new();
        for (name, count) in lists.chain(tables.map(|table| (&table.state, table.rows))) {
            *items.entry(name).or_default() += count;
        }
        all.extend(items.into_iter().map(|(name, rows)| (uid.clone(), name.clone(), rows)));
    }
    Ok(all)
}

/// How many entries an operator's keyed states have in native segments, by what their indices say.
async fn entries(
    location: &SnapshotLocation,
    manifest: &Manifest,
    operator: &OperatorManifest,
) -> Result<BTreeMap<u16, u64>, JobError> {
    let states = Arc::<[_]>::from(operator.states.clone());
    let mut by_id = BTreeMap::<u16, u64>::new();
    for keyed in operator.subtasks.iter().filter_map(|subtask| subtask.keyed.as_ref()) {
        let states = Arc::clone(&states);
        let segment = StoredSegment::new(location, manifest, &keyed.segment, states)?;
        for (state, entries) in segment.rows(keyed.groups).await? {
            *by_id.entry(state).or_default() += entries;
        }
    }
    Ok(by_id)
}

/// The operators whose keyed state is read by other types than it was written with.
fn carried_over(manifest: &Manifest, plan: &JobPlan) -> BTreeSet<OperatorUid> {
    let keyed = fit::keyed(manifest, plan).filter(|(_, stored, declared)| {
        let mut fates = declared.fates(stored).into_iter();
        !matches!(declared.key_changes(stored), Ok(None))
            || fates.any(|(_, fate)| matches!(fate, Fate::Migrated(_)))
    });
    keyed.map(|(uid, ..)| uid.clone()).collect()
}

/// A state's fate, when its keys have one of their own.
fn with_key(fate: Fate, key: &Result<Option<Vec<Change>>, StateError>) -> Fate {
    let of_key = |changes: &[Change]| {
        let mut changes = changes.to_vec();
        for change in &mut changes {
            let inside = if change.path.is_empty() { "" } else { "." };
            change.path = format!("(key){inside}{}", change.path);
        }
        changes
    };
    match (fate, key) {
        (fate @ (Fate::Dropped | Fate::New | Fate::Refused(_)), _) | (fate, Ok(None)) => fate,
        (Fate::Restored, Ok(Some(changes))) => Fate::Migrated(of_key(changes)),
        (Fate::Migrated(own), Ok(Some(changes))) => {
            Fate::Migrated(of_key(changes).into_iter().chain(own).collect())
        }
        (_, Err(error)) => Fate::Refused(chain(error)),
    }
}

/// Restores the keyed state of every subtask whose types have changed; all reasons why that does not
/// work.
async fn decode(
    spec: &JobSpec,
    plan: &JobPlan,
    location: &SnapshotLocation,
    manifest: &Manifest,
) -> Result<(RestorePoint, RestoredJob), Vec<String>> {
    let settings = &spec.settings;
    let one = |error: JobError| vec![error.to_string()];
    let (point, _) = plan_for(location, manifest, settings, plan, false).map_err(one)?;
    check_files(location, manifest, settings.options.recovery.verify).await.map_err(one)?;
    let carried = carried_over(manifest, plan);
    let without_keyed = manifest.operators.keys().filter(|uid| !carried.contains(*uid)).cloned();
    let share = Share { without_keyed: without_keyed.collect(), ..Share::default() };
    let threads = Host::system().threads;
    let restored = read(location, settings, plan, share, &threads).await.map_err(one)?;
    let mut reasons = Vec::new();
    if !carried.is_empty() {
        for subtask in settings.parallelism.subtasks() {
            // An operator waits on its own thread for what it takes in.
            tokio::task::block_in_place(|| {
                restore_subtask(spec, &point, &restored, subtask, &mut reasons);
            });
        }
    }
    if reasons.is_empty() { Ok((point, restored)) } else { Err(reasons) }
}

/// Has every source look at its input, which opens and changes nothing, and says what is different.
async fn compare_sources(spec: &JobSpec, restored: &RestoredJob) -> Result<Vec<String>, JobError> {
    let plan =
        plan_of(&spec.build).map_err(|error| JobError::new(ErrorKind::Invalid, error.message))?;
    let uids = (0..plan.nodes().len()).map(|id| plan.uid(tidegate_core::NodeId(id)));
    let uids = uids.collect::<Vec<_>>();
    let mut told = Vec::new();
    for (node, uid) in plan.into_nodes().into_iter().zip(uids) {
        let Some(compare) = node.compare else { continue };
        // Splits go to every subtask whole.
        let state = restored.state_of(&uid, SubtaskIndex(0)).map_err(JobError::from)?;
        let difference = match compare(&state) {
            Ok(difference) => difference.await,
            Err(error) => Err(error),
        };
        match difference {
            Ok(None) => {}
            Ok(Some(difference)) => told.push(format!("source `{uid}`: {difference}")),
            Err(error) => told.push(format!("source `{uid}`: {}", chain(&*error))),
        }
    }
    Ok(told)
}

fn restore_subtask(
    spec: &JobSpec,
    point: &RestorePoint,
    restored: &RestoredJob,
    subtask: SubtaskIndex,
    reasons: &mut Vec<String>,
) {
    let plan = match plan_of(&spec.build) {
        Ok(plan) => plan,
        Err(error) => return reasons.push(error.message),
    };
    let uids = (0..plan.nodes().len()).map(|id| plan.uid(tidegate_core::NodeId(id)));
    let uids = uids.collect::<Vec<_>>();
    for (node, uid) in plan.into_nodes().into_iter().zip(uids) {
        let NodeKind::Operator(make) = node.kind else { continue };
        if !node.keyed {
            continue;
        }
        let made = restored.state_of(&uid, subtask).map_err(Into::into).and_then(|state| {
            make(OperatorContext {
                uid: uid.clone(),
                subtask,
                parallelism: spec.settings.parallelism,
                max_parallelism: point.max_parallelism,
                job: spec.settings.id,
                attempt: AttemptId(0),
                attempt_token: 0,
                allow_lost_output: false,
                leaves_output: false,
                check_keys: spec.settings.options.check_keys,
                superseded: Superseded::others(),
                restored: state,
                tokio: tokio::runtime::Handle::current(),
                // It is made and asked for nothing, so it begins nothing.
                duties: Duties::new(drop),
                waker: Waker::noop().clone(),
                clock: Arc::new(SystemClock),
                telling: Telling::default(),
            })
        });
        if let Err(error) = made {
            reasons.push(format!("operator `{uid}`, subtask {subtask}: {}", chain(&*error)));
        }
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "what a restore from {} would do:", self.from)?;
        for state in &self.states {
            let StateOutcome { uid, state, rows, fate } = state;
            write!(f, "  `{uid}`.`{state}`, {rows} rows: ")?;
            match fate {
                Fate::Restored => writeln!(f, "restored")?,
                Fate::Dropped => writeln!(f, "dropped, the program does not have it")?,
                Fate::New => writeln!(f, "new, it begins empty")?,
                Fate::Refused(reason) => writeln!(f, "refused: {reason}")?,
                Fate::Migrated(changes) => {
                    writeln!(f, "migrated")?;
                    for change in changes {
                        writeln!(f, "      {change}")?;
                    }
                }
            }
        }
        for difference in &self.sources {
            writeln!(f, "  {difference}")?;
        }
        if let Some(rewind) = &self.rewind {
            writeln!(f, "{rewind}")?;
        }
        if let Some(fork) = &self.fork {
            writeln!(f, "{fork}")?;
        }
        for reason in &self.refused {
            writeln!(f, "refused: {reason}")?;
        }
        match self.max_parallelism {
            Some(max) => writeln!(
                f,
                "The job would start with parallelism {} and max parallelism {max}.",
                self.parallelism
            ),
            None => writeln!(f, "The job would not start."),
        }
    }
}
