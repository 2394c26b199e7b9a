//! A TaskManager as a program of one's own. Arguments: the JobManager's address, how many slots it
//! has, and its folder.

#![expect(clippy::disallowed_methods, reason = "a program of its own")]

use std::{process::ExitCode, time::Duration};

use tidegate_cluster::taskmanager::{TaskManagerOptions, run_taskmanager};
use tidegate_protocol::Endpoint;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(jobmanager), Some(slots), Some(folder)) =
        (arguments.next(), arguments.next().and_then(|slots| slots.parse().ok()), arguments.next())
    else {
        eprintln!("error: give the JobManager's address, a number of slots, and a folder");
        return ExitCode::FAILURE;
    };
    let options = TaskManagerOptions {
        id: format!("{:032x}", rand::random::<u128>()),
        jobmanager: Endpoint::new(jobmanager, None),
        host: "127.0.0.1".to_owned(),
        slots,
        folder: folder.into(),
        logs: 100,
        log_bytes: 100 << 20,
        leave_within: Duration::from_secs(10),
    };
    match run_taskmanager(options, CancellationToken::new()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
