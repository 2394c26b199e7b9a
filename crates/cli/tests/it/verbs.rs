//! Each verb's output, held against Flink's.

use std::path::Path;

use tidegate_testing::{
    flights::Results,
    folders::entries,
    process::{flights, flights_by_day},
    wait_for,
};

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

/// Waits until the job has written something: one that runs may not have read a record yet.
fn first_flights(site: &Site) {
    let written = site.output().join("cancelled");
    wait_for("the first flights", || (!entries(&written).is_empty()).then_some(()));
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
            "Suspending job \"{id}\" with a CANONICAL savepoint.\nTriggering stop-with-savepoint for job \
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
    wait_for("the job to end", || {
        let all = site.says(&["list", "-a"]);
        (all.matches("flights (CANCELED)").count() == 2).then_some(())
    });
    // Cancelling twice is harmless.
    site.says(&["cancel", &id]);
}

/// How many flights the files in a folder count.
fn counted(folder: &Path, field: &str) -> u64 {
    let lines = tidegate_testing::folders::lines(folder);
    let count = |line: &String| {
        let value = serde_json::from_str::<serde_json::Value>(line).expect("JSON lines");
        value.pointer(field).and_then(serde_json::Value::as_u64).expect("it has a count")
    };
    lines.iter().map(count).sum()
}

#[test]
fn a_job_that_is_drained_writes_what_it_has() {
    let site = started();
    let id = submit(&site);
    first_flights(&site);
    let folder = site.path().join("savepoints").display().to_string();
    let said = site.says(&["stop", "--drain", "-s", &folder, &id]);
    let path = path_in(&said);
    assert_eq!(
        said,
        format!(
            "Draining job \"{id}\" with a CANONICAL savepoint.\nTriggering stop-with-savepoint for job \
             {id}.\nWaiting for response...\nSavepoint completed. Path: {path}\n"
        )
    );
    wait_for("the job to end", || {
        site.says(&["list", "-a"]).contains("flights (FINISHED)").then_some(())
    });
    // Without --drain the summaries come at the end of the input alone.
    let count = counted(&site.output().join("summary"), "/flights");
    assert!((1..336_776).contains(&count), "{count} flights");
}

#[test]
fn a_changed_program_goes_on_from_a_savepoint() {
    let site = started();
    let id = submit(&site);
    first_flights(&site);
    let folder = site.path().join("savepoints").display().to_string();
    let said = site.says(&["stop", "-p", &folder, &id]);
    let savepoint = path_in(&said).to_owned();
    let changed = flights_by_day().display().to_string();
    let data = tidegate_testing::flights::data().display().to_string();
    let run = ["run", "-p", "3", "-s", &savepoint];
    let (_, error) = site.fails(&[run.as_slice(), &[&changed, "--data", &data]].concat());
    assert!(error.contains("cancelled") && error.contains("--allow-non-restored-state"), "{error}");
    let run = ["run", "-p", "3", "-s", &savepoint, "-n", "-cm", "no_claim"];
    let said = site.says(&[run.as_slice(), &[&changed, "--data", &data]].concat());
    assert!(said.contains("Program execution finished"), "{said}");
    let summary = tidegate_testing::folders::lines(&site.output().join("summary"));
    assert!(summary == Results::expected().summary, "other results");
    // What is new has seen what came behind the savepoint.
    let days = counted(&site.output().join("days"), "/1");
    assert!((1..336_776).contains(&days), "{days} flights");
    assert!(Path::new(&savepoint).join("_metadata").is_file(), "it is its user's");
}

#[test]
fn a_job_is_rescaled_and_its_logs_are_shown() {
    let site = started();
    let id = submit(&site);
    let said = site.says(&["rescale", &id, "-p", "4"]);
    assert_eq!(
        said,
        format!(
            "Rescaling job {id} to parallelism 4.\nWaiting for response...\nJob {id} runs at \
             parallelism 4.\n"
        )
    );
    let said = site.says(&["logs", &id, "--attempt", "1", "--process", "0"]);
    assert!(said.contains("the attempt begins") && said.contains("parallelism=4"), "{said}");
    let (_, error) = site.fails(&["rescale", &id, "-p", "1000"]);
    assert!(error.contains("above the job's max parallelism 128"), "{error}");
    let (said, _) = site.fails(&["rescale", &id, "-p", "0"]);
    assert!(said.starts_with("The parallelism must be a positive number: 0."), "{said}");
    let (_, error) = site.fails(&["logs", &id, "--attempt", "99"]);
    assert!(error.contains("no TaskManager that is there has such a log"), "{error}");
}

#[test]
fn what_a_binary_would_run_is_shown() {
    let site = started();
    let binary = flights().display().to_string();
    let said = site.says(&["info", "-p", "3", &binary]);
    let lines = said.lines().collect::<Vec<_>>();
    assert_eq!(lines[0], "----------------------- Execution Plan -----------------------");
    let plan = serde_json::from_str::<serde_json::Value>(lines[1]).expect("JSON");
    assert_eq!((&plan["name"], &plan["nodes"][0]["parallelism"]), (&"flights".into(), &3.into()));
    assert_eq!(lines[2..], [DASHES, "", "No description provided."]);
    assert!(site.says(&["list", "-a"]).contains("No terminated jobs."), "nothing was run");
}

#[test]
fn a_client_that_gives_up_says_how_to_ask_again() {
    let site = started();
    let id = submit(&site);
    let folder = site.path().join("savepoints").display().to_string();
    let impatient = ["savepoint", "-D", "client.timeout=1 ms", &id, &folder];
    let (_, error) = site.fails(&impatient);
    let (_, again) = error.split_once("ask for its result with: tidegate ").expect("a way out");
    let again = again.trim().split(' ').collect::<Vec<_>>();
    let said = site.says(&again);
    assert!(said.contains("Savepoint completed. Path: "), "{said}");
}

#[test]
fn options_that_do_nothing_are_told_by_the_command_itself() {
    let site = started();
    let (binary, output) = (flights().display().to_string(), site.output().display().to_string());
    let flinks = "execution.checkpointing.unaligned.enabled";
    let options = ["-D", &format!("{flinks}=true"), "-D", "execution.checkpointing.intervall=1 s"];
    let run = [&["run", "-d"], &options[..], &[&binary, "--out", &output]].concat();
    let output = site.run(&run);
    let errors = String::from_utf8(output.stderr).expect("it speaks UTF-8");
    assert!(output.status.success(), "{errors}");
    let told = format!(
        "warning: option {flinks} (from -D on the command line) is Flink's and not here yet: it \
         does nothing\n"
    );
    assert!(errors.contains(&told), "{errors}");
    let meant = "did you mean execution.checkpointing.interval?\n";
    assert!(errors.contains(meant), "{errors}");
    assert_eq!(errors.matches("warning: ").count(), 2, "{errors}");
}

#[test]
fn latest_of_a_job_without_an_id_names_what_there_is() {
    let site = started();
    let (binary, output) = (flights().display().to_string(), site.output().display().to_string());
    let retained = "execution.checkpointing.externalized-checkpoint-retention";
    let options =
        [&format!("{retained}=RETAIN_ON_CANCELLATION"), "execution.checkpointing.interval=50 ms"];
    let options = options.iter().flat_map(|option| ["-D", option]).collect::<Vec<_>>();
    let run =
        [&["run", "-d"], &options[..], &[&binary, "--rate", "3000", "--out", &output]].concat();
    let said = site.says(&run);
    let id = said.trim().rsplit(' ').next().expect("Flink's words").to_owned();
    wait_for("a checkpoint", || {
        site.says(&["checkpoints", &id]).contains("COMPLETED").then_some(())
    });
    site.says(&["cancel", &id]);
    let folder = site.output().join("checkpoints");
    let newest = || {
        let all = tidegate_testing::folders::checkpoints(&folder);
        all.into_iter().rfind(|path| path.join("_metadata").is_file())
    };
    let newest = wait_for("the one that is retained", newest);
    let again = |from: &str| {
        let (said, error) = site.fails(&["run", "-d", "-s", from, &binary, "--out", &output]);
        said + &error
    };
    let told = again("latest");
    assert!(told.contains(&newest.display().to_string()) && told.contains(&id), "{told}");
    let told = again(&format!("file:{}", folder.display()));
    let holds = format!("holds some; name one of them: '{}'", newest.display());
    assert!(told.contains(&holds), "{told}");
    let from = format!("file:{}", newest.display());
    let goes_on = ["run", "-d", "-s", &from, &binary, "--rate", "3000", "--out", &output];
    site.says(&goes_on);
}

#[test]
fn a_shell_can_complete_the_verbs() {
    let site = Site::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = site.says(&["completions", shell]);
        for verb in ["savepoint", "rescale", "query"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
    }
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
    let expected = "error: Failed to retrieve job list.\n  Caused by: cannot reach the JobManager at \
                    http://localhost:";
    assert!(error.starts_with(expected), "{error}");
    let output = site.run(&["list", "-D", "rest.port=here"]);
    assert_eq!(output.status.code(), Some(31), "the options can't be read");
    let open = ["jobmanager", "-D", "jobmanager.bind-host=0.0.0.0"];
    let (_, error) = site.fails(&open);
    assert!(error.contains("set security.cluster.token, or give --insecure"), "{error}");
}

#[test]
fn a_job_that_is_not_there_is_told_of_in_the_result() {
    let site = started();
    let nobody = "0123456789abcdef0123456789abcdef";
    let folder = site.path().display().to_string();
    let (_, error) = site.fails(&["savepoint", nobody, &folder]);
    assert!(error.contains(&format!("Could not find Flink job ({nobody})")), "{error}");
    let (_, error) = site.fails(&["cancel", nobody]);
    let expected =
        format!("error: Could not cancel job {nobody}.\n  Caused by: Job could not be found.\n");
    assert_eq!(error, expected);
    let (_, error) = site.fails(&["cluster", "start"]);
    assert!(error.contains("a cluster is running already"), "{error}");
    let (_, error) = site.fails(&["run", "/bin/true"]);
    assert!(error.contains("has not described its job"), "{error}");
    assert_eq!(site.says(&["cluster", "stop"]), "The cluster has ended: 3 processes.\n");
}
