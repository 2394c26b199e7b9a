//! Calls of user code: a panic becomes an error, and an error tells on which record it came.
//!
//! ```text
//!   operator: Watch::over_each(records, user code) --Failed--> OperatorError::blame --> attempt
//!             Watch::over_owned(records, user code)
//!             Watch::over( Watch::with(timer, user code) )
//! ```
//!
//! Nothing is done per record as long as all is well: a record is only put into words once the code
//! that was handed it has failed. Code that takes a record by value has made away with it by then, so
//! that a copy has to be there before. That costs nothing worth measuring where a copy is a move of
//! some bytes ([`is_plain`]); of other records one is made in debug builds, and in an attempt that
//! follows upon a failure of user code until its first checkpoint is complete ([`Telling`]): it has
//! the same records before it, so that a record that always fails is told then.

mod shown;
mod watch;

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, Location, catch_unwind},
};

use futures::FutureExt;
use tidegate_types::{BoxError, OperatorUid, UserResult};

pub use shown::shown;
pub use watch::{Cursor, Telling, Watch, is_plain};

/// A panic of user code, as an error.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {0}")]
pub struct Panicked(String);

/// Runs user code; a panic becomes an error.
///
/// # Errors
///
/// What it reports, throws (see [`ErrorKind::throw`](tidegate_types::ErrorKind::throw)), or panics with.
pub fn caught<R>(call: impl FnOnce() -> UserResult<R>) -> UserResult<R> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| Err(panicked(payload)))
}

/// Runs user code that waits; a panic becomes an error.
///
/// # Errors
///
/// As [`caught`].
pub async fn caught_async<R>(work: impl Future<Output = UserResult<R>>) -> UserResult<R> {
    let result = AssertUnwindSafe(work).catch_unwind().await;
    result.unwrap_or_else(|payload| Err(panicked(payload)))
}

fn panicked(payload: Box<dyn Any + Send>) -> BoxError {
    // See `ErrorKind::throw`.
    let payload = match payload.downcast::<BoxError>() {
        Ok(error) => return *error,
        Err(payload) => payload,
    };
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned());
    Box::new(Panicked(text))
}

/// What user code was called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A record.
    Record {
        /// Its place in its batch.
        index: usize,
        /// The record, if it can be shown.
        shown: Option<String>,
    },
    /// A timer.
    Timer {
        /// Of which time: `event` or `processing`.
        kind: &'static str,
        /// When it was set for, in milliseconds since 1970-01-01 00:00 UTC.
        millis: i64,
        /// Its key, if it can be shown.
        key: Option<String>,
    },
}

/// An error of user code with what that was called with, on its way to whoever knows the operator.
#[derive(Debug, thiserror::Error)]
#[error("user code failed")]
struct Failed {
    subject: Subject,
    #[source]
    source: BoxError,
}

/// An error of user code, with where it happened.
#[derive(Debug, thiserror::Error)]
#[error("{code} {verb}{}", self.circumstances())]
pub struct OperatorError {
    /// The operator's uid.
    pub uid: OperatorUid,
    /// Which code of the program it was, in words.
    code: String,
    verb: &'static str,
    subject: Option<Subject>,
    /// Where in the input the record lies.
    input: Option<String>,
    /// What it reported.
    #[source]
    source: BoxError,
}

impl OperatorError {
    /// Names an operator in its error, unless another one is named there already; `shown` is what a
    /// person finds it by in the program.
    #[must_use]
    pub fn blame(uid: &OperatorUid, shown: &str, error: BoxError) -> BoxError {
        if error.is::<Self>() {
            return error;
        }
        // A uid that nobody has written says nothing to anybody.
        let code = match uid.is_generated() {
            true => shown.to_owned(),
            false => format!("operator `{uid}` ({shown})"),
        };
        let (subject, source) = match error.downcast::<Failed>() {
            Ok(failed) => (Some(failed.subject), failed.source),
            Err(error) => (None, error),
        };
        let verb = "failed";
        Box::new(Self { uid: uid.clone(), code, verb, subject, input: None, source })
    }

    /// Names the key selector at `place`, by whose keys the operator `uid` finds its state, unless
    /// the error is one of something else.
    #[must_use]
    pub fn blame_selector(uid: &OperatorUid, place: &Location<'_>, error: BoxError) -> BoxError {
        let failed = match error.downcast::<Failed>() {
            Ok(failed) => failed,
            Err(error) => return error,
        };
        let code = format!("the key selector of `{uid}` ({}:{})", place.file(), place.line());
        let (verb, source) = match failed.source.downcast::<Panicked>() {
            Ok(panicked) => ("panicked", panicked.0.into()),
            Err(source) => ("failed", source),
        };
        let (uid, subject) = (uid.clone(), Some(failed.subject));
        Box::new(Self { uid, code, verb, subject, input: None, source })
    }

    /// The place in its batch of the record that it failed on, if it was one.
    #[must_use]
    pub fn record(&self) -> Option<usize> {
        match self.subject {
            Some(Subject::Record { index, .. }) => Some(index),
            _ => None,
        }
    }

    /// Says where in the input the record lies, in words that follow upon "of".
    pub fn set_input(&mut self, input: Option<String>) {
        self.input = input;
    }

    /// What it failed on, as it follows upon "failed".
    fn circumstances(&self) -> Circumstances<'_> {
        Circumstances(self)
    }
}

struct Circumstances<'a>(&'a OperatorError);

impl fmt::Display for Circumstances<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.subject, &self.0.input) {
            (None, _) | (Some(Subject::Record { shown: None, .. }), None) => Ok(()),
            (Some(Subject::Record { shown: Some(shown), .. }), None) => write!(f, " on {shown}"),
            (Some(Subject::Record { shown, .. }), Some(input)) => {
                write!(f, " on {} of {input}", shown.as_deref().unwrap_or("a record"))
            }
            (Some(Subject::Timer { kind, millis, key }), _) => {
                write!(f, " in the {kind} timer for {millis} ms")?;
                key.as_ref().map_or(Ok(()), |key| write!(f, " of the key {key}"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
