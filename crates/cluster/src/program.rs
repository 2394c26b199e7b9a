//! Starts programs whose life is bound to that of this process: job processes, and binaries that
//! describe their jobs.
//!
//! A program that is started here is told by `TIDEGATE_PARENT` who has started it, and has the kernel
//! end it when that one ends, however it ends ([`tidegate_runtime::PARENT_VARIABLE`]).
//!
//! # Invariants
//!
//! - INV-OWN: a program does not get to know what the cluster's processes know each other by, nor what
//!   its clients show: of the environment it gets the rest.
//! - INV-BOUND: programs are started by a thread that lives as long as this process: to the kernel a
//!   program's parent is the thread that has started it, and Tokio's threads come and go.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{OnceLock, mpsc},
    time::Duration,
};

use tidegate_runtime::PARENT_VARIABLE;
use tidegate_types::options::is_of_cluster;
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
};

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
pub(crate) async fn spawn(mut command: Command) -> io::Result<Child> {
    command.env(PARENT_VARIABLE, std::process::id().to_string());
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(is_of_cluster) {
            command.env_remove(variable);
        }
    }
    let give_up = tokio::time::Instant::now() + PATIENCE;
    loop {
        let spawned;
        (command, spawned) = spawn_once(command).await?;
        match spawned {
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

/// Tries it once, on the thread that lives as long as this process (INV-BOUND).
async fn spawn_once(mut command: Command) -> io::Result<(Command, io::Result<Child>)> {
    let (tokio, (reply, answer)) = (Handle::current(), oneshot::channel());
    let task = Box::new(move || {
        let _entered = tokio.enter();
        let spawned = command.spawn();
        // Who has given up waiting drops the child, and ends it by that.
        let _ = reply.send((command, spawned));
    });
    let gone = || io::Error::other("the thread that starts programs is gone");
    spawner()?.send(task).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())
}

type Task = Box<dyn FnOnce() + Send>;

/// What the thread that starts programs is to do.
fn spawner() -> io::Result<&'static mpsc::Sender<Task>> {
    static TASKS: OnceLock<io::Result<mpsc::Sender<Task>>> = OnceLock::new();
    let tasks = TASKS.get_or_init(|| {
        let (sender, tasks) = mpsc::channel::<Task>();
        let work = move || {
            for task in tasks {
                // Without this thread all that it has started would be ended: it outlives a panic,
                // whose task drops its reply.
                let _ = catch_unwind(AssertUnwindSafe(task));
            }
        };
        std::thread::Builder::new().name("tidegate-spawner".to_owned()).spawn(work)?;
        Ok(sender)
    });
    tasks.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))
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
        let (spawned, ()) = tokio::join!(spawn(command), close);
        let status = spawned.expect("it starts").wait().await.expect("it ends");
        assert!(status.success());
    }
}
