//! Reduce and aggregate: one value per key, and the new one out for every record.
//!
//! The hot path of most jobs: per record one key selection, one hash, one access to the table.

use std::marker::PhantomData;

use tidegate_core::{
    Batch, Data, ErasedBatch, Operator, OperatorContext, OperatorSnapshot, Output, batch::typed,
    selector::KeySelector, user_code::Watch,
};
use tidegate_state::{
    AggregateFunction, Key, KeyedDeclaration, PREFETCH_WINDOW, SingleTable, StateValue, hash_keys,
};
use tidegate_types::{Barrier, KeyGroupRange, KeyHash, MaxParallelism, Parallelism};

use super::{keyed_snapshot, restore_keyed};
use crate::Result;

/// How a record changes the value of its key, and what comes out.
pub(crate) trait Fold<K, T>: 'static {
    /// What is kept.
    type Value: StateValue;
    /// What comes out.
    type Out: Data;

    /// Whether the first record of a key is not its first value already.
    fn first(&self, record: &T) -> (Self::Value, bool);

    /// Takes a record in.
    fn add(&self, value: &mut Self::Value, record: T) -> Result<()>;

    /// What comes out now.
    fn out(&self, key: K, value: &Self::Value) -> Result<Self::Out>;
}

/// Records reduce into one of their own type.
pub(crate) struct Reduce<F>(pub(crate) F);

impl<K, T: Data + StateValue, F: Fn(&mut T, T) -> Result<()> + 'static> Fold<K, T> for Reduce<F> {
    type Value = T;
    type Out = T;

    fn first(&self, record: &T) -> (T, bool) {
        (record.clone(), false)
    }

    fn add(&self, value: &mut T, record: T) -> Result<()> {
        (self.0)(value, record)
    }

    fn out(&self, _key: K, value: &T) -> Result<T> {
        Ok(value.clone())
    }
}

/// Records go into an accumulator.
pub(crate) struct Aggregate<A>(pub(crate) A);

impl<K: Key, T, A: AggregateFunction<T>> Fold<K, T> for Aggregate<A>
where
    A::Out: Data,
{
    type Value = A::Acc;
    type Out = (K, A::Out);

    #[inline]
    fn first(&self, _record: &T) -> (A::Acc, bool) {
        (self.0.create(), true)
    }

    #[inline]
    fn add(&self, value: &mut A::Acc, record: T) -> Result<()> {
        self.0.add(value, record)
    }

    #[inline]
    fn out(&self, key: K, value: &A::Acc) -> Result<(K, A::Out)> {
        Ok((key, self.0.result(value)?))
    }
}

/// What an operator with one state declares, without a job.
pub(crate) fn declare_single<K: Key, V: StateValue>(state: &str) -> Result<KeyedDeclaration> {
    let (range, max) =
        (KeyGroupRange { start: 0, end: 1 }, MaxParallelism::default_for(Parallelism::ONE));
    Ok(SingleTable::<K, V>::new(state, range, max).declaration()?)
}

/// One subtask of a fold.
pub(crate) struct FoldOperator<K, T, S, F: Fold<K, T>> {
    selector: KeySelector<S>,
    watch: Watch,
    fold: F,
    table: SingleTable<K, F::Value>,
    range: KeyGroupRange,
    /// The keys of the batch at hand, and their hashes; kept for their memory alone.
    keys: Vec<K>,
    hashes: Vec<KeyHash>,
    types: PhantomData<fn(T)>,
}

impl<K: Key, T: Data, S: Fn(&T) -> K, F: Fold<K, T>> FoldOperator<K, T, S, F> {
    pub(crate) fn new(
        state: &str,
        selector: KeySelector<S>,
        fold: F,
        context: &OperatorContext,
    ) -> Result<Self> {
        let range = context.key_groups();
        let mut table = SingleTable::new(state, range, context.max_parallelism);
        if context.check_keys {
            table.table_mut().check_keys();
        }
        restore_keyed(&context.uid, &context.restored, |sources| table.restore(sources))?;
        let (keys, hashes) = (Vec::new(), Vec::new());
        let watch = Watch::new(&context.telling).sparing();
        Ok(Self { selector, watch, fold, table, range, keys, hashes, types: PhantomData })
    }

    /// Hashing is a pass of its own, so that the table's memory can be asked for ahead of time.
    fn fold_batch(&mut self, records: Vec<T>) -> Result<Vec<F::Out>> {
        self.selector.keys(&self.watch, &records, &mut self.keys)?;
        hash_keys(&self.keys, &mut self.hashes);
        let Self { fold, keys, hashes, watch, .. } = self;
        let table = self.table.table_mut();
        let keys = keys.drain(..);
        // All that the loop works on is moved into it, to be held in registers.
        watch.over_owned(records, move |mut records, mut cursor| {
            let mut results = Vec::with_capacity(records.len());
            let mut keys = keys;
            for hashes in hashes.chunks(PREFETCH_WINDOW) {
                table.prefetch(hashes);
                for ((hash, record), key) in hashes.iter().zip(&mut records).zip(&mut keys) {
                    cursor.advance();
                    let mut add = true;
                    let value = table.get_or_insert_with(*hash, &key, || {
                        let (value, takes_first) = fold.first(&record);
                        add = takes_first;
                        value
                    });
                    if add {
                        fold.add(value, record)?;
                    }
                    results.push(fold.out(key, value)?);
                }
            }
            Ok(results)
        })
    }
}

impl<K, T, S, F> Operator for FoldOperator<K, T, S, F>
where
    K: Key,
    T: Data,
    S: Fn(&T) -> K + 'static,
    F: Fold<K, T>,
{
    fn is_passive(&self) -> bool {
        true
    }

    fn on_batch(&mut self, batch: ErasedBatch, out: &mut dyn Output) -> Result<()> {
        let Batch { records, times } = typed::<T>(batch);
        let records = self.fold_batch(records)?;
        out.emit(Box::new(Batch { records, times }))
    }

    fn snapshot(&mut self, _barrier: Barrier) -> Result<OperatorSnapshot> {
        let snapshot = self.table.snapshot();
        Ok(keyed_snapshot(self.table.key_type(), self.range, snapshot))
    }

    fn pack_some(&mut self) -> Result<bool> {
        Ok(self.table.pack_some())
    }
}
