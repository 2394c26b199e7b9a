//! The logical plan that a job's closure builds: operators and the streams between them.
//!
//! The closure runs once before the job starts, to check the plan, and once on every worker. It
//! must build the same plan each time; [`Plan::fingerprint`] is compared to make sure.

use std::{cell::RefCell, collections::BTreeMap, panic::Location, rc::Rc};

use futures::future::BoxFuture;
use tidegate_state::StateDeclaration;
use tidegate_types::{
    ErrorKind, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex, UserResult,
};

use crate::{
    batch::BatchType,
    context::{OperatorContext, RestoredState},
    operator::{Operator, SourceOperator},
    router::Router,
};

/// An operator's place in its plan, in the order of construction: inputs come before consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// Makes the subtask of a source.
pub type SourceFactory = Box<dyn FnOnce(OperatorContext) -> UserResult<Box<dyn SourceOperator>>>;
/// Makes the subtask of an operator.
pub type OperatorFactory = Box<dyn FnOnce(OperatorContext) -> UserResult<Box<dyn Operator>>>;
/// Tells what the program says about an operator's state. Of a plan either this is called or the
/// operator is made.
pub type DeclareState = Box<dyn FnOnce() -> UserResult<StateDeclaration>>;
/// Compares what a source names now with what the snapshot holds of it, and says how they differ.
pub type CompareSource =
    Box<dyn FnOnce(&RestoredState) -> UserResult<BoxFuture<'static, UserResult<Option<String>>>>>;
/// Makes the router of one sending subtask.
pub type RouterFactory = Box<dyn FnOnce(RouterContext) -> Box<dyn Router>>;

/// What a router is told when it starts.
#[derive(Clone, Copy, Debug)]
pub struct RouterContext {
    /// The sending subtask.
    pub sender: SubtaskIndex,
    /// How many receivers there are.
    pub parallelism: Parallelism,
    /// How many key groups there are.
    pub max_parallelism: MaxParallelism,
}

/// How a stream's records reach the subtasks of its consumer.
pub enum Partitioning {
    /// Each subtask to the one with its own index.
    Forward,
    /// Each record to one subtask, as a router decides.
    Route {
        /// What the plan's fingerprint and a person call it: `hash`, `rebalance`.
        name: &'static str,
        /// Makes the router.
        router: RouterFactory,
    },
    /// Each record to every subtask.
    Broadcast,
}

impl Partitioning {
    /// What a person calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Route { name, .. } => name,
            Self::Broadcast => "broadcast",
        }
    }
}

/// A stream from one operator into another.
pub struct Edge {
    /// The producer.
    pub from: NodeId,
    /// How its records reach the consumer's subtasks.
    pub partitioning: Partitioning,
}

/// What an operator does.
pub enum NodeKind {
    /// It has no input.
    Source(SourceFactory),
    /// It has one input or, as a union, several of one type.
    Operator(OperatorFactory),
}

/// An operator of the plan.
pub struct Node {
    /// What a person calls it: `map`, `reduce`.
    pub name: String,
    /// What its state is found by, for operators that have state.
    pub uid: Option<OperatorUid>,
    /// Where the program has made it.
    pub place: Option<&'static Location<'static>>,
    /// Whether its state is keyed.
    pub keyed: bool,
    /// Whether it makes something visible outside when a snapshot is complete: going back behind
    /// that snapshot would do so twice.
    pub commits: bool,
    /// What the program says about its state, if it has such.
    pub state: Option<DeclareState>,
    /// Of a source, how it differs from what a snapshot holds of it.
    pub compare: Option<CompareSource>,
    /// The streams it consumes.
    pub inputs: Vec<Edge>,
    /// The type of what it emits, `None` for a sink.
    pub output: Option<BatchType>,
    /// What it does.
    pub kind: NodeKind,
}

/// A plan that can't be run, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Two operators share a uid.
    #[error(
        "the uid `{uid}` is taken by two operators, `{first}` and `{second}`: give each its own"
    )]
    DuplicateUid {
        /// The uid.
        uid: OperatorUid,
        /// The name of the first operator with it.
        first: String,
        /// The name of the second one.
        second: String,
    },
    /// An operator has an empty uid.
    #[error(
        "the operator `{name}` has an empty uid: name it, so that its state can be found again"
    )]
    EmptyUid {
        /// The operator's name.
        name: String,
    },
    /// A uid that the runtime keeps for itself.
    #[error(
        "the uid `{uid}` of `{name}` begins with `_`: such uids are kept for operators without state"
    )]
    ReservedUid {
        /// The uid.
        uid: OperatorUid,
        /// The operator's name.
        name: String,
    },
    /// A uid that can't be shown as it is.
    #[error(
        "the uid {uid:?} of `{name}` holds a control character: it stands in messages, logs and \
         metrics, so it has to be text"
    )]
    UnshownUid {
        /// The uid.
        uid: String,
        /// What the operator is found by.
        name: String,
    },
    /// There is no source.
    #[error("the job has no source: begin with `env.source(uid, …)`")]
    NoSource,
}

impl PlanError {
    /// Always [`ErrorKind::Invalid`]: the program has to change.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// The operators of a job, inputs before consumers.
#[derive(Default)]
pub struct Plan {
    nodes: Vec<Node>,
}

impl Plan {
    /// Adds an operator whose inputs are there already.
    pub fn add(&mut self, node: Node) -> NodeId {
        debug_assert!(node.inputs.iter().all(|edge| edge.from.0 < self.nodes.len()));
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// The operators, in order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Takes the plan apart, in order.
    #[must_use]
    pub fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// The uid of an operator: its own, or one made from its place if it has no state.
    #[must_use]
    pub fn uid(&self, id: NodeId) -> OperatorUid {
        let node = &self.nodes[id.0];
        node.uid.clone().unwrap_or_else(|| format!("_{}-{}", node.name, id.0).into())
    }

    /// What a person finds an operator by, besides its uid: its name, and its place in the program.
    #[must_use]
    pub fn shown(&self, id: NodeId) -> String {
        let node = &self.nodes[id.0];
        match node.place {
            Some(place) => format!("{} at {}:{}", node.name, place.file(), place.line()),
            None => node.name.clone(),
        }
    }

    /// The operators whose results nobody takes.
    pub fn loose_ends(&self) -> impl Iterator<Item = NodeId> {
        let consumed = |id: NodeId| {
            self.nodes.iter().flat_map(|node| &node.inputs).any(|edge| edge.from == id)
        };
        let emits = |id: &NodeId| self.nodes[id.0].output.is_some();
        (0..self.nodes.len()).map(NodeId).filter(emits).filter(move |id| !consumed(*id))
    }

    /// Checks what can be checked before anything starts.
    ///
    /// # Errors
    ///
    /// [`PlanError`] names the operator that is wrong.
    pub fn validate(&self) -> Result<(), PlanError> {
        let mut names = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(uid) = &node.uid else { continue };
            let is_no_text = |c: char| c.is_control() && !c.is_whitespace();
            if uid.as_str().contains(is_no_text) {
                let (uid, name) = (uid.as_str().to_owned(), self.shown(NodeId(index)));
                return Err(PlanError::UnshownUid { uid, name });
            }
            if uid.as_str().trim().is_empty() {
                return Err(PlanError::EmptyUid { name: node.name.clone() });
            }
            if uid.is_generated() {
                return Err(PlanError::ReservedUid { uid: uid.clone(), name: node.name.clone() });
            }
            if let Some(first) = names.insert(uid.clone(), node.name.clone()) {
                let second = node.name.clone();
                return Err(PlanError::DuplicateUid { uid: uid.clone(), first, second });
            }
        }
        let has_source = self.nodes.iter().any(|node| matches!(node.kind, NodeKind::Source(_)));
        if has_source { Ok(()) } else { Err(PlanError::NoSource) }
    }

    /// A text that two plans share if and only if they have the same operators, uids, streams and
    /// record types: every worker must build the same plan.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut lines = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let inputs = node
                .inputs
                .iter()
                .map(|edge| format!("{}:{}", edge.from.0, edge.partitioning.name()));
            let inputs = inputs.collect::<Vec<_>>().join(",");
            let output = node.output.map_or("-", |output| output.name);
            let uid = self.uid(NodeId(index));
            lines.push_str(&format!("{index} {uid} {} [{inputs}] {output}\n", node.name));
        }
        lines
    }
}

/// A plan under construction, shared by the streams that point into it.
pub type SharedPlan = Rc<RefCell<Plan>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, uid: Option<&str>, from: Option<NodeId>, emits: bool) -> Node {
        let inputs = from.map(|from| Edge { from, partitioning: Partitioning::Forward });
        Node {
            name: name.to_owned(),
            uid: uid.map(Into::into),
            place: Some(Location::caller()),
            keyed: false,
            commits: false,
            state: None,
            compare: None,
            inputs: inputs.into_iter().collect(),
            output: emits.then(BatchType::of::<u64>),
            kind: NodeKind::Operator(Box::new(|_| Err("it is never made".into()))),
        }
    }

    #[test]
    fn streams_that_nobody_takes_are_found_with_their_place() {
        let mut plan = Plan::default();
        let source = plan.add(node("source", Some("numbers"), None, true));
        let map = plan.add(node("map", None, Some(source), true));
        plan.add(node("sink", Some("sink"), Some(source), false));
        assert_eq!(plan.loose_ends().collect::<Vec<_>>(), [map]);
        assert!(plan.shown(map).starts_with("map at "), "{}", plan.shown(map));
        assert!(plan.shown(map).contains("plan.rs:"), "{}", plan.shown(map));
        assert!(plan.shown(source).starts_with("source at "), "{}", plan.shown(source));
    }
}
