//! One job over two processes: records by key from each to the other, checkpoints over both; when
//! one is lost the other ends, and both go on from the latest checkpoint.

use std::{
    io::Write,
    net::TcpStream,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use tidegate::{ErrorKind, discard::discard, prelude::*};

use tidegate_testing::{
    flights::{Results, cut_into_files},
    folders::{checkpoints, entries, is_complete, name, unfinished},
    process::{Process, addresses, flights, seat, signal, unwritable},
    wait_for,
};

/// Flights per second when a test wants to see the job run.
const SLOW: &str = "--rate=60000";

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
        self.start_at(&addresses(), more)
    }

    fn start_at(&self, addresses: &[String; 3], more: &[&str]) -> [Process; 2] {
        [0, 1].map(|index| self.start_one(addresses, index, more))
    }

    fn start_one(&self, addresses: &[String; 3], index: usize, more: &[&str]) -> Process {
        let own = [
            "--parallelism=2".to_owned(),
            format!("--data={}", self.input.display()),
            format!("--out={}", self.output().display()),
            "-Dexecution.checkpointing.interval=50 ms".to_owned(),
        ];
        let more = more.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
        // Both find the token in a folder of the test's own, and one of them makes it.
        let folder = format!("TIDEGATE_CONF_DIR={}", self.folder.join("conf").display());
        let program = [folder, flights().display().to_string()];
        let arguments = [&program, own.as_slice(), &seat(addresses, index), &more].concat();
        let log = self.folder.join(format!("log-{index}"));
        Process::start(Path::new("env"), &arguments, &log)
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

/// Whether somebody listens there. To try it out would not do: who connects to a port that nobody
/// listens on may get that port himself.
fn is_listened_on(address: &str) -> bool {
    let port = address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let port = format!(":{:04X}", port.expect("it has a port"));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("it is Linux");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = fields.next().is_some_and(|local| local.ends_with(&port));
        // 0A is LISTEN.
        is_it && fields.nth(1) == Some("0A")
    })
}

/// Sets a flag when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Connects to an address again and again, and says something that does not belong there.
fn pester(address: &str, words: &[u8], over: &AtomicBool, count: &AtomicUsize) {
    let mut held = Vec::new();
    while !over.load(Ordering::Relaxed) {
        // The machine has other things to do, too.
        std::thread::sleep(Duration::from_millis(1));
        if !is_listened_on(address) {
            continue;
        }
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        // It may have been turned away already.
        let _ = stream.write_all(words);
        held.push(stream);
        count.fetch_add(1, Ordering::Relaxed);
        if held.len() > 100 {
            held.remove(0);
        }
    }
}

#[test]
fn strangers_neither_end_nor_hold_up_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::in_folder(folder.path());
    let addresses = addresses();
    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (over, count) = (&over, &count);
        let end = Over(over);
        let words: [&[u8]; 3] = [b"", b"GET / HTTP/1.1\r\n\r\n", &[0; 100]];
        for (address, words) in
            addresses.iter().flat_map(|address| words.map(|words| (address, words)))
        {
            scope.spawn(move || pester(address, words, over, count));
        }
        let leader = pair.start_one(&addresses, 0, &[SLOW]);
        wait_for("strangers", || (count.load(Ordering::Relaxed) > 50).then_some(()));
        let mut processes = [leader, pair.start_one(&addresses, 1, &[SLOW])];
        pair.wait_for_checkpoint(&mut processes);
        drop(end);
        for process in processes {
            process.finish();
        }
    });
    pair.assert_results();
}

#[test]
fn a_process_without_the_token_is_turned_away_and_the_job_waits_for_the_right_one() {
    let addresses = addresses();
    let start = |name: &str, index: usize, token: &str| {
        let own = ["--parallelism=2".to_owned(), format!("-Dsecurity.cluster.token={token}")];
        let arguments = [own.as_slice(), &seat(&addresses, index)].concat();
        let job = Job::new(name).start(arguments, |env| {
            env.from_collection("numbers", vec![1, 2, 3]).sink("sink", discard());
            Ok(())
        });
        job.expect("the plan is right")
    };
    let first = start("guarded", 0, "right");
    let error = start("guarded", 1, "wrong").wait_blocking().expect_err("it is turned away");
    assert!(error.to_string().contains("does not accept the cluster's token"), "{error}");
    let other = start("another", 1, "right").wait_blocking().expect_err("it is another job's");
    assert!(other.to_string().contains("and process 1 of job "), "{other}");
    let second = start("guarded", 1, "right");
    for handle in [first, second] {
        handle.wait_blocking().expect("both are there");
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
        let parallelism = ["--parallelism=2", "-Dsecurity.cluster.token=the test's"];
        let parallelism = parallelism.map(str::to_owned);
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

#[test]
fn a_record_that_can_not_be_sent_ends_the_job_and_none_of_its_processes_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let addresses = addresses();
    let start = |index| {
        let conf = format!("TIDEGATE_CONF_DIR={}", folder.path().join("conf").display());
        let own = [conf, unwritable().display().to_string(), "--parallelism=2".to_owned()];
        let arguments = [own.as_slice(), &seat(&addresses, index)].concat();
        Process::start(Path::new("env"), &arguments, &folder.path().join(format!("log-{index}")))
    };
    let mut processes = [start(0), start(1)];
    for process in &mut processes {
        assert!(!process.wait().success(), "{}", process.log());
    }
    let log = processes[0].log();
    let why = "failed: a record can't be sent to another process: the value can't be encoded: there is \
               no way to write it";
    assert!(log.contains(why), "{log}");
}
