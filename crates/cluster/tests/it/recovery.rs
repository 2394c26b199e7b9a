//! A JobManager ends without a goodbye, and another one goes on with its jobs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tidegate_cluster::dispatcher::{Submission, SubmitError};
use tidegate_runtime::JobStatus;
use tidegate_snapshot::manifest::{Manifest, SegmentLocation};
use tidegate_storage::{
    Place,
    log::{self, Concluded, Recorded, RecordedKind, Run, RunToken},
};
use tidegate_testing::{
    folders::{checkpoints, entries, forge_later, is_complete, unfinished},
    process::{flights, stuck},
};
use tidegate_types::JobId;

use crate::{
    jobs::{OFTEN, SLOW, SOON, Site},
    support::{Cluster, wait_for},
};

async fn wait_until_recovered(cluster: &Cluster, id: JobId) {
    wait_for("the job to be recovered", || cluster.dispatcher.job(id).map(|_| ())).await;
}

/// Starts a job that takes a checkpoint once it has some state, and none by itself; tells where that lies.
async fn submit_with_checkpoint(cluster: &Cluster, site: &Site) -> (JobId, String) {
    let rarely = ("execution.checkpointing.interval", "1 h");
    let in_files = ("execution.checkpointing.data-inline-threshold", "0");
    let options = [rarely, SOON, in_files];
    let id = cluster.submit(flights(), &site.arguments(&[SLOW]), &options).await;
    let first = || cluster.job(id).stats.first_record.map(|_| ());
    wait_for("a first record to pass", first).await;
    let handle = cluster.dispatcher.handle(id).expect("it runs");
    (id, handle.checkpoint().await.expect("it is taken"))
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_outlive_their_jobmanager() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1, 1]).await;
    let options = [("parallelism.default", "2"), OFTEN, SOON];
    let id = cluster.submit(flights(), &site.arguments(&[SLOW]), &options).await;
    for _ in 0..3 {
        cluster.wait_for_checkpoints(id, 3).await;
        let done = cluster.job(id).stats.completed.last().expect("there are some").id;
        cluster.kill_jobmanager();
        cluster.restart_jobmanager().await;
        wait_until_recovered(&cluster, id).await;
        cluster.wait_for_checkpoints(id, 1).await;
        let (restored, _) = cluster.job(id).stats.restored.expect("it goes on from a snapshot");
        assert!(restored >= done, "from {restored}, though {done} was complete");
    }
    cluster.wait_for_status(id, JobStatus::Finished).await;
    site.assert_results();
    let left = checkpoints(&site.path().join("out/checkpoints"));
    assert_eq!(left, <[PathBuf; 0]>::default());
    let jobs = site.path().join("ha/test/jobs");
    wait_for("the job's record to go", || {
        fs::read_dir(&jobs).map_or(true, |mut jobs| jobs.next().is_none()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_holds_no_other_job_up() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let id = cluster.submit(flights(), &site.arguments(&[SLOW]), &[OFTEN, SOON]).await;
    cluster.wait_for_checkpoints(id, 1).await;
    cluster.kill_jobmanager();
    // It comes before all others.
    let damaged = site.path().join("ha/test/jobs").join("0".repeat(32));
    fs::write(&damaged, "{\"artifact").expect("the folder is the test's own");
    cluster.restart_jobmanager().await;
    wait_until_recovered(&cluster, id).await;
    cluster.wait_for_status(id, JobStatus::Finished).await;
    site.assert_results();
    assert!(damaged.exists(), "it is left to whoever can mend it");
    // Behind its record, so that whoever finds one finds the other.
    let log = site.path().join(format!("out/checkpoints/{id}/log"));
    wait_for("the job's log to go", || entries(&log).is_empty().then_some(())).await;
    assert!(!site.path().join(format!("ha/test/jobs/{id}")).exists(), "its record is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_had_ended_when_its_jobmanager_died_is_not_run_once_more() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let (id, checkpoint) = submit_with_checkpoint(&cluster, &site).await;
    cluster.kill_jobmanager();
    // What the JobManager had noted before it deleted anything.
    let folder = site.path().join(format!("out/checkpoints/{id}/log"));
    let place = Place::open(&folder.display().to_string()).expect("it is a folder");
    let run = Run { token: RunToken(7), rank: None, name: "it".to_owned() };
    let (log, _) = log::take_over(&place, run).await.expect("nobody else has it");
    log.conclude(Concluded::Finished).await.expect("nobody else has it");
    cluster.restart_jobmanager().await;
    wait_until_recovered(&cluster, id).await;
    let view = cluster.wait_for_status(id, JobStatus::Finished).await;
    assert_eq!(view.stats.records, 0, "nothing was run");
    assert!(!Path::new(&checkpoint).exists(), "nobody else deletes it");
    let jobs = site.path().join("ha/test/jobs");
    wait_for("the job's record to go", || entries(&jobs).is_empty().then_some(())).await;
    wait_for("the job's log to go", || entries(&folder).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_cancelled_with_a_savepoint_is_cancelled_by_the_next_jobmanager_too() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let (id, _) = submit_with_checkpoint(&cluster, &site).await;
    let target = site.path().join("savepoints").display().to_string();
    let handle = cluster.dispatcher.handle(id).expect("it runs");
    let location = handle.savepoint(Some(target)).await.expect("it is taken");
    cluster.kill_jobmanager();
    // As if it had died when the savepoint of a `cancel -s` was complete, and nothing committed.
    let folder = site.path().join(format!("out/checkpoints/{id}/log"));
    let place = Place::open(&folder.display().to_string()).expect("it is a folder");
    let run = Run { token: RunToken(7), rank: None, name: "it".to_owned() };
    let (log, recorded) = log::take_over(&place, run).await.expect("nobody else has it");
    let taken = recorded.iter().find(|taken| taken.location == location).expect("it is complete");
    let (kind, ends) = (RecordedKind::FinalSavepoint, Some(Concluded::Canceled));
    log.append(Recorded { kind, ends, ..taken.clone() }).await.expect("nobody else has it");
    cluster.restart_jobmanager().await;
    wait_until_recovered(&cluster, id).await;
    cluster.wait_for_status(id, JobStatus::Canceled).await;
    assert!(is_complete(Path::new(&location)), "it is its user's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_was_never_recorded_is_not_gone_on_from() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let id = cluster.submit(flights(), &site.arguments(&[SLOW]), &[OFTEN, SOON]).await;
    cluster.wait_for_checkpoints(id, 3).await;
    cluster.kill_jobmanager();
    let all = checkpoints(&site.path().join("out/checkpoints"));
    let latest = all.iter().rfind(|folder| is_complete(folder)).expect("some are complete");
    let forged = forge_later(latest);
    cluster.restart_jobmanager().await;
    wait_until_recovered(&cluster, id).await;
    let view = cluster.wait_for_status(id, JobStatus::Finished).await;
    let (_, restored) = view.stats.restored.expect("it goes on from a snapshot");
    assert_ne!(Path::new(&restored), forged, "it was never complete");
    site.assert_results();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_outlives_its_jobmanager_and_the_checkpoints_behind_it() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let (id, checkpoint) = submit_with_checkpoint(&cluster, &site).await;
    let handle = cluster.dispatcher.handle(id).expect("it runs");
    let target = site.path().join("savepoints").display().to_string();
    let savepoint = handle.savepoint(Some(target)).await.expect("it is taken");
    cluster.kill_jobmanager();
    cluster.restart_jobmanager().await;
    wait_until_recovered(&cluster, id).await;
    let handle = cluster.dispatcher.handle(id).expect("it goes on");
    for _ in 0..2 {
        handle.checkpoint().await.expect("it is taken");
    }
    assert!(is_complete(Path::new(&savepoint)), "the savepoint is its user's");
    let (_, restored) = cluster.job(id).stats.restored.expect("it goes on from a snapshot");
    assert_eq!(restored, checkpoint, "a savepoint takes no part in recovery");
    cluster.wait_for_status(id, JobStatus::Finished).await;
    site.assert_results();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_checkpoint_was_damaged_stays_listed_and_says_what_leads_on() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let (id, checkpoint) = submit_with_checkpoint(&cluster, &site).await;
    cluster.kill_jobmanager();
    let metadata = Path::new(&checkpoint).join("_metadata");
    let bytes = fs::read(&metadata).expect("it is there");
    fs::write(&metadata, &bytes[..bytes.len() / 2]).expect("it can be written");
    cluster.restart_jobmanager().await;
    wait_until_recovered(&cluster, id).await;
    let view = cluster.wait_for_status(id, JobStatus::Failed).await;
    let message = &view.stats.failures.last().expect("it has failed").message;
    let says = [checkpoint.as_str(), "would be written again", "--from-savepoint"];
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
    assert!(metadata.is_file(), "somebody may want to mend it");
}

/// Changes a bit of a block of keyed state.
fn alter_block(checkpoint: &str) {
    let folder = Path::new(checkpoint);
    let json = fs::read(folder.join("_metadata")).expect("it is there");
    let manifest = Manifest::parse(&json, checkpoint).expect("it is whole");
    let subtasks = manifest.operators.values().flat_map(|operator| &operator.subtasks);
    let segments =
        subtasks.filter_map(|subtask| subtask.keyed.as_ref()).map(|keyed| &keyed.segment);
    let longest = segments.max_by_key(|segment| segment.length).expect("it has keyed state");
    let SegmentLocation::File { path, offset } = &longest.location else {
        panic!("all state is in files");
    };
    let mut bytes = fs::read(folder.join(path)).expect("it is there");
    // Its first block is behind eight bytes that say what it is.
    bytes[*offset as usize + 8] ^= 1;
    fs::write(folder.join(path), bytes).expect("it can be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_whose_checkpoint_a_block_was_damaged_says_which_and_what_leads_on() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let (id, checkpoint) = submit_with_checkpoint(&cluster, &site).await;
    cluster.kill_jobmanager();
    alter_block(&checkpoint);
    cluster.restart_jobmanager().await;
    wait_until_recovered(&cluster, id).await;
    let view = cluster.wait_for_status(id, JobStatus::Failed).await;
    let message = &view.stats.failures.last().expect("it has failed").message;
    let says = [&checkpoint, "the block of the state", "key group", "--from-savepoint"];
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_record_was_damaged_stays_listed_until_somebody_cancels_it() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let id = cluster.submit(flights(), &site.arguments(&[SLOW]), &[OFTEN, SOON]).await;
    cluster.wait_for_checkpoints(id, 1).await;
    cluster.kill_jobmanager();
    let record = site.path().join(format!("ha/test/jobs/{id}"));
    let whole = fs::read(&record).expect("it is there");
    fs::write(&record, &whole[..whole.len() / 2]).expect("it can be written");
    cluster.restart_jobmanager().await;
    wait_until_recovered(&cluster, id).await;
    let view = cluster.job(id);
    assert_eq!(view.status, JobStatus::Restarting);
    let reason = &view.stats.failures.last().expect("a reason").message;
    assert!(reason.contains(&format!("'jobs/{id}'")), "{reason}");
    let _ = cluster.dispatcher.cancel(id);
    cluster.wait_for_status(id, JobStatus::Canceled).await;
    assert!(!record.exists(), "nobody goes on with it any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_another_jobmanager_has_left_a_job_under_is_not_given_to_a_second_one() {
    let site = Site::new();
    let cluster = Cluster::start(site.path(), &[1]).await;
    let id = JobId::from_name("left");
    // It has come since this JobManager has recovered what there was.
    let record = site.path().join(format!("ha/test/jobs/{id}"));
    fs::create_dir_all(record.parent().expect("a folder")).expect("it is the test's own");
    fs::write(&record, "its record").expect("so is what is in it");
    let submission = cluster.submission(flights(), &site.arguments(&[SLOW]), &[OFTEN]).await;
    let submission = Submission { job_id: Some(id), ..submission };
    let error = cluster.dispatcher.submit(submission).await.expect_err("it is somebody's");
    assert!(matches!(error, SubmitError::Duplicate { .. }), "{error}");
    assert_eq!(fs::read(&record).expect("it is there"), b"its record");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_of_a_job_that_runs_is_not_disposed_of() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let (id, checkpoint) = submit_with_checkpoint(&cluster, &site).await;
    let handle = cluster.dispatcher.handle(id).expect("it runs");
    let target = site.path().join("savepoints").display().to_string();
    let savepoint = handle.savepoint(Some(target)).await.expect("it is taken");
    for _ in 0..2 {
        let error = cluster.dispatcher.dispose(&checkpoint).await.expect_err("it is in use");
        assert!(error.to_string().contains(&id.to_string()), "{error}");
        assert!(is_complete(Path::new(&checkpoint)), "it is all that the job has");
        // The next one knows of it as well.
        cluster.kill_jobmanager();
        cluster.restart_jobmanager().await;
        wait_until_recovered(&cluster, id).await;
    }
    cluster.dispatcher.dispose(&savepoint).await.expect("no job goes on from it");
    assert!(!Path::new(&savepoint).exists());
    cluster.wait_for_status(id, JobStatus::Finished).await;
    site.assert_results();
}

/// Output that is prepared and not committed, of the attempts of that job.
fn pending(output: &Path) -> Vec<PathBuf> {
    unfinished(output, ".pending")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_savepoint_alone_held_goes_with_the_first_attempt_behind_its_disposal() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let output = path.join("out");
    let mut cluster = Cluster::start(path, &[1]).await;
    let arguments = [path, &output].map(|path| path.display().to_string());
    let checkpoints = path.join("checkpoints").display().to_string();
    let options = [
        ("execution.checkpointing.interval", "1 h"),
        ("execution.checkpointing.dir", checkpoints.as_str()),
        SOON,
    ];
    let id = cluster.submit(stuck(), &arguments, &options).await;
    let handle = cluster.dispatcher.handle(id).expect("it runs");
    handle.checkpoint().await.expect("it is taken");
    wait_for("records", || (!unfinished(&output, ".inprogress").is_empty()).then_some(())).await;
    let target = path.join("savepoints").display().to_string();
    let savepoint = handle.savepoint(Some(target)).await.expect("it is taken");
    let prepared = pending(&output);
    let [held] = &prepared[..] else { panic!("it holds a file: {prepared:?}") };
    for is_there in [true, false] {
        // Its attempt dies right behind it; the next finds what it has left.
        cluster.kill_jobmanager();
        cluster.restart_jobmanager().await;
        wait_until_recovered(&cluster, id).await;
        cluster.wait_for_status(id, JobStatus::Running).await;
        let handle = cluster.dispatcher.handle(id).expect("it goes on");
        handle.checkpoint().await.expect("it is taken");
        if is_there {
            assert!(held.exists(), "{:?}", pending(&output));
            cluster.dispatcher.dispose(&savepoint).await.expect("no job holds it");
        } else {
            wait_for("what it held to go", || (!held.exists()).then_some(())).await;
        }
    }
    let _ = cluster.dispatcher.cancel(id);
    cluster.wait_for_status(id, JobStatus::Canceled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_leaves_nothing_of_what_its_processes_have_prepared() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let output = path.join("out");
    let cluster = Cluster::start(path, &[1, 1]).await;
    let arguments = [path, &output].map(|path| path.display().to_string());
    let checkpoints = path.join("checkpoints").display().to_string();
    let options = [
        ("parallelism.default", "2"),
        ("execution.checkpointing.interval", "1 h"),
        ("execution.checkpointing.dir", checkpoints.as_str()),
    ];
    let id = cluster.submit(stuck(), &arguments, &options).await;
    let written = || unfinished(&output, ".inprogress");
    wait_for("records", || (!written().is_empty()).then_some(())).await;
    let handle = cluster.dispatcher.handle(id).expect("it runs");
    let target = path.join("savepoints").display().to_string();
    let _ = handle.savepoint(Some(target)).await.expect("it is taken");
    let held = pending(&output);
    wait_for("more", || (!written().is_empty()).then_some(())).await;
    let _ = cluster.dispatcher.cancel(id);
    cluster.wait_for_status(id, JobStatus::Canceled).await;
    assert_eq!(written(), <[PathBuf; 0]>::default());
    assert_eq!(pending(&output), held, "what the savepoint holds is its user's");
}
