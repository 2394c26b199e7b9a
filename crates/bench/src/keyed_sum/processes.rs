//! The same over several processes on loopback, a worker each.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use timely::{CommunicationConfig, Config, WorkerConfig};

use super::{build, job, without_checkpoints};
use crate::{arguments::Arguments, on_timely, report::print};

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    records: u64,
    keys: u64,
    processes: usize,
    seconds: f64,
    records_per_second: f64,
    timely_records_per_second: f64,
    ratio_to_timely: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let records = arguments.get("records", 200_000_000_u64)?;
    let keys = arguments.get("keys", 1_000_000_u64)?;
    let processes = arguments.get("processes", 2_usize)?;
    let seconds = parts("tidegate", records, keys, processes)?;
    let timely_seconds = parts("timely", records, keys, processes)?;
    print(&Report {
        scenario: "keyed-sum",
        records,
        keys,
        processes,
        seconds,
        records_per_second: records as f64 / seconds,
        timely_records_per_second: records as f64 / timely_seconds,
        ratio_to_timely: timely_seconds / seconds,
    })
}

/// Runs all parts of one side; returns the seconds that the first of them took.
fn parts(side: &str, records: u64, keys: u64, processes: usize) -> Result<f64> {
    let addresses = free_addresses(processes + 1)?;
    let (coordinator, addresses) = addresses.split_last().context("one more than processes")?;
    let part = |process: usize| {
        Command::new(std::env::current_exe()?)
            .args(["keyed-sum-part", "--side", side, "--coordinator", coordinator])
            .args(["--addresses", &addresses.join(",")])
            .args(["--process", &process.to_string()])
            .args(["--records", &records.to_string(), "--keys", &keys.to_string()])
            .stdout(Stdio::piped())
            .spawn()
    };
    let parts = (0..processes).map(part).collect::<std::io::Result<Vec<Child>>>()?;
    let mut seconds = None;
    for part in parts {
        let output = part.wait_with_output()?;
        if !output.status.success() {
            bail!("a process of {side} has failed: {}", output.status);
        }
        let text = String::from_utf8(output.stdout)?;
        // Timely writes to standard output, too, while it connects.
        let figure = text.lines().last().and_then(|line| line.parse::<f64>().ok());
        seconds = seconds.or(figure);
    }
    seconds.context("the first process tells how long it took")
}

pub(crate) fn free_addresses(count: usize) -> Result<Vec<String>> {
    let listen = |_| TcpListener::bind("127.0.0.1:0");
    let listeners = (0..count).map(listen).collect::<std::io::Result<Vec<_>>>()?;
    let address = |listener: TcpListener| Ok(listener.local_addr()?.to_string());
    listeners.into_iter().map(address).collect()
}

/// One process: prints how many seconds it took.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn run_part(arguments: &Arguments) -> Result<()> {
    let records = arguments.get("records", 200_000_000_u64)?;
    let keys = arguments.get("keys", 1_000_000_u64)?;
    let process = arguments.get("process", 0_usize)?;
    let text = |name: &str| arguments.text(name).context("a part is told by its parent");
    let addresses = text("addresses")?;
    let count = addresses.split(',').count();
    let seconds = if text("side")? == "timely" {
        let communication = CommunicationConfig::Cluster {
            threads: 1,
            process,
            addresses: addresses.split(',').map(str::to_owned).collect(),
            report: false,
            zerocopy: false,
        };
        on_timely::keyed_sum(
            records,
            keys,
            Config { communication, worker: WorkerConfig::default() },
        )?
    } else {
        let seat = [
            format!("--process-index={process}"),
            format!("--addresses={addresses}"),
            format!("--coordinator={}", text("coordinator")?),
        ];
        let start = Instant::now();
        without_checkpoints(job(count)).try_run(seat, move |env| build(env, records, keys))?;
        start.elapsed().as_secs_f64()
    };
    println!("{seconds}");
    Ok(())
}
