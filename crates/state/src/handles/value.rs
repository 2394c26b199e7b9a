//! One value per key.

use std::cell::Ref;

use crate::{StateTtl, StateValue, cell::CurrentValue, handles::Backing, ttl::Timed};

/// One value per key.
///
/// ```
/// use tidegate_state::ValueState;
///
/// struct Counter {
///     seen: ValueState<u64>,
/// }
///
/// impl Counter {
///     fn on_record(&mut self) -> u64 {
///         self.seen.set(self.seen.get().unwrap_or(0) + 1);
///         self.seen.get().unwrap_or(0)
///     }
/// }
/// ```
///
/// A value can't be written while it is being read:
///
/// ```compile_fail,E0502
/// # use tidegate_state::ValueState;
/// fn double(value: &mut ValueState<u64>) {
///     value.with(|now| value.set(now.copied().unwrap_or(0) * 2));
/// }
/// ```
pub struct ValueState<V> {
    pub(crate) backing: Backing<V, Timed<V>>,
}

impl<V: StateValue> ValueState<V> {
    /// The current key's value.
    #[must_use]
    pub fn get(&self) -> Option<V> {
        self.with(|value| value.cloned())
    }

    /// Looks at the current key's value in place.
    pub fn with<R>(&self, look: impl FnOnce(Option<&V>) -> R) -> R {
        match &self.backing {
            Backing::Plain(cell) => look(cell.read().as_deref()),
            Backing::Timed(cell, ttl) => {
                settle(&**cell, ttl);
                look(cell.read().map(|timed| Ref::map(timed, |timed| &timed.value)).as_deref())
            }
        }
    }

    /// Whether the current key has a value.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.with(|value| value.is_some())
    }

    /// Sets the current key's value.
    pub fn set(&mut self, value: V) {
        match &self.backing {
            Backing::Plain(cell) => cell.put(value),
            Backing::Timed(cell, _) => {
                cell.sweep();
                cell.put(Timed { value, at: cell.now() });
            }
        }
    }

    /// Changes the current key's value in place; `None` if there is none.
    pub fn modify<R>(&mut self, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        match &self.backing {
            Backing::Plain(cell) => cell.write().map(|mut value| change(&mut value)),
            Backing::Timed(cell, ttl) => {
                settle(&**cell, ttl);
                let now = cell.now();
                cell.write().map(|mut timed| {
                    timed.at = now;
                    change(&mut timed.value)
                })
            }
        }
    }

    /// Changes the current key's value in place; `first` gives it if there is none.
    pub fn modify_or<R>(
        &mut self,
        first: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> R {
        let mut first = Some(first);
        let mut make = || (first.take().expect("a missing value is made once"))();
        match &self.backing {
            Backing::Plain(cell) => change(&mut cell.write_or(&mut make)),
            Backing::Timed(cell, ttl) => {
                settle(&**cell, ttl);
                let at = cell.now();
                let mut timed = cell.write_or(&mut || Timed { value: make(), at });
                timed.at = at;
                change(&mut timed.value)
            }
        }
    }

    /// Takes the current key's value out and sets what `change` returns, if anything.
    pub fn update(&mut self, change: impl FnOnce(Option<V>) -> Option<V>) {
        let before = self.take();
        if let Some(value) = change(before) {
            self.set(value);
        }
    }

    /// Takes the current key's value out.
    pub fn take(&mut self) -> Option<V> {
        match &self.backing {
            Backing::Plain(cell) => cell.take(),
            Backing::Timed(cell, ttl) => {
                settle(&**cell, ttl);
                cell.take().map(|timed| timed.value)
            }
        }
    }

    /// Removes the current key's value.
    pub fn clear(&mut self) {
        match &self.backing {
            Backing::Plain(cell) => drop(cell.take()),
            Backing::Timed(cell, _) => drop(cell.take()),
        }
    }
}

/// Before a read: removes the value if it has expired, or renews it.
fn settle<V>(cell: &dyn CurrentValue<Timed<V>>, ttl: &StateTtl) {
    cell.sweep();
    let now = cell.now();
    let Some(at) = cell.read().map(|timed| timed.at) else { return };
    if ttl.is_expired(at, now) {
        if ttl.hides_expired() {
            drop(cell.take());
        }
    } else if ttl.renews_on_read()
        && at != now
        && let Some(mut timed) = cell.write()
    {
        timed.at = now;
    }
}
