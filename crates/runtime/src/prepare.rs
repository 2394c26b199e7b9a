//! Everything that can go wrong before a job starts: its plan, its stores, another run of it, the
//! snapshot that it is to be restored from.
//!
//! # Protocol
//!
//! A run first finds out whether another one lives. It reads the job's log and decides what to start
//! from, without touching anything. Then it takes the job over in the log; if something was completed
//! meanwhile it decides anew. Only now are leftovers its own to delete: those of the runs that it has
//! superseded there.

mod rewind;
mod start;
mod sweep;

use std::ops::Range;

use tidegate_canonical::convert::{Wanted, native_view, to_native};
use tidegate_checkpoint::{
    CompletedSnapshot, CoordinatorConfig,
    restore::{PlannedOperator, Program, RestorePlan, plan_restore},
};
use tidegate_snapshot::{
    SnapshotError,
    manifest::{Manifest, SnapshotKind},
    store::{ListedSnapshot, SnapshotLocation, SnapshotStore},
};
use tidegate_storage::{
    Place, Places, StoreError,
    log::{Recorded, RecordedKind},
};
use tidegate_types::{
    BarrierKind, CheckpointId, ErrorKind, MaxParallelism, Parallelism, error::chain,
};
use tracing::warn;

pub use self::rewind::Rewind;
use self::start::Start;
pub(crate) use self::{start::locate_start, sweep::tidy};
use crate::{
    api::{JobError, JobSettings, JobSpec},
    describe::JobPlan,
    fit, graph,
    master::Attempts,
    restore::RestoredJob,
    tenure::{Claim, Runner, Tenure},
    worker::plan_of,
};

/// A job that can start.
pub(crate) struct Prepared {
    pub(crate) settings: JobSettings,
    pub(crate) plan: JobPlan,
    pub(crate) stores: Stores,
    pub(crate) config: CoordinatorConfig,
    pub(crate) next_id: CheckpointId,
    /// Snapshots that are the job's to delete.
    pub(crate) owned: Vec<CompletedSnapshot>,
    /// The snapshot that it starts from without claiming it.
    pub(crate) foreign: Option<CompletedSnapshot>,
    /// What of it will be written again.
    pub(crate) rewind: Option<Rewind>,
    pub(crate) beginning: Beginning,
}

/// What the first attempt takes over.
pub(crate) enum Beginning {
    /// It has been looked at already.
    At(RestorePoint),
    /// What the coordinator's restore point is, once leftovers are swept. The ids of all snapshots in
    /// the job's log are known.
    Recovered(Vec<Recorded>),
}

/// A job that was taken over from a JobManager that is gone: its first attempt looks for the rest.
///
/// # Errors
///
/// When an address is not one.
pub(crate) fn recovered(
    spec: JobSettings,
    plan: JobPlan,
    stores: Stores,
    recorded: Vec<Recorded>,
) -> Prepared {
    let completed = |snapshot: &Recorded, kind| CompletedSnapshot {
        id: snapshot.checkpoint,
        kind,
        location: snapshot.location.clone(),
        bytes: 0,
    };
    let newest = newest_of(&recorded);
    let is_final = |snapshot: &&Recorded| snapshot.kind == RecordedKind::FinalSavepoint;
    let foreign = newest
        .filter(is_final)
        .map(|snapshot| completed(snapshot, BarrierKind::StopWithSavepoint { drain: false }));
    // Older ones are gone, or about to be swept.
    let retained = spec.options.checkpointing.num_retained.max(1) as usize;
    let checkpoints = recorded.iter().filter(|found| found.kind == RecordedKind::Checkpoint);
    let owned = checkpoints.take(retained).map(|found| completed(found, BarrierKind::Checkpoint));
    Prepared {
        config: coordinator_config(&spec),
        next_id: recorded.first().map_or(CheckpointId(1), |newest| newest.checkpoint.next()),
        owned: owned.collect(),
        foreign,
        rewind: None,
        settings: spec,
        plan,
        stores,
        beginning: Beginning::Recovered(recorded),
    }
}

/// What an attempt takes over: a snapshot that fits the program, or nothing.
#[derive(Clone, Debug)]
pub struct RestorePoint {
    /// How many key groups the job has.
    pub max_parallelism: MaxParallelism,
    /// The snapshot's id, and where it lies.
    pub from: Option<(CheckpointId, String)>,
}

/// Where snapshots go.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) checkpoints: SnapshotStore,
    pub(crate) savepoints: Option<SnapshotStore>,
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        Self::caused_by(error.kind(), &error)
    }
}

impl From<SnapshotError> for JobError {
    fn from(error: SnapshotError) -> Self {
        Self::caused_by(error.kind(), &error)
    }
}

/// Builds the plan once, and checks it.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check_plan(spec: &JobSpec) -> Result<JobPlan, JobError> {
    let plan = plan_of(&spec.build).map_err(|error| {
        JobError::new(ErrorKind::Invalid, format!("the job can't be built: {}", error.message))
    })?;
    plan.validate().map_err(|error| JobError::caused_by(error.kind(), &error))?;
    check_parallelism(spec)?;
    let fingerprint = plan.fingerprint();
    JobPlan::of(graph::tasks(plan), fingerprint).map_err(|error| {
        JobError::new(ErrorKind::Invalid, format!("the job can't be built: {}", chain(&*error)))
    })
}

fn check_parallelism(spec: &JobSpec) -> Result<(), JobError> {
    let invalid = |message: String| Err(JobError::new(ErrorKind::Invalid, message));
    let parallelism = spec.settings.parallelism;
    if let Some(max) = spec.settings.max_parallelism.filter(|max| max.get() < parallelism.get()) {
        return invalid(format!("parallelism {parallelism} is above max parallelism {max}"));
    }
    match &spec.cluster {
        Some(cluster) if !parallelism.get().is_multiple_of(cluster.addresses.len() as u32) => {
            let processes = cluster.addresses.len();
            invalid(format!(
                "parallelism {parallelism} can't be spread evenly over {processes} processes"
            ))
        }
        Some(cluster) if cluster.process as usize >= cluster.addresses.len() => {
            let (index, count) = (cluster.process, cluster.addresses.len());
            invalid(format!("process index {index} is not below the number of addresses, {count}"))
        }
        _ => Ok(()),
    }
}

impl Stores {
    /// The folder of what is the job's and no snapshot.
    pub(crate) fn job_folder(&self, spec: &JobSettings) -> Place {
        self.checkpoints.job_folder(spec.id, spec.options.checkpointing.create_subdir)
    }

    /// From where every location's text is found.
    pub(crate) fn places(&self) -> Places {
        let stores = [Some(&self.checkpoints), self.savepoints.as_ref()];
        Places::new(stores.into_iter().flatten().map(|store| store.place().clone()))
    }
}

/// Opens the stores that the options name.
///
/// # Errors
///
/// When an address is not one.
pub(crate) fn open_stores(spec: &JobSettings) -> Result<Stores, JobError> {
    let options = &spec.options.checkpointing;
    let in_memory = || format!("memory://{}", spec.id);
    let checkpoints = SnapshotStore::open(&options.dir.clone().unwrap_or_else(in_memory))?;
    let savepoints = options.savepoint_dir.as_deref().map(SnapshotStore::open).transpose()?;
    Ok(Stores { checkpoints, savepoints })
}

/// How often a start is decided anew because another run has completed something meanwhile.
const DECISIONS: usize = 3;

/// Does all that can be done before the job starts.
///
/// # Errors
///
/// What prevents it from starting.
pub(crate) async fn prepare(
    spec: JobSettings,
    plan: JobPlan,
    stores: Stores,
    attempts: &mut dyn Attempts,
    runner: &Runner,
) -> Result<(Prepared, Tenure), JobError> {
    let claim = Claim::of(&stores, &spec, runner).await?;
    let mut recorded = claim.recorded().await?;
    let mut tenure = None;
    for _ in 0..DECISIONS {
        let decided = decide(&spec, &plan, &stores, attempts, &recorded).await?;
        let (log, now) = claim.take_over().await?;
        let is_current = newest_of(&now) == newest_of(&recorded);
        recorded = now;
        if is_current {
            tenure = Some((decided, log));
            break;
        }
    }
    let (decided, log) = tenure.ok_or_else(|| {
        let message = "another run of this job completes snapshots while this one starts";
        JobError::new(ErrorKind::Fenced, message)
    })?;
    let Decided { listed, highest, found, starts_fresh } = decided;
    sweep::leftovers(&listed, &stores, &spec, log.superseded()).await;
    sweep::unrecorded(&listed, &stores, &spec, &recorded).await?;
    if starts_fresh {
        sweep::tell_unused(&listed, &spec);
    }
    let Found { restored, owned, foreign, rewind } = found;
    let latest = restored.from.as_ref().map(|(id, _)| *id).max(highest);
    let prepared = Prepared {
        config: coordinator_config(&spec),
        next_id: latest.map_or(CheckpointId(1), CheckpointId::next),
        settings: spec,
        plan,
        stores,
        owned,
        foreign,
        rewind,
        beginning: Beginning::At(restored),
    };
    Ok((prepared, claim.tenure(log)))
}

/// The newest snapshot that a job goes on from by itself.
pub(crate) fn newest_of(recorded: &[Recorded]) -> Option<&Recorded> {
    recorded.iter().filter(|snapshot| snapshot.is_needed()).max_by_key(|found| found.checkpoint)
}

/// What a job starts from, and what else lies in its folder.
struct Decided {
    listed: Vec<ListedSnapshot>,
    /// The highest id of all.
    highest: Option<CheckpointId>,
    found: Found,
    starts_fresh: bool,
}

async fn decide(
    spec: &JobSettings,
    plan: &JobPlan,
    stores: &Stores,
    attempts: &mut dyn Attempts,
    recorded: &[Recorded],
) -> Result<Decided, JobError> {
    let candidates = start::Candidates::of(spec, stores, recorded).await?;
    let start = candidates.choose(spec, stores).await?;
    let starts_fresh = start.is_none();
    let found = match start {
        Some(start) => {
            let found =
                restore_from(start, spec, plan, stores, (&candidates.listed, recorded)).await?;
            if let Some(rewind) = &found.rewind {
                warn!(job = %spec.id, location = ?found.restored.from, "{rewind}");
            }
            attempts.check(&found.restored).await?;
            found
        }
        None => Found::nothing(spec),
    };
    let highest = candidates.highest();
    Ok(Decided { listed: candidates.listed, highest, found, starts_fresh })
}

fn coordinator_config(spec: &JobSettings) -> CoordinatorConfig {
    let options = &spec.options.checkpointing;
    CoordinatorConfig {
        interval: options.interval,
        timeout: options.timeout,
        min_pause: options.min_pause,
        max_concurrent: options.max_concurrent,
        tolerable_failed: options.tolerable_failed,
        retention: options.retention,
        num_retained: options.num_retained,
        checkpoints_after_tasks_finish: options.checkpoints_after_tasks_finish,
    }
}

/// What was found to start from.
struct Found {
    restored: RestorePoint,
    owned: Vec<CompletedSnapshot>,
    foreign: Option<CompletedSnapshot>,
    rewind: Option<Rewind>,
}

impl Found {
    fn nothing(spec: &JobSettings) -> Self {
        let default = || MaxParallelism::default_for(spec.parallelism);
        let max_parallelism = spec.max_parallelism.unwrap_or_else(default);
        let restored = RestorePoint { max_parallelism, from: None };
        Self { restored, owned: Vec::new(), foreign: None, rewind: None }
    }
}

async fn restore_from(
    start: Start,
    spec: &JobSettings,
    plan: &JobPlan,
    stores: &Stores,
    (listed, recorded): (&[ListedSnapshot], &[Recorded]),
) -> Result<Found, JobError> {
    let manifest = start.location.load_named().await?;
    let (restored, _) = plan_for(&start.location, &manifest, spec, plan, true)?;
    let snapshot = completed(&start.location, &manifest);
    let rewind = Rewind::of(&start.location, &manifest, (spec, plan), stores, recorded).await;
    if !start.claim {
        return Ok(Found { restored, owned: Vec::new(), foreign: Some(snapshot), rewind });
    }
    let mut owned = older_of(spec, &manifest, listed).await?;
    owned.push(CompletedSnapshot { kind: BarrierKind::Checkpoint, ..snapshot });
    Ok(Found { restored, owned, foreign: None, rewind })
}

/// Older checkpoints in the job's own folder that a crash kept from being deleted: with a snapshot
/// of the job itself they are claimed too. Of a folder that it shares with other jobs only its own.
async fn older_of(
    spec: &JobSettings,
    claimed: &Manifest,
    listed: &[ListedSnapshot],
) -> Result<Vec<CompletedSnapshot>, JobError> {
    let mut owned = Vec::new();
    if claimed.job.id != spec.id {
        return Ok(owned);
    }
    for found in listed.iter().filter(|found| found.complete && found.id < claimed.checkpoint) {
        if sweep::is_of(spec.id, &found.location).await? {
            let (id, location) = (found.id, found.location.to_string());
            let kind = BarrierKind::Checkpoint;
            owned.push(CompletedSnapshot { id, kind, location, bytes: 0 });
        }
    }
    Ok(owned)
}

fn completed(location: &SnapshotLocation, manifest: &Manifest) -> CompletedSnapshot {
    let kind = match manifest.kind {
        SnapshotKind::Checkpoint => BarrierKind::Checkpoint,
        SnapshotKind::Savepoint | SnapshotKind::FinalSavepoint => BarrierKind::Savepoint,
    };
    let (id, bytes) = (manifest.checkpoint, manifest.state_bytes());
    CompletedSnapshot { id, kind, location: location.to_string(), bytes }
}

/// What an attempt takes over from a snapshot of which its master knows that it was complete: not
/// finding it is no different from not reaching the store, and may pass.
///
/// # Errors
///
/// When it can't be read now, is damaged, or does not fit the program.
pub(crate) async fn restore_point_at(
    location: Option<SnapshotLocation>,
    max_parallelism: MaxParallelism,
    settings: JobSettings,
    plan: JobPlan,
) -> Result<RestorePoint, JobError> {
    let Some(location) = location else { return Ok(RestorePoint { max_parallelism, from: None }) };
    let manifest = location.load().await.map_err(|error| gone(&location, error))?;
    plan_for(&location, &manifest, &settings, &plan, false).map(|(point, _)| point)
}

/// A snapshot that was complete and is not there.
fn gone(location: &SnapshotLocation, error: SnapshotError) -> JobError {
    match error {
        SnapshotError::NoSuchFolder { .. } | SnapshotError::NoMetadata { .. } => JobError::new(
            ErrorKind::Unavailable,
            format!(
                "the snapshot to go on from, '{location}', was complete and is not there now: its \
                 store is away, or somebody has moved it; put it back, or cancel the job and start \
                 it from another one"
            ),
        ),
        error => error.into(),
    }
}

/// Plans who takes over what of a snapshot; says once, with `warn`, what is left behind.
///
/// # Errors
///
/// When it does not fit the program.
pub(crate) fn plan_for(
    location: &SnapshotLocation,
    manifest: &Manifest,
    settings: &JobSettings,
    plan: &JobPlan,
    warn: bool,
) -> Result<(RestorePoint, RestorePlan), JobError> {
    let rekeyed = fit::check(manifest, plan)?;
    let operators = plan.operators().map(|operator| PlannedOperator {
        uid: operator.uid.clone(),
        name: operator.name.clone(),
        rekeyed: rekeyed.contains(&operator.uid),
    });
    let program = Program {
        operators: &operators.collect::<Vec<_>>(),
        parallelism: settings.parallelism,
        max_parallelism: settings.max_parallelism,
        allow_non_restored_state: settings.options.recovery.allow_non_restored_state,
    };
    let wanted = Wanted { max_parallelism: settings.max_parallelism, ..Wanted::default() };
    let restore = plan_restore(&native_view(manifest, &wanted), &program)
        .map_err(|error| JobError::caused_by(error.kind(), &error))?;
    for uid in restore.left_behind.iter().filter(|_| warn) {
        warn!(job = %settings.id, operator = %uid, "its state is left behind: the program has no such operator");
    }
    let from = Some((manifest.checkpoint, location.to_string()));
    Ok((RestorePoint { max_parallelism: restore.max_parallelism, from }, restore))
}

/// Reads a snapshot whole and checks it; of one in canonical form what is for `subtasks`, of so many,
/// is brought into the native one.
///
/// # Errors
///
/// When it is damaged, or does not fit the program.
pub(crate) async fn read(
    location: &SnapshotLocation,
    settings: &JobSettings,
    plan: &JobPlan,
    subtasks: Option<(Parallelism, Range<u32>)>,
) -> Result<RestoredJob, JobError> {
    let manifest = location.load().await.map_err(|error| gone(location, error))?;
    plan_for(location, &manifest, settings, plan, false)?;
    let rekeyed = fit::check(&manifest, plan)?;
    let loaded = location.read_all(&manifest).await?;
    let wanted = Wanted { max_parallelism: settings.max_parallelism, subtasks, rekeyed };
    let converted = tokio::task::spawn_blocking(move || to_native(&manifest, loaded, &wanted));
    let converted = converted.await.map_err(|error| {
        JobError::new(ErrorKind::Internal, format!("reading the snapshot panicked: {error}"))
    })?;
    let (manifest, loaded) =
        converted.map_err(|error| JobError::caused_by(ErrorKind::Corrupt, &error))?;
    let (_, restore) = plan_for(location, &manifest, settings, plan, false)?;
    Ok(RestoredJob::new(manifest.checkpoint, restore, loaded))
}
