//! The store as each machine reaches it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, executor::block_on, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    memory::InMemory, path::Path,
};
use tidegate_storage::{
    Address, Place, Places,
    faults::{Fault, FaultyStore, Operation},
};

use super::{
    chance::{Chance, Fate},
    clock::PlayClock,
    machine::Pulse,
    mutation::Mutation,
};

/// What the job calls it: an object store, whose runs know of each other by signs of life alone.
pub(crate) const ADDRESS: &str = "s3://play";

/// What survives every machine. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    kept: Arc<InMemory>,
    /// What has happened since somebody listened.
    told: Arc<Mutex<Vec<String>>>,
    /// When what was written, and by whom.
    written: Arc<Mutex<Vec<(Duration, Path, Pulse)>>>,
}

impl Store {
    /// The way to it from one machine: what is asked for takes a while and may fail, and nothing that a
    /// machine has asked for which is gone happens.
    pub(crate) fn from(
        &self,
        pulse: &Pulse,
        (chance, clock): (&Chance, &PlayClock),
        mutation: Option<Mutation>,
    ) -> Places {
        let decide = chance.clone();
        let decide = move |_: Operation<'_>| match decide.fate() {
            Fate::Success => Fault::None,
            Fate::Before => Fault::Before,
            Fate::After => Fault::After,
        };
        let way = Way { store: self.clone(), pulse: pulse.clone(), clock: clock.clone(), mutation };
        let (pulse, chance) = (pulse.clone(), chance.clone());
        let hold = move || {
            let (pulse, chance) = (pulse.clone(), chance.clone());
            async move {
                tokio::time::sleep(chance.delay()).await;
                if pulse.is_gone() {
                    std::future::pending::<()>().await;
                }
            }
            .boxed()
        };
        let store = FaultyStore::new(Arc::new(way), Arc::new(decide)).holding(Arc::new(hold));
        Self::at(Arc::new(store))
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

    /// What has happened since this was asked before.
    pub(crate) fn take_told(&self) -> Vec<String> {
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

    fn tell(&self, what: String) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(what);
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

    fn written(&self) -> MutexGuard<'_, Vec<(Duration, Path, Pulse)>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a store takes to keep something for good that says at once that it does.
const NOT_DURABLE: Duration = Duration::from_millis(50);

/// What a machine is handed: the store, or something that is wrong with it.
#[derive(Debug)]
struct Way {
    store: Store,
    pulse: Pulse,
    clock: PlayClock,
    mutation: Option<Mutation>,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store of a play")
    }
}

impl Way {
    fn kept(&self) -> &InMemory {
        &self.store.kept
    }
}

#[async_trait]
impl ObjectStore for Way {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        match self.mutation {
            Some(Mutation::LosesLatest) => {
                let (now, by) = (self.clock.elapsed(), self.pulse.clone());
                self.store.written().push((now, path.clone(), by));
            }
            Some(Mutation::AnyoneCreates) => options.mode = PutMode::Overwrite,
            _ => {}
        }
        let put = self.kept().put_opts(path, payload, options).await;
        let said = put.as_ref().map_or_else(|error| error.to_string(), |_| "written".to_owned());
        self.store.tell(format!("{path} {said}"));
        put
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.kept().put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.kept().get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        if self.mutation != Some(Mutation::DeletesFolders) {
            let store = self.store.clone();
            let told = paths.inspect_ok(move |path| store.tell(format!("{path} deleted")));
            return self.kept().delete_stream(told.boxed());
        }
        let kept = Arc::clone(&self.store.kept);
        let deleted = paths.then(move |path| {
            let kept = Arc::clone(&kept);
            async move {
                let path = path?;
                let parts = path.parts().collect::<Vec<_>>();
                let folder = parts[..parts.len() - 1].iter().cloned().collect::<Path>();
                let all = kept.list(Some(&folder)).map_ok(|file| file.location);
                for file in all.try_collect::<Vec<_>>().await? {
                    kept.delete(&file).await?;
                }
                Ok(path)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.kept().list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.kept().list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.kept().copy_opts(from, to, options).await
    }
}
