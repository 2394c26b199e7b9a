//! Folders in stores: opened once, and handed on as values.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use object_store::{
    ObjectStore, local::LocalFileSystem, memory::InMemory, path::Path as StorePath,
};
use url::Url;

use crate::{Address, StoreError};

/// A folder in a store. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    path: StorePath,
    address: Address,
    /// The folder that the store begins in, on this machine's disk.
    root: Option<Arc<Path>>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.address).finish()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Place {
    /// Opens a folder, which is made if need be, or the URL of an object store: `file://`,
    /// `memory://`, and with the feature of that name `s3://`.
    ///
    /// # Errors
    ///
    /// When the address is not one, or the folder can't be made.
    pub fn open(text: &str) -> Result<Self, StoreError> {
        let address = Address::parse(text)?;
        if let Some(folder) = address.local() {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| invalid(&address, format!("cannot make it: {error}")))?;
        }
        Self::at(address)
    }

    /// What lies at an address. Nothing is made, and need not be there: a local folder comes with
    /// the first file that is written into it.
    ///
    /// # Errors
    ///
    /// When there is no such store, or something else than a folder is there.
    pub fn at(address: Address) -> Result<Self, StoreError> {
        let mut root = None;
        let opened = if let Some(folder) = address.local() {
            root = Some(Arc::from(root_of(folder)));
            local(folder)
        } else if let Some((name, below)) = address.memory() {
            Ok((memory(name), below.clone()))
        } else if let Some(url) = address.url() {
            remote(url)
        } else {
            Err("it is of no kind".to_owned())
        };
        let (store, path) = opened.map_err(|problem| invalid(&address, problem))?;
        Ok(Self { store, path, address, root })
    }

    /// What lies at an address of an object store, in a store that is open already.
    #[must_use]
    pub fn within(store: Arc<dyn ObjectStore>, address: Address) -> Self {
        let path = address.url().map(Url::path).unwrap_or_default();
        let path = StorePath::from_url_path(path).unwrap_or_default();
        Self { store, path, address, root: None }
    }

    /// The same place, with every operation going through `decorate`, for tests.
    #[must_use]
    pub fn decorated(
        &self,
        decorate: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Self {
        Self { store: decorate(Arc::clone(&self.store)), ..self.clone() }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where it lies on this machine's disk, if it does.
    #[must_use]
    pub fn local(&self) -> Option<&Path> {
        self.address.local()
    }

    /// Whether both are one folder, under whatever names: links on this machine's disk are followed.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let real = |place: &Self| place.local()?.canonicalize().ok();
        self.address == other.address || (real(self).is_some() && real(self) == real(other))
    }

    /// The folder of that name in here; of several names, parted by `/`, below.
    #[must_use]
    pub fn folder(&self, name: &str) -> Self {
        let parts = name.split('/').filter(|part| !part.is_empty());
        let path = parts.fold(self.path.clone(), |path, part| path.join(part));
        Self { path, address: self.address.join(name), ..self.clone() }
    }

    /// What lies at an address, if that is here or below.
    #[must_use]
    pub fn locate(&self, address: &Address) -> Option<Self> {
        let way = address.within(&self.address)?;
        let path = way.iter().fold(self.path.clone(), |path, part| join(&path, part));
        Some(Self { path, address: address.clone(), ..self.clone() })
    }

    /// Where it lies on this machine's disk under the name that the store gives it.
    pub(crate) fn on_disk(&self) -> Option<PathBuf> {
        Some(self.root.as_ref()?.join(self.path.as_ref()))
    }

    /// The names of the folders in here.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn folders(&self) -> Result<Vec<String>, StoreError> {
        let prefix = (!self.path.as_ref().is_empty()).then_some(&self.path);
        let listing = match self.store.list_with_delimiter(prefix).await {
            Ok(listing) => listing,
            Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::failed("list", self, error)),
        };
        let name = |path: &StorePath| path.parts().next_back().map(|part| part.as_ref().to_owned());
        Ok(listing.common_prefixes.iter().filter_map(name).collect())
    }

    /// The store that it lies in.
    #[must_use]
    pub fn store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
    }

    /// Its path in there.
    #[must_use]
    pub fn path(&self) -> &StorePath {
        &self.path
    }

    /// A file in here, for the store and for a person.
    #[must_use]
    pub fn file(&self, name: &str) -> (StorePath, String) {
        let path = name.split('/').fold(self.path.clone(), |path, part| path.join(part));
        (path, format!("{}/{name}", self.address))
    }
}

/// Some places that are open already, and from them the way to any other: what a text stands for
/// is found here, by writers, readers and deleters alike.
#[derive(Clone, Debug, Default)]
pub struct Places(Vec<Place>);

impl Places {
    /// Knows `places`.
    #[must_use]
    pub fn new(places: impl IntoIterator<Item = Place>) -> Self {
        Self(places.into_iter().collect())
    }

    /// As [`Place::open`], unless it is in one of the places that are open already.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open(&self, text: &str) -> Result<Place, StoreError> {
        match self.known(&Address::parse(text)?) {
            Some(place) => Ok(place),
            None => Place::open(text),
        }
    }

    /// As [`Place::at`], unless it is in one of the places that are open already.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn at(&self, address: Address) -> Result<Place, StoreError> {
        match self.known(&address) {
            Some(place) => Ok(place),
            None => Place::at(address),
        }
    }

    /// These and others; what is in both is found in these.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.0.extend(others.0.iter().cloned());
        self
    }

    fn known(&self, address: &Address) -> Option<Place> {
        self.0.iter().find_map(|place| place.locate(address))
    }

    /// The folder that a path or URL stands for: in one of the places that are open, or anywhere
    /// else. Nothing is made, and need not be there.
    ///
    /// # Errors
    ///
    /// When it is no address, or there is no such store.
    pub fn find(&self, text: &str) -> Result<Place, StoreError> {
        let address = Address::parse(text)?;
        self.at(address)
    }
}

fn invalid(address: &Address, problem: String) -> StoreError {
    StoreError::Address { url: address.to_string(), problem }
}

/// A part as it is: no store but that of this machine's disk has such as need to be told apart.
fn join(path: &StorePath, part: &str) -> StorePath {
    StorePath::parse(format!("{path}/{part}")).unwrap_or_else(|_| path.clone().join(part))
}

type Opened = (Arc<dyn ObjectStore>, StorePath);

/// The deepest folder that is there.
fn root_of(folder: &Path) -> &Path {
    folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

/// The store's root is the deepest folder that is there.
fn local(folder: &Path) -> Result<Opened, String> {
    let root = root_of(folder);
    if !root.is_dir() {
        return Err(format!("'{}' is no folder", root.display()));
    }
    let store = LocalFileSystem::new_with_prefix(root).map_err(|error| error.to_string())?;
    // A completed checkpoint survives the loss of power; empty folders of deleted ones go.
    let store = store.with_fsync(true).with_automatic_cleanup(true);
    let below = folder.strip_prefix(root).unwrap_or(Path::new(""));
    let below = below.to_str().ok_or("its name is not in UTF-8")?;
    let path = StorePath::parse(below).map_err(|error| error.to_string())?;
    Ok((Arc::new(store), path))
}

/// One store per name in this process, so that a later attempt finds what an earlier one wrote.
fn memory(name: &str) -> Arc<dyn ObjectStore> {
    static STORES: OnceLock<Mutex<BTreeMap<String, Arc<InMemory>>>> = OnceLock::new();
    let stores = STORES.get_or_init(Mutex::default);
    let mut stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(stores.entry(name.to_owned()).or_default()) as _
}

/// Everything else is for `object_store` to know, configured by its own environment variables.
fn remote(url: &Url) -> Result<Opened, String> {
    let variables = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
    let (store, path) = object_store::parse_url_opts(url, variables).map_err(|error| {
        let feature = match url.scheme() {
            "s3" | "s3a" => "; this needs the feature `s3`, of `tidegate` in a job, of `tidegate-cli` for the command",
            _ => "",
        };
        format!("{error}{feature}")
    })?;
    Ok((store.into(), path))
}
