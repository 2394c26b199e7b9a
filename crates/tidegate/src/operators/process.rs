//! Functions with any number of states by key, and timers.
//!
//! # Timers at the end
//!
//! The end of the input, and a drain, is a final watermark behind all times: every event timer that
//! is set fires. A timer that then sets another one must not keep the end from coming, however often
//! it does so. While the final watermark is handed on a timer of a key sets others of that key for
//! later times up to the latest one that the key has already, or for [`EventTime::MAX`], where one
//! last timer of the key may fire; any other is not set. So what records have asked for takes place,
//! with all that a timer does on its way there, and a timer that sets itself again for ever ends. It
//! is the same at any parallelism, and after a restore.
//!
//! Processing timers that are still waiting when the input has ended do not fire.

use std::{marker::PhantomData, panic::Location, sync::Arc};

use tidegate_core::{
    Batch, Data, ErasedBatch, Operator, OperatorContext, OperatorSnapshot, Output, Progress,
    Wakeup,
    batch::{TARGET_LEN, typed},
    selector::KeySelector,
    user_code::{Subject, Watch, shown},
};
use tidegate_state::{
    AggregateFunction, AggregatingState, AsJson, DueTimer, Key, KeyedBackend, KeyedDeclaration,
    ListState, MapState, PREFETCH_WINDOW, ReducingState, StateName, StateTtl, StateValue,
    TimeDomain, ValueState, hash_keys,
};
use tidegate_types::{
    Barrier, EventTime, KeyGroupRange, KeyHash, MaxParallelism, Now, OperatorUid, Parallelism,
    Timestamp, time::SystemClock,
};
use tracing::warn;

use super::{emitted::Emitted, keyed_snapshot, restore_keyed};
use crate::Result;

/// Declares the states of a keyed function, by name. A name may be used once.
pub struct States<'a, K> {
    backend: &'a mut KeyedBackend<K>,
    ttl: Option<StateTtl>,
    /// What the states were called before.
    was: Option<String>,
}

impl<K: Key> States<'_, K> {
    /// Declares states whose values expire.
    #[must_use]
    pub fn with_ttl(&mut self, ttl: StateTtl) -> States<'_, K> {
        States { backend: self.backend, ttl: Some(ttl), was: self.was.clone() }
    }

    /// Declares a state that had another name in older snapshots: it is restored from that one if they
    /// do not have its own. Afterwards it may be said, or not.
    ///
    /// ```
    /// use tidegate::{States, ValueState};
    /// fn declare(states: &mut States<'_, u64>) -> tidegate::Result<ValueState<u32>> {
    ///     states.was("open").value("sessions")
    /// }
    /// ```
    #[must_use]
    pub fn was(&mut self, name: &str) -> States<'_, K> {
        States { backend: self.backend, ttl: self.ttl, was: Some(name.to_owned()) }
    }

    fn named(&self, name: &str) -> StateName {
        StateName { name: name.to_owned(), was: self.was.clone() }
    }

    /// Declares one value per key.
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn value<V: StateValue>(&mut self, name: &str) -> Result<ValueState<V>> {
        Ok(self.backend.value_state(self.named(name), self.ttl)?)
    }

    /// Declares one value per key that is kept as JSON, for types that can't be kept otherwise: see
    /// [`AsJson`].
    ///
    /// ```
    /// use tidegate::{AsJson, ValueState, States};
    /// fn declare(states: &mut States<'_, u64>) -> tidegate::Result<ValueState<AsJson<Vec<String>>>> {
    ///     states.value_as_json("documents")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn value_as_json<V: StateValue>(&mut self, name: &str) -> Result<ValueState<AsJson<V>>> {
        self.value(name)
    }

    /// Declares a list per key, whose elements are kept as JSON.
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn list_as_json<V: StateValue>(&mut self, name: &str) -> Result<ListState<AsJson<V>>> {
        self.list(name)
    }

    /// Declares a map per key, whose values are kept as JSON.
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn map_as_json<UK: Key, UV: StateValue>(
        &mut self,
        name: &str,
    ) -> Result<MapState<UK, AsJson<UV>>> {
        self.map(name)
    }

    /// Declares a list per key.
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn list<V: StateValue>(&mut self, name: &str) -> Result<ListState<V>> {
        Ok(self.backend.list_state(self.named(name), self.ttl)?)
    }

    /// Declares a map per key.
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn map<UK: Key, UV: StateValue>(&mut self, name: &str) -> Result<MapState<UK, UV>> {
        Ok(self.backend.map_state(self.named(name), self.ttl)?)
    }

    /// Declares one value per key, into which what is added is reduced.
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn reducing<V: StateValue>(
        &mut self,
        name: &str,
        reduce: impl Fn(V, V) -> Result<V> + 'static,
    ) -> Result<ReducingState<V>> {
        Ok(self.backend.reducing_state(self.named(name), self.ttl, reduce)?)
    }

    /// Declares one accumulator per key, into which what is added is aggregated.
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn aggregating<In, A: AggregateFunction<In>>(
        &mut self,
        name: &str,
        function: A,
    ) -> Result<AggregatingState<A, In>> {
        Ok(self.backend.aggregating_state(self.named(name), self.ttl, function)?)
    }
}

/// A timer that has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The time that it was set for, in milliseconds since 1970-01-01 00:00 UTC.
    pub time: i64,
    /// Whether that was event time or processing time.
    pub domain: TimeDomain,
}

/// A function over records by key (Flink's `KeyedProcessFunction`). State handles in it speak of
/// the key of the record, or of the timer, that it is called with.
pub trait KeyedProcess<K, In>: 'static {
    /// What it emits.
    type Out: Data;

    /// Takes in a record.
    ///
    /// # Errors
    ///
    /// Anything; it fails the attempt, with the operator's uid in the message.
    fn on_record(
        &mut self,
        record: In,
        context: &mut ProcessContext<'_, K, Self::Out>,
    ) -> Result<()>;

    /// A timer of the current key has fired.
    ///
    /// # Errors
    ///
    /// As [`KeyedProcess::on_record`].
    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut ProcessContext<'_, K, Self::Out>,
    ) -> Result<()> {
        let _ = (timer, context);
        Ok(())
    }
}

/// What a keyed function can do besides its state.
pub struct ProcessContext<'a, K, Out> {
    key: &'a K,
    backend: &'a mut KeyedBackend<K>,
    out: &'a mut Emitted<Out>,
    timestamp: Option<EventTime>,
    watermark: EventTime,
    now: Timestamp,
    /// There while a timer fires because of the final watermark.
    ending: Option<Ending>,
    /// Where the function has set an event timer that no watermark may ever reach.
    unreached: Option<&'static Location<'static>>,
}

/// Which timers a timer can set while the final watermark is handed on.
#[derive(Clone, Copy)]
struct Ending {
    /// When the timer that fires was set for.
    fired: i64,
    /// The latest that the key has but for one at the end of time.
    latest: i64,
}

impl Ending {
    fn allows(self, time: i64) -> bool {
        time > self.fired && (time <= self.latest || time == i64::MAX)
    }
}

impl<K: Key, Out: Data> ProcessContext<'_, K, Out> {
    /// The current key.
    #[must_use]
    pub fn key(&self) -> &K {
        self.key
    }

    /// The record's event time, if the stream has any; in an event timer the time that it was set
    /// for, in a processing timer none.
    #[must_use]
    pub fn timestamp(&self) -> Option<EventTime> {
        self.timestamp
    }

    /// No record with an earlier event time follows.
    #[must_use]
    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// The wall-clock time, as of the current batch.
    #[must_use]
    pub fn processing_time(&self) -> Timestamp {
        self.now
    }

    /// Emits a record, with the current event time if there is one: what
    /// [`ProcessContext::timestamp`] tells.
    pub fn emit(&mut self, record: Out) {
        self.out.push(record, self.timestamp);
    }

    /// Emits a record with an event time of its own.
    pub fn emit_at(&mut self, record: Out, time: EventTime) {
        self.out.push(record, Some(time));
    }

    /// Sets a timer of the current key, once for each time; it fires when the watermark passes. One
    /// at [`EventTime::MAX`] fires at the end of the input, or when the job is drained.
    ///
    /// A timer that fires because of that end sets others only up to the latest one that its key
    /// has: see [the module](self) for the rule.
    ///
    /// On a stream without event times no watermark comes but that of the end, of which a warning
    /// tells.
    #[track_caller]
    pub fn set_event_timer(&mut self, time: EventTime) {
        let has_times = self.timestamp.is_some() || self.watermark > EventTime::MIN;
        if !has_times && time < EventTime::MAX {
            self.unreached = Some(Location::caller());
        }
        if self.ending.is_some_and(|ending| !ending.allows(time.millis())) {
            return;
        }
        self.backend.register_timer(TimeDomain::EventTime, time.millis());
    }

    /// Deletes a timer of the current key.
    pub fn delete_event_timer(&mut self, time: EventTime) {
        self.backend.delete_timer(TimeDomain::EventTime, time.millis());
    }

    /// Sets a timer of the current key, once for each time; it fires at that wall-clock time.
    pub fn set_processing_timer(&mut self, time: Timestamp) {
        self.backend.register_timer(TimeDomain::ProcessingTime, signed(time));
    }

    /// Deletes a timer of the current key.
    pub fn delete_processing_timer(&mut self, time: Timestamp) {
        self.backend.delete_timer(TimeDomain::ProcessingTime, signed(time));
    }
}

fn signed(time: Timestamp) -> i64 {
    i64::try_from(time.millis()).unwrap_or(i64::MAX)
}

/// What `make` declares, without a job.
pub(crate) fn declare_states<K: Key, P>(
    make: impl FnOnce(&mut States<'_, K>) -> Result<P>,
) -> Result<KeyedDeclaration> {
    let (range, max) =
        (KeyGroupRange { start: 0, end: 1 }, MaxParallelism::default_for(Parallelism::ONE));
    let mut backend = KeyedBackend::new(range, max, Arc::new(SystemClock));
    make(&mut States { backend: &mut backend, ttl: None, was: None })?;
    Ok(backend.declaration()?)
}

/// One subtask of a keyed function.
pub(crate) struct ProcessOperator<K, T, S, P: KeyedProcess<K, T>> {
    selector: KeySelector<S>,
    watch: Watch,
    function: P,
    backend: KeyedBackend<K>,
    watermark: EventTime,
    /// Where the function has set, for a record, an event timer that no watermark may ever reach.
    unreached: Option<&'static Location<'static>>,
    /// Whose name a warning about that bears, until it has been given.
    unwarned: Option<OperatorUid>,
    out: Emitted<P::Out>,
    /// The keys of the batch at hand, and their hashes; kept for their memory alone.
    keys: Vec<K>,
    hashes: Vec<KeyHash>,
    types: PhantomData<fn(T)>,
}

impl<K: Key, T: Data, S: Fn(&T) -> K + 'static, P: KeyedProcess<K, T>> ProcessOperator<K, T, S, P> {
    pub(crate) fn new(
        selector: KeySelector<S>,
        make: impl FnOnce(&mut States<'_, K>) -> Result<P>,
        context: OperatorContext,
    ) -> Result<Self> {
        let range = context.key_groups();
        let mut backend = KeyedBackend::new(range, context.max_parallelism, context.clock);
        if context.check_keys {
            backend.check_keys();
        }
        let function = make(&mut States { backend: &mut backend, ttl: None, was: None })?;
        restore_keyed(&context.uid, &context.restored, |sources| backend.restore(sources))?;
        Ok(Self {
            selector,
            watch: Watch::new(&context.telling),
            function,
            backend,
            watermark: EventTime::MIN,
            unreached: None,
            unwarned: Some(context.uid),
            out: Emitted::default(),
            keys: Vec::new(),
            hashes: Vec::new(),
            types: PhantomData,
        })
    }

    /// Tells, once, of an event timer on a stream without event times: on a bounded input it fires
    /// at the end, so that a test passes, and in production it never does.
    fn warn(&mut self) {
        if let Some(place) = self.unreached
            && let Some(uid) = self.unwarned.take()
        {
            warn!(
                operator = %uid,
                %place,
                "an event timer is set on a stream without event times, where it fires at the end \
                 of the input at the earliest; assign_timestamps in front of the operator gives \
                 the stream some"
            );
        }
    }

    /// Fires some timers that are due.
    fn fire(&mut self, domain: TimeDomain, up_to: i64, out: &mut dyn Output) -> Result<Progress> {
        let now = self.backend.update_now();
        for _ in 0..TARGET_LEN {
            let Some(due) = self.backend.pop_due(domain, up_to) else {
                self.out.flush(out)?;
                return Ok(Progress::Done);
            };
            self.fire_one(domain, due, now)?;
            if self.out.hand_on(out)? {
                break;
            }
        }
        self.out.flush(out)?;
        Ok(Progress::More)
    }

    fn fire_one(&mut self, domain: TimeDomain, due: DueTimer<K>, now: Timestamp) -> Result<()> {
        let DueTimer { key, hash, time } = due;
        self.backend.set_current(hash, key.clone());
        // The timer's own doing, whatever the stream was like so far: results must not depend on
        // whether a record has come since a restore. The wall clock is no event time.
        let timestamp = match domain {
            TimeDomain::EventTime => Some(EventTime(time)),
            TimeDomain::ProcessingTime => None,
        };
        let is_end = domain == TimeDomain::EventTime && self.watermark == EventTime::MAX;
        let ending = is_end.then(|| {
            let latest = self.backend.latest_timer(domain, i64::MAX).unwrap_or(time);
            Ending { fired: time, latest }
        });
        let mut context = ProcessContext {
            key: &key,
            backend: &mut self.backend,
            out: &mut self.out,
            timestamp,
            watermark: self.watermark,
            now,
            ending,
            unreached: None,
        };
        let subject = || Subject::Timer { kind: kind(domain), millis: time, key: shown(&key) };
        let (watch, function) = (&self.watch, &mut self.function);
        watch.over(|| {
            watch.with(subject, || function.on_timer(Timer { time, domain }, &mut context))
        })
    }
}

fn kind(domain: TimeDomain) -> &'static str {
    match domain {
        TimeDomain::EventTime => "event",
        TimeDomain::ProcessingTime => "processing",
    }
}

impl<K, T, S, P> Operator for ProcessOperator<K, T, S, P>
where
    K: Key,
    T: Data,
    S: Fn(&T) -> K + 'static,
    P: KeyedProcess<K, T>,
{
    fn on_batch(&mut self, batch: ErasedBatch, out: &mut dyn Output) -> Result<()> {
        let now = self.backend.update_now();
        let batch = typed::<T>(batch);
        self.selector.keys(&self.watch, &batch.records, &mut self.keys)?;
        hash_keys(&self.keys, &mut self.hashes);
        let (Batch { records, times }, mut keys) = (batch, self.keys.drain(..));
        self.watch.over_owned(records, |records, mut cursor| {
            let mut records = records.enumerate();
            for hashes in self.hashes.chunks(PREFETCH_WINDOW) {
                self.backend.prefetch(hashes);
                for ((hash, (index, record)), key) in hashes.iter().zip(&mut records).zip(&mut keys)
                {
                    cursor.advance();
                    self.backend.set_current(*hash, key.clone());
                    let mut context = ProcessContext {
                        key: &key,
                        backend: &mut self.backend,
                        out: &mut self.out,
                        timestamp: times.as_ref().map(|times| times[index]),
                        watermark: self.watermark,
                        now,
                        ending: None,
                        unreached: None,
                    };
                    self.function.on_record(record, &mut context)?;
                    self.unreached = self.unreached.or(context.unreached);
                    self.out.hand_on(out)?;
                }
            }
            Ok(())
        })?;
        drop(keys);
        self.warn();
        self.out.flush(out)
    }

    fn on_watermark(&mut self, watermark: EventTime, out: &mut dyn Output) -> Result<Progress> {
        self.watermark = watermark;
        self.fire(TimeDomain::EventTime, watermark.millis(), out)
    }

    fn on_wakeup(&mut self, now: Now, out: &mut dyn Output) -> Result<()> {
        let _more_is_due_still = self.fire(TimeDomain::ProcessingTime, signed(now.wall), out)?;
        Ok(())
    }

    fn next_wakeup(&self) -> Wakeup {
        let time = self.backend.next_timer(TimeDomain::ProcessingTime);
        time.map_or(Wakeup::NEVER, |time| Wakeup::at(Timestamp(u64::try_from(time).unwrap_or(0))))
    }

    fn snapshot(&mut self, _barrier: Barrier) -> Result<OperatorSnapshot> {
        let snapshot = self.backend.snapshot();
        Ok(keyed_snapshot(self.backend.key_type(), self.backend.range(), snapshot))
    }

    fn pack_some(&mut self) -> Result<bool> {
        Ok(self.backend.pack_some())
    }
}
