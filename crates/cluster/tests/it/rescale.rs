//! A job that gets more or fewer slots while it runs, and counts every flight once.

use tidegate_cluster::scheduler::Requirements;
use tidegate_runtime::JobStatus;
use tidegate_testing::process::flights;
use tidegate_types::{JobId, Parallelism};

use crate::{
    jobs::{OFTEN, SLOW, SOON, Site},
    support::{Cluster, wait_for},
};

const ADAPTIVE: (&str, &str) = ("jobmanager.scheduler", "Adaptive");
const SETTLED: (&str, &str) =
    ("jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout", "100 ms");
const NO_COOLDOWN: (&str, &str) =
    ("jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", "0 ms");

fn exactly(count: u32) -> Requirements {
    let count = Parallelism::new(count).expect("above 0");
    Requirements { lower: count, upper: count }
}

async fn wait_for_parallelism(cluster: &Cluster, id: JobId, count: u32) {
    wait_for(&format!("parallelism {count}"), || {
        let view = cluster.job(id);
        assert!(!view.status.is_terminal(), "it has ended: {view:#?}");
        let runs = view.status == JobStatus::Running;
        (runs && view.stats.parallelism.get() == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_rescaled_up_and_down_behind_a_checkpoint() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[2]).await;
    let options = [("parallelism.default", "2"), OFTEN, SOON];
    let id = cluster.submit(flights(), &site.arguments(&[SLOW]), &options).await;
    wait_for_parallelism(&cluster, id, 2).await;
    cluster.wait_for_checkpoints(id, 1).await;
    cluster.dispatcher.rescale(id, exactly(4)).await.expect("it can");
    // There are no slots for that yet: it goes on.
    cluster.wait_for_checkpoints(id, 2).await;
    assert_eq!(cluster.job(id).stats.parallelism.get(), 2);
    cluster.add_task_manager(2);
    wait_for_parallelism(&cluster, id, 4).await;
    cluster.dispatcher.rescale(id, exactly(1)).await.expect("it can");
    wait_for_parallelism(&cluster, id, 1).await;
    let error = cluster.dispatcher.rescale(id, exactly(1000)).await.expect_err("128 key groups");
    assert!(error.to_string().contains("above the job's max parallelism 128"), "{error}");
    let view = cluster.wait_for_status(id, JobStatus::Finished).await;
    assert_eq!((view.stats.rescales, view.stats.restarts), (2, 0), "{:#?}", view.stats.failures);
    site.assert_results();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adaptive_job_runs_on_what_there_is() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[1]).await;
    let options = [("parallelism.default", "3"), OFTEN, SOON, ADAPTIVE, SETTLED, NO_COOLDOWN];
    let id = cluster.submit(flights(), &site.arguments(&[SLOW]), &options).await;
    wait_for_parallelism(&cluster, id, 1).await;
    cluster.wait_for_checkpoints(id, 1).await;
    cluster.add_task_manager(2);
    wait_for_parallelism(&cluster, id, 3).await;
    cluster.wait_for_checkpoints(id, 1).await;
    cluster.end_task_manager(1).await;
    wait_for_parallelism(&cluster, id, 1).await;
    cluster.wait_for_status(id, JobStatus::Finished).await;
    site.assert_results();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_outlives_the_jobmanager() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[3]).await;
    let options = [("parallelism.default", "1"), OFTEN, SOON];
    let id = cluster.submit(flights(), &site.arguments(&[SLOW]), &options).await;
    wait_for_parallelism(&cluster, id, 1).await;
    cluster.dispatcher.rescale(id, exactly(3)).await.expect("it can");
    wait_for_parallelism(&cluster, id, 3).await;
    cluster.wait_for_checkpoints(id, 1).await;
    cluster.kill_jobmanager();
    cluster.restart_jobmanager().await;
    wait_for("the job to be recovered", || cluster.dispatcher.job(id)).await;
    wait_for_parallelism(&cluster, id, 3).await;
    cluster.wait_for_status(id, JobStatus::Finished).await;
    site.assert_results();
}
