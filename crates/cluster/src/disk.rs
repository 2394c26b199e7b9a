//! The disk of a JobManager or a TaskManager, as far as binaries are kept on it. It is handed in: a
//! simulation has one that forgets and fails.

use std::{
    fmt, io,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use futures::{FutureExt, future::BoxFuture};
use tidegate_types::Timestamp;
use tokio::io::{AsyncRead, AsyncWriteExt};

/// A file as its folder tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// How long it is, in bytes.
    pub bytes: u64,
    /// When it was last written.
    pub modified: Timestamp,
}

/// What can be read of a file.
pub type Content = Box<dyn AsyncRead + Send + Unpin>;

/// Files and folders. What takes as long as its file does not hold its caller's thread up.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a folder, and those above it; one that is there stays as it is.
    ///
    /// # Errors
    ///
    /// What the disk says, here and below.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// The names of what lies in a folder, in order.
    ///
    /// # Errors
    ///
    /// When there is none.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// What there is to say of a file.
    ///
    /// # Errors
    ///
    /// When there is none.
    fn find(&self, file: &Path) -> io::Result<Found>;

    /// What stands in a short file.
    ///
    /// # Errors
    ///
    /// When there is none, or it is no text.
    fn text(&self, file: &Path) -> io::Result<String>;

    /// Writes a short file.
    ///
    /// # Errors
    ///
    /// When there is no folder for it, or no room.
    fn write_text(&self, file: &Path, text: &str) -> io::Result<()>;

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// When there is none.
    fn open<'a>(&'a self, file: &'a Path) -> BoxFuture<'a, io::Result<Content>>;

    /// Begins a program's file, which must not be there.
    ///
    /// # Errors
    ///
    /// When it is, or there is no folder for it.
    fn create<'a>(&'a self, file: &'a Path) -> BoxFuture<'a, io::Result<Box<dyn NewProgram>>>;

    /// Moves a file, or a folder to where there is none.
    ///
    /// # Errors
    ///
    /// When there is one, or nothing to move.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    ///
    /// When there is none.
    fn remove_file(&self, file: &Path) -> io::Result<()>;

    /// Deletes a folder with all that lies in it.
    ///
    /// # Errors
    ///
    /// When there is none.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;
}

/// A program's file that is being written.
pub trait NewProgram: Send {
    /// Writes more of it.
    ///
    /// # Errors
    ///
    /// When there is no room.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, io::Result<()>>;

    /// Nothing more comes: it survives the loss of power, and can be run.
    ///
    /// # Errors
    ///
    /// When that can't be had.
    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>>;
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

#[expect(clippy::disallowed_methods, reason = "this is the disk that is handed in")]
impl Disk for SystemDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(folder)?.flatten();
        // A name that is no text is none of ours.
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names = names.collect::<Vec<_>>();
        names.sort();
        Ok(names)
    }

    fn find(&self, file: &Path) -> io::Result<Found> {
        let metadata = std::fs::metadata(file)?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let since_epoch =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let modified = Timestamp(metadata.modified().map_or(0, since_epoch) as u64);
        Ok(Found { bytes: metadata.len(), modified })
    }

    fn text(&self, file: &Path) -> io::Result<String> {
        std::fs::read_to_string(file)
    }

    fn write_text(&self, file: &Path, text: &str) -> io::Result<()> {
        std::fs::write(file, text)
    }

    fn open<'a>(&'a self, file: &'a Path) -> BoxFuture<'a, io::Result<Content>> {
        async move { Ok(Box::new(tokio::fs::File::open(file).await?) as Content) }.boxed()
    }

    fn create<'a>(&'a self, file: &'a Path) -> BoxFuture<'a, io::Result<Box<dyn NewProgram>>> {
        async move {
            let file = tokio::fs::File::create_new(file).await?;
            Ok(Box::new(SystemProgram(file)) as Box<dyn NewProgram>)
        }
        .boxed()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, file: &Path) -> io::Result<()> {
        std::fs::remove_file(file)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(folder)
    }
}

struct SystemProgram(tokio::fs::File);

impl NewProgram for SystemProgram {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        self.0.write_all(bytes).boxed()
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        async move {
            self.0.flush().await?;
            self.0.sync_all().await?;
            self.0.set_permissions(std::fs::Permissions::from_mode(0o755)).await
        }
        .boxed()
    }
}
