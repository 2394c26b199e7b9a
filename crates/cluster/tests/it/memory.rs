//! What a JobManager keeps in memory.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use futures::future::join_all;
use reqwest::{Body, Client, multipart};
use serde_json::{Value, json};
use tidegate_testing::process::{Process, flights, job_manager};

use crate::{jobs::Site, support::wait_for};

/// How long a binary is, in bytes.
const BINARY: usize = 18 << 20;
/// How many are submitted one by one, and then at once.
const BINARIES: u64 = 12;

/// The memory of a process, in bytes.
fn resident(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has some");
    let kib = line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number");
    kib << 10
}

/// What the example says of its job, for programs that say the same.
fn description(site: &Site) -> PathBuf {
    let path = site.path().join("description");
    let mut command = Command::new(flights());
    let status = command.args(site.arguments(&[])).env("TIDEGATE_DESCRIBE", &path).status();
    assert!(status.expect("it starts").success());
    path
}

/// A program unlike all others, of the length of one that is stripped.
fn program(folder: &Path, number: u64, description: &Path) -> PathBuf {
    let path = folder.join(format!("program-{number}"));
    let mut file = fs::File::create(&path).expect("the folder is the test's own");
    let says =
        format!("#!/bin/sh\ncat '{}' > \"$TIDEGATE_DESCRIBE\"\nexit\n", description.display());
    file.write_all(says.as_bytes()).expect("there is room");
    let filling = number.to_le_bytes().repeat((BINARY - says.len()) / 8);
    file.write_all(&filling).expect("there is room");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is the test's own");
    path
}

/// Uploads a program; returns its name in the API.
pub(crate) async fn upload(url: &str, program: &Path) -> String {
    let file = tokio::fs::File::open(program).await.expect("it is there");
    let part = multipart::Part::stream(Body::from(file)).file_name("job");
    let form = multipart::Form::new().part("jarfile", part);
    let answer = Client::new().post(format!("{url}/jars/upload")).multipart(form).send().await;
    let answer = answer.expect("it answers").json::<Value>().await.expect("it is JSON");
    let name = answer["filename"].as_str().expect("it has a name").rsplit('/').next();
    name.unwrap_or_default().to_owned()
}

async fn run(url: &str, program: &str) {
    let request = Client::new().post(format!("{url}/jars/{program}/run")).json(&json!({}));
    let answer = request.send().await.expect("it answers");
    let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
    assert_eq!(status, 200, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn binaries_are_not_kept_in_memory_be_they_submitted_at_once_or_one_by_one() {
    let site = Site::new();
    let description = description(&site);
    let below = |name: &str| site.path().join(name);
    let folders = ["jobmanager", "ha", "address"].map(|name| below(name).display().to_string());
    let manager = Process::start(job_manager(), &folders, &below("log"));
    let url = wait_for("the JobManager", || fs::read_to_string(below("address")).ok()).await;
    let before = resident(manager.id());
    let mut uploaded = Vec::new();
    for number in 0..2 * BINARIES {
        let program = program(site.path(), number, &description);
        uploaded.push(upload(&url, &program).await);
        fs::remove_file(program).expect("it is there");
    }
    let (one_by_one, at_once) = uploaded.split_at(uploaded.len() / 2);
    for program in one_by_one {
        run(&url, program).await;
    }
    let behind_each = resident(manager.id()).saturating_sub(before);
    join_all(at_once.iter().map(|program| run(&url, program))).await;
    let behind_all = resident(manager.id()).saturating_sub(before);
    let most = behind_each.max(behind_all);
    assert!(
        most < 3 * BINARY,
        "{BINARIES} binaries of {BINARY} bytes one by one, and as many at once, have left \
         {behind_each} and {behind_all} bytes"
    );
}
