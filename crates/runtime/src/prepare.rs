//! Everything that can go wrong before a job starts: its plan, its stores, the snapshot that it is
//! to be restored from.

use std::ops::Range;

use tidegate_canonical::convert::{Wanted, native_view, to_native};
use tidegate_checkpoint::{
    CompletedSnapshot, CoordinatorConfig,
    restore::{PlannedOperator, Program, RestorePlan, plan_restore},
};
use tidegate_snapshot::{
    SnapshotError,
    manifest::{Manifest, SnapshotKind},
    store::{DeletionProof, ListedSnapshot, SnapshotLocation, SnapshotStore, delete_snapshot},
};
use tidegate_storage::{Places, StoreError};
use tidegate_types::{
    BarrierKind, CheckpointId, ErrorKind, JobId, MaxParallelism, Parallelism, error::chain,
    options::ClaimMode,
};
use tracing::{info, warn};

use crate::{
    api::{JobError, JobSettings, JobSpec},
    describe::JobPlan,
    fit, graph,
    master::Attempts,
    restore::RestoredJob,
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
    pub(crate) restored: RestorePoint,
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
) -> Result<Prepared, JobError> {
    let subdir = spec.options.checkpointing.create_subdir;
    let listed = stores.checkpoints.list(spec.id, subdir).await?;
    let savepoints = savepoints_of(&spec, &stores).await?;
    // Ids only grow, over runs too: a new one must not be taken for older than any that is there.
    let highest = listed.iter().map(|snapshot| snapshot.id).max().max(savepoints.highest);
    let found = find_start(&spec, &stores, &listed, savepoints.newest_final)?;
    sweep(&listed, &spec, found.is_none()).await;
    let Found { restored, owned, foreign } = match found {
        Some(start) => {
            let found = restore_from(start, &spec, &plan, &listed).await?;
            attempts.check(&found.restored).await?;
            found
        }
        None => Found::nothing(&spec),
    };
    let latest = restored.from.as_ref().map(|(id, _)| *id).max(highest);
    Ok(Prepared {
        config: coordinator_config(&spec),
        next_id: latest.map_or(CheckpointId(1), CheckpointId::next),
        settings: spec,
        plan,
        stores,
        owned,
        foreign,
        restored,
    })
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

/// Where the snapshot lies that a job would start from, if it is to start from one.
///
/// # Errors
///
/// When it can't be found.
pub(crate) async fn locate_start(
    settings: &JobSettings,
    stores: &Stores,
) -> Result<Option<SnapshotLocation>, JobError> {
    let subdir = settings.options.checkpointing.create_subdir;
    let listed = stores.checkpoints.list(settings.id, subdir).await?;
    let savepoints = savepoints_of(settings, stores).await?;
    let start = find_start(settings, stores, &listed, savepoints.newest_final)?;
    Ok(start.map(|start| start.location))
}

/// The snapshot to start from.
struct Start {
    location: SnapshotLocation,
    claim: bool,
}

fn find_start(
    spec: &JobSettings,
    stores: &Stores,
    listed: &[ListedSnapshot],
    savepoint: Option<(CheckpointId, SnapshotLocation)>,
) -> Result<Option<Start>, JobError> {
    let recovery = &spec.options.recovery;
    let Some(path) = &recovery.path else { return Ok(None) };
    let claimed = recovery.claim_mode == Some(ClaimMode::Claim);
    if path != "latest" {
        let location = SnapshotLocation::parse(path)?;
        return Ok(Some(Start { location, claim: claimed }));
    }
    let newest = listed.iter().filter(|snapshot| snapshot.complete).max_by_key(|found| found.id);
    match (newest, savepoint) {
        (Some(newest), Some((id, location))) if id > newest.id => {
            Ok(Some(Start { location, claim: claimed }))
        }
        (Some(newest), _) => {
            let claim = recovery.claim_mode != Some(ClaimMode::NoClaim);
            Ok(Some(Start { location: newest.location.clone(), claim }))
        }
        (None, Some((_, location))) => Ok(Some(Start { location, claim: claimed })),
        (None, None) => Err(nothing_found(spec, stores)),
    }
}

fn nothing_found(spec: &JobSettings, stores: &Stores) -> JobError {
    let message = format!(
        "there is no checkpoint or savepoint of job {} (`{}`) in {}: start without \
         --from-savepoint if it has never completed one",
        spec.id, spec.name, stores.checkpoints
    );
    JobError::new(ErrorKind::Invalid, message)
}

/// The savepoints of a job, as far as they are known.
#[derive(Default)]
struct Savepoints {
    /// The highest id of all.
    highest: Option<CheckpointId>,
    /// The newest that the job was stopped with: only such a one counts as the latest snapshot,
    /// since nothing was committed for the others.
    newest_final: Option<(CheckpointId, SnapshotLocation)>,
}

fn unreadable(location: &SnapshotLocation, error: &SnapshotError) -> JobError {
    let problem = chain(error);
    JobError::new(
        error.kind(),
        format!(
            "'{location}' of this job can't be read, so that nobody knows which snapshot is the \
             latest: {problem}; name the one to start from by its path, or move this one away"
        ),
    )
}

/// Looks through the job's own savepoints.
///
/// # Errors
///
/// When one can't be read and the latest snapshot is asked for: to go on from an older one instead
/// could write again what is committed already.
async fn savepoints_of(spec: &JobSettings, stores: &Stores) -> Result<Savepoints, JobError> {
    let mut found = Savepoints::default();
    let Some(store) = &stores.savepoints else { return Ok(found) };
    let wants_latest = spec.options.recovery.path.as_deref() == Some("latest");
    for location in store.list_savepoints(spec.id).await? {
        let manifest = match location.load().await {
            Ok(manifest) => manifest,
            Err(error) if wants_latest => return Err(unreadable(&location, &error)),
            Err(error) => {
                let error = chain(&error);
                warn!(job = %spec.id, %location, error, "a savepoint of this job can't be read");
                continue;
            }
        };
        if manifest.job.id != spec.id {
            continue;
        }
        found.highest = found.highest.max(Some(manifest.checkpoint));
        let newest = found.newest_final.as_ref().map(|(id, _)| *id);
        if manifest.kind == SnapshotKind::FinalSavepoint && Some(manifest.checkpoint) > newest {
            found.newest_final = Some((manifest.checkpoint, location));
        }
    }
    Ok(found)
}

/// Deletes what crashed attempts have left half-written, and tells of snapshots that stay unused.
async fn sweep(listed: &[ListedSnapshot], spec: &JobSettings, starts_fresh: bool) {
    for snapshot in listed.iter().filter(|snapshot| !snapshot.complete) {
        info!(job = %spec.id, location = %snapshot.location, "sweeping a snapshot that was never completed");
        if let Err(error) = sweep_one(&snapshot.location).await {
            let error = tidegate_types::error::chain(&error);
            warn!(job = %spec.id, location = %snapshot.location, error, "could not sweep it");
        }
    }
    let newest = listed.iter().filter(|snapshot| snapshot.complete).max_by_key(|found| found.id);
    if let Some(newest) = newest.filter(|_| starts_fresh) {
        warn!(
            job = %spec.id,
            location = %newest.location,
            "starting from nothing, though an earlier run of this job has left a checkpoint; \
             --from-savepoint latest goes on from it"
        );
    }
}

/// Deletes what has our names in the folder of a snapshot that was never completed.
async fn sweep_one(location: &SnapshotLocation) -> Result<(), SnapshotError> {
    let leftovers = location.leftovers().await?;
    Ok(location.remove(leftovers).await?)
}

/// What was found to start from.
struct Found {
    restored: RestorePoint,
    owned: Vec<CompletedSnapshot>,
    foreign: Option<CompletedSnapshot>,
}

impl Found {
    fn nothing(spec: &JobSettings) -> Self {
        let default = || MaxParallelism::default_for(spec.parallelism);
        let max_parallelism = spec.max_parallelism.unwrap_or_else(default);
        let restored = RestorePoint { max_parallelism, from: None };
        Self { restored, owned: Vec::new(), foreign: None }
    }
}

async fn restore_from(
    start: Start,
    spec: &JobSettings,
    plan: &JobPlan,
    listed: &[ListedSnapshot],
) -> Result<Found, JobError> {
    let manifest = start.location.load().await?;
    let (restored, _) = plan_for(&start.location, &manifest, spec, plan, true)?;
    let snapshot = completed(&start.location, &manifest);
    if !start.claim {
        return Ok(Found { restored, owned: Vec::new(), foreign: Some(snapshot) });
    }
    let mut owned = older_of(spec, &manifest, listed).await?;
    owned.push(CompletedSnapshot { kind: BarrierKind::Checkpoint, ..snapshot });
    Ok(Found { restored, owned, foreign: None })
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
        if is_of(spec.id, &found.location).await? {
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

/// Whether a snapshot is a job's own; of one that can't be read nobody knows.
async fn is_of(job: JobId, location: &SnapshotLocation) -> Result<bool, StoreError> {
    match location.load().await {
        Ok(manifest) => Ok(manifest.job.id == job),
        Err(SnapshotError::Store(error)) => Err(error),
        Err(error) => {
            let error = chain(&error);
            warn!(%job, %location, error, "a checkpoint can't be read and is left alone");
            Ok(false)
        }
    }
}

/// A checkpoint of the job that its record of completed snapshots does not know.
struct Unrecorded {
    location: String,
    checkpoint: CheckpointId,
}

impl DeletionProof for Unrecorded {
    fn location(&self) -> &str {
        &self.location
    }

    fn checkpoint(&self) -> Option<CheckpointId> {
        Some(self.checkpoint)
    }
}

/// Deletes complete checkpoints of a job that are newer than the newest one that its record of
/// completed snapshots knows: whoever wrote them was not the job's master any more. A record that
/// knows none says nothing.
///
/// # Errors
///
/// When the store does not answer.
pub async fn discard_unrecorded(
    settings: &JobSettings,
    newest: Option<CheckpointId>,
) -> Result<(), JobError> {
    let Some(newest) = newest else { return Ok(()) };
    let stores = open_stores(settings)?;
    let subdir = settings.options.checkpointing.create_subdir;
    for found in stores.checkpoints.list(settings.id, subdir).await? {
        if found.complete && found.id > newest && is_of(settings.id, &found.location).await? {
            let (job, location) = (settings.id, &found.location);
            warn!(%job, %location, "deleting a checkpoint that was never recorded as complete");
            let (location, checkpoint) = (location.to_string(), found.id);
            let unrecorded = Unrecorded { location, checkpoint };
            delete_snapshot(&stores.places(), &unrecorded).await?;
        }
    }
    Ok(())
}
