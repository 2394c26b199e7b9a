//! Everything that can go wrong before a job starts: its plan, its stores, another run of it, the
//! snapshot that it is to be restored from.
//!
//! # Protocol
//!
//! A run first finds out whether another one lives. It reads the job's log and decides what to
//! start from, without touching anything; if that has gone meanwhile with something newer, it
//! decides anew. Then it takes the job over in the log, and decides once more if something was
//! completed before. Only now are leftovers its own to delete: those of the runs that it has
//! superseded there.

mod check;
mod fork;
mod restore;
mod rewind;
mod start;
mod stores;
mod sweep;

use tidegate_checkpoint::{CompletedSnapshot, CoordinatorConfig};
use tidegate_snapshot::{
    manifest::{Manifest, SnapshotKind},
    store::{ListedSnapshot, SnapshotLocation},
};
use tidegate_storage::log::{Recorded, RecordedKind};
use tidegate_types::{BarrierKind, CheckpointId, ErrorKind, MaxParallelism, Random};
use tracing::warn;

use self::start::Start;
pub(crate) use self::{
    check::{check_plan, check_plan_to_spread},
    restore::{Share, check_files, plan_for, read, restore_point_at},
    start::locate_start,
    stores::{Stores, open_stores},
    sweep::{remains, sweep_one, tidy},
};
pub use self::{fork::Fork, restore::RestorePoint, rewind::Rewind};
use crate::{
    api::{JobError, JobSettings},
    describe::JobPlan,
    master::Attempts,
    tenure::{Claim, Runner, Tenure},
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
    /// Whose job it begins beside.
    pub(crate) fork: Option<Fork>,
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
        fork: None,
        settings: spec,
        plan,
        stores,
        beginning: Beginning::Recovered(recorded),
    }
}

/// How often a start is decided before the job is taken over, because what it was to start from has
/// gone with a newer one that another run has completed meanwhile.
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
    (runner, random): (&Runner, &dyn Random),
) -> Result<(Prepared, Tenure), JobError> {
    let claim = Claim::of(&stores, &spec, runner, random).await?;
    let (decided, known) = decide_ahead(&claim, &spec, &plan, &stores, attempts).await?;
    // From here on no other run completes anything.
    let (log, recorded) = claim.begin().await?;
    let decided = match decided {
        Some(decided) if newest_of(&known) == newest_of(&recorded) => decided,
        _ => decide(&spec, &plan, &stores, attempts, &recorded).await?,
    };
    let Decided { listed, highest, found, starts_fresh } = decided;
    sweep::outlived(&stores, &spec, log.outlived()).await?;
    sweep::leftovers(&listed, &stores, &spec, log.superseded()).await;
    sweep::unrecorded(&listed, &stores, &spec, &recorded).await?;
    if starts_fresh {
        sweep::tell_unused(&listed, &spec);
    }
    let Found { restored, owned, foreign, rewind, fork } = found;
    if let Some(fork) = &fork {
        log.note_fork(fork.from, &fork.location).await?;
    }
    let outlived = log.outlived().last().copied();
    let latest = restored.from.as_ref().map(|(id, _)| *id).max(highest).max(outlived);
    let prepared = Prepared {
        config: coordinator_config(&spec),
        next_id: latest.map_or(CheckpointId(1), CheckpointId::next),
        settings: spec,
        plan,
        stores,
        owned,
        foreign,
        rewind,
        fork,
        beginning: Beginning::At(restored),
    };
    Ok((prepared, claim.tenure(log)))
}

/// Decides what to start from while another run may be alive, so that what prevents a start stops
/// nobody; nothing if that run is always faster. Tells what the log said.
async fn decide_ahead(
    claim: &Claim,
    spec: &JobSettings,
    plan: &JobPlan,
    stores: &Stores,
    attempts: &mut dyn Attempts,
) -> Result<(Option<Decided>, Vec<Recorded>), JobError> {
    let mut recorded = claim.recorded().await?;
    for _ in 0..DECISIONS {
        let error = match decide(spec, plan, stores, attempts, &recorded).await {
            Ok(decided) => return Ok((Some(decided), recorded)),
            Err(error) => error,
        };
        let now = claim.recorded().await?;
        let fits = error.kind() != ErrorKind::Incompatible;
        if !fits || !has_gone(spec, stores, &recorded, &now).await? {
            return Err(error);
        }
        recorded = now;
    }
    Ok((None, recorded))
}

/// Whether the latest snapshot, which a job is to start from, has gone since a newer one is
/// complete.
async fn has_gone(
    spec: &JobSettings,
    stores: &Stores,
    before: &[Recorded],
    now: &[Recorded],
) -> Result<bool, JobError> {
    let (before, now) = (newest_of(before), newest_of(now));
    match before {
        Some(latest)
            if spec.options.recovery.path.as_deref() == Some("latest") && now != before =>
        {
            let location = SnapshotLocation::find(&stores.places(), &latest.location)?;
            Ok(!location.exists().await?)
        }
        _ => Ok(false),
    }
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
            if let Some(fork) = &found.fork {
                warn!(job = %spec.id, location = fork.location, "{fork}");
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
    fork: Option<Fork>,
}

impl Found {
    fn nothing(spec: &JobSettings) -> Self {
        let default = || MaxParallelism::default_for(spec.parallelism);
        let max_parallelism = spec.max_parallelism.unwrap_or_else(default);
        let restored = RestorePoint { max_parallelism, from: None };
        Self { restored, owned: Vec::new(), foreign: None, rewind: None, fork: None }
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
    check_files(&start.location, &manifest, spec.options.recovery.verify).await?;
    let (restored, _) = plan_for(&start.location, &manifest, spec, plan, true)?;
    let snapshot = completed(&start.location, &manifest);
    let rewind = Rewind::of(&start.location, &manifest, (spec, plan), stores, recorded).await;
    let fork = Fork::of(&start.location, &manifest, (spec, plan), stores).await?;
    if !start.claim {
        return Ok(Found { restored, owned: Vec::new(), foreign: Some(snapshot), rewind, fork });
    }
    if let Some(fork) = &fork {
        fork.check_claim(manifest.kind)?;
    }
    let mut owned = older_of(spec, &manifest, listed).await?;
    owned.push(CompletedSnapshot { kind: BarrierKind::Checkpoint, ..snapshot });
    Ok(Found { restored, owned, foreign: None, rewind, fork })
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
