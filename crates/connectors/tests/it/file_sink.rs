//! Files out: exactly once, whenever the sink is killed.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tidegate_connectors::files::{self, Encoder, FileSink};
use tidegate_core::{RestoredList, sink::two_phase_operator};
use tidegate_types::{RunToken, Superseded};

use crate::harness::{Attempt, SinkJob, names, read_all};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Row {
    id: u32,
    name: String,
}

type Sink = FileSink<files::JsonLinesEncoder<Row>>;

fn rows(ids: std::ops::Range<u32>) -> Vec<Row> {
    ids.map(|id| Row { id, name: format!("row, \"{id}\"") }).collect()
}

fn start<E: Encoder>(sink: &FileSink<E>, attempt: &Attempt) -> SinkJob {
    SinkJob::start(attempt, |context| two_phase_operator(sink.clone(), context))
}

/// What anybody outside sees.
fn visible(folder: &Path) -> Vec<Row> {
    let finished = |name: &String| name.starts_with("part-") && name.ends_with(".jsonl");
    if !names(folder).iter().any(finished) {
        return Vec::new();
    }
    let mut rows = read_all(&files::json_lines::<Row>(folder)).expect("finished files are whole");
    rows.sort();
    rows
}

fn hidden(folder: &Path) -> usize {
    names(folder).iter().filter(|name| name.starts_with('.')).count()
}

/// Waits until there are `count` hidden files: the thread of a dropped sink takes its time.
fn wait_for_hidden(folder: &Path, count: usize) {
    let begin = Instant::now();
    while hidden(folder) != count {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", names(folder));
        std::thread::yield_now();
    }
}

#[test]
fn records_show_when_their_checkpoint_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("made/for/it");
    let sink = files::json_lines_sink::<Row>(&out);
    let mut job = start(&sink, &Attempt::new(2, &[]));
    job.write(&rows(0..10)).unwrap();
    job.snapshot(1).unwrap();
    assert_eq!(visible(&out), []);
    assert_eq!(hidden(&out), 2);
    job.write(&rows(10..15)).unwrap();
    job.complete(1).unwrap();
    assert_eq!(visible(&out), rows(0..10));
    job.snapshot(2).unwrap();
    job.complete(2).unwrap();
    assert_eq!(visible(&out), rows(0..15));
    let before = names(&out);
    job.snapshot(3).unwrap();
    job.complete(3).unwrap();
    assert_eq!(names(&out), before, "an interval without records makes no file");
    assert_eq!(hidden(&out), 0);
}

#[test]
fn a_folder_may_be_written_as_a_url_and_other_schemes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = |scheme: &str| format!("{scheme}{}", folder.path().join("out").display());
    for (count, scheme) in (1..).zip(["file:", "file://", ""]) {
        let sink = files::json_lines_sink::<Row>(url(scheme));
        let mut job = start(&sink, &Attempt::new(1, &[]));
        job.write(&rows(0..1)).unwrap();
        job.snapshot(1).unwrap();
        job.complete(1).unwrap();
        let written = visible(&folder.path().join("out"));
        assert_eq!(written, vec![rows(0..1); count].concat(), "{scheme}");
        let source = files::json_lines::<Row>(url(scheme));
        assert_eq!(read_all(&source).unwrap(), written, "{scheme}");
    }
    let unknown = files::json_lines::<Row>(url("fiel:"));
    let error = read_all(&unknown).unwrap_err();
    assert!(error.contains("there is no scheme `fiel:`"), "{error}");
    let sink = files::json_lines_sink::<Row>(url("s3:/"));
    let refused = two_phase_operator(sink, &Attempt::new(1, &[]).context(0));
    let error = refused.err().expect("it is no local disk").to_string();
    assert!(error.contains("local disks alone"), "{error}");
}

/// How far the first attempt comes before it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Crash {
    Writing,
    Prepared,
    Complete,
    Committed,
    CommittedTwice,
}

#[test]
fn a_crash_at_each_step_loses_and_doubles_nothing() {
    use Crash::{Committed, CommittedTwice, Complete, Prepared, Writing};
    for crash in [Writing, Prepared, Complete, Committed, CommittedTwice] {
        for parallelism in [1, 3] {
            let folder = tempfile::tempdir().unwrap();
            let sink = files::json_lines_sink::<Row>(folder.path());
            let mut job = start(&sink, &Attempt::new(2, &[]));
            job.write(&rows(0..10)).unwrap();
            let first = job.snapshot(1).unwrap();
            job.complete(1).unwrap();
            job.write(&rows(10..20)).unwrap();
            // What the next attempt restores: the last complete snapshot.
            let restored = crash_second(&sink, &mut job, crash, first);
            drop(job);

            let mut job = start(&sink, &Attempt::new(parallelism, &restored));
            job.recover().unwrap();
            let replayed = if crash >= Complete { 20 } else { 10 };
            assert_eq!(visible(folder.path()), rows(0..replayed), "{crash:?}");
            wait_for_hidden(folder.path(), 0);
            job.write(&rows(replayed..30)).unwrap();
            job.snapshot(3).unwrap();
            job.complete(3).unwrap();
            assert_eq!(visible(folder.path()), rows(0..30), "{crash:?}");
        }
    }
}

fn crash_second(
    sink: &Sink,
    job: &mut SinkJob,
    crash: Crash,
    first: Vec<RestoredList>,
) -> Vec<RestoredList> {
    if crash == Crash::Writing {
        job.flush().expect("flushes");
        return first;
    }
    let second = job.snapshot(2).expect("prepares");
    if crash == Crash::Prepared {
        return first;
    }
    if crash >= Crash::Committed {
        job.complete(2).expect("commits");
    }
    if crash == Crash::CommittedTwice {
        start(sink, &Attempt::new(1, &second)).recover().expect("commits again");
    }
    second
}

#[test]
fn a_checkpoint_that_failed_does_not_lose_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let sink = files::json_lines_sink::<Row>(folder.path());
    let mut job = start(&sink, &Attempt::new(2, &[]));
    job.write(&rows(0..10)).unwrap();
    job.snapshot(1).unwrap();
    job.write(&rows(10..20)).unwrap();
    let second = job.snapshot(2).unwrap();
    drop(job);
    start(&sink, &Attempt::new(1, &second)).recover().unwrap();
    assert_eq!(visible(folder.path()), rows(0..20));
}

#[test]
fn what_a_killed_process_was_writing_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let sink = files::json_lines_sink::<Row>(folder.path());
    let mut job = start(&sink, &Attempt::new(1, &[]));
    job.write(&rows(0..3)).unwrap();
    job.flush().unwrap();
    wait_for_hidden(folder.path(), 1);
    let leftover = folder.path().join(&names(folder.path())[0]);
    // Dropping it is not being killed: it tidies up.
    drop(job);
    wait_for_hidden(folder.path(), 0);
    fs::write(&leftover, "{\"id\":").unwrap();
    start(&sink, &Attempt::new(1, &[])).recover().unwrap();
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_commit_that_was_cut_short_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let sink = files::json_lines_sink::<Row>(folder.path()).roll_size(100);
    let mut job = start(&sink, &Attempt::new(2, &[]));
    job.write(&rows(0..500)).unwrap();
    let snapshot = job.snapshot(1).unwrap();
    drop(job);
    let pending = names(folder.path());
    assert!(pending.len() > 5, "{pending:?}");
    for name in pending.iter().step_by(2) {
        let (finished, _) = name[1..].split_once(".jsonl").unwrap();
        let finished = folder.path().join(format!("{finished}.jsonl"));
        fs::rename(folder.path().join(name), finished).unwrap();
    }
    start(&sink, &Attempt::new(1, &snapshot)).recover().unwrap();
    assert_eq!(visible(folder.path()), rows(0..500));
    assert_eq!(hidden(folder.path()), 0);
}

#[test]
fn files_roll_by_size() {
    let folder = tempfile::tempdir().unwrap();
    let sink = files::json_lines_sink::<Row>(folder.path()).roll_size(1_000);
    let mut job = start(&sink, &Attempt::new(1, &[]));
    job.write(&rows(0..1_000)).unwrap();
    job.snapshot(1).unwrap();
    job.complete(1).unwrap();
    assert_eq!(visible(folder.path()), rows(0..1_000));
    let lengths = names(folder.path())
        .into_iter()
        .map(|name| fs::metadata(folder.path().join(name)).unwrap().len());
    let lengths: Vec<u64> = lengths.collect();
    assert!(lengths.len() > 30 && lengths.iter().all(|length| *length < 1_100), "{lengths:?}");
}

#[test]
fn csv_files_each_have_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let sink = files::csv_sink::<Row>(folder.path()).roll_size(20_000);
    let mut job = start(&sink, &Attempt::new(2, &[]));
    job.write(&rows(0..10_000)).unwrap();
    job.snapshot(1).unwrap();
    job.complete(1).unwrap();
    assert!(names(folder.path()).len() > 10);
    let mut found = read_all(&files::csv::<Row>(folder.path())).unwrap();
    found.sort();
    assert_eq!(found, rows(0..10_000));
}

#[test]
fn the_files_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let others = [
        "part-0-00000000000000ff-0.jsonl",
        ".part-0-00000000000000ff-0.jsonl.0123456789abcdef.pending",
        ".part-0-00000000000000ff-0.jsonl.pending",
        ".other.inprogress",
        "notes.pending",
    ];
    for name in others {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let sink = files::json_lines_sink::<Row>(folder.path());
    start(&sink, &Attempt::new(1, &[])).recover().unwrap();
    let mut expected = others.to_vec();
    expected.sort_unstable();
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn a_running_attempt_s_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sink = files::json_lines_sink::<Row>(folder.path());
    let attempt = Attempt::new(1, &[]);
    let mut job = start(&sink, &attempt);
    job.write(&rows(0..3)).unwrap();
    job.snapshot(1).unwrap();
    start(&sink, &attempt).recover().unwrap();
    job.complete(1).unwrap();
    assert_eq!(visible(folder.path()), rows(0..3));
}

/// An attempt at 1 that may delete what these attempts have left.
fn superseding(attempts: &[&Attempt]) -> Attempt {
    let runs = attempts.iter().map(|attempt| RunToken::of(attempt.token));
    let mut attempt = Attempt::new(1, &[]);
    attempt.superseded = Superseded::runs(runs);
    attempt
}

/// Two runs of one job, such as two copies of it that were started by mistake.
#[test]
fn runs_of_one_job_leave_each_other_s_files_alone_and_tidy_up_behind_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let sink = files::json_lines_sink::<Row>(folder.path());
    let mut running = start(&sink, &superseding(&[]));
    running.write(&rows(0..3)).unwrap();
    running.snapshot(1).unwrap();
    running.write(&rows(3..6)).unwrap();
    running.flush().unwrap();
    wait_for_hidden(folder.path(), 2);

    let first = superseding(&[]);
    let mut killed = start(&sink, &first);
    killed.recover().unwrap();
    killed.write(&rows(6..9)).unwrap();
    killed.snapshot(1).unwrap();
    assert_eq!(hidden(folder.path()), 3, "the other run's and its own");
    drop(killed);
    start(&sink, &superseding(&[&first])).recover().unwrap();
    wait_for_hidden(folder.path(), 2);

    running.complete(1).unwrap();
    running.snapshot(2).unwrap();
    running.complete(2).unwrap();
    assert_eq!(visible(folder.path()), rows(0..6));
}

/// A sink with one prepared checkpoint, its folder and what a restore needs.
fn prepared() -> (tempfile::TempDir, Sink, Vec<RestoredList>) {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = files::json_lines_sink::<Row>(folder.path());
    let mut job = start(&sink, &Attempt::new(1, &[]));
    job.write(&rows(0..3)).expect("writes");
    let snapshot = job.snapshot(1).expect("prepares");
    (folder, sink, snapshot)
}

fn restore(sink: &Sink, snapshot: &[RestoredList]) -> Result<(), String> {
    start(sink, &Attempt::new(1, snapshot)).recover()
}

/// Nothing but a commit takes a pending name away.
#[test]
fn a_finished_file_that_was_taken_away_counts_as_committed() {
    let (folder, sink, snapshot) = prepared();
    restore(&sink, &snapshot).unwrap();
    let finished = folder.path().join(&names(folder.path())[0]);
    fs::remove_file(finished).unwrap();
    restore(&sink, &snapshot).unwrap();
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_finished_file_that_was_changed_is_left_as_it_is() {
    let (folder, sink, snapshot) = prepared();
    restore(&sink, &snapshot).unwrap();
    let finished = folder.path().join(&names(folder.path())[0]);
    fs::write(&finished, "consumed").unwrap();
    restore(&sink, &snapshot).unwrap();
    assert_eq!(fs::read_to_string(finished).unwrap(), "consumed");
}

#[test]
fn files_are_finished_where_they_lie_when_the_sink_writes_elsewhere() {
    let (folder, _, snapshot) = prepared();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = files::json_lines_sink::<Row>(elsewhere.path().join("new"));
    for _ in 0..2 {
        restore(&other, &snapshot).unwrap();
        assert_eq!(visible(folder.path()), rows(0..3));
        assert_eq!(hidden(folder.path()), 0);
    }
}

#[test]
fn a_folder_is_as_good_when_it_was_moved() {
    let (folder, _, snapshot) = prepared();
    let moved = folder.path().with_extension("moved");
    fs::rename(folder.path(), &moved).unwrap();
    restore(&files::json_lines_sink::<Row>(&moved), &snapshot).unwrap();
    assert_eq!(visible(&moved), rows(0..3));
    fs::remove_dir_all(moved).unwrap();
}

#[test]
fn a_pending_file_whose_folder_is_gone_is_lost_and_named() {
    let (folder, sink, snapshot) = prepared();
    let pending = names(folder.path()).remove(0);
    fs::remove_dir_all(folder.path()).unwrap();
    let expected = format!(
        "1 of 1 outputs of snapshot 1 are lost: the folder `{}` is gone, and with it \
         `{pending}`",
        folder.path().display()
    );
    assert_eq!(restore(&sink, &snapshot).unwrap_err(), expected);
    let elsewhere = tempfile::tempdir().unwrap();
    let other = files::json_lines_sink::<Row>(elsewhere.path());
    assert_eq!(restore(&other, &snapshot).unwrap_err(), expected);
}

#[test]
fn a_pending_file_that_is_cut_is_lost_and_named() {
    let (folder, sink, snapshot) = prepared();
    let pending = folder.path().join(&names(folder.path())[0]);
    let length = fs::metadata(&pending).unwrap().len();
    fs::write(&pending, "x").unwrap();
    let expected = format!(
        "1 of 1 outputs of snapshot 1 are lost: the pending file `{}` had {length} bytes \
         and has 1",
        pending.display()
    );
    assert_eq!(restore(&sink, &snapshot).unwrap_err(), expected);
}

#[test]
fn a_folder_that_can_t_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let out = file.join("out");
    let mut job = start(&files::json_lines_sink::<Row>(&out), &Attempt::new(1, &[]));
    // Recovery looks into the folder before anything is written.
    let error = job
        .recover()
        .and_then(|()| job.write(&rows(0..1)))
        .and_then(|()| job.snapshot(1).map(drop));
    let error = error.unwrap_err();
    assert!(error.contains(&format!("`{}`", out.display())), "{error}");
}

#[test]
fn what_stops_the_thread_fails_the_snapshot_and_every_later_write() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut job = start(&files::json_lines_sink::<Row>(&out), &Attempt::new(1, &[]));
    job.recover().unwrap();
    fs::write(&out, "a file where the folder should be").unwrap();
    job.write(&rows(0..1)).unwrap();
    let expected = format!("cannot make the folder `{}`: ", out.display());
    let error = job.snapshot(1).unwrap_err();
    assert!(error.starts_with(&expected), "{error}");
    let error = job.write(&rows(1..2)).unwrap_err();
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn much_data_passes_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let sink = files::json_lines_sink::<Row>(folder.path());
    let mut job = start(&sink, &Attempt::new(1, &[]));
    job.write(&rows(0..100_000)).unwrap();
    job.snapshot(1).unwrap();
    job.complete(1).unwrap();
    assert_eq!(read_all(&files::json_lines::<Row>(folder.path())).unwrap(), rows(0..100_000));
}
