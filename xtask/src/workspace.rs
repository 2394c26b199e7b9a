//! What cargo knows of this workspace, and where it puts what it builds.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::Value;

/// Every crate of the workspace.
pub(crate) fn packages() -> Result<Vec<Value>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("cargo metadata can't be run")?;
    let metadata = serde_json::from_slice::<Value>(&output.stdout)?;
    Ok(metadata["packages"].as_array().context("cargo metadata lists packages")?.clone())
}

/// Whether others may get a crate from crates.io: `publish = false` is an empty list of registries.
pub(crate) fn is_published(package: &Value) -> bool {
    package["publish"].is_null()
}

/// The folder that the workspace lies in.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace")
}

/// The folder of everything built, which survives a clean checkout if it lies elsewhere.
pub(crate) fn target_folder() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => Ok(std::path::absolute(folder)?),
        None => Ok(root().join("target")),
    }
}
