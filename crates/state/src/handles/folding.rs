//! States that fold what is added: into a value of the same type, or into an accumulator.

use tidegate_types::UserResult;

use crate::{StateValue, handles::ValueState};

/// How to fold values into an accumulator and make a result of it (Flink's `AggregateFunction`).
pub trait AggregateFunction<In>: 'static {
    /// What is kept.
    type Acc: StateValue;
    /// What comes out.
    type Out;

    /// The accumulator before the first value.
    fn create(&self) -> Self::Acc;

    /// Takes in a value.
    ///
    /// # Errors
    ///
    /// What the user's code reports; it fails the attempt.
    fn add(&self, accumulator: &mut Self::Acc, value: In) -> UserResult<()>;

    /// What the values so far amount to.
    ///
    /// # Errors
    ///
    /// What the user's code reports; it fails the attempt.
    fn result(&self, accumulator: &Self::Acc) -> UserResult<Self::Out>;

    /// Puts two accumulators together, for windows that merge.
    ///
    /// # Errors
    ///
    /// What the user's code reports; it fails the attempt. Unless it is overridden: that the
    /// function can't merge.
    fn merge(&self, into: &mut Self::Acc, other: Self::Acc) -> UserResult<()> {
        let _ = (into, other);
        Err(format!("{} does not implement `merge`", std::any::type_name::<Self>()).into())
    }
}

/// A reduce function: puts two values together.
type Reduce<V> = Box<dyn Fn(V, V) -> UserResult<V>>;

/// One value per key, which is all that was added, reduced.
pub struct ReducingState<V> {
    pub(crate) value: ValueState<V>,
    pub(crate) reduce: Reduce<V>,
}

impl<V: StateValue> ReducingState<V> {
    /// Reduces `value` into the current key's.
    ///
    /// # Errors
    ///
    /// What the reduce function reports; the current key has no value then.
    pub fn add(&mut self, value: V) -> UserResult<()> {
        let value = match self.value.take() {
            Some(before) => (self.reduce)(before, value)?,
            None => value,
        };
        self.value.set(value);
        Ok(())
    }

    /// The current key's value, `None` if nothing was added.
    #[must_use]
    pub fn get(&self) -> Option<V> {
        self.value.get()
    }

    /// Removes the current key's value.
    pub fn clear(&mut self) {
        self.value.clear();
    }
}

/// An accumulator per key, in which all that was added is aggregated by `A`.
pub struct AggregatingState<A, In>
where
    A: AggregateFunction<In>,
{
    pub(crate) accumulator: ValueState<A::Acc>,
    pub(crate) function: A,
}

impl<In, A: AggregateFunction<In>> AggregatingState<A, In> {
    /// Aggregates `value` into the current key's accumulator.
    ///
    /// # Errors
    ///
    /// What the aggregate function reports.
    pub fn add(&mut self, value: In) -> UserResult<()> {
        let function = &self.function;
        self.accumulator
            .modify_or(|| function.create(), |accumulator| function.add(accumulator, value))
    }

    /// What the current key's values amount to, `None` if nothing was added.
    ///
    /// # Errors
    ///
    /// What the aggregate function reports.
    pub fn get(&self) -> UserResult<Option<A::Out>> {
        self.accumulator
            .with(|accumulator| accumulator.map(|acc| self.function.result(acc)).transpose())
    }

    /// Removes the current key's accumulator.
    pub fn clear(&mut self) {
        self.accumulator.clear();
    }
}
