//! A job that is killed with SIGKILL again and again, and started again at another parallelism,
//! writes what it would have written in peace: no record lost, none twice.

use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use futures::executor::block_on;
use tidegate::{Job, JobId, JobStatus, discard};
use tidegate_storage::{
    Place,
    log::{self, Run, RunToken},
};

use tidegate_testing::{
    flights::{Results, cut_into_files, data},
    folders::{checkpoints, is_complete, unfinished},
    process::{Process, flights},
    seeded, wait_for,
};

const KILLS: usize = 25;
/// Flights per second while the job gets killed: slow enough that no run comes to the end.
const RATE: u64 = 12_000;
const SINKS: [&str; 2] = ["summary", "cancelled"];

/// When a run is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// At any time.
    Any,
    /// While a checkpoint is being written.
    Checkpoint,
    /// While what a checkpoint has prepared is being committed.
    Commit,
    /// While the job is being restored.
    Restore,
}

const MOMENTS: [Moment; 4] = [Moment::Any, Moment::Checkpoint, Moment::Commit, Moment::Restore];

/// The job's folder, and what can be seen in it from outside.
struct Site {
    output: PathBuf,
    log: PathBuf,
    input: PathBuf,
}

impl Site {
    fn in_folder(folder: &Path, input: PathBuf) -> Self {
        Self { output: folder.join("out"), log: folder.join("log"), input }
    }

    fn checkpoints(&self) -> Vec<PathBuf> {
        checkpoints(&self.output.join("checkpoints"))
    }

    /// Folders of checkpoints that are not complete, or no longer.
    fn half_written(&self) -> Vec<PathBuf> {
        let mut folders = self.checkpoints();
        folders.retain(|folder| !is_complete(folder));
        folders
    }

    /// Files of the sinks that are not finished and end like this.
    fn unfinished(&self, ending: &str) -> Vec<PathBuf> {
        SINKS.iter().flat_map(|sink| unfinished(&self.output.join(sink), ending)).collect()
    }

    /// From the latest checkpoint, or from nothing if none was ever completed.
    fn start(&self, parallelism: u32, more: &[String]) -> Process {
        let own = [
            format!("--parallelism={parallelism}"),
            format!("--data={}", self.input.display()),
            format!("--out={}", self.output.display()),
            "-Dexecution.checkpointing.interval=50 ms".to_owned(),
            // All state in files, so that there is something to see while a checkpoint is written.
            "-Dexecution.checkpointing.data-inline-threshold=0".to_owned(),
        ];
        let mut arguments = [own.as_slice(), more].concat();
        if self.checkpoints().iter().any(|folder| is_complete(folder)) {
            arguments.push("--from-savepoint=latest".to_owned());
        }
        Process::start(flights(), &arguments, &self.log)
    }

    /// Waits until it is time to kill.
    fn wait_for(&self, moment: Moment, job: &mut Process, random: &mut StdRng) {
        let left = [self.half_written(), self.unfinished(".pending")].concat();
        let is_new = |path: &PathBuf| !left.contains(path);
        let mut wait = |what: &str, seen: &dyn Fn() -> Vec<PathBuf>| {
            let new = || seen().iter().any(is_new);
            wait_for(what, || (new() || job.ended().is_some()).then_some(()));
        };
        match moment {
            Moment::Any => sleep(Duration::from_millis(random.random_range(1..1_500))),
            Moment::Restore => sleep(Duration::from_millis(random.random_range(1..60))),
            Moment::Checkpoint => wait("a checkpoint being written", &|| self.half_written()),
            Moment::Commit => {
                wait("a file waiting for its commit", &|| self.unfinished(".pending"));
                // Between preparing and committing lies the rest of the checkpoint.
                sleep(Duration::from_micros(random.random_range(0..3_000)));
            }
        }
    }
}

#[test]
fn a_killed_job_writes_what_it_would_have_written_in_peace() {
    let folder = tempfile::tempdir().expect("a folder");
    kill_again_and_again(&Site::in_folder(folder.path(), data()));
}

/// With several files several subtasks read, so that barriers have to be aligned.
#[test]
fn so_does_one_that_reads_several_files_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = cut_into_files(&folder.path().join("input"));
    kill_again_and_again(&Site::in_folder(folder.path(), input));
}

fn kill_again_and_again(site: &Site) {
    let mut random = seeded();
    let (mut checkpoints_hit, mut commits_hit) = (0, 0);
    for kill in 0.. {
        if kill >= KILLS && checkpoints_hit > 0 && commits_hit > 0 {
            break;
        }
        assert!(kill < 4 * KILLS, "{checkpoints_hit} checkpoints and {commits_hit} commits hit");
        let parallelism = *[1, 2, 2, 4].choose(&mut random).expect("not empty");
        let moment = MOMENTS[kill % MOMENTS.len()];
        let left = site.half_written();
        let mut job = site.start(parallelism, &[format!("--rate={RATE}")]);
        site.wait_for(moment, &mut job, &mut random);
        job.kill();
        let half = site.half_written().iter().filter(|folder| !left.contains(folder)).count();
        let pending = site.unfinished(".pending").len();
        checkpoints_hit += half;
        commits_hit += pending;
        eprintln!(
            "kill {kill} at parallelism {parallelism}, {moment:?}: left {half} checkpoints \
             half-written and {pending} files to commit"
        );
    }
    site.start(2, &[]).finish();
    assert_eq!(site.unfinished(""), <[PathBuf; 0]>::default(), "leftovers of crashed attempts");
    assert_eq!(site.checkpoints(), <[PathBuf; 0]>::default(), "checkpoints of a finished job");
    let (written, expected) = (Results::written_to(&site.output), Results::expected());
    assert_eq!(written.summary, expected.summary);
    assert!(written.cancelled == expected.cancelled, "{}", difference(&written, &expected));
}

#[test]
fn what_the_store_was_writing_when_it_was_killed_is_swept() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join(JobId::from_name("swept").to_string());
    let dir = format!("-Dexecution.checkpointing.dir={}", folder.path().display());
    // The run that was killed is one that the job's log knows.
    let log = Place::open(&own.join("log").display().to_string()).expect("it opens");
    let run = Run { token: RunToken::of(0xab_0000), rank: None, name: "killed".to_owned() };
    let killed = run.token.of_attempt(3);
    block_on(log::take_over(&log, run)).expect("it is the first");
    let (left, strange) = (own.join("chk-7"), own.join("chk-8"));
    for (folder, token) in [(&left, killed), (&strange, 0xcd_0000)] {
        fs::create_dir_all(folder).expect("the folder is this test's own");
        let name = format!("state-0-{token:016x}#1");
        fs::write(folder.join(name), "half").expect("so is what is in it");
    }
    let result = Job::new("swept").try_run([dir], |env| {
        env.from_collection("numbers", vec![1]).sink("nowhere", discard::discard());
        Ok(())
    });
    assert_eq!(result.expect("the job runs").status, JobStatus::Finished);
    assert!(!left.exists(), "{} is still there", left.display());
    assert!(strange.exists(), "who has written {} may be alive", strange.display());
}

fn difference(written: &Results, expected: &Results) -> String {
    let (found, right) = (&written.cancelled, &expected.cancelled);
    let lost = right.iter().filter(|line| found.binary_search(line).is_err()).count();
    let twice = found.windows(2).filter(|pair| pair[0] == pair[1]).count();
    format!("cancelled: {} lines of {}, {lost} lost, {twice} twice", found.len(), right.len())
}
