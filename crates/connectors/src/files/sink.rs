//! Files out, exactly once.
//!
//! ```text
//!   write      .part-0-<token>-7.jsonl.<owner>.inprogress      bytes arrive
//!   prepare    .part-0-<token>-7.jsonl.<owner>.pending         closed, synced: the committable
//!   commit      part-0-<token>-7.jsonl                         renamed: finished
//! ```
//!
//! `token` is the attempt's, `owner` stands for the job and the sink's uid, so that a sink never
//! takes the files of another in the same folder for leftovers, nor those of another run of its own
//! job that is not known to have ended.
//!
//! # Protocol
//!
//! A file is closed at every barrier, so that whatever a finished file holds belongs to a completed
//! checkpoint and the file never changes again; between barriers it is also closed when it reaches
//! the roll size. An interval without records makes no file. A file's records are those of one
//! checkpoint interval: the checkpoint interval decides how large files get.
//!
//! # Invariants
//!
//! - INV-DURABLE: `prepare` resolves once the file's content and its name are synced.
//! - INV-FINISHED: a finished file is complete and is never written, renamed or deleted again: it
//!   is its reader's, who may do so.
//! - INV-NAMES: no two files ever have one name: the token is one attempt's, the counter one
//!   subtask's.
//!
//! # Failure
//!
//! | a crash | leaves | repaired by |
//! |---|---|---|
//! | while writing | `.inprogress` | `recover` deletes it, its records are written again |
//! | after prepare, the checkpoint not complete | `.pending` | `recover` deletes it, likewise |
//! | after the checkpoint, before or during commit | `.pending` or finished | the restore commits again |
//!
//! An attempt that fails while its process goes on deletes its own files up to prepare.

mod commit;
mod encoder;
mod names;
mod writer;

use std::{marker::PhantomData, path::PathBuf};

use futures::{FutureExt, future::BoxFuture};
use tidegate_core::{CommitOutcome, SinkContext, TwoPhaseSink};
use tidegate_types::UserResult;

pub use commit::PendingFile;
pub use encoder::{CsvEncoder, Encoder, JsonLinesEncoder};
pub use writer::FileWriter;

use super::{error::FileError, place::local_path};

/// The size at which a file is closed unless told otherwise, in bytes: 128 MiB.
pub const ROLL_SIZE: u64 = 128 * 1024 * 1024;

/// Writes files of the format `E` into a folder, exactly once.
///
/// All processes of the job must see the same folder: one of them commits for all after a restore.
///
/// Finished files are called `part-<subtask>-<attempt's token>-<counter>.<extension>`; what is not
/// finished begins with a dot.
pub struct FileSink<E> {
    /// Where it writes, or why it can't.
    dir: Result<PathBuf, FileError>,
    roll_size: u64,
    encoder: PhantomData<fn() -> E>,
}

impl<E> Clone for FileSink<E> {
    fn clone(&self) -> Self {
        Self { dir: self.dir.clone(), roll_size: self.roll_size, encoder: PhantomData }
    }
}

impl<E: Encoder> FileSink<E> {
    /// Writes into the folder `dir`, which is made if need be.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: local_path(dir.into()), roll_size: ROLL_SIZE, encoder: PhantomData }
    }

    /// Closes a file once it has about so many bytes ([`ROLL_SIZE`] unless told otherwise), if no
    /// barrier does so before.
    #[must_use]
    pub fn roll_size(mut self, bytes: u64) -> Self {
        self.roll_size = bytes;
        self
    }
}

impl<E: Encoder> TwoPhaseSink for FileSink<E> {
    type Item = E::Item;
    type Committable = PendingFile;
    type Writer = FileWriter<E>;

    fn writer(&self, context: SinkContext) -> UserResult<FileWriter<E>> {
        if self.roll_size == 0 {
            return Err(FileError::Option("a file sink's roll size must be at least 1").mark());
        }
        Ok(FileWriter::new(self.dir.clone().map_err(FileError::mark)?, self.roll_size, &context))
    }

    fn commit(
        &self,
        committables: Vec<PendingFile>,
    ) -> BoxFuture<'static, UserResult<Vec<CommitOutcome>>> {
        let dir = self.dir.clone();
        let task = move || commit::commit(&dir?, &committables);
        on_disk(task)
    }

    fn recover(&self, context: SinkContext) -> BoxFuture<'static, UserResult<()>> {
        let (dir, owner) = (self.dir.clone(), names::owner(&context));
        let is_leftover = move |token| context.is_leftover(token);
        let task = move || commit::sweep(&dir?, owner, is_leftover);
        on_disk(task)
    }
}

/// Does something on a disk, which is not simulated.
fn on_disk<T: Send + 'static>(
    task: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> BoxFuture<'static, UserResult<T>> {
    async move {
        #[expect(clippy::disallowed_methods, reason = "disks are not simulated")]
        let done = tokio::task::spawn_blocking(task);
        done.await?.map_err(FileError::mark)
    }
    .boxed()
}
