//! One job over two processes: records by key from each to the other, checkpoints over both; when
//! one is lost the other ends, and both go on from the latest checkpoint.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

use tidegate::{ErrorKind, discard::discard, prelude::*};

use tidegate_testing::{
    flights::{Results, cut_into_files},
    folders::{checkpoints, entries, is_complete, name, unfinished},
    process::{Process, flights, signal},
    wait_for,
};

/// Flights per second when a test wants to see the job run.
const SLOW: &str = "--rate=60000";

/// Addresses on which nobody listens.
fn addresses<const N: usize>() -> [String; N] {
    let listen = |_| TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let listeners: [TcpListener; N] = std::array::from_fn(listen);
    listeners.map(|listener| listener.local_addr().expect("it is bound").to_string())
}

/// What makes a process the `index`-th of two.
fn seat([first, second, coordinator]: &[String; 3], index: usize) -> [String; 3] {
    [
        format!("--process-index={index}"),
        format!("--addresses={first},{second}"),
        format!("--coordinator={coordinator}"),
    ]
}

/// The example `flights` in two processes with a subtask each.
struct Pair {
    folder: PathBuf,
    input: PathBuf,
}

impl Pair {
    fn in_folder(folder: &Path) -> Self {
        let input = cut_into_files(&folder.join("input"));
        Self { folder: folder.to_owned(), input }
    }

    fn output(&self) -> PathBuf {
        self.folder.join("out")
    }

    fn checkpoints(&self) -> Vec<PathBuf> {
        checkpoints(&self.output().join("checkpoints"))
    }

    fn start(&self, more: &[&str]) -> [Process; 2] {
        let addresses = addresses();
        [0, 1].map(|index| {
            let own = [
                "--parallelism=2".to_owned(),
                format!("--data={}", self.input.display()),
                format!("--out={}", self.output().display()),
                "-Dexecution.checkpointing.interval=50 ms".to_owned(),
            ];
            let more = more.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
            let arguments = [own.as_slice(), &seat(&addresses, index), &more].concat();
            Process::start(flights(), &arguments, &self.folder.join(format!("log-{index}")))
        })
    }

    /// Waits until a checkpoint completes that was not there before.
    fn wait_for_checkpoint(&self, processes: &mut [Process; 2]) {
        let before = self.checkpoints();
        wait_for("a checkpoint of both processes", || {
            for process in processes.iter_mut() {
                assert!(process.ended().is_none(), "a process has ended:\n{}", process.log());
            }
            let new = |folder: &&PathBuf| !before.contains(folder) && is_complete(folder);
            self.checkpoints().iter().find(new).map(|_| ())
        });
    }

    fn assert_results(&self) {
        assert!(Results::written_to(&self.output()) == Results::expected(), "other results");
        for sink in ["summary", "cancelled"].map(|sink| self.output().join(sink)) {
            assert_eq!(unfinished(&sink, ""), <[PathBuf; 0]>::default());
        }
        assert_eq!(self.checkpoints(), <[PathBuf; 0]>::default());
    }
}

#[test]
fn two_processes_share_a_job() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::in_folder(folder.path());
    let mut processes = pair.start(&[SLOW]);
    pair.wait_for_checkpoint(&mut processes);
    for process in processes {
        process.finish();
    }
    pair.assert_results();
    let parts = entries(&pair.output().join("summary"));
    for subtask in ["part-0-", "part-1-"] {
        let wrote = parts.iter().any(|part| name(part).starts_with(subtask));
        assert!(wrote, "no keys in {subtask}…");
    }
}

#[test]
fn when_one_process_is_lost_the_other_ends_and_both_go_on_from_latest() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::in_folder(folder.path());
    let mut processes = pair.start(&[SLOW]);
    pair.wait_for_checkpoint(&mut processes);
    let [mut leader, follower] = processes;
    follower.kill();
    assert!(!leader.wait().success(), "the leader has not noticed");
    assert!(leader.log().contains("process 1 is lost"), "{}", leader.log());

    let mut processes = pair.start(&[SLOW, "--from-savepoint=latest"]);
    pair.wait_for_checkpoint(&mut processes);
    let [leader, mut follower] = processes;
    leader.kill();
    assert!(!follower.wait().success(), "the follower has not noticed");
    let log = follower.log();
    assert!(log.contains("the coordinator is lost"), "{log}");

    for process in pair.start(&["--from-savepoint=latest"]) {
        process.finish();
    }
    pair.assert_results();
}

#[test]
fn sigterm_to_all_processes_ends_the_job_for_now_and_they_go_on_from_latest() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::in_folder(folder.path());
    let mut processes = pair.start(&[SLOW]);
    pair.wait_for_checkpoint(&mut processes);
    let [leader, follower] = &processes;
    signal("-TERM", leader.id());
    signal("-TERM", follower.id());
    for process in &mut processes {
        assert_eq!(process.wait().code(), Some(143), "{}", process.log());
    }
    assert!(is_complete(pair.checkpoints().last().expect("it is kept")));
    for process in pair.start(&["--from-savepoint=latest"]) {
        process.finish();
    }
    pair.assert_results();
}

#[test]
fn processes_with_different_plans_are_refused() {
    let addresses = addresses();
    let start = |index: usize| {
        let parallelism = ["--parallelism=2".to_owned()];
        let arguments = [parallelism.as_slice(), &seat(&addresses, index)].concat();
        let job = Job::new("different").start(arguments, move |env| {
            let uid = if index == 0 { "sink" } else { "another-sink" };
            env.from_collection("numbers", vec![1, 2, 3]).sink(uid, discard());
            Ok(())
        });
        job.expect("the plan is right by itself")
    };
    for handle in [start(0), start(1)] {
        let error = handle.wait_blocking().expect_err("the plans differ");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let expected = "process 1 has built another plan than process 0: every process must run \
                        the same program with the same arguments";
        assert_eq!(error.to_string(), expected);
    }
}
