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

use std::{num::NonZero, path::PathBuf, process::Command};

use anyhow::{Context, Result, anyhow, bail};

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

/// All tests but those of [`STATE`]. What is needed from PyPI is fetched meanwhile.
fn test(rest: &[&str]) -> Result<()> {
    let ours = [&["test"], &OTHERS[..], rest].concat();
    if !rest.is_empty() {
        return cargo(&ours);
    }
    let tools = std::thread::spawn(Tools::install);
    run(cargo_command().args(&ours).envs(test_threads()))?;
    let tools = tools.join().map_err(|_| anyhow!("installing from PyPI has panicked"))??;
    test_others(&tools)?;
    test_s3(&tools)
}

/// The longest tests wait for processes that they have started: there are more at once than cores.
fn test_threads() -> Option<(&'static str, String)> {
    const THREADS: &str = "RUST_TEST_THREADS";
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::env::var_os(THREADS).is_none().then(|| (THREADS, (2 * cores).to_string()))
}

/// Programs of others that tests run.
struct Tools {
    python: PathBuf,
    schemathesis: PathBuf,
    moto: PathBuf,
}

impl Tools {
    fn install() -> Result<Self> {
        Ok(Self {
            python: python::install(READERS)?.join("python"),
            schemathesis: python::install(SCHEMATHESIS)?.join("schemathesis"),
            moto: python::install(MOTO)?.join("moto_server"),
        })
    }
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

/// What needs programs of others: savepoints are read by what knows nothing of Tidegate, and the REST API
/// is held against its own description.
fn test_others(tools: &Tools) -> Result<()> {
    let mut command = cargo_command();
    command.arg("test").args(OTHERS).args(["--test", "it"]);
    command.args(["--", "--ignored", "readers", "openapi"]);
    command.env("TIDEGATE_PYTHON", &tools.python);
    run(command.env("TIDEGATE_SCHEMATHESIS", &tools.schemathesis))
}

/// Snapshots in S3, which need a server and a feature.
fn test_s3(tools: &Tools) -> Result<()> {
    let mut command = cargo_command();
    command.args(["test", "-p", "tidegate-snapshot", "--features", "s3", "--test", "s3"]);
    run(command.env("TIDEGATE_S3_TEST", "1").env("TIDEGATE_MOTO_SERVER", &tools.moto))
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
