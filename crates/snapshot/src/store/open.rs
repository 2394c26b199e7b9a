//! From an address to a store.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory, path::Path};
use url::Url;

use super::SnapshotStore;
use crate::StoreError;

/// Opens the store at `url`. A local folder is made if `create` says so and it is not there.
pub(super) fn store(url: &str, create: bool) -> Result<SnapshotStore, StoreError> {
    let address = |problem: String| StoreError::Address { url: url.to_owned(), problem };
    let Some((scheme, rest)) = url.split_once("://") else {
        return local(PathBuf::from(url), create).map_err(address);
    };
    match scheme {
        "file" => {
            let parsed = Url::parse(url).map_err(|error| address(error.to_string()))?;
            let path = parsed.to_file_path();
            let path = path.map_err(|()| address("expected file:///a/b".to_owned()))?;
            local(path, create).map_err(address)
        }
        "memory" => Ok(memory(rest.trim_end_matches('/'))),
        _ => remote(url).map_err(address),
    }
}

fn local(path: PathBuf, create: bool) -> Result<SnapshotStore, String> {
    if create {
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot make it: {error}"))?;
    }
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    let store = LocalFileSystem::new_with_prefix(&path).map_err(|error| error.to_string())?;
    // A completed checkpoint survives the loss of power; empty folders of deleted ones go.
    let store = store.with_fsync(true).with_automatic_cleanup(true);
    let name = path.display().to_string();
    Ok(SnapshotStore { store: Arc::new(store), base: Path::default(), root: Some(path), name })
}

/// One store per name in this process, so that a later attempt finds what an earlier one wrote.
fn memory(name: &str) -> SnapshotStore {
    static STORES: OnceLock<Mutex<BTreeMap<String, Arc<InMemory>>>> = OnceLock::new();
    let stores = STORES.get_or_init(Mutex::default);
    let mut stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
    // `memory://name/below`: the first part names the store, the rest is a folder in it.
    let (root, below) = name.split_once('/').unwrap_or((name, ""));
    let store: Arc<dyn ObjectStore> = Arc::clone(stores.entry(root.to_owned()).or_default()) as _;
    SnapshotStore { store, base: Path::from(below), root: None, name: format!("memory://{name}") }
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
