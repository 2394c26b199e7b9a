//! The logs of this TaskManager's processes, for whoever asks the JobManager.

use std::{
    io,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use tidegate_protocol::resources::{LogFile, LogPart};
use tidegate_types::Timestamp;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// The longest part that is sent at once, in bytes.
const LONGEST_PART: u64 = 1 << 20;

/// Which logs there are.
pub(super) async fn list(folder: &Path) -> Vec<LogFile> {
    // Without a folder no process has run here yet.
    let mut logs = files(folder).await.unwrap_or_default();
    logs.sort_by(|a, b| a.name.cmp(&b.name));
    logs
}

#[expect(clippy::disallowed_methods, reason = "logs of programs of this machine")]
async fn files(folder: &Path) -> io::Result<Vec<LogFile>> {
    let mut logs = Vec::new();
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        let metadata = entry.metadata().await?;
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        logs.push(LogFile {
            name: entry.file_name().to_string_lossy().into_owned(),
            bytes: metadata.len(),
            modified: Timestamp(modified.as_millis() as u64),
        });
    }
    Ok(logs)
}

/// A part of a log, or why there is none.
pub(super) async fn read(
    folder: &Path,
    name: &str,
    offset: u64,
    length: u64,
) -> Result<LogPart, String> {
    part(folder, name, offset, length).await.map_err(|error| format!("`{name}`: {error}"))
}

#[expect(clippy::disallowed_methods, reason = "logs of programs of this machine")]
async fn part(folder: &Path, name: &str, offset: u64, length: u64) -> io::Result<LogPart> {
    // Nothing outside of the folder is a log.
    let is_plain = !name.contains(['/', '\\']) && name != ".." && name != ".";
    if !is_plain {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such log"));
    }
    let mut file = tokio::fs::File::open(folder.join(name)).await?;
    let total = file.metadata().await?.len();
    file.seek(io::SeekFrom::Start(offset.min(total))).await?;
    let mut bytes = Vec::new();
    file.take(length.min(LONGEST_PART)).read_to_end(&mut bytes).await?;
    Ok(LogPart { total, bytes: bytes.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn logs_are_listed_and_read_in_parts() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("b.log"), "0123456789").expect("written");
        std::fs::write(folder.path().join("a.log"), "").expect("written");
        let logs = list(folder.path()).await;
        let found = logs.iter().map(|log| (log.name.as_str(), log.bytes)).collect::<Vec<_>>();
        assert_eq!(found, [("a.log", 0), ("b.log", 10)]);
        for (offset, length, expected) in [(0, 4, "0123"), (8, 100, "89"), (99, 1, "")] {
            let part = part(folder.path(), "b.log", offset, length).await.expect("it is there");
            assert_eq!((part.total, &part.bytes[..]), (10, expected.as_bytes()));
        }
    }

    #[tokio::test]
    async fn nothing_outside_of_the_folder_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = folder.path().join("log");
        std::fs::create_dir(&logs).expect("made");
        std::fs::write(folder.path().join("secret"), "x").expect("written");
        for name in ["../secret", "..", "/etc/passwd", "none"] {
            assert!(part(&logs, name, 0, 1).await.is_err(), "{name}");
        }
    }
}
