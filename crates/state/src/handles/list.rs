//! A list of values per key.

use std::cell::Ref;

use crate::{
    StateTtl, StateValue,
    cell::CurrentValue,
    handles::Backing,
    ttl::{Lifetime, Liveness, TimedList},
};

/// A list of values per key. With TTL each element lives by itself.
pub struct ListState<V> {
    pub(crate) backing: Backing<Vec<V>, TimedList<V>>,
}

impl<V: StateValue> ListState<V> {
    /// Appends to the current key's list.
    pub fn add(&mut self, value: V) {
        self.add_all([value]);
    }

    /// Appends to the current key's list, in order.
    pub fn add_all(&mut self, values: impl IntoIterator<Item = V>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        match &self.backing {
            Backing::Plain(cell) => cell.write_or(&mut Vec::new).extend(values),
            Backing::Timed(cell, _) => {
                cell.sweep();
                let at = cell.now();
                let mut list = cell.write_or(&mut || TimedList::new(Vec::new(), at));
                values.for_each(|value| list.push(value, at));
            }
        }
    }

    /// The current key's list, empty if there is none.
    #[must_use]
    pub fn get(&self) -> Vec<V> {
        self.with(<[V]>::to_vec)
    }

    /// Looks at the current key's list in place.
    pub fn with<R>(&self, look: impl FnOnce(&[V]) -> R) -> R {
        match &self.backing {
            Backing::Plain(cell) => look(cell.read().as_deref().map_or(&[], Vec::as_slice)),
            Backing::Timed(cell, ttl) => {
                settle(&**cell, ttl);
                let values = cell.read().map(|list| Ref::map(list, |list| list.values()));
                look(values.as_deref().unwrap_or(&[]))
            }
        }
    }

    /// How long the current key's list is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with(<[V]>::len)
    }

    /// Whether the current key has no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces the current key's list; an empty one removes it.
    pub fn update(&mut self, values: Vec<V>) {
        if values.is_empty() {
            return self.clear();
        }
        match &self.backing {
            Backing::Plain(cell) => cell.put(values),
            Backing::Timed(cell, _) => {
                cell.sweep();
                cell.put(TimedList::new(values, cell.now()));
            }
        }
    }

    /// Removes the current key's list.
    pub fn clear(&mut self) {
        match &self.backing {
            Backing::Plain(cell) => drop(cell.take()),
            Backing::Timed(cell, _) => drop(cell.take()),
        }
    }
}

/// Before a read: removes expired elements, and renews the others.
fn settle<V: StateValue>(cell: &dyn CurrentValue<TimedList<V>>, ttl: &StateTtl) {
    cell.sweep();
    let now = cell.now();
    let Some(liveness) = cell.read().map(|list| ttl.liveness(&*list, now)) else { return };
    if liveness != Liveness::All && ttl.hides_expired() {
        let left = cell.write().is_some_and(|mut list| ttl.prune(&mut *list, now));
        if !left {
            drop(cell.take());
        }
    }
    if liveness != Liveness::None
        && ttl.renews_on_read()
        && let Some(mut list) = cell.write()
    {
        list.renew(now);
    }
}
