//! How many subtasks an attempt gets: what is wanted, and what there is (Flink's default and adaptive
//! schedulers); and when it has to give its slots up.
//!
//! # Invariants
//!
//! - INV-BOUNDS: no attempt has fewer subtasks than the lower bound, or more than the upper one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_types::{
    Parallelism,
    options::{JobOptions, SchedulerKind},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{dispatcher::TaskManagerId, resources::Resources};

/// How many subtasks of each operator a job may have (Flink's resource requirements).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    /// With fewer it does not run.
    pub lower: Parallelism,
    /// More it does not get.
    pub upper: Parallelism,
}

impl Requirements {
    /// What a job's options ask for.
    #[must_use]
    pub fn of(options: &JobOptions) -> Self {
        let upper = options.parallelism;
        match options.scheduler.kind {
            SchedulerKind::Default => Self { lower: upper, upper },
            SchedulerKind::Adaptive => Self { lower: Parallelism::ONE, upper },
        }
    }

    /// The most subtasks that so many slots allow, if they allow any.
    pub(crate) fn fit(self, slots: u32) -> Option<Parallelism> {
        let most = Parallelism::new(slots)?.min(self.upper);
        (most >= self.lower).then_some(most)
    }
}

/// When an attempt of a job that could have other slots gives way.
pub(crate) struct Outlook {
    pub(crate) resources: Resources,
    pub(crate) requirements: watch::Receiver<Requirements>,
    /// Where the attempt's processes are.
    pub(crate) managers: Vec<TaskManagerId>,
    /// Of the attempt.
    pub(crate) parallelism: Parallelism,
    /// When it may give way at the earliest.
    pub(crate) not_before: Instant,
    /// How long to wait for more slots before some of those that are wanted are taken.
    pub(crate) stabilization: Duration,
}

impl Outlook {
    /// Waits until another attempt would get another parallelism, or has to be elsewhere; says why.
    pub(crate) async fn outdated(mut self) -> String {
        let mut more_since = None;
        loop {
            let changed = self.resources.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(TaskManagerId(id)) = self.resources.leaving(&self.managers) {
                return format!("TaskManager {id} is about to end");
            }
            let wanted = *self.requirements.borrow_and_update();
            let (mine, (_, free)) = (self.parallelism.get(), self.resources.slot_counts());
            let due = match wanted.fit(mine + free) {
                Some(next) if next < self.parallelism || self.parallelism < wanted.lower => {
                    return format!("parallelism {next} is wanted, instead of {mine}");
                }
                Some(next) if next > self.parallelism => {
                    let since = *more_since.get_or_insert_with(Instant::now);
                    let settled =
                        if next == wanted.upper { since } else { since + self.stabilization };
                    let due = settled.max(self.not_before);
                    if due <= Instant::now() {
                        return format!(
                            "there are slots for parallelism {next}, instead of {mine}"
                        );
                    }
                    Some(due)
                }
                _ => {
                    more_since = None;
                    None
                }
            };
            tokio::select! {
                biased;
                () = changed => {}
                changed = self.requirements.changed() => if changed.is_err() {
                    // The job is being forgotten: nothing will be wanted any more.
                    std::future::pending::<()>().await;
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(lower: u32, upper: u32) -> Requirements {
        let count = |count| Parallelism::new(count).expect("above 0");
        Requirements { lower: count(lower), upper: count(upper) }
    }

    #[test]
    fn what_fits_lies_within_the_bounds() {
        for lower in 1..6 {
            for upper in lower..6 {
                for slots in 0..8 {
                    let fits = bounds(lower, upper).fit(slots).map(Parallelism::get);
                    let expected = (slots >= lower).then_some(slots.min(upper));
                    assert_eq!(fits, expected, "{lower} to {upper} of {slots}");
                }
            }
        }
    }
}
