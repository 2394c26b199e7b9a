//! A store that fails on demand: a decorator over a real one.
//!
//! A fault either keeps an operation from happening, or lets it happen and reports failure all the
//! same. For two-phase commit the difference is everything. Operations can be held up as well, so
//! that a test decides in which order those of several writers come.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// A file is written.
    Put(&'a str),
    /// A file is read, or looked for.
    Get(&'a str),
    /// The files below a folder are listed.
    List(&'a str),
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is done.
    None,
    /// It is not done, and that is reported.
    Before,
    /// It is done, and failure is reported.
    After,
}

/// Decides on faults.
pub type Decide = Arc<dyn Fn(Operation<'_>) -> Fault + Send + Sync>;

/// Holds an operation up before it is done: until the future is ready.
pub type Hold = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Is told of the range of every read that is made; `None` for all of a file.
pub type Note = Arc<dyn Fn(Option<Range<u64>>) + Send + Sync>;

/// A store with faults.
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    decide: Decide,
    hold: Option<Hold>,
    note: Option<Note>,
}

impl FaultyStore {
    /// `inner`, failing as `decide` says.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, decide: Decide) -> Self {
        Self { inner, decide, hold: None, note: None }
    }

    /// The same, and every operation is held up.
    #[must_use]
    pub fn holding(self, hold: Hold) -> Self {
        Self { hold: Some(hold), ..self }
    }

    /// The same, and `note` is told what is read.
    #[must_use]
    pub fn noting(self, note: Note) -> Self {
        Self { note: Some(note), ..self }
    }

    async fn held(&self) {
        if let Some(hold) = &self.hold {
            hold().await;
        }
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultyStore").field(&self.inner).finish()
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

fn injected() -> Error {
    Error::Generic { store: "faulty", source: "an injected fault".into() }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.held().await;
        match (self.decide)(Operation::Put(location.as_ref())) {
            Fault::None => self.inner.put_opts(location, payload, opts).await,
            Fault::Before => Err(injected()),
            Fault::After => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(injected())
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        match (self.decide)(Operation::Put(location.as_ref())) {
            Fault::None => self.inner.put_multipart_opts(location, opts).await,
            Fault::Before | Fault::After => Err(injected()),
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.held().await;
        if let Some(note) = self.note.as_ref().filter(|_| !options.head) {
            note(match &options.range {
                Some(GetRange::Bounded(range)) => Some(range.clone()),
                _ => None,
            });
        }
        match (self.decide)(Operation::Get(location.as_ref())) {
            Fault::None => self.inner.get_opts(location, options).await,
            Fault::Before | Fault::After => Err(injected()),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let Some(hold) = self.hold.clone() else { return self.inner.delete_stream(locations) };
        let held = locations.then(move |location| {
            let held = hold();
            async move {
                held.await;
                location
            }
        });
        self.inner.delete_stream(held.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let name = prefix.map_or("", |prefix| prefix.as_ref());
        if (self.decide)(Operation::List(name)) != Fault::None {
            return stream::once(async { Err(injected()) }).boxed();
        }
        let Some(hold) = &self.hold else { return self.inner.list(prefix) };
        let (held, inner, prefix) = (hold(), Arc::clone(&self.inner), prefix.cloned());
        stream::once(held).flat_map(move |()| inner.list(prefix.as_ref())).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
