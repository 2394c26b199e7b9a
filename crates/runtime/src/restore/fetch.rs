//! Fetches blocks of keyed state while they are taken in.
//!
//! ```text
//!   segments --index--> requests --room--> [reads, in order] --channel of 1--> worker's thread
//!                                    ^                                             |
//!                                    +-------- a block's bytes are let go of ------+
//! ```
//!
//! # Protocol
//!
//! A subtask's blocks are fetched from when its operator opens them until that has taken the last one
//! in, by a task on Tokio. The operator waits on its worker's thread, which has nothing else to do:
//! its attempt has not begun. A request takes its bytes of room, which all of the process share, until
//! the last of its blocks is gone.
//!
//! # Invariants
//!
//! - INV-AHEAD: of what is being restored a process has no more than [`ROOM`] bytes in memory that
//!   are not in a table yet, but for single blocks that are longer and for segments of version 1.
//! - Who has room waits for the store alone, and who waits for room does so behind somebody whose
//!   worker is taking blocks in: requests get it in their order, in each stream and over all of them.
//!
//! # Failure
//!
//! An error of a request is handed on in its place, and nothing follows it. When the attempt is over,
//! when the runtime ends or a read panics, the channel ends without its last word: that is an error
//! too, so that nobody takes half of a state for the whole.

use std::{collections::VecDeque, pin::pin, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tidegate_snapshot::{
    SnapshotError,
    segment::{BlockSource, BlockStream, OwnedBlock, SegmentSource},
    store::StoredSegment,
};
use tidegate_types::KeyGroupRange;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinHandle,
};

use crate::host::Threads;

/// How much is read with one request, in bytes: enough for a store that takes a while to answer.
const REQUEST: u64 = 2 << 20;
/// How many requests of a subtask are under way at once.
const AT_ONCE: usize = 4;
/// How much all subtasks of a process have under way, in bytes.
const ROOM: u32 = 8 << 20;

/// What all fetches of a process share.
pub(super) struct Fetching {
    tokio: Handle,
    threads: Arc<dyn Threads>,
    room: Arc<Semaphore>,
    given_up: watch::Sender<bool>,
}

impl Fetching {
    pub(super) fn new(tokio: Handle, threads: Arc<dyn Threads>) -> Self {
        let (given_up, _) = watch::channel(false);
        Self { tokio, threads, room: Arc::new(Semaphore::new(ROOM as usize)), given_up }
    }

    pub(super) fn give_up(&self) {
        self.given_up.send_replace(true);
    }

    /// Decoding what is there already would hold up the end of the attempt.
    fn check(&self) -> Result<(), SnapshotError> {
        if *self.given_up.borrow() { Err(SnapshotError::GivenUp) } else { Ok(()) }
    }
}

/// Blocks that one subtask takes over, in memory already.
pub(super) struct LoadedBlocks {
    source: SegmentSource,
    fetching: Arc<Fetching>,
}

impl LoadedBlocks {
    pub(super) fn new(source: SegmentSource, fetching: Arc<Fetching>) -> Self {
        Self { source, fetching }
    }
}

impl BlockSource for LoadedBlocks {
    fn open(&self) -> Box<dyn BlockStream> {
        Box::new(Loaded { stream: self.source.open(), fetching: Arc::clone(&self.fetching) })
    }
}

struct Loaded {
    stream: Box<dyn BlockStream>,
    fetching: Arc<Fetching>,
}

impl BlockStream for Loaded {
    fn next_block(&mut self) -> Result<Option<OwnedBlock>, SnapshotError> {
        self.fetching.check()?;
        self.stream.next_block()
    }
}

/// The blocks that one subtask takes over, in a store.
pub(super) struct SubtaskBlocks {
    segments: Vec<(Arc<StoredSegment>, KeyGroupRange)>,
    fetching: Arc<Fetching>,
}

impl SubtaskBlocks {
    /// Of these key groups of each segment.
    pub(super) fn new(
        segments: Vec<(Arc<StoredSegment>, KeyGroupRange)>,
        fetching: Arc<Fetching>,
    ) -> Self {
        Self { segments, fetching }
    }
}

impl BlockSource for SubtaskBlocks {
    fn open(&self) -> Box<dyn BlockStream> {
        let (sender, receiver) = mpsc::channel(1);
        let room = Arc::clone(&self.fetching.room);
        let mut given_up = self.fetching.given_up.subscribe();
        let segments = self.segments.clone();
        let task = self.fetching.tokio.spawn(async move {
            tokio::select! {
                biased;
                () = fetch(segments, room, sender) => {}
                // Dropping the sender tells.
                _ = given_up.wait_for(|given_up| *given_up) => {}
            }
        });
        let fetching = Arc::clone(&self.fetching);
        Box::new(Fetched { fetching, receiver, task, ready: VecDeque::new(), ended: false })
    }
}

/// What comes of a fetch.
enum Word {
    Blocks(Vec<OwnedBlock>),
    /// These were all.
    End,
}

type Sender = mpsc::Sender<Result<Word, SnapshotError>>;

async fn fetch(
    segments: Vec<(Arc<StoredSegment>, KeyGroupRange)>,
    room: Arc<Semaphore>,
    sender: Sender,
) {
    let last = fetch_all(segments, &room, &sender).await.map(|()| Word::End);
    // Nobody listens any more who has not wanted the rest.
    let _ = sender.send(last).await;
}

async fn fetch_all(
    segments: Vec<(Arc<StoredSegment>, KeyGroupRange)>,
    room: &Arc<Semaphore>,
    sender: &Sender,
) -> Result<(), SnapshotError> {
    let requests = stream::iter(segments)
        .map(|(segment, groups)| async move { segment.requests(groups, REQUEST).await })
        .buffered(AT_ONCE)
        .map_ok(|requests| stream::iter(requests.into_iter().map(Ok)))
        .try_flatten();
    let reads = requests
        .and_then(|request| {
            let bytes = request.bytes().min(ROOM.into()) as u32;
            let permit = Arc::clone(room).acquire_many_owned(bytes);
            async move { Ok((request, permit.await.map_err(|_| SnapshotError::GivenUp)?)) }
        })
        .map_ok(|(request, permit)| request.read(|bytes| held(bytes, permit)))
        .try_buffered(AT_ONCE);
    tokio::pin!(reads);
    while let Some(blocks) = reads.try_next().await? {
        if sender.send(Ok(Word::Blocks(blocks))).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Bytes that take room for as long as there is anything of them.
struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn held(bytes: Bytes, room: OwnedSemaphorePermit) -> Bytes {
    Bytes::from_owner(Held { bytes, _room: room })
}

/// Blocks as they come.
struct Fetched {
    fetching: Arc<Fetching>,
    receiver: mpsc::Receiver<Result<Word, SnapshotError>>,
    task: JoinHandle<()>,
    ready: VecDeque<OwnedBlock>,
    ended: bool,
}

impl BlockStream for Fetched {
    fn next_block(&mut self) -> Result<Option<OwnedBlock>, SnapshotError> {
        loop {
            self.fetching.check()?;
            if let Some(block) = self.ready.pop_front() {
                return Ok(Some(block));
            }
            if self.ended {
                return Ok(None);
            }
            let mut word = None;
            self.fetching.threads.wait(pin!(async { word = self.receiver.recv().await }));
            match word {
                Some(Ok(Word::Blocks(blocks))) => self.ready.extend(blocks),
                Some(Ok(Word::End)) => self.ended = true,
                Some(Err(error)) => return Err(error),
                None => return Err(SnapshotError::GivenUp),
            }
        }
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
