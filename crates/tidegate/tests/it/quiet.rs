//! INV-QUIET: when a job has ended nothing of it touches its sinks' targets any more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tidegate::{
    JobStatus, Result,
    collect::{Collector, ExactlyOnceCollectSink, ExactlyOnceCollectWriter, Uncommitted},
    connector::{CommitOutcome, SinkContext, TwoPhaseSink},
};
use tidegate_testing::wait_for;
use tokio::sync::Notify;

use crate::support::counting::{RECORDS, SLOW, job, numbers};

/// A sink that is about to delete leftovers when its job is cancelled, and takes its time.
#[derive(Clone)]
struct Tidying {
    sink: ExactlyOnceCollectSink<u64>,
    begun: Arc<AtomicBool>,
    cancelled: Arc<Notify>,
    over: Arc<AtomicBool>,
}

impl TwoPhaseSink for Tidying {
    type Item = u64;
    type Committable = Uncommitted<u64>;
    type Writer = ExactlyOnceCollectWriter<u64>;

    fn writer(&self, context: SinkContext) -> Result<ExactlyOnceCollectWriter<u64>> {
        self.sink.writer(context)
    }

    fn commit(
        &self,
        committables: Vec<Uncommitted<u64>>,
    ) -> BoxFuture<'static, Result<Vec<CommitOutcome>>> {
        self.sink.commit(committables)
    }

    fn recover(&self, _: SinkContext) -> BoxFuture<'static, Result<()>> {
        let Self { begun, cancelled, over, .. } = self.clone();
        async move {
            begun.store(true, Ordering::SeqCst);
            cancelled.notified().await;
            // So that a job which does not wait for it ends first.
            tokio::time::sleep(Duration::from_millis(300)).await;
            over.store(true, Ordering::SeqCst);
            Ok(())
        }
        .boxed()
    }
}

#[test]
fn inv_quiet_a_cancelled_job_waits_for_what_its_sink_is_deleting() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let sink = Tidying {
        sink: results.exactly_once_sink(),
        begun: Arc::default(),
        cancelled: Arc::default(),
        over: Arc::default(),
    };
    let tidying = sink.clone();
    let started = job(folder.path()).start(["--parallelism=1"], move |env| {
        numbers(env, Some(SLOW)).sink("tidying", tidying.clone());
        Ok(())
    });
    let running = started.expect("the job starts");
    wait_for("the sink", || sink.begun.load(Ordering::SeqCst).then_some(()));
    running.cancel();
    sink.cancelled.notify_one();
    let ended = running.wait_blocking().expect("it does not fail");
    assert_eq!(ended.status, JobStatus::Canceled);
    assert!(sink.over.load(Ordering::SeqCst), "the sink is deleting what is there now");
    assert!((results.len() as u64) < RECORDS);
}
