//! From tasks to Timely operators.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc, task::Waker};

use tidegate_checkpoint::alignment::Guarantee;
use tidegate_core::{
    Duties, OperatorContext, Partitioning, Plan,
    plan::{RouterContext, SharedPlan},
    user_code::caught,
};
use tidegate_types::{OperatorUid, SubtaskIndex, UserResult};
use timely::{
    communication::Pull,
    dataflow::{
        Scope, Stream,
        channels::{
            Message,
            pact::{DistributorPact, Pipeline},
            pushers,
        },
        operators::generic::{InputHandleCore, builder_rc::OperatorBuilder},
    },
    progress::operate::FrontierInterest,
    scheduling::Activator,
    worker::Worker,
};

use super::{Dataflow, WorkerSpec};
use crate::{
    exchange::{PacketDistributor, Spread},
    flow::FlowControl,
    graph::{Task, TaskId, TaskInput, tasks},
    in_flight::{Lane, Tally},
    packet::Packet,
    reckoning,
    task::{
        Mailbox, TaskError, TaskHandle, TaskReport, TaskWaker, WorkerContext,
        alarm::Alarm,
        chain::Chain,
        input::Received,
        operator::{OperatorParts, OperatorTask},
        outlet::{Outlet, Session},
        own::OwnFlow,
        reached::Found,
        source::{SourceParts, SourceTask},
    },
};

/// Builds the plan and the dataflow for it; also returns what wakes this worker.
pub(super) fn dataflow(
    worker: &mut Worker,
    spec: &WorkerSpec,
    context: &Rc<WorkerContext>,
) -> Result<(Dataflow, Waker), TaskError> {
    let tasks = tasks(plan_of(&spec.build)?);
    let waker_path = worker.sync_activator_for(vec![worker.next_dataflow_index()]);
    let waker = Waker::from(Arc::new(TaskWaker(waker_path)));
    let dataflow = worker.dataflow_named::<(), _, _>(&spec.name, |scope| {
        let mut builder = Builder::new(scope, spec, context);
        builder.alarms.extend(reckoning::build(scope, &spec.in_flight, &spec.clock));
        builder.receivers = receivers(&tasks, context.peers);
        for (index, task) in tasks.into_iter().enumerate() {
            builder.add(TaskId(index), task);
        }
        builder.finish()
    });
    dataflow.map(|dataflow| (dataflow, waker))
}

struct Builder<'scope, 'spec> {
    scope: Scope<'scope, ()>,
    spec: &'spec WorkerSpec,
    context: Rc<WorkerContext>,
    streams: HashMap<TaskId, Stream<'scope, (), Packet>>,
    /// How many receive each record that a task sends.
    receivers: Vec<u64>,
    handles: Vec<TaskHandle>,
    alarms: Vec<Alarm>,
    /// The first thing that went wrong. The dataflow is built to its end all the same, since
    /// Timely wants its shape whole, and then dropped.
    error: Option<TaskError>,
}

/// A task's receiving end of one edge.
type Drain = Box<dyn FnMut(&mut dyn FnMut(&mut Packet))>;

impl<'scope, 'spec> Builder<'scope, 'spec> {
    fn new(scope: Scope<'scope, ()>, spec: &'spec WorkerSpec, context: &Rc<WorkerContext>) -> Self {
        Self {
            scope,
            spec,
            context: Rc::clone(context),
            streams: HashMap::new(),
            receivers: Vec::new(),
            handles: Vec::new(),
            alarms: Vec::new(),
            error: None,
        }
    }

    fn add(&mut self, id: TaskId, task: Task) {
        let mut builder = OperatorBuilder::new(task.name(), self.scope);
        let address = builder.operator_info().address;
        let activator = self.scope.worker().activator_for(Rc::clone(&address));
        let waker = self.scope.worker().sync_activator_for(address.to_vec());
        let waker = Waker::from(Arc::new(TaskWaker(waker)));
        let mailbox = Rc::new(RefCell::new(Mailbox::default()));
        let is_source = task.source.is_some();
        let batch_types = task.inputs.iter().map(|input| input.batch_type).collect::<Vec<_>>();
        let mut inputs = Vec::new();
        let mut channels = Vec::new();
        for (index, input) in task.inputs.into_iter().enumerate() {
            let all = !matches!(input.partitioning, Partitioning::Forward);
            channels.push(if all { self.context.peers } else { 1 });
            inputs.push(self.add_input(&mut builder, input));
            builder.set_notify_for(index, FrontierInterest::Never);
        }
        let (output, stream) = builder.new_output::<Packet>();
        self.streams.insert(id, stream);
        let alarm = Alarm::new(activator.clone());
        self.alarms.push(alarm.clone());
        let found = Found::default();
        let for_operator = |uid: &OperatorUid| {
            let mut context = self.operator_context(id, uid, &waker)?;
            found.take_from(&mut context)?;
            Ok(context)
        };
        let chain = Chain::new(task.chain, &for_operator, Arc::clone(&self.context.clock));
        let (handle_activator, again) = (activator.clone(), activator);
        let (context, handle_mailbox) = (Rc::clone(&self.context), Rc::clone(&mailbox));
        let emits_by_itself = chain.as_ref().is_ok_and(|chain| !chain.is_passive());
        let own = (emits_by_itself && !is_source).then(|| self.own_flow(id));
        let parts_own = own.clone();
        let tally = self.context.tally.clone();
        let outlet = Outlet::new(self.context.worker, tally.clone(), self.receivers[id.0]);
        let built = match (task.source, chain) {
            (_, Err(error)) => Err(error),
            (Some(link), Ok(chain)) => {
                let operator_context = &for_operator;
                SourceTask::new(SourceParts {
                    id,
                    link,
                    chain,
                    outlet,
                    context,
                    mailbox,
                    alarm,
                    operator_context,
                    found: &found,
                })
                .map(|task| Runner::Source(Box::new(task)))
            }
            (None, Ok(chain)) => {
                let guarantee = if self.spec.exactly_once {
                    Guarantee::ExactlyOnce
                } else {
                    Guarantee::AtLeastOnce
                };
                let count = channels.iter().sum();
                let parts = OperatorParts {
                    id,
                    chain,
                    outlet,
                    context,
                    mailbox,
                    alarm,
                    own: parts_own,
                    channels: count,
                    batch_types,
                    guarantee,
                    reached: found.reached(),
                };
                Ok(Runner::Operator(Box::new(OperatorTask::new(parts))))
            }
        };
        let runner = built.map_err(|error| _ = self.error.get_or_insert(error)).ok();
        let handle =
            TaskHandle { mailbox: handle_mailbox, activator: handle_activator, is_source, own };
        self.handles.push(handle);
        install(builder, runner, Inputs::new(inputs, &channels, tally), output, again);
    }

    fn own_flow(&self, id: TaskId) -> OwnFlow {
        let lane = Lane::of_task(id, self.context.worker, self.context.peers);
        OwnFlow::new(lane, FlowControl::new(self.spec.debloat_target, self.context.now()))
    }

    fn add_input(&self, builder: &mut OperatorBuilder<'scope, ()>, input: TaskInput) -> Drain {
        let stream = self.streams[&input.from].clone();
        let sender = self.context.worker as u32;
        let spread = match input.partitioning {
            Partitioning::Forward => return drain(builder.new_input(stream, Pipeline)),
            Partitioning::Broadcast => Spread::Broadcast,
            Partitioning::Route { router, .. } => Spread::Route(router(RouterContext {
                sender: SubtaskIndex(sender),
                parallelism: self.spec.parallelism,
                max_parallelism: self.spec.max_parallelism,
            })),
        };
        let pact = DistributorPact(move |_peers| PacketDistributor::new(sender, spread));
        drain(builder.new_input(stream, pact))
    }

    fn operator_context(
        &self,
        task: TaskId,
        uid: &OperatorUid,
        waker: &Waker,
    ) -> UserResult<OperatorContext> {
        let subtask = SubtaskIndex(self.context.worker as u32);
        let spec = self.spec;
        Ok(OperatorContext {
            uid: uid.clone(),
            subtask,
            parallelism: spec.parallelism,
            max_parallelism: spec.max_parallelism,
            job: spec.job,
            attempt: spec.attempt,
            attempt_token: spec.attempt_token,
            allow_lost_output: spec.allow_lost_output,
            leaves_output: spec.leaves_output,
            check_keys: spec.check_keys,
            superseded: spec.superseded.clone(),
            restored: spec.restored.state_of(uid, subtask)?,
            tokio: spec.tokio.clone(),
            duties: self.duties(task, uid),
            waker: waker.clone(),
            clock: Arc::clone(&spec.clock),
            telling: self.context.telling.clone(),
        })
    }

    /// The process runs an operator's duties, and is not over before they are (INV-QUIET).
    fn duties(&self, task: TaskId, uid: &OperatorUid) -> Duties {
        let (worker, reports) = (self.context.worker, self.context.reports.clone());
        let uid = uid.clone();
        Duties::new(move |duty| {
            // Nobody takes it over when the attempt is being torn down, and then it never begins.
            let _ = reports.send((task, worker, TaskReport::Duty(uid.clone(), duty)));
        })
    }

    fn finish(self) -> Result<Dataflow, TaskError> {
        match self.error {
            Some(error) => Err(error),
            None => {
                Ok(Dataflow { tasks: self.handles, alarms: self.alarms, first_record_left: false })
            }
        }
    }
}

/// How many receive each record that a task sends.
fn receivers(tasks: &[Task], peers: usize) -> Vec<u64> {
    let mut receivers = vec![0; tasks.len()];
    for input in tasks.iter().flat_map(|task| &task.inputs) {
        let is_broadcast = matches!(input.partitioning, Partitioning::Broadcast);
        receivers[input.from.0] += if is_broadcast { peers as u64 } else { 1 };
    }
    receivers
}

/// Hides which kind of edge it is.
fn drain<P: Pull<Message<(), Packet>> + 'static>(
    mut input: InputHandleCore<(), Packet, P>,
) -> Drain {
    Box::new(move |take| input.for_each(|_no_claim, packet| take(packet)))
}

/// A task's receiving ends, with the number of the first channel of each.
struct Inputs {
    drains: Vec<(Drain, usize)>,
    /// Whether each has one channel per worker, or one alone.
    shared: Vec<bool>,
    tally: Tally,
}

impl Inputs {
    fn new(drains: Vec<Drain>, channels: &[usize], tally: Tally) -> Self {
        let firsts = channels.iter().scan(0, |next, count| {
            let first = *next;
            *next += count;
            Some(first)
        });
        let shared = channels.iter().map(|count| *count > 1).collect();
        Self { drains: drains.into_iter().zip(firsts).collect(), shared, tally }
    }

    fn receive(&mut self, task: &mut OperatorTask) {
        for (input, (drain, first)) in self.drains.iter_mut().enumerate() {
            let (shared, tally) = (self.shared[input], &self.tally);
            drain(&mut |packet| {
                let sender = if shared { packet.sender as usize } else { 0 };
                let body = std::mem::take(&mut packet.body);
                let held = tally.hold(packet.account, body.records());
                task.receive(Received { channel: *first + sender, input, held, body });
            });
        }
    }
}

/// A task of either kind.
enum Runner {
    Source(Box<SourceTask>),
    Operator(Box<OperatorTask>),
}

/// Gives the task to Timely.
fn install(
    builder: OperatorBuilder<'_, ()>,
    mut runner: Option<Runner>,
    mut inputs: Inputs,
    mut output: pushers::Output<(), Packet>,
    again: Activator,
) {
    builder.build_reschedule(move |capabilities| {
        move |_frontiers| {
            // Kept for as long as there is the dataflow, so that no frontier ever moves: what is sent
            // makes no claim about progress, and there is none to be told.
            let _kept = &capabilities;
            let mut session: Session<'_> = output.activate();
            let wants_more = match &mut runner {
                Some(Runner::Source(task)) => task.run(&mut session),
                Some(Runner::Operator(task)) => {
                    inputs.receive(task);
                    task.run(&mut session)
                }
                None => false,
            };
            if wants_more {
                again.activate();
            }
            // A task is never complete in Timely's eyes, which would drop it: when all its input
            // has ended it still has snapshots to take and commits to make.
            true
        }
    });
}

/// The plan that `build` makes, for a look before anything starts.
///
/// # Errors
///
/// What the user's closure reports.
pub(crate) fn plan_of(build: &crate::api::BuildPlan) -> Result<Plan, TaskError> {
    let plan = SharedPlan::default();
    caught(|| build(&plan)).map_err(TaskError::from)?;
    Ok(Rc::try_unwrap(plan).map_or_else(|shared| shared.take(), RefCell::into_inner))
}
