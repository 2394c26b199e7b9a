//! The connection between the coordinator in the first process and the other processes of a job.
//!
//! # Protocol
//!
//! A follower connects and says who it is ([`Hello`]). When all have come, the leader sends each
//! the attempt's [`Start`]; from then on commands go one way and reports the other. Frames carry
//! their length and the native codec. The records themselves go over Timely's own connections.
//!
//! # Failure
//!
//! The loss of a connection ends the attempt on both sides. Processes are the unit of isolation:
//! each ends, and whoever started them starts them again from the latest snapshot.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate_checkpoint::protocol::{Command, Failure, Report};
use tidegate_snapshot::codec;
use tidegate_types::{AttemptId, Clock, ErrorKind, MaxParallelism, ProcessIndex, error::chain};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::{
    api::{ClusterSpec, JobError, JobResult, JobSpec, JobStatus, SharedStats},
    embedded::{LocalProcess, LocalProgram, local_process},
    prepare::{check_plan, open_stores},
};

/// For how long processes wait for each other at the start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a frame may be: acknowledgements carry inline state.
const LONGEST_FRAME: usize = 256 << 20;

/// Who a follower is.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    process: ProcessIndex,
    /// The fingerprint of its plan, which must be the leader's.
    fingerprint: String,
}

/// What an attempt begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) attempt: AttemptId,
    pub(crate) attempt_token: u64,
    pub(crate) max_parallelism: MaxParallelism,
    /// The snapshot to restore from, as a path or URL that every process can read.
    pub(crate) restored_from: Option<String>,
}

/// From the leader to a follower.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    Start(Start),
    Refused(String),
    Command(Command),
}

type Connection = Framed<TcpStream, LengthDelimitedCodec>;

fn framed(stream: TcpStream) -> Connection {
    // Commands are small and urgent. If the system refuses, they are only slower.
    let _ = stream.set_nodelay(true);
    LengthDelimitedCodec::builder().max_frame_length(LONGEST_FRAME).new_framed(stream)
}

async fn send<T: Serialize>(connection: &mut Connection, word: &T) -> Result<(), String> {
    let mut bytes = Vec::new();
    codec::encode(word, &mut bytes).map_err(|error| chain(&error))?;
    connection.send(Bytes::from(bytes)).await.map_err(|error| chain(&error))
}

/// The next word, `None` when the other side is gone.
async fn receive<T: DeserializeOwned>(connection: &mut Connection) -> Option<Result<T, String>> {
    let frame = connection.next().await?;
    Some(match frame {
        Ok(bytes) => codec::decode_exact(&bytes).map_err(|error| chain(&error)),
        Err(error) => Err(chain(&error)),
    })
}

fn unavailable(message: String) -> JobError {
    JobError::new(ErrorKind::Unavailable, message)
}

/// Waits for all followers, sends them off, and relays between them and the coordinator.
///
/// # Errors
///
/// When they do not come, or have another plan.
pub(crate) async fn lead(
    cluster: &ClusterSpec,
    fingerprint: &str,
    start: Start,
    reports: mpsc::UnboundedSender<Report>,
) -> Result<Vec<mpsc::UnboundedSender<Command>>, JobError> {
    let address = &cluster.coordinator;
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| {
        unavailable(format!("the coordinator can't listen on {address}: {error}"))
    })?;
    let expected = cluster.addresses.len() - 1;
    let gather = gather(&listener, expected, fingerprint);
    let connections = tokio::time::timeout(PATIENCE, gather).await.map_err(|_| {
        unavailable(format!("not all {expected} other processes have come within {PATIENCE:?}"))
    })??;
    let mut commands = Vec::new();
    for (process, mut connection) in connections {
        send(&mut connection, &Word::Start(start.clone())).await.map_err(unavailable)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        commands.push(sender);
        tokio::spawn(relay(process, connection, receiver, reports.clone()));
    }
    Ok(commands)
}

async fn gather(
    listener: &TcpListener,
    expected: usize,
    fingerprint: &str,
) -> Result<Vec<(ProcessIndex, Connection)>, JobError> {
    let mut connections: Vec<(ProcessIndex, Connection)> = Vec::new();
    while connections.len() < expected {
        let (stream, _) =
            listener.accept().await.map_err(|error| unavailable(error.to_string()))?;
        let mut connection = framed(stream);
        let Some(Ok(hello)) = receive::<Hello>(&mut connection).await else { continue };
        if hello.fingerprint != fingerprint {
            let process = hello.process;
            let message = format!(
                "process {process} has built another plan than process 0: every process must run \
                 the same program with the same arguments"
            );
            // It ends either way; it may be gone already.
            let _ = send(&mut connection, &Word::Refused(message.clone())).await;
            return Err(JobError::new(ErrorKind::Invalid, message));
        }
        connections.push((hello.process, connection));
    }
    connections.sort_by_key(|(process, _)| *process);
    Ok(connections)
}

/// Passes commands and reports on until either side is gone.
async fn relay(
    process: ProcessIndex,
    mut connection: Connection,
    mut commands: mpsc::UnboundedReceiver<Command>,
    reports: mpsc::UnboundedSender<Report>,
) {
    let problem = loop {
        tokio::select! {
            command = commands.recv() => {
                let over = command.is_none();
                let word = Word::Command(command.unwrap_or(Command::Cancel));
                match send(&mut connection, &word).await {
                    Ok(()) if over => return,
                    Ok(()) => {}
                    Err(problem) => break problem,
                }
            }
            report = receive::<Report>(&mut connection) => match report {
                Some(Ok(report)) => {
                    let closed = matches!(report, Report::Closed { .. });
                    if reports.send(report).is_err() || closed {
                        return;
                    }
                }
                Some(Err(problem)) => break problem,
                None => break "the connection was closed".to_owned(),
            },
        }
    };
    let message = format!("process {process} is lost: {problem}");
    let failure = Failure { kind: ErrorKind::Unavailable, message, uid: None, subtask: None };
    // Nobody listens when the attempt is over already.
    let _ = reports.send(Report::Failed { process, failure });
}

async fn connect(cluster: &ClusterSpec) -> Result<Connection, JobError> {
    let address = &cluster.coordinator;
    let attempts = async {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return framed(stream),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, attempts).await.map_err(|_| {
        unavailable(format!("no coordinator has answered at {address} within {PATIENCE:?}"))
    })
}

/// Runs a process other than the first one: it does what the coordinator says.
///
/// # Errors
///
/// When the attempt fails; the first process tells why.
pub(crate) async fn follow(
    spec: JobSpec,
    clock: Arc<dyn Clock>,
    tokio: tokio::runtime::Handle,
    stats: SharedStats,
) -> Result<JobResult, JobError> {
    let plan = check_plan(&spec)?;
    let stores = open_stores(&spec.settings)?;
    let cluster = spec.cluster.clone().expect("followers are part of a cluster");
    let process = ProcessIndex(cluster.process);
    let mut connection = connect(&cluster).await?;
    let hello = Hello { process, fingerprint: plan.fingerprint.clone() };
    let program = LocalProgram { spec, plan, stores, clock, tokio };
    send(&mut connection, &hello).await.map_err(unavailable)?;
    let start = match receive::<Word>(&mut connection).await {
        Some(Ok(Word::Start(start))) => start,
        Some(Ok(Word::Refused(message))) => return Err(JobError::new(ErrorKind::Invalid, message)),
        _ => return Err(unavailable("the coordinator is gone".to_owned())),
    };
    let restored = program.load(start.restored_from.as_deref()).await?;
    let (reports, mut report_receiver) = mpsc::unbounded_channel();
    let (commands, process_commands) = mpsc::unbounded_channel();
    let Start { attempt, attempt_token, max_parallelism, .. } = start;
    let network = Some(cluster.network(attempt_token)?);
    let local =
        LocalProcess { process, attempt, attempt_token, max_parallelism, restored, network };
    let (running, _) = local_process(&program, local, reports);
    let mut running = tokio::spawn(running.run(process_commands));
    stats.set_status(JobStatus::Running, program.clock.now());
    let mut failure = None;
    let lost = |problem: &str| format!("the coordinator, process 0, is lost: {problem}");
    let finished = loop {
        tokio::select! {
            biased;
            Some(report) = report_receiver.recv() => {
                let closed = matches!(report, Report::Closed { .. });
                if let Report::Failed { failure: reported, .. } = &report {
                    failure.get_or_insert(reported.message.clone());
                }
                if send(&mut connection, &report).await.is_err() {
                    break false;
                }
                if closed {
                    break true;
                }
            }
            word = receive::<Word>(&mut connection) => match word {
                Some(Ok(Word::Command(Command::Cancel))) => break false,
                Some(Err(problem)) => {
                    failure.get_or_insert(lost(&problem));
                    break false;
                }
                None => {
                    failure.get_or_insert(lost("the connection was closed"));
                    break false;
                }
                Some(Ok(Word::Command(command))) => {
                    // The process ends by itself only after it has said so.
                    let _ = commands.send(command);
                }
                Some(Ok(_)) => {}
            },
        }
    };
    drop(commands);
    if finished {
        // It has closed, so this does not wait.
        let _ = (&mut running).await;
        let status = JobStatus::Finished;
        return Ok(JobResult { status, savepoint: None, stats: stats.get() });
    }
    // Timely's threads wait for peers that may be gone: the process ends, and they with it.
    running.abort();
    let message = failure.unwrap_or_else(|| "the coordinator has ended the attempt".to_owned());
    Err(unavailable(message))
}
