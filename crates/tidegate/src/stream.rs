//! Streams without keys.

use std::{cell::Cell, marker::PhantomData, panic::Location, rc::Rc, time::Duration};

use tidegate_core::{
    BatchType, Data, Node, NodeId, NodeKind, Operator, OperatorContext, Partitioning, Sink,
    TwoPhaseSink,
    plan::{DeclareState, Edge, SharedPlan},
    router::RebalanceRouter,
    sink::{declare_two_phase, sink_operator, two_phase_operator},
    user_code::Watch,
};
use tidegate_state::{DeclaredList, Key, StateDeclaration};
use tidegate_types::EventTime;

use crate::{
    Result,
    keyed::KeyedStream,
    operators::{
        stateless::{Filter, FlatMap, Identity, Inspect, Map},
        timestamps::{AssignTimestamps, WatermarkStrategy},
        unkeyed::{OperatorStates, UnkeyedOperator, UnkeyedProcess, declare_lists},
    },
};

/// A stream of records: what an operator emits. Cheap to clone; every clone is the same stream.
#[derive(Clone)]
pub struct Stream<T> {
    plan: SharedPlan,
    node: NodeId,
    watermark_interval: Duration,
    records: PhantomData<fn() -> T>,
}

/// What [`Stream::sink`] takes: a plain sink or a two-phase one. `Kind` tells them apart and is
/// always inferred.
#[diagnostic::on_unimplemented(
    message = "this sink does not take `{T}`",
    label = "it takes no `{T}`",
    note = "`{Self}` takes what its `Sink::Item` or `TwoPhaseSink::Item` is; `map` in front of it makes \
            that of other records"
)]
pub trait IntoSink<T, Kind> {
    /// Makes one subtask of the sink.
    ///
    /// # Errors
    ///
    /// What prevents it.
    fn into_operator(self, context: &OperatorContext) -> Result<Box<dyn Operator>>;

    /// The lists that it keeps in snapshots.
    ///
    /// # Errors
    ///
    /// When their items could be written and not read back.
    fn lists(&self) -> Result<Vec<DeclaredList>> {
        Ok(Vec::new())
    }

    /// Whether it makes something visible when a snapshot is complete.
    fn commits(&self) -> bool {
        false
    }
}

/// Marks plain sinks.
pub enum Plain {}

/// Marks two-phase sinks.
pub enum TwoPhase {}

#[diagnostic::do_not_recommend]
impl<S: Sink> IntoSink<S::Item, Plain> for S {
    fn into_operator(self, context: &OperatorContext) -> Result<Box<dyn Operator>> {
        sink_operator(&self, context)
    }
}

#[diagnostic::do_not_recommend]
impl<S: TwoPhaseSink> IntoSink<S::Item, TwoPhase> for S {
    fn into_operator(self, context: &OperatorContext) -> Result<Box<dyn Operator>> {
        two_phase_operator(self, context)
    }

    fn lists(&self) -> Result<Vec<DeclaredList>> {
        declare_two_phase::<S>()
    }

    fn commits(&self) -> bool {
        true
    }
}

impl<T: Data> Stream<T> {
    pub(crate) fn new(plan: &SharedPlan, node: NodeId, watermark_interval: Duration) -> Self {
        Self { plan: Rc::clone(plan), node, watermark_interval, records: PhantomData }
    }

    /// Each record made into another.
    #[track_caller]
    pub fn map<U: Data>(&self, function: impl FnMut(T) -> Result<U> + 'static) -> Stream<U> {
        self.then("map", None, |context| {
            Ok(Box::new(Map::new(function, Watch::new(&context.telling))))
        })
    }

    /// Those records for which `function` says so.
    #[track_caller]
    pub fn filter(&self, function: impl FnMut(&T) -> Result<bool> + 'static) -> Stream<T> {
        self.then("filter", None, |_| Ok(Box::new(Filter::new(function))))
    }

    /// Each record made into any number of others.
    #[track_caller]
    pub fn flat_map<U: Data, I: IntoIterator<Item = U> + 'static>(
        &self,
        function: impl FnMut(T) -> Result<I> + 'static,
    ) -> Stream<U> {
        self.then("flat_map", None, |context| {
            Ok(Box::new(FlatMap::new(function, Watch::new(&context.telling))))
        })
    }

    /// The same records, each shown to `function`.
    #[track_caller]
    pub fn inspect(&self, function: impl FnMut(&T) -> Result<()> + 'static) -> Stream<T> {
        self.then("inspect", None, |_| Ok(Box::new(Inspect::new(function))))
    }

    /// The records of this and all `others`.
    #[track_caller]
    pub fn union(&self, others: &[&Stream<T>]) -> Stream<T> {
        let all = std::iter::once(self).chain(others.iter().copied());
        let inputs =
            all.map(|stream| Edge { from: stream.node, partitioning: Partitioning::Forward });
        let inputs = inputs.collect();
        self.add("union", None, None, inputs, |_| Ok(Box::new(Identity::<T>::default())))
    }

    /// The same records, spread evenly over all subtasks.
    #[track_caller]
    pub fn rebalance(&self) -> Stream<T> {
        let router = Box::new(|context: tidegate_core::plan::RouterContext| {
            let first = context.sender.get() as usize;
            Box::new(RebalanceRouter::new(first, context.parallelism)) as _
        });
        let partitioning = Partitioning::Route { name: "rebalance", router };
        let inputs = vec![Edge { from: self.node, partitioning }];
        self.add("rebalance", None, None, inputs, |_| Ok(Box::new(Identity::<T>::default())))
    }

    /// The same records, each to every subtask.
    #[track_caller]
    pub fn broadcast(&self) -> Stream<T> {
        let inputs = vec![Edge { from: self.node, partitioning: Partitioning::Broadcast }];
        self.add("broadcast", None, None, inputs, |_| Ok(Box::new(Identity::<T>::default())))
    }

    /// The stream by keys: all records of a key reach the same subtask, which keeps the key's state.
    #[track_caller]
    pub fn key_by<K, F>(&self, select: F) -> KeyedStream<K, T, F>
    where
        K: Key,
        F: Fn(&T) -> K + Clone + 'static,
    {
        KeyedStream::new(self.clone(), select, Location::caller())
    }

    /// Gives each record the event time that `extract` finds in it, and the stream watermarks.
    #[track_caller]
    pub fn assign_timestamps(
        &self,
        strategy: WatermarkStrategy,
        extract: impl FnMut(&T) -> Result<EventTime> + 'static,
    ) -> Stream<T> {
        let interval = self.watermark_interval;
        self.then("assign_timestamps", None, move |context| {
            Ok(Box::new(AssignTimestamps::new(extract, strategy, interval, context.clock)))
        })
    }

    /// Processes records with state that belongs to the subtask, not to a key: lists, which are
    /// split or united when the parallelism changes. `make` declares them and makes
    /// the function; it runs once per subtask, and once before to see the states.
    #[track_caller]
    pub fn process_unkeyed<P: UnkeyedProcess<T>>(
        &self,
        uid: &str,
        make: impl FnOnce(&mut OperatorStates) -> Result<P> + 'static,
    ) -> Stream<P::Out> {
        // Either the states are declared to be looked at, or the operator is made.
        let make = Rc::new(Cell::new(Some(make)));
        let to_declare = Rc::clone(&make);
        let declare = move || match to_declare.take() {
            Some(make) => declare_lists(make),
            None => Err("the operator has been made already".into()),
        };
        let inputs = vec![Edge { from: self.node, partitioning: Partitioning::Forward }];
        let state: Option<DeclareState> = Some(Box::new(declare));
        self.add("process_unkeyed", Some(uid), state, inputs, move |context| {
            let make = make.take().ok_or("the states have been declared already")?;
            Ok(Box::new(UnkeyedOperator::new(&context, make)?))
        })
    }

    /// Writes the stream into `sink`. What is not committed yet is found again by `uid`.
    #[track_caller]
    pub fn sink<Kind: 'static>(&self, uid: &str, sink: impl IntoSink<T, Kind> + 'static) {
        let (lists, commits) = (sink.lists(), sink.commits());
        self.plan.borrow_mut().add(Node {
            name: "sink".to_owned(),
            uid: Some(uid.into()),
            place: Some(Location::caller()),
            keyed: false,
            commits,
            compare: None,
            state: Some(Box::new(move || Ok(StateDeclaration { keyed: None, lists: lists? }))),
            inputs: vec![Edge { from: self.node, partitioning: Partitioning::Forward }],
            output: None,
            kind: NodeKind::Operator(Box::new(move |context| sink.into_operator(&context))),
        });
    }

    /// An operator behind this one, in the same subtask.
    #[track_caller]
    fn then<U: Data>(
        &self,
        name: &str,
        uid: Option<&str>,
        make: impl FnOnce(OperatorContext) -> Result<Box<dyn Operator>> + 'static,
    ) -> Stream<U> {
        let inputs = vec![Edge { from: self.node, partitioning: Partitioning::Forward }];
        self.add(name, uid, None, inputs, make)
    }

    /// An operator behind `inputs`.
    #[track_caller]
    pub(crate) fn add<U: Data>(
        &self,
        name: &str,
        uid: Option<&str>,
        state: Option<DeclareState>,
        inputs: Vec<Edge>,
        make: impl FnOnce(OperatorContext) -> Result<Box<dyn Operator>> + 'static,
    ) -> Stream<U> {
        let is_hashed = |edge: &Edge| edge.partitioning.name() == "hash";
        let inputs_are_keyed = inputs.iter().any(is_hashed);
        let node = self.plan.borrow_mut().add(Node {
            name: name.to_owned(),
            uid: uid.map(Into::into),
            place: Some(Location::caller()),
            keyed: inputs_are_keyed,
            commits: false,
            compare: None,
            state,
            inputs,
            output: Some(BatchType::of::<U>()),
            kind: NodeKind::Operator(Box::new(make)),
        });
        Stream::new(&self.plan, node, self.watermark_interval)
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }
}

impl<T: Data> Stream<tidegate_connectors::files::Parsed<T>> {
    /// The records that could be read, and those that could not.
    #[track_caller]
    pub fn split_dead_letters(
        &self,
    ) -> (Stream<T>, Stream<tidegate_connectors::files::DeadLetter>) {
        use tidegate_connectors::files::Parsed;
        let good = self.flat_map(|parsed| {
            Ok(match parsed {
                Parsed::Good(record) => Some(record),
                Parsed::Bad(_) => None,
            })
        });
        let bad = self.flat_map(|parsed| {
            Ok(match parsed {
                Parsed::Good(_) => None,
                Parsed::Bad(letter) => Some(letter),
            })
        });
        (good, bad)
    }
}
