//! Key selectors as a program gives them, and what is told when one fails.

use std::panic::Location;

use serde::Serialize;
use tidegate_types::{OperatorUid, UserResult};

use crate::user_code::{OperatorError, Watch};

/// A key selector, with where a person finds it: it is called by the operator whose state is found by
/// its keys, and by the routers in front of that.
#[derive(Clone)]
pub struct KeySelector<F> {
    select: F,
    uid: OperatorUid,
    place: &'static Location<'static>,
}

impl<F> KeySelector<F> {
    /// The selector that the program has at `place`, for the operator `uid`.
    #[must_use]
    pub fn new(select: F, uid: OperatorUid, place: &'static Location<'static>) -> Self {
        Self { select, uid, place }
    }

    /// Runs `work`, which selects keys while `watch` watches; a failure of the selector names it.
    ///
    /// # Errors
    ///
    /// That failure, or whatever else `work` reports.
    pub fn over<R>(&self, watch: &Watch, work: impl FnOnce(&F) -> UserResult<R>) -> UserResult<R> {
        let blame = |error| OperatorError::blame_selector(&self.uid, self.place, error);
        watch.over(|| work(&self.select)).map_err(blame)
    }

    /// The keys of all `records`, in their order, instead of what `keys` held.
    ///
    /// # Errors
    ///
    /// When the selector panics.
    pub fn keys<T: Serialize, K>(
        &self,
        watch: &Watch,
        records: &[T],
        keys: &mut Vec<K>,
    ) -> UserResult<()>
    where
        F: Fn(&T) -> K,
    {
        keys.clear();
        self.over(watch, |select| {
            let records = records.iter().enumerate();
            keys.extend(records.map(|(index, record)| watch.seen(index, record, select)));
            Ok(())
        })
    }
}
