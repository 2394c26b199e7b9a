//! The worker threads of one process.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::Waker,
    time::Duration,
};

use tidegate_checkpoint::task::TaskCommand;
use tidegate_core::user_code::caught;
use tidegate_protocol::Secret;
use tidegate_types::{ErrorKind, SubtaskIndex, error::chain};
use timely::WorkerConfig;
use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    graph::TaskId,
    host::{Connected, Connecting, Listener, Peers, Turns, introduce},
    restore::RestoredJob,
    task::{TaskError, TaskReport, meter::WorkerCounters},
    worker::{self, WorkerSeat, WorkerSpec},
};

/// How much sooner the cause of a worker's panic is to be told than the panic.
const CAUSE_FIRST: Duration = Duration::from_secs(5);

/// What the threads are started with.
pub(crate) struct WorkersSpec {
    pub(crate) worker: WorkerSpec,
    /// How many workers this process has.
    pub(crate) count: usize,
    /// How many tasks the job has.
    pub(crate) tasks: usize,
    /// The way to the other processes, if there are any.
    pub(crate) others: Option<Others>,
}

/// The other processes of an attempt.
pub(crate) struct Others {
    /// Where they come to.
    pub(crate) listener: Box<dyn Listener>,
    /// Which this process is.
    pub(crate) process: usize,
    /// `host:port` of each process, this one's too.
    pub(crate) addresses: Vec<String>,
    /// What they know each other by.
    pub(crate) secret: Option<Secret>,
}

/// One worker as its process sees it.
struct WorkerLink {
    commands: mpsc::Sender<TaskCommand>,
    waker: mpsc::Receiver<Waker>,
    known: Option<Waker>,
}

/// The worker threads of one process.
pub(crate) struct Workers {
    links: Vec<WorkerLink>,
    begin: Arc<AtomicBool>,
    close: Arc<AtomicBool>,
    restored: RestoredJob,
    ended: Option<oneshot::Receiver<()>>,
    pub(crate) counters: Vec<Arc<WorkerCounters>>,
}

impl Workers {
    pub(crate) fn count(&self) -> usize {
        self.links.len()
    }

    /// Tells every worker.
    pub(crate) fn send(&mut self, command: TaskCommand) {
        for link in &mut self.links {
            // A worker that is gone has reported why, or is being closed.
            let _ = link.commands.send(command);
        }
        self.wake();
    }

    fn wake(&mut self) {
        for link in &mut self.links {
            if let Ok(waker) = link.waker.try_recv() {
                link.known = Some(waker);
            }
            // One that has not left its waker yet looks around by itself when it begins.
            if let Some(waker) = &link.known {
                waker.wake_by_ref();
            }
        }
    }

    /// Lets every worker step.
    pub(crate) fn begin(&mut self) {
        self.begin.store(true, Ordering::Release);
        self.wake();
    }

    /// Has every worker drop its dataflow, and waits for the threads' end.
    pub(crate) async fn close(&mut self) {
        self.close.store(true, Ordering::Release);
        // Those that are still restoring wait for what is being fetched.
        self.restored.give_up();
        self.wake();
        if let Some(ended) = self.ended.take() {
            // A panic in there has been reported by who panicked.
            let _ = ended.await;
        }
    }
}

/// Starts the threads. In a cluster this waits for the other processes, on a thread of its own.
pub(crate) fn start_workers(spec: WorkersSpec) -> Workers {
    let WorkersSpec { worker, count, tasks, others } = spec;
    let (begin, close) = (Arc::clone(&worker.begin), Arc::clone(&worker.close));
    let restored = worker.restored.clone();
    let (mut links, mut seats, mut counters) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let (commands, receiver) = mpsc::channel();
        let (leave_waker, waker) = mpsc::channel();
        let counter = Arc::new(WorkerCounters::new(tasks));
        counters.push(Arc::clone(&counter));
        links.push(WorkerLink { commands, waker, known: None });
        seats.push(Some(WorkerSeat { commands: receiver, counters: counter, waker: leave_waker }));
    }
    let (end, ended) = oneshot::channel();
    let first = others.as_ref().map_or(0, |others| others.process * count);
    let connecting = others.map(|others| {
        let Others { listener, process, addresses, secret } = others;
        let (token, is_over) = (worker.attempt_token, Arc::clone(&close));
        listener.connect(Peers { process, addresses, workers: count, token, secret, is_over })
    });
    let turns = Arc::clone(&worker.turns);
    turns.starting(count);
    let run = move || {
        // Whatever happens, whoever waits for the end hears of it first: `end` is dropped before `_ends`.
        let (_ends, end) = (Ending(turns), end);
        run_threads(worker, seats, first, connecting);
        // Who does not wait has gone itself.
        let _ = end.send(());
    };
    std::thread::Builder::new()
        .name("tidegate-attempt".to_owned())
        .spawn(run)
        .expect("the system can start a thread");
    Workers { links, begin, close, restored, ended: Some(ended), counters }
}

/// Says when it is dropped that all threads have ended: joining them may panic.
struct Ending(Arc<dyn Turns>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended();
    }
}

fn run_threads(
    spec: WorkerSpec,
    seats: Vec<Option<WorkerSeat>>,
    first: usize,
    connecting: Option<Connecting>,
) {
    let reports = spec.reports.clone();
    let fail = move |worker: usize, error: TaskError| {
        // Nobody listens when the attempt is over already.
        let _ = reports.send((TaskId(0), worker, TaskReport::Failed(error)));
    };
    let (fail_in_worker, has_peers) = (fail.clone(), connecting.is_some());
    let connected = connecting.map_or_else(|| Connected::alone(seats.len()), |connect| connect());
    let guards = connected.and_then(|Connected { builders, guard }| {
        let seats = Mutex::new(seats);
        timely::execute::execute_from(builders, guard, WorkerConfig::default(), move |worker| {
            let index = worker.index();
            introduce(index);
            let mut turn = spec.turns.begin(index);
            let ran = caught(|| {
                let mut seats = seats.lock().unwrap_or_else(PoisonError::into_inner);
                let seat = seats[index - first].take();
                drop(seats);
                let seat = seat.expect("each worker takes its own seat, once");
                Ok(worker::run(worker, &spec, &seat, turn.as_mut()))
            });
            match ran {
                Ok(Ok(())) => {}
                Ok(Err(error)) => fail_in_worker(index, error),
                Err(error) => {
                    let why = outside_of_user_code(index, &*error);
                    if has_peers && why.kind == ErrorKind::Internal {
                        fail_later(fail_in_worker.clone(), &spec.tokio, index, why);
                    } else {
                        // The others may wait for this one for ever, and whoever joins them too.
                        fail_in_worker(index, why);
                    }
                    std::panic::resume_unwind(Box::new(error.to_string()));
                }
            }
        })
    });
    match guards {
        // Whoever has panicked has reported it.
        Ok(guards) => drop(guards.join()),
        Err(problem) => fail(first, internal(ErrorKind::Unavailable, problem)),
    }
}

/// Reports what is likely to follow from something else: Timely panics when another process is lost,
/// which whoever watches over that one is about to tell. Nobody listens by then if it has.
fn fail_later(
    fail: impl FnOnce(usize, TaskError) + Send + 'static,
    tokio: &Handle,
    worker: usize,
    why: TaskError,
) {
    tokio.spawn(async move {
        tokio::time::sleep(CAUSE_FIRST).await;
        fail(worker, why);
    });
}

/// Why a worker's thread has ended, if it was none of its operators.
fn outside_of_user_code(
    worker: usize,
    error: &(dyn std::error::Error + Send + Sync + 'static),
) -> TaskError {
    let subtask = SubtaskIndex(worker as u32);
    match ErrorKind::marked(error) {
        Some(kind) => internal(kind, format!("{} (subtask {subtask})", chain(error))),
        None => {
            let message = format!("worker {subtask}, outside of user code, {}", chain(error));
            internal(ErrorKind::Internal, message)
        }
    }
}

fn internal(kind: ErrorKind, message: String) -> TaskError {
    TaskError { kind, uid: None, message }
}
