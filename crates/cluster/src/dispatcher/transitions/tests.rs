use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use tidegate_runtime::{Host, SnapshotForm};
use tidegate_snapshot::manifest::{FORMAT, FORMAT_VERSION, JobInfo, Manifest, SnapshotKind};
use tidegate_types::{AttemptId, CheckpointId, Timestamp, options::OptionValues};

use super::*;
use crate::{
    artifacts::ArtifactStore,
    describe::SystemDescriber,
    dispatcher::{Beside, DispatcherOptions},
    resources::{HeartbeatOptions, Resources},
};

fn dispatcher(folder: &Path) -> Dispatcher {
    let artifacts = ArtifactStore::open(folder.join("artifacts")).expect("the test's own");
    let (interval, timeout) = (Duration::from_secs(1), Duration::from_secs(5));
    let (heartbeat, host) = (HeartbeatOptions { interval, timeout }, Host::system());
    let resources = Resources::new(artifacts.clone(), heartbeat, None, &host);
    let options =
        DispatcherOptions { folder: folder.to_owned(), configuration: OptionValues::default() };
    let beside = Beside { artifacts, resources, ha: None, describer: Arc::new(SystemDescriber) };
    Dispatcher::new(options, beside, host)
}

async fn snapshot(path: &str, job: JobId) {
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: FORMAT_VERSION,
        kind: SnapshotKind::Savepoint,
        form: SnapshotForm::Native,
        job: JobInfo { id: job, name: "a job".to_owned(), folder: None },
        checkpoint: CheckpointId(1),
        attempt: AttemptId(0),
        triggered_at: Timestamp(1),
        completed_at: Timestamp(2),
        operators: BTreeMap::new(),
        files: BTreeMap::new(),
    };
    std::fs::create_dir(path).expect("the folder is the test's own");
    let location = SnapshotLocation::parse(path).expect("it is there");
    location.commit(&manifest).await.expect("committed");
}

#[tokio::test]
async fn inv_in_use_what_a_job_is_about_to_start_from_is_not_disposed_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let (dispatcher, job) = (dispatcher(folder.path()), JobId::from_name("starting"));
    let path = folder.path().join("savepoint").display().to_string();
    let original = JobId::from_name("original");
    snapshot(&path, original).await;
    let reserved = dispatcher.reserve(job).expect("nobody else has it");
    reserved.start_from("starting", &format!("file:{path}")).expect("nobody deletes it");
    let refused = dispatcher.dispose(&path).await.expect_err("it is in use");
    assert!(refused.to_string().contains(&job.to_string()), "{refused}");
    assert!(Path::new(&path).exists());
    drop(reserved);
    // Of its own nobody knows from which it goes on.
    let recovering = dispatcher.reserve(original).expect("nobody else has it");
    dispatcher.dispose(&path).await.expect_err("it may be in use");
    drop(recovering);
    dispatcher.dispose(&path).await.expect("nobody uses it");
    assert!(!Path::new(&path).exists());
}

#[tokio::test]
async fn inv_in_use_no_job_starts_from_what_is_being_disposed_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let (dispatcher, job) = (dispatcher(folder.path()), JobId::from_name("starting"));
    let path = folder.path().join("savepoint").display().to_string();
    std::fs::create_dir(&path).expect("the folder is the test's own");
    let address = dispatcher.address_of(&path).expect("it is there");
    let (held, under_way) = dispatcher.begin_disposal(address);
    assert_eq!(held, []);
    let reserved = dispatcher.reserve(job).expect("nobody else has it");
    let refused = reserved.start_from("starting", &path).expect_err("it is being deleted");
    assert!(refused.to_string().contains("just being disposed of"), "{refused}");
    drop(under_way);
    reserved.start_from("starting", &path).expect("whether it is there is another matter");
}
