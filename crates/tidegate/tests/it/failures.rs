//! What is told when user code fails: which code, where it stands in the program, on which record,
//! and where that lies in the input.

use std::{fs, panic::Location, path::PathBuf};

use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tidegate::{
    Result,
    collect::{Collector, ExactlyOnceCollectSink, ExactlyOnceCollectWriter, Uncommitted},
    connector::{Batch, CommitOutcome, Readiness, Sink, SinkContext, SinkWriter, TwoPhaseSink},
    discard::discard,
    files,
    prelude::*,
};

use crate::support::job_of_test;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Number {
    n: u64,
}

/// A file of numbers, which has a blank line before the record `{"n":7}` of line 8.
fn numbers() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    let lines = [1, 2, 3, 4, 5, 6].map(|n| format!("{{\"n\":{n}}}\n")).concat();
    fs::write(&path, format!("{lines}\n{{\"n\":7}}\n{{\"n\":8}}\n")).expect("it is writable");
    (folder, path)
}

/// Why a job of one subtask fails that reads them, with `FILE` for the file.
fn told(build: fn(Stream<Number>)) -> String {
    let (_folder, path) = numbers();
    let file = path.clone();
    let ended = job_of_test().try_run(["--parallelism=1"], move |env| {
        build(env.source("numbers", files::json_lines::<Number>(&file)));
        Ok(())
    });
    let message = ended.expect_err("it fails").to_string();
    let message = message.replace(&path.display().to_string(), "FILE");
    message.replace(" (subtask 0) (no restart: restart-strategy.type is none)", "")
}

fn no_seven(number: Number) -> Result<Number> {
    if number.n == 7 { Err("seven is not allowed".into()) } else { Ok(number) }
}

/// The place of whoever calls this.
#[track_caller]
fn here() -> String {
    let place = Location::caller();
    format!("{}:{}", place.file(), place.line())
}

#[test]
fn a_map_tells_its_place_the_record_and_the_line_of_the_input() {
    let (message, place) = (told(|numbers| numbers.map(no_seven).sink("out", discard())), here());
    let expected =
        format!("map at {place} failed on {{\"n\":7}} of FILE line 8: seven is not allowed");
    assert_eq!(message, expected);
}

#[test]
fn behind_operators_that_keep_records_the_line_is_exact_and_behind_others_it_is_the_batch_s() {
    let message = told(|numbers| {
        let same = numbers.inspect(|_| Ok(())).map(|number| Ok(number.n));
        let same = same.inspect(|n| if *n == 7 { panic!("no sevens") } else { Ok(()) });
        same.sink("out", discard());
    });
    let expected = " failed on 7 of FILE line 8: panicked: no sevens";
    assert!(message.starts_with("inspect at ") && message.ends_with(expected), "{message}");
    let message = told(|numbers| {
        let some = numbers.filter(|number| Ok(number.n > 2));
        some.map(no_seven).sink("out", discard());
    });
    let expected = " failed on {\"n\":7} of FILE, lines 1 to 9: seven is not allowed";
    assert!(message.starts_with("map at ") && message.ends_with(expected), "{message}");
}

#[test]
fn what_a_flat_map_returns_may_fail_too() {
    let message = told(|numbers| {
        let lazy = |number: Number| {
            Ok((0..1).map(move |_| if number.n == 7 { panic!("late") } else { number.n }))
        };
        numbers.flat_map(lazy).sink("out", discard());
    });
    let expected = " failed on {\"n\":7} of FILE line 8: panicked: late";
    assert!(message.starts_with("flat_map at ") && message.ends_with(expected), "{message}");
}

#[test]
fn an_event_time_that_can_not_be_told_is_told_with_its_record() {
    let message = told(|numbers| {
        let time = |number: &Number| Ok(EventTime(no_seven(number.clone())?.n as i64));
        let timed = numbers.assign_timestamps(WatermarkStrategy::monotonous(), time);
        timed.sink("out", discard());
    });
    let expected = " failed on {\"n\":7} of FILE line 8: seven is not allowed";
    let begin = "assign_timestamps at ";
    assert!(message.starts_with(begin) && message.ends_with(expected), "{message}");
}

fn key(number: &Number) -> u64 {
    assert!(number.n != 7, "no key");
    number.n
}

#[test]
fn a_key_selector_tells_whose_it_is_and_its_place() {
    let message = told(|numbers| {
        numbers.key_by(key).aggregate("count", Count).sink("out", discard());
    });
    let place = format!("the key selector of `count` ({}:{})", file!(), line!() - 2);
    assert_eq!(message, format!("{place} panicked on {{\"n\":7}}: no key"));
}

#[test]
fn a_key_selector_in_front_of_an_exchange_tells_the_line_too() {
    let (_folder, path) = numbers();
    let file = path.clone();
    let ended = job_of_test().try_run(["--parallelism=2"], move |env| {
        let numbers = env.source("numbers", files::json_lines::<Number>(&file));
        numbers.key_by(key).aggregate("count", Count).sink("out", discard());
        Ok(())
    });
    let message = ended.expect_err("it fails").to_string();
    let begin = format!("the key selector of `count` ({}:{})", file!(), line!() - 4);
    let told = format!("{begin} panicked on {{\"n\":7}} of {} line 8: no key", path.display());
    assert!(message.starts_with(&told), "{message}");
}

/// Sets timers that fail, or fails by itself.
struct Fragile {
    timers: bool,
}

impl KeyedProcess<u64, Number> for Fragile {
    type Out = u64;

    fn on_record(
        &mut self,
        number: Number,
        context: &mut ProcessContext<'_, u64, u64>,
    ) -> Result<()> {
        if self.timers {
            context.set_event_timer(EventTime(5_000));
            return Ok(());
        }
        no_seven(number).map(|_| ())
    }

    fn on_timer(&mut self, _: Timer, _: &mut ProcessContext<'_, u64, u64>) -> Result<()> {
        panic!("too late")
    }
}

#[test]
fn a_process_function_tells_the_record_and_a_timer_its_key_and_time() {
    let message = told(|numbers| {
        let process = numbers.key_by(|number: &Number| number.n);
        let process = process.process("by-key", |_| Ok(Fragile { timers: false }));
        process.sink("out", discard());
    });
    assert!(message.starts_with("operator `by-key` (process at "), "{message}");
    let expected = ") failed on {\"n\":7}: seven is not allowed";
    assert!(message.ends_with(expected), "{message}");
    let message = told(|numbers| {
        let process = numbers.key_by(|_: &Number| 3);
        process.process("by-key", |_| Ok(Fragile { timers: true })).sink("out", discard());
    });
    let expected = ") failed in the event timer for 5000 ms of the key 3: panicked: too late";
    assert!(message.ends_with(expected), "{message}");
}

/// Fails when it is asked to hand on what it has buffered.
struct Stubborn;

impl Sink for Stubborn {
    type Item = Number;
    type Writer = Self;

    fn writer(&self, _: SinkContext) -> Result<Self> {
        Ok(Self)
    }
}

impl SinkWriter for Stubborn {
    type Item = Number;

    fn write(&mut self, batch: &mut Batch<Number>) -> Result<Readiness> {
        batch.records.clear();
        Ok(Readiness::Ready)
    }

    fn flush(&mut self) -> Result<Readiness> {
        panic!("in flush")
    }
}

#[test]
fn a_sink_that_panics_is_named_and_not_the_source_of_its_task() {
    let message = told(|numbers| numbers.sink("out", Stubborn));
    let expected = format!("operator `out` (sink at {}:{})", file!(), line!() - 1);
    assert_eq!(message, format!("{expected} failed: panicked: in flush"));
}

/// Panics as it commits, or as it recovers.
#[derive(Clone)]
struct Unwilling {
    sink: ExactlyOnceCollectSink<u64>,
    commits: bool,
}

impl TwoPhaseSink for Unwilling {
    type Item = u64;
    type Committable = Uncommitted<u64>;
    type Writer = ExactlyOnceCollectWriter<u64>;

    fn writer(&self, context: SinkContext) -> Result<ExactlyOnceCollectWriter<u64>> {
        self.sink.writer(context)
    }

    fn commit(&self, _: Vec<Uncommitted<u64>>) -> BoxFuture<'static, Result<Vec<CommitOutcome>>> {
        panic!("in commit")
    }

    fn recover(&self, _: SinkContext) -> BoxFuture<'static, Result<()>> {
        let commits = self.commits;
        async move { if commits { Ok(()) } else { panic!("in recover") } }.boxed()
    }
}

#[test]
fn a_panic_in_commit_tells_sink_and_checkpoint_and_on_a_restore_the_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |commits: bool, more: &[&str]| {
        let checkpoints = format!("-Dexecution.checkpointing.dir={}", folder.path().display());
        let options = ["--parallelism=1", "-Drestart-strategy.type=none", checkpoints.as_str()];
        let ended = job_of_test().try_run([&options, more].concat(), move |env| {
            let sink = Unwilling { sink: Collector::default().exactly_once_sink(), commits };
            env.from_collection("numbers", vec![1_u64, 2]).sink("out", sink);
            Ok(())
        });
        let message = ended.expect_err("it panics").to_string();
        message.replace(" (subtask 0) (no restart: restart-strategy.type is none)", "")
    };
    let message = run(true, &[]);
    assert_eq!(message, "operator `out` could not commit checkpoint 1: panicked: in commit");
    let restore = ["--from-savepoint=latest"];
    let message = run(true, &restore);
    let begin = "operator `out` (sink at ";
    let expected = ") failed: could not commit what snapshot 1 holds: panicked: in commit";
    assert!(message.starts_with(begin) && message.ends_with(expected), "{message}");
    let message = run(false, &[]);
    let expected =
        ") failed: could not abort what earlier attempts have left: panicked: in recover";
    assert!(message.starts_with(begin) && message.ends_with(expected), "{message}");
}
