//! Turns that tasks have asked for later.

use std::{cell::Cell, rc::Rc, time::Duration};

use tidegate_types::Monotonic;
use timely::scheduling::Activator;

/// The shortest time after which it is worth asking again.
const SHORTEST_RETRY: Duration = Duration::from_micros(50);

/// Gives a task another turn when a time has passed. The task sets it, and its worker's loop, which has
/// a clone of it, looks after it: Timely's own delays go by a clock that nobody can hand it.
#[derive(Clone)]
pub(crate) struct Alarm {
    activator: Activator,
    /// When the next turn is due that has been asked for.
    at: Rc<Cell<Option<Monotonic>>>,
}

impl Alarm {
    pub(crate) fn new(activator: Activator) -> Self {
        Self { activator, at: Rc::default() }
    }

    /// Asks for a turn no later than in `wait`, counted from `now`.
    pub(crate) fn set(&self, wait: Duration, now: Monotonic) {
        let at = now + wait.max(SHORTEST_RETRY);
        self.at.set(Some(self.at.get().map_or(at, |set| set.min(at))));
    }

    /// Gives the turn if it is due; else tells when it will be.
    pub(crate) fn ring(&self, now: Monotonic) -> Option<Monotonic> {
        let at = self.at.get()?;
        if at > now {
            return Some(at);
        }
        self.at.set(None);
        self.activator.activate();
        None
    }
}
