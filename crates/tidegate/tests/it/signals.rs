//! What signals do to a job in the foreground: SIGTERM ends it for now and keeps what it has, SIGINT
//! cancels it, and none of them kills it unasked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tidegate_testing::{
    flights::{Results, data},
    folders::{checkpoints, is_complete, lines},
    process::{Process, flights, signal, stuck},
    wait_for,
};

const TERMINATED: Option<i32> = Some(143);

/// The example `flights`, slow enough to be seen running.
fn start_flights(folder: &Path, more: &[&str]) -> Process {
    let own =
        [format!("--data={}", data().display()), format!("--out={}", folder.join("out").display())];
    let arguments = own
        .into_iter()
        .chain(more.iter().map(|argument| (*argument).to_owned()))
        .collect::<Vec<_>>();
    Process::start(flights(), &arguments, &folder.join("log"))
}

fn complete(folder: &Path) -> Vec<PathBuf> {
    let mut all = checkpoints(folder);
    all.retain(|checkpoint| is_complete(checkpoint));
    all
}

/// Waits until it writes: it runs then.
fn wait_for_output(job: &mut Process, output: &Path) {
    wait_for("the job to write", || {
        assert!(job.ended().is_none(), "it has ended:\n{}", job.log());
        let mut files = fs::read_dir(output).ok()?;
        files.next().map(|_| ())
    });
}

fn wait_for_log(job: &Process, text: &str) {
    wait_for(&format!("`{text}` in the log"), || job.log().contains(text).then_some(()));
}

#[test]
fn sigterm_ends_a_job_for_now_with_one_more_checkpoint_that_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, kept) = (folder.path(), folder.path().join("out/checkpoints"));
    // None but the last one: nothing is due for an hour.
    let hourly = "-Dexecution.checkpointing.interval=1 h";
    let mut job = start_flights(path, &["--rate=60000", hourly]);
    wait_for_output(&mut job, &path.join("out/cancelled"));
    signal("-TERM", job.id());
    assert_eq!(job.wait().code(), TERMINATED, "{}", job.log());
    assert_eq!(complete(&kept).len(), 1, "{}", job.log());
    let committed = lines(&path.join("out/cancelled")).len();
    assert!(committed > 0, "the last checkpoint was not committed");
    start_flights(path, &[hourly, "--from-savepoint=latest"]).finish();
    assert!(Results::written_to(&path.join("out")) == Results::expected(), "other results");
}

#[test]
fn sigint_cancels_a_job() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, kept) = (folder.path(), folder.path().join("out/checkpoints"));
    let often = "-Dexecution.checkpointing.interval=50 ms";
    let mut job = start_flights(path, &["--rate=20000", often]);
    wait_for("a checkpoint", || (!complete(&kept).is_empty()).then_some(()));
    signal("-INT", job.id());
    assert_eq!(job.wait().code(), Some(1), "{}", job.log());
    assert!(job.log().contains("the job was cancelled"), "{}", job.log());
    assert_eq!(checkpoints(&kept), <[PathBuf; 0]>::default());
}

/// The job that stands still, and its folder.
struct Stuck {
    folder: tempfile::TempDir,
    job: Process,
}

impl Stuck {
    fn start(switch: Option<&str>, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        if let Some(switch) = switch {
            fs::write(path.join(switch), "").expect("the folder is the test's own");
        }
        let mut arguments = vec![
            path.display().to_string(),
            path.join("out").display().to_string(),
            format!("-Dexecution.checkpointing.dir={}", path.join("checkpoints").display()),
            format!(
                "-Dexecution.checkpointing.savepoint-dir={}",
                path.join("savepoints").display()
            ),
        ];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let job = Process::start(stuck(), &arguments, &path.join("log"));
        let stuck = Self { folder, job };
        wait_for("its plan to begin", || stuck.path().join("building").exists().then_some(()));
        stuck
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn hang(&mut self) {
        let output = self.path().join("out");
        wait_for_output(&mut self.job, &output);
        fs::write(self.path().join("hang"), "").expect("the folder is the test's own");
    }
}

#[test]
fn sigterm_ends_a_job_whose_user_code_hangs_and_says_what_it_waited_for() {
    let mut stuck = Stuck::start(None, &["-Dexecution.termination.timeout=100 ms"]);
    stuck.hang();
    signal("-TERM", stuck.job.id());
    assert_eq!(stuck.job.wait().code(), TERMINATED, "{}", stuck.job.log());
    let log = stuck.job.log();
    assert!(log.contains("the job has not ended within"), "{log}");
    assert!(log.contains("it waits for"), "{log}");
}

#[test]
fn a_second_signal_ends_a_job_at_once() {
    let mut stuck = Stuck::start(None, &["-Dexecution.termination.timeout=1 h"]);
    stuck.hang();
    signal("-TERM", stuck.job.id());
    wait_for_log(&stuck.job, "taking a last checkpoint");
    signal("-TERM", stuck.job.id());
    assert_eq!(stuck.job.wait().code(), TERMINATED, "{}", stuck.job.log());
}

#[test]
fn a_savepoint_asked_for_during_the_start_is_taken_when_the_job_runs() {
    let mut stuck = Stuck::start(Some("starting"), &[]);
    signal("-USR1", stuck.job.id());
    wait_for_log(&stuck.job, "the savepoint is taken as soon as it runs");
    assert!(stuck.job.ended().is_none(), "{}", stuck.job.log());
    fs::remove_file(stuck.path().join("starting")).expect("it is there");
    wait_for_log(&stuck.job, "savepoint completed");
    signal("-TERM", stuck.job.id());
    assert_eq!(stuck.job.wait().code(), TERMINATED, "{}", stuck.job.log());
}

#[test]
fn sigterm_during_the_start_ends_the_process() {
    let mut stuck = Stuck::start(Some("starting"), &[]);
    signal("-TERM", stuck.job.id());
    assert_eq!(stuck.job.wait().code(), TERMINATED, "{}", stuck.job.log());
    assert!(stuck.job.log().contains("ended before the job ran"), "{}", stuck.job.log());
}
