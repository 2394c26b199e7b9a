//! Snapshots in S3, as a server on this machine understands it.
//!
//! Needs `moto_server` (`pip install 'moto[server]'`) on the path or where `TIDEGATE_MOTO_SERVER`
//! says, and runs only on request:
//! `TIDEGATE_S3_TEST=1 cargo test -p tidegate-snapshot --features s3 --test s3`.
//!
//! A store finds its credentials in the environment. The test that starts the server therefore runs
//! the other one in a process of its own, which has them there.

use std::{
    collections::BTreeMap,
    env,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tidegate_snapshot::{
    CommitError, SnapshotError,
    manifest::{FORMAT, FORMAT_VERSION, FileEntry, JobInfo, Manifest, SnapshotForm, SnapshotKind},
    store::{DeletionProof, SnapshotLocation, SnapshotStore, delete_snapshot, state_file},
};
use tidegate_storage::Places;
use tidegate_types::{AttemptId, CheckpointId, JobId, ProcessIndex, Timestamp};

const BUCKET: &str = "snapshots";
/// How long the server may take to start, or to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than one upload takes, so that it is made in parts.
const LARGE: usize = (64 << 20) + 1;

/// A server that ends with the test, however that ends.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let program = env::var("TIDEGATE_MOTO_SERVER").unwrap_or_else(|_| "moto_server".to_owned());
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = free.local_addr().expect("it is bound");
        drop(free);
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("`{program}` can't be run: {error}; pip install 'moto[server]'")
        });
        let mut server = Self { process, address };
        server.wait_until_it_listens();
        server
    }

    fn wait_until_it_listens(&mut self) {
        let begin = Instant::now();
        while TcpStream::connect_timeout(&self.address, PATIENCE).is_err() {
            let ended = self.process.try_wait().expect("it is ours");
            assert!(ended.is_none(), "the server has ended at once: {ended:?}");
            assert!(begin.elapsed() < PATIENCE, "the server does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes the bucket, for which a store has no operation.
    fn make_bucket(&self) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        let host = self.address;
        let request = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        assert!(answer.lines().next().is_some_and(|line| line.contains(" 200 ")), "{answer}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn snapshots_live_in_s3() {
    if env::var("TIDEGATE_S3_TEST").as_deref() != Ok("1") {
        return;
    }
    let server = Server::start();
    server.make_bucket();
    let status = Command::new(env::current_exe().expect("known"))
        .args(["--exact", "against_the_server", "--ignored", "--nocapture"])
        .env_remove("AWS_ENDPOINT_URL_S3")
        .env_remove("AWS_SESSION_TOKEN")
        .env("AWS_ENDPOINT", format!("http://{}", server.address))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .status()
        .expect("it runs");
    assert!(status.success(), "see above");
}

fn job() -> JobId {
    JobId::from_name("s3-test")
}

fn manifest(files: BTreeMap<String, FileEntry>) -> Manifest {
    Manifest {
        format: FORMAT.to_owned(),
        version: FORMAT_VERSION,
        kind: SnapshotKind::Checkpoint,
        form: SnapshotForm::Native,
        job: JobInfo { id: job(), name: "s3-test".to_owned(), folder: None },
        checkpoint: CheckpointId(1),
        attempt: AttemptId(0),
        triggered_at: Timestamp(1),
        completed_at: Timestamp(2),
        operators: BTreeMap::new(),
        files,
    }
}

/// The test knows.
struct Known(String);

impl DeletionProof for Known {
    fn location(&self) -> &str {
        &self.0
    }

    fn checkpoint(&self) -> Option<CheckpointId> {
        None
    }
}

/// Writes a snapshot with one file of each way to upload.
async fn written(location: &SnapshotLocation) -> Manifest {
    let mut files = BTreeMap::new();
    let large = Bytes::from((0..LARGE).map(|at| (at % 251) as u8).collect::<Vec<_>>());
    for (name, bytes) in [("small", Bytes::from_static(b"some state")), ("large", large)] {
        let crc32c = crc32c::crc32c(&bytes);
        let half = bytes.len() / 2;
        let chunks = vec![bytes.slice(..half), bytes.slice(half..)];
        let entry = location.write_file(name, chunks, crc32c).await.expect("written");
        files.insert(name.to_owned(), entry);
    }
    let manifest = manifest(files);
    location.commit(&manifest).await.expect("committed");
    manifest
}

#[tokio::test]
#[ignore = "snapshots_live_in_s3 runs it"]
async fn against_the_server() {
    let store = SnapshotStore::open(&format!("s3://{BUCKET}/jobs/")).expect("opens");
    assert!(store.list(job(), true).await.expect("lists").is_empty());
    let location = store.checkpoint(job(), CheckpointId(1), true);
    let error = location.load().await.expect_err("not yet");
    assert!(matches!(error, SnapshotError::NoMetadata { .. }), "{error}");
    let manifest = written(&location).await;
    let error = location.commit(&manifest).await.expect_err("there is one");
    assert!(matches!(error, CommitError::Exists { .. }), "{error}");

    let half = store.checkpoint(job(), CheckpointId(2), true);
    let half_state = state_file(ProcessIndex(0), 1);
    half.write_file(&half_state, vec![Bytes::from_static(b"x")], 0).await.expect("written");
    let savepoint = store.savepoint(job(), 7);
    savepoint.commit(&self::manifest(BTreeMap::new())).await.expect("committed");
    let listed = store.list(job(), true).await.expect("lists");
    let seen = listed.iter().map(|found| (found.id.get(), found.complete)).collect::<Vec<_>>();
    assert_eq!(seen, [(1, true), (2, false)]);
    let savepoints = store.list_savepoints(job()).await.expect("lists");
    assert_eq!(
        savepoints.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [savepoint.to_string()]
    );

    for text in [location.to_string(), format!("{location}/_metadata")] {
        let found = SnapshotLocation::parse(&text).expect("found");
        assert_eq!(found.load().await.expect("loads"), manifest, "{text}");
        found.read_all(&manifest).await.expect("reads");
    }
    let places = Places::new([store.place().clone()]);
    for found in listed.iter().chain(&listed) {
        delete_snapshot(&places, &Known(found.location.to_string())).await.expect("deleted");
        let leftovers = found.location.leftovers().await.expect("lists");
        found.location.remove(leftovers).await.expect("removed");
    }
    assert!(store.list(job(), true).await.expect("lists").is_empty());
    assert!(savepoint.exists().await.expect("answers"), "it was not asked to go");
}
