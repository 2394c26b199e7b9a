//! Key selectors as a program gives them, and what is told when one fails.

use std::{panic::Location, vec};

use serde::Serialize;
use tidegate_types::{OperatorUid, UserResult};

use crate::user_code::{Cursor, OperatorError, Watch};

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

    /// Runs `work`, which selects the keys of the records of a batch and hands these on; it says by the
    /// cursor which one it is at. A failure names the selector.
    ///
    /// # Errors
    ///
    /// That failure.
    #[inline]
    pub fn over_owned<T: Serialize + Clone>(
        &self,
        watch: &Watch,
        records: Vec<T>,
        work: impl FnOnce(&F, vec::IntoIter<T>, Cursor<'_>) -> UserResult<()>,
    ) -> UserResult<()> {
        let select = &self.select;
        let routed =
            watch.over_owned(records, move |records, cursor| work(select, records, cursor));
        routed.map_err(|error| OperatorError::blame_selector(&self.uid, self.place, error))
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
        let select = &self.select;
        keys.clear();
        let selected = watch.over_slice(records, move |records, mut cursor| {
            keys.extend(records.iter().map(move |record| {
                cursor.advance();
                select(record)
            }));
            Ok(())
        });
        selected.map_err(|error| OperatorError::blame_selector(&self.uid, self.place, error))
    }
}
