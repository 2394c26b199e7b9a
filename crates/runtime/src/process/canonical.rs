//! Writes an operator's part of a savepoint in canonical form, while it is being encoded.
//!
//! ```text
//!   encoder's thread: table --key group by key group--> Parquet --chunks--> [upload on Tokio]
//! ```

use std::{
    collections::BTreeMap,
    io::{self, Write},
    pin::pin,
    sync::Arc,
};

use bytes::Bytes;
use tidegate_canonical::{
    TableSink,
    convert::items_of,
    table::{TableSchema, TableWriter},
    table_path,
};
use tidegate_checkpoint::protocol::OperatorAck;
use tidegate_snapshot::{
    manifest::{FileEntry, StateDescription, TableManifest},
    segment::ListState,
    store::SnapshotLocation,
};
use tidegate_state::{KeyedSnapshot, StateError};
use tidegate_types::{KeyGroup, KeyGroupRange, error::chain};
use tokio::{sync::mpsc, task::JoinSet};

use super::encoders::Encoders;
use crate::host::Threads;

/// How long a chunk is that is handed on, in bytes.
const CHUNK: usize = 1 << 20;
/// How many chunks of a file may wait to be written.
const WAITING: usize = 4;

/// Where a savepoint goes.
#[derive(Clone)]
pub(crate) struct CanonicalTarget {
    pub(crate) location: SnapshotLocation,
    /// Tells the files of attempts apart.
    pub(crate) token: u64,
}

/// Tables that have been written.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) tables: Vec<TableManifest>,
    pub(crate) files: BTreeMap<String, FileEntry>,
}

impl Tables {
    pub(crate) fn add(&mut self, other: Self) {
        self.tables.extend(other.tables);
        self.files.extend(other.files);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.length).sum()
    }
}

/// The writing end of a file that somebody uploads.
struct Chunks {
    buffer: Vec<u8>,
    chunks: mpsc::Sender<Bytes>,
    threads: Arc<dyn Threads>,
}

impl Chunks {
    fn hand_on(&mut self) -> io::Result<()> {
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        let mut is_sent = false;
        let send = async { is_sent = self.chunks.send(full.into()).await.is_ok() };
        self.threads.wait(pin!(send));
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the file can't be written");
        is_sent.then_some(()).ok_or_else(gone)
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.hand_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { self.hand_on() }
    }
}

/// Files that are being written: each path with its chunks.
type Files = mpsc::UnboundedReceiver<(String, mpsc::Receiver<Bytes>)>;

/// Begins files.
struct Opener {
    files: mpsc::UnboundedSender<(String, mpsc::Receiver<Bytes>)>,
    threads: Arc<dyn Threads>,
}

impl Opener {
    fn open(&self, path: String) -> Chunks {
        let (chunks, receiver) = mpsc::channel(WAITING);
        // Nobody uploads when the savepoint has been given up: the first chunk says so.
        let _ = self.files.send((path, receiver));
        let (buffer, threads) = (Vec::with_capacity(CHUNK), Arc::clone(&self.threads));
        Chunks { buffer, chunks, threads }
    }
}

impl CanonicalTarget {
    /// Uploads files while `write` makes them on a thread that may wait.
    async fn with_files<T: Send + 'static>(
        &self,
        encoders: &Encoders,
        write: impl FnOnce(Opener) -> Result<T, String> + Send + 'static,
    ) -> Result<(T, BTreeMap<String, FileEntry>), String> {
        let (sender, files) = mpsc::unbounded_channel();
        let opener = Opener { files: sender, threads: encoders.threads() };
        let written = encoders.run(move || write(opener));
        let (written, uploaded) = tokio::join!(written, self.upload(files));
        // What could not be uploaded is the reason why it could not be written.
        let uploaded = uploaded?;
        Ok((written??, uploaded))
    }

    async fn upload(&self, mut files: Files) -> Result<BTreeMap<String, FileEntry>, String> {
        let (mut uploads, mut done) = (JoinSet::new(), BTreeMap::new());
        loop {
            tokio::select! {
                biased;
                file = files.recv() => match file {
                    Some((path, chunks)) => {
                        let location = self.location.clone();
                        uploads.spawn(async move {
                            let entry = location.write_stream(&path, chunks).await;
                            entry.map(|entry| (path, entry)).map_err(|error| chain(&error))
                        });
                    }
                    None => break,
                },
                Some(uploaded) = uploads.join_next() => {
                    done.extend([uploaded.map_err(|error| error.to_string())??]);
                }
            }
        }
        while let Some(uploaded) = uploads.join_next().await {
            done.extend([uploaded.map_err(|error| error.to_string())??]);
        }
        Ok(done)
    }

    /// Writes a subtask's keyed state: a file for each state that has an entry. What is wrong with the
    /// state itself is told apart from what is wrong with the files.
    pub(crate) async fn write_keyed(
        &self,
        ack: &OperatorAck,
        groups: KeyGroupRange,
        keyed: Box<dyn KeyedSnapshot>,
        encoders: &Encoders,
    ) -> Result<Result<Tables, StateError>, String> {
        let (uid, index, token) = (ack.uid.clone(), ack.subtask.index, self.token);
        let (key_type, states) = (ack.key_type.clone().unwrap_or_default(), ack.states.clone());
        let path = move |state: &StateDescription| table_path(&uid, &state.name, index, token);
        let path_of = path.clone();
        let (written, files) = self
            .with_files(encoders, move |files| {
                let create = |state: &StateDescription| files.open(path(state));
                let mut sink = TableSink::new(&key_type, states, create);
                if let Err(error) = keyed.encode(&mut sink) {
                    return Ok(Err(error));
                }
                sink.finish().map(Ok).map_err(|error| chain(&error))
            })
            .await?;
        let written = match written {
            Ok(written) => written,
            Err(error) => return Ok(Err(error)),
        };
        let table = |(state, schema, rows): (StateDescription, TableSchema, u64)| TableManifest {
            path: (rows > 0).then(|| path_of(&state)),
            state: state.name,
            rows,
            groups: Some(groups),
            list: None,
            columns: schema.describe(),
        };
        Ok(Ok(Tables { tables: written.into_iter().map(table).collect(), files }))
    }

    /// Writes a subtask's operator state: a file for each list that has an item.
    pub(crate) async fn write_lists(
        &self,
        ack: &OperatorAck,
        lists: &[ListState],
        encoders: &Encoders,
    ) -> Result<Tables, String> {
        if lists.is_empty() {
            return Ok(Tables::default());
        }
        let lists = lists.to_vec();
        let (uid, index, token) = (ack.uid.clone(), ack.subtask.index, self.token);
        let (tables, files) = self
            .with_files(encoders, move |files| {
                let write = |list: ListState| {
                    let (table, items) = items_of(&list);
                    let schema = TableSchema::list(&list.name, table.value_type.as_deref());
                    let columns = schema.describe();
                    let path =
                        (!items.is_empty()).then(|| table_path(&uid, &list.name, index, token));
                    if let Some(path) = &path {
                        let mut writer = TableWriter::new(schema, files.open(path.clone()))?;
                        for item in &items {
                            writer.add_entry(KeyGroup(0), &[item])?;
                        }
                        writer.finish()?;
                    }
                    let rows = items.len() as u64;
                    let (state, list) = (list.name, Some(table));
                    Ok(TableManifest { state, path, rows, groups: None, list, columns })
                };
                let written = lists.into_iter().map(write);
                written
                    .collect::<Result<Vec<_>, tidegate_canonical::CanonicalError>>()
                    .map_err(|error| chain(&error))
            })
            .await?;
        Ok(Tables { tables, files })
    }
}
