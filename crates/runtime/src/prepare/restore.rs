//! What an attempt takes over from a snapshot, and whether that fits the program.

use std::ops::Range;

use tidegate_canonical::convert::{Wanted, native_view, to_native};
use tidegate_checkpoint::restore::{PlannedOperator, Program, RestorePlan, plan_restore};
use tidegate_snapshot::{SnapshotError, manifest::Manifest, store::SnapshotLocation};
use tidegate_types::{CheckpointId, ErrorKind, MaxParallelism, Parallelism};
use tracing::warn;

use crate::{
    api::{JobError, JobSettings},
    describe::JobPlan,
    fit,
    restore::RestoredJob,
};

/// What an attempt takes over: a snapshot that fits the program, or nothing.
#[derive(Clone, Debug)]
pub struct RestorePoint {
    /// How many key groups the job has.
    pub max_parallelism: MaxParallelism,
    /// The snapshot's id, and where it lies.
    pub from: Option<(CheckpointId, String)>,
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
    let allow_non_restored_state = settings.options.recovery.allow_non_restored_state;
    let rekeyed = fit::check(manifest, plan, allow_non_restored_state)?;
    let operators = plan.operators().map(|operator| PlannedOperator {
        uid: operator.uid.clone(),
        name: operator.name.clone(),
        rekeyed: rekeyed.contains(&operator.uid),
    });
    let program = Program {
        operators: &operators.collect::<Vec<_>>(),
        parallelism: settings.parallelism,
        max_parallelism: settings.max_parallelism,
        allow_non_restored_state,
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
    let rekeyed = fit::check(&manifest, plan, true)?;
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
