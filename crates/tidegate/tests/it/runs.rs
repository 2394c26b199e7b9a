//! Two runs of one job: the second is refused, or takes over, and nothing is lost or twice. What the
//! job's log does not know was never complete.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tidegate::{CheckpointId, ErrorKind, collect::Collector, prelude::*};
use tidegate_snapshot::manifest::Manifest;
use tidegate_testing::{
    flights::Results,
    folders::{checkpoints, entries, forge_later, is_complete, name},
    process::{Process, flights},
    wait_for,
};

use crate::support::counting::{
    Counted, SLOW, assert_counted_once, count, finish, job, numbers, start, wait_for_checkpoints,
};

const OFTEN: &str = "-Dexecution.checkpointing.interval=50 ms";
const RARELY: &str = "-Dexecution.checkpointing.interval=1 h";
const RETAIN: &str =
    "-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION";

fn refused(started: Result<JobHandle, JobError>, kind: ErrorKind) -> String {
    let error = started.err().expect("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

#[test]
fn a_second_run_is_refused_while_the_first_is_alive_and_touches_nothing_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let first = start(folder.path(), &[OFTEN], Some(SLOW), &results).expect("it starts");
    wait_for_checkpoints(&first, 2);
    for options in [&[OFTEN][..], &[OFTEN, "--from-savepoint=latest"]] {
        let second = start(folder.path(), options, None, &results);
        let message = refused(second, ErrorKind::Fenced);
        let says =
            [&format!("process {}", std::process::id()), "is running already", "--take-over"];
        assert!(says.iter().all(|part| message.contains(*part)), "{message}");
    }
    finish(&first);
    assert_counted_once(&results);
    // When it has ended, anybody may start it again.
    finish(&start(folder.path(), &[OFTEN], None, &results).expect("it starts"));
    assert_counted_once(&results);
}

#[test]
fn a_run_that_takes_over_goes_on_and_the_one_before_it_completes_nothing_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let first = start(folder.path(), &[OFTEN], Some(SLOW), &results).expect("it starts");
    wait_for_checkpoints(&first, 2);
    let take_over = [OFTEN, "--from-savepoint=latest", "--take-over"];
    let second = start(folder.path(), &take_over, Some(SLOW), &results).expect("it takes over");
    let error = first.wait_blocking().expect_err("it is taken over from");
    assert_eq!(error.kind(), ErrorKind::Fenced);
    let by = format!("process {} on ", std::process::id());
    assert!(error.to_string().contains(&by), "{error}");
    finish(&second);
    assert_counted_once(&results);
}

/// What it is to start from goes with the next checkpoint while it looks at it.
#[test]
fn a_run_takes_over_from_one_that_completes_checkpoints_all_the_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let always = "-Dexecution.checkpointing.interval=10 ms";
    let mut running = start(folder.path(), &[always], Some(SLOW), &results).expect("it starts");
    for _ in 0..10 {
        wait_for_checkpoints(&running, 1);
        let take_over = [always, "--from-savepoint=latest", "--take-over"];
        let next = start(folder.path(), &take_over, Some(SLOW), &results).expect("it takes over");
        let error = running.wait_blocking().expect_err("it is taken over from");
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
        running = next;
    }
    finish(&running);
    assert_counted_once(&results);
}

/// It has no checkpoint to complete by which it would find out, and what it would go on from is the
/// other one's, who has deleted it.
#[test]
fn a_run_that_was_taken_over_from_does_not_restart_for_ever_when_it_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let (results, fails) = (Collector::default(), Arc::new(AtomicBool::new(false)));
    let (sink, failing) = (results.clone(), Arc::clone(&fails));
    let soon = "-Drestart-strategy.exponential-delay.initial-backoff=10 ms";
    let first = job(folder.path()).start([RARELY, soon], move |env| {
        let failing = Arc::clone(&failing);
        let numbers = numbers(env, Some(SLOW)).inspect(move |_| {
            if failing.load(Ordering::SeqCst) { Err("it fails".into()) } else { Ok(()) }
        });
        count(&numbers, &sink);
        Ok(())
    });
    let first = first.expect("it starts");
    let restore_point = first.checkpoint_blocking().expect("it is taken");
    let take_over = [RARELY, "--from-savepoint=latest", "--take-over"];
    let second = start(folder.path(), &take_over, Some(SLOW), &results).expect("it takes over");
    second.checkpoint_blocking().expect("it is taken");
    wait_for("the older one to go", || (!Path::new(&restore_point).exists()).then_some(()));
    fails.store(true, Ordering::SeqCst);
    wait_for("its end", || first.stats().status.is_terminal().then_some(()));
    let error = first.wait_blocking().expect_err("it is taken over from");
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    finish(&second);
    assert_counted_once(&results);
}

/// A rolling restart, cron, a second terminal: the example clears its results away when it starts
/// from nothing, and must not while it runs.
#[test]
fn a_second_process_ends_with_a_code_of_its_own_and_the_first_one_s_results_are_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("out");
    let out = format!("--out={}", output.display());
    let start = |log: &str, options: &[&str]| {
        let options = options.iter().map(|option| (*option).to_owned());
        let arguments = [out.clone()].into_iter().chain(options).collect::<Vec<_>>();
        Process::start(flights(), &arguments, &folder.path().join(log))
    };
    let first = start("first", &["--rate=60000"]);
    wait_for("a checkpoint", || {
        checkpoints(&output.join("checkpoints")).iter().any(|path| is_complete(path)).then_some(())
    });
    for options in [&[][..], &["--from-savepoint=latest"]] {
        let mut second = start("second", options);
        assert_eq!(second.wait().code(), Some(3), "{}", second.log());
        let says = [&format!("process {} on ", first.id()), "--take-over"];
        assert!(says.iter().all(|part| second.log().contains(*part)), "{}", second.log());
    }
    first.finish();
    assert!(Results::written_to(&output) == Results::expected(), "other results");
}

#[test]
fn a_checkpoint_that_the_log_does_not_know_was_never_complete() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let first = start(folder.path(), &[OFTEN, RETAIN], Some(SLOW), &results).expect("it starts");
    wait_for_checkpoints(&first, 2);
    first.cancel();
    first.wait_blocking().expect("a cancelled job has not failed");
    let left = checkpoints(&folder.path().join("checkpoints"));
    let latest = left.iter().rfind(|folder| is_complete(folder)).expect("it is retained");
    let _forged = forge_later(latest);
    // One that a killed run has written, as far as anybody can see.
    let number = name(latest).trim_start_matches("chk-").parse::<u64>().expect("a number");
    let whole = latest.with_file_name(format!("chk-{}", number + 500));
    fs::create_dir(&whole).expect("the folder is the test's own");
    let bytes = fs::read(latest.join("_metadata")).expect("it can be read");
    let mut manifest = Manifest::parse(&bytes, "_metadata").expect("it is whole");
    manifest.checkpoint = CheckpointId(number + 500);
    fs::write(whole.join("_metadata"), manifest.to_json()).expect("there is room");
    let second = start(folder.path(), &["--from-savepoint=latest"], None, &results);
    let second = second.expect("it starts");
    let (_, restored) = wait_for("the restore", || second.stats().restored);
    assert_eq!(Path::new(&restored), latest, "it goes on from one that was never complete");
    assert!(!whole.exists(), "a checkpoint that was never complete stays for ever");
    finish(&second);
    assert_counted_once(&results);
}

const RETAIN_ALL: &str = "-Dexecution.checkpointing.num-retained=1000";

#[test]
fn a_start_behind_what_was_committed_tells_what_will_be_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let options = [OFTEN, RETAIN, RETAIN_ALL];
    let first = start(folder.path(), &options, Some(SLOW), &results).expect("it starts");
    wait_for_checkpoints(&first, 4);
    first.cancel();
    let completed = first.wait_blocking().expect("a cancelled job has not failed").stats.completed;
    let begin = |from: &str| {
        let from = format!("--from-savepoint={from}");
        let second = start(folder.path(), &[&from, RETAIN, RETAIN_ALL], Some(SLOW), &results);
        let second = second.expect("it starts");
        let rewind = second.stats().rewind;
        second.cancel();
        second.wait_blocking().expect("a cancelled job has not failed");
        rewind
    };
    assert_eq!(begin("latest"), None);
    let rewind = begin(&completed[1].path).expect("it goes back");
    assert_eq!((rewind.from, rewind.later), (completed[1].id, completed.len() - 2));
    assert_eq!(rewind.sinks, ["counts".into()]);
    assert!(rewind.until.is_some_and(|until| until > rewind.since), "{rewind:?}");
}

#[test]
fn a_dry_run_tells_what_would_be_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("out");
    let of = |options: &[&str]| {
        let all = [&format!("--out={}", output.display()), OFTEN, RETAIN_ALL];
        all.into_iter().chain(options.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
    };
    let log = folder.path().join("log");
    let running = Process::start(flights(), &of(&["--rate=60000"]), &log);
    let complete = || {
        let mut all = checkpoints(&output.join("checkpoints"));
        all.retain(|path| is_complete(path));
        all
    };
    wait_for("checkpoints", || (complete().len() >= 3).then_some(()));
    running.kill();
    let would_say = |from: &str| {
        let from = format!("--from-savepoint={from}");
        let mut dry_run = std::process::Command::new(flights());
        let output = dry_run.args(of(&["--dry-run", &from])).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it speaks UTF-8")
    };
    let again = "will be written again by `";
    assert!(!would_say("latest").contains(again));
    let oldest = complete().into_iter().find(|path| name(path) == "chk-1").expect("it is retained");
    let said = would_say(&oldest.display().to_string());
    assert!(said.contains("going back to snapshot 1, behind ") && said.contains(again), "{said}");
}

/// As a JobManager does it that stood still while another took its job over.
#[test]
fn a_manifest_that_somebody_else_writes_costs_no_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let running = start(folder.path(), &[OFTEN], Some(SLOW), &results).expect("it starts");
    wait_for_checkpoints(&running, 1);
    let newest = running.stats().completed.last().expect("one").clone();
    let ahead = Path::new(&newest.path).with_file_name(format!("chk-{}", newest.id.0 + 5));
    fs::create_dir_all(&ahead).expect("the folder is the test's own");
    fs::write(ahead.join("_metadata"), "{}").expect("so is what is in it");
    wait_for("a failed checkpoint", || (running.stats().failed_count > 0).then_some(()));
    let before = running.stats().completed_count;
    wait_for_checkpoints(&running, before + 1);
    finish(&running);
    assert_eq!(running.stats().restarts, 0, "{:?}", running.stats().failures);
    assert_counted_once(&results);
}

#[test]
fn a_folder_that_holds_another_jobs_snapshots_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = format!("-Dexecution.checkpointing.dir={}", folder.path().display());
    let shared = [dir.as_str(), "-Dexecution.checkpointing.create-subdir=false", OFTEN, RETAIN];
    let begin = |name: &str, options: &[&str], results: &Collector<Counted>| {
        let sink = results.clone();
        Job::new(name).start(options.iter().copied(), move |env| {
            count(&numbers(env, Some(SLOW)), &sink);
            Ok(())
        })
    };
    let results = Collector::default();
    let first = begin("one", &shared, &results).expect("it starts");
    wait_for_checkpoints(&first, 1);
    first.cancel();
    first.wait_blocking().expect("a cancelled job has not failed");
    for latest in [&[][..], &["--from-savepoint=latest"]] {
        let options = [&shared, latest].concat();
        let message = refused(begin("another", &options, &results), ErrorKind::Invalid);
        let says = ["(`one`)", "(`another`)", "create-subdir"];
        assert!(says.iter().all(|part| message.contains(part)), "{message}");
    }
    let is_checkpoint = |path: &&std::path::PathBuf| name(path).starts_with("chk-");
    let left = entries(folder.path()).iter().filter(is_checkpoint).count();
    assert_eq!(left, 1, "nothing of the first is touched");
    let options = [&shared[..], &["--from-savepoint=latest"]].concat();
    finish(&begin("one", &options, &results).expect("it starts"));
    assert_counted_once(&results);
}
