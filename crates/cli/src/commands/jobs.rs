//! Listing jobs, and changing their parallelism.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::ArgMatches;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::{Done, client, job_id, parallelism, printed_json, say, text};
use crate::client::Client;

/// How often a job is looked at that is being rescaled.
const WATCH: Duration = Duration::from_millis(100);

pub(super) async fn list(matches: &ArgMatches) -> Done {
    let client = client(matches)?;
    let all = matches.get_flag("all");
    let (running, scheduled) = (matches.get_flag("running"), matches.get_flag("scheduled"));
    let (running, scheduled) =
        if running || scheduled { (running, scheduled) } else { (true, true) };
    say(matches, "Waiting for response...");
    let answer = client.get("/jobs/overview").await.context("Failed to retrieve job list.")?;
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

pub(super) async fn rescale(matches: &ArgMatches) -> Done {
    let (client, job) = (client(matches)?, job_id(text(matches, "job").unwrap_or_default())?);
    let wanted = parallelism(text(matches, "parallelism").unwrap_or_default())?;
    let failed = || format!("Failed to rescale the job {job}.");
    say(matches, &format!("Rescaling job {job} to parallelism {wanted}."));
    let path = format!("/jobs/{job}/resource-requirements");
    let mut bounds = client.get(&path).await.with_context(failed)?;
    let is_adaptive =
        |vertex: &Value| vertex["parallelism"]["lowerBound"] != vertex["parallelism"]["upperBound"];
    for (_, vertex) in bounds.as_object_mut().into_iter().flatten() {
        // An adaptive job may have fewer for as long as there are fewer slots.
        let least = if is_adaptive(vertex) { 1 } else { wanted };
        vertex["parallelism"] = json!({ "lowerBound": least, "upperBound": wanted });
    }
    client.put(&path, &bounds).await.with_context(failed)?;
    if matches.get_flag("detached") {
        printed_json(matches, &bounds);
        return Ok(());
    }
    say(matches, "Waiting for response...");
    let (begun, mut told) = (Instant::now(), false);
    loop {
        let detail = client.get_patiently(&format!("/jobs/{job}")).await.with_context(failed)?;
        let now = detail["vertices"][0]["parallelism"].as_u64().unwrap_or_default();
        let state = detail["state"].as_str().unwrap_or_default().to_owned();
        if state == "RUNNING" && now == u64::from(wanted) {
            if !printed_json(matches, &json!({ "parallelism": wanted })) {
                println!("Job {job} runs at parallelism {wanted}.");
            }
            return Ok(());
        }
        if ["FINISHED", "CANCELED", "FAILED"].contains(&state.as_str()) {
            return Err(anyhow!("the job has ended: {state}").context(failed()).into());
        }
        let missing = missing_slots(&client, wanted, now).await?;
        if state == "RUNNING" && missing > 0 && !std::mem::replace(&mut told, true) {
            say(matches, &format!("It waits for {missing} more slot(s), and goes on meanwhile."));
        }
        if begun.elapsed() > client.timeout {
            return Err(anyhow!(
                "job {job} does not run at parallelism {wanted} after {:?} (client.timeout), but \
                 at {now}, {state}; it is rescaled as soon as there are {wanted} slots",
                client.timeout
            )
            .into());
        }
        tokio::time::sleep(WATCH).await;
    }
}

/// How many slots a job lacks that is to have `wanted`, and has `now`.
async fn missing_slots(client: &Client, wanted: u32, now: u64) -> anyhow::Result<u64> {
    let overview = client.get_patiently("/overview").await?;
    let free = overview["slots-available"].as_u64().unwrap_or_default();
    Ok(u64::from(wanted).saturating_sub(now + free))
}
