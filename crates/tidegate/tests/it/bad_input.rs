//! What is wrong is said before anything starts: snapshots, plans, options.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tidegate::{ErrorKind, SnapshotForm, collect::Collector, discard::discard, files, prelude::*};

use tidegate_testing::{
    folders::{entries, name},
    process::{Process, flights},
};

use crate::support::counting::{SLOW, job, start, stop_as};

/// A savepoint whose state lies in a file beside `_metadata`.
struct Savepoint {
    folder: PathBuf,
    state: PathBuf,
}

impl Savepoint {
    fn take(form: SnapshotForm, folder: &Path) -> Self {
        let in_files = "-Dexecution.checkpointing.data-inline-threshold=0";
        let before = start(folder, &[in_files], Some(SLOW), &Collector::default());
        let folder = PathBuf::from(stop_as(form, &before.expect("it starts")));
        let state = first_file(&folder).expect("the state is in a file");
        Self { folder, state }
    }

    fn metadata(&self) -> PathBuf {
        self.folder.join("_metadata")
    }
}

/// The first file that is not `_metadata`, in this folder or below.
fn first_file(folder: &Path) -> Option<PathBuf> {
    entries(folder).into_iter().find_map(|path| match path.is_dir() {
        true => first_file(&path),
        false => (name(&path) != "_metadata").then_some(path),
    })
}

/// Damages a savepoint, and returns why a job does not start from it, with the damaged file as
/// `FILE` and the folder as `FOLDER`: the same for both forms, but for figures.
fn refused(
    damage: impl Fn(&Savepoint),
    file: impl Fn(&Savepoint) -> PathBuf,
) -> (ErrorKind, String) {
    let (kind, message) = refused_as(SnapshotForm::Native, &damage, &file);
    let (same_kind, same) = refused_as(SnapshotForm::Canonical, &damage, &file);
    let words =
        |message: &str| message.split(|c: char| !c.is_alphabetic()).take(5).collect::<String>();
    assert_eq!((kind, words(&message)), (same_kind, words(&same)));
    (kind, message)
}

fn refused_as(
    form: SnapshotForm,
    damage: impl Fn(&Savepoint),
    file: impl Fn(&Savepoint) -> PathBuf,
) -> (ErrorKind, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let savepoint = Savepoint::take(form, folder.path());
    damage(&savepoint);
    let from = savepoint.folder.display().to_string();
    let results = Collector::default();
    let options = ["--from-savepoint", &from, "--verify"];
    let started = start(folder.path(), &options, None, &results);
    let error = started.err().expect("it is damaged");
    assert!(results.is_empty(), "the job has started");
    let message = error.to_string().replace(&file(&savepoint).display().to_string(), "FILE");
    (error.kind(), message.replace(&from, "FOLDER"))
}

#[test]
fn a_snapshot_without_one_of_its_files() {
    let damage = |savepoint: &Savepoint| fs::remove_file(&savepoint.state).expect("it is there");
    let (kind, message) = refused(damage, |savepoint| savepoint.state.clone());
    assert_eq!(kind, ErrorKind::Corrupt);
    assert_eq!(message, "the snapshot's file 'FILE' is missing");
}

#[test]
fn a_snapshot_with_a_truncated_file() {
    let damage = |savepoint: &Savepoint| {
        let bytes = fs::read(&savepoint.state).expect("it is there");
        fs::write(&savepoint.state, &bytes[..7]).expect("it is writable");
    };
    let (kind, message) = refused(damage, |savepoint| savepoint.state.clone());
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(message.starts_with("the snapshot's file 'FILE' has 7 bytes, and "), "{message}");
}

#[test]
fn a_snapshot_with_an_altered_file() {
    let damage = |savepoint: &Savepoint| {
        let mut bytes = fs::read(&savepoint.state).expect("it is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&savepoint.state, bytes).expect("it is writable");
    };
    let (kind, message) = refused(damage, |savepoint| savepoint.state.clone());
    assert_eq!(kind, ErrorKind::Corrupt);
    let expected = "the snapshot's file 'FILE' has been altered: its checksum is ";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_snapshot_of_another_version() {
    let damage = |savepoint: &Savepoint| {
        let text = fs::read_to_string(savepoint.metadata()).expect("it is there");
        let other = text.replacen("\"version\": 1,", "\"version\": 999,", 1);
        assert_ne!(text, other, "it has a version");
        fs::write(savepoint.metadata(), other).expect("it is writable");
    };
    let (kind, message) = refused(damage, Savepoint::metadata);
    assert_eq!(kind, ErrorKind::Incompatible);
    assert!(message.starts_with("'FILE' has format version 999, and this version of"), "{message}");
}

#[test]
fn a_folder_without_metadata_and_no_folder_at_all() {
    let damage =
        |savepoint: &Savepoint| fs::remove_file(savepoint.metadata()).expect("it is there");
    let (kind, message) = refused(damage, Savepoint::metadata);
    assert_eq!(kind, ErrorKind::Invalid);
    let expected = "cannot find meta data file '_metadata' in directory 'FOLDER'";
    assert!(message.starts_with(expected), "{message}");

    let damage =
        |savepoint: &Savepoint| fs::remove_dir_all(&savepoint.folder).expect("it is there");
    let (kind, message) = refused(damage, Savepoint::metadata);
    assert_eq!(kind, ErrorKind::Invalid);
    assert_eq!(message, "cannot find checkpoint or savepoint file/directory 'FOLDER'");
}

/// Why a job with these options and these uids of its sinks does not start.
fn invalid(options: &[&str], uids: &'static [&'static str]) -> String {
    let started = Job::new("invalid").start(options.iter().copied(), move |env| {
        let numbers = env.from_collection("numbers", vec![1]);
        uids.iter().for_each(|uid| numbers.sink(uid, discard()));
        Ok(())
    });
    let error = started.err().expect("it is invalid");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    error.to_string()
}

#[test]
fn plans_with_wrong_uids() {
    let message = invalid(&[], &["same", "same"]);
    assert!(message.starts_with("the uid `same` is taken by two operators"), "{message}");
    let message = invalid(&[], &[" "]);
    assert!(message.starts_with("the operator `sink` has an empty uid"), "{message}");
}

#[test]
fn options_out_of_range() {
    let zero = "`0` is not a value for parallelism.default (from --parallelism on the command \
                line): expected a number from 1 to 32768";
    assert_eq!(invalid(&["--parallelism=0"], &["sink"]), zero);
    let above = invalid(&["-p4", "-Dpipeline.max-parallelism=2"], &["sink"]);
    assert!(above.starts_with("parallelism 4 is above pipeline.max-parallelism 2"), "{above}");
    let mode = "`SOMETIMES` is not a value for execution.checkpointing.mode (from -D \
                execution.checkpointing.mode on the command line): expected one of EXACTLY_ONCE, AT_LEAST_ONCE";
    assert_eq!(invalid(&["-Dexecution.checkpointing.mode=SOMETIMES"], &["sink"]), mode);
}

#[test]
fn an_option_that_nobody_knows_is_a_warning_and_a_wrong_value_ends_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("flights.csv");
    let row = "month,day,dep_time,arr_delay,carrier,flight\n1,1,517,11,UA,1545\n";
    fs::write(&data, row).expect("the folder is writable");
    let run = |option: &str| {
        let arguments = [
            format!("--data={}", data.display()),
            format!("--out={}", folder.path().join("out").display()),
            option.to_owned(),
        ];
        let mut process = Process::start(flights(), &arguments, &folder.path().join("log"));
        let code = process.wait().code();
        (code, process.log())
    };
    let (code, log) = run("-Dexecution.checkpointing.intervall=1 s");
    assert_eq!(code, Some(0), "{log}");
    let nearest = "unknown option execution.checkpointing.intervall (from -D \
                   execution.checkpointing.intervall on the command line); did you mean \
                   execution.checkpointing.interval?";
    assert!(log.contains(" WARN ") && log.contains(nearest), "{log}");
    let (code, log) = run("-Dexecution.checkpointing.interval=often");
    assert_eq!(code, Some(2), "{log}");
    assert!(log.starts_with("error: `often` is not a value for execution.checkpointing"), "{log}");
}

#[test]
fn what_no_restart_can_mend_ends_the_job_whatever_the_restart_strategy() {
    let always = [
        "-Drestart-strategy.type=fixed-delay",
        "-Drestart-strategy.fixed-delay.attempts=2147483647",
        "-Drestart-strategy.fixed-delay.delay=1 ms",
    ];
    let missing = Job::new("missing").try_run(always, |env| {
        env.source("lines", files::text("/nowhere/*.txt")).sink("sink", discard());
        Ok(())
    });
    let error = missing.expect_err("there is nothing to read");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("operator `lines`"), "{error}");
    assert!(error.to_string().contains("no file to read at `/nowhere/*.txt`"), "{error}");
    let marked = Job::new("marked").try_run(always, |env| {
        env.from_collection("numbers", vec![1])
            .inspect(|_| Err(ErrorKind::Invalid.mark("no such currency: XXX")))
            .sink("sink", discard());
        Ok(())
    });
    let error = marked.expect_err("the function marks its error");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("no such currency: XXX"), "{error}");
}

#[test]
fn a_truncated_file_fails_the_job_and_what_is_committed_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("lines.txt.zst");
    let lines = (0..40_000_u64).map(|line| (line * line).to_string()).collect::<Vec<_>>();
    let whole = zstd::encode_all(lines.join("\n").as_bytes(), 1).expect("it is in memory");
    fs::write(&input, &whole[..whole.len() - 9]).expect("the folder is writable");
    let results = Collector::<String>::default();
    let run = |more: &[&str], rate: u64| {
        let (sink, input) = (results.clone(), input.clone());
        let often = ["-Dexecution.checkpointing.interval=10 ms", "-Drestart-strategy.type=none"];
        job(folder.path()).try_run([&often, more].concat(), move |env| {
            let lines = env.source("lines", files::text(&input).rate(rate));
            lines.sink("results", sink.exactly_once_sink());
            Ok(())
        })
    };
    let error = run(&[], 40_000).expect_err("the file is truncated");
    let place = format!("`{}` is truncated or corrupt at byte ", input.display());
    assert!(error.to_string().contains(&place), "{error}");
    assert!(error.to_string().contains("operator `lines`"), "{error}");
    assert!(!results.is_empty(), "nothing was committed");
    fs::write(&input, whole).expect("the folder is writable");
    run(&["--from-savepoint=latest"], u64::MAX).expect("the file is whole");
    let (mut found, mut expected) = (results.take(), lines);
    found.sort();
    expected.sort();
    assert!(found == expected, "{} of {} lines, or other ones", found.len(), expected.len());
}
