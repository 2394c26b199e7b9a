//! One worker thread: builds the dataflow, steps it, and follows its process's commands.
//!
//! # Protocol
//!
//! Building the dataflow restores what its operators take over, which is fetched meanwhile: for that,
//! and then for the attempt to begin, the thread waits. Only then does it step (INV-BEGIN), and from
//! there on never waits for anything but work: commands lie in a queue that it looks into between two
//! steps, and who puts one there wakes it. Those that come earlier wait there too.

mod build;

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::Waker,
    time::Duration,
};

use tidegate_checkpoint::task::TaskCommand;
use tidegate_core::user_code::Telling;
use tidegate_types::{AttemptId, Clock, JobId, MaxParallelism, Monotonic, Parallelism, Superseded};
use timely::{logging::TimelyProgressEventBuilder, worker::Worker};
use tokio::sync::mpsc as tokio_mpsc;

use crate::{
    api::BuildPlan,
    graph::TaskId,
    host::{Turn, Turns},
    in_flight::{Account, InFlight, Lane, Tally},
    restore::RestoredJob,
    task::{TaskError, TaskHandle, TaskReport, WorkerContext, alarm::Alarm, meter::WorkerCounters},
};

pub(crate) use self::build::plan_of;

/// The longest time that a worker sleeps without looking around.
const LONGEST_PARK: Duration = Duration::from_millis(100);

/// What all workers of a process share.
pub(crate) struct WorkerSpec {
    pub(crate) name: String,
    pub(crate) build: BuildPlan,
    pub(crate) job: JobId,
    pub(crate) attempt: AttemptId,
    pub(crate) attempt_token: u64,
    pub(crate) parallelism: Parallelism,
    pub(crate) max_parallelism: MaxParallelism,
    pub(crate) exactly_once: bool,
    pub(crate) debloat_target: Duration,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) restored: RestoredJob,
    /// Whether nothing is emitted: all that is left is to commit and to end.
    pub(crate) concludes: bool,
    /// Whether what the snapshot holds for sinks is left to the job that it is of.
    pub(crate) leaves_output: bool,
    /// Whether records are copied to be told, until a checkpoint is complete.
    pub(crate) telling: bool,
    /// Whether to go on although prepared output is lost.
    pub(crate) allow_lost_output: bool,
    /// See [`tidegate_core::OperatorContext`].
    pub(crate) check_keys: bool,
    /// Whose leftovers the attempt may delete.
    pub(crate) superseded: Superseded,
    pub(crate) tokio: tokio::runtime::Handle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) turns: Arc<dyn Turns>,
    pub(crate) reports: tokio_mpsc::UnboundedSender<(TaskId, usize, TaskReport)>,
    /// Set when all processes have what they take over.
    pub(crate) begin: Arc<AtomicBool>,
    /// Set when the dataflow is to be dropped.
    pub(crate) close: Arc<AtomicBool>,
}

/// What belongs to one worker alone.
pub(crate) struct WorkerSeat {
    pub(crate) commands: mpsc::Receiver<TaskCommand>,
    pub(crate) counters: Arc<WorkerCounters>,
    /// Where the worker leaves a waker for itself.
    pub(crate) waker: mpsc::Sender<Waker>,
}

/// The tasks of one worker, built.
struct Dataflow {
    tasks: Vec<TaskHandle>,
    alarms: Vec<Alarm>,
    first_record_left: bool,
}

/// Runs the worker until it is told to close.
///
/// # Errors
///
/// When the dataflow could not be built or restored.
pub(crate) fn run(
    worker: &mut Worker,
    spec: &WorkerSpec,
    seat: &WorkerSeat,
    turn: &mut dyn Turn,
) -> Result<(), TaskError> {
    let context = Rc::new(WorkerContext {
        worker: worker.index(),
        peers: worker.peers(),
        clock: Arc::clone(&spec.clock),
        flow: crate::flow::FlowControl::new(spec.debloat_target, spec.clock.monotonic()).into(),
        tally: Tally::new(Arc::clone(&spec.in_flight), worker.index()),
        reports: spec.reports.clone(),
        counters: Arc::clone(&seat.counters),
        concludes: spec.concludes,
        failed: false.into(),
        telling: Telling::new(spec.telling),
    });
    count_progress(worker, &seat.counters);
    let index = worker.next_dataflow_index();
    let built = build::dataflow(worker, spec, &context);
    let result = match built {
        Ok((mut dataflow, waker)) => {
            context.tally.woken_by(waker.clone());
            dataflow.tasks.iter().for_each(|task| task.activator.activate());
            // Nobody may be left to take it when the attempt ends as it begins.
            let _ = seat.waker.send(waker);
            context.report(TaskId(0), TaskReport::Restored);
            if await_begin(spec, turn) {
                dataflow.run(worker, (spec, seat), &context, turn);
            }
            Ok(())
        }
        Err(error) => Err(error),
    };
    worker.drop_dataflow(index);
    result
}

/// Waits until the attempt begins; tells whether it does. Who sets either flag wakes the thread; if
/// that came before it had left its waker, it looks around by itself.
fn await_begin(spec: &WorkerSpec, turn: &mut dyn Turn) -> bool {
    loop {
        if spec.close.load(Ordering::Acquire) {
            return false;
        }
        if spec.begin.load(Ordering::Acquire) {
            return true;
        }
        if let Some(sleep) = turn.next(LONGEST_PARK) {
            std::thread::park_timeout(sleep);
        }
    }
}

/// Counts what Timely's progress tracking sends.
fn count_progress(worker: &Worker, counters: &Arc<WorkerCounters>) {
    let Some(mut loggers) = worker.log_register() else { return };
    let counters = Arc::clone(counters);
    let name = format!("timely/progress/{}", std::any::type_name::<()>());
    loggers.insert::<TimelyProgressEventBuilder<()>, _>(&name, move |_time, events| {
        let sent = events.iter().flatten().filter(|(_, event)| event.is_send).count();
        counters.progress_messages.fetch_add(sent as u64, Ordering::Relaxed);
    });
}

impl Dataflow {
    fn run(
        &mut self,
        worker: &mut Worker,
        (spec, seat): (&WorkerSpec, &WorkerSeat),
        context: &WorkerContext,
        turn: &mut dyn Turn,
    ) {
        while !spec.close.load(Ordering::Acquire) && !context.failed.get() {
            for command in seat.commands.try_iter() {
                self.deliver(command);
            }
            let idle = self.ring(context.now());
            match turn.next(idle) {
                Some(sleep) => worker.step_or_park(Some(sleep)),
                None => worker.step(),
            };
            if self.observe(context) {
                context.tally.wait();
                // What has left in between was told to nobody.
                self.observe(context);
            }
        }
    }

    /// Gives a turn to those whose time has come; tells for how long there is nothing else to do, if
    /// nobody wakes the worker.
    fn ring(&self, now: Monotonic) -> Duration {
        let next = self.alarms.iter().filter_map(|alarm| alarm.ring(now)).min();
        next.map_or(LONGEST_PARK, |next| next.since(now).min(LONGEST_PARK))
    }

    /// Puts a command into the mailbox of every task.
    fn deliver(&self, command: TaskCommand) {
        for task in &self.tasks {
            task.mailbox.borrow_mut().push_back(command);
            task.activator.activate();
        }
    }

    /// Tells flow control what has left the dataflow, and tasks that may emit again because of it.
    /// Tells whether anybody waits for more.
    fn observe(&mut self, context: &WorkerContext) -> bool {
        let mut flow = context.flow.borrow_mut();
        let (lane, now) = (Lane::of_sources(context.worker), context.now());
        let left = flow.observe(|round| context.tally.left(Account::of(lane, round)), now);
        if left {
            if !std::mem::replace(&mut self.first_record_left, true) {
                context.report(TaskId(0), TaskReport::FirstRecord);
            }
            let longest = flow.longest_trip().as_micros() as u64;
            context.counters.in_flight_max_us.fetch_max(longest, Ordering::Relaxed);
            for task in self.tasks.iter().filter(|task| task.is_source) {
                task.activator.activate();
            }
        }
        self.observe_tasks(&context.tally, now) || flow.waits() || !self.first_record_left
    }

    /// The same for the tasks that emit by themselves.
    fn observe_tasks(&self, tally: &Tally, now: Monotonic) -> bool {
        let mut waits = false;
        for task in &self.tasks {
            let Some(own) = &task.own else { continue };
            if own.observe(tally, now) {
                task.activator.activate();
            }
            waits |= own.waits();
        }
        waits
    }
}
