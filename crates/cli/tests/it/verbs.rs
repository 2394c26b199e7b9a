//! Each verb's output, held against Flink's.

use tidegate_testing::{flights::Results, process::flights, wait_for};

use crate::support::Site;

const DASHES: &str = "--------------------------------------------------------------";

fn started() -> Site {
    let site = Site::new();
    let said = site.says(&["cluster", "start", "--taskmanagers", "2", "--slots", "2"]);
    assert!(said.contains("a JobManager and 2 TaskManager(s)"), "{said}");
    site
}

/// Submits `flights`, slowly, and returns the job's id.
fn submit(site: &Site) -> String {
    let binary = flights().display().to_string();
    let said = site.says(&["run", "-d", "-p", "2", &binary, "--rate", "30000"]);
    let id = said.strip_prefix("Job has been submitted with JobID ").expect("Flink's words");
    let id = id.trim().to_owned();
    wait_for("the job to run", || site.says(&["list", "-r"]).contains(&id).then_some(()));
    id
}

fn path_in(said: &str) -> &str {
    let (_, path) = said.split_once("Path: ").expect("Flink's words");
    path.lines().next().expect("a line")
}

#[test]
fn a_job_is_listed_checkpointed_saved_stopped_and_goes_on() {
    let site = started();
    let id = submit(&site);
    let said = site.says(&["list"]);
    let lines = said.lines().collect::<Vec<_>>();
    assert_eq!(
        lines[..2],
        [
            "Waiting for response...",
            "------------------ Running/Restarting Jobs -------------------",
        ]
    );
    assert!(lines[2].ends_with(&format!(" : {id} : flights (RUNNING)")), "{said}");
    assert_eq!(lines[3..], [DASHES, "No scheduled jobs."]);

    let said = site.says(&["checkpoint", &id]);
    let expected =
        format!("Triggering checkpoint for job {id}.\nWaiting for response...\nCheckpoint ");
    assert!(said.starts_with(&expected), "{said}");
    assert!(site.says(&["checkpoints", &id]).contains("COMPLETED"));

    let folder = site.path().join("savepoints").display().to_string();
    let said = site.says(&["savepoint", &id, &folder]);
    let savepoint = path_in(&said).to_owned();
    assert!(savepoint.starts_with(&format!("{folder}/savepoint-{}-", &id[..6])), "{said}");
    assert_eq!(
        said,
        format!(
            "Triggering savepoint for job {id}.\nWaiting for response...\nSavepoint completed. Path: \
         {savepoint}\nYou can resume your program from this savepoint with the run command.\n"
        )
    );

    let said = site.says(&["stop", "-p", &folder, &id]);
    let stopped = path_in(&said).to_owned();
    assert_eq!(
        said,
        format!(
            "Suspending job \"{id}\" with a NATIVE savepoint.\nTriggering stop-with-savepoint for job \
         {id}.\nWaiting for response...\nSavepoint completed. Path: {stopped}\n"
        )
    );
    wait_for("the job to end", || {
        site.says(&["list", "-a"]).contains("flights (FINISHED)").then_some(())
    });

    let said = site.says(&["savepoint", "-d", &savepoint]);
    assert_eq!(
        said,
        format!(
            "Disposing savepoint '{savepoint}'.\nWaiting for response...\nSavepoint '{savepoint}' \
         disposed.\n"
        )
    );
    assert!(!std::path::Path::new(&savepoint).exists());

    let binary = flights().display().to_string();
    let said = site.says(&["run", "-p", "4", "-s", &stopped, &binary]);
    assert!(said.contains("\nProgram execution finished\nJob with JobID "), "{said}");
    assert!(Results::written_to(&site.output()) == Results::expected(), "other results");
}

#[test]
fn a_job_is_cancelled_with_and_without_a_savepoint() {
    let site = started();
    let id = submit(&site);
    let said = site.says(&["cancel", &id]);
    assert_eq!(said, format!("Cancelling job {id}.\nCancelled job {id}.\n"));
    wait_for("the job to end", || {
        site.says(&["list", "-a"]).contains("flights (CANCELED)").then_some(())
    });

    let id = submit(&site);
    let folder = site.path().join("savepoints").display().to_string();
    let said = site.says(&["cancel", "-s", &folder, &id]);
    assert!(said.contains("DEPRECATION WARNING: Cancelling a job with savepoint"), "{said}");
    let (_, path) = said.split_once("Savepoint stored in ").expect("Flink's words");
    let path = path.trim().trim_end_matches('.');
    assert!(std::path::Path::new(path).join("_metadata").is_file(), "{said}");
    let (_, error) = site.fails(&["cancel", &id]);
    assert!(error.contains("already reached another terminal state (FINISHED)"), "{error}");
}

#[test]
fn mistakes_are_answered_as_flink_does() {
    let site = Site::new();
    let hint = "\n\nUse the help option (-h or --help) to get help on the command.\n";
    let (said, _) = site.fails(&["savepoint", "xyz"]);
    let expected = "Cannot parse JobID from \"xyz\". The expected format is [0-9a-fA-F]{32}, e.g. \
                    fd72014d4c864993a2e5a9287b4a9c5d.";
    assert_eq!(said, format!("{expected}{hint}"));
    let (said, _) = site.fails(&["savepoint"]);
    assert_eq!(said, format!("Missing JobID. Specify a Job ID to trigger a savepoint.{hint}"));
    let (said, _) = site.fails(&["stop"]);
    assert_eq!(said, format!("Missing JobId{hint}"));
    let (said, _) = site.fails(&["bogus"]);
    assert!(said.starts_with("\"bogus\" is not a valid action.\n\nValid actions are "), "{said}");
    let (_, error) = site.fails(&["list"]);
    assert!(
        error.starts_with("error: cannot reach the JobManager at http://localhost:"),
        "{error}"
    );
    let open = ["jobmanager", "-D", "rest.bind-address=0.0.0.0"];
    let (_, error) = site.fails(&open);
    assert!(error.contains("set security.rest.token, or give --insecure"), "{error}");
}

#[test]
fn a_job_that_is_not_there_is_told_of_in_the_result() {
    let site = started();
    let nobody = "0123456789abcdef0123456789abcdef";
    let folder = site.path().display().to_string();
    let (_, error) = site.fails(&["savepoint", nobody, &folder]);
    assert!(error.contains(&format!("Could not find Flink job ({nobody})")), "{error}");
    let (_, error) = site.fails(&["cancel", nobody]);
    assert_eq!(error, "error: Job could not be found.\n");
    let (_, error) = site.fails(&["cluster", "start"]);
    assert!(error.contains("a cluster is running already"), "{error}");
    let (_, error) = site.fails(&["run", "/bin/true"]);
    assert!(error.contains("has not described its job"), "{error}");
    assert_eq!(site.says(&["cluster", "stop"]), "The cluster has ended: 3 processes.\n");
}
