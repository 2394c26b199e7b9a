//! Savepoints and checkpoints, stopping and cancelling.

use anyhow::anyhow;
use clap::ArgMatches;
use serde_json::{Value, json};

use super::{Done, Failure, absolute, client, field, job_id, printed_json, text};
use crate::client::{Client, failure_of};

const RESUME: &str = "You can resume your program from this savepoint with the run command.";

/// A trigger id of our own: a request that is sent twice then starts one operation.
fn trigger() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn say(matches: &ArgMatches, line: &str) {
    if !matches.get_flag("json") {
        println!("{line}");
    }
}

/// The form of a savepoint; the canonical one is not there yet.
fn format_type(matches: &ArgMatches) -> Result<&'static str, Failure> {
    match text(matches, "type").map(str::to_uppercase).as_deref() {
        None | Some("NATIVE") => Ok("NATIVE"),
        Some("CANONICAL") => Err(Failure::Arguments(
            "Savepoints in canonical form are not there yet; use --type native.".to_owned(),
        )),
        Some(other) => Err(Failure::Arguments(format!("Unknown savepoint type: {other}."))),
    }
}

/// Waits for an operation on a job, or says that it goes on.
async fn wait(client: &Client, what: &str, path: &str) -> Result<Value, Failure> {
    let Some(operation) = client.result_of(path).await? else {
        return Err(anyhow!(
            "{what} has not ended within {:?} (client.timeout), and goes on; ask for its result \
             with: curl {}/v1{path}",
            client.timeout,
            client.address()
        )
        .into());
    };
    match failure_of(&operation) {
        Some(reason) => Err(anyhow!("{what} failed: {reason}").into()),
        None => Ok(operation),
    }
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
    say(matches, &format!("Triggering savepoint{mode} for job {job}."));
    let answer = client.post(&format!("/jobs/{job}/savepoints"), &body).await?;
    let trigger = field(&answer, "request-id")?;
    if detached {
        if !printed_json(matches, &answer) {
            println!("Successfully trigger manual savepoint, triggerId: {trigger}");
        }
        return Ok(());
    }
    say(matches, "Waiting for response...");
    let path = format!("/jobs/{job}/savepoints/{trigger}");
    let operation = wait(&client, &format!("the savepoint of job {job}"), &path).await?;
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
    let answer = client.post("/savepoint-disposal", &body).await?;
    let trigger = field(&answer, "request-id")?;
    let result = format!("/savepoint-disposal/{trigger}");
    let operation = wait(client, &format!("disposing the savepoint '{path}'"), &result).await?;
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
    say(matches, &format!("{doing} job \"{job}\" with a {format} savepoint."));
    let body = json!({
        "targetDirectory": folder.map(absolute),
        "drain": drain,
        "formatType": format,
        "triggerId": trigger(),
    });
    let detached = matches.get_flag("detached");
    let mode = if detached { " in detached mode" } else { "" };
    say(matches, &format!("Triggering stop-with-savepoint{mode} for job {job}."));
    let answer = client.post(&format!("/jobs/{job}/stop"), &body).await?;
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
    let path = format!("/jobs/{job}/savepoints/{trigger}");
    let what = format!("stopping job \"{job}\" with a savepoint");
    let operation = wait(&client, &what, &path).await?;
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
        let answer = client.patch(&format!("/jobs/{job}?mode=cancel")).await?;
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
    say(matches, &format!("Cancelling job {job} with NATIVE savepoint to {target}."));
    let body = json!({
        "target-directory": folder.map(absolute),
        "cancel-job": true,
        "formatType": "NATIVE",
        "triggerId": trigger(),
    });
    let answer = client.post(&format!("/jobs/{job}/savepoints"), &body).await?;
    let path = format!("/jobs/{job}/savepoints/{}", field(&answer, "request-id")?);
    let what = format!("cancelling job {job} with a savepoint");
    let operation = wait(&client, &what, &path).await?;
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
    say(matches, &format!("Triggering checkpoint for job {job}."));
    let kind = if full { "FULL" } else { "CONFIGURED" };
    let body = json!({ "checkpointType": kind, "triggerId": trigger() });
    let answer = client.post(&format!("/jobs/{job}/checkpoints"), &body).await?;
    say(matches, "Waiting for response...");
    let path = format!("/jobs/{job}/checkpoints/{}", field(&answer, "request-id")?);
    let operation = wait(&client, &format!("the checkpoint of job {job}"), &path).await?;
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
