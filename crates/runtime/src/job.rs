//! Starts a job: embedded with a thread of its own and a Tokio runtime, on which its [`JobMaster`]
//! lives, or for a JobManager, which has such a runtime.

use std::{sync::mpsc as std_mpsc, thread::JoinHandle, time::Duration};

use tidegate_protocol::{Endpoint, KeepAlive, Secret};
use tidegate_snapshot::store::{DeletionProof, SnapshotLocation, delete_snapshot};
use tidegate_storage::{
    Address, Places,
    log::{self, Concluded, RecordedKind},
};
use tidegate_types::{
    CheckpointId, Clock, ErrorKind, JobId, MaxParallelism, ProcessIndex, options::OptionValues,
};
use tokio::sync::{mpsc, watch};

use crate::{
    api::{Ended, JobError, JobHandle, JobResult, JobSettings, JobSpec, JobStatus, Request},
    describe::{JobDescription, JobPlan},
    embedded::{EmbeddedAttempts, LocalProgram},
    follow::Follower,
    host::Host,
    master::{Attempts, JobMaster},
    prepare::{
        check_plan, check_plan_to_spread, locate_start, newest_of, open_stores, prepare, recovered,
        remains,
    },
    seat::ProcessSeat,
    stats::SharedStats,
    tenure::{Claim, Runner, Tenure},
    ticket::RecoveredJob,
};

/// Starts a job and returns once it is known that it can: the plan is right, and the snapshot that
/// it is to be restored from, if any, fits, and its files are there and as long as they were. What is
/// in them is found out while it is restored, unless all of it is to be verified first.
///
/// # Errors
///
/// What is wrong with the job, its options or the snapshot; nothing has been started then.
pub fn start(spec: JobSpec) -> Result<JobHandle, JobError> {
    start_on(spec, Host::system())
}

/// As [`start`], with something else than what the system has.
///
/// # Errors
///
/// As [`start`].
pub fn start_on(spec: JobSpec, host: Host) -> Result<JobHandle, JobError> {
    spawn(spec, host).map(|(handle, _)| handle)
}

/// As [`start_on`], on the Tokio runtime that it is called on, without a thread of its own.
///
/// # Errors
///
/// As [`start`].
pub async fn start_here(spec: JobSpec, host: Host) -> Result<JobHandle, JobError> {
    let (handle, stats, requests, end) = hold(&spec.settings, host.clock.as_ref());
    let tokio = tokio::runtime::Handle::current();
    if spec.follows() {
        tokio::spawn(async move {
            let result = follow(spec, host, tokio, stats).await;
            // Nobody waits for a job whose handles are all gone.
            let _ = end.send(Some(result.into()));
        });
        return Ok(handle);
    }
    let master = master_of(spec, host, tokio, stats, requests).await?;
    set_going(master, end);
    Ok(handle)
}

/// Describes a job without starting it.
///
/// # Errors
///
/// What is wrong with its plan.
pub fn describe(spec: &JobSpec, configuration: OptionValues) -> Result<JobDescription, JobError> {
    let plan = check_plan_to_spread(spec)?;
    let JobSettings { name, id, parallelism, max_parallelism, .. } = spec.settings.clone();
    Ok(JobDescription { name, id, parallelism, max_parallelism, configuration, plan })
}

/// Runs a job to its end.
///
/// # Errors
///
/// Why it did not start, or failed for good.
pub fn run(spec: JobSpec) -> Result<JobResult, JobError> {
    let (_, thread) = spawn(spec, Host::system())?;
    thread.join().unwrap_or_else(|_| {
        Err(JobError::new(ErrorKind::Internal, "the job's coordinator panicked"))
    })
}

type JobThread = JoinHandle<Result<JobResult, JobError>>;

fn spawn(spec: JobSpec, host: Host) -> Result<(JobHandle, JobThread), JobError> {
    let (handle, stats, requested, end_sender) = hold(&spec.settings, host.clock.as_ref());
    let (started, starting) = std_mpsc::channel();
    let main = move || {
        let runtime = io_runtime()?;
        let tokio = runtime.handle().clone();
        let result = runtime.block_on(async move {
            if spec.follows() {
                // Who waits for the start of a follower waits for its job.
                let _ = started.send(Ok(()));
                return follow(spec, host, tokio, stats).await;
            }
            let master = match master_of(spec, host, tokio, stats, requested).await {
                Ok(master) => master,
                Err(error) => {
                    let _ = started.send(Err(error.clone()));
                    return Err(error);
                }
            };
            let _ = started.send(Ok(()));
            master.run().await.result
        });
        // Nobody waits for a job whose handles are all gone.
        let _ = end_sender.send(Some(result.clone().into()));
        result
    };
    let thread = std::thread::Builder::new()
        .name("tidegate-job".to_owned())
        .spawn(main)
        .map_err(|error| JobError::caused_by(ErrorKind::Unavailable, &error))?;
    match starting.recv() {
        Ok(result) => result.map(|()| (handle, thread)),
        Err(_) => Err(thread
            .join()
            .ok()
            .and_then(Result::err)
            .unwrap_or_else(|| JobError::new(ErrorKind::Internal, "the job did not start"))),
    }
}

/// Runs one of several processes that a person has started, but for the first.
async fn follow(
    spec: JobSpec,
    host: Host,
    tokio: tokio::runtime::Handle,
    stats: SharedStats,
) -> Result<JobResult, JobError> {
    let cluster = spec.cluster.clone().expect("followers are part of a cluster");
    let plan = check_plan(&spec)?;
    let stores = open_stores(&spec.settings, &host.places)?;
    let follower = Follower {
        coordinator: Endpoint::new(cluster.coordinator.clone(), cluster.secret.clone()),
        job: spec.settings.id,
        attempt: None,
        token: 0,
        process: ProcessIndex(cluster.process),
        listener: cluster.listen(host.network.as_ref())?,
        data_address: cluster.addresses[cluster.process as usize].clone(),
    };
    stats.set_status(JobStatus::Running, host.clock.now());
    follower.run(LocalProgram { spec, plan, stores, host, tokio }).await?;
    Ok(JobResult { status: JobStatus::Finished, savepoint: None, stats: stats.get() })
}

/// Runs the process of an attempt that a TaskManager has started this binary as. The process has to
/// end behind it: user code that hangs may still be on one of its threads.
///
/// # Errors
///
/// When the attempt fails; the JobManager tells why.
pub fn run_process(spec: JobSpec, seat: ProcessSeat) -> Result<(), JobError> {
    let runtime = io_runtime()?;
    let done = runtime.block_on(run_process_here(spec, seat, Host::system()));
    // What still blocks one of its threads is not waited for: it ends with the process.
    runtime.shutdown_background();
    done
}

/// As [`run_process`], on the Tokio runtime that it is called on, with something else than what the
/// system has.
///
/// # Errors
///
/// As there.
pub async fn run_process_here(
    mut spec: JobSpec,
    seat: ProcessSeat,
    host: Host,
) -> Result<(), JobError> {
    let unavailable = |error: std::io::Error| JobError::caused_by(ErrorKind::Unavailable, &error);
    spec.settings.id = seat.job;
    spec.settings.parallelism = seat.parallelism;
    let plan = check_plan(&spec)?;
    let stores = open_stores(&spec.settings, &host.places)?;
    let listener = host.network.listen(&format!("{}:0", seat.host)).map_err(unavailable)?;
    let port = listener.port().map_err(unavailable)?;
    let follower = Follower {
        coordinator: Endpoint::new(seat.coordinator, seat.secret.map(Secret::from))
            .with_keep_alive(KeepAlive {
                interval: Duration::from_millis(seat.silence_ms),
                timeout: Duration::from_millis(seat.lost_ms),
            }),
        job: seat.job,
        attempt: Some(seat.attempt),
        token: seat.token,
        process: seat.process,
        listener,
        data_address: format!("{}:{port}", seat.host),
    };
    let tokio = tokio::runtime::Handle::current();
    follower.run(LocalProgram { spec, plan, stores, host, tokio }).await
}

/// The Tokio runtime of a process with workers.
pub(crate) fn io_runtime() -> Result<tokio::runtime::Runtime, JobError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Readers and sinks of files keep a thread each; tokio's limit of 512 would have some of a
        // job of high parallelism wait for ever. Threads are made as they are needed.
        .max_blocking_threads(4 * MaxParallelism::UPPER_BOUND as usize)
        .thread_name("tidegate-io")
        .enable_all()
        .build()
        .map_err(|error| JobError::caused_by(ErrorKind::Unavailable, &error))
}

/// A snapshot that a running job holds: it may go on from it, or retains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSnapshot {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// Where the snapshot lies; any of the job's own if it is not known yet which.
    pub location: Option<String>,
}

/// A snapshot that is gone because somebody wanted that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposed {
    /// The job that it was taken of.
    pub job: JobId,
    /// Its id.
    pub checkpoint: CheckpointId,
    /// Where it lay.
    pub location: String,
}

/// That a person wants a snapshot to go, and no job holds it.
struct Disposal {
    location: String,
}

impl Disposal {
    fn of(
        location: &SnapshotLocation,
        job: JobId,
        held: &[HeldSnapshot],
    ) -> Result<Self, JobError> {
        let address = location.place().address();
        let is_it = |held: &&HeldSnapshot| match &held.location {
            Some(other) => Address::parse(other).is_ok_and(|other| other == *address),
            None => held.job == job,
        };
        match held.iter().find(is_it) {
            None => Ok(Self { location: location.to_string() }),
            Some(HeldSnapshot { job, name, .. }) => {
                let message = format!(
                    "the snapshot '{location}' is in use by job {job} (`{name}`), which may go on \
                     from it: it can be disposed of once the job has ended or has newer checkpoints"
                );
                Err(JobError::new(ErrorKind::Invalid, message))
            }
        }
    }
}

impl DeletionProof for Disposal {
    fn location(&self) -> &str {
        &self.location
    }

    fn checkpoint(&self) -> Option<CheckpointId> {
        None
    }
}

/// Deletes a savepoint, or a checkpoint that was left, unless it is among those that running jobs
/// hold. It is looked for among `places`.
///
/// # Errors
///
/// When there is none, a job holds it, or it can't be deleted.
pub async fn dispose_savepoint(
    path: &str,
    held: &[HeldSnapshot],
    places: &Places,
) -> Result<Disposed, JobError> {
    let location = SnapshotLocation::parse_among(places, path)?;
    // Nothing is deleted that is no snapshot.
    let manifest = location.load().await?;
    let disposal = Disposal::of(&location, manifest.job.id, held)?;
    delete_snapshot(places, &disposal).await?;
    let (job, checkpoint) = (manifest.job.id, manifest.checkpoint);
    Ok(Disposed { job, checkpoint, location: location.to_string() })
}

/// The master of a job that runs in this process.
async fn master_of(
    spec: JobSpec,
    host: Host,
    tokio: tokio::runtime::Handle,
    stats: SharedStats,
    requests: mpsc::UnboundedReceiver<Request>,
) -> Result<JobMaster, JobError> {
    let (settings, plan) = (spec.settings.clone(), check_plan(&spec)?);
    let runner = Runner::of(&host, settings.options.recovery.take_over);
    let stores = open_stores(&settings, &host.places)?;
    let program = LocalProgram {
        spec,
        plan: plan.clone(),
        stores: stores.clone(),
        host: host.clone(),
        tokio,
    };
    let mut attempts = Box::new(EmbeddedAttempts::new(program));
    let runner = (&runner, host.random.as_ref());
    let prepared = prepare(settings, plan, stores, attempts.as_mut(), runner).await?;
    Ok(JobMaster::new(prepared, attempts, &host, stats, requests))
}

/// Starts the master of a job whose attempts run elsewhere, on this Tokio runtime. Returns once it
/// is known that the job can start.
///
/// # Errors
///
/// What is wrong with its options or its snapshot; nothing has been started then.
pub async fn start_master(
    settings: JobSettings,
    plan: JobPlan,
    mut attempts: Box<dyn Attempts>,
    runner: &Runner,
    host: &Host,
) -> Result<JobHandle, JobError> {
    let stores = open_stores(&settings, &host.places)?;
    let (handle, stats, requests, end) = hold(&settings, host.clock.as_ref());
    let runner = (runner, host.random.as_ref());
    let prepared = prepare(settings, plan, stores, attempts.as_mut(), runner).await?;
    let master = JobMaster::new(prepared, attempts, host, stats, requests);
    set_going(master, end);
    Ok(handle)
}

/// Goes on with a job that a JobManager has left behind, from what its log says. What it goes on from
/// is looked at by its first attempt: a store that does not answer, or a snapshot that is damaged, is
/// then a matter for the restart strategy, and the job is there to be seen.
///
/// `behind` is what the log said when the job was submitted: what is not newer is of an earlier job of
/// that id. A job that had ended when its JobManager died has ended: nothing is started any more.
///
/// # Errors
///
/// When the log can't be read or written, or the job has never completed a snapshot and what it was to
/// start from can't be used.
pub async fn recover_master(
    settings: JobSettings,
    plan: JobPlan,
    attempts: Box<dyn Attempts>,
    runner: &Runner,
    behind: Behind,
    host: &Host,
) -> Result<RecoveredJob, JobError> {
    let stores = open_stores(&settings, &host.places)?;
    let claim = Claim::of(&stores, &settings, runner, host.random.as_ref()).await?;
    let (log, mut recorded) = claim.take_over().await?;
    recorded.retain(|snapshot| Some(snapshot.checkpoint) > behind.checkpoint);
    let superseded = log.superseded().clone();
    if let Some(how) = log.concluded_since(behind.entry) {
        remains(&stores, &settings, log.outlived(), &superseded).await?;
        let handle = has_ended(&settings, claim.tenure(log), how, host).await;
        return Ok(RecoveredJob { handle, recorded, superseded });
    }
    let Some(newest) = newest_of(&recorded).cloned() else {
        // It claims the job anew.
        drop(claim);
        let handle = start_master(settings, plan, attempts, runner, host).await?;
        return Ok(RecoveredJob { handle, recorded, superseded });
    };
    let (handle, stats, requests, end) = hold(&settings, host.clock.as_ref());
    let prepared = recovered(settings, plan, stores, recorded.clone());
    let prepared = (prepared, claim.tenure(log));
    let master = JobMaster::new(prepared, attempts, host, stats, requests);
    let ends = newest.ends.unwrap_or(Concluded::Finished);
    let concludes = newest.kind == RecordedKind::FinalSavepoint;
    set_going(if concludes { master.concluding(ends) } else { master }, end);
    Ok(RecoveredJob { handle, recorded, superseded })
}

/// A hold on a job that had ended before anybody could tell.
async fn has_ended(
    settings: &JobSettings,
    tenure: Tenure,
    how: Concluded,
    host: &Host,
) -> JobHandle {
    let (handle, stats, _, end) = hold(settings, host.clock.as_ref());
    let status = match how {
        Concluded::Finished => JobStatus::Finished,
        Concluded::Canceled => JobStatus::Canceled,
    };
    stats.set_status(status, host.clock.now());
    let result = Ok(JobResult { status, savepoint: None, stats: stats.get() });
    let log = tenure.end(true).await;
    // There is a handle.
    let _ = end.send(Some(Ended { result, log }));
    handle
}

/// Where the snapshot lies that a job is to start from, if it is to start from one.
///
/// # Errors
///
/// When it can't be found.
pub async fn start_location(
    settings: &JobSettings,
    host: &Host,
) -> Result<Option<String>, JobError> {
    if settings.options.recovery.path.is_none() {
        return Ok(None);
    }
    let start = locate_start(settings, &open_stores(settings, &host.places)?).await?;
    Ok(start.map(|(location, _)| location.to_string()))
}

/// What a job's log said at some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// The newest snapshot that was complete.
    pub checkpoint: Option<CheckpointId>,
    /// The number of its newest entry, 0 if it had none.
    pub entry: u64,
}

impl Behind {
    /// What it says now.
    ///
    /// # Errors
    ///
    /// When the log can't be read.
    pub async fn now(settings: &JobSettings, host: &Host) -> Result<Self, JobError> {
        let place = open_stores(settings, &host.places)?.log(settings);
        let entry = log::newest(&place).await?;
        let recorded = log::read(&place).await?;
        Ok(Self { checkpoint: recorded.iter().map(|snapshot| snapshot.checkpoint).max(), entry })
    }
}

type End = watch::Sender<Option<Ended>>;

fn hold(
    settings: &JobSettings,
    clock: &dyn Clock,
) -> (JobHandle, SharedStats, mpsc::UnboundedReceiver<Request>, End) {
    let stats = SharedStats::new(clock.now(), settings);
    let (requests, requested) = mpsc::unbounded_channel();
    let (end_sender, end) = watch::channel(None);
    (JobHandle { requests, stats: stats.clone(), end }, stats, requested, end_sender)
}

fn set_going(master: JobMaster, end: End) {
    tokio::spawn(async move {
        let ended = master.run().await;
        // Nobody waits for a job whose handles are all gone.
        let _ = end.send(Some(ended));
    });
}

#[cfg(test)]
mod tests;
