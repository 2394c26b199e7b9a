//! Looks, while a state is written, for values that can't be read back.
//!
//! # Protocol
//!
//! The first [`FIRST`] values of a state are looked at whole: what is written is compared with what is
//! read, and read again. So is, later, each value with something new in it: a struct with another number
//! of fields than any before it, or a variant that has not been written yet. To find that out costs a
//! look-up per struct or enum, and nothing for other values; a field that is left out the
//! encoder itself refuses.

use std::{
    collections::HashSet,
    marker::PhantomData,
    sync::{
        OnceLock, PoisonError, RwLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use serde::{Serialize, de::DeserializeOwned};
use tidegate_snapshot::codec::{self, CodecError, Watch};

use super::{
    check::check_bytes,
    shape::Shape,
    trace::trace,
    written::{Difference, compare},
};

/// How many values are looked at whole.
const FIRST: u32 = 100;

/// How many forms are told apart, a power of two.
const FORMS: usize = 256;

/// How many places of [`Forms`] one form may be at.
const PROBES: usize = 8;

/// The structs and variants that have been looked at; each thread that writes shares it.
struct Forms {
    places: [AtomicU64; FORMS],
    /// Those for which there was no place left: of a type with hundreds of them.
    more: RwLock<HashSet<u64>>,
}

impl Default for Forms {
    fn default() -> Self {
        Self { places: [const { AtomicU64::new(0) }; FORMS], more: RwLock::default() }
    }
}

impl Forms {
    /// Serde's names are constants of the program, so that their addresses tell them apart; one that
    /// has two is looked at twice.
    #[inline]
    fn of(name: &'static str, number: u32) -> u64 {
        (name.as_ptr() as u64).rotate_left(16) ^ u64::from(number)
    }

    #[inline]
    fn places(form: u64) -> impl Iterator<Item = usize> {
        let first = (form.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize;
        (first..first + PROBES).map(|place| place % FORMS)
    }

    #[inline]
    fn contains(&self, form: u64) -> bool {
        for place in Self::places(form) {
            match self.places[place].load(Ordering::Relaxed) {
                found if found == form => return true,
                0 => return false,
                _ => {}
            }
        }
        self.more.read().unwrap_or_else(PoisonError::into_inner).contains(&form)
    }

    fn insert(&self, form: u64) {
        for place in Self::places(form) {
            let (empty, order) = (0, Ordering::Relaxed);
            match self.places[place].compare_exchange(empty, form, order, order) {
                Ok(_) => return,
                Err(found) if found == form => return,
                Err(_) => {}
            }
        }
        self.more.write().unwrap_or_else(PoisonError::into_inner).insert(form);
    }
}

/// Which forms of a value are new.
struct Watcher<'a> {
    known: &'a Forms,
    new: Vec<u64>,
}

impl Watch for Watcher<'_> {
    #[inline]
    fn form(&mut self, name: &'static str, number: u32) {
        let form = Forms::of(name, number);
        if !self.known.contains(form) {
            self.new.push(form);
        }
    }
}

/// What has been looked at of the values of one state.
pub(crate) struct WriteCheck<T> {
    left: AtomicU32,
    forms: Forms,
    /// What the type reads, found out when it is needed; `None` if it can't be traced.
    shape: OnceLock<Option<Shape>>,
    values: PhantomData<fn(T)>,
}

impl<T> Default for WriteCheck<T> {
    fn default() -> Self {
        Self {
            left: AtomicU32::new(FIRST),
            forms: Forms::default(),
            shape: OnceLock::new(),
            values: PhantomData,
        }
    }
}

impl<T: Serialize + DeserializeOwned> WriteCheck<T> {
    /// Appends a value to `out`, as [`codec::encode`] does, and looks at it if it is one of the first
    /// or has something new in it.
    ///
    /// # Errors
    ///
    /// [`CodecError::Unreadable`], besides those of [`codec::encode`].
    #[inline]
    pub(crate) fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let begin = out.len();
        let mut watcher = Watcher { known: &self.forms, new: Vec::new() };
        codec::encode_watched(value, out, &mut watcher)?;
        if watcher.new.is_empty() && self.left.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        self.look(value, &out[begin..], &watcher.new)
    }

    #[cold]
    fn look(&self, value: &T, bytes: &[u8], new: &[u64]) -> Result<(), CodecError> {
        let order = Ordering::Relaxed;
        let _ = self.left.fetch_update(order, order, |left| left.checked_sub(1));
        let shape = self.shape.get_or_init(|| trace::<T>(false).ok().map(|traced| traced.shape));
        if let Some(shape) = shape
            && let Err(difference @ Difference::At { .. }) = compare(value, shape)
        {
            return Err(CodecError::Unreadable(difference.to_string()));
        }
        check_bytes::<T>(bytes).map_err(CodecError::Unreadable)?;
        new.iter().for_each(|form| self.forms.insert(*form));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_known_once_they_have_been_seen_however_many_there_are() {
        let (forms, all) = (Forms::default(), 1..=4 * FORMS as u64);
        for form in all.clone() {
            assert!(!forms.contains(form), "{form}");
            forms.insert(form);
            assert!(forms.contains(form), "{form}");
        }
        assert!(all.into_iter().all(|form| forms.contains(form)));
    }
}
