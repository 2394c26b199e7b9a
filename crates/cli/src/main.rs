//! The `tidegate` command: runs clusters and talks to them, with Flink's verbs, flags, output and
//! exit codes.
//!
//! | module | what it holds |
//! |---|---|
//! | `arguments` | the command line |
//! | `client` | the JobManager's REST API, as a client |
//! | `commands` | a function per verb |
//!
//! Exit codes: 0 for success, 1 for a failure or a command line that is wrong.

#![expect(clippy::print_stdout, reason = "a command's output goes to standard output")]

mod arguments;
mod client;
mod commands;

use std::process::ExitCode;

use crate::commands::{Failure, run};

fn main() -> ExitCode {
    let arguments = arguments::normalised(std::env::args().skip(1));
    let matches = match arguments::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return arguments::explain(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&matches)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Arguments(message)) => {
            println!("{message}\n\n{}", arguments::HINT);
            ExitCode::FAILURE
        }
        Err(Failure::Other(error)) => {
            if matches.subcommand().is_some_and(|(_, own)| own.get_flag("verbose")) {
                eprintln!("error: {error:#}");
            } else {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
