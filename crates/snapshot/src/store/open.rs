//! From an address to a store.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use object_store::{
    ObjectStore, local::LocalFileSystem, memory::InMemory, path::Path as StorePath,
};
use url::Url;

use super::SnapshotStore;
use crate::{SnapshotError, StoreError, manifest::METADATA};

/// An address, taken apart.
enum Address<'a> {
    /// A path, or a `file://` URL.
    Local(PathBuf),
    /// `memory://` and this.
    Memory(&'a str),
    /// Any other URL.
    Remote,
}

fn address(url: &str) -> Result<Address<'_>, StoreError> {
    let invalid = |problem: String| StoreError::Address { url: url.to_owned(), problem };
    match url.split_once("://") {
        None => Ok(Address::Local(PathBuf::from(url))),
        Some(("file", _)) => {
            let parsed = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
            let path = parsed.to_file_path();
            path.map(Address::Local).map_err(|()| invalid("expected file:///a/b".to_owned()))
        }
        Some(("memory", rest)) => Ok(Address::Memory(rest.trim_end_matches('/'))),
        Some(_) => Ok(Address::Remote),
    }
}

/// Opens the store at `url`; a local folder is made if it is not there.
pub(super) fn store(url: &str) -> Result<SnapshotStore, StoreError> {
    let invalid = |problem: String| StoreError::Address { url: url.to_owned(), problem };
    match address(url)? {
        Address::Local(path) => {
            let made = std::fs::create_dir_all(&path);
            made.map_err(|error| invalid(format!("cannot make it: {error}")))?;
            local(&path).map_err(invalid)
        }
        Address::Memory(name) => Ok(memory(name)),
        Address::Remote => remote(url).map_err(invalid),
    }
}

/// Opens the folder of the snapshot that `text` is the address of, or of the `_metadata` in it.
pub(super) fn snapshot(text: &str) -> Result<SnapshotStore, SnapshotError> {
    let invalid = |problem: String| StoreError::Address { url: text.to_owned(), problem };
    match address(text)? {
        Address::Local(path) => {
            let folder = local_folder(&path);
            if !folder.is_dir() {
                return Err(SnapshotError::NoSuchFolder { path: text.to_owned() });
            }
            Ok(local(folder).map_err(invalid)?)
        }
        Address::Memory(name) => Ok(memory(remote_folder(name))),
        Address::Remote => Ok(remote(remote_folder(text)).map_err(invalid)?),
    }
}

/// Leaves out a last component `_metadata`, unless a folder bears that name.
fn local_folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if path.ends_with(METADATA) && !path.is_dir() => {
            if parent.as_os_str().is_empty() { Path::new(".") } else { parent }
        }
        _ => path,
    }
}

fn remote_folder(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    match url.rsplit_once('/') {
        Some((folder, METADATA)) => folder,
        _ => url,
    }
}

/// Opens a folder that is there.
fn local(path: &Path) -> Result<SnapshotStore, String> {
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    let store = LocalFileSystem::new_with_prefix(&path).map_err(|error| error.to_string())?;
    // A completed checkpoint survives the loss of power; empty folders of deleted ones go.
    let store = store.with_fsync(true).with_automatic_cleanup(true);
    let name = path.display().to_string();
    Ok(SnapshotStore { store: Arc::new(store), base: StorePath::default(), root: Some(path), name })
}

/// One store per name in this process, so that a later attempt finds what an earlier one wrote.
fn memory(name: &str) -> SnapshotStore {
    static STORES: OnceLock<Mutex<BTreeMap<String, Arc<InMemory>>>> = OnceLock::new();
    let stores = STORES.get_or_init(Mutex::default);
    let mut stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
    // `memory://name/below`: the first part names the store, the rest is a folder in it.
    let (root, below) = name.split_once('/').unwrap_or((name, ""));
    let store: Arc<dyn ObjectStore> = Arc::clone(stores.entry(root.to_owned()).or_default()) as _;
    SnapshotStore {
        store,
        base: StorePath::from(below),
        root: None,
        name: format!("memory://{name}"),
    }
}

/// Everything else is for `object_store` to know, configured by its own environment variables.
fn remote(url: &str) -> Result<SnapshotStore, String> {
    let parsed = Url::parse(url).map_err(|error| error.to_string())?;
    let variables = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
    let (store, base) = object_store::parse_url_opts(&parsed, variables).map_err(|error| {
        let feature = match parsed.scheme() {
            "s3" | "s3a" => "; this needs the feature `s3` of tidegate",
            _ => "",
        };
        format!("{error}{feature}")
    })?;
    let name = url.trim_end_matches('/').to_owned();
    Ok(SnapshotStore { store: store.into(), base, root: None, name })
}
