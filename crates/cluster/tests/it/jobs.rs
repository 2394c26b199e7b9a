//! The example `flights` on a cluster: it runs, fails over, is stopped and goes on, and every flight
//! is counted once.

use std::path::{Path, PathBuf};

use tidegate_cluster::dispatcher::{Submission, SubmitError};
use tidegate_runtime::JobStatus;
use tidegate_testing::{
    flights::{Results, cut_into_files},
    process::flights,
};
use tidegate_types::JobId;

use crate::support::Cluster;

pub(crate) const SLOW: &str = "--rate=60000";
pub(crate) const OFTEN: (&str, &str) = ("execution.checkpointing.interval", "50 ms");
pub(crate) const SOON: (&str, &str) =
    ("restart-strategy.exponential-delay.initial-backoff", "10 ms");

/// A folder with the input and the output of `flights`.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    input: PathBuf,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let input = cut_into_files(&folder.path().join("input"));
        Self { folder, input }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn output(&self) -> PathBuf {
        self.path().join("out")
    }

    pub(crate) fn arguments(&self, more: &[&str]) -> Vec<String> {
        let own = [
            format!("--data={}", self.input.display()),
            format!("--out={}", self.output().display()),
        ];
        own.into_iter().chain(more.iter().map(|argument| (*argument).to_owned())).collect()
    }

    pub(crate) fn assert_results(&self) {
        assert!(Results::written_to(&self.output()) == Results::expected(), "other results");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_over_several_task_managers() {
    let site = Site::new();
    let cluster = Cluster::start(site.path(), &[1, 1]).await;
    let parallelism = ("parallelism.default", "2");
    let id = cluster.submit(flights(), &site.arguments(&[]), &[parallelism]).await;
    let view = cluster.wait_for_status(id, JobStatus::Finished).await;
    assert_eq!(view.stats.restarts, 0, "{:#?}", view.stats.failures);
    site.assert_results();
}

async fn submit_several_with_one_id(site: &Site, cluster: &Cluster) {
    let id = JobId::from_name("one");
    let submission = cluster.submission(flights(), &site.arguments(&[SLOW]), &[OFTEN]).await;
    let submission = Submission { job_id: Some(id), ..submission };
    let submit = || cluster.dispatcher.submit(submission.clone());
    let answers = <[_; 3]>::from(tokio::join!(submit(), submit(), submit()));
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(taken.len(), 1, "{refused:?}");
    for refused in refused {
        let error = refused.expect_err("it is one of those");
        assert!(matches!(error, SubmitError::Duplicate { .. }), "{error}");
    }
    let view = cluster.wait_for_status(id, JobStatus::Finished).await;
    assert_eq!(view.stats.restarts, 0, "{:#?}", view.stats.failures);
    site.assert_results();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_submissions_with_one_id_at_once_one_runs() {
    let site = Site::new();
    let cluster = Cluster::start(site.path(), &[1]).await;
    submit_several_with_one_id(&site, &cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_submissions_with_one_id_at_once_one_runs_without_high_availability_too() {
    let site = Site::new();
    let cluster = Cluster::start_mortal(site.path(), &[1]).await;
    submit_several_with_one_id(&site, &cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_moves_away_from_a_task_manager_that_is_to_end() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1, 1, 1]).await;
    let options = [("parallelism.default", "2"), OFTEN, SOON];
    let id = cluster.submit(flights(), &site.arguments(&[SLOW]), &options).await;
    cluster.wait_for_checkpoints(id, 2).await;
    let used = cluster.job(id).places[0].task_manager.0.clone();
    let index = usize::from_str_radix(&used, 16).expect("the test's own names");
    let done = cluster.job(id).stats.completed.last().expect("there are some").id;
    cluster.end_task_manager(index).await;
    let view = cluster.wait_for_status(id, JobStatus::Finished).await;
    assert_eq!((view.stats.restarts, view.stats.rescales), (0, 1), "{:#?}", view.stats.failures);
    let (restored, _) = view.stats.restored.expect("it goes on from a checkpoint");
    assert!(restored > done, "from {restored}, though {done} was complete before: no last one");
    site.assert_results();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_slots_and_goes_on_when_there_are_enough() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let parallelism = ("parallelism.default", "2");
    let id = cluster.submit(flights(), &site.arguments(&[]), &[parallelism]).await;
    assert!(cluster.job(id).places.is_empty());
    cluster.add_task_manager(1);
    cluster.wait_for_status(id, JobStatus::Finished).await;
    site.assert_results();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_stopped_goes_on_at_another_parallelism() {
    let site = Site::new();
    let cluster = Cluster::start(site.path(), &[2, 2]).await;
    let options = [("parallelism.default", "2"), OFTEN];
    let id = cluster.submit(flights(), &site.arguments(&[SLOW]), &options).await;
    cluster.wait_for_checkpoints(id, 1).await;
    let folder = site.path().join("savepoints").display().to_string();
    let handle = cluster.dispatcher.handle(id).expect("it runs");
    let savepoint = handle.stop_with_savepoint(Some(folder), false).await.expect("stopped");
    cluster.wait_for_status(id, JobStatus::Finished).await;
    let options =
        [("parallelism.default", "4"), ("execution.state-recovery.path", savepoint.as_str())];
    let id = cluster.submit(flights(), &site.arguments(&[]), &options).await;
    let view = cluster.wait_for_status(id, JobStatus::Finished).await;
    assert_eq!(view.stats.parallelism.get(), 4);
    site.assert_results();
}
