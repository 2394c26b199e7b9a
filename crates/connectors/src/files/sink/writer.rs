//! Writes the records of one subtask: encoded on the worker, written by a thread.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
};

use futures::{FutureExt, future::BoxFuture};
use tidegate_core::{Batch, Readiness, SinkContext, SinkWriter, TwoPhaseWriter};
use tidegate_types::{CheckpointId, UserResult};
use tokio::sync::oneshot;

use super::{
    FileError,
    commit::{PendingFile, make_folder, sync_folder},
    encoder::Encoder,
    names::{Names, PartNames},
};
use crate::background::Background;

/// How much goes to the thread at once, in bytes.
const CHUNK: usize = 64 * 1024;
/// How many records are encoded between two looks at the sizes.
const RECORDS_AT_ONCE: usize = 64;

/// Writes the records of one subtask.
pub struct FileWriter<E: Encoder> {
    dir: PathBuf,
    thread: Background<Message, FileError>,
    buffer: Vec<u8>,
    /// How much the current file has, with the buffer, in bytes.
    in_file: u64,
    roll_size: u64,
    encoder: std::marker::PhantomData<fn() -> E>,
}

enum Message {
    /// Append to the current file, or begin one.
    Write(Vec<u8>),
    /// Close the current file: the next bytes begin another.
    Roll,
    /// Close the current file, and hand over all that were closed since the last time.
    Close(oneshot::Sender<Vec<PendingFile>>),
}

impl<E: Encoder> FileWriter<E> {
    pub(super) fn new(dir: PathBuf, roll_size: u64, context: &SinkContext) -> Self {
        let panicked = FileError::Panicked { action: "wrote to", path: dir.display().to_string() };
        let names = Names::new(context, E::EXTENSION);
        let absolute = std::path::absolute(&dir).ok();
        let folder = absolute.and_then(|dir| dir.to_str().map(str::to_owned));
        let mut files = Files { dir: dir.clone(), folder, names, open: None, closed: Vec::new() };
        let work = move |message| files.handle(message);
        let thread = Background::start(&context.tokio, context.waker.clone(), panicked, work);
        let encoder = std::marker::PhantomData;
        Self { dir, thread, buffer: Vec::new(), in_file: 0, roll_size, encoder }
    }

    fn encode(&mut self, records: &[E::Item]) -> Result<(), FileError> {
        let before = self.buffer.len();
        E::encode(records, self.in_file == 0, &mut self.buffer)?;
        self.in_file += (self.buffer.len() - before) as u64;
        if self.buffer.len() >= CHUNK {
            self.send_buffer();
        }
        if self.in_file >= self.roll_size {
            self.send_buffer();
            self.thread.send(0, Message::Roll);
            self.in_file = 0;
        }
        Ok(())
    }

    fn send_buffer(&mut self) {
        if !self.buffer.is_empty() {
            let bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK * 5 / 4));
            self.thread.send(bytes.len(), Message::Write(bytes));
        }
    }
}

impl<E: Encoder> SinkWriter for FileWriter<E> {
    type Item = E::Item;

    fn write(&mut self, batch: &mut Batch<E::Item>) -> UserResult<Readiness> {
        if self.thread.poll_room().map_err(FileError::mark)? != Readiness::Ready {
            return Ok(Readiness::Pending);
        }
        let batch = std::mem::take(batch);
        batch
            .records
            .chunks(RECORDS_AT_ONCE)
            .try_for_each(|records| self.encode(records))
            .map_err(FileError::mark)?;
        Ok(Readiness::Ready)
    }

    fn flush(&mut self) -> UserResult<Readiness> {
        self.send_buffer();
        self.thread.poll_room().map_err(FileError::mark)
    }
}

impl<E: Encoder> TwoPhaseWriter for FileWriter<E> {
    type Committable = PendingFile;

    fn prepare(&mut self, _: CheckpointId) -> BoxFuture<'static, UserResult<Vec<PendingFile>>> {
        self.send_buffer();
        self.in_file = 0;
        let (reply, files) = oneshot::channel();
        self.thread.send(0, Message::Close(reply));
        let failure = self.thread.failure();
        let path = self.dir.display().to_string();
        async move {
            files.await.map_err(|_| {
                failure.get().unwrap_or(FileError::Panicked { action: "wrote to", path }).mark()
            })
        }
        .boxed()
    }
}

/// The thread's side: the files themselves.
struct Files {
    dir: PathBuf,
    /// The same from the root, as snapshots know it.
    folder: Option<String>,
    names: Names,
    open: Option<OpenFile>,
    /// What was closed since the last `Close`.
    closed: Vec<PendingFile>,
}

struct OpenFile {
    file: File,
    names: PartNames,
    length: u64,
}

impl Files {
    fn handle(&mut self, message: Message) -> Result<(), FileError> {
        match message {
            Message::Write(bytes) => self.write(&bytes),
            Message::Roll => self.close(),
            Message::Close(reply) => {
                self.close()?;
                if !self.closed.is_empty() {
                    sync_folder(&self.dir)?;
                }
                // Nobody waits if the attempt has ended meanwhile: then no snapshot can hold them.
                if let Err(unclaimed) = reply.send(std::mem::take(&mut self.closed)) {
                    self.closed = unclaimed;
                }
                Ok(())
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(OpenFile::create(&self.dir, self.names.next())?),
        };
        let path = self.dir.join(&open.names.in_progress);
        open.file.write_all(bytes).map_err(FileError::io("write", path.display()))?;
        open.length += bytes.len() as u64;
        Ok(())
    }

    /// INV-DURABLE, the content's part: it is synced before the file bears the pending name.
    fn close(&mut self) -> Result<(), FileError> {
        let Some(OpenFile { file, names, length }) = self.open.take() else { return Ok(()) };
        let PartNames { in_progress, pending, finished } = names;
        let path = self.dir.join(&in_progress);
        file.sync_all().map_err(FileError::io("sync", path.display()))?;
        fs::rename(&path, self.dir.join(&pending))
            .map_err(FileError::io("close", path.display()))?;
        let folder = self.folder.clone();
        self.closed.push(PendingFile { pending, finished, length, folder });
        Ok(())
    }
}

/// An attempt that is given up while its process goes on leaves nothing behind but what it has
/// handed over, even if the next attempt has looked for leftovers already.
impl Drop for Files {
    fn drop(&mut self) {
        let open = self.open.take().map(|open| open.names.in_progress);
        let closed = self.closed.drain(..).map(|file| file.pending);
        for name in open.into_iter().chain(closed) {
            // If this fails it is for a later attempt to delete it.
            let _ = fs::remove_file(self.dir.join(name));
        }
    }
}

impl OpenFile {
    fn create(dir: &std::path::Path, names: PartNames) -> Result<Self, FileError> {
        make_folder(dir)?;
        let path = dir.join(&names.in_progress);
        let file = File::create_new(&path).map_err(FileError::io("create", path.display()))?;
        Ok(Self { file, names, length: 0 })
    }
}
