//! Whether in the end all is as it should be, and what the store says of the job.

use futures::executor::block_on;
use tidegate_snapshot::{
    manifest::SnapshotKind,
    store::{SnapshotLocation, SnapshotStore},
};
use tidegate_storage::{
    Place,
    log::{self, Concluded},
};

use super::{
    super::{
        oracle::{at_most_once, exactly_once, verify},
        store::ADDRESS,
    },
    play::ClusterPlay,
    user::{Life, job},
};

/// What the HA store has of jobs: gone when they have ended.
const OF_JOBS: [&str; 5] = [
    "ha/play/jobs/",
    "ha/play/ended/",
    "ha/play/binaries/",
    "ha/play/requirements/",
    "ha/play/triggers/",
];

impl ClusterPlay {
    pub(super) fn check(&mut self) {
        let (visible, size) = (self.target.visible(), self.scenario.size);
        let problem = match self.life {
            Life::Over { is_complete: true } => exactly_once(&visible, size.keys, size.all()),
            _ => at_most_once(&visible),
        };
        if let Some(problem) = problem {
            self.fail(problem);
        }
        if let Some(file) = self.leftover() {
            self.fail(format!("{file} is left, though the job has ended"));
        }
        // A savepoint may hold what was prepared for it and never committed.
        let may_hold = !self.user.savepoints.is_empty() || self.user.has_deleted;
        if !self.scenario.is_unreliable() && !may_hold && self.target.prepared() > 0 {
            self.fail("what was prepared is left, and was neither committed nor aborted");
        }
        for path in self.user.savepoints.clone() {
            if let Err(error) = self.verify(&path) {
                self.fail(format!("the savepoint {path} was reported complete: {error}"));
            }
        }
    }

    /// Whether nothing is left of the job.
    pub(super) fn is_tidy(&self) -> bool {
        self.leftover().is_none()
    }

    /// A file that nobody needs once the job has ended.
    fn leftover(&self) -> Option<String> {
        // What can't be deleted is left to whoever begins the job anew.
        if self.scenario.is_unreliable() {
            return None;
        }
        let own = format!("checkpoints/{}", job());
        let files = self.store.files();
        let is_left = |file: &&String| {
            file.starts_with(&own) || OF_JOBS.iter().any(|folder| file.starts_with(folder))
        };
        files.iter().find(is_left).cloned().or_else(|| {
            // A savepoint's folder that holds no savepoint.
            let in_savepoints = files.iter().filter(|file| file.starts_with("savepoints/"));
            let is_whole = |file: &&String| {
                let name = file.split('/').nth(1).unwrap_or_default();
                files.contains(&format!("savepoints/{name}/_metadata"))
            };
            in_savepoints.into_iter().find(|file| !is_whole(file)).cloned()
        })
    }

    pub(super) fn verify(&self, path: &str) -> Result<(), String> {
        verify(&self.store.plain(), path)
    }

    /// Whether all that there is to be seen is there.
    pub(super) fn is_complete(&self) -> bool {
        let size = self.scenario.size;
        exactly_once(&self.target.visible(), size.keys, size.all()).is_none()
    }

    /// Whether the HA store has the job.
    pub(super) fn is_recorded(&self) -> bool {
        let record = format!("ha/play/jobs/{}", job());
        self.store.files().contains(&record)
    }

    fn log(&self) -> Place {
        let folder = format!("{ADDRESS}/checkpoints/{}/log", job());
        self.store.plain().find(&folder).expect("it is an address")
    }

    /// Whether the job's log says that it has ended, and if so whether it was cancelled.
    pub(super) fn concluded(&self) -> Option<bool> {
        let concluded = block_on(log::concluded(&self.log())).expect("it can be read");
        concluded.map(|how| how == Concluded::Canceled)
    }

    /// Whether there is something to go on from by itself.
    pub(super) fn can_go_on(&self) -> bool {
        let recorded = block_on(log::read(&self.log())).expect("it can be read");
        recorded.iter().any(|snapshot| snapshot.is_needed())
    }

    /// The latest savepoint that the job was stopped with, as somebody finds it who looks for it.
    pub(super) fn final_savepoint(&self) -> Option<String> {
        if self.is_complete() {
            return None;
        }
        let folder = self.store.plain().find(&format!("{ADDRESS}/savepoints"));
        let store = SnapshotStore::from(folder.expect("it is an address"));
        let savepoints = block_on(store.list_savepoints(job())).expect("it can be read");
        let loaded = |location: SnapshotLocation| {
            let manifest = block_on(location.load()).ok()?;
            let is_final = manifest.kind == SnapshotKind::FinalSavepoint;
            is_final.then(|| (manifest.checkpoint, location.to_string()))
        };
        savepoints.into_iter().filter_map(loaded).max().map(|(_, location)| location)
    }
}
