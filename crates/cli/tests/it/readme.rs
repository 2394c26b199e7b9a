//! The README's lines about a cluster, typed as they stand there.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use tidegate_testing::{flights::Results, process::flights};

use crate::support::Site;

/// The first block of shell lines behind a heading.
fn lines_behind<'a>(readme: &'a str, heading: &str) -> &'a str {
    let (_, behind) = readme.split_once(heading).expect("the README has this heading");
    let (_, block) = behind.split_once("```sh\n").expect("and shell lines behind it");
    block.split_once("\n```").expect("which end").0
}

#[test]
fn the_lines_about_a_cluster_do_what_they_say() {
    let readme = include_str!("../../../../README.md");
    let lines = lines_behind(readme, "## A cluster");
    let site = Site::new();
    let examples = site.path().join("target/release/examples");
    fs::create_dir_all(&examples).expect("the folder is the test's own");
    symlink(flights(), examples.join("flights")).expect("so is this");
    let output = site.command("bash").args(["-euo", "pipefail", "-c", lines]).output();
    let output = output.expect("bash starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", site.logs());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Program execution finished"), "{text}");
    assert!(Results::written_to(&site.output()) == Results::expected(), "other results");
}

#[test]
fn the_lines_about_the_token_do_what_they_say() {
    let readme = include_str!("../../../../README.md");
    let site = Site::new();
    let lines = lines_behind(readme, "### Who may use it");
    let lines = lines.replace("http://localhost:8081", &site.url());
    let printed = format!("{lines}\necho; echo \"$FLINK_REST_CLIENT_HEADERS\"");
    site.says(&["cluster", "start"]);
    symlink(site.path().join("home"), site.path().join(".tidegate")).expect("the test's own");
    let mut bash = site.command("bash");
    let output = bash.env("HOME", site.path()).args(["-euo", "pipefail", "-c", &printed]).output();
    let output = output.expect("bash starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("{\"jobs\":[]}\nAuthorization:Bearer "), "{text}");
    let mode = fs::metadata(site.path().join("home/header")).expect("written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
