//! A source or a sink that does not keep its word ends the job, with an error that names operator
//! and subtask: no restart mends it, and nothing is lost without a word.

use futures::FutureExt;
use serde::{Deserialize, Serialize};
use tidegate::{
    ErrorKind, Parallelism, Result, SubtaskIndex,
    connector::{
        Batch, ReaderContext, ReaderStatus, Readiness, Sink, SinkContext, SinkWriter, Source,
        SourceReader, Split, source::Discovery,
    },
    discard::discard,
    prelude::*,
};
use tidegate_testing::wait_for;

/// Restarts would not end.
const RESTARTS: [&str; 3] = [
    "--parallelism=2",
    "-Drestart-strategy.type=fixed-delay",
    "-Drestart-strategy.fixed-delay.attempts=1000000",
];

fn failing(name: &str, build: impl Fn(&Env) -> Result<()> + Send + Sync + 'static) -> JobError {
    // One each: two runs of one job would take it over from each other.
    let job = Job::new(name).start(RESTARTS, move |env| build(env)).expect("it starts");
    // A job that stands still for ever must not do so in here.
    wait_for("the job to end", || job.stats().status.is_terminal().then_some(()));
    job.wait_blocking().expect_err("a broken contract ends the job")
}

/// A number, to be read once.
#[derive(Clone, Serialize, Deserialize)]
struct Number(u64, bool);

impl Split for Number {
    fn id(&self) -> String {
        format!("number-{}", self.0)
    }

    fn is_finished(&self) -> bool {
        self.1
    }
}

/// Assigns its numbers to the subtasks of another parallelism.
struct Astray;

impl Source for Astray {
    type Item = u64;
    type Split = Number;
    type Reader = Reader;

    fn discovery(&self) -> Discovery<Number> {
        let numbers = || (0..3).map(|number| Number(number, false)).collect();
        Box::new(move || async move { Ok(numbers()) }.boxed())
    }

    fn assign(&self, split: &Number, _: Parallelism) -> SubtaskIndex {
        SubtaskIndex(split.0 as u32)
    }

    fn reader(&self, _: ReaderContext) -> Result<Reader> {
        Ok(Reader(Vec::new()))
    }
}

struct Reader(Vec<Number>);

impl SourceReader for Reader {
    type Item = u64;
    type Split = Number;

    fn add_splits(&mut self, splits: Vec<Number>) -> Result<()> {
        self.0.extend(splits);
        Ok(())
    }

    fn poll_batch(&mut self, _: usize, batch: &mut Batch<u64>) -> Result<ReaderStatus> {
        for Number(number, finished) in &mut self.0 {
            if !std::mem::replace(finished, true) {
                batch.push(*number);
            }
        }
        Ok(ReaderStatus::Exhausted)
    }

    fn snapshot(&self) -> Vec<Number> {
        self.0.clone()
    }
}

#[test]
fn a_split_that_is_assigned_to_nobody_ends_the_job() {
    let error = failing("astray", |env| {
        env.source("numbers", Astray).sink("nowhere", discard());
        Ok(())
    });
    let message = error.to_string();
    assert!(message.starts_with("operator `numbers` (source at "), "{message}");
    let expected = ") failed: `assign` gave the split `number-2` to subtask 2, and the last of 2 is 1: \
                    nobody would read it (subtask ";
    assert!(message.contains(expected), "{message}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

/// Says that it has taken what it has not.
#[derive(Clone)]
struct Idle;

impl Sink for Idle {
    type Item = u64;
    type Writer = Self;

    fn writer(&self, _: SinkContext) -> Result<Self> {
        Ok(Self)
    }
}

impl SinkWriter for Idle {
    type Item = u64;

    fn write(&mut self, _: &mut Batch<u64>) -> Result<Readiness> {
        Ok(Readiness::Ready)
    }
}

#[test]
fn a_writer_that_is_ready_and_takes_nothing_ends_the_job() {
    let error = failing("idle", |env| {
        env.from_collection("numbers", vec![7]).sink("idle", Idle);
        Ok(())
    });
    let message = error.to_string();
    assert!(message.starts_with("operator `idle` (sink at "), "{message}");
    let expected = ") failed: the writer answered Ready and left 1 of 1 records: one that can't take \
                    more has to answer Pending or RetryAfter (subtask ";
    assert!(message.contains(expected), "{message}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
