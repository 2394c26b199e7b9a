//! Which crate may use which: arrows point one way only.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::workspace::{is_published, packages};

/// What each crate may depend on, besides crates from outside.
const ALLOWED: &[(&str, &[&str])] = &[
    ("tidegate-types", &[]),
    ("tidegate-storage", &["tidegate-types"]),
    ("tidegate-snapshot", &["tidegate-types", "tidegate-storage"]),
    ("tidegate-canonical", &["tidegate-types", "tidegate-snapshot"]),
    ("tidegate-checkpoint", &["tidegate-types", "tidegate-snapshot"]),
    ("tidegate-protocol", &["tidegate-types", "tidegate-snapshot", "tidegate-checkpoint"]),
    ("tidegate-state", &["tidegate-types", "tidegate-snapshot"]),
    ("tidegate-core", &["tidegate-types", "tidegate-snapshot", "tidegate-state"]),
    (
        "tidegate-runtime",
        &[
            "tidegate-types",
            "tidegate-storage",
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
        &[
            "tidegate-types",
            "tidegate-storage",
            "tidegate-snapshot",
            "tidegate-canonical",
            "tidegate-state",
        ],
    ),
    ("tidegate-connectors", &["tidegate-types", "tidegate-storage", "tidegate-core"]),
    (
        "tidegate-cluster",
        &[
            "tidegate-types",
            "tidegate-storage",
            "tidegate-snapshot",
            "tidegate-checkpoint",
            "tidegate-protocol",
            "tidegate-runtime",
        ],
    ),
    ("tidegate-terminal", &["tidegate-snapshot"]),
    (
        "tidegate-cli",
        &[
            "tidegate-types",
            "tidegate-storage",
            "tidegate-snapshot",
            "tidegate-canonical",
            "tidegate-protocol",
            "tidegate-cluster",
            "tidegate-terminal",
        ],
    ),
    ("tidegate-state-cli", &["tidegate-snapshot", "tidegate-canonical", "tidegate-terminal"]),
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

/// Crates that are not published may use everything.
const UNPUBLISHED: &[&str] = &[
    "tidegate-sim",
    "tidegate-bench",
    "tidegate-testing",
    "tidegate-programs",
    "tidegate-examples",
    "tidegate-fuzz",
    "xtask",
];

/// What only some crates name: the engine, which the benchmark compares with, and what takes longer to
/// build than everything else together.
const NAMED_BY: &[(&str, &[&str])] =
    &[("timely", &["tidegate-runtime", "tidegate-bench"]), ("datafusion", &["tidegate-state-cli"])];

/// What the pure crates must not pull in by themselves.
const PURE: (&[&str], &[&str]) =
    (&["tidegate-types", "tidegate-checkpoint"], &["tokio", "object_store"]);

/// What whole programs must not be built with, by the beginning of its name, and which programs these
/// are: whoever builds a job or the commands would wait for it.
const LEFT_OUT: (&str, &[&str]) = ("arrow-", &["tidegate", "tidegate-cli", "tidegate-examples"]);

/// Checks every dependency of every crate of the workspace.
pub(crate) fn run() -> Result<()> {
    let packages = packages()?;
    let mut problems = packages.iter().filter_map(unknown).collect::<Vec<_>>();
    for (name, dependency) in dependencies(&packages) {
        if dependency.starts_with("tidegate") && !may_use(&name, &dependency) {
            problems.push(format!("{name} must not depend on {dependency}"));
        }
        if let Some(by) = only_named_by(&dependency).filter(|by| !by.contains(&name.as_str())) {
            problems.push(format!("{name} must not name {dependency}: only {} may", by.join(", ")));
        }
        if PURE.0.contains(&name.as_str()) && PURE.1.contains(&dependency.as_str()) {
            problems.push(format!("{name} is pure and must not depend on {dependency}"));
        }
    }
    for program in LEFT_OUT.1 {
        let built = built_with(program)?;
        let built = built.iter().filter(|name| name.starts_with(LEFT_OUT.0));
        problems.extend(built.map(|name| format!("{program} must be built without {name}")));
    }
    if problems.is_empty() { Ok(()) } else { bail!("{}", problems.join("\n")) }
}

fn may_use(name: &str, dependency: &str) -> bool {
    let of = ALLOWED.iter().find(|(crate_name, _)| *crate_name == name);
    UNPUBLISHED.contains(&name) || of.is_some_and(|(_, allowed)| allowed.contains(&dependency))
}

/// Who may depend on a crate from outside, if not everybody may.
fn only_named_by(dependency: &str) -> Option<&'static [&'static str]> {
    NAMED_BY.iter().find(|(named, _)| *named == dependency).map(|(_, by)| *by)
}

/// What is wrong with a crate that has no place in the lists above, or none that fits.
fn unknown(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let is_published = is_published(package);
    match (ALLOWED.iter().any(|(known, _)| *known == name), UNPUBLISHED.contains(&name)) {
        (true, false) if is_published => None,
        (false, true) if !is_published => None,
        (false, false) => {
            Some(format!("{name} is unknown: say in xtask/src/depcheck.rs whom it may use"))
        }
        _ => Some(format!("{name} is published or not, and xtask/src/depcheck.rs says otherwise")),
    }
}

/// Each crate with each of its normal dependencies.
fn dependencies(packages: &[Value]) -> Vec<(String, String)> {
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
    pairs
}

/// Every crate that a package is built with by default, itself included.
fn built_with(package: &str) -> Result<Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}"])
        .output()
        .context("cargo tree can't be run")?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout).context("what cargo tree says is text")?;
    let names = text.lines().filter_map(|line| line.split(' ').next());
    let mut names = names.map(str::to_owned).collect::<Vec<_>>();
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_crate_that_is_not_listed_is_an_error() {
        let unlisted = json!({ "name": "tidegate-new", "publish": null });
        assert!(unknown(&unlisted).is_some_and(|problem| problem.contains("tidegate-new")));
        assert!(!may_use("tidegate-new", "tidegate-types"));
        assert_eq!(unknown(&json!({ "name": "tidegate-types", "publish": null })), None);
        assert_eq!(unknown(&json!({ "name": "xtask", "publish": [] })), None);
        assert!(unknown(&json!({ "name": "tidegate-types", "publish": [] })).is_some());
    }

    #[test]
    fn arrows_point_one_way() {
        assert!(may_use("tidegate-snapshot", "tidegate-storage"));
        assert!(!may_use("tidegate-storage", "tidegate-snapshot"));
        assert!(may_use("tidegate-sim", "tidegate-checkpoint"));
        assert!(!may_use("tidegate-cli", "tidegate-state-cli"));
    }

    #[test]
    fn what_a_program_is_built_with_is_found() {
        let built = built_with("tidegate-cli").expect("cargo knows it");
        assert!(built.iter().any(|name| name == "parquet"), "{built:?}");
        let state = built_with("tidegate-state-cli").expect("cargo knows it");
        assert!(state.iter().any(|name| name.starts_with(LEFT_OUT.0)), "{state:?}");
    }

    #[test]
    fn what_takes_long_to_build_is_named_by_one() {
        assert_eq!(only_named_by("datafusion"), Some(&["tidegate-state-cli"][..]));
        assert_eq!(only_named_by("serde"), None);
    }
}
