//! What a process says, in a log of bounded size.
//!
//! ```text
//!   process --pipe--> [pass_on] ----> <name>.log      what it said last
//!                                     <name>.log.1    what it had said before
//! ```
//!
//! # Failure
//!
//! What can't be written, on a disk that is full, is dropped, and the process goes on. A process ends
//! with its TaskManager, so that nobody is left who writes into a pipe without a reader.

#![expect(clippy::disallowed_methods, reason = "logs of programs of this machine")]

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tidegate_types::error::chain;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
};
use tracing::warn;

/// How much is passed on at once, in bytes.
const CHUNK: usize = 64 << 10;

/// Where a log is moved when it is full.
pub(super) fn older(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// The ends of a pipe, for standard output and standard errors of a process.
pub(super) struct Ends {
    pub(super) output: Stdio,
    pub(super) errors: Stdio,
}

/// What comes out of the pipe.
pub(super) struct Said {
    pipe: pipe::Receiver,
    log: Log,
}

/// Opens a log of two files of `most` bytes each, and the pipe that leads there.
///
/// # Errors
///
/// When the log can't be written.
pub(super) async fn open(path: &Path, most: usize) -> io::Result<(Ends, Said)> {
    let log = Log::open(path, most).await?;
    let (reader, writer) = io::pipe()?;
    let (output, errors) = (writer.try_clone()?.into(), writer.into());
    Ok((Ends { output, errors }, Said { pipe: pipe::Receiver::from_owned_fd(reader.into())?, log }))
}

impl Said {
    /// Passes all on until nobody can write into the pipe any more.
    pub(super) async fn pass_on(mut self) {
        let mut buffer = vec![0; CHUNK];
        let mut told = false;
        loop {
            let read = match self.pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(read) => read,
            };
            for part in buffer[..read].chunks(self.log.most) {
                let written = self.log.write(part).await;
                if let Err(error) = written
                    && !std::mem::replace(&mut told, true)
                {
                    let (path, error) = (&self.log.path, chain(&error));
                    warn!(?path, error, "what a process says can't be written, and is lost");
                }
            }
        }
    }
}

struct Log {
    path: PathBuf,
    file: File,
    bytes: usize,
    most: usize,
}

impl Log {
    async fn open(path: &Path, most: usize) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path).await?;
        let bytes = file.metadata().await?.len() as usize;
        Ok(Self { path: path.to_owned(), file, bytes, most })
    }

    async fn write(&mut self, part: &[u8]) -> io::Result<()> {
        if self.bytes + part.len() > self.most {
            tokio::fs::rename(&self.path, older(&self.path)).await?;
            *self = Self::open(&self.path, self.most).await?;
        }
        self.file.write_all(part).await?;
        self.file.flush().await?;
        self.bytes += part.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_log_has_an_end_and_what_was_said_last_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        std::fs::write(&path, "of an earlier one\n").expect("the folder is the test's own");
        let (ends, said) = open(&path, 1000).await.expect("it can be written");
        let mut command = Command::new("sh");
        command.args(["-c", "seq 1 2000; echo last >&2"]);
        let mut child = command.stdout(ends.output).stderr(ends.errors).spawn().expect("a shell");
        // It has the other ends of the pipe.
        drop(command);
        let (ended, ()) = tokio::join!(child.wait(), said.pass_on());
        assert!(ended.expect("it is this one's child").success());
        let read = |path: &Path| std::fs::read_to_string(path).expect("it is there");
        let (newer, before) = (read(&path), read(&older(&path)));
        assert!(newer.len() <= 1000 && before.len() <= 1000);
        let all = (1..=2000).map(|number| format!("{number}\n")).collect::<String>() + "last\n";
        assert!(all.ends_with(&(before.clone() + &newer)), "{before}{newer}");
        assert!(before.len() + newer.len() > 1000, "too much is thrown away");
        assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 2);
    }

    #[tokio::test]
    async fn a_log_that_can_t_be_written_holds_its_process_not_up() {
        let full = Path::new("/dev/full");
        let (ends, said) = open(full, 1 << 20).await.expect("it can be opened");
        let mut command = Command::new("seq");
        command.arg("100000").stdout(ends.output).stderr(ends.errors);
        let mut child = command.spawn().expect("there is a program `seq`");
        drop(command);
        let (ended, ()) = tokio::join!(child.wait(), said.pass_on());
        assert!(ended.expect("it is this one's child").success());
    }
}
