//! The `tidegate-state` command: what `tidegate state` does with SQL. It is a program of its own because
//! DataFusion takes longer to build than everything else together; `tidegate` finds it beside itself or
//! on the `PATH`.
//!
//! Exit codes: 0 for success, 1 for a failure or a command line that is wrong, as `tidegate`'s.

mod query;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tidegate_terminal::{explain, tell};

/// Answers questions about Tidegate's savepoints and checkpoints, without the job.
#[derive(Parser)]
#[command(name = "tidegate-state", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Query(query::Query),
}

fn main() -> ExitCode {
    let Arguments { verb: Verb::Query(query) } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    match answer(&query) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error, query.json, query.verbose);
            ExitCode::FAILURE
        }
    }
}

fn answer(query: &query::Query) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(query.answer())
}
