//! How an attempt gives way to one of another parallelism: behind a checkpoint, so that nothing has
//! to be done twice.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

/// How long to wait after a checkpoint has failed.
const PAUSE: Duration = Duration::from_secs(1);
/// After how many failures the attempt gives way without one
/// (`jobmanager.adaptive-scheduler.rescale-trigger.max-checkpoint-failures`).
const MOST_FAILURES: u32 = 2;

/// Where an attempt stands that may have to give way.
pub(super) enum Handover {
    /// Nobody wants it to.
    No,
    /// A checkpoint has been asked for.
    Asked { reason: String, failures: u32, answer: oneshot::Receiver<Result<String, String>> },
    /// A checkpoint is to be asked for then.
    Later { reason: String, failures: u32, at: Instant },
}

/// What to do next.
pub(super) enum Step {
    /// Ask for a checkpoint.
    Ask { reason: String, failures: u32 },
    /// End the attempt.
    GiveWay { reason: String },
    /// Go on.
    Wait,
}

impl Handover {
    /// Waits for the next thing to do; `outdated` says when the attempt has to give way, and why.
    pub(super) async fn next(&mut self, outdated: &mut BoxFuture<'static, String>) -> Step {
        match self {
            Self::No => Step::Ask { reason: outdated.await, failures: 0 },
            Self::Later { at, .. } => {
                sleep_until(*at).await;
                let Self::Later { reason, failures, .. } = std::mem::replace(self, Self::No) else {
                    return Step::Wait;
                };
                Step::Ask { reason, failures }
            }
            Self::Asked { answer, .. } => {
                let taken = matches!(answer.await, Ok(Ok(_)));
                let Self::Asked { reason, failures, .. } = std::mem::replace(self, Self::No) else {
                    return Step::Wait;
                };
                let failures = failures + u32::from(!taken);
                if taken || failures >= MOST_FAILURES {
                    return Step::GiveWay { reason };
                }
                self.postpone(reason, failures);
                Step::Wait
            }
        }
    }

    pub(super) fn asked(
        &mut self,
        reason: String,
        failures: u32,
        answer: oneshot::Receiver<Result<String, String>>,
    ) {
        *self = Self::Asked { reason, failures, answer };
    }

    /// Now is no time for it.
    pub(super) fn postpone(&mut self, reason: String, failures: u32) {
        *self = Self::Later { reason, failures, at: Instant::now() + PAUSE };
    }
}
