//! Which subtask a record goes to.
//!
//! A router sits at the sending end of an exchange, one per sending subtask. It is handed batches,
//! keeps partial batches per receiver, and hands them out when they are full or when it is flushed:
//! before every control packet, and when the sender has nothing more to do.

use std::marker::PhantomData;

use serde::Serialize;
use tidegate_types::{KeyHash, MaxParallelism, Parallelism, UserResult, error::throw};

use crate::{
    batch::{Batch, Data, ErasedBatch, TARGET_LEN, typed},
    selector::KeySelector,
    user_code::Watch,
};

/// Takes a batch for the receiving subtask with the given index.
pub type Deliver<'a> = &'a mut dyn FnMut(usize, ErasedBatch);

/// Spreads the records of one sender over the receivers. Keeps the number of records: what goes in
/// comes out once.
pub trait Router: 'static {
    /// Takes in a batch; delivers what is full. An error of user code is thrown (see
    /// [`throw`]), since whoever calls this takes none.
    fn route(&mut self, batch: ErasedBatch, deliver: Deliver<'_>);

    /// Delivers everything it still keeps.
    fn flush(&mut self, deliver: Deliver<'_>);
}

/// By key group: every record of a key reaches the subtask that owns the key's group.
pub struct KeyRouter<T, K, F> {
    selector: KeySelector<F>,
    watch: Watch,
    parallelism: Parallelism,
    max_parallelism: MaxParallelism,
    partial: Vec<Batch<T>>,
    capacity: usize,
    key: PhantomData<fn() -> K>,
}

impl<T: Data, K: Serialize, F: Fn(&T) -> K + 'static> KeyRouter<T, K, F> {
    /// A router for `parallelism` many receivers, with `selector` giving a record's key.
    pub fn new(
        selector: KeySelector<F>,
        parallelism: Parallelism,
        max_parallelism: MaxParallelism,
    ) -> Self {
        let receivers = parallelism.get() as usize;
        Self {
            selector,
            watch: Watch::default().sparing(),
            parallelism,
            max_parallelism,
            partial: (0..receivers).map(|_| Batch::default()).collect(),
            capacity: TARGET_LEN,
            key: PhantomData,
        }
    }

    fn route_all(&mut self, batch: Batch<T>, deliver: Deliver<'_>) -> UserResult<()> {
        let Self { selector, watch, partial, capacity, .. } = self;
        let (parallelism, max, capacity) = (self.parallelism, self.max_parallelism, *capacity);
        let Batch { records, times } = batch;
        // All that the loop works on is moved into it, to be held in registers.
        selector.over_owned(watch, records, move |select, records, cursor| {
            let mut times = times.map(Vec::into_iter);
            for (index, record) in records.enumerate() {
                cursor.set(index);
                let group = KeyHash::of(&select(&record)).group(max);
                let receiver = group.owner(parallelism, max).get() as usize;
                let time = times.as_mut().and_then(Iterator::next);
                let partial = &mut partial[receiver];
                let mut deliver = |batch: ErasedBatch| {
                    // A batch that can't be handed on is no failure of the selector's.
                    cursor.clear();
                    deliver(receiver, batch);
                };
                // A batch has event times for all of its records, or for none.
                if partial.times.is_some() != time.is_some() && !partial.is_empty() {
                    deliver(Box::new(std::mem::take(partial)));
                }
                if partial.records.capacity() == 0 {
                    partial.records.reserve_exact(capacity);
                }
                partial.push_at(record, time);
                if partial.len() >= capacity {
                    deliver(Box::new(std::mem::take(partial)));
                }
            }
            Ok(())
        })
    }
}

impl<T: Data, K: Serialize + 'static, F: Fn(&T) -> K + 'static> Router for KeyRouter<T, K, F> {
    fn route(&mut self, batch: ErasedBatch, deliver: Deliver<'_>) {
        if let Err(error) = self.route_all(typed::<T>(batch), deliver) {
            throw(error);
        }
    }

    fn flush(&mut self, deliver: Deliver<'_>) {
        for (receiver, partial) in self.partial.iter_mut().enumerate() {
            if !partial.is_empty() {
                deliver(receiver, Box::new(std::mem::take(partial)));
            }
        }
    }
}

/// Round robin by whole batches: evens out the load where order and keys do not matter.
pub struct RebalanceRouter {
    next: usize,
    receivers: usize,
}

impl RebalanceRouter {
    /// A router for `parallelism` many receivers that begins with the one at `first`.
    #[must_use]
    pub fn new(first: usize, parallelism: Parallelism) -> Self {
        let receivers = parallelism.get() as usize;
        Self { next: first % receivers, receivers }
    }
}

impl Router for RebalanceRouter {
    fn route(&mut self, batch: ErasedBatch, deliver: Deliver<'_>) {
        deliver(self.next, batch);
        self.next = (self.next + 1) % self.receivers;
    }

    fn flush(&mut self, _deliver: Deliver<'_>) {}
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use tidegate_types::EventTime;

    use super::*;

    fn selector<F>(select: F) -> KeySelector<F> {
        KeySelector::new(select, "count".into(), Location::caller())
    }

    #[test]
    fn records_with_and_without_event_times_do_not_share_a_batch() {
        let max = MaxParallelism::new(128).expect("in bounds");
        let mut router = KeyRouter::new(selector(|record: &u64| *record), Parallelism::ONE, max);
        let mut got = Vec::new();
        let mut deliver = |_: usize, batch: ErasedBatch| got.push(typed::<u64>(batch));
        router.route(Box::new(Batch::from(vec![1_u64])), &mut deliver);
        let timed = Batch { records: vec![2_u64], times: Some(vec![EventTime(2)]) };
        router.route(Box::new(timed.clone()), &mut deliver);
        router.route(Box::new(Batch::from(vec![3_u64])), &mut deliver);
        router.flush(&mut deliver);
        assert_eq!(got, [Batch::from(vec![1]), timed, Batch::from(vec![3])]);
    }

    #[test]
    fn a_batch_that_can_not_be_handed_on_is_no_failure_of_the_selector() {
        let max = MaxParallelism::new(128).expect("in bounds");
        let mut router = KeyRouter::new(selector(|record: &u64| *record), Parallelism::ONE, max);
        let batch = Batch::from((0..TARGET_LEN as u64).collect::<Vec<_>>());
        let routed = router.route_all(batch, &mut |_, _| throw("the link is down".into()));
        assert_eq!(routed.expect_err("it is thrown").to_string(), "the link is down");
    }

    #[test]
    fn every_record_reaches_the_owner_of_its_key_group_once() {
        let (parallelism, max) =
            (Parallelism::new(3).expect("3"), MaxParallelism::new(128).expect("128"));
        let mut router = KeyRouter::new(selector(|record: &u64| record % 10), parallelism, max);
        let mut got = vec![Vec::new(); 3];
        let mut deliver =
            |to: usize, batch: ErasedBatch| got[to].extend(typed::<u64>(batch).records);
        router.route(Box::new(Batch::from((0..5000).collect::<Vec<u64>>())), &mut deliver);
        router.flush(&mut deliver);
        for (receiver, records) in got.iter().enumerate() {
            assert!(records.is_sorted(), "order on a channel is kept");
            for record in records {
                let group = KeyHash::of(&(record % 10)).group(max);
                assert_eq!(group.owner(parallelism, max).get() as usize, receiver);
            }
        }
        assert_eq!(got.iter().map(Vec::len).sum::<usize>(), 5000);
    }
}
