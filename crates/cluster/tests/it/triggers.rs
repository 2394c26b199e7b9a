//! What was asked for under a trigger id is answered by the next JobManager too, and nothing half
//! written is left behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

use reqwest::Client;
use serde_json::{Value, json};
use tidegate_testing::{
    folders::{entries, is_complete, name},
    process::{Process, children, job_manager, signal, stuck, task_manager},
};

use crate::{memory::upload, support::wait_for};

const TRIGGER: &str = "0123456789abcdef0123456789abcdef";

/// A JobManager whose jobs outlive it, and TaskManagers, each a process of its own.
struct Site {
    folder: tempfile::TempDir,
    port: u16,
    url: String,
    jobmanager: Option<Process>,
    task_managers: Vec<Process>,
}

impl Site {
    async fn start(task_managers: usize) -> Self {
        // They may have to be built first.
        let _ = (job_manager(), task_manager(), stuck());
        let folder = tempfile::tempdir().expect("a folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let (url, jobmanager) = (String::new(), None);
        let mut site = Self { folder, port, url, jobmanager, task_managers: Vec::new() };
        site.start_jobmanager().await;
        for number in 0..task_managers {
            let home = site.path(&format!("taskmanager-{number}"));
            let arguments =
                [format!("http://127.0.0.1:{port}"), "1".to_owned(), home.display().to_string()];
            let log = home.with_extension("log");
            site.task_managers.push(Process::start(task_manager(), &arguments, &log));
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn start_jobmanager(&mut self) {
        // It is not there before.
        let _ = fs::remove_file(self.path("address"));
        let folders = ["jobmanager", "ha", "address"].map(|name| self.path(name));
        let mut arguments = folders.map(|folder| folder.display().to_string()).to_vec();
        arguments.push(self.port.to_string());
        self.jobmanager = Some(Process::start(job_manager(), &arguments, &self.path("log")));
        self.url =
            wait_for("the JobManager", || fs::read_to_string(self.path("address")).ok()).await;
    }

    /// SIGKILL, and another one.
    async fn restart_jobmanager(&mut self) {
        self.jobmanager.take().expect("it runs").kill();
        self.start_jobmanager().await;
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = Client::new().get(format!("{}{path}", self.url)).send().await;
        let answer = answer.expect("it answers");
        (answer.status().as_u16(), answer.json().await.expect("it is JSON"))
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = Client::new().post(format!("{}{path}", self.url)).json(&body);
        let answer = request.send().await.expect("it answers");
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).expect("it is JSON")
    }

    /// Starts a job that writes numbers; returns its path in the API once it has a checkpoint.
    async fn run(&self, parallelism: usize) -> String {
        let switches = self.path("switches");
        fs::create_dir(&switches).expect("the folder is the test's own");
        let jar = upload(&self.url, stuck()).await;
        let body = json!({
            "programArgsList": [switches, self.path("out")],
            "parallelism": parallelism,
            "flinkConfiguration": {
                "execution.checkpointing.interval": "1 h",
                "execution.checkpointing.data-inline-threshold": "0",
                "execution.checkpointing.dir": self.path("checkpoints"),
            },
        });
        let answer = self.post(&format!("/jars/{jar}/run"), body).await;
        let job = format!("/jobs/{}", answer["jobid"].as_str().expect("an id"));
        self.wait_for_state(&job, "RUNNING").await;
        self.checkpoint(&job, "00000000000000000000000000000001").await;
        job
    }

    async fn wait_for_state(&self, job: &str, state: &str) {
        loop {
            if self.get(job).await.1["state"] == state {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn checkpoint(&self, job: &str, trigger: &str) -> Value {
        let path = format!("{job}/checkpoints");
        self.post(&path, json!({ "triggerId": trigger })).await;
        let done = self.result(&format!("{path}/{trigger}")).await;
        assert!(done["checkpointId"].is_u64(), "{done}");
        done
    }

    /// The result of an operation, once it is done.
    async fn result(&self, path: &str) -> Value {
        loop {
            let (status, answer) = self.get(path).await;
            assert_eq!(status, 200, "{answer}");
            if answer["status"]["id"] == "COMPLETED" {
                return answer["operation"].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    fn kill_job(&self, signal_name: &str, of: &[usize]) {
        for number in of {
            for pid in children(self.task_managers[*number].id()) {
                signal(signal_name, pid);
            }
        }
    }

    /// The records of requests.
    fn kept(&self) -> Vec<PathBuf> {
        entries(&self.path("ha/default/triggers")).iter().flat_map(|job| entries(job)).collect()
    }
}

fn savepoint(target: &Path) -> Value {
    json!({ "target-directory": target, "formatType": "NATIVE", "triggerId": TRIGGER })
}

/// The files that savepoints have written into a folder.
fn files(target: &Path) -> Vec<PathBuf> {
    entries(target).iter().filter(|path| path.is_dir()).flat_map(|folder| entries(folder)).collect()
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(std::time::Duration::from_secs(120), work).await;
    done.expect("it takes two minutes")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_that_its_jobmanager_did_not_live_to_see_has_failed_and_leaves_nothing() {
    let mut site = Site::start(2).await;
    let job = in_time(site.run(2)).await;
    let target = site.path("target");
    fs::create_dir_all(target.join("savepoint-of-somebody")).expect("it is the test's own");
    let others = [target.join("savepoint-of-somebody/state-0-0000000000000001"), target.join("x")];
    others.iter().for_each(|path| fs::write(path, "x").expect("it is the test's own"));
    // One of two processes does its part.
    site.kill_job("-STOP", &[1]);
    let path = format!("{job}/savepoints");
    site.post(&path, savepoint(&target)).await;
    let is_part = |path: &PathBuf| name(path).starts_with("state-") && !others.contains(path);
    let half = wait_for("a part of it", || files(&target).into_iter().find(is_part)).await;
    let result = format!("{path}/{TRIGGER}");
    assert_eq!(site.get(&result).await.1["status"]["id"], "IN_PROGRESS");

    site.restart_jobmanager().await;
    let done = in_time(site.result(&result)).await;
    let cause = done["failure-cause"]["stack-trace"].as_str().expect("it has failed");
    assert!(cause.contains("trigger it again"), "{cause}");
    site.kill_job("-CONT", &[1]);
    // The same id starts nothing.
    site.post(&path, savepoint(&target)).await;
    assert_eq!(in_time(site.result(&result)).await, done);
    let folder = half.parent().expect("it lies in one");
    wait_for("what is left of it to go", || (!folder.exists()).then_some(())).await;
    assert!(others.iter().all(|path| path.exists()), "somebody else's is gone");
    in_time(site.wait_for_state(&job, "RUNNING")).await;
    in_time(site.checkpoint(&job, "00000000000000000000000000000002")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_before_its_jobmanager_ended_is_told_by_the_next() {
    let mut site = Site::start(1).await;
    let job = in_time(site.run(1)).await;
    let target = site.path("target");
    let path = format!("{job}/savepoints");
    site.post(&path, savepoint(&target)).await;
    let result = format!("{path}/{TRIGGER}");
    let before = in_time(site.result(&result)).await;
    let checkpoint = "00000000000000000000000000000001";
    let checkpoint = format!("{job}/checkpoints/{checkpoint}");
    let of_checkpoint = in_time(site.result(&checkpoint)).await;
    // As if it had not come to that.
    let notes = || site.kept().into_iter().filter(|path| name(path).ends_with(".result"));
    wait_for("notes", || (notes().count() == 2).then_some(())).await;
    notes().for_each(|path| fs::remove_file(path).expect("it is there"));
    for _ in 0..2 {
        site.restart_jobmanager().await;
        assert_eq!(in_time(site.result(&result)).await, before);
        assert_eq!(in_time(site.result(&checkpoint)).await, of_checkpoint);
    }
    let location = before["location"].as_str().expect("it is complete");
    assert!(is_complete(Path::new(location)), "it is its user's");
    let (status, answer) = site.get(&format!("{path}/00000000000000000000000000000003")).await;
    assert_eq!(status, 404, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_whose_savepoint_is_in_the_log_is_answered_when_the_next_has_ended_the_job() {
    let mut site = Site::start(1).await;
    let job = in_time(site.run(1)).await;
    let target = site.path("target");
    let body = json!({ "targetDirectory": target, "triggerId": TRIGGER });
    site.post(&format!("{job}/stop"), body).await;
    let id = job.rsplit('/').next().expect("an id");
    let log = site.path(&format!("checkpoints/{id}/log"));
    // What an entry is written to before it gets its name is none.
    let is_entry = |path: &PathBuf| name(path).bytes().all(|byte| byte.is_ascii_digit());
    let is_final = |path: &PathBuf| {
        is_entry(path)
            && fs::read_to_string(path).is_ok_and(|text| text.contains("\"final-savepoint\""))
    };
    wait_for("the savepoint", || entries(&log).into_iter().find(is_final)).await;
    site.restart_jobmanager().await;
    let done = in_time(site.result(&format!("{job}/savepoints/{TRIGGER}"))).await;
    let location = done["location"].as_str().unwrap_or_else(|| panic!("it has failed: {done}"));
    assert!(is_complete(Path::new(location)), "{location}");
    wait_for("the job's record to go", || {
        entries(&site.path("ha/default/jobs")).is_empty().then_some(())
    })
    .await;
}
