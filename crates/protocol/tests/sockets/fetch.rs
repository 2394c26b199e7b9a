//! A TaskManager fetches the binary of a job.

use std::{
    collections::HashMap,
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use tidegate_protocol::{Endpoint, LinkError, resources::fetch};
use tidegate_types::ErrorKind;
use tokio::io::AsyncWrite;

use crate::support::{jobmanager, soon};

/// A JobManager with one artifact, called `hash`.
async fn with_artifact(hash: &str, path: &Path) -> Endpoint {
    jobmanager(None, HashMap::from([(hash.to_owned(), path.to_owned())])).await.0
}

fn hash() -> String {
    "0123456789abcdef".repeat(4)
}

#[tokio::test]
async fn an_artifact_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("binary");
    // The last chunk is not a full one, and the lengths around a chunk's have no other.
    for length in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (5 << 20) + 12_345] {
        let content = (0..length).map(|byte: u32| (byte / 7) as u8).collect::<Vec<_>>();
        std::fs::write(&path, &content).unwrap();
        let endpoint = with_artifact(&hash(), &path).await;
        let mut fetched = Vec::new();
        soon(fetch(&endpoint, &hash(), &mut fetched)).await.unwrap();
        assert!(fetched == content, "{} bytes of {length} came", fetched.len());
    }
}

#[tokio::test]
async fn an_unknown_artifact_is_told_by_its_hash() {
    let endpoint = with_artifact(&hash(), Path::new("/nowhere")).await;
    let unknown = "f".repeat(64);
    let error = soon(fetch(&endpoint, &unknown, &mut Vec::new())).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} has no artifact `{unknown}`", endpoint.url));
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn what_is_no_hash_is_not_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "secret").unwrap();
    for hash in ["../../etc/passwd", "", &"F".repeat(64), &"0".repeat(63)] {
        let endpoint = with_artifact(hash, &path).await;
        let mut fetched = Vec::new();
        let error = soon(fetch(&endpoint, hash, &mut fetched)).await.unwrap_err();
        assert!(matches!(error, LinkError::Misunderstood { .. }), "{error}");
        assert!(fetched.is_empty());
    }
}

#[tokio::test]
async fn an_artifact_whose_file_is_gone_is_an_error() {
    let endpoint = with_artifact(&hash(), Path::new("/nowhere")).await;
    let error = soon(fetch(&endpoint, &hash(), &mut Vec::new())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("can't be opened"), "{error}");
}

/// A disk without space.
struct Full;

impl AsyncWrite for Full {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::StorageFull.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_of_this_side() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("binary");
    std::fs::write(&path, vec![1; 3 << 20]).unwrap();
    let endpoint = with_artifact(&hash(), &path).await;
    let error = soon(fetch(&endpoint, &hash(), &mut Full)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("artifact `{}` can't be written", hash()));
}
