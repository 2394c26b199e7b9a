//! The `tidegate` command: runs clusters and talks to them, with Flink's verbs, flags, output and
//! exit codes.
//!
//! | module | what it holds |
//! |---|---|
//! | `arguments` | the command line |
//! | `client` | the JobManager's REST API, as a client |
//! | `commands` | a function per verb |
//!
//! Exit codes: 0 for success, 1 for a failure or a command line that is wrong, 31 if the options can't
//! be read, as in Flink. Servers: 143 if SIGTERM has ended them, 3 if another JobManager has taken over.

#![expect(clippy::print_stdout, reason = "a command's output goes to standard output")]

mod arguments;
mod client;
mod commands;

use std::process::ExitCode;

use clap::ArgMatches;
use tidegate_terminal::HINT;

use crate::commands::{Failure, run};

/// The exit code of a command that has not got as far as doing anything.
const NOTHING_DONE: u8 = 31;

fn main() -> ExitCode {
    let arguments = arguments::normalised(std::env::args_os().skip(1));
    let matches = match arguments::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return arguments::explain(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(NOTHING_DONE);
        }
    };
    match runtime.block_on(run(&matches)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Arguments(message)) => {
            println!("{message}\n\n{HINT}");
            ExitCode::FAILURE
        }
        Err(Failure::Configuration(error)) => {
            tell(&matches, &error);
            ExitCode::from(NOTHING_DONE)
        }
        Err(Failure::Other(error)) => {
            tell(&matches, &error);
            ExitCode::FAILURE
        }
        Err(Failure::Coded(code, error)) => {
            tell(&matches, &error);
            ExitCode::from(code)
        }
        Err(Failure::Exit(code)) => ExitCode::from(code),
    }
}

/// Says what went wrong, as the verb's flags want it.
fn tell(matches: &ArgMatches, error: &anyhow::Error) {
    let is_set = |flag: &str| {
        let mut own = matches;
        while let Some((_, inner)) = own.subcommand() {
            own = inner;
        }
        matches!(own.try_get_one::<bool>(flag), Ok(Some(true)))
    };
    tidegate_terminal::tell(error, is_set("json"), is_set("verbose"));
}
