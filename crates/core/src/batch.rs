//! Records on their way between operators: typed, and with the type erased.
//!
//! Batches, not records, carry the cost of a virtual call, an allocation and a message: about
//! [`TARGET_LEN`] records or what came in a few milliseconds, whichever is first.

use std::any::Any;

use serde::{Serialize, de::DeserializeOwned};
use tidegate_snapshot::codec::{self, CodecError};
use tidegate_state::{UnfitType, check_type};
use tidegate_types::EventTime;

/// How many records a full batch has.
pub const TARGET_LEN: usize = 1024;

/// What a record must be: any owned serde type that can be cloned and sent to another thread.
#[diagnostic::on_unimplemented(
    message = "`{Self}` travels between operators: `#[derive(Clone, Serialize, Deserialize)]`",
    label = "`{Self}` can't travel",
    note = "a record is owned, can be cloned and sent to another thread, and is written and read by \
            serde, and so is all that it holds"
)]
pub trait Data: Clone + Send + Serialize + DeserializeOwned + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Serialize + DeserializeOwned + 'static> Data for T {}

/// A batch in which some records have event times and others have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{records} records with {times} event times: in a batch either all records have one, or none"
)]
pub struct MixedTimes {
    records: usize,
    times: usize,
}

/// Some records of a stream, in order, with their event times if the stream has any.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<T> {
    /// The records.
    pub records: Vec<T>,
    /// The event time of each record: as many as records, or none on a stream without times.
    pub times: Option<Vec<EventTime>>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { records: Vec::new(), times: None }
    }
}

impl<T> From<Vec<T>> for Batch<T> {
    fn from(records: Vec<T>) -> Self {
        Self { records, times: None }
    }
}

impl<T> Batch<T> {
    /// An empty batch with room for `capacity` records.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { records: Vec::with_capacity(capacity), times: None }
    }

    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Appends a record without an event time to a batch without event times.
    ///
    /// One that mixes them is refused by whoever it is handed to (see [`Batch::check`]).
    #[inline]
    pub fn push(&mut self, record: T) {
        self.records.push(record);
    }

    /// Appends a record with its event time, `None` on a stream that has no times.
    ///
    /// A batch that mixes them is refused by whoever it is handed to (see [`Batch::check`]).
    #[inline]
    pub fn push_at(&mut self, record: T, time: Option<EventTime>) {
        if let Some(time) = time {
            self.times.get_or_insert_default().push(time);
        }
        self.records.push(record);
    }

    /// Whether all records have event times, or none.
    ///
    /// # Errors
    ///
    /// When some have and others have not: it would not be known which.
    pub fn check(&self) -> Result<(), MixedTimes> {
        match &self.times {
            Some(times) if times.len() != self.records.len() => {
                Err(MixedTimes { records: self.records.len(), times: times.len() })
            }
            _ => Ok(()),
        }
    }

    /// The event time of the record at `index`, if the stream has any.
    #[inline]
    #[must_use]
    pub fn time(&self, index: usize) -> Option<EventTime> {
        self.times.as_ref().map(|times| times[index])
    }

    /// Takes the first `count` records (all, if there are fewer) with their times.
    pub fn take_front(&mut self, count: usize) -> Self {
        let count = count.min(self.len());
        Self {
            records: self.records.drain(..count).collect(),
            times: self.times.as_mut().map(|times| times.drain(..count).collect()),
        }
    }

    /// The records with their times, in order.
    pub fn into_timed(self) -> impl Iterator<Item = (T, Option<EventTime>)> {
        let mut times = self.times.map(Vec::into_iter);
        self.records.into_iter().map(move |record| {
            let time = times.as_mut().and_then(Iterator::next);
            (record, time)
        })
    }
}

/// A batch whose record type only its producer and its consumer know.
pub type ErasedBatch = Box<dyn AnyBatch>;

/// What can be done with a batch without knowing its record type.
pub trait AnyBatch: Send + 'static {
    /// How many records it holds.
    fn len(&self) -> usize;

    /// Whether it holds no record.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes of memory its records take, judged by the first of them.
    fn estimated_bytes(&self) -> usize;

    /// The bytes that [`BatchType::decode`] reads back.
    ///
    /// # Errors
    ///
    /// When a record's own `Serialize` reports one.
    fn encode(&self) -> Result<Vec<u8>, CodecError>;

    /// A copy, for a second consumer.
    fn clone_erased(&self) -> ErasedBatch;

    /// The way to the typed batch.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<T: Data> AnyBatch for Batch<T> {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn estimated_bytes(&self) -> usize {
        let Some(first) = self.records.first() else { return 0 };
        let mut sample = Vec::new();
        // What can't be encoded will fail where it is sent, with a message; here it counts as flat.
        let encoded = codec::encode(first, &mut sample).map_or(0, |()| sample.len());
        self.records.len() * std::mem::size_of::<T>().max(encoded)
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::with_capacity(self.records.len() * std::mem::size_of::<T>());
        codec::encode(&(&self.records, &self.times), &mut bytes)?;
        Ok(bytes)
    }

    fn clone_erased(&self) -> ErasedBatch {
        Box::new(self.clone())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Gives an erased batch its type back.
///
/// # Panics
///
/// When the plan connected operators of different record types, which the typed API rules out.
#[must_use]
pub fn typed<T: Data>(batch: ErasedBatch) -> Batch<T> {
    match batch.into_any().downcast::<Batch<T>>() {
        Ok(batch) => *batch,
        Err(_) => panic!("a batch of another type than {} arrived", std::any::type_name::<T>()),
    }
}

/// A record type as the plan knows it: its name, and how to read its batches from the network.
#[derive(Clone, Copy, Debug)]
pub struct BatchType {
    /// The record's Rust type.
    pub name: &'static str,
    decode: fn(&[u8]) -> Result<ErasedBatch, CodecError>,
    check: fn() -> Result<(), UnfitType>,
}

impl BatchType {
    /// The type of batches of `T`.
    #[must_use]
    pub fn of<T: Data>() -> Self {
        Self { name: std::any::type_name::<T>(), decode: decode::<T>, check: check_type::<T> }
    }

    /// Finds out whether records can go from one process to another.
    ///
    /// # Errors
    ///
    /// When what is written of them can't be read back.
    pub fn check(&self) -> Result<(), UnfitType> {
        (self.check)()
    }

    /// Reads a batch that [`AnyBatch::encode`] wrote.
    ///
    /// # Errors
    ///
    /// When the bytes are not a batch of this type.
    pub fn decode(&self, bytes: &[u8]) -> Result<ErasedBatch, CodecError> {
        (self.decode)(bytes)
    }
}

fn decode<T: Data>(bytes: &[u8]) -> Result<ErasedBatch, CodecError> {
    let (records, times) = codec::decode_exact::<(Vec<T>, Option<Vec<EventTime>>)>(bytes)?;
    Ok(Box::new(Batch { records, times }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_survives_erasure_and_the_network() {
        let mut batch = Batch::default();
        batch.push_at("a".to_owned(), Some(EventTime(1)));
        batch.push_at("b".to_owned(), Some(EventTime(2)));
        let erased: ErasedBatch = Box::new(batch.clone());
        let bytes = erased.encode().expect("strings encode");
        let back = BatchType::of::<String>().decode(&bytes).expect("decodes");
        assert_eq!(typed::<String>(back), batch);
    }

    #[test]
    fn a_batch_that_mixes_records_with_and_without_event_times_says_so() {
        let time = Some(EventTime(1));
        for times in [[time, None], [None, time]] {
            let mut batch = Batch::default();
            times.into_iter().for_each(|time| batch.push_at("a", time));
            assert_eq!(batch.check(), Err(MixedTimes { records: 2, times: 1 }), "{times:?}");
        }
        for times in [[time, time], [None, None]] {
            let mut batch = Batch::default();
            times.into_iter().for_each(|time| batch.push_at("a", time));
            assert_eq!(batch.check(), Ok(()), "{times:?}");
        }
    }

    #[test]
    fn taking_from_the_front_keeps_order_and_times() {
        let mut batch = Batch {
            records: vec![1, 2, 3],
            times: Some(vec![EventTime(1), EventTime(2), EventTime(3)]),
        };
        let front = batch.take_front(2);
        assert_eq!(
            (front.records, front.times),
            (vec![1, 2], Some(vec![EventTime(1), EventTime(2)]))
        );
        assert_eq!(batch.into_timed().collect::<Vec<_>>(), vec![(3, Some(EventTime(3)))]);
    }
}
