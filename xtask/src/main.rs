//! Development commands of Tidegate: `cargo xtask COMMAND`.
//!
//! | command | what it does |
//! |---|---|
//! | `test` | sets up what the tests need and runs them, doc tests too: all but those of `test-state` |
//! | `test-state` | runs the tests of `tidegate-state`, for which DataFusion is built, and of what needs Arrow |
//! | `compare OLD NEW -- ARGS` | runs two binaries of `tidegate-bench` in turn, and tells the ratios |
//! | `depcheck` | checks that crates depend on each other one way only |
//! | `options [--check]` | writes `docs/options.md` from the options' definitions, or checks it |
//! | `proto [--check]` | generates the code of the messages from `crates/protocol/proto`, or checks it |
//! | `types` | makes up the types of the property test of types |
//! | `fuzz [--seconds N] [TARGET ...]` | runs the fuzz targets, ten minutes each |
//! | `package [--verify]` | packages what is published; with `--verify` builds it from the packages |
//! | `dist [--without-state]` | makes an archive of the programs, and its checksum |

mod compare;
mod depcheck;
mod dist;
mod fuzz;
mod options;
mod package;
mod proto;
mod python;
mod types;
mod workspace;

use std::process::Command;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    match arguments[..] {
        ["test", ref rest @ ..] => test(rest),
        ["test-state", ref rest @ ..] => test_state(rest),
        ["depcheck"] => depcheck::run(),
        ["compare", ref rest @ ..] => compare::run(rest),
        ["options"] => options::write(),
        ["options", "--check"] => options::check(),
        ["proto"] => proto::write(workspace::root()),
        ["proto", "--check"] => proto::check(workspace::root()),
        ["types"] => write_types(),
        ["fuzz", ref rest @ ..] => fuzz::run(rest),
        ["package", ref rest @ ..] => package::run(rest),
        ["dist", ref rest @ ..] => dist::run(rest),
        _ => {
            bail!(
                "expected a command: test, test-state, depcheck, options [--check], proto [--check], types, \
                 fuzz, package [--verify], dist [--without-state], compare OLD NEW -- ARGS"
            )
        }
    }
}

fn write_types() -> Result<()> {
    let file = "crates/tidegate/tests/types/generated.rs";
    std::fs::write(file, types::program()).with_context(|| format!("cannot write {file}"))?;
    run(Command::new("rustfmt").args(["--edition", "2024", file]))
}

/// An S3 server for tests.
const MOTO: &[&str] = &["moto[server]>=5,<6"];
/// Read Parquet.
const READERS: &[&str] = &["duckdb>=1,<2", "pyarrow>=20", "pytz"];
/// Makes requests of an API after its description, and holds the answers against it.
const SCHEMATHESIS: &[&str] = &["schemathesis>=4,<5"];

/// What takes longer to build than everything else together, because of DataFusion.
const STATE: &str = "tidegate-state-cli";
/// Everything else.
const OTHERS: [&str; 3] = ["--workspace", "--exclude", STATE];

/// All tests but those of [`STATE`]; the examples are built first, since some tests run them.
fn test(rest: &[&str]) -> Result<()> {
    cargo(&[&["build"], &OTHERS[..], &["--examples", "--bins"]].concat())?;
    cargo(&[&["test"], &OTHERS[..], rest].concat())?;
    if !rest.is_empty() {
        return Ok(());
    }
    test_s3()?;
    test_readers()?;
    test_api()
}

/// The tests of [`STATE`], and of what else needs Arrow.
fn test_state(rest: &[&str]) -> Result<()> {
    cargo(&[&["test", "--package", STATE], rest].concat())?;
    if !rest.is_empty() {
        return Ok(());
    }
    let batches = ["-p", "tidegate-canonical", "-p", "tidegate-savepoint", "--test", "batches"];
    cargo(&[&["test", "--features", "arrow"], &batches[..]].concat())
}

/// Savepoints, read by what knows nothing of Tidegate.
fn test_readers() -> Result<()> {
    let programs = python::install(READERS)?;
    let mut command = cargo_command();
    command.args(["test", "-p", "tidegate-cli", "--test", "it", "--", "--ignored", "readers"]);
    run(command.env("TIDEGATE_PYTHON", programs.join("python")))
}

/// The REST API against its own description.
fn test_api() -> Result<()> {
    let program = python::install(SCHEMATHESIS)?.join("schemathesis");
    let mut command = cargo_command();
    command.args(["test", "-p", "tidegate-cli", "--test", "it", "--", "--ignored", "openapi"]);
    run(command.env("TIDEGATE_SCHEMATHESIS", program))
}

/// Snapshots in S3, which need a server and a feature.
fn test_s3() -> Result<()> {
    let server = python::install(MOTO)?.join("moto_server");
    let mut command = cargo_command();
    command.args(["test", "-p", "tidegate-snapshot", "--features", "s3", "--test", "s3"]);
    run(command.env("TIDEGATE_S3_TEST", "1").env("TIDEGATE_MOTO_SERVER", server))
}

fn cargo_command() -> Command {
    Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
}

/// Runs cargo in the workspace; its failure is ours.
fn cargo(arguments: &[&str]) -> Result<()> {
    run(cargo_command().args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} can't be run"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}
