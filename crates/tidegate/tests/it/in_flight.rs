//! What is in flight, at a parallelism far above the number of cores: nothing that waits holds anybody
//! up (INV-LIVE), and what flows costs no messages about progress.

use tidegate::{Result, Timestamp, discard::discard, generator::Generator, prelude::*};
use tidegate_testing::wait_for;

/// Sets a timer per key, ten minutes ahead: none of them ever fires.
struct Waiting;

impl KeyedProcess<u64, u64> for Waiting {
    type Out = u64;

    fn on_record(&mut self, record: u64, context: &mut ProcessContext<'_, u64, u64>) -> Result<()> {
        let ahead = context.processing_time().millis() + 600_000;
        context.set_processing_timer(Timestamp(ahead - ahead % 600_000 + 600_000));
        context.emit(record);
        Ok(())
    }
}

fn parallelism(parallelism: usize) -> [String; 2] {
    let final_checkpoint = "execution.checkpointing.checkpoints-after-tasks-finish";
    [format!("--parallelism={parallelism}"), format!("-D{final_checkpoint}=false")]
}

#[test]
fn inv_live_timers_that_wait_hold_nobody_up() {
    for workers in [2, 8, 64] {
        let name = format!("waiting-{workers}");
        let job = Job::new(&name).start(parallelism(workers), |env| {
            env.source("numbers", Generator::new(Some(200_000), |index| index))
                .key_by(|number: &u64| number % 10_000)
                .process("first", |_| Ok(Waiting))
                .key_by(|number: &u64| number % 999)
                .process("second", |_| Ok(Waiting))
                .sink("nowhere", discard());
            Ok(())
        });
        let job = job.expect("it starts");
        // A job that stands still for ever must not do so in here.
        wait_for("the job to end", || job.stats().status.is_terminal().then_some(()));
        let result = job.wait_blocking().expect("it ends well");
        assert_eq!(result.stats.records, 200_000);
    }
}

#[test]
fn what_flows_costs_no_messages_about_progress() {
    let job = Job::new("no-progress").start(parallelism(4), |env| {
        let numbers = Generator::new(None, |index| index).rate(20_000);
        let summed = env
            .source("numbers", numbers)
            .assign_timestamps(WatermarkStrategy::monotonous(), |number: &u64| {
                Ok(EventTime(number.cast_signed()))
            })
            .key_by(|number: &u64| number % 100)
            .reduce("sum", |sum, number| {
                *sum += number;
                Ok(())
            });
        summed.broadcast().rebalance().sink("nowhere", discard());
        Ok(())
    });
    let job = job.expect("it starts");
    wait_for("the first record", || job.stats().first_record);
    let before = job.stats();
    wait_for("more records", || (job.stats().records > before.records + 20_000).then_some(()));
    let after = job.stats();
    assert_eq!(after.progress_messages, 0);
    job.cancel();
    job.wait_blocking().expect("it ends");
}
