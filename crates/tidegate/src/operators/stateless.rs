//! Operators that keep nothing.

use std::marker::PhantomData;

use tidegate_core::{
    Batch, Data, ErasedBatch, Operator, Output,
    batch::{TARGET_LEN, typed},
    user_code::Watch,
};

use crate::Result;

/// Makes one record of each.
pub(crate) struct Map<T, U, F> {
    function: F,
    watch: Watch,
    types: PhantomData<fn(T) -> U>,
}

impl<T, U, F> Map<T, U, F> {
    pub(crate) fn new(function: F, watch: Watch) -> Self {
        Self { function, watch, types: PhantomData }
    }
}

impl<T: Data, U: Data, F: FnMut(T) -> Result<U> + 'static> Operator for Map<T, U, F> {
    fn is_passive(&self) -> bool {
        true
    }

    fn on_batch(&mut self, batch: ErasedBatch, out: &mut dyn Output) -> Result<()> {
        let Batch { records, times } = typed::<T>(batch);
        let Self { function, watch, .. } = self;
        let records = watch.over_owned(records, |records, mut cursor| {
            let made = records.map(move |record| {
                cursor.advance();
                function(record)
            });
            made.collect::<Result<Vec<U>>>()
        });
        out.emit(Box::new(Batch { records: records?, times }))
    }

    fn keeps_records(&self) -> bool {
        true
    }
}

/// Lets some records through.
pub(crate) struct Filter<T, F> {
    function: F,
    watch: Watch,
    types: PhantomData<fn(T)>,
}

impl<T, F> Filter<T, F> {
    pub(crate) fn new(function: F) -> Self {
        Self { function, watch: Watch::default(), types: PhantomData }
    }
}

impl<T: Data, F: FnMut(&T) -> Result<bool> + 'static> Operator for Filter<T, F> {
    fn is_passive(&self) -> bool {
        true
    }

    fn on_batch(&mut self, batch: ErasedBatch, out: &mut dyn Output) -> Result<()> {
        let Batch { records, times } = typed::<T>(batch);
        let Self { function, watch, .. } = self;
        let mut kept = Batch::default();
        let mut times = times.map(Vec::into_iter);
        watch.over_lent(records, function, |record, is_kept| {
            let time = times.as_mut().and_then(Iterator::next);
            if is_kept {
                kept.push_at(record, time);
            }
        })?;
        out.emit(Box::new(kept))
    }
}

/// Makes any number of records of each.
pub(crate) struct FlatMap<T, I, F> {
    function: F,
    watch: Watch,
    types: PhantomData<fn(T) -> I>,
}

impl<T, I, F> FlatMap<T, I, F> {
    pub(crate) fn new(function: F, watch: Watch) -> Self {
        Self { function, watch, types: PhantomData }
    }
}

impl<T, U, I, F> Operator for FlatMap<T, I, F>
where
    T: Data,
    U: Data,
    I: IntoIterator<Item = U> + 'static,
    F: FnMut(T) -> Result<I> + 'static,
{
    fn is_passive(&self) -> bool {
        true
    }

    fn on_batch(&mut self, batch: ErasedBatch, out: &mut dyn Output) -> Result<()> {
        let mut made = Batch::default();
        let Self { function, watch, .. } = self;
        let Batch { records, times } = typed::<T>(batch);
        let mut times = times.map(Vec::into_iter);
        watch.over_owned(records, |records, mut cursor| {
            for record in records {
                cursor.advance();
                let time = times.as_mut().and_then(Iterator::next);
                // What the function returns may have more of its work to do.
                for next in function(record)? {
                    made.push_at(next, time);
                    if made.len() >= TARGET_LEN {
                        out.emit(Box::new(std::mem::take(&mut made)))?;
                    }
                }
            }
            Ok(())
        })?;
        out.emit(Box::new(made))
    }
}

/// Shows each record to a function.
pub(crate) struct Inspect<T, F> {
    function: F,
    watch: Watch,
    types: PhantomData<fn(T)>,
}

impl<T, F> Inspect<T, F> {
    pub(crate) fn new(function: F) -> Self {
        Self { function, watch: Watch::default(), types: PhantomData }
    }
}

impl<T: Data, F: FnMut(&T) -> Result<()> + 'static> Operator for Inspect<T, F> {
    fn is_passive(&self) -> bool {
        true
    }

    fn on_batch(&mut self, batch: ErasedBatch, out: &mut dyn Output) -> Result<()> {
        let batch = typed::<T>(batch);
        let Self { function, watch, .. } = self;
        watch.over_each(&batch.records, function)?;
        out.emit(Box::new(batch))
    }

    fn keeps_records(&self) -> bool {
        true
    }
}

/// Passes everything on: the end of an exchange, or of a union.
pub(crate) struct Identity<T>(PhantomData<fn(T)>);

impl<T> Default for Identity<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Data> Operator for Identity<T> {
    fn is_passive(&self) -> bool {
        true
    }

    fn on_batch(&mut self, batch: ErasedBatch, out: &mut dyn Output) -> Result<()> {
        out.emit(batch)
    }

    fn keeps_records(&self) -> bool {
        true
    }
}
