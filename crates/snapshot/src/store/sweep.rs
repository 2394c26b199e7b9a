//! Finds what no manifest reaches: half-written snapshots, and files beside complete ones.
//!
//! # What is swept, and what is not
//!
//! Only files with names that we give, in folders with names that we give (`chk-<n>` and
//! `savepoint-<job>-<random>`), and that no `_metadata` there names. Never a stranger's file.
//!
//! And nothing that a run may still want. Nobody can be asked here, so that age decides: a folder
//! into which anything was written within [`Rule::age`] is left alone. While anything of the same
//! job was, so are its checkpoints that are newer than the newest complete one: they may be under
//! way. A clock that differs from the store's by more than the age makes the rule worthless, as
//! does an age of zero while a job runs.

use std::time::{Duration, SystemTime};

use tidegate_storage::{Place, StoreError};
use tidegate_types::CheckpointId;

use super::{Leftover, SnapshotLocation, checkpoint_of, files};
use crate::SnapshotError;

/// What is old enough.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The time as the store knows it, more or less.
    pub now: SystemTime,
    /// How long ago the last write into a folder has to be. Zero takes everything.
    pub age: Duration,
}

impl Rule {
    fn is_recent(&self, written: SystemTime) -> bool {
        // What comes from the future is recent.
        self.now.duration_since(written).unwrap_or_default() < self.age
    }
}

/// A snapshot's folder with something in it that no manifest names.
#[derive(Clone, Debug)]
pub struct Untidy {
    /// Where it lies.
    pub location: SnapshotLocation,
    /// Whether a complete snapshot is there, which stays.
    pub is_complete: bool,
    /// What may go.
    pub leftovers: Vec<Leftover>,
    /// Why it may not go now.
    pub spared: Option<String>,
}

/// A folder that is a snapshot's by its name.
struct Folder {
    location: SnapshotLocation,
    checkpoint: Option<CheckpointId>,
    is_complete: bool,
    /// When something was last written into it.
    written: Option<SystemTime>,
}

/// Finds leftovers in `place`: a snapshot's folder, a job's, or one of many jobs or savepoints.
///
/// # Errors
///
/// When the store does not answer.
pub async fn find_untidy(place: &Place, rule: Rule) -> Result<Vec<Untidy>, SnapshotError> {
    let mut untidy = Vec::new();
    if let Some(folder) = Folder::open(place.clone()).await? {
        untidy.extend(look_through(&[folder], rule).await?);
        return Ok(untidy);
    }
    let mut jobs = vec![place.clone()];
    for name in place.folders().await? {
        if kind_of(&name).is_none() {
            jobs.push(place.folder(&name));
        }
    }
    for job in jobs {
        untidy.extend(look_through(&Folder::all_in(&job).await?, rule).await?);
    }
    Ok(untidy)
}

/// Looks through folders of the same job.
async fn look_through(folders: &[Folder], rule: Rule) -> Result<Vec<Untidy>, SnapshotError> {
    let is_alive = folders.iter().filter_map(|folder| folder.written).any(|at| rule.is_recent(at));
    let complete = folders.iter().filter(|folder| folder.is_complete);
    let newest = complete.filter_map(|folder| folder.checkpoint).max();
    let mut untidy = Vec::new();
    for folder in folders {
        let (location, is_complete) = (folder.location.clone(), folder.is_complete);
        let (leftovers, damaged) = match location.leftovers().await {
            Ok(leftovers) => (leftovers, None),
            Err(SnapshotError::Store(error)) => return Err(error.into()),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        if leftovers.is_empty() && damaged.is_none() {
            continue;
        }
        let spared = damaged.or_else(|| {
            let is_recent = folder.written.is_some_and(|at| rule.is_recent(at));
            let under_way = is_alive && folder.checkpoint.is_some_and(|id| Some(id) > newest);
            if is_recent {
                Some("something was written into it of late".to_owned())
            } else {
                under_way.then(|| "it may be under way: the job has written of late".to_owned())
            }
        });
        untidy.push(Untidy { location, is_complete, leftovers, spared });
    }
    Ok(untidy)
}

impl Folder {
    /// A folder, if its name is one of a snapshot's.
    async fn open(place: Place) -> Result<Option<Self>, StoreError> {
        let shown = place.to_string();
        let name = shown.rsplit('/').next().unwrap_or_default();
        let Some(checkpoint) = kind_of(name) else { return Ok(None) };
        let files = files::below(&place).await?;
        let written = files.iter().map(|found| found.modified).max();
        let location = SnapshotLocation::from(place);
        let is_complete = location.exists().await?;
        Ok(Some(Self { location, checkpoint, is_complete, written }))
    }

    async fn all_in(job: &Place) -> Result<Vec<Self>, StoreError> {
        let mut folders = Vec::new();
        for name in job.folders().await? {
            folders.extend(Self::open(job.folder(&name)).await?);
        }
        Ok(folders)
    }
}

/// Whether a folder of this name is a snapshot's, and of which checkpoint if it is one.
fn kind_of(name: &str) -> Option<Option<CheckpointId>> {
    let is_hex = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_savepoint = || {
        let (job, random) = name.strip_prefix("savepoint-")?.split_once('-')?;
        (is_hex(job, 6) && is_hex(random, 12)).then_some(None)
    };
    checkpoint_of(name).map(Some).or_else(is_savepoint)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tidegate_types::{JobId, ProcessIndex};

    use super::*;
    use crate::store::{SnapshotStore, state_file};

    const HOUR: Duration = Duration::from_secs(3600);

    async fn write(location: &SnapshotLocation, name: &str) {
        location.write_file(name, vec![Bytes::from_static(b"x")], 0).await.expect("written");
    }

    /// Makes everything in a folder look as if it had been written so long ago.
    fn age(location: &SnapshotLocation, age: Duration) {
        let folder = location.place().local().expect("on a disk");
        for entry in std::fs::read_dir(folder).expect("lists") {
            let file = std::fs::File::open(entry.expect("lists").path()).expect("opens");
            let then = file.metadata().and_then(|found| found.modified()).expect("known") - age;
            file.set_modified(then).expect("set");
        }
    }

    fn seen(untidy: &[Untidy]) -> Vec<(String, usize, bool)> {
        let folder = |of: &Untidy| {
            let path = of.location.to_string();
            path.rsplit('/').next().unwrap_or_default().to_owned()
        };
        let mut seen = untidy
            .iter()
            .map(|of| (folder(of), of.leftovers.len(), of.spared.is_some()))
            .collect::<Vec<_>>();
        seen.sort();
        seen
    }

    #[tokio::test]
    async fn what_no_manifest_reaches_is_found_once_it_is_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SnapshotStore::open(&folder.path().display().to_string()).expect("opens");
        let job = JobId::from_name("sweep");
        let state = state_file(ProcessIndex(0), 1);
        let chk = |id| store.checkpoint(job, CheckpointId(id), true);
        let complete = crate::store::tests::written(&chk(2)).await;
        for location in [chk(1), chk(2), chk(3), store.savepoint(job, 1)] {
            write(&location, &state).await;
            write(&location, "notes.txt").await;
            age(&location, 2 * HOUR);
        }
        let foreign = SnapshotLocation::from(store.place().folder("chk-mine"));
        write(&foreign, &state).await;
        let now = std::fs::metadata(folder.path()).and_then(|found| found.modified());
        let rule = Rule { now: now.expect("known"), age: HOUR };

        let find = async || find_untidy(store.place(), rule).await.expect("looks");
        let savepoint = store.savepoint(job, 1).to_string();
        let savepoint = savepoint.rsplit('/').next().expect("a name").to_owned();
        let all = |chk_3| {
            let of = |name: &str, spared| (name.to_owned(), 1, spared);
            [of("chk-1", false), of("chk-2", false), of("chk-3", chk_3), of(&savepoint, false)]
        };
        assert_eq!(seen(&find().await), all(false));
        // The job lives: what is newer than its newest checkpoint may be under way.
        write(&chk(2), "of-late").await;
        let mut expected = all(true);
        expected[1].2 = true;
        assert_eq!(seen(&find().await), expected);
        age(&chk(2), 2 * HOUR);
        for untidy in find().await {
            untidy.location.remove(untidy.leftovers).await.expect("removed");
        }
        assert!(find().await.is_empty());
        chk(2).verify(&complete).await.expect("it is whole");
        for location in [chk(1), chk(3)] {
            let folder = location.place().local().expect("on a disk").to_owned();
            assert!(folder.join("notes.txt").exists(), "a stranger's");
        }
        assert!(foreign.place().local().expect("on a disk").join(&state).exists());
    }

    #[tokio::test]
    async fn an_age_of_zero_takes_all_and_a_damaged_manifest_is_spared() {
        let store = SnapshotStore::open("memory://sweep-all").expect("opens");
        let job = JobId::from_name("sweep");
        let chk = |id| store.checkpoint(job, CheckpointId(id), true);
        for location in [chk(1), chk(2)] {
            write(&location, &state_file(ProcessIndex(0), 1)).await;
        }
        write(&chk(1), "_metadata").await;
        let rule = |age| Rule { now: SystemTime::UNIX_EPOCH, age };
        let place = store.place();
        let recent = find_untidy(place, rule(HOUR)).await.expect("looks");
        assert_eq!(seen(&recent), [("chk-1".to_owned(), 0, true), ("chk-2".to_owned(), 1, true)]);
        let all = find_untidy(place, rule(Duration::ZERO)).await.expect("looks");
        assert_eq!(seen(&all), [("chk-1".to_owned(), 0, true), ("chk-2".to_owned(), 1, false)]);
        let one = find_untidy(chk(2).place(), rule(Duration::ZERO)).await.expect("looks");
        assert_eq!(one.len(), 1);
    }
}
