//! What a job's processes have written.

use std::{collections::BTreeMap, io::Write, time::Duration};

use anyhow::{Context, anyhow};
use clap::ArgMatches;
use serde_json::{Value, json};

use super::{Done, client, job_id, printed_json, text};
use crate::client::Client;

/// How often a log that is followed is looked at.
const FOLLOW: Duration = Duration::from_millis(300);

/// A log of a process, by attempt and process.
type Logs = BTreeMap<(u64, u32), Log>;

/// Where a log lies.
struct Log {
    task_manager: String,
    name: String,
    bytes: u64,
}

/// Reads a log's name, which has the job, the attempt and the process in it.
fn parse(name: &str, job: &str) -> Option<(u64, u32)> {
    let numbers = name.strip_prefix(job)?.strip_prefix('-')?.strip_suffix(".log")?;
    let (attempt, process) = numbers.split_once('-')?;
    Some((attempt.parse().ok()?, process.parse().ok()?))
}

/// All logs of a job that TaskManagers have.
async fn logs_of(client: &Client, job: &str) -> anyhow::Result<Logs> {
    let mut found = Logs::new();
    let managers = client.get("/taskmanagers").await?;
    for manager in managers["taskmanagers"].as_array().into_iter().flatten() {
        let id = manager["id"].as_str().unwrap_or_default().to_owned();
        let logs = client.get(&format!("/taskmanagers/{id}/logs")).await?;
        for log in logs["logs"].as_array().into_iter().flatten() {
            let name = log["name"].as_str().unwrap_or_default();
            if let Some(key) = parse(name, job) {
                let bytes = log["size"].as_u64().unwrap_or_default();
                let (task_manager, name) = (id.clone(), name.to_owned());
                found.insert(key, Log { task_manager, name, bytes });
            }
        }
    }
    Ok(found)
}

/// A number that an option may give.
fn wanted<T: std::str::FromStr>(matches: &ArgMatches, name: &str) -> anyhow::Result<Option<T>> {
    let parse = |text: &str| text.parse().ok().context(format!("--{name} takes a number"));
    text(matches, name).map(parse).transpose()
}

pub(super) async fn logs(matches: &ArgMatches) -> Done {
    let (client, job) = (client(matches)?, job_id(text(matches, "job").unwrap_or_default())?);
    let mut logs = logs_of(&client, &job.to_string()).await?;
    let newest = logs.keys().map(|(attempt, _)| *attempt).max();
    let attempt = wanted::<u64>(matches, "attempt")?.or(newest);
    let process = wanted::<u32>(matches, "process")?;
    logs.retain(|(of, number), _| {
        Some(*of) == attempt && process.is_none_or(|process| process == *number)
    });
    if logs.is_empty() {
        return Err(anyhow!(
            "no TaskManager that is there has such a log of job {job}: has a process of it run, and \
             is its TaskManager still there?"
        )
        .into());
    }
    let list = logs.iter().map(|((attempt, process), log)| {
        json!({
            "attempt": attempt, "process": process, "taskmanager-id": log.task_manager,
            "name": log.name, "size": log.bytes,
        })
    });
    if printed_json(matches, &list.collect::<Value>()) {
        return Ok(());
    }
    let mut read = BTreeMap::new();
    let mut last = None;
    loop {
        for (key, log) in &logs {
            let offset = read.entry(*key).or_insert(0_u64);
            let path =
                format!("/taskmanagers/{}/logs/{}?offset={offset}", log.task_manager, log.name);
            let text = client.get_bytes(&path).await?;
            if text.is_empty() {
                continue;
            }
            if logs.len() > 1 && last.replace(*key) != Some(*key) {
                println!("==> process {} on TaskManager {} <==", key.1, log.task_manager);
            }
            std::io::stdout().write_all(&text)?;
            *offset += text.len() as u64;
        }
        std::io::stdout().flush()?;
        if !matches.get_flag("follow") {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logs_name_tells_whose_it_is() {
        assert_eq!(parse("0a-3-12.log", "0a"), Some((3, 12)));
        for other in ["0b-3-12.log", "0a-3.log", "0a-x-1.log", "0a-3-12.txt", ""] {
            assert_eq!(parse(other, "0a"), None, "{other}");
        }
    }
}
