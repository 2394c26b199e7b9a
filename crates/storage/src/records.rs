//! Small files beside snapshots, of which each is written once by one of many.

use std::{
    fmt,
    fs::{DirBuilder, Permissions},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path};

use crate::{Place, StoreError};

/// A folder of small files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Records(Place);

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Place {
    /// The records in the folder of that name in here.
    #[must_use]
    pub fn records(&self, name: &str) -> Records {
        Records(self.folder(name))
    }
}

impl Records {
    fn failed(&self, operation: &'static str, name: &str, error: Error) -> StoreError {
        StoreError::failed(operation, format!("{}/{name}", self.0), error)
    }

    /// Writes a record unless there is one of that name; tells whether it did. Of many who do so at
    /// once, one does.
    ///
    /// # Errors
    ///
    /// When the store does not answer: it may have happened.
    pub async fn create(&self, name: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let path = self.0.path().clone().join(name);
        let options = PutOptions::from(PutMode::Create);
        match self.0.store().put_opts(&path, PutPayload::from_bytes(bytes), options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.failed("write", name, error)),
        }
    }

    /// As [`Records::create`], for what holds secrets: on a local disk nobody but its owner reads it.
    /// What an object store shows to whom is its own affair.
    ///
    /// # Errors
    ///
    /// As there, and when the file can't be kept from others; it is deleted then.
    pub async fn create_private(&self, name: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let folder = self.0.on_disk();
        if let Some(folder) = &folder {
            // One that is there stays as it is; what is wrong otherwise the write itself says.
            let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        }
        if !self.create(name, bytes).await? {
            return Ok(false);
        }
        if let Some(folder) = &folder {
            let file = folder.join(Path::from(name).as_ref());
            let protected = std::fs::set_permissions(&file, Permissions::from_mode(0o600));
            if let Err(source) = protected {
                self.remove(name).await?;
                let error = Error::Generic { store: "LocalFileSystem", source: source.into() };
                return Err(self.failed("protect", name, error));
            }
        }
        Ok(true)
    }

    /// A record, `None` if there is none of that name.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn read(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let path = self.0.path().clone().join(name);
        let read = async { self.0.store().get(&path).await?.bytes().await };
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
        let listed = self.0.store().list(Some(self.0.path())).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| self.failed("list", "", error))?;
        let below = |path: &Path| {
            let mut parts = path.prefix_match(self.0.path())?;
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
        match self.0.store().delete(&self.0.path().clone().join(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", name, error)),
        }
    }

    /// Deletes all of them. Those in folders below stay.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn remove_all(&self) -> Result<(), StoreError> {
        for name in self.names().await? {
            self.remove(&name).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exercise(store: Place) {
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
        let local = Place::open(&folder.path().display().to_string());
        exercise(local.expect("opens")).await;
        exercise(Place::open("memory://records").expect("opens")).await;
    }

    #[tokio::test]
    async fn what_holds_secrets_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let local = Place::open(&folder.path().display().to_string()).expect("opens");
        let records = local.records("a # b/jobs");
        assert!(records.create_private("1", "a".into()).await.expect("answers"));
        assert!(!records.create_private("1", "b".into()).await.expect("answers"));
        assert_eq!(records.read("1").await.expect("answers"), Some("a".into()));
        let file = records.0.on_disk().expect("it is on a disk").join("1");
        let mode = std::fs::metadata(file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let memory = Place::open("memory://private").expect("opens").records("jobs");
        assert!(memory.create_private("1", "a".into()).await.expect("answers"));
    }
}
