//! Benchmarks of Tidegate: `tidegate-bench SCENARIO [--name value …]` prints one line of JSON.
//!
//! | scenario | what it measures |
//! |---|---|
//! | `keyed-sum` | records per second through generator, exchange, sum per key and a discarding sink, and the same written directly on Timely, in one run |
//! | `recovery` | from the start of a process to the first record after a restore, at the same and at twice the parallelism |
//! | `backpressure` | checkpoints and memory while all keys go to one slow sink |
//! | `savepoint` | savepoints of both forms: seconds, bytes, restore, the rate of the job meanwhile, its memory |
//! | `timers` | many timers on one key against one each on many, and a checkpoint of them |
//! | `wide` | six keyed stages at a parallelism far above the number of cores: checkpoints, and what silence costs |
//! | `restore` | what each of several processes reads of a snapshot, and what that takes of memory |
//! | `failover` | from the SIGKILL of a job's process to the first record that is processed again |
//!
//! Figures that were taken, with the machine and the date, lie in `bench/`.

mod arguments;
mod backpressure;
mod failover;
mod keyed_sum;
mod on_timely;
mod recovery;
mod report;
mod restore;
mod savepoint;
mod timers;
mod wide;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::arguments::Arguments;

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let scenario = arguments.next().unwrap_or_default();
    let arguments = Arguments::parse(arguments)?;
    let done = match scenario.as_str() {
        "keyed-sum" => keyed_sum::run(&arguments),
        "keyed-sum-part" => keyed_sum::processes::run_part(&arguments),
        "recovery" => recovery::run(&arguments),
        "recovery-child" => recovery::run_child(&arguments),
        "backpressure" => backpressure::run(&arguments),
        "savepoint" => savepoint::run(&arguments),
        "savepoint-take" => savepoint::take(&arguments),
        "savepoint-restore" => savepoint::restore(&arguments),
        "timers" => timers::run(&arguments),
        "wide" => wide::run(&arguments),
        "restore" => restore::run(&arguments),
        "restore-fill" => restore::run_fill(&arguments),
        "restore-child" => restore::run_child(&arguments),
        "failover" => failover::run(&arguments),
        "failover-job" => return failover::run_job(&arguments),
        _ => bail!(
            "expected a scenario: keyed-sum, recovery, backpressure, savepoint, timers, wide, restore or \
             failover"
        ),
    };
    done.map(|()| ExitCode::SUCCESS)
}
