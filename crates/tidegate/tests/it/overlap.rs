//! Several checkpoints under way at once, as many as are allowed and no more.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use futures::{FutureExt, future::BoxFuture};
use tidegate::{
    CheckpointId, Result,
    collect::{Collector, ExactlyOnceCollectSink, ExactlyOnceCollectWriter, Uncommitted},
    connector::{
        Batch, CommitOutcome, Readiness, SinkContext, SinkWriter, TwoPhaseSink, TwoPhaseWriter,
    },
    prelude::*,
};
use tokio::sync::watch;

use tidegate_testing::wait_for;

use crate::support::counting::{Counted, KEYS, SLOW, assert_counted_once, finish, job, numbers};

const ALLOWED: usize = 3;

/// What keeps checkpoints from completing until it is opened.
#[derive(Clone)]
struct Gate {
    open: Arc<watch::Sender<bool>>,
    waiting: Arc<Mutex<BTreeSet<u64>>>,
}

impl Gate {
    fn shut() -> Self {
        Self { open: Arc::new(watch::Sender::new(false)), waiting: Arc::default() }
    }

    /// The checkpoints that have come to the gate.
    fn waiting(&self) -> usize {
        self.waiting.lock().expect("nobody panics with it").len()
    }
}

/// A sink that takes its time to prepare.
struct Slow {
    sink: ExactlyOnceCollectSink<Counted>,
    gate: Gate,
}

struct SlowWriter {
    writer: ExactlyOnceCollectWriter<Counted>,
    gate: Gate,
}

impl TwoPhaseSink for Slow {
    type Item = Counted;
    type Committable = Uncommitted<Counted>;
    type Writer = SlowWriter;

    fn writer(&self, context: SinkContext) -> Result<SlowWriter> {
        Ok(SlowWriter { writer: self.sink.writer(context)?, gate: self.gate.clone() })
    }

    fn commit(
        &self,
        committables: Vec<Uncommitted<Counted>>,
    ) -> BoxFuture<'static, Result<Vec<CommitOutcome>>> {
        self.sink.commit(committables)
    }

    fn recover(&self, context: SinkContext) -> BoxFuture<'static, Result<()>> {
        self.sink.recover(context)
    }
}

impl SinkWriter for SlowWriter {
    type Item = Counted;

    fn write(&mut self, batch: &mut Batch<Counted>) -> Result<Readiness> {
        self.writer.write(batch)
    }
}

impl TwoPhaseWriter for SlowWriter {
    type Committable = Uncommitted<Counted>;

    fn prepare(
        &mut self,
        checkpoint: CheckpointId,
    ) -> BoxFuture<'static, Result<Vec<Uncommitted<Counted>>>> {
        let prepared = self.writer.prepare(checkpoint);
        let (gate, mut open) = (self.gate.clone(), self.gate.open.subscribe());
        gate.waiting.lock().expect("nobody panics with it").insert(checkpoint.0);
        async move {
            open.wait_for(|open| *open).await?;
            prepared.await
        }
        .boxed()
    }
}

#[test]
fn as_many_checkpoints_are_under_way_as_are_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (results, gate) = (Collector::default(), Gate::shut());
    let (sink, shut) = (results.clone(), gate.clone());
    let concurrent = format!("-Dexecution.checkpointing.max-concurrent-checkpoints={ALLOWED}");
    let options = ["-Dexecution.checkpointing.interval=20 ms", &concurrent];
    let running = job(folder.path()).start(options, move |env| {
        numbers(env, Some(SLOW))
            .key_by(|number: &u64| number % KEYS)
            .aggregate("count", Count)
            .sink("counts", Slow { sink: sink.exactly_once_sink(), gate: shut.clone() });
        Ok(())
    });
    let running = running.expect("it starts");
    wait_for("checkpoints under way", || (gate.waiting() == ALLOWED).then_some(()));
    // Records still flow, and no further checkpoint is triggered meanwhile.
    let before = running.stats().records;
    wait_for("more records", || (running.stats().records > before + SLOW / 10).then_some(()));
    assert_eq!(gate.waiting(), ALLOWED);
    assert_eq!(running.stats().completed_count, 0);
    gate.open.send_replace(true);
    finish(&running);
    assert_counted_once(&results);
}
