//! The keyed state of one subtask of an operator: any number of named states, and its timers.
//!
//! # Protocol
//!
//! 1. The operator declares its states, in the same order on every subtask, and keeps the handles.
//! 2. It restores, once, if the job starts from a snapshot.
//! 3. For each record it sets the current key, then runs user code; once per record or batch it
//!    brings the time up to date.
//! 4. At a barrier it takes a snapshot, whose encoding happens on another thread.
//!
//! All of it on one worker thread. Only the [`KeyedSnapshot`] may leave it.
//!
//! # Not here
//!
//! An operator with one state and no handles is better off with [`crate::SingleTable`].

use std::{rc::Rc, sync::Arc};

use tidegate_snapshot::manifest::StateDescription;
use tidegate_types::{Clock, KeyGroupRange, KeyHash, MaxParallelism, Timestamp, UserResult};

use crate::{
    AggregateFunction, AggregatingState, DueTimer, Key, KeyedSnapshot, ListState, MapState,
    ReducingState, RestoreSource, StateError, StateTtl, StateValue, TimeDomain, TtlUpdate,
    ValueState,
    cell::{Context, CurrentValue, DeclaredState, StateCell},
    declared::KeyedDeclaration,
    handles::Backing,
    snapshot::SharedStates,
    store::{Declaration, DeclaredType, StateTable, restore_blocks},
    table::keys::KeyCheck,
    timers::Timers,
    ttl::{Forever, Lifetime},
};

/// What a state is called.
///
/// ```
/// use tidegate_state::StateName;
/// let name = StateName::from("sessions").was("open");
/// assert_eq!(name, StateName { name: "sessions".to_owned(), was: Some("open".to_owned()) });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateName {
    /// Its name.
    pub name: String,
    /// What it was called in older snapshots, from which it is restored if they do not have its name.
    pub was: Option<String>,
}

impl StateName {
    /// With the name that it had before.
    #[must_use]
    pub fn was(self, before: impl Into<String>) -> Self {
        Self { was: Some(before.into()), ..self }
    }
}

impl From<&str> for StateName {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), was: None }
    }
}

/// How many states a snapshot can number.
const STATES: usize = u16::MAX as usize;

/// The keyed state of one subtask.
pub struct KeyedBackend<K> {
    range: KeyGroupRange,
    max: MaxParallelism,
    clock: Arc<dyn Clock>,
    context: Rc<Context<K>>,
    key: DeclaredType,
    states: Vec<Rc<dyn DeclaredState>>,
    event_timers: Timers<K>,
    processing_timers: Timers<K>,
    checks_keys: bool,
}

impl<K: Key> KeyedBackend<K> {
    /// Without any state, for the key groups of `range` out of `max` many.
    #[must_use]
    pub fn new(range: KeyGroupRange, max: MaxParallelism, clock: Arc<dyn Clock>) -> Self {
        let context = Rc::new(Context::new(clock.now()));
        Self {
            range,
            max,
            clock,
            context,
            key: DeclaredType::key_of::<K>(),
            states: Vec::new(),
            event_timers: Timers::new(TimeDomain::EventTime, range, max),
            processing_timers: Timers::new(TimeDomain::ProcessingTime, range, max),
            checks_keys: false,
        }
    }

    /// Has the first keys of each state that is declared from now on looked at, a map's own too;
    /// see [`crate::KeyedTable::check_keys`].
    pub fn check_keys(&mut self) {
        self.checks_keys = true;
    }

    /// What the program says about its keys and states, so far.
    ///
    /// # Errors
    ///
    /// When keys or values could be written and not read back.
    pub fn declaration(&self) -> Result<KeyedDeclaration, StateError> {
        KeyedDeclaration::of(&self.key, &self.declarations())
    }

    /// The description of the keys' type.
    #[must_use]
    pub fn key_type(&self) -> &str {
        &self.key.description
    }

    /// The key groups it is for.
    #[must_use]
    pub const fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// Brings the time by which states expire up to date, and returns it.
    pub fn update_now(&self) -> Timestamp {
        let now = self.clock.now();
        self.context.now.set(now);
        now
    }

    /// Makes `key` the one that handles and timers speak of.
    #[inline]
    pub fn set_current_key(&mut self, key: K) {
        self.set_current(KeyHash::of(&key), key);
    }

    /// As [`KeyedBackend::set_current_key`], for a key whose hash is known.
    #[inline]
    pub fn set_current(&mut self, hash: KeyHash, key: K) {
        self.context.hash.set(hash);
        *self.context.key.borrow_mut() = Some(key);
    }

    /// Asks for the memory in which the states of the keys with these hashes are; see
    /// [`crate::KeyedTable::prefetch`].
    #[inline]
    pub fn prefetch(&self, hashes: &[KeyHash]) {
        for state in &self.states {
            state.prefetch(hashes);
        }
    }

    /// The current key, `None` before the first.
    #[must_use]
    pub fn current_key(&self) -> Option<K> {
        self.context.key.borrow().clone()
    }

    /// What a snapshot takes, as of now: copies nothing.
    pub fn snapshot(&mut self) -> (Vec<StateDescription>, Box<dyn KeyedSnapshot>) {
        let now = self.update_now();
        let mut shared =
            vec![self.event_timers.state.share(now), self.processing_timers.state.share(now)];
        shared.extend(self.states.iter().map(|state| state.share()));
        let declared = self.declarations();
        let described = declared.iter().zip(0..).map(|(state, id)| state.describe(id)).collect();
        (described, Box::new(SharedStates(shared)))
    }

    /// See [`crate::KeyedTable::pack_some`]; to be called between records.
    pub fn pack_some(&mut self) -> bool {
        self.event_timers.state.table.pack_some()
            || self.processing_timers.state.table.pack_some()
            || self.states.iter().any(|state| state.pack_some())
    }

    /// Takes in what `sources` hold of the declared states; one that they do not hold stays empty.
    /// Returns the names of states in them that are not declared.
    ///
    /// # Errors
    ///
    /// When the types do not fit, or the snapshot is damaged.
    pub fn restore(&mut self, sources: &[RestoreSource<'_>]) -> Result<Vec<String>, StateError> {
        let now = self.update_now();
        let declared = self.declarations();
        let unknown =
            restore_blocks(&self.key, &declared, sources, |place, block, stored| match place {
                0 => self.event_timers.state.restore_block(block, stored, now),
                1 => self.processing_timers.state.restore_block(block, stored, now),
                _ => self.states[place - 2].restore_block(block, stored),
            })?;
        self.event_timers.rebuild();
        self.processing_timers.rebuild();
        Ok(unknown)
    }

    /// All states in the order of their numbers: the timers, then what was declared.
    fn declarations(&self) -> Vec<Declaration> {
        let timers = [&self.event_timers, &self.processing_timers];
        let timers = timers.into_iter().map(|timers| timers.state.declaration.clone());
        timers.chain(self.states.iter().map(|state| state.declaration())).collect()
    }
}

/// Timers, which belong to the current key.
impl<K: Key> KeyedBackend<K> {
    /// Registers a timer of the current key; once for each time.
    ///
    /// # Panics
    ///
    /// Without a current key, as in [`KeyedBackend::delete_timer`].
    pub fn register_timer(&mut self, domain: TimeDomain, time: i64) {
        let context = Rc::clone(&self.context);
        context.with_key(|hash, key| self.timers_mut(domain).register(hash, key, time));
    }

    /// Deletes the timer of the current key at `time`, if there is one.
    pub fn delete_timer(&mut self, domain: TimeDomain, time: i64) {
        let context = Rc::clone(&self.context);
        context.with_key(|hash, key| self.timers_mut(domain).delete(hash, key, time));
    }

    /// Removes and returns the earliest timer whose time is not after `up_to`. Its key does not
    /// become the current one by itself.
    pub fn pop_due(&mut self, domain: TimeDomain, up_to: i64) -> Option<DueTimer<K>> {
        self.timers_mut(domain).pop_due(up_to)
    }

    /// The earliest timer's time.
    #[must_use]
    pub fn next_timer(&self, domain: TimeDomain) -> Option<i64> {
        match domain {
            TimeDomain::EventTime => self.event_timers.next_time(),
            TimeDomain::ProcessingTime => self.processing_timers.next_time(),
        }
    }

    /// The current key's latest timer before `limit`.
    ///
    /// # Panics
    ///
    /// Without a current key.
    #[must_use]
    pub fn latest_timer(&self, domain: TimeDomain, limit: i64) -> Option<i64> {
        let timers = match domain {
            TimeDomain::EventTime => &self.event_timers,
            TimeDomain::ProcessingTime => &self.processing_timers,
        };
        self.context.with_key(|hash, key| timers.latest(hash, key, limit))
    }

    const fn timers_mut(&mut self, domain: TimeDomain) -> &mut Timers<K> {
        match domain {
            TimeDomain::EventTime => &mut self.event_timers,
            TimeDomain::ProcessingTime => &mut self.processing_timers,
        }
    }
}

/// Declaring states. A name may be used once, and `None` as TTL keeps values for ever.
///
/// All of them fail with [`StateError::Duplicate`], [`StateError::EmptyName`],
/// [`StateError::TooMany`] or [`StateError::ZeroTtl`].
impl<K: Key> KeyedBackend<K> {
    /// Declares one value per key.
    ///
    /// # Errors
    ///
    /// When it can't be declared so.
    pub fn value_state<V: StateValue>(
        &mut self,
        name: impl Into<StateName>,
        ttl: Option<StateTtl>,
    ) -> Result<ValueState<V>, StateError> {
        self.values(name, "value", ttl)
    }

    /// Declares a list per key.
    ///
    /// # Errors
    ///
    /// When it can't be declared so.
    pub fn list_state<V: StateValue>(
        &mut self,
        name: impl Into<StateName>,
        ttl: Option<StateTtl>,
    ) -> Result<ListState<V>, StateError> {
        let list = DeclaredType::list_of::<V>();
        Ok(ListState { backing: self.declare(name, "list", list, ttl)? })
    }

    /// Declares a map per key. The map's keys need neither `Hash` nor `Ord`.
    ///
    /// # Errors
    ///
    /// When it can't be declared so.
    pub fn map_state<UK: Key, UV: StateValue>(
        &mut self,
        name: impl Into<StateName>,
        ttl: Option<StateTtl>,
    ) -> Result<MapState<UK, UV>, StateError> {
        let backing = self.declare(name, "map", DeclaredType::map_of::<UK, UV>(), ttl)?;
        Ok(MapState { backing, keys: KeyCheck::if_asked(self.checks_keys) })
    }

    /// Declares one value per key into which others are reduced.
    ///
    /// # Errors
    ///
    /// When it can't be declared so.
    pub fn reducing_state<V: StateValue>(
        &mut self,
        name: impl Into<StateName>,
        ttl: Option<StateTtl>,
        reduce: impl Fn(V, V) -> UserResult<V> + 'static,
    ) -> Result<ReducingState<V>, StateError> {
        let value = self.values(name, "reducing", ttl)?;
        Ok(ReducingState { value, reduce: Box::new(reduce) })
    }

    /// Declares one accumulator per key into which values are aggregated.
    ///
    /// # Errors
    ///
    /// When it can't be declared so.
    pub fn aggregating_state<A: AggregateFunction<In>, In>(
        &mut self,
        name: impl Into<StateName>,
        ttl: Option<StateTtl>,
        function: A,
    ) -> Result<AggregatingState<A, In>, StateError> {
        let accumulator = self.values(name, "aggregating", ttl)?;
        Ok(AggregatingState { accumulator, function })
    }

    fn values<V: StateValue>(
        &mut self,
        name: impl Into<StateName>,
        kind: &'static str,
        ttl: Option<StateTtl>,
    ) -> Result<ValueState<V>, StateError> {
        let backing = self.declare(name, kind, DeclaredType::of::<V>(), ttl)?;
        Ok(ValueState { backing })
    }

    fn declare<P: StateValue, T: StateValue>(
        &mut self,
        name: impl Into<StateName>,
        kind: &'static str,
        value: DeclaredType,
        ttl: Option<StateTtl>,
    ) -> Result<Backing<P, T>, StateError>
    where
        StateTtl: Lifetime<T>,
    {
        let ttl = ttl.filter(|ttl| ttl.update_type != TtlUpdate::Disabled);
        let ttl_ms = ttl.map(|ttl| ttl.millis());
        let StateName { name, was } = name.into();
        let declaration = Declaration { name, was, kind, value, ttl_ms };
        self.check(&declaration)?;
        Ok(match ttl {
            None => Backing::Plain(self.add(declaration, Forever)),
            Some(ttl) => Backing::Timed(self.add(declaration, ttl), ttl),
        })
    }

    fn check(&self, declaration: &Declaration) -> Result<(), StateError> {
        let declared = self.declarations();
        let name = declaration.name.clone();
        if name.trim().is_empty() {
            Err(StateError::EmptyName)
        } else if declared.iter().any(|other| other.name == name) {
            Err(StateError::Duplicate { name })
        } else if declared.len() >= STATES {
            Err(StateError::TooMany { name, limit: STATES })
        } else if declaration.ttl_ms == Some(0) {
            Err(StateError::ZeroTtl { name })
        } else {
            Ok(())
        }
    }

    fn add<T: StateValue, L: Lifetime<T>>(
        &mut self,
        declaration: Declaration,
        lifetime: L,
    ) -> Rc<dyn CurrentValue<T>> {
        let mut table = StateTable::new(self.range, self.max, declaration, lifetime);
        if self.checks_keys {
            table.table.check_keys();
        }
        let cell = Rc::new(StateCell::new(Rc::clone(&self.context), table));
        self.states.push(Rc::<StateCell<K, T, L>>::clone(&cell));
        cell
    }
}

#[cfg(test)]
mod tests;
