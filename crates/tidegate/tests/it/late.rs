//! Whether a record is late does not hang on whether there was a restore before it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tidegate::prelude::*;

use crate::{
    event_time::{Said, Tell, at, start, start_job},
    support::fed::Fed,
};

/// Takes in two records, and goes on when the watermark has come as far as the first of them.
fn come_to_1000(source: &Fed, said: &mut Said) {
    source.feed([1_000, 2_000]);
    said.wait_for("timer 1000");
}

#[test]
fn what_is_late_stays_late_behind_a_savepoint_at_any_parallelism() {
    for (before, after) in [(1, 1), (2, 2), (1, 2), (2, 1)] {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, mut said) = (Fed::default(), Said::default());
        let job = start(at(before), std::slice::from_ref(&source), &said.results, || Tell);
        come_to_1000(&source, &mut said);
        let target = folder.path().display().to_string();
        let savepoint = job.stop_with_savepoint_blocking(Some(target), false).expect("it stops");
        job.wait_blocking().expect("it finishes");

        let from = at(after).default_option("execution.state-recovery.path", savepoint);
        let (source, mut said) = (Fed::default(), Said::default());
        let job = start(from, std::slice::from_ref(&source), &said.results, || Tell);
        source.feed([900]);
        said.wait_for("record 900, late");
        source.feed([1_999, 2_000]);
        source.end();
        job.wait_blocking().expect("it finishes");
        let kept = said.all().iter().any(|line| line == "record 2000");
        assert!(kept, "the watermark was at 1999: {:?}", said.all());
    }
}

/// As [`Tell`], but that it fails once, at its first record of time 0.
struct FailsOnce(Arc<AtomicBool>);

impl KeyedProcess<u8, i64> for FailsOnce {
    type Out = String;

    fn on_record(
        &mut self,
        time: i64,
        context: &mut ProcessContext<'_, u8, String>,
    ) -> tidegate::Result<()> {
        if time == 0 && !self.0.swap(true, Ordering::Relaxed) {
            return Err("it was told to fail once".into());
        }
        Tell.on_record(time, context)
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut ProcessContext<'_, u8, String>,
    ) -> tidegate::Result<()> {
        Tell.on_timer(timer, context)
    }
}

#[test]
fn what_is_late_stays_late_behind_a_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, mut said) = (Fed::default(), Said::default());
    let results = said.results.clone();
    let job = at(2)
        .default_option("execution.checkpointing.dir", folder.path().display())
        .default_option("restart-strategy.type", "fixed-delay")
        .default_option("restart-strategy.fixed-delay.delay", "1 ms");
    let failed = Arc::<AtomicBool>::default();
    let make = {
        let failed = Arc::clone(&failed);
        move || FailsOnce(Arc::clone(&failed))
    };
    let job = start_job(job, std::slice::from_ref(&source), make, move || results.sink());
    come_to_1000(&source, &mut said);
    job.checkpoint_blocking().expect("it is taken");
    source.feed([0]);
    tidegate_testing::wait_for("the failure", || failed.load(Ordering::Relaxed).then_some(()));
    source.feed([900]);
    said.wait_for("record 900, late");
    job.cancel();
    job.wait_blocking().expect("it is canceled");
}
