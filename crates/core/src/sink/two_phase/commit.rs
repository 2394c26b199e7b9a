//! Has a sink commit, and looks at what it answers.

use std::fmt;

use tidegate_types::{BoxError, CheckpointId, ErrorKind, OperatorUid, UserResult};
use tracing::{info, warn};

use super::super::{CommitOutcome, TwoPhaseSink};
use crate::user_code::caught_async;

/// How many lost outputs a message names.
const NAMED: usize = 3;

/// Whose output is committed, and what is done about some that is lost.
#[derive(Clone)]
pub(super) struct Committer {
    pub(super) uid: OperatorUid,
    pub(super) allow_lost: bool,
}

/// What made the output that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interval {
    /// A restored snapshot holds it.
    Snapshot(CheckpointId),
    /// It was written before these checkpoints, the first and the last of them.
    Checkpoints(CheckpointId, CheckpointId),
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot(id) => write!(f, "snapshot {id}"),
            Self::Checkpoints(first, last) if first == last => write!(f, "checkpoint {last}"),
            Self::Checkpoints(first, last) => write!(f, "checkpoints {first} to {last}"),
        }
    }
}

/// Why a commit has failed, apart from what its target says.
#[derive(Debug, thiserror::Error)]
enum CommitError {
    #[error("{lost} of {all} outputs of {interval} are lost: {named}")]
    Lost { lost: usize, all: usize, interval: Interval, named: String },
    #[error("`commit` was handed {expected} committables, and answered for {found}")]
    Outcomes { expected: usize, found: usize },
}

/// What a restored snapshot holds could not be committed.
#[derive(Debug, thiserror::Error)]
#[error("could not commit what {interval} holds")]
struct RestoreError {
    interval: Interval,
    source: BoxError,
}

impl CommitError {
    fn mark(self) -> BoxError {
        let kind = match self {
            Self::Lost { .. } => ErrorKind::Corrupt,
            Self::Outcomes { .. } => ErrorKind::Invalid,
        };
        kind.mark(self)
    }
}

impl Committer {
    /// Commits `committables`.
    ///
    /// # Errors
    ///
    /// What the sink reports, or that some of them are lost.
    pub(super) async fn commit<S: TwoPhaseSink>(
        &self,
        sink: &S,
        committables: Vec<S::Committable>,
        interval: Interval,
    ) -> UserResult<()> {
        let expected = committables.len();
        if expected == 0 {
            return Ok(());
        }
        let outcomes = caught_async(async { sink.commit(committables).await }).await;
        let outcomes = outcomes.map_err(|source| match interval {
            Interval::Snapshot(_) => RestoreError { interval, source }.into(),
            // Whoever runs the commit says so.
            Interval::Checkpoints(..) => source,
        })?;
        if outcomes.len() != expected {
            return Err(CommitError::Outcomes { expected, found: outcomes.len() }.mark());
        }
        let before = outcomes.iter().filter(|one| **one == CommitOutcome::AlreadyCommitted);
        if let (Interval::Snapshot(snapshot), before) = (interval, before.count()) {
            let uid = &self.uid;
            info!(%uid, %snapshot, outputs = expected, before, "committed what a snapshot holds");
        }
        self.check_lost(&outcomes, interval)
    }

    fn check_lost(&self, outcomes: &[CommitOutcome], interval: Interval) -> UserResult<()> {
        let lost = outcomes.iter().filter_map(|outcome| match outcome {
            CommitOutcome::Lost(what) => Some(what.as_str()),
            CommitOutcome::Committed | CommitOutcome::AlreadyCommitted => None,
        });
        let lost = lost.collect::<Vec<_>>();
        if lost.is_empty() {
            return Ok(());
        }
        let mut named = lost[..lost.len().min(NAMED)].join(", ");
        if lost.len() > NAMED {
            named.push_str(&format!(", and {} more", lost.len() - NAMED));
        }
        let (lost, all) = (lost.len(), outcomes.len());
        let error = CommitError::Lost { lost, all, interval, named };
        // What a running attempt has prepared itself can't be lost with anybody's leave.
        if self.allow_lost && matches!(interval, Interval::Snapshot(_)) {
            warn!(uid = %self.uid, %error, "going on without output that is lost, as was asked for");
            return Ok(());
        }
        Err(error.mark())
    }
}
