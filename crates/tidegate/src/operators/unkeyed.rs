//! Functions with state that belongs to a subtask, not to a key.

use std::marker::PhantomData;

use tidegate_core::{
    Batch, Data, ErasedBatch, Operator, OperatorContext, OperatorSnapshot, Output, batch::typed,
    user_code::Watch,
};
use tidegate_state::{
    OperatorBackend, OperatorListState, Redistribution, StateDeclaration, StateName, StateValue,
};
use tidegate_types::{Barrier, EventTime};
use tracing::warn;

use super::emitted::Emitted;
use crate::Result;

/// Declares the states of a function without keys, by name. A name may be used once.
pub struct OperatorStates {
    backend: OperatorBackend,
    /// What the next state was called before.
    was: Option<String>,
}

impl OperatorStates {
    /// Declares a list. When the parallelism changes its items are spread as `redistribution` says:
    /// evenly over all subtasks, or all of them to each.
    ///
    /// # Errors
    ///
    /// When the name is taken, or the snapshot's items are of another type.
    pub fn list<V: StateValue>(
        &mut self,
        name: &str,
        redistribution: Redistribution,
    ) -> Result<OperatorListState<V>> {
        let name = StateName { name: name.to_owned(), was: self.was.take() };
        Ok(self.backend.list_state(name, redistribution)?)
    }

    /// Says what the state that is declared next was called in older snapshots: it is restored from
    /// that one if they do not have its own.
    ///
    /// ```
    /// use tidegate::{OperatorListState, OperatorStates, Redistribution};
    /// fn declare(states: &mut OperatorStates) -> tidegate::Result<OperatorListState<u32>> {
    ///     states.was("seen").list("known", Redistribution::Split)
    /// }
    /// ```
    pub fn was(&mut self, name: &str) -> &mut Self {
        self.was = Some(name.to_owned());
        self
    }
}

/// A function over records without keys.
pub trait UnkeyedProcess<In>: 'static {
    /// What it emits.
    type Out: Data;

    /// Takes in a record.
    ///
    /// # Errors
    ///
    /// Anything; it fails the attempt, with the operator's uid in the message.
    fn on_record(&mut self, record: In, context: &mut UnkeyedContext<'_, Self::Out>) -> Result<()>;
}

/// What a function without keys can do besides its state.
pub struct UnkeyedContext<'a, Out> {
    out: &'a mut Emitted<Out>,
    timestamp: Option<EventTime>,
}

impl<Out: Data> UnkeyedContext<'_, Out> {
    /// The record's event time, if the stream has any.
    #[must_use]
    pub fn timestamp(&self) -> Option<EventTime> {
        self.timestamp
    }

    /// Emits a record, with the current event time if there is one.
    pub fn emit(&mut self, record: Out) {
        self.out.push(record, self.timestamp);
    }

    /// Emits a record with an event time of its own.
    pub fn emit_at(&mut self, record: Out, time: EventTime) {
        self.out.push(record, Some(time));
    }
}

/// What `make` declares, without a job.
pub(crate) fn declare_lists<P>(
    make: impl FnOnce(&mut OperatorStates) -> Result<P>,
) -> Result<StateDeclaration> {
    let mut states = OperatorStates { backend: OperatorBackend::new(Vec::new()), was: None };
    make(&mut states)?;
    Ok(StateDeclaration { keyed: None, lists: states.backend.declaration()? })
}

/// One subtask of a function without keys.
pub(crate) struct UnkeyedOperator<T, P: UnkeyedProcess<T>> {
    function: P,
    watch: Watch,
    states: OperatorStates,
    out: Emitted<P::Out>,
    types: PhantomData<fn(T)>,
}

impl<T, P: UnkeyedProcess<T>> UnkeyedOperator<T, P> {
    pub(crate) fn new(
        context: &OperatorContext,
        make: impl FnOnce(&mut OperatorStates) -> Result<P>,
    ) -> Result<Self> {
        let backend = OperatorBackend::new(context.restored.lists.clone());
        let mut states = OperatorStates { backend, was: None };
        let function = make(&mut states)?;
        for name in states.backend.undeclared() {
            warn!(operator = %context.uid, state = name, "the program does not declare this state any more; it is dropped");
        }
        let (watch, out) = (Watch::new(&context.telling), Emitted::default());
        Ok(Self { function, watch, states, out, types: PhantomData })
    }
}

impl<T: Data, P: UnkeyedProcess<T>> Operator for UnkeyedOperator<T, P> {
    fn is_passive(&self) -> bool {
        true
    }

    fn on_batch(&mut self, batch: ErasedBatch, out: &mut dyn Output) -> Result<()> {
        let Batch { records, times } = typed::<T>(batch);
        let mut times = times.map(Vec::into_iter);
        self.watch.over_owned(records, |records, mut cursor| {
            for record in records {
                cursor.advance();
                let timestamp = times.as_mut().and_then(Iterator::next);
                let mut context = UnkeyedContext { out: &mut self.out, timestamp };
                self.function.on_record(record, &mut context)?;
                self.out.hand_on(out)?;
            }
            Ok(())
        })?;
        self.out.flush(out)
    }

    fn snapshot(&mut self, _barrier: Barrier) -> Result<OperatorSnapshot> {
        let lists = self.states.backend.snapshot()?;
        Ok(OperatorSnapshot { lists, ..OperatorSnapshot::default() })
    }
}
