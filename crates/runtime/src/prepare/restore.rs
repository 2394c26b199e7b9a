//! What an attempt takes over from a snapshot, and whether that fits the program.

use std::{
    collections::BTreeSet,
    ops::Range,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tidegate_canonical::{
    CanonicalError,
    convert::{Files, Wanted, native_view, tables_to_native},
};
use tidegate_checkpoint::restore::{PlannedOperator, Program, RestorePlan, plan_restore};
use tidegate_snapshot::{
    SnapshotError,
    manifest::{Manifest, SnapshotForm},
    store::SnapshotLocation,
};
use tidegate_types::{CheckpointId, ErrorKind, MaxParallelism, OperatorUid, Parallelism};
use tracing::warn;

use crate::{
    api::{JobError, JobSettings},
    describe::JobPlan,
    fit,
    host::{Threads, Urgency, done_by},
    restore::{RestoredJob, Snapshot},
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

/// Looks whether every file of a snapshot is there and as long as it was; if `verify`, reads all of
/// them and compares their checksums.
///
/// # Errors
///
/// The first file that is not what was written, or that the store does not answer.
pub(crate) async fn check_files(
    location: &SnapshotLocation,
    manifest: &Manifest,
    verify: bool,
) -> Result<(), JobError> {
    let checked = if verify {
        location.verify(manifest).await
    } else {
        location.check_lengths(manifest).await
    };
    Ok(checked?)
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

/// What of a snapshot is taken over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Share {
    /// Of how many subtasks which ones take part; without it all.
    pub(crate) subtasks: Option<(Parallelism, Range<u32>)>,
    /// The operators that go without their keyed state.
    pub(crate) without_keyed: BTreeSet<OperatorUid>,
}

/// Gets ready what is taken over of a snapshot. Operator state is read, and of one in canonical form
/// the keyed state as well, which is brought into the native one.
///
/// # Errors
///
/// When that is damaged, or the snapshot does not fit the program.
pub(crate) async fn read(
    location: &SnapshotLocation,
    settings: &JobSettings,
    plan: &JobPlan,
    share: Share,
    threads: &Arc<dyn Threads>,
) -> Result<RestoredJob, JobError> {
    let Share { subtasks, without_keyed } = share;
    let manifest = location.load().await.map_err(|error| gone(location, error))?;
    plan_for(location, &manifest, settings, plan, false)?;
    let own = subtasks.as_ref().map(|(_, own)| own.clone());
    let own = own.unwrap_or(0..settings.parallelism.get());
    let snapshot = match manifest.form {
        SnapshotForm::Native => Snapshot::Stored(location.clone(), manifest),
        SnapshotForm::Canonical => {
            let rekeyed = fit::check(&manifest, plan, true)?;
            let max_parallelism = settings.max_parallelism;
            let without_keyed = without_keyed.clone();
            let wanted = Wanted { max_parallelism, subtasks, rekeyed, without_keyed };
            native_of(location.clone(), manifest, wanted, threads).await?
        }
    };
    let (_, mut restore) = plan_for(location, snapshot.manifest(), settings, plan, false)?;
    for uid in &without_keyed {
        let operator = restore.operators.get_mut(uid).into_iter();
        operator.flat_map(|operator| &mut operator.subtasks).for_each(|part| part.keyed.clear());
    }
    Ok(RestoredJob::new(snapshot, &restore, own, threads).await?)
}

/// What is wanted of a snapshot in canonical form, in the native one. Dropping the future ends it, but
/// for the files that are being converted.
async fn native_of(
    location: SnapshotLocation,
    manifest: Manifest,
    wanted: Wanted,
    threads: &Arc<dyn Threads>,
) -> Result<Snapshot, JobError> {
    let given_up = Arc::new(AtomicBool::new(false));
    let _on_drop = GiveUp(Arc::clone(&given_up));
    let (tokio, waits) = (tokio::runtime::Handle::current(), Arc::clone(threads));
    let convert = move || {
        let (name, manifest) = (location.to_string(), Arc::new(manifest));
        let own = Arc::clone(&manifest);
        let files = StoredFiles { location, manifest: own, tokio, threads: waits, given_up };
        tables_to_native(&manifest, &name, &files, &wanted)
    };
    let converted = done_by(threads.as_ref(), Urgency::Awaited, convert).await;
    let converted = converted.map_err(|error| {
        JobError::new(ErrorKind::Internal, format!("the snapshot can't be read: {error}"))
    })?;
    let (manifest, loaded) = converted.map_err(|error| {
        let kind = match &error {
            CanonicalError::Snapshot(error) => error.kind(),
            _ => ErrorKind::Corrupt,
        };
        JobError::caused_by(kind, &error)
    })?;
    Ok(Snapshot::Loaded(loaded, manifest))
}

/// Says so when nobody waits any more.
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The files of a snapshot, for threads that are none of Tokio's.
struct StoredFiles {
    location: SnapshotLocation,
    manifest: Arc<Manifest>,
    tokio: tokio::runtime::Handle,
    threads: Arc<dyn Threads>,
    given_up: Arc<AtomicBool>,
}

impl Files for StoredFiles {
    fn file(&self, path: &str) -> Result<Bytes, SnapshotError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(SnapshotError::GivenUp);
        }
        let (location, manifest) = (self.location.clone(), Arc::clone(&self.manifest));
        let path = path.to_owned();
        let read = self.tokio.spawn(async move { location.read_file(&manifest, &path).await });
        let mut done = None;
        self.threads.wait(pin!(async { done = Some(read.await) }));
        // The runtime ends.
        done.and_then(Result::ok).unwrap_or(Err(SnapshotError::GivenUp))
    }

    fn at_once(&self) -> usize {
        self.threads.cores()
    }
}
