//! Savepoints and checkpoints, stopping and cancelling.

use anyhow::{Context, anyhow};
use clap::ArgMatches;
use indicatif::{HumanBytes, ProgressBar};
use serde_json::{Value, json};
use tidegate_terminal::live_line;
use tidegate_types::JobId;

use super::{Done, Failure, absolute, client, field, job_id, printed_json, say, text};
use crate::client::{Client, failure_of};

const RESUME: &str = "You can resume your program from this savepoint with the run command.";

/// A trigger id of our own: a request that is sent twice then starts one operation.
fn trigger() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The form of a savepoint.
fn format_type(matches: &ArgMatches) -> Result<&'static str, Failure> {
    match text(matches, "type").map(str::to_uppercase).as_deref() {
        None | Some("CANONICAL") => Ok("CANONICAL"),
        Some("NATIVE") => Ok("NATIVE"),
        Some(other) => Err(Failure::Arguments(format!(
            "Unknown savepoint type: {other}. It is canonical or native."
        ))),
    }
}

/// An operation that has been started, and is waited for.
struct Started<'a> {
    client: &'a Client,
    /// Below which its results are found.
    path: String,
    trigger: &'a str,
    /// What it is, for a person.
    what: String,
    /// How to ask for it.
    again: String,
    /// What to say if it fails.
    failed: String,
}

impl Started<'_> {
    /// Waits for the result, or says that the operation goes on. Shows how far `job` has come with
    /// its savepoint.
    async fn wait(self, job: Option<JobId>, quiet: bool) -> Result<Value, Failure> {
        let line = if quiet { ProgressBar::hidden() } else { live_line() };
        let meanwhile = async || {
            if let Some(job) = job.filter(|_| !line.is_hidden())
                && let Ok(snapshots) = self.client.get(&format!("/jobs/{job}/checkpoints")).await
            {
                line.set_message(progress(&snapshots));
            }
        };
        let result = format!("{}/{}", self.path, self.trigger);
        let waited = self.client.result_of(&result, meanwhile).await;
        line.finish_and_clear();
        let Some(operation) = waited.with_context(|| self.failed.clone())? else {
            return Err(anyhow!(
                "{} has not ended within {:?} (client.timeout), and goes on; ask for its result \
                 with: {}",
                self.what,
                self.client.timeout,
                self.again,
            )
            .into());
        };
        match failure_of(&operation) {
            Some(reason) => Err(anyhow!("{reason}").context(self.failed).into()),
            None => Ok(operation),
        }
    }
}

/// How far the savepoint has come that is under way.
fn progress(snapshots: &Value) -> String {
    let history = snapshots["history"].as_array().into_iter().flatten();
    let mut pending = history.filter(|entry| entry["status"] == "IN_PROGRESS");
    let Some(savepoint) = pending.find(|entry| entry["is_savepoint"] == true) else {
        return String::new();
    };
    let number = |name: &str| savepoint[name].as_u64().unwrap_or_default();
    let (done, all) = (number("num_acknowledged_subtasks"), number("num_subtasks"));
    let bytes = HumanBytes(number("checkpointed_size"));
    format!("{done} of {all} subtasks, {bytes}")
}

pub(super) async fn savepoint(matches: &ArgMatches) -> Done {
    let client = client(matches)?;
    if let Some(path) = text(matches, "dispose") {
        return dispose(matches, &client, path).await;
    }
    let Some(job) = text(matches, "job") else {
        let message = "Missing JobID. Specify a Job ID to trigger a savepoint.";
        return Err(Failure::Arguments(message.to_owned()));
    };
    let job = job_id(job)?;
    let body = json!({
        "target-directory": text(matches, "target").map(absolute),
        "cancel-job": false,
        "formatType": format_type(matches)?,
        "triggerId": trigger(),
    });
    let detached = matches.get_flag("detached");
    let mode = if detached { " in detached mode" } else { "" };
    if text(matches, "trigger").is_none() {
        say(matches, &format!("Triggering savepoint{mode} for job {job}."));
    }
    let path = format!("/jobs/{job}/savepoints");
    let failed = format!("Failed to trigger a savepoint for the job {job}.");
    let answer = match text(matches, "trigger") {
        Some(trigger) => json!({ "request-id": trigger }),
        None => client.post(&path, &body).await.with_context(|| failed.clone())?,
    };
    let trigger = field(&answer, "request-id")?;
    if detached {
        if !printed_json(matches, &answer) {
            println!("Successfully trigger manual savepoint, triggerId: {trigger}");
        }
        return Ok(());
    }
    say(matches, "Waiting for response...");
    let started = Started {
        client: &client,
        path,
        trigger,
        what: format!("the savepoint of job {job}"),
        again: format!("tidegate savepoint {job} --trigger {trigger}"),
        failed,
    };
    let operation = started.wait(Some(job), matches.get_flag("json")).await?;
    if !printed_json(matches, &operation) {
        println!("Savepoint completed. Path: {}", field(&operation, "location")?);
        println!("{RESUME}");
    }
    Ok(())
}

async fn dispose(matches: &ArgMatches, client: &Client, path: &str) -> Done {
    say(matches, &format!("Disposing savepoint '{path}'."));
    say(matches, "Waiting for response...");
    let body = json!({ "savepoint-path": absolute(path) });
    let failed = format!("Failed to dispose the savepoint '{path}'.");
    let answer = client.post("/savepoint-disposal", &body).await.with_context(|| failed.clone())?;
    let started = Started {
        client,
        path: "/savepoint-disposal".to_owned(),
        trigger: field(&answer, "request-id")?,
        what: format!("disposing the savepoint '{path}'"),
        again: format!("tidegate savepoint -d {path}"),
        failed,
    };
    let operation = started.wait(None, matches.get_flag("json")).await?;
    if !printed_json(matches, &operation) {
        println!("Savepoint '{path}' disposed.");
    }
    Ok(())
}

pub(super) async fn stop(matches: &ArgMatches) -> Done {
    // `stop -p JOB`: what stands where the folder could is the job.
    let (folder, job) = match (text(matches, "savepointPath"), text(matches, "job")) {
        (folder, Some(job)) => (folder, job),
        (Some(job), None) => (None, job),
        (None, None) => return Err(Failure::Arguments("Missing JobId".to_owned())),
    };
    let (client, job) = (client(matches)?, job_id(job)?);
    let drain = matches.get_flag("drain");
    let format = format_type(matches)?;
    let doing = if drain { "Draining" } else { "Suspending" };
    let is_new = text(matches, "trigger").is_none();
    if is_new {
        say(matches, &format!("{doing} job \"{job}\" with a {format} savepoint."));
    }
    let body = json!({
        "targetDirectory": folder.map(absolute),
        "drain": drain,
        "formatType": format,
        "triggerId": trigger(),
    });
    let detached = matches.get_flag("detached");
    let mode = if detached { " in detached mode" } else { "" };
    if is_new {
        say(matches, &format!("Triggering stop-with-savepoint{mode} for job {job}."));
    }
    let failed = format!("Could not stop with a savepoint job \"{job}\".");
    let answer = match text(matches, "trigger") {
        Some(trigger) => json!({ "request-id": trigger }),
        None => {
            let path = format!("/jobs/{job}/stop");
            client.post(&path, &body).await.with_context(|| failed.clone())?
        }
    };
    let trigger = field(&answer, "request-id")?;
    if detached {
        if !printed_json(matches, &answer) {
            println!(
                "Successfully trigger stop-with-savepoint in detached mode, triggerId: {trigger}"
            );
        }
        return Ok(());
    }
    say(matches, "Waiting for response...");
    let started = Started {
        client: &client,
        path: format!("/jobs/{job}/savepoints"),
        trigger,
        what: format!("stopping job \"{job}\" with a savepoint"),
        again: format!("tidegate stop {job} --trigger {trigger}"),
        failed,
    };
    let operation = started.wait(Some(job), matches.get_flag("json")).await?;
    if !printed_json(matches, &operation) {
        println!("Savepoint completed. Path: {}", field(&operation, "location")?);
    }
    Ok(())
}

pub(super) async fn cancel(matches: &ArgMatches) -> Done {
    let with_savepoint = matches.contains_id("withSavepoint");
    let (folder, job) = match (text(matches, "withSavepoint"), text(matches, "job")) {
        (folder, Some(job)) => (folder, job),
        (Some(job), None) => (None, job),
        (None, None) => {
            let message = "Missing JobID. Specify a JobID to cancel a job.";
            return Err(Failure::Arguments(message.to_owned()));
        }
    };
    let (client, job) = (client(matches)?, job_id(job)?);
    if !with_savepoint {
        say(matches, &format!("Cancelling job {job}."));
        let answer = client.patch(&format!("/jobs/{job}?mode=cancel")).await;
        let answer = answer.with_context(|| format!("Could not cancel job {job}."))?;
        if !printed_json(matches, &answer) {
            println!("Cancelled job {job}.");
        }
        return Ok(());
    }
    say(
        matches,
        "DEPRECATION WARNING: Cancelling a job with savepoint is deprecated. Use \"stop\" instead.",
    );
    let target = folder.map_or_else(|| "default savepoint directory".to_owned(), absolute);
    say(matches, &format!("Cancelling job {job} with CANONICAL savepoint to {target}."));
    let body = json!({
        "target-directory": folder.map(absolute),
        "cancel-job": true,
        "formatType": "CANONICAL",
        "triggerId": trigger(),
    });
    let (path, failed) =
        (format!("/jobs/{job}/savepoints"), format!("Could not cancel job {job}."));
    let answer = client.post(&path, &body).await.with_context(|| failed.clone())?;
    let trigger = field(&answer, "request-id")?;
    let started = Started {
        client: &client,
        path,
        trigger,
        what: format!("cancelling job {job} with a savepoint"),
        again: format!("tidegate savepoint {job} --trigger {trigger}"),
        failed,
    };
    let operation = started.wait(Some(job), matches.get_flag("json")).await?;
    if !printed_json(matches, &operation) {
        println!("Cancelled job {job}. Savepoint stored in {}.", field(&operation, "location")?);
    }
    Ok(())
}

pub(super) async fn checkpoint(matches: &ArgMatches) -> Done {
    let Some(job) = text(matches, "job") else {
        let message = "Missing JobID. Specify a Job ID to manipulate a checkpoint.";
        return Err(Failure::Arguments(message.to_owned()));
    };
    let (client, job) = (client(matches)?, job_id(job)?);
    let full = matches.get_flag("full");
    if text(matches, "trigger").is_none() {
        say(matches, &format!("Triggering checkpoint for job {job}."));
    }
    let kind = if full { "FULL" } else { "CONFIGURED" };
    let body = json!({ "checkpointType": kind, "triggerId": trigger() });
    let path = format!("/jobs/{job}/checkpoints");
    let failed = format!("Failed to trigger a checkpoint for the job {job}.");
    let answer = match text(matches, "trigger") {
        Some(trigger) => json!({ "request-id": trigger }),
        None => client.post(&path, &body).await.with_context(|| failed.clone())?,
    };
    say(matches, "Waiting for response...");
    let trigger = field(&answer, "request-id")?;
    let started = Started {
        client: &client,
        path,
        trigger,
        what: format!("the checkpoint of job {job}"),
        again: format!("tidegate checkpoint {job} --trigger {trigger}"),
        failed,
    };
    let operation = started.wait(None, matches.get_flag("json")).await?;
    if !printed_json(matches, &operation) {
        let name = if full { "Checkpoint(FULL)" } else { "Checkpoint" };
        println!("{name} {} for job {job} completed.", operation["checkpointId"]);
        println!("You can resume your program from this checkpoint with the run command.");
    }
    Ok(())
}

pub(super) async fn checkpoints(matches: &ArgMatches) -> Done {
    let (client, job) = (client(matches)?, job_id(text(matches, "job").unwrap_or_default())?);
    let answer = client.get(&format!("/jobs/{job}/checkpoints")).await?;
    if printed_json(matches, &answer) {
        return Ok(());
    }
    let counts = &answer["counts"];
    println!(
        "{} completed, {} in progress, {} failed",
        counts["completed"], counts["in_progress"], counts["failed"]
    );
    println!(
        "{:>8}  {:<10} {:<14} {:>9} {:>12}  where, or why",
        "id", "status", "type", "ms", "bytes"
    );
    for entry in answer["history"].as_array().into_iter().flatten() {
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        let note = [text("external_path"), text("failure_message")].concat();
        println!(
            "{:>8}  {:<10} {:<14} {:>9} {:>12}  {note}",
            entry["id"].to_string(),
            text("status"),
            text("checkpoint_type"),
            entry["end_to_end_duration"].to_string(),
            entry["state_size"].to_string()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_savepoint_that_is_under_way_tells_how_far_it_has_come() {
        let history = json!({ "history": [
            { "status": "IN_PROGRESS", "is_savepoint": false },
            {
                "status": "IN_PROGRESS", "is_savepoint": true, "num_acknowledged_subtasks": 3,
                "num_subtasks": 8, "checkpointed_size": 5 << 20,
            },
        ] });
        assert_eq!(progress(&history), "3 of 8 subtasks, 5.00 MiB");
        assert_eq!(progress(&json!({ "history": [] })), "");
    }
}
