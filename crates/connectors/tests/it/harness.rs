//! A job of one source or one sink: its subtasks on this thread, its waiting on a Tokio runtime.

use std::{
    path::Path,
    sync::{Arc, LazyLock, OnceLock, atomic::AtomicU64, atomic::Ordering},
    task::{Wake, Waker},
    thread::Thread,
    time::Duration,
};

use tidegate_core::{
    Data, Duties, ErasedBatch, Operator, OperatorContext, Output, Readiness, RestoredList,
    RestoredState, Source, SourceOperator, SourceProgress, SourceStatus, batch::typed,
    source::source_operator, user_code::Telling,
};
use tidegate_types::{
    AttemptId, Barrier, BarrierKind, CheckpointId, EventTime, JobId, MaxParallelism, Parallelism,
    SubtaskIndex, Superseded, UserResult, error::chain, time::SystemClock,
};

static TOKIO: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts")
});
static TOKENS: AtomicU64 = AtomicU64::new(1);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// How long a wake-up may take: a machine that is busy needs a while to read tens of megabytes.
const PATIENCE: Duration = Duration::from_secs(120);

fn park() {
    // Whoever forgets to wake fails here instead of hanging for ever.
    let begin = std::time::Instant::now();
    std::thread::park_timeout(PATIENCE);
    assert!(begin.elapsed() < PATIENCE, "nobody called the waker");
}

/// One attempt of a job.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) token: u64,
    pub(crate) parallelism: u32,
    pub(crate) restored: Vec<RestoredList>,
    /// Whose leftovers it may delete.
    pub(crate) superseded: Superseded,
    /// Why the first of its duties that failed did so.
    failed: Arc<OnceLock<String>>,
}

impl Attempt {
    pub(crate) fn new(parallelism: u32, restored: &[RestoredList]) -> Self {
        // Each is of a run of its own.
        let token = TOKENS.fetch_add(0x1_0000, Ordering::Relaxed);
        let (restored, superseded) = (restored.to_vec(), Superseded::others());
        Self { token, parallelism, restored, superseded, failed: Arc::default() }
    }

    fn duties(&self) -> Duties {
        let failed = Arc::clone(&self.failed);
        Duties::new(move |duty| {
            let failed = Arc::clone(&failed);
            TOKIO.spawn(async move {
                if let Err(error) = duty.work.await {
                    failed.get_or_init(|| chain(error.as_ref()));
                }
            });
        })
    }

    /// Why the attempt has failed; waits for it, since who awaits a result hears first that none
    /// comes.
    fn failure(&self) -> String {
        self.failed.wait().clone()
    }

    pub(crate) fn context(&self, subtask: u32) -> OperatorContext {
        let lists = self.restored.clone();
        let checkpoint = (!lists.is_empty()).then_some(CheckpointId(1));
        let restored = RestoredState { checkpoint, lists, ..RestoredState::default() };
        OperatorContext {
            uid: "connector".into(),
            subtask: SubtaskIndex(subtask),
            parallelism: Parallelism::new(self.parallelism).expect("not zero"),
            max_parallelism: MaxParallelism::new(128).expect("in range"),
            job: JobId::from_name("test"),
            attempt: AttemptId(0),
            attempt_token: self.token,
            allow_lost_output: false,
            leaves_output: false,
            check_keys: false,
            superseded: self.superseded.clone(),
            restored,
            tokio: TOKIO.handle().clone(),
            duties: self.duties(),
            waker: Waker::from(Arc::new(Unpark(std::thread::current()))),
            clock: Arc::new(SystemClock),
            telling: Telling::default(),
        }
    }
}

pub(crate) fn barrier(checkpoint: u64) -> Barrier {
    Barrier { checkpoint: CheckpointId(checkpoint), kind: BarrierKind::Checkpoint }
}

/// What the subtasks of an operator contribute to a snapshot, as a restore hands it out.
fn union(lists: impl Iterator<Item = RestoredList>) -> Vec<RestoredList> {
    let mut all: Vec<RestoredList> = Vec::new();
    for list in lists {
        match all.iter_mut().find(|other| other.name == list.name) {
            Some(other) => other.items.extend(list.items),
            None => all.push(list),
        }
    }
    all
}

struct Records<T>(Vec<T>);

impl<T: Data> Output for Records<T> {
    fn emit(&mut self, batch: ErasedBatch) -> UserResult<()> {
        self.0.extend(typed::<T>(batch).records);
        Ok(())
    }

    fn watermark(&mut self, _watermark: EventTime) -> UserResult<()> {
        Ok(())
    }

    fn idle(&mut self) -> UserResult<()> {
        Ok(())
    }

    fn active(&mut self) -> UserResult<()> {
        Ok(())
    }
}

/// The subtasks of a source.
pub(crate) struct SourceJob<T> {
    subtasks: Vec<(Box<dyn SourceOperator>, bool)>,
    records: Records<T>,
}

impl<T: Data> SourceJob<T> {
    pub(crate) fn start<S: Source<Item = T> + Clone>(
        source: &S,
        parallelism: u32,
        restored: &[RestoredList],
    ) -> Result<Self, String> {
        let attempt = Attempt::new(parallelism, restored);
        let subtask = |index| source_operator(source.clone(), attempt.context(index));
        let subtasks = (0..parallelism).map(|index| Ok((subtask(index)?, false)));
        let subtasks = subtasks.collect::<UserResult<Vec<_>>>();
        let subtasks = subtasks.map_err(|error| chain(error.as_ref()))?;
        Ok(Self { subtasks, records: Records(Vec::new()) })
    }

    /// Polls each subtask once and waits if none has anything to do; `false` at the end.
    pub(crate) fn step(&mut self, budget: usize) -> Result<bool, String> {
        let (mut idle, mut ended) = (true, true);
        let mut pause = None;
        for (subtask, over) in self.subtasks.iter_mut().filter(|(_, over)| !over) {
            ended = false;
            let status = subtask.poll(budget, &mut self.records);
            match status.map_err(|error| chain(error.as_ref()))? {
                SourceStatus::More => idle = false,
                SourceStatus::Pending => {}
                SourceStatus::Wait(time) => pause = Some(time),
                SourceStatus::Ended => (*over, idle) = (true, false),
            }
        }
        match pause {
            _ if !idle || ended => {}
            Some(time) => std::thread::sleep(time),
            None => park(),
        }
        Ok(!ended)
    }

    /// Reads on, `budget` records at a time, until it has `count` records or the input ends.
    pub(crate) fn read(&mut self, count: usize, budget: usize) -> Result<Vec<T>, String> {
        while self.records.0.len() < count {
            let budget = budget.min(count - self.records.0.len());
            if !self.step(budget)? {
                break;
            }
        }
        Ok(std::mem::take(&mut self.records.0))
    }

    /// What has been read and not been taken.
    pub(crate) fn so_far(&mut self) -> Vec<T> {
        std::mem::take(&mut self.records.0)
    }

    pub(crate) fn snapshot(&mut self) -> Vec<RestoredList> {
        let lists = self
            .subtasks
            .iter_mut()
            .flat_map(|(subtask, _)| subtask.snapshot(barrier(1)).expect("splits encode").lists);
        union(lists)
    }

    pub(crate) fn progress(&self) -> SourceProgress {
        let progress = self.subtasks.iter().filter_map(|(subtask, _)| subtask.progress());
        progress.fold(SourceProgress::default(), |sum, one| SourceProgress {
            done: sum.done + one.done,
            total: sum.total + one.total,
        })
    }
}

/// Reads a bounded source to its end.
pub(crate) fn read_all<S: Source + Clone>(source: &S) -> Result<Vec<S::Item>, String> {
    SourceJob::start(source, 1, &[])?.read(usize::MAX, 100)
}

/// The subtasks of a sink.
pub(crate) struct SinkJob {
    attempt: Attempt,
    subtasks: Vec<Box<dyn Operator>>,
}

impl SinkJob {
    pub(crate) fn start(
        attempt: &Attempt,
        make: impl Fn(&OperatorContext) -> UserResult<Box<dyn Operator>>,
    ) -> Self {
        let subtask = |index| make(&attempt.context(index)).expect("the sink starts");
        let subtasks = (0..attempt.parallelism).map(subtask).collect();
        Self { attempt: attempt.clone(), subtasks }
    }

    /// Gives each record to the next subtask in turn.
    pub(crate) fn write<T: Data>(&mut self, records: &[T]) -> Result<(), String> {
        for (index, record) in records.iter().enumerate() {
            let count = self.subtasks.len();
            let subtask = &mut self.subtasks[index % count];
            ready(|| subtask.poll_ready())?;
            let batch = Box::new(tidegate_core::Batch::from(vec![record.clone()]));
            let written = subtask.on_batch(batch, &mut Records::<T>(Vec::new()));
            written.map_err(|error| chain(error.as_ref()))?;
        }
        Ok(())
    }

    /// Waits until restored committables are committed and leftovers are gone.
    pub(crate) fn recover(&mut self) -> Result<(), String> {
        self.subtasks.iter_mut().try_for_each(|subtask| ready(|| subtask.poll_ready()))
    }

    pub(crate) fn flush(&mut self) -> Result<(), String> {
        self.subtasks.iter_mut().try_for_each(|subtask| ready(|| subtask.poll_flushed()))
    }

    pub(crate) fn snapshot(&mut self, checkpoint: u64) -> Result<Vec<RestoredList>, String> {
        self.flush()?;
        let mut lists = Vec::new();
        for subtask in &mut self.subtasks {
            let snapshot = subtask.snapshot(barrier(checkpoint));
            let snapshot = snapshot.map_err(|error| chain(error.as_ref()))?;
            lists.extend(snapshot.lists);
            if let Some(pending) = snapshot.pending {
                let failed = |_| self.attempt.failure();
                lists.extend(TOKIO.block_on(pending).map_err(failed)?);
            }
        }
        Ok(union(lists.into_iter()))
    }

    pub(crate) fn complete(&mut self, checkpoint: u64) -> Result<(), String> {
        for subtask in &mut self.subtasks {
            if let Some(commit) = subtask.on_completed(CheckpointId(checkpoint)) {
                TOKIO.block_on(commit).map_err(|error| chain(error.as_ref()))?;
            }
        }
        Ok(())
    }
}

fn ready(mut poll: impl FnMut() -> UserResult<Readiness>) -> Result<(), String> {
    loop {
        match poll().map_err(|error| chain(error.as_ref()))? {
            Readiness::Ready => return Ok(()),
            Readiness::Pending => park(),
            Readiness::RetryAfter(time) => std::thread::sleep(time),
        }
    }
}

/// The names of the files in a folder, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("it can be listed").file_name().into_string().expect("UTF-8")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl Compression {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Gzip, Self::Zstd];

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    pub(crate) fn compress(self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => content.to_vec(),
            Self::Gzip => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                std::io::Write::write_all(&mut encoder, content).expect("memory");
                encoder.finish().expect("memory")
            }
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("level 1 exists");
                encoder.include_checksum(true).expect("before the first byte");
                std::io::Write::write_all(&mut encoder, content).expect("memory");
                encoder.finish().expect("memory")
            }
        }
    }
}
