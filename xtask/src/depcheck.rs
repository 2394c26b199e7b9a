//! Which crate may use which: arrows point one way only.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What each crate may depend on, besides crates from outside. Crates that are not published
/// (benchmarks, examples, the simulation, this one) may use everything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("tidegate-types", &[]),
    ("tidegate-snapshot", &["tidegate-types"]),
    ("tidegate-canonical", &["tidegate-types", "tidegate-snapshot"]),
    ("tidegate-checkpoint", &["tidegate-types", "tidegate-snapshot"]),
    ("tidegate-protocol", &["tidegate-types", "tidegate-snapshot", "tidegate-checkpoint"]),
    ("tidegate-state", &["tidegate-types", "tidegate-snapshot"]),
    ("tidegate-core", &["tidegate-types", "tidegate-snapshot", "tidegate-state"]),
    (
        "tidegate-runtime",
        &[
            "tidegate-types",
            "tidegate-snapshot",
            "tidegate-canonical",
            "tidegate-checkpoint",
            "tidegate-protocol",
            "tidegate-state",
            "tidegate-core",
        ],
    ),
    (
        "tidegate-savepoint",
        &["tidegate-types", "tidegate-snapshot", "tidegate-canonical", "tidegate-state"],
    ),
    ("tidegate-connectors", &["tidegate-types", "tidegate-core"]),
    (
        "tidegate-cluster",
        &[
            "tidegate-types",
            "tidegate-snapshot",
            "tidegate-checkpoint",
            "tidegate-protocol",
            "tidegate-runtime",
        ],
    ),
    (
        "tidegate-cli",
        &[
            "tidegate-types",
            "tidegate-snapshot",
            "tidegate-canonical",
            "tidegate-protocol",
            "tidegate-cluster",
        ],
    ),
    (
        "tidegate",
        &[
            "tidegate-types",
            "tidegate-snapshot",
            "tidegate-state",
            "tidegate-core",
            "tidegate-runtime",
            "tidegate-savepoint",
            "tidegate-connectors",
        ],
    ),
];

/// The engine, which only the runtime names; the benchmark compares with it.
const ENGINE: (&str, &[&str]) = ("timely", &["tidegate-runtime", "tidegate-bench"]);

/// What the pure crates must not pull in by themselves.
const PURE: (&[&str], &[&str]) =
    (&["tidegate-types", "tidegate-checkpoint"], &["tokio", "object_store"]);

/// Checks every dependency of every crate of the workspace.
pub(crate) fn run() -> Result<()> {
    let mut problems = Vec::new();
    for (name, dependency) in dependencies()? {
        let allowed = ALLOWED.iter().find(|(crate_name, _)| *crate_name == name);
        if dependency.starts_with("tidegate")
            && allowed.is_some_and(|(_, allowed)| !allowed.contains(&dependency.as_str()))
        {
            problems.push(format!("{name} must not depend on {dependency}"));
        }
        if dependency == ENGINE.0 && !ENGINE.1.contains(&name.as_str()) {
            problems.push(format!("{name} must not name {dependency}: only the runtime does"));
        }
        if PURE.0.contains(&name.as_str()) && PURE.1.contains(&dependency.as_str()) {
            problems.push(format!("{name} is pure and must not depend on {dependency}"));
        }
    }
    if problems.is_empty() { Ok(()) } else { bail!("{}", problems.join("\n")) }
}

/// Every crate of the workspace with each of its normal dependencies.
fn dependencies() -> Result<Vec<(String, String)>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("cargo metadata can't be run")?;
    let metadata = serde_json::from_slice::<Value>(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let mut pairs = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["kind"].is_null() {
                let dependency = dependency["name"].as_str().unwrap_or_default();
                pairs.push((name.to_owned(), dependency.to_owned()));
            }
        }
    }
    Ok(pairs)
}
