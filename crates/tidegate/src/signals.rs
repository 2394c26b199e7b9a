//! What signals do to a job that runs in the foreground.

use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};
use tidegate_runtime::JobHandle;

/// The exit code of a process that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// SIGUSR1 takes a savepoint; SIGINT and SIGTERM cancel the job, and the second one ends the process
/// at once.
pub(crate) fn watch(handle: &JobHandle) {
    let mut signals = match Signals::new([SIGINT, SIGTERM, SIGUSR1]) {
        Ok(signals) => signals,
        Err(error) => {
            tracing::warn!(%error, "signals are not handled");
            return;
        }
    };
    let handle = handle.clone();
    let watch = move || {
        let mut cancelled = false;
        for signal in signals.forever() {
            if signal == SIGUSR1 {
                savepoint(handle.clone());
            } else if std::mem::replace(&mut cancelled, true) {
                std::process::exit(INTERRUPTED);
            } else {
                eprintln!("cancelling the job; once more ends it at once");
                handle.cancel();
            }
        }
    };
    let thread = std::thread::Builder::new().name("tidegate-signals".to_owned()).spawn(watch);
    if let Err(error) = thread {
        tracing::warn!(%error, "signals are not handled");
    }
}

/// On a thread of its own, so that Ctrl-C still works while it is taken.
fn savepoint(handle: JobHandle) {
    std::thread::spawn(move || match handle.savepoint_blocking(None) {
        Ok(path) => eprintln!("savepoint completed: {path}"),
        Err(reason) => eprintln!("savepoint failed: {reason}"),
    });
}
