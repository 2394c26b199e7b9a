//! Which subtask a record goes to.
//!
//! A router sits at the sending end of an exchange, one per sending subtask. It is handed batches,
//! keeps partial batches per receiver, and hands them out when they are full or when it is flushed:
//! before every control packet, and when the sender has nothing more to do.

use std::marker::PhantomData;

use serde::Serialize;
use tidegate_types::{KeyGroup, KeyHash, MaxParallelism, Parallelism, UserResult, error::throw};

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
    max_parallelism: MaxParallelism,
    /// The receiver of each key group: looking it up costs less than the division.
    owners: Box<[u32]>,
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
        let owner = |group| KeyGroup(group).owner(parallelism, max_parallelism).get();
        Self {
            selector,
            watch: Watch::default().sparing(),
            max_parallelism,
            owners: (0..max_parallelism.get()).map(owner).collect(),
            partial: (0..receivers).map(|_| Batch::default()).collect(),
            capacity: TARGET_LEN,
            key: PhantomData,
        }
    }

    /// Spreads a batch; what is full comes into `full`, with its receiver.
    fn spread(&mut self, batch: Batch<T>, full: &mut Full) -> UserResult<()> {
        let Batch { records, times } = batch;
        self.part_from_other_times(times.is_some(), full);
        let Self { selector, watch, owners, partial, capacity, max_parallelism: max, .. } = self;
        let (owners, max, capacity) = (&**owners, *max, *capacity);
        // All that the loop works on is moved into it, to be held in registers.
        selector.over_owned(watch, records, move |select, records, mut cursor| {
            let mut times = times.map(Vec::into_iter);
            for record in records {
                cursor.advance();
                let group = KeyHash::of(&select(&record)).group(max);
                let receiver = owners[group.get() as usize] as usize;
                let partial = &mut partial[receiver];
                if partial.records.capacity() == 0 {
                    partial.records.reserve_exact(capacity);
                }
                partial.push_at(record, times.as_mut().and_then(Iterator::next));
                if partial.len() >= capacity {
                    full.push((receiver, Box::new(std::mem::take(partial))));
                }
            }
            Ok(())
        })
    }

    /// A batch has event times for all of its records, or for none.
    fn part_from_other_times(&mut self, timed: bool, full: &mut Full) {
        for (receiver, partial) in self.partial.iter_mut().enumerate() {
            if partial.times.is_some() != timed && !partial.is_empty() {
                full.push((receiver, Box::new(std::mem::take(partial))));
            }
        }
    }
}

/// Batches to be delivered, each with its receiver.
type Full = Vec<(usize, ErasedBatch)>;

impl<T: Data, K: Serialize + 'static, F: Fn(&T) -> K + 'static> Router for KeyRouter<T, K, F> {
    fn route(&mut self, batch: ErasedBatch, deliver: Deliver<'_>) {
        let mut full = Vec::new();
        let spread = self.spread(typed::<T>(batch), &mut full);
        // Outside of what is watched: a batch that can't be handed on is no failure of the selector's.
        full.into_iter().for_each(|(receiver, batch)| deliver(receiver, batch));
        if let Err(error) = spread {
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
    use crate::user_code::caught;

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
        let routed = caught(|| {
            router.route(Box::new(batch), &mut |_, _| throw("the link is down".into()));
            Ok(())
        });
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
