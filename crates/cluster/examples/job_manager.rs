//! A JobManager as a program of one's own, whose jobs outlive it. Arguments: its folder, where what
//! outlives it is kept, a file into which it writes where its REST API is, and if TaskManagers are
//! to find it again the port for them.

#![expect(clippy::disallowed_methods, reason = "a program of its own")]

use std::{error::Error, fs, process::ExitCode, time::Duration};

use tidegate_cluster::{
    jobmanager::{JobManager, JobManagerOptions},
    leader::{LeaderOptions, Leadership},
    resources::HeartbeatOptions,
    rest::{self, RestOptions},
};
use tidegate_types::options::OptionValues;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let [folder, storage, address, port @ ..] = arguments.as_slice() else {
        eprintln!("error: give a folder, one for what outlives it, and a file for its address");
        return ExitCode::FAILURE;
    };
    let port = port.first().map_or("0", String::as_str);
    match run(folder, storage, address, port).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(folder: &str, storage: &str, address: &str, port: &str) -> Result<(), Box<dyn Error>> {
    let leader = LeaderOptions {
        name: format!("process {}", std::process::id()),
        retry_period: Duration::from_secs(5),
        lease_duration: Duration::from_secs(15),
        take_over: false,
    };
    let manager = JobManager::new(JobManagerOptions {
        folder: folder.into(),
        configuration: OptionValues::default(),
        secret: None,
        heartbeat: HeartbeatOptions {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(50),
        },
        leadership: Some(Leadership::gain(storage, "/default", &leader).await?),
    })?;
    let bind = TcpListener::bind::<&str>;
    let (listener, api) = (bind(&format!("127.0.0.1:{port}")).await?, bind("127.0.0.1:0").await?);
    let staged = format!("{address}.new");
    fs::write(&staged, format!("http://{}", api.local_addr()?))?;
    fs::rename(staged, address)?;
    let (options, shutdown) = (
        RestOptions {
            token: None,
            names: Vec::new(),
            first_code: None,
            max_content_length: u64::MAX,
            async_store_duration: Duration::from_secs(300),
        },
        CancellationToken::new(),
    );
    let served = rest::serve(api, manager.dispatcher().clone(), options, shutdown.clone());
    tokio::select! {
        served = served => Ok(served?),
        served = manager.serve(listener, shutdown) => Ok(served?),
    }
}
