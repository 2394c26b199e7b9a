//! How long what is under way is under way (`coverage` has the table).

use tidegate_runtime::JobStatus;

use super::{
    coverage::{Activity, Watch},
    line::Line,
    play::Play,
    scenario::Operation,
    store::ADDRESS,
    user::{From, Life},
};

/// What a start is, until the job runs.
const STARTS: [Activity; 3] = [Activity::Submit, Activity::Restore, Activity::Rescale];

impl Operation {
    /// What is under way from when a running job is asked for it.
    pub(super) fn activity(self) -> Activity {
        match self {
            // Behind one more checkpoint.
            Self::Checkpoint | Self::Suspend => Activity::Checkpoint,
            Self::Savepoint { .. } => Activity::Savepoint,
            Self::Stop { drain: false } => Activity::Stop,
            Self::Stop { drain: true } => Activity::Drain,
            Self::CancelWithSavepoint => Activity::CancelWithSavepoint,
            Self::Cancel => Activity::Cancel,
            Self::TakeOver => Activity::TakeOver,
            Self::Dispose => Activity::Dispose,
            Self::Sweep => Activity::Sweep,
        }
    }
}

impl Play {
    /// A job is started on that machine, from there.
    pub(super) fn begin_start(&self, line: &Line, from: Option<&From>, is_rescaled: bool) {
        let watch = &line.watch;
        match from {
            None => watch.begin(Activity::Submit),
            Some(_) => watch.begin(Activity::Restore),
        }
        if is_rescaled && from.is_some() {
            watch.begin(Activity::Rescale);
        }
        if let Some(From::Savepoint { claim: true, .. }) = from {
            watch.begin(Activity::Claim);
        }
        if !self.superseded.is_empty() {
            watch.begin(Activity::TakeOver);
        }
    }

    /// Looks whether what was under way is so still.
    pub(super) fn look_on(&mut self) {
        self.listen_to_errands();
        let Life::Runs(running) = &self.life else { return };
        let watch = &running.machine.line.watch;
        if is_starting(watch)
            && let Some(handle) = running.handle()
            && handle.stats().status == JobStatus::Running
        {
            STARTS.into_iter().for_each(|start| watch.end(start));
        }
        if self.superseded.is_empty() && !is_starting(watch) {
            watch.end(Activity::TakeOver);
        }
        if watch.is_under_way(Activity::Claim)
            && let Some(path) = running.claimed()
            && !self.store.has(&format!("{}/_metadata", path.trim_start_matches(ADDRESS)))
        {
            watch.end(Activity::Claim);
        }
    }
}

fn is_starting(watch: &Watch) -> bool {
    STARTS.into_iter().any(|start| watch.is_under_way(start))
}
