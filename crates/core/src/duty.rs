//! What an operator has begun and has to bring to its end off the worker's thread.
//!
//! What a sink has prepared belongs to the sink and not to the snapshot that it was prepared for:
//! that one may fail for reasons of its own. So the work is a duty of the operator's, and a snapshot
//! gets no more of it than the receiving end of its result
//! ([`OperatorSnapshot::pending`](crate::OperatorSnapshot::pending)).
//!
//! # Invariants
//!
//! - INV-DUTY: once begun, a duty runs to its end for as long as the attempt lives, whether or not
//!   anybody waits for what it makes; its failure fails the attempt; and an attempt is over only
//!   when its duties are.

use std::{borrow::Cow, fmt, sync::Arc};

use futures::future::BoxFuture;
use tidegate_types::UserResult;

/// Work that has been begun.
pub struct Duty {
    /// What it does, as it follows upon "could not".
    pub what: Cow<'static, str>,
    /// The work, to be run on Tokio.
    pub work: BoxFuture<'static, UserResult<()>>,
}

/// Takes an operator's duties over. Cheap to clone.
#[derive(Clone)]
pub struct Duties {
    take: Arc<dyn Fn(Duty) + Send + Sync>,
}

impl Duties {
    /// Has `take` run each duty to its end.
    #[must_use]
    pub fn new(take: impl Fn(Duty) + Send + Sync + 'static) -> Self {
        Self { take: Arc::new(take) }
    }

    /// Begins work that does `what`. It never blocks.
    pub fn begin(
        &self,
        what: impl Into<Cow<'static, str>>,
        work: impl Future<Output = UserResult<()>> + Send + 'static,
    ) {
        (self.take)(Duty { what: what.into(), work: Box::pin(work) });
    }
}

impl fmt::Debug for Duties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duties").finish_non_exhaustive()
    }
}
