//! A job begins with a savepoint of one that lives, and runs beside it: what the savepoint holds for
//! sinks stays the other one's, which may go back behind it and write that again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tidegate::{ErrorKind, JobHandle, files, prelude::*};
use tidegate_testing::{
    folders::{checkpoints, entries, is_complete, lines, name, unfinished},
    process::{Process, flights, signal},
    wait_for,
};

use crate::support::{
    counting::{
        Counted, KEYS, RECORDS, SLOW, assert_all_written, finish, job, numbers, wait_for_records,
    },
    job_of_test,
};

const RARELY: &str = "-Dexecution.checkpointing.interval=1 h";
const OTHER: &str = "--job-id=000000000000000000000000000000f0";

/// What a job is told from outside.
#[derive(Clone, Default)]
struct Told {
    /// To stand still.
    stands: Arc<AtomicBool>,
    /// That it does, by itself.
    is_standing: Arc<AtomicBool>,
    /// To fail, once.
    fails: Arc<AtomicBool>,
}

impl Told {
    fn stand_still(&self) {
        self.stands.store(true, Ordering::SeqCst);
        wait_for("it to stand still", || self.is_standing.load(Ordering::SeqCst).then_some(()));
    }

    fn obey(&self) -> tidegate::Result<()> {
        while self.stands.load(Ordering::SeqCst) {
            self.is_standing.store(true, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1));
        }
        if self.fails.swap(false, Ordering::SeqCst) { Err("once".into()) } else { Ok(()) }
    }
}

/// Starts a job that counts into `output` and does as it is told.
fn start(job: &Job, options: &[&str], output: &Path, told: &Told) -> Result<JobHandle, JobError> {
    let (sink, told) = (files::json_lines_sink::<Counted>(output), told.clone());
    let soon = "-Drestart-strategy.exponential-delay.initial-backoff=10 ms";
    let options = [RARELY, soon].into_iter().chain(options.iter().copied());
    job.clone().start(options, move |env| {
        let told = told.clone();
        numbers(env, Some(SLOW))
            .key_by(|number: &u64| number % KEYS)
            .aggregate("count", Count)
            .inspect(move |_| told.obey())
            .sink("counts", sink.clone());
        Ok(())
    })
}

/// Of each key all counts but the first few.
fn assert_went_on(output: &Path) {
    let mut counts = BTreeMap::<u64, Vec<u64>>::new();
    for line in lines(output) {
        let (key, count): Counted = serde_json::from_str(&line).expect("it is a result");
        counts.entry(key).or_default().push(count);
    }
    assert_eq!(counts.len() as u64, KEYS);
    for (key, mut counts) in counts {
        counts.sort_unstable();
        let (first, last) = (counts[0], (RECORDS - key).div_ceil(KEYS));
        assert!(first > 1 && counts == (first..=last).collect::<Vec<_>>(), "{key}: {counts:?}");
    }
}

/// The first job fails behind the savepoint and writes all of it again: what the fork would have
/// finished of it would be there twice.
fn fork_and_fail(job: &Job, folder: &Path) {
    let (blue, green) = (folder.join("blue"), folder.join("green"));
    let told = Told::default();
    let running = start(job, &[], &blue, &told).expect("it starts");
    wait_for_records(&running);
    let to = folder.join("savepoint").display().to_string();
    let savepoint = running.savepoint_blocking(Some(to)).expect("it is taken");
    told.stand_still();
    let held = unfinished(&blue, ".pending");
    assert!(!held.is_empty(), "it holds something");
    let from = format!("--from-savepoint={savepoint}");
    let beside = start(job, &[OTHER, &from], &green, &Told::default()).expect("it starts");
    let fork = beside.stats().fork.expect("the first one is alive");
    let by = format!("process {} on ", std::process::id());
    assert!(fork.by.as_ref().is_some_and(|name| name.starts_with(&by)), "{fork:?}");
    assert_eq!(fork.sinks, ["counts".into()]);
    assert_eq!(finish(&beside).stats.restarts, 0);
    assert!(held.iter().all(|path| path.exists()), "what it holds was finished, or deleted");
    told.fails.store(true, Ordering::SeqCst);
    told.stands.store(false, Ordering::SeqCst);
    assert_eq!(finish(&running).stats.restarts, 1);
    assert_all_written(&[&blue]);
    assert_went_on(&green);
}

#[test]
fn what_a_savepoint_holds_is_left_to_its_job_while_that_lives() {
    let folder = tempfile::tempdir().expect("a folder");
    fork_and_fail(&job(folder.path()), folder.path());
}

#[test]
fn so_it_is_where_checkpoints_lie_in_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    fork_and_fail(&job_of_test().default_option("parallelism.default", 2), folder.path());
}

#[test]
fn a_checkpoint_that_its_job_needs_is_not_claimed_by_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let (blue, green) = (folder.path().join("blue"), folder.path().join("green"));
    let (job, told) = (job(folder.path()), Told::default());
    let running = start(&job, &[], &blue, &told).expect("it starts");
    wait_for_records(&running);
    let checkpoint = running.checkpoint_blocking().expect("it is taken");
    told.stand_still();
    let claim = [OTHER, &format!("--from-savepoint={checkpoint}"), "--claim-mode=claim"];
    let refused = start(&job, &claim, &green, &Told::default());
    let error = refused.err().expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let message = error.to_string();
    let says = [checkpoint.as_str(), "(`counting`)", "can't be claimed", "NO_CLAIM"];
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
    told.stands.store(false, Ordering::SeqCst);
    finish(&running);
    assert_all_written(&[&blue]);
}

/// It commits nothing any more, so that what the savepoint holds would be nobody's.
#[test]
fn a_job_that_is_being_cancelled_does_not_live() {
    let folder = tempfile::tempdir().expect("a folder");
    let (blue, green) = (folder.path().join("blue"), folder.path().join("green"));
    let (job, told) = (job(folder.path()), Told::default());
    let running = start(&job, &[], &blue, &told).expect("it starts");
    wait_for_records(&running);
    let savepoint = running.savepoint_blocking(None).expect("it is taken");
    told.stand_still();
    running.cancel();
    let (after, to) = (job.clone(), green.clone());
    let from = format!("--from-savepoint={savepoint}");
    let begun = thread::spawn(move || start(&after, &[OTHER, &from], &to, &Told::default()));
    // Longer than a job that lives is looked at.
    thread::sleep(Duration::from_secs(3));
    assert!(!begun.is_finished(), "nobody knows yet what the first one has committed");
    told.stands.store(false, Ordering::SeqCst);
    running.wait_blocking().expect("it does not fail");
    let beside = begun.join().expect("it does not panic").expect("it starts");
    assert_eq!(beside.stats().fork, None);
    finish(&beside);
    assert_all_written(&[&blue, &green]);
}

/// Both are down when the fork is started again: it must not be taken for one that goes on.
#[test]
fn a_fork_stays_one_when_both_have_died() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |output: &Path, options: &[&str]| {
        let all = [&format!("--out={}", output.display()), RARELY, "--rate=20000"];
        all.into_iter().chain(options.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (blue, green) = (folder.path().join("blue"), folder.path().join("green"));
    let begun = |output: &Path| !unfinished(&output.join("cancelled"), ".inprogress").is_empty();
    let savepoints = folder.path().join("savepoints");
    fs::create_dir(&savepoints).expect("the folder is the test's own");
    let to = format!("-Dexecution.checkpointing.savepoint-dir={}", savepoints.display());
    let first = Process::start(flights(), &of(&blue, &[&to]), &folder.path().join("blue.log"));
    wait_for("output", || begun(&blue).then_some(()));
    signal("-USR1", first.id());
    let savepoint =
        wait_for("a savepoint", || entries(&savepoints).into_iter().find(|path| is_complete(path)));
    let from = format!("--from-savepoint={}", savepoint.display());
    let beside = of(&green, &[OTHER, &from]);
    let second = Process::start(flights(), &beside, &folder.path().join("green.log"));
    wait_for("its output", || begun(&green).then_some(()));
    assert!(second.log().contains("this job begins beside it"), "{}", second.log());
    second.kill();
    first.kill();
    assert_eq!(checkpoints(&green.join("checkpoints")), <[PathBuf; 0]>::default());
    let would_say = |options: &[&str]| {
        let mut dry_run = Command::new(flights());
        let dry_run = dry_run.args(of(&green, options)).arg("--dry-run");
        let output = dry_run.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it speaks UTF-8")
    };
    let said = would_say(&[OTHER, &from]);
    assert!(said.contains("which was running when this job first began beside it"), "{said}");
    let another = OTHER.replace("f0", "f1");
    let said = would_say(&[&another, &from]);
    assert!(!said.contains("beside"), "nobody lives: it goes on with what there is: {said}");
    let name = name(&savepoint).to_owned();
    assert!(is_complete(&savepoint), "{name} is its user's");
}
