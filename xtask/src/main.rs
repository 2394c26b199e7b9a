//! Development commands of Tidegate: `cargo xtask COMMAND`.
//!
//! | command | what it does |
//! |---|---|
//! | `test` | sets up what the tests need and runs all of them, doc tests too |
//! | `depcheck` | checks that crates depend on each other one way only |
//! | `options [--check]` | writes `docs/options.md` from the options' definitions, or checks it |

mod depcheck;
mod options;

use std::process::Command;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    match arguments[..] {
        ["test", ref rest @ ..] => test(rest),
        ["depcheck"] => depcheck::run(),
        ["options"] => options::write(),
        ["options", "--check"] => options::check(),
        _ => bail!("expected a command: test, depcheck, options [--check]"),
    }
}

/// All tests of the workspace; the examples are built first, since some tests run them.
fn test(rest: &[&str]) -> Result<()> {
    cargo(&["build", "--workspace", "--examples", "--bins"])?;
    cargo(&[&["test", "--workspace"], rest].concat())
}

/// Runs cargo in the workspace; its failure is ours.
fn cargo(arguments: &[&str]) -> Result<()> {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(program).args(arguments).status().context("cargo can't be run")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}
