//! A TaskManager that ends without a goodbye takes the processes of its jobs with it, whatever they
//! are busy with.

use std::{fs, path::Path};

use tidegate_runtime::JobStatus;
use tidegate_testing::process::{Process, children, is_alive, stuck, task_manager};

use crate::{
    jobs::{OFTEN, SOON},
    support::{Cluster, wait_for},
};

fn start_task_manager(cluster: &Cluster, folder: &Path, name: &str) -> Process {
    let home = folder.join(name).display().to_string();
    let arguments = [format!("http://{}", cluster.address), "1".to_owned(), home];
    Process::start(task_manager(), &arguments, &folder.join(format!("{name}.log")))
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_hang_end_with_their_task_manager_and_the_job_moves() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let cluster = Cluster::start(path, &[]).await;
    let first = start_task_manager(&cluster, path, "first");
    cluster.wait_for_slots(1).await;
    let hang = path.join("hang");
    let arguments = [path, &path.join("out")].map(|path| path.display().to_string());
    let id = cluster.submit(stuck(), &arguments, &[OFTEN, SOON]).await;
    cluster.wait_for_checkpoints(id, 1).await;
    let processes = children(first.id());
    assert_eq!(processes.len(), 1, "{processes:?}");
    fs::write(&hang, "").expect("the folder is the test's own");
    // A client may delete it: the job's next attempt needs it all the same.
    let binary = cluster.dispatcher.artifacts().list().pop().expect("it is there").hash;
    assert!(cluster.dispatcher.remove_artifact(&binary).expect("deleted"));
    first.kill();
    wait_for("the job's process to end", || (!is_alive(processes[0])).then_some(())).await;
    let view = wait_for("the attempt to fail", || {
        Some(cluster.job(id)).filter(|view| view.stats.restarts == 1)
    })
    .await;
    assert_eq!(cluster.dispatcher.slots(), (0, 0));
    assert!(view.places.is_empty() || view.missing_slots == 1, "{:?}", view.places);
    fs::remove_file(&hang).expect("it is there");
    let _second = start_task_manager(&cluster, path, "second");
    cluster.wait_for_status(id, JobStatus::Running).await;
    cluster.wait_for_checkpoints(id, 1).await;
    assert_eq!(cluster.dispatcher.slots(), (1, 0), "one slot, and it is taken once");
    let _ = cluster.dispatcher.cancel(id);
    cluster.wait_for_status(id, JobStatus::Canceled).await;
    let path = || cluster.dispatcher.artifacts().path(&binary);
    wait_for("the binary to go with its job", || path().is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_processes_hang_is_canceled_when_they_have_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let cluster = Cluster::start(path, &[]).await;
    let manager = start_task_manager(&cluster, path, "only");
    cluster.wait_for_slots(1).await;
    let hang = path.join("hang");
    let arguments = [path, &path.join("out")].map(|path| path.display().to_string());
    let id = cluster.submit(stuck(), &arguments, &[OFTEN, SOON]).await;
    cluster.wait_for_checkpoints(id, 1).await;
    let processes = children(manager.id());
    fs::write(&hang, "").expect("the folder is the test's own");
    let _ = cluster.dispatcher.cancel(id);
    cluster.wait_for_status(id, JobStatus::Canceled).await;
    assert!(!processes.iter().any(|pid| is_alive(*pid)), "CANCELED, and {processes:?} run on");
    assert_eq!(cluster.dispatcher.slots(), (1, 1));
}
