//! `cargo xtask package [--verify]`: what crates.io would be given, in `target/package`.

use anyhow::{Result, bail};
use serde_json::Value;

use super::{
    cargo,
    workspace::{is_published, packages},
};

/// What a package says of itself. crates.io takes none without the first two.
const DEMANDED: [&str; 4] = ["description", "license", "repository", "readme"];

/// Packages every crate that is published. With `--verify` each is built from its package, with nothing
/// of the workspace around it, which takes as long as building all of them.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let form: &[&str] = match arguments {
        [] => &["--no-verify"],
        ["--verify"] => &[],
        _ => bail!("expected package [--verify]"),
    };
    let packages = packages()?;
    let published = packages.iter().filter(|package| is_published(package)).collect::<Vec<_>>();
    let missing = published.iter().flat_map(|package| missing(package)).collect::<Vec<_>>();
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    let names = published.iter().filter_map(|package| package["name"].as_str());
    let chosen = names.flat_map(|name| ["--package", name]).collect::<Vec<_>>();
    cargo(&[&["package", "--locked", "--allow-dirty"], form, &chosen].concat())
}

/// What a package should say of itself and does not.
fn missing(package: &Value) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let missing =
        DEMANDED.iter().filter(|field| package[**field].as_str().is_none_or(str::is_empty));
    missing.map(|field| format!("{name} has no `{field}` in its Cargo.toml")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_package_says_what_crates_io_wants_to_know() {
        let mut package = json!({
            "name": "a", "description": "b", "license": "c", "repository": "d", "readme": "e",
        });
        assert!(missing(&package).is_empty());
        package["license"] = Value::Null;
        package["readme"] = json!("");
        let expected =
            ["a has no `license` in its Cargo.toml", "a has no `readme` in its Cargo.toml"];
        assert_eq!(missing(&package), expected);
    }
}
