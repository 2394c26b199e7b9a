//! How a job ends that is to go on later: behind one more checkpoint, once its sinks have committed
//! that, or when its time is up.

use std::time::Duration;

use tidegate_types::CheckpointId;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};

/// How long to wait before a checkpoint is asked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a job stands that may have to end and go on later.
pub(super) enum Farewell {
    /// Nobody wants it to.
    No,
    /// A checkpoint is to be asked for then.
    Ask { at: Instant, until: Instant },
    /// It has been asked for.
    Asked { answer: oneshot::Receiver<Result<String, String>>, until: Instant },
    /// It is complete; sinks commit it.
    Committing { checkpoint: CheckpointId, until: Instant },
    /// The job ends.
    Over,
}

/// What to do next.
pub(super) enum Leave {
    /// Ask for a checkpoint, unless the job is about to end by itself.
    Ask,
    /// It is complete: see who has committed it.
    Complete,
    /// End the attempt without more ado; what it was that has taken too long.
    End(&'static str),
}

impl Farewell {
    /// A job has to end within that time; with none of it, at once.
    pub(super) fn begin(within: Duration) -> Self {
        if within.is_zero() {
            return Self::Over;
        }
        let at = Instant::now();
        Self::Ask { at, until: at + within }
    }

    /// Whether the job has to end: no attempt follows.
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(self, Self::No)
    }

    /// Waits for the next thing to do.
    pub(super) async fn next(&mut self) -> Leave {
        match self {
            Self::No => std::future::pending().await,
            Self::Over => Leave::End("nothing"),
            Self::Ask { at, until } => {
                sleep_until((*at).min(*until)).await;
                if Instant::now() < *until { Leave::Ask } else { self.end("the checkpoint") }
            }
            Self::Asked { answer, until } => match timeout_at(*until, answer).await {
                Ok(Ok(Ok(_))) => Leave::Complete,
                Ok(_) => {
                    *self = Self::Ask { at: Instant::now() + PAUSE, until: *until };
                    Box::pin(self.next()).await
                }
                Err(_) => self.end("the checkpoint"),
            },
            Self::Committing { until, .. } => {
                sleep_until(*until).await;
                self.end("the sinks to commit it")
            }
        }
    }

    fn end(&mut self, waited_for: &'static str) -> Leave {
        *self = Self::Over;
        Leave::End(waited_for)
    }

    /// Now is no time for a checkpoint.
    pub(super) fn postpone(&mut self) {
        if let Self::Ask { at, .. } = self {
            *at = Instant::now() + PAUSE;
        }
    }

    pub(super) fn asked(&mut self, answer: oneshot::Receiver<Result<String, String>>) {
        if let Self::Ask { until, .. } = *self {
            *self = Self::Asked { answer, until };
        }
    }

    pub(super) fn complete(&mut self, checkpoint: CheckpointId) {
        if let Self::Asked { until, .. } = *self {
            *self = Self::Committing { checkpoint, until };
        }
    }

    /// The last checkpoint, while sinks commit it.
    pub(super) fn committing(&self) -> Option<CheckpointId> {
        match self {
            Self::Committing { checkpoint, .. } => Some(*checkpoint),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough to ask twice.
    const WITHIN: Duration = PAUSE.saturating_mul(3);

    #[tokio::test]
    async fn a_checkpoint_is_asked_for_again_until_the_time_is_up() {
        let mut farewell = Farewell::begin(WITHIN);
        let mut asked = 0;
        loop {
            match farewell.next().await {
                Leave::Ask => asked += 1,
                Leave::Complete => panic!("it was refused"),
                Leave::End(waited_for) => break assert_eq!(waited_for, "the checkpoint"),
            }
            let (reply, answer) = oneshot::channel();
            farewell.asked(answer);
            let _ = reply.send(Err("declined".to_owned()));
        }
        assert!(asked > 0, "it was not asked for at all");
        assert!(matches!(farewell.next().await, Leave::End(_)), "it stays so");
    }

    #[tokio::test]
    async fn sinks_that_do_not_commit_are_waited_for_as_long() {
        let mut farewell = Farewell::begin(WITHIN);
        let (reply, answer) = oneshot::channel();
        farewell.asked(answer);
        let _ = reply.send(Ok("/chk-7".to_owned()));
        assert!(matches!(farewell.next().await, Leave::Complete));
        farewell.complete(CheckpointId(7));
        assert_eq!(farewell.committing(), Some(CheckpointId(7)));
        let Leave::End(waited_for) = farewell.next().await else { panic!("its time is up") };
        assert_eq!(waited_for, "the sinks to commit it");
    }

    #[tokio::test]
    async fn without_time_there_is_no_checkpoint() {
        let mut farewell = Farewell::begin(Duration::ZERO);
        assert!(matches!(farewell.next().await, Leave::End(_)));
    }
}
