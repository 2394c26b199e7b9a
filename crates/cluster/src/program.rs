//! Starts a binary that this process may have written a moment ago.

use std::{io, time::Duration};

use tokio::process::{Child, Command};

/// How long a binary may be busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before it is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// Starts `command`, once its binary can be run.
///
/// Linux runs no file that anybody has open for writing (ETXTBSY). The writer here has closed it
/// long since; but a process that another thread was starting meanwhile has got a copy of the open
/// file, and holds it until it runs its own program, a few microseconds later.
///
/// # Errors
///
/// What the operating system says.
pub(crate) async fn spawn(command: &mut Command) -> io::Result<Child> {
    let give_up = tokio::time::Instant::now() + PATIENCE;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && tokio::time::Instant::now() < give_up =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            spawned => return spawned,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write, os::unix::fs::PermissionsExt};

    use super::*;

    #[tokio::test]
    async fn a_binary_that_somebody_still_writes_is_started_as_soon_as_it_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("program");
        let mut file = File::create(&path).expect("created");
        file.write_all(&std::fs::read("/bin/true").expect("it is there")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
        let mut command = Command::new(&path);
        let busy = command.spawn().expect_err("it is open");
        assert_eq!(busy.kind(), io::ErrorKind::ExecutableFileBusy);
        let close = async {
            tokio::time::sleep(PAUSE * 4).await;
            drop(file);
        };
        let (spawned, ()) = tokio::join!(spawn(&mut command), close);
        let status = spawned.expect("it starts").wait().await.expect("it ends");
        assert!(status.success());
    }
}
