//! Streams by keys.

use std::{cell::Cell, marker::PhantomData, panic::Location, rc::Rc};

use tidegate_core::{
    Data, Operator, OperatorContext, Partitioning,
    plan::{Edge, RouterContext},
    router::KeyRouter,
    selector::KeySelector,
};
use tidegate_state::{AggregateFunction, Key, KeyedDeclaration, StateDeclaration, StateValue};

use crate::{
    Result,
    operators::{
        fold::{Aggregate, FoldOperator, Reduce, declare_single},
        process::{KeyedProcess, ProcessOperator, States, declare_states},
    },
    stream::Stream,
};

/// A stream whose records each have a key, which `F` selects. State belongs to a key.
#[derive(Clone)]
pub struct KeyedStream<K, T, F> {
    stream: Stream<T>,
    select: F,
    /// Where the program has the selector.
    place: &'static Location<'static>,
    key: PhantomData<fn() -> K>,
}

impl<K, T: Data, F> KeyedStream<K, T, F> {
    pub(crate) fn new(stream: Stream<T>, select: F, place: &'static Location<'static>) -> Self {
        Self { stream, select, place, key: PhantomData }
    }
}

impl<K: Key, T: Data, F: Fn(&T) -> K + Clone + 'static> KeyedStream<K, T, F> {
    /// The running result of `reduce` for each key: the first record of a key is its first value,
    /// each later one is reduced into it, and the new value is emitted for every record.
    #[track_caller]
    pub fn reduce(&self, uid: &str, reduce: impl Fn(&mut T, T) -> Result<()> + 'static) -> Stream<T>
    where
        T: StateValue,
    {
        let selector = self.selector(uid);
        let declare = || declare_single::<K, T>("value");
        self.then("reduce", uid, declare, move |context| {
            Ok(Box::new(FoldOperator::new("value", selector, Reduce(reduce), &context)?))
        })
    }

    /// The running result of `function` for each key, emitted with the key for every record.
    #[track_caller]
    pub fn aggregate<A>(&self, uid: &str, function: A) -> Stream<(K, A::Out)>
    where
        A: AggregateFunction<T>,
        A::Out: Data,
    {
        let selector = self.selector(uid);
        let declare = || declare_single::<K, A::Acc>("accumulator");
        self.then("aggregate", uid, declare, move |context| {
            Ok(Box::new(FoldOperator::new("accumulator", selector, Aggregate(function), &context)?))
        })
    }

    /// Processes records with any number of states by key, and timers. `make` declares the states
    /// and makes the function; it runs once per subtask, and once before to see the states.
    #[track_caller]
    pub fn process<P: KeyedProcess<K, T>>(
        &self,
        uid: &str,
        make: impl FnOnce(&mut States<'_, K>) -> Result<P> + 'static,
    ) -> Stream<P::Out> {
        let selector = self.selector(uid);
        // Either the states are declared to be looked at, or the operator is made.
        let make = Rc::new(Cell::new(Some(make)));
        let to_declare = Rc::clone(&make);
        let declare = move || match to_declare.take() {
            Some(make) => declare_states(make),
            None => Err("the operator has been made already".into()),
        };
        self.then("process", uid, declare, move |context| {
            let make = make.take().ok_or("the states have been declared already")?;
            Ok(Box::new(ProcessOperator::new(selector, make, context)?))
        })
    }

    fn selector(&self, uid: &str) -> KeySelector<F> {
        KeySelector::new(self.select.clone(), uid.into(), self.place)
    }

    /// An operator behind the exchange by key group.
    #[track_caller]
    fn then<U: Data>(
        &self,
        name: &str,
        uid: &str,
        declare: impl FnOnce() -> Result<KeyedDeclaration> + 'static,
        make: impl FnOnce(OperatorContext) -> Result<Box<dyn Operator>> + 'static,
    ) -> Stream<U> {
        let selector = self.selector(uid);
        let router = Box::new(move |context: RouterContext| {
            Box::new(KeyRouter::new(selector, context.parallelism, context.max_parallelism)) as _
        });
        let partitioning = Partitioning::Route { name: "hash", router };
        let inputs = vec![Edge { from: self.stream.node(), partitioning }];
        let state = || Ok(StateDeclaration { keyed: Some(declare()?), lists: Vec::new() });
        self.stream.add(name, Some(uid), Some(Box::new(state)), inputs, make)
    }
}
