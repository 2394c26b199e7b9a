//! Small files beside snapshots, of which each is written once by one of many.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path,
};

use super::SnapshotStore;
use crate::StoreError;

/// A folder of small files. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    store: Arc<dyn ObjectStore>,
    path: Path,
    name: String,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Records").field(&self.name).finish()
    }
}

impl SnapshotStore {
    /// The records in the folder at a path relative to this place.
    #[must_use]
    pub fn records(&self, relative: &str) -> Records {
        let parts = relative.split('/').filter(|part| !part.is_empty());
        let path = parts.fold(self.base.clone(), |path, part| path.join(part));
        Records { store: Arc::clone(&self.store), path, name: format!("{}/{relative}", self.name) }
    }
}

impl Records {
    fn failed(&self, operation: &'static str, name: &str, error: Error) -> StoreError {
        StoreError::failed(operation, format!("{}/{name}", self.name), error)
    }

    /// Writes a record unless there is one of that name; tells whether it did. Of many who do so at
    /// once, one does.
    ///
    /// # Errors
    ///
    /// When the store does not answer: it may have happened.
    pub async fn create(&self, name: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let path = self.path.clone().join(name);
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&path, PutPayload::from_bytes(bytes), options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.failed("write", name, error)),
        }
    }

    /// A record, `None` if there is none of that name.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn read(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let path = self.path.clone().join(name);
        let read = async { self.store.get(&path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }

    /// The names of all records, in order. Those in folders below are not among them.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn names(&self) -> Result<Vec<String>, StoreError> {
        let listed = self.store.list(Some(&self.path)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| self.failed("list", "", error))?;
        let below = |path: &Path| {
            let mut parts = path.prefix_match(&self.path)?;
            let name = parts.next()?.as_ref().to_owned();
            parts.next().is_none().then_some(name)
        };
        let mut names = listed.iter().filter_map(|file| below(&file.location)).collect::<Vec<_>>();
        names.sort();
        Ok(names)
    }

    /// Deletes a record; one that is not there is deleted already.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.path.clone().join(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", name, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exercise(store: SnapshotStore) {
        let records = store.records("cluster/leader");
        assert_eq!(records.names().await.expect("answers"), <[String; 0]>::default());
        assert!(records.create("2", "b".into()).await.expect("answers"));
        assert!(records.create("1", "a".into()).await.expect("answers"));
        assert!(!records.create("1", "c".into()).await.expect("answers"), "it is there");
        let below = store.records("cluster/leader/below");
        assert!(below.create("x", "y".into()).await.expect("answers"));
        assert_eq!(records.names().await.expect("answers"), ["1", "2"]);
        assert_eq!(records.read("1").await.expect("answers"), Some("a".into()));
        records.remove("1").await.expect("answers");
        records.remove("1").await.expect("it is gone already");
        assert_eq!(records.read("1").await.expect("answers"), None);
    }

    #[tokio::test]
    async fn a_record_is_written_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let local = SnapshotStore::open(&folder.path().display().to_string());
        exercise(local.expect("opens")).await;
        exercise(SnapshotStore::open("memory://records").expect("opens")).await;
    }
}
