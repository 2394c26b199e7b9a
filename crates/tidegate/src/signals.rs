//! What signals do to a job that runs in the foreground.
//!
//! | signal | the first | the second |
//! |---|---|---|
//! | SIGINT, a person's Ctrl-C | cancels the job | ends the process at once |
//! | SIGTERM, an orchestrator's stop | ends it for now, behind one more checkpoint that is kept | likewise |
//! | SIGUSR1 | takes a savepoint | takes another one |
//!
//! They are listened to before anything else: one that comes before the job runs ends the process
//! then and there, or is a savepoint that the job takes as soon as it can.
//!
//! A process that SIGTERM ends does so within a bound, and says what it has waited for: user code
//! that hangs can't hold it.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};
use tidegate_runtime::{JobHandle, JobStats};

/// The exit code of a process that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;
/// The exit code of a process that SIGTERM has ended.
pub(crate) const TERMINATED: u8 = 143;
/// How long a job may take to end behind its last checkpoint.
const GRACE: Duration = Duration::from_secs(2);

/// What signals mean now.
enum Stage {
    /// The job is being started; `savepoint` if one is to be taken as soon as it runs.
    Starting { savepoint: bool },
    /// It runs.
    Running(Foreground),
    /// It has been told to end.
    Ending {
        /// By SIGTERM.
        terminated: bool,
    },
}

/// A job that runs in the foreground.
#[derive(Clone)]
pub(crate) struct Foreground {
    pub(crate) handle: JobHandle,
    /// Whether another process decides when the job ends.
    pub(crate) follows: bool,
    /// How long it may take for its last checkpoint.
    pub(crate) termination_timeout: Duration,
}

/// The signals that this process gets.
pub(crate) struct Listener(Arc<Mutex<Stage>>);

impl Listener {
    /// Listens from now on.
    pub(crate) fn start() -> Self {
        let stage = Arc::new(Mutex::new(Stage::Starting { savepoint: false }));
        if let Err(error) = listen(Arc::clone(&stage)) {
            tracing::warn!(%error, "signals are not handled");
        }
        Self(stage)
    }

    /// The job runs.
    pub(crate) fn running(&self, job: Foreground) {
        let mut stage = lock(&self.0);
        if matches!(*stage, Stage::Starting { savepoint: true }) {
            savepoint(job.handle.clone());
        }
        *stage = Stage::Running(job);
    }

    /// Whether SIGTERM has told the job to end.
    pub(crate) fn terminated(&self) -> bool {
        matches!(*lock(&self.0), Stage::Ending { terminated: true })
    }
}

fn lock(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(stage: Arc<Mutex<Stage>>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
    let watch = move || {
        for signal in signals.forever() {
            let mut stage = lock(&stage);
            if signal == SIGUSR1 {
                asked_for_savepoint(&mut stage)
            } else {
                end(signal, &mut stage)
            }
        }
    };
    std::thread::Builder::new().name("tidegate-signals".to_owned()).spawn(watch).map(drop)
}

fn asked_for_savepoint(stage: &mut Stage) {
    match stage {
        Stage::Starting { savepoint } => {
            eprintln!("the job is being started: the savepoint is taken as soon as it runs");
            *savepoint = true;
        }
        Stage::Running(job) => savepoint(job.handle.clone()),
        Stage::Ending { .. } => eprintln!("savepoint failed: the job is being ended"),
    }
}

/// On a thread of its own, so that Ctrl-C still works while it is taken.
fn savepoint(handle: JobHandle) {
    std::thread::spawn(move || match handle.savepoint_blocking(None) {
        Ok(path) => eprintln!("savepoint completed: {path}"),
        Err(reason) => eprintln!("savepoint failed: {reason}"),
    });
}

fn end(signal: i32, stage: &mut Stage) {
    let terminated = signal == SIGTERM;
    let job = match std::mem::replace(stage, Stage::Ending { terminated }) {
        Stage::Running(job) => job,
        Stage::Starting { .. } => {
            eprintln!("ended before the job ran");
            exit(signal);
        }
        Stage::Ending { .. } => exit(signal),
    };
    match (terminated, job.follows) {
        (_, true) => {
            eprintln!("process 0 ends the job; once more ends this process at once");
        }
        (true, false) => {
            let within = job.termination_timeout;
            eprintln!(
                "taking a last checkpoint, within {within:?}; once more ends the job at once"
            );
            job.handle.suspend(within);
        }
        (false, false) => {
            eprintln!("cancelling the job; once more ends it at once");
            job.handle.cancel();
        }
    }
    watch_over_end(job, terminated);
}

fn exit(signal: i32) -> ! {
    std::process::exit(if signal == SIGTERM { i32::from(TERMINATED) } else { INTERRUPTED })
}

/// Says what a job waits for that does not end in time. SIGTERM ends the process then; a person who
/// has pressed Ctrl-C decides.
fn watch_over_end(job: Foreground, terminated: bool) {
    std::thread::spawn(move || {
        let patience = job.termination_timeout + GRACE;
        std::thread::sleep(patience);
        let waits_for = waits_for(&job.handle.stats());
        eprintln!("the job has not ended within {patience:?}: it waits for {waits_for}");
        if terminated {
            exit(SIGTERM);
        }
    });
}

fn waits_for(stats: &JobStats) -> String {
    let pending = stats.pending.first().map(|pending| {
        format!(
            "checkpoint {}, which {} of {} subtasks of tasks have handed out their part of, and for \
             user code of the others to return",
            pending.id,
            pending.subtasks,
            stats.subtasks.len()
        )
    });
    pending.unwrap_or_else(|| "user code to return".to_owned())
}
