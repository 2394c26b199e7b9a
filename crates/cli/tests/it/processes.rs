//! How the processes of a cluster end, and how JobManagers follow each other.

use std::path::{Path, PathBuf};

use tidegate_testing::{
    folders::{checkpoints, is_complete},
    process::{Process, flights, signal},
    wait_for,
};

use crate::support::{Site, TIDEGATE};

const TERMINATED: Option<i32> = Some(143);

/// Starts a server of a site's cluster.
fn start(site: &Site, verb: &str, name: &str, options: &[&str]) -> Process {
    let home = site.path().join(name).display().to_string();
    let ports = [
        format!("rest.port={}", site.rest_port()),
        format!("jobmanager.rpc.port={}", site.rpc_port),
    ];
    let conf = format!("TIDEGATE_HOME={}", site.path().join("home").display());
    let mut arguments = vec![conf, TIDEGATE.to_owned(), verb.to_owned(), "--dir".to_owned(), home];
    arguments.extend(ports.into_iter().flat_map(|pair| ["-D".to_owned(), pair]));
    arguments.extend(options.iter().map(|option| (*option).to_owned()));
    Process::start(Path::new("env"), &arguments, &site.path().join(format!("{name}.log")))
}

fn wait_for_log(process: &mut Process, text: &str) {
    wait_for(&format!("`{text}` in the log"), || {
        assert!(process.ended().is_none(), "it has ended: {}", process.log());
        process.log().contains(text).then_some(())
    });
}

const SERVED: &str = "the REST API is served";

fn complete(folder: &Path) -> Vec<PathBuf> {
    let mut all = checkpoints(folder);
    all.retain(|checkpoint| is_complete(checkpoint));
    all
}

#[test]
fn sigterm_ends_a_jobmanager_with_a_last_checkpoint_of_its_jobs_and_then_a_task_manager() {
    let site = Site::new();
    let mut manager = start(&site, "jobmanager", "jm", &[]);
    wait_for_log(&mut manager, SERVED);
    let mut task_manager = start(&site, "taskmanager", "tm", &[]);
    wait_for_log(&mut task_manager, "registered with the JobManager");
    let (binary, kept) = (flights().display().to_string(), site.path().join("kept"));
    // None but the last one: nothing is due for an hour.
    let options = [
        format!("execution.checkpointing.dir={}", kept.display()),
        "execution.checkpointing.interval=1 h".to_owned(),
    ];
    let output = site.output().display().to_string();
    let job = [&binary, "--rate", "3000", "--out", &output];
    let run = ["run", "-d", "-D", &options[0], "-D", &options[1]];
    let said = site.says(&[run.as_slice(), &job].concat());
    let id = said.trim().rsplit(' ').next().expect("Flink's words").to_owned();
    wait_for("the job to run", || site.says(&["list", "-r"]).contains(&id).then_some(()));
    wait_for("records", || {
        let detail = site.get(&format!("/jobs/{id}"));
        (!detail.contains("\"records-per-second\":0.0")).then_some(())
    });
    signal("-TERM", manager.id());
    assert_eq!(manager.wait().code(), TERMINATED, "{}", manager.log());
    assert_eq!(complete(&kept).len(), 1, "{}", manager.log());
    assert!(manager.log().contains("Suspended"), "{}", manager.log());
    signal("-TERM", task_manager.id());
    assert_eq!(task_manager.wait().code(), TERMINATED, "{}", task_manager.log());
}

#[test]
fn one_jobmanager_leads_and_the_next_waits_for_its_end() {
    let site = Site::new();
    let ha = format!("high-availability.storageDir={}", site.path().join("ha").display());
    let mut first = start(&site, "jobmanager", "first", &["-D", &ha]);
    wait_for_log(&mut first, SERVED);
    let mut second = start(&site, "jobmanager", "second", &["-D", &ha]);
    wait_for_log(&mut second, "was alive: waiting for its end");
    assert!(second.log().contains(&format!("process {} on", first.id())), "{}", second.log());
    signal("-TERM", first.id());
    assert_eq!(first.wait().code(), TERMINATED, "{}", first.log());
    wait_for_log(&mut second, SERVED);

    // One that is killed is not waited for either: the kernel lets go of its lock.
    let mut third = start(&site, "jobmanager", "third", &["-D", &ha]);
    wait_for_log(&mut third, "was alive: waiting for its end");
    second.kill();
    wait_for_log(&mut third, SERVED);

    let ports = ["-D", "rest.port=0", "-D", "jobmanager.rpc.port=0"];
    let options = [&["-D", ha.as_str(), "--take-over"], ports.as_slice()].concat();
    let mut fourth = start(&site, "jobmanager", "fourth", &options);
    wait_for_log(&mut fourth, SERVED);
    assert_eq!(third.wait().code(), Some(3), "{}", third.log());
    let by = format!("another JobManager has taken over: process {} on", fourth.id());
    assert!(third.log().contains(&by), "{}", third.log());
}

#[test]
fn a_jobmanager_that_stands_still_is_taken_over_from_and_ends_when_it_wakes() {
    let site = Site::new();
    let ha = format!("high-availability.storageDir={}", site.path().join("ha").display());
    let soon = [
        "high-availability.leader-election.retry-period=100 ms",
        "high-availability.leader-election.lease-duration=1 s",
    ];
    let options = ["-D", ha.as_str(), "-D", soon[0], "-D", soon[1]];
    let mut first = start(&site, "jobmanager", "first", &options);
    wait_for_log(&mut first, SERVED);
    let others = [&options, ["-D", "rest.port=0", "-D", "jobmanager.rpc.port=0"].as_slice()];
    let mut second = start(&site, "jobmanager", "second", &others.concat());
    wait_for_log(&mut second, "was alive: waiting for its end");
    signal("-STOP", first.id());
    wait_for_log(&mut second, SERVED);
    signal("-CONT", first.id());
    assert_eq!(first.wait().code(), Some(3), "{}", first.log());
}

#[test]
fn sigterm_while_a_jobmanager_waits_ends_it() {
    let site = Site::new();
    let ha = format!("high-availability.storageDir={}", site.path().join("ha").display());
    let mut first = start(&site, "jobmanager", "first", &["-D", &ha]);
    wait_for_log(&mut first, SERVED);
    let mut second = start(&site, "jobmanager", "second", &["-D", &ha]);
    wait_for_log(&mut second, "was alive: waiting for its end");
    signal("-TERM", second.id());
    assert_eq!(second.wait().code(), TERMINATED, "{}", second.log());
    assert!(first.ended().is_none(), "{}", first.log());
}
