//! Tools from PyPI that tests run against, in a virtual environment of their own.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use super::workspace::target_folder;

/// Installs packages, unless they are there, and returns the folder with their programs. The first
/// one names the environment.
pub(crate) fn install(packages: &[&str]) -> Result<PathBuf> {
    let package = packages.first().copied().unwrap_or_default();
    let wanted = packages.join(" ");
    let name = package.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(package);
    let environment = target_folder()?.join("xtask").join(format!("python-{name}"));
    let (programs, done) = (environment.join("bin"), environment.join("installed"));
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
    }
    let mut venv = Command::new("python3");
    let made = venv
        .args(["-m", "venv"])
        .arg(&environment)
        .status()
        .context("the tests need python3 with venv")?;
    if !made.success() {
        bail!("python3 -m venv {} failed: is python3-venv installed?", environment.display());
    }
    let pip =
        Command::new(programs.join("pip")).args(["install", "--quiet"]).args(packages).status();
    if !pip.context("pip can't be run")?.success() {
        bail!("pip install {wanted} failed");
    }
    std::fs::write(&done, wanted)?;
    Ok(programs)
}
