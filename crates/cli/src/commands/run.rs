//! Running a job, and showing what a binary would run.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use anyhow::anyhow;
use clap::ArgMatches;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tidegate_terminal::live_line;
use tidegate_types::options::{Configuration, Origin};
use tokio::signal::unix::{SignalKind, signal};

use super::{Done, Failure, absolute, client, field, printed_json, text};
use crate::client::Client;

/// How often a job's state is asked for while it runs.
const WATCH: Duration = Duration::from_millis(200);

/// The body of a request to run, or to describe, a binary.
fn request(matches: &ArgMatches) -> Result<Value, Failure> {
    let own = matches.get_many::<String>("arguments").into_iter().flatten();
    let mut options = BTreeMap::new();
    for pair in matches.get_many::<String>("option").into_iter().flatten() {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::Arguments(format!("-D {pair}: expected KEY=VALUE")))?;
        options.insert(key.trim(), value.trim());
    }
    let mut body = json!({
        "programArgsList": own.collect::<Vec<_>>(),
        "flinkConfiguration": options,
    });
    if let Some(count) = text(matches, "parallelism") {
        body["parallelism"] = json!(super::parallelism(count)?);
    }
    Ok(body)
}

/// Says at once which options do nothing: the job's own log, where they are told too, is far away.
fn warn_of_options(options: &Value) {
    let mut configuration = Configuration::default();
    for (key, value) in options.as_object().into_iter().flatten() {
        let origin = Origin::CommandLine { option: "-D".to_owned() };
        configuration.set(key, value.as_str().unwrap_or_default(), origin);
    }
    for warning in configuration.warnings() {
        eprintln!("warning: {}", warning.message);
    }
}

/// What `--verify` stands for; Flink's API has no field for it.
const VERIFY: &str = "execution.state-recovery.verify";

/// The snapshot to start from, as somebody in another folder understands it: `latest` is no path.
fn snapshot(named: &str) -> String {
    if named == "latest" { named.to_owned() } else { absolute(named) }
}

/// Asks the binary itself what a restore would do: the cluster has nothing to do with it.
fn dry_run(matches: &ArgMatches) -> Done {
    let path = text(matches, "fromSavepoint").ok_or_else(|| {
        let message = "--dry-run tells what a restore would do: name the savepoint with -s.";
        Failure::Arguments(message.to_owned())
    })?;
    let binary = text(matches, "binary").unwrap_or_default();
    let mut command = Command::new(absolute(binary));
    command.args(["--dry-run", "--from-savepoint", &snapshot(path)]);
    if let Some(count) = text(matches, "parallelism") {
        command.args(["--parallelism", count]);
    }
    if matches.get_flag("allowNonRestoredState") {
        command.arg("--allow-non-restored-state");
    }
    for pair in matches.get_many::<String>("option").into_iter().flatten() {
        command.args(["-D", pair]);
    }
    command.args(matches.get_many::<String>("arguments").into_iter().flatten());
    let status = command.status();
    let status = status.map_err(|error| anyhow!("{binary} can't be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(anyhow!("{binary} would not start so").into()) }
}

pub(super) async fn run(matches: &ArgMatches) -> Done {
    if matches.get_flag("dryRun") {
        return dry_run(matches);
    }
    let client = client(matches)?;
    let mut body = request(matches)?;
    warn_of_options(&body["flinkConfiguration"]);
    if let Some(path) = text(matches, "fromSavepoint") {
        body["savepointPath"] = json!(snapshot(path));
    }
    if matches.get_flag("allowNonRestoredState") {
        body["allowNonRestoredState"] = json!(true);
    }
    if matches.get_flag("verify") {
        body["flinkConfiguration"][VERIFY] = json!("true");
    }
    if let Some(mode) = text(matches, "claimMode") {
        body["claimMode"] = json!(claim_mode(mode)?);
    }
    let binary = text(matches, "binary").unwrap_or_default();
    let jar = client.upload(Path::new(binary)).await?;
    let answer = client.post(&format!("/jars/{jar}/run"), &body).await?;
    let job = field(&answer, "jobid")?.to_owned();
    for told in ["rewind", "fork"] {
        if let Some(told) = answer[told].as_str() {
            eprintln!("{told}");
        }
    }
    if matches.get_flag("detached") {
        if !printed_json(matches, &answer) {
            println!("Job has been submitted with JobID {job}");
        }
        return Ok(());
    }
    if !matches.get_flag("json") {
        println!("Job has been submitted with JobID {job}");
    }
    watch(matches, &client, &job).await
}

fn claim_mode(text: &str) -> Result<&'static str, Failure> {
    match text.to_lowercase().replace('-', "_").as_str() {
        "claim" => Ok("CLAIM"),
        "no_claim" => Ok("NO_CLAIM"),
        "legacy" => Err(Failure::Arguments(
            "The claim mode legacy shares files between owners, which would let one delete what \
             the other needs: use claim or no_claim."
                .to_owned(),
        )),
        other => Err(Failure::Arguments(format!(
            "Could not find {other} claim mode. Available modes: claim, no_claim."
        ))),
    }
}

/// Waits for a job's end; Ctrl-C cancels it.
async fn watch(matches: &ArgMatches, client: &Client, job: &str) -> Done {
    let quiet = matches.get_flag("json");
    // One for the whole time: a signal that comes during a request is not lost.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let line = if quiet { ProgressBar::hidden() } else { live_line() };
    loop {
        tokio::select! {
            () = tokio::time::sleep(WATCH) => {}
            _ = interrupts.recv() => {
                line.suspend(|| eprintln!("cancelling job {job}"));
                client.patch(&format!("/jobs/{job}?mode=cancel")).await?;
            }
        }
        let result = client.get_patiently(&format!("/jobs/{job}/execution-result")).await?;
        if result["status"]["id"] == "COMPLETED" {
            line.finish_and_clear();
            return ended(matches, job, &result["job-execution-result"]);
        }
        if !line.is_hidden() {
            let detail = client.get_patiently(&format!("/jobs/{job}")).await?;
            let snapshots = client.get_patiently(&format!("/jobs/{job}/checkpoints")).await?;
            line.set_message(state_line(&detail, &snapshots));
        }
    }
}

/// How a job is, on one line.
fn state_line(detail: &Value, snapshots: &Value) -> String {
    let state = detail["state"].as_str().unwrap_or_default();
    let missing = detail["missing-slots"].as_u64().unwrap_or_default();
    let waiting = match missing {
        0 => String::new(),
        missing => format!(", waiting for {missing} more slot(s)"),
    };
    let rate = detail["records-per-second"].as_f64().unwrap_or_default();
    let latest = &snapshots["latest"]["completed"];
    let checkpoint = match latest["id"].as_u64() {
        Some(id) => format!("checkpoint {id} in {} ms", latest["end_to_end_duration"]),
        None => "no checkpoint yet".to_owned(),
    };
    let restarts = detail["restarts"].as_u64().unwrap_or_default();
    format!("{state}{waiting}  {rate:.0} records/s  {checkpoint}  {restarts} restart(s)")
}

fn ended(matches: &ArgMatches, job: &str, result: &Value) -> Done {
    let status = result["application-status"].as_str().unwrap_or_default();
    if status != "SUCCEEDED" {
        let reason = crate::client::failure_of(result);
        let reason = reason.unwrap_or_else(|| format!("it was {}", status.to_lowercase()));
        return Err(anyhow!("{reason}").context(format!("Job {job} has not finished.")).into());
    }
    if !printed_json(matches, result) {
        println!("Program execution finished");
        println!("Job with JobID {job} has finished.");
        println!("Job Runtime: {} ms", result["net-runtime"]);
    }
    Ok(())
}

pub(super) async fn info(matches: &ArgMatches) -> Done {
    let client = client(matches)?;
    let binary = text(matches, "binary").unwrap_or_default();
    let jar = client.upload(Path::new(binary)).await?;
    let answer = client.post(&format!("/jars/{jar}/plan"), &request(matches)?).await?;
    if !printed_json(matches, &answer["plan"]) {
        println!("----------------------- Execution Plan -----------------------");
        println!("{}", serde_json::to_string(&answer["plan"])?);
        println!("--------------------------------------------------------------\n");
        println!("No description provided.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_line_tells_what_there_is() {
        let detail = json!({
            "state": "RESTARTING", "missing-slots": 2, "records-per-second": 1234.4, "restarts": 3,
        });
        let none = json!({ "latest": { "completed": null } });
        let expected = "RESTARTING, waiting for 2 more slot(s)  1234 records/s  no checkpoint yet  \
                        3 restart(s)";
        assert_eq!(state_line(&detail, &none), expected);
        let detail = json!({ "state": "RUNNING", "missing-slots": 0, "records-per-second": 0.0 });
        let one = json!({ "latest": { "completed": { "id": 7, "end_to_end_duration": 12 } } });
        let expected = "RUNNING  0 records/s  checkpoint 7 in 12 ms  0 restart(s)";
        assert_eq!(state_line(&detail, &one), expected);
    }
}
