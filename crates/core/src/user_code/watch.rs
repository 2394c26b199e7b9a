//! Watches user code while it works, and knows what it was handed when it fails.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    vec,
};

use serde::Serialize;
use tidegate_types::{BoxError, UserResult};

use super::{Failed, OperatorError, Subject, caught, shown};

/// The largest record that is copied for every call, in bytes: a line of a processor's cache.
const PLAIN: usize = 64;

/// Whether a copy of a record costs nothing: it is small, and owns nothing elsewhere.
#[must_use]
pub const fn is_plain<T>() -> bool {
    !std::mem::needs_drop::<T>() && size_of::<T>() <= PLAIN
}

/// Whether copies are made of records that user code takes by value, only to tell of them. All clones
/// are one.
#[derive(Clone, Debug, Default)]
pub struct Telling(Arc<AtomicBool>);

impl Telling {
    /// Of an attempt that follows upon a failure of user code (`after_failure`), or of another one.
    #[must_use]
    pub fn new(after_failure: bool) -> Self {
        Self(Arc::new(AtomicBool::new(after_failure)))
    }

    /// A checkpoint is complete: what has failed before is not likely to be seen again.
    pub fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn copies(&self) -> bool {
        cfg!(debug_assertions) || self.0.load(Ordering::Relaxed)
    }
}

/// Watches the user code of one subtask of an operator.
#[derive(Default)]
pub struct Watch {
    telling: Telling,
    /// Whether copies are made only when they are told of.
    spares: bool,
    /// What failed.
    failed: Cell<Option<Subject>>,
}

impl Watch {
    /// One that makes copies as it is told.
    #[must_use]
    pub fn new(telling: &Telling) -> Self {
        Self { telling: telling.clone(), ..Self::default() }
    }

    /// The same, which makes no copies of its own accord: for where a copy of a batch would take the
    /// room in the cache that the work needs.
    #[must_use]
    pub fn sparing(self) -> Self {
        Self { spares: true, ..self }
    }

    /// Runs what an operator does with a batch, and says of a failure what user code was handed.
    ///
    /// # Errors
    ///
    /// What `work` reports or panics with.
    pub fn over<R>(&self, work: impl FnOnce() -> UserResult<R>) -> UserResult<R> {
        caught(work).map_err(|error| self.describe(error))
    }

    #[cold]
    fn describe(&self, source: BoxError) -> BoxError {
        match self.failed.take() {
            // An operator behind has failed on what this one has emitted meanwhile.
            Some(subject) if !source.is::<OperatorError>() => Box::new(Failed { subject, source }),
            _ => source,
        }
    }

    /// As [`Watch::over`], with `work` for each of `records`, in their order. They are there afterwards,
    /// so that nothing has to be kept of them meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Watch::over`].
    pub fn over_each<T: Serialize>(
        &self,
        records: &[T],
        mut work: impl FnMut(&T) -> UserResult<()>,
    ) -> UserResult<()> {
        self.over_slice(records, move |records, mut cursor| {
            records.iter().try_for_each(move |record| {
                cursor.advance();
                work(record)
            })
        })
    }

    /// As [`Watch::over_each`], for work that is a loop of its own: it says by the cursor which of the
    /// records it is at.
    ///
    /// # Errors
    ///
    /// As [`Watch::over`].
    #[inline]
    pub fn over_slice<T: Serialize>(
        &self,
        records: &[T],
        work: impl FnOnce(&[T], Cursor<'_>) -> UserResult<()>,
    ) -> UserResult<()> {
        let noted = Cell::new(0);
        let cursor = Cursor::new(&noted);
        caught(move || work(records, cursor))
            .map_err(|error| self.describe_at(noted.get(), Some(records), error))
    }

    /// As [`Watch::over`], with a `look` at each of `records`, which `take` is handed with what came of
    /// it. Only a failure of `look` is told of the record.
    ///
    /// # Errors
    ///
    /// As [`Watch::over`].
    pub fn over_lent<T: Serialize, L>(
        &self,
        records: Vec<T>,
        mut look: impl FnMut(&T) -> UserResult<L>,
        mut take: impl FnMut(T, L),
    ) -> UserResult<()> {
        let (count, looks) = (records.len(), Cell::new(false));
        let mut records = records.into_iter();
        let all = caught(|| {
            // It stays where it is until it has been looked at, to be there should that fail.
            while let Some(record) = records.as_slice().first() {
                looks.set(true);
                let looked = look(record)?;
                looks.set(false);
                if let Some(record) = records.next() {
                    take(record, looked);
                }
            }
            Ok(())
        });
        all.map_err(|error| {
            let index = count - records.len();
            let shown = || records.as_slice().first().and_then(shown);
            self.failed.set(looks.get().then(|| Subject::Record { index, shown: shown() }));
            self.describe(error)
        })
    }

    /// As [`Watch::over`], for user code that takes the records of a batch by value: `work` says by the
    /// cursor which of them it hands over.
    ///
    /// Copies are made of all of them at once, which costs less than of one after the other.
    ///
    /// # Errors
    ///
    /// As [`Watch::over`].
    pub fn over_owned<T: Serialize + Clone, R>(
        &self,
        records: Vec<T>,
        work: impl FnOnce(vec::IntoIter<T>, Cursor<'_>) -> UserResult<R>,
    ) -> UserResult<R> {
        let is_cheap = is_plain::<T>() && !self.spares;
        let copies = (is_cheap || self.telling.copies()).then(|| records.clone());
        let noted = Cell::new(0);
        let cursor = Cursor::new(&noted);
        caught(move || work(records.into_iter(), cursor))
            .map_err(|error| self.describe_at(noted.get(), copies.as_deref(), error))
    }

    #[cold]
    fn describe_at<T: Serialize>(
        &self,
        noted: usize,
        records: Option<&[T]>,
        error: BoxError,
    ) -> BoxError {
        let subject = noted.checked_sub(1).map(|index| {
            let record = records.and_then(|records| records.get(index));
            Subject::Record { index, shown: record.and_then(shown) }
        });
        self.failed.set(subject);
        self.describe(error)
    }

    /// Calls user code with whatever `subject` tells, should it fail.
    ///
    /// # Errors
    ///
    /// What `call` reports.
    #[inline]
    pub fn with<R>(
        &self,
        subject: impl Fn() -> Subject,
        call: impl FnOnce() -> UserResult<R>,
    ) -> UserResult<R> {
        let mut guard = Guard { watch: self, subject, has_failed: true };
        let result = call();
        guard.has_failed = result.is_err();
        result
    }
}

/// Which record of a batch user code is at work on. It belongs to the work, which may hold it in a
/// register: only when it is dropped, as it is when the work fails, does it note where it was.
pub struct Cursor<'a> {
    /// One more than the record's index, 0 if it is none.
    at: usize,
    noted: &'a Cell<usize>,
}

impl<'a> Cursor<'a> {
    fn new(noted: &'a Cell<usize>) -> Self {
        Self { at: 0, noted }
    }

    /// It is the one behind.
    #[inline]
    pub fn advance(&mut self) {
        self.at += 1;
    }
}

impl Drop for Cursor<'_> {
    #[inline]
    fn drop(&mut self) {
        self.noted.set(self.at);
    }
}

/// Notes what user code was handed, unless it returns well: a panic drops it, too.
struct Guard<'a, F: Fn() -> Subject> {
    watch: &'a Watch,
    subject: F,
    has_failed: bool,
}

impl<F: Fn() -> Subject> Guard<'_, F> {
    #[cold]
    #[inline(never)]
    fn note(&self) {
        self.watch.failed.set(Some((self.subject)()));
    }
}

impl<F: Fn() -> Subject> Drop for Guard<'_, F> {
    #[inline]
    fn drop(&mut self) {
        if self.has_failed {
            self.note();
        }
    }
}
