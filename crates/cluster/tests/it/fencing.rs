//! An attempt that is cut off, taken for lost and comes back changes nothing.

use std::time::Duration;

use tidegate_protocol::{
    Endpoint,
    coordination::{Hello, ToProcess, join},
};
use tidegate_runtime::JobStatus;
use tidegate_testing::{process::flights, proxy::Proxy};
use tidegate_types::{AttemptId, ProcessIndex};

use crate::{
    jobs::{OFTEN, SOON, Site},
    support::{Cluster, wait_for},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_cut_off_and_comes_back_changes_nothing() {
    let site = Site::new();
    let mut cluster = Cluster::start(site.path(), &[]).await;
    let proxy = Proxy::to(cluster.address).await;
    cluster.add_task_manager_at(1, &proxy.url);
    wait_for("the TaskManager", || (cluster.dispatcher.slots().0 == 1).then_some(())).await;
    let slow = site.arguments(&["--rate=40000"]);
    let id = cluster.submit(flights(), &slow, &[OFTEN, SOON]).await;
    cluster.wait_for_checkpoints(id, 2).await;
    cluster.add_task_manager(1);
    proxy.cut();
    wait_for("the attempt to be given up", || (cluster.job(id).stats.restarts == 1).then_some(()))
        .await;
    cluster.wait_for_checkpoints(id, 2).await;
    proxy.mend();
    wait_for("the TaskManager to come back", || (cluster.dispatcher.slots().0 == 2).then_some(()))
        .await;
    let view = cluster.wait_for_status(id, JobStatus::Finished).await;
    assert_eq!(view.stats.restarts, 1, "{:#?}", view.stats.failures);
    site.assert_results();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_no_attempt_has_started_is_turned_away() {
    let site = Site::new();
    let cluster = Cluster::start(site.path(), &[1]).await;
    let id = cluster.submit(flights(), &site.arguments(&["--rate=40000"]), &[OFTEN]).await;
    cluster.wait_for_checkpoints(id, 1).await;
    let endpoint = Endpoint::new(format!("http://{}", cluster.address), None);
    let hello = Hello {
        job: id,
        attempt: Some(AttemptId(0)),
        token: 7,
        process: ProcessIndex(0),
        fingerprint: cluster.job(id).description.plan.fingerprint.clone(),
        data_address: "127.0.0.1:1".to_owned(),
    };
    let mut link = join(&endpoint, hello, Duration::from_secs(10)).await.expect("it answers");
    let answer = link.receive().await.expect("a word").expect("that can be read");
    let ToProcess::Refused(reason) = answer else { panic!("not refused: {answer:?}") };
    assert_eq!(reason, "this attempt is over: another one has taken its place");
    let _ = cluster.dispatcher.cancel(id);
    cluster.wait_for_status(id, JobStatus::Canceled).await;
}
