//! A TaskManager registers with a JobManager.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tidegate_protocol::{
    KeepAlive, Secret,
    resources::{
        FromTaskManager, ManagerLink, ProcessKey, StartProcess, TaskManagerLink, ToTaskManager,
        register,
    },
};
use tidegate_types::{AttemptId, ErrorKind, JobId, ProcessIndex};

use crate::support::{coordinator, endpoint, jobmanager, registration, socket, soon};

fn key() -> ProcessKey {
    ProcessKey { job: JobId::from_name("flights"), attempt: AttemptId(4), process: ProcessIndex(1) }
}

async fn registered() -> (TaskManagerLink, ManagerLink) {
    let (endpoint, mut registered) = jobmanager(None, HashMap::new()).await;
    let link = soon(register(&endpoint, registration())).await.unwrap();
    let (said, manager) = soon(registered.recv()).await.unwrap();
    assert_eq!(said, registration());
    (link, manager)
}

#[tokio::test]
async fn a_task_manager_registers_and_runs_a_process() {
    let (mut task_manager, mut manager) = registered().await;
    let to_task_manager = [
        ToTaskManager::Registered {
            heartbeat_interval: Duration::from_secs(10),
            heartbeat_timeout: Duration::from_secs(50),
        },
        ToTaskManager::Heartbeat,
        ToTaskManager::StartProcess(StartProcess {
            key: key(),
            token: u64::MAX,
            threads: 2,
            processes: 3,
            parallelism: 6,
            artifact: "ab".repeat(32),
            arguments: vec!["--input".to_owned(), String::new()],
            coordinator: "http://10.0.0.1:6123".to_owned(),
            configuration: BTreeMap::from([("state.backend".to_owned(), "hashmap".to_owned())])
                .into(),
            credential: Some(Secret::new("own")),
        }),
        ToTaskManager::EndProcess(key()),
    ];
    for word in &to_task_manager {
        manager.send(word.clone()).unwrap();
    }
    for word in to_task_manager {
        assert_eq!(soon(task_manager.receive()).await.unwrap().unwrap(), word);
    }
    let from_task_manager = [
        FromTaskManager::Heartbeat { processes: vec![key()] },
        FromTaskManager::Started(key(), 4711),
        FromTaskManager::Ended {
            key: key(),
            status: "exit status: 1".to_owned(),
            success: false,
            output_tail: "panicked\n".to_owned(),
        },
    ];
    for word in from_task_manager {
        task_manager.send(word.clone()).unwrap();
        assert_eq!(soon(manager.receive()).await.unwrap().unwrap(), word);
    }
}

#[tokio::test]
async fn a_task_manager_that_is_refused_is_told_why() {
    let (mut task_manager, manager) = registered().await;
    manager.send(ToTaskManager::Refused("no slots".to_owned())).unwrap();
    drop(manager);
    let word = soon(task_manager.receive()).await.unwrap().unwrap();
    assert_eq!(word, ToTaskManager::Refused("no slots".to_owned()));
    assert!(soon(task_manager.receive()).await.is_none());
}

#[tokio::test]
async fn a_job_manager_that_is_not_there_is_told_at_once() {
    let (listener, address) = socket().await;
    drop(listener);
    let error = soon(register(&endpoint(address), registration())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("can't be reached"), "{error}");
}

/// As a TaskManager that was given the address of a job's own coordinator.
#[tokio::test]
async fn a_server_that_has_no_task_managers_says_so() {
    let (endpoint, _joined) = coordinator().await;
    let error = soon(register(&endpoint, registration())).await.unwrap_err();
    let unknown = "there is no service 'tidegate.v1.Resources' here";
    assert!(error.to_string().contains(unknown), "{error}");
}

#[tokio::test]
async fn a_job_manager_that_hangs_is_given_up() {
    // It accepts in the kernel, and nobody reads.
    let (_listener, address) = socket().await;
    let keep_alive =
        KeepAlive { interval: Duration::from_millis(100), timeout: Duration::from_millis(300) };
    let endpoint = endpoint(address).with_keep_alive(keep_alive);
    let error = soon(register(&endpoint, registration())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
