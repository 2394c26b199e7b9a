//! From the logical plan to tasks: which operators share a Timely operator.
//!
//! Operators that a forward stream connects one to one are chained into one *task* and call each
//! other directly, as in Flink. Between tasks lie Timely edges. A union, an exchange and a stream
//! with several consumers end a chain.

use tidegate_core::{
    BatchType, Node, NodeId, NodeKind, Partitioning, Plan,
    plan::{DeclareState, OperatorFactory, SourceFactory},
};
use tidegate_types::OperatorUid;

/// A task's place among those of its job, inputs before consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskId(pub(crate) usize);

/// An operator of a chain, not yet made.
pub(crate) struct ChainLink<F> {
    pub(crate) uid: OperatorUid,
    pub(crate) name: String,
    /// What a person finds it by.
    pub(crate) shown: String,
    pub(crate) keyed: bool,
    pub(crate) commits: bool,
    pub(crate) state: Option<DeclareState>,
    pub(crate) factory: F,
}

/// A stream into a task.
pub(crate) struct TaskInput {
    pub(crate) from: TaskId,
    pub(crate) partitioning: Partitioning,
    pub(crate) batch_type: BatchType,
}

/// Operators that share a Timely operator.
pub(crate) struct Task {
    /// There if the task begins with a source.
    pub(crate) source: Option<ChainLink<SourceFactory>>,
    /// The operators behind, in order.
    pub(crate) chain: Vec<ChainLink<OperatorFactory>>,
    pub(crate) inputs: Vec<TaskInput>,
    /// Whether no task consumes what it emits.
    pub(crate) is_last: bool,
}

impl Task {
    /// What a person calls it: `source -> map -> filter`.
    pub(crate) fn name(&self) -> String {
        let source = self.source.iter().map(|link| link.name.as_str());
        let chain = self.chain.iter().map(|link| link.name.as_str());
        source.chain(chain).collect::<Vec<_>>().join(" -> ")
    }
}

/// Cuts a plan into tasks, inputs before consumers.
pub(crate) fn tasks(plan: Plan) -> Vec<Task> {
    let uids = (0..plan.nodes().len()).map(|index| plan.uid(NodeId(index))).collect::<Vec<_>>();
    let shown = (0..plan.nodes().len()).map(|index| plan.shown(NodeId(index)));
    let shown = shown.collect::<Vec<_>>();
    let consumers = consumer_counts(plan.nodes());
    let mut tasks: Vec<Task> = Vec::new();
    let mut task_of: Vec<TaskId> = Vec::new();
    let mut types: Vec<Option<BatchType>> = Vec::new();
    for ((node, uid), shown) in plan.into_nodes().into_iter().zip(uids).zip(shown) {
        let chained_to = chained_to(&node, &consumers).map(|from| task_of[from.0]);
        types.push(node.output);
        let Node { name, keyed, commits, state, inputs, kind, .. } = node;
        let task = match kind {
            NodeKind::Source(factory) => {
                let source = Some(ChainLink { uid, name, shown, keyed, commits, state, factory });
                tasks.push(Task { source, chain: Vec::new(), inputs: Vec::new(), is_last: true });
                TaskId(tasks.len() - 1)
            }
            NodeKind::Operator(factory) => {
                let link = ChainLink { uid, name, shown, keyed, commits, state, factory };
                let task = chained_to.unwrap_or_else(|| {
                    let inputs = inputs.into_iter().map(|edge| {
                        let from = task_of[edge.from.0];
                        tasks[from.0].is_last = false;
                        let batch_type = types[edge.from.0].expect("only what emits is consumed");
                        TaskInput { from, partitioning: edge.partitioning, batch_type }
                    });
                    let inputs = inputs.collect();
                    tasks.push(Task { source: None, chain: Vec::new(), inputs, is_last: true });
                    TaskId(tasks.len() - 1)
                });
                tasks[task.0].chain.push(link);
                task
            }
        };
        task_of.push(task);
    }
    tasks
}

fn consumer_counts(nodes: &[Node]) -> Vec<usize> {
    let mut counts = vec![0; nodes.len()];
    for edge in nodes.iter().flat_map(|node| &node.inputs) {
        counts[edge.from.0] += 1;
    }
    counts
}

/// The operator whose chain this one joins, if it may.
fn chained_to(node: &Node, consumers: &[usize]) -> Option<NodeId> {
    match node.inputs.as_slice() {
        [edge] if matches!(edge.partitioning, Partitioning::Forward) => {
            (consumers[edge.from.0] == 1).then_some(edge.from)
        }
        _ => None,
    }
}
