//! Running and listing jobs.

use std::{collections::BTreeMap, io::IsTerminal, path::Path, time::Duration};

use anyhow::anyhow;
use clap::ArgMatches;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

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
        let count = count.parse::<u32>().ok().filter(|count| *count > 0);
        body["parallelism"] = json!(count.ok_or_else(|| {
            Failure::Arguments("The parallelism must be a positive number.".to_owned())
        })?);
    }
    Ok(body)
}

pub(super) async fn run(matches: &ArgMatches) -> Done {
    let client = client(matches)?;
    let mut body = request(matches)?;
    if let Some(path) = text(matches, "fromSavepoint") {
        body["savepointPath"] = json!(absolute(path));
    }
    if matches.get_flag("allowNonRestoredState") {
        body["allowNonRestoredState"] = json!(true);
    }
    if let Some(mode) = text(matches, "claimMode") {
        body["claimMode"] = json!(mode.to_uppercase());
    }
    let binary = text(matches, "binary").unwrap_or_default();
    let jar = client.upload(Path::new(binary)).await?;
    let answer = client.post(&format!("/jars/{jar}/run"), &body).await?;
    let job = field(&answer, "jobid")?.to_owned();
    if !printed_json(matches, &answer) {
        println!("Job has been submitted with JobID {job}");
    }
    if matches.get_flag("detached") { Ok(()) } else { watch(matches, &client, &job).await }
}

/// Waits for a job's end; Ctrl-C cancels it.
async fn watch(matches: &ArgMatches, client: &Client, job: &str) -> Done {
    let shows = std::io::stderr().is_terminal() && !matches.get_flag("json");
    let mut shown = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(WATCH) => {}
            _ = tokio::signal::ctrl_c() => {
                eprintln!("\ncancelling job {job}");
                client.patch(&format!("/jobs/{job}?mode=cancel")).await?;
            }
        }
        let result = client.get_patiently(&format!("/jobs/{job}/execution-result")).await?;
        if result["status"]["id"] == "COMPLETED" {
            if shown > 0 {
                eprintln!();
            }
            return ended(matches, job, &result["job-execution-result"]);
        }
        if shows {
            let line = live_line(client, job).await?;
            eprint!("\r{line:<shown$}");
            shown = line.chars().count();
        }
    }
}

async fn live_line(client: &Client, job: &str) -> anyhow::Result<String> {
    let detail = client.get_patiently(&format!("/jobs/{job}")).await?;
    let checkpoints = client.get_patiently(&format!("/jobs/{job}/checkpoints")).await?;
    let vertices = detail["vertices"].as_array().into_iter().flatten();
    let records = vertices.filter_map(|vertex| vertex["metrics"]["write-records"].as_u64());
    let state = detail["state"].as_str().unwrap_or_default();
    let latest = &checkpoints["latest"]["completed"];
    let checkpoint = match latest["id"].as_u64() {
        Some(id) => format!("checkpoint {id} in {} ms", latest["end_to_end_duration"]),
        None => "no checkpoint yet".to_owned(),
    };
    Ok(format!("{state}  {} records  {checkpoint}", records.sum::<u64>()))
}

fn ended(matches: &ArgMatches, job: &str, result: &Value) -> Done {
    if matches.get_flag("json") {
        println!("{result}");
    }
    let status = result["application-status"].as_str().unwrap_or_default();
    if status != "SUCCEEDED" {
        let reason = crate::client::failure_of(result);
        let reason = reason.unwrap_or_else(|| format!("it was {}", status.to_lowercase()));
        return Err(anyhow!("job {job} has not finished: {reason}").into());
    }
    if !matches.get_flag("json") {
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

pub(super) async fn list(matches: &ArgMatches) -> Done {
    let client = client(matches)?;
    let all = matches.get_flag("all");
    let (running, scheduled) = (matches.get_flag("running"), matches.get_flag("scheduled"));
    let (running, scheduled) =
        if running || scheduled { (running, scheduled) } else { (true, true) };
    if !matches.get_flag("json") {
        println!("Waiting for response...");
    }
    let answer = client.get("/jobs/overview").await?;
    if printed_json(matches, &answer) {
        return Ok(());
    }
    let jobs = answer["jobs"].as_array().cloned().unwrap_or_default();
    let of = |states: &[&str]| {
        let is = |job: &&Value| states.iter().any(|state| job["state"] == *state);
        jobs.iter().filter(is).map(line).collect::<Vec<_>>()
    };
    if running || all {
        let lines = of(&["RUNNING", "RESTARTING", "CANCELLING", "FAILING"]);
        section(
            "------------------ Running/Restarting Jobs -------------------",
            "No running jobs.",
            &lines,
        );
    }
    if scheduled || all {
        let lines = of(&["INITIALIZING", "CREATED"]);
        section(
            "----------------------- Scheduled Jobs -----------------------",
            "No scheduled jobs.",
            &lines,
        );
    }
    if all {
        let lines = of(&["FINISHED", "CANCELED", "FAILED"]);
        section(
            "---------------------- Terminated Jobs -----------------------",
            "No terminated jobs.",
            &lines,
        );
    }
    Ok(())
}

fn section(title: &str, nothing: &str, lines: &[String]) {
    if lines.is_empty() {
        println!("{nothing}");
        return;
    }
    println!("{title}");
    for line in lines {
        println!("{line}");
    }
    println!("--------------------------------------------------------------");
}

fn line(job: &Value) -> String {
    let started = Timestamp::from_millisecond(job["start-time"].as_i64().unwrap_or(0));
    let started = started.unwrap_or_default().to_zoned(TimeZone::system());
    let text = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
    let started = started.strftime("%d.%m.%Y %H:%M:%S");
    format!("{started} : {} : {} ({})", text("jid"), text("name"), text("state"))
}
