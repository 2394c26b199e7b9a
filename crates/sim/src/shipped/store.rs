//! The store as each machine reaches it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures::{
    StreamExt, TryFutureExt, TryStreamExt, executor::block_on, stream, stream::BoxStream,
};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, memory::InMemory, path::Path,
};
use tidegate_storage::{Address, Place, Places};

use super::{
    clock::BEGIN_MILLIS,
    line::{Line, NoAnswer},
    machine::Pulse,
    mutation::Mutation,
    picture::MachineNumber,
};

/// What the job calls it: an object store, whose runs know of each other by signs of life alone.
pub(crate) const ADDRESS: &str = "s3://play";

/// What survives every machine. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    kept: Arc<InMemory>,
    /// When each file was last written, by a clock that nobody sets.
    times: Arc<Mutex<BTreeMap<Path, Duration>>>,
    /// What has happened since somebody listened.
    told: Arc<Mutex<Vec<(MachineNumber, String)>>>,
    /// When what was written, and by whom.
    written: Arc<Mutex<Vec<(Duration, Path, Pulse)>>>,
}

impl Store {
    /// The way to it from one machine.
    pub(crate) fn from(&self, line: &Line, mutation: Option<Mutation>) -> Places {
        Self::at(Arc::new(Way { store: self.clone(), line: line.clone(), mutation }))
    }

    /// What lies there, without any fault.
    pub(crate) fn plain(&self) -> Places {
        Self::at(Arc::clone(&self.kept) as _)
    }

    /// The paths of all files there.
    pub(crate) fn files(&self) -> Vec<String> {
        let files = self.kept.list(None).map_ok(|file| file.location.to_string());
        block_on(files.try_collect()).expect("memory answers")
    }

    /// Whether there is a file of a snapshot that has no manifest.
    pub(crate) fn has_leftovers(&self) -> bool {
        let files = self.files();
        let folders = files.iter().filter_map(|file| file.split_once("/state-"));
        let mut manifests = folders.map(|(folder, _)| format!("{folder}/_metadata"));
        manifests.any(|manifest| !files.contains(&manifest))
    }

    /// Somebody deletes everything below there.
    pub(crate) fn take_away(&self, folder: &str) {
        for file in self.files().into_iter().filter(|file| file.starts_with(folder)) {
            block_on(self.kept.delete(&Path::from(file))).expect("memory answers");
        }
    }

    /// Whether there is such a file.
    pub(crate) fn has(&self, path: &str) -> bool {
        block_on(self.kept.head(&Path::from(path))).is_ok()
    }

    /// What has happened since this was asked before.
    pub(crate) fn take_told(&self) -> Vec<(MachineNumber, String)> {
        std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves all that lies in a folder to another one, or deletes it.
    pub(crate) fn move_folder(&self, from: &str, to: Option<&str>) {
        let path = |address: &str| {
            let below = address.strip_prefix(ADDRESS).unwrap_or(address);
            Path::parse(below.trim_start_matches('/')).expect("it is an address in here")
        };
        let (from, to) = (path(from), to.map(path));
        let files = self.kept.list(Some(&from)).map_ok(|file| file.location);
        let files = block_on(files.try_collect::<Vec<_>>()).expect("memory answers");
        for file in files {
            if let Some(to) = &to {
                let below = file.prefix_match(&from).expect("it lies there");
                let moved = to.parts().chain(below).collect::<Path>();
                block_on(self.kept.copy(&file, &moved)).expect("memory answers");
            }
            block_on(self.kept.delete(&file)).expect("memory answers");
        }
    }

    fn tell(&self, by: MachineNumber, what: String) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push((by, what));
    }

    fn at(store: Arc<dyn ObjectStore>) -> Places {
        let address = Address::parse(ADDRESS).expect("it is an address");
        Places::new([Place::within(store, address)])
    }

    /// Loses what a machine has written shortly before it died, as if none of it had been durable.
    pub(crate) fn lose_latest(&self, by: &Pulse, now: Duration) {
        let written = std::mem::take(&mut *self.written());
        let is_lost =
            |(at, _, writer): &(Duration, Path, Pulse)| writer.is(by) && *at + NOT_DURABLE > now;
        for (_, path, _) in written.into_iter().filter(is_lost) {
            // It may have been deleted since.
            let _ = block_on(self.kept.delete(&path));
        }
    }

    /// As a listing has it: a memory's own times are those of whoever plays.
    fn dated(&self, file: ObjectMeta) -> ObjectMeta {
        let written = self.times().get(&file.location).copied().unwrap_or_default();
        let since_epoch = Duration::from_millis(BEGIN_MILLIS as u64) + written;
        ObjectMeta { last_modified: (SystemTime::UNIX_EPOCH + since_epoch).into(), ..file }
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<Path, Duration>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Vec<(Duration, Path, Pulse)>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a store takes to keep something for good that says at once that it does.
const NOT_DURABLE: Duration = Duration::from_millis(50);

/// What a machine is handed: the store, or something that is wrong with it.
#[derive(Clone, Debug)]
struct Way {
    store: Store,
    line: Line,
    mutation: Option<Mutation>,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store of a play")
    }
}

fn failed(error: NoAnswer) -> Error {
    Error::Generic { store: "play", source: error.into() }
}

impl Way {
    async fn put(
        &self,
        path: Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let now = self.line.clock.elapsed();
        match self.mutation {
            Some(Mutation::LosesLatest) => {
                let by = self.line.pulse.clone();
                self.store.written().push((now, path.clone(), by));
            }
            Some(Mutation::AnyoneCreates) => options.mode = PutMode::Overwrite,
            _ => {}
        }
        let put = self.store.kept.put_opts(&path, payload, options).await;
        if put.is_ok() {
            self.store.times().insert(path.clone(), now);
        }
        let said = put.as_ref().map_or_else(|error| error.to_string(), |_| "written".to_owned());
        self.store.tell(self.line.number, format!("{path} {said}"));
        put
    }

    async fn delete(&self, path: Path) -> Result<Path> {
        if self.mutation == Some(Mutation::DeletesFolders) {
            let parts = path.parts().collect::<Vec<_>>();
            let folder = parts[..parts.len() - 1].iter().cloned().collect::<Path>();
            let all = self.store.kept.list(Some(&folder)).map_ok(|file| file.location);
            for file in all.try_collect::<Vec<_>>().await? {
                self.store.kept.delete(&file).await?;
            }
        }
        self.store.kept.delete(&path).await?;
        self.store.tell(self.line.number, format!("{path} deleted"));
        Ok(path)
    }

    async fn read<T>(&self, read: impl Future<Output = Result<T>>) -> Result<T> {
        self.line.read(|| read).await.map_err(failed)?
    }
}

#[async_trait]
impl ObjectStore for Way {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let (way, path) = (self.clone(), path.clone());
        let put = move || {
            let (way, path) = (way.clone(), path.clone());
            let (payload, options) = (payload.clone(), options.clone());
            async move { way.put(path, payload, options).await }
        };
        self.line.write(put).await.map_err(failed)?
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // Nothing in a play is as large.
        self.store.kept.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let result = self.read(self.store.kept.get_opts(path, options)).await?;
        Ok(GetResult { meta: self.store.dated(result.meta), ..result })
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let way = self.clone();
        let deleted = paths.then(move |path| {
            let way = way.clone();
            async move {
                let path = path?;
                let other = way.clone();
                let delete = move || {
                    let (way, path) = (other.clone(), path.clone());
                    async move { way.delete(path).await }
                };
                way.line.write(delete).await.map_err(failed)?
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (way, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            let all = way.store.kept.list(prefix.as_ref()).try_collect::<Vec<_>>();
            let all = way.read(all).await?;
            let dated = all.into_iter().map(|file| Ok(way.store.dated(file))).collect::<Vec<_>>();
            Ok(stream::iter(dated))
        };
        listed.try_flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.read(self.store.kept.list_with_delimiter(prefix)).await?;
        listed.objects = listed.objects.into_iter().map(|file| self.store.dated(file)).collect();
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.kept.copy_opts(from, to, options).await
    }
}
