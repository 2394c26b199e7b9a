//! Several checkpoints under way at once, as many as are allowed and no more.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use futures::{FutureExt, future::BoxFuture};
use tidegate::{CheckpointId, Result, collect::Collector, prelude::*};
use tokio::sync::watch;

use tidegate_testing::wait_for;

use crate::support::{
    counting::{KEYS, SLOW, assert_counted_once, finish, job, numbers},
    wrapped::{Before, Wrapped},
};

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

/// Preparing takes its time.
impl Before for Gate {
    fn prepared(&self, checkpoint: CheckpointId) -> BoxFuture<'static, Result<()>> {
        let mut open = self.open.subscribe();
        self.waiting.lock().expect("nobody panics with it").insert(checkpoint.0);
        async move {
            open.wait_for(|open| *open).await?;
            Ok(())
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
            .sink("counts", Wrapped::around(&sink, &shut));
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
