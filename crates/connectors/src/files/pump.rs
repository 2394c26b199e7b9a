//! Reads one file on Tokio's blocking pool and hands its records over in chunks.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
};

use tidegate_core::{batch::TARGET_LEN, user_code::caught};
use tokio::sync::mpsc;

use super::{
    discover::{FileSplit, Position},
    error::{DeadLetter, FileError},
    format::{Format, Parsed, Parser},
    window::Window,
};

/// How many chunks may wait for the worker.
const CHUNKS_AHEAD: usize = 4;
/// A chunk is full when its records took so many bytes, however few they are.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// What happens to records that can't be parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadRecords {
    /// The attempt fails, with the file, the line, the column and the value.
    #[default]
    Fail,
    /// They are left out and counted: see [`SkippedRecords`] and the log.
    Skip,
}

/// Counts the bad records that were skipped: those of all subtasks in this process that share it.
/// What is read again after a failure is counted again.
#[derive(Clone, Debug, Default)]
pub struct SkippedRecords(Arc<AtomicU64>);

impl SkippedRecords {
    /// How many so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Some records of a file.
pub(super) struct Chunk<T> {
    pub(super) records: Vec<T>,
    /// Where each of them ends.
    pub(super) ends: Vec<RecordEnd>,
    /// How many bytes of the file itself have been used.
    pub(super) used: u64,
    /// Whether the file ends here.
    pub(super) finished: bool,
}

/// Where a record ends, and on which line it begins.
#[derive(Clone, Copy)]
pub(super) struct RecordEnd {
    /// The line on which it begins, counted from 1.
    pub(super) line: u64,
    /// In bytes of the uncompressed content.
    pub(super) byte: u64,
    /// How many line feeds lie before that.
    pub(super) line_feeds: u64,
}

/// What comes from the file, in order. It ends with a finished chunk or an error.
pub(super) type Chunks<T> = mpsc::Receiver<Result<Chunk<T>, FileError>>;

/// Begins to read a file where its split says.
pub(super) fn start<F: Format>(
    format: &F,
    split: &FileSplit,
    policy: Policy,
    tokio: &tokio::runtime::Handle,
    waker: Waker,
) -> Chunks<F::Item> {
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let outlet = Outlet { sender, waker: WakeOnDrop(waker) };
    let (parser, split) = (format.parser(), split.clone());
    tokio.spawn_blocking(move || {
        let result = Pump::open(parser, &split, policy)
            .and_then(|mut pump| pump.run_caught(|chunk| outlet.send(Ok(chunk))));
        if let Err(error) = result {
            outlet.send(Err(error));
        }
    });
    chunks
}

/// The way to the reader. The fields are dropped in this order, so that it is woken when the channel
/// is closed already.
struct Outlet<M> {
    sender: mpsc::Sender<M>,
    waker: WakeOnDrop,
}

impl<M> Outlet<M> {
    /// Sends and wakes; `false` if nobody reads any more.
    fn send(&self, message: M) -> bool {
        let sent = self.sender.blocking_send(message).is_ok();
        self.waker.0.wake_by_ref();
        sent
    }
}

struct WakeOnDrop(Waker);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}

/// What to do with bad records, and where to count them.
#[derive(Clone)]
pub(super) struct Policy {
    pub(super) bad_records: BadRecords,
    pub(super) skipped: SkippedRecords,
}

/// Reads one file from a position on.
pub(super) struct Pump<P: Parser> {
    window: Window,
    parser: P,
    policy: Policy,
    skipped_here: u64,
}

impl<P: Parser> Pump<P> {
    /// Opens the file and goes to the split's position.
    pub(super) fn open(
        mut parser: P,
        split: &FileSplit,
        policy: Policy,
    ) -> Result<Self, FileError> {
        let Position { byte, line_feeds, .. } = split.position;
        let mut window = Window::open(&split.path).map_err(|error| gone(error, byte))?;
        let first = parser.begin(&mut window)?;
        if byte > 0 {
            window.go_to(byte, line_feeds)?;
        } else if window.offset() != first {
            // `begin` has looked at the first record: no line feed lies before it.
            window.go_to(first, 0)?;
        }
        Ok(Self { window, parser, policy, skipped_here: 0 })
    }

    /// As [`Pump::run`]; a panic of user code that makes records, `Deserialize`, becomes an error.
    fn run_caught(&mut self, send: impl FnMut(Chunk<P::Item>) -> bool) -> Result<(), FileError> {
        let mut result = Ok(());
        let ran = caught(|| {
            result = self.run(send);
            Ok(())
        });
        match ran {
            Ok(()) => result,
            Err(error) => Err(FileError::Unreadable {
                path: self.window.path().to_owned(),
                line: self.window.record_line(),
                message: error.to_string(),
            }),
        }
    }

    /// Reads to the end, or until nobody wants the chunks any more.
    pub(super) fn run(
        &mut self,
        mut send: impl FnMut(Chunk<P::Item>) -> bool,
    ) -> Result<(), FileError> {
        loop {
            let (chunk, error) = self.chunk();
            let finished = chunk.finished;
            let useful = finished || !chunk.records.is_empty();
            let wanted = !useful || send(chunk);
            if let Some(error) = error {
                return Err(error);
            }
            if finished || !wanted {
                self.report_skipped();
                return Ok(());
            }
        }
    }

    /// The next records, and the error that comes after them.
    fn chunk(&mut self) -> (Chunk<P::Item>, Option<FileError>) {
        let mut records = Vec::with_capacity(TARGET_LEN);
        let mut ends = Vec::with_capacity(TARGET_LEN);
        let full = self.window.offset() + CHUNK_BYTES;
        let mut end = Ok(false);
        while records.len() < TARGET_LEN && self.window.offset() < full {
            match self.next() {
                Ok(Some(record)) => {
                    records.push(record);
                    ends.push(self.place());
                }
                over => {
                    end = over.map(|_| true);
                    break;
                }
            }
        }
        let finished = matches!(end, Ok(true));
        (Chunk { records, ends, used: self.window.used(), finished }, end.err())
    }

    fn place(&self) -> RecordEnd {
        let (line, byte) = (self.window.record_line(), self.window.offset());
        RecordEnd { line, byte, line_feeds: self.window.line() - 1 }
    }

    /// The next good record.
    fn next(&mut self) -> Result<Option<P::Item>, FileError> {
        loop {
            self.window.begin_record();
            match self.parser.next(&mut self.window)? {
                None => return Ok(None),
                Some(Parsed::Good(record)) => return Ok(Some(record)),
                Some(Parsed::Bad(letter)) => self.handle_bad(letter)?,
            }
        }
    }

    fn handle_bad(&mut self, letter: DeadLetter) -> Result<(), FileError> {
        if self.policy.bad_records == BadRecords::Fail {
            return Err(FileError::BadRecord(letter));
        }
        if self.skipped_here == 0 {
            tracing::warn!(file = letter.file, line = letter.line, "skipped: {letter}");
        }
        self.skipped_here += 1;
        self.policy.skipped.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn report_skipped(&self) {
        if self.skipped_here > 0 {
            let file = self.window.path();
            tracing::warn!(file, count = self.skipped_here, "skipped bad records");
        }
    }
}

/// Says that a file is gone if it was there before the restore.
fn gone(error: FileError, read: u64) -> FileError {
    match error {
        FileError::Io { path, source, .. }
            if read > 0 && source.kind() == io::ErrorKind::NotFound =>
        {
            FileError::Gone { path, read }
        }
        error => error,
    }
}
