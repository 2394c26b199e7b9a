//! What `/openapi.json` says of the API is true: schemathesis makes requests of it, right ones and
//! wrong ones, and holds every answer against it.

use std::fs;

use tidegate_testing::process::flights;

use crate::support::Site;

/// How many requests are made of each operation, in each phase.
const EXAMPLES: &str = "15";

/// The first text between two marks.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, behind) = text.split_once(before).expect("it is there");
    behind.split_once(after).expect("it ends").0
}

#[test]
#[ignore = "needs schemathesis: `cargo xtask test` installs it and runs this"]
fn every_answer_is_as_described() {
    let program = std::env::var("TIDEGATE_SCHEMATHESIS").expect("set by `cargo xtask test`");
    let site = Site::new();
    let savepoints = site.path().join("savepoints").display().to_string();
    let folder = format!("execution.checkpointing.savepoint-dir={savepoints}");
    let start = ["cluster", "start", "--taskmanagers", "2", "--slots", "2", "-D", &folder];
    site.says(&start);
    let binary = flights().display().to_string();
    let run = ["run", "-d", "-D", "execution.checkpointing.interval=200ms", &binary];
    let output = site.path().join("kept").display().to_string();
    let said = site.says(&[run.as_slice(), &["--rate", "50", "--out", &output]].concat());
    let job = said.rsplit(' ').next().expect("it ends with the id").trim();
    tidegate_testing::wait_for("a checkpoint", || {
        site.says(&["checkpoints", job]).contains("COMPLETED").then_some(())
    });
    let plan = site.get(&format!("/jobs/{job}/plan"));
    let vertex = between(&plan, "\"nodes\":[{\"id\":\"", "\"");
    let managers = site.get("/taskmanagers");
    let manager = between(&managers, "\"id\":\"", "\"");
    let known = format!(
        "[parameters]\njobid = \"{job}\"\nvertexid = \"{vertex}\"\ntaskmanagerid = \
         \"{manager}\"\nsubtaskindex = 0\ncheckpointid = 1\n"
    );
    // Once with ids that nothing has, and once with those of a job that runs. That one is neither
    // cancelled nor stopped, so that all of it is there until the end.
    for (parameters, kept) in [("", "^$"), (known.as_str(), "^(/stop|.*/jobs/{jobid}/stop)$")] {
        fs::write(site.path().join("schemathesis.toml"), parameters).expect("the test's own");
        let checks = [
            "not_a_server_error",
            "status_code_conformance",
            "content_type_conformance",
            "response_headers_conformance",
            "response_schema_conformance",
            "negative_data_rejection",
            "unsupported_method",
            "allow_header_conformance",
            "ignored_auth",
        ];
        let mut command = site.command(&program);
        command.args(["run", &format!("{}/openapi.json", site.url())]);
        command.args(["--checks", &checks.join(","), "--max-examples", EXAMPLES]);
        command.args(["--exclude-path", "/cluster", "--exclude-path-regex", kept]);
        // More workers are not safe with every Python: github.com/python/cpython/issues/106905.
        let token = fs::read_to_string(site.path().join("home/token")).expect("it has been made");
        command.args(["--header", &format!("Authorization: Bearer {}", token.trim())]);
        command.args(["--continue-on-failure", "--no-color", "--workers", "1"]);
        if !parameters.is_empty() {
            command.args(["--exclude-path", "/jobs/{jobid}/yarn-cancel"]);
            command.args(["--exclude-method", "PATCH"]);
        }
        let output = command.output().expect("schemathesis starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        let summary = text.split_once("= SUMMARY =").map_or(&*text, |(_, summary)| summary);
        println!("{summary}");
        // The JobManager has outlived all of it.
        assert!(site.get("/jobs/overview").contains(job));
    }
}
