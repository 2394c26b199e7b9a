//! The kinds of error, each named by what the user should do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An error of user code: anything that implements [`std::error::Error`], or a message.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What user functions return: `?` works on every error type, and `Err("message".into())` too.
pub type UserResult<T> = Result<T, BoxError>;

/// What an error means for the one who has to act on it.
///
/// Every error type of Tidegate tells its kind; nothing matches on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The input, the options or the program is wrong: change it and start again.
    Invalid,
    /// Something outside did not answer: try again, the restart strategy does so by itself.
    Unavailable,
    /// Another attempt or process has taken over: this one must stop and do nothing more.
    Fenced,
    /// The snapshot and the program do not fit together: change one of them.
    Incompatible,
    /// A file is not what was written: restore from another snapshot.
    Corrupt,
    /// User code failed: its own message says why.
    User,
    /// A defect of Tidegate: please report it.
    Internal,
}

impl ErrorKind {
    /// Whether another attempt may help: not if the program, its options or the snapshot are
    /// wrong, or somebody else has taken over.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::Invalid | Self::Incompatible | Self::Corrupt | Self::Fenced)
    }

    /// Says of an error of user code, or of a connector, what to do about it. Without a mark such
    /// an error is of kind [`ErrorKind::User`], and the restart strategy decides; one that is
    /// marked as not retryable ends the job at once (Flink's `SuppressRestartsException`).
    ///
    /// ```
    /// use tidegate_types::ErrorKind;
    /// let error = ErrorKind::Invalid.mark("no such currency: XXX");
    /// assert_eq!(error.to_string(), "no such currency: XXX");
    /// assert_eq!(ErrorKind::marked(error.as_ref()), Some(ErrorKind::Invalid));
    /// ```
    #[must_use]
    pub fn mark(self, error: impl Into<BoxError>) -> BoxError {
        Box::new(Marked { kind: self, error: error.into() })
    }

    /// Ends the call with such an error, from where none can be returned: whoever runs user code takes
    /// it for the error of that code. Says nothing on standard error, as a panic would.
    ///
    /// ```
    /// use tidegate_types::{BoxError, ErrorKind};
    /// let caught = std::panic::catch_unwind(|| ErrorKind::Invalid.throw("no such currency: XXX"));
    /// let error = caught.unwrap_err().downcast::<BoxError>().unwrap();
    /// assert_eq!(ErrorKind::marked(error.as_ref().as_ref()), Some(ErrorKind::Invalid));
    /// ```
    pub fn throw(self, error: impl Into<BoxError>) -> ! {
        throw(self.mark(error))
    }

    /// The kind with which an error, or the first of its sources that is, was marked.
    #[must_use]
    pub fn marked(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let chain = std::iter::successors(Some(error), |error| error.source());
        chain.filter_map(|error| error.downcast_ref::<Marked>()).map(|marked| marked.kind).next()
    }
}

/// An error with its kind; otherwise like the error itself.
#[derive(Debug)]
struct Marked {
    kind: ErrorKind,
    error: BoxError,
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Marked {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Fenced => "fenced",
            Self::Incompatible => "incompatible",
            Self::Corrupt => "corrupt",
            Self::User => "user code failed",
            Self::Internal => "internal",
        })
    }
}

/// As [`ErrorKind::throw`], with the error as it is.
pub fn throw(error: BoxError) -> ! {
    std::panic::resume_unwind(Box::new(error))
}

/// Formats an error and all its sources, outermost first, as one line.
///
/// ```
/// let inner: Box<dyn std::error::Error> = "disk full".into();
/// assert_eq!(tidegate_types::error::chain(inner.as_ref()), "disk full");
/// ```
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their source in their own message: say it once.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
