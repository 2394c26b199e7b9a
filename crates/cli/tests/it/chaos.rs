//! A while in which any process may be killed, stopped or cut off at any moment, the JobManager too:
//! every flight is counted once all the same, and nothing is left behind. `TIDEGATE_CHAOS_SECONDS=600` makes
//! it a long one.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rand::{RngExt, rngs::StdRng};
use tidegate_testing::{
    flights::{Results, cut_into_files},
    folders::{checkpoints, unfinished},
    process::{children, flights, signal},
    proxy::Proxy,
    seeded,
};

use crate::support::{Site, TIDEGATE};

/// For how many seconds there is trouble, unless somebody has more time.
const TROUBLE: u64 = 40;
/// About so many flights come in while there is trouble: all of them twice, since half of the time none do.
const FLIGHTS: u64 = 720_000;
/// How long the job may take to its end behind that.
const PATIENCE: Duration = Duration::from_secs(180);
const TASK_MANAGERS: usize = 3;
const OPTIONS: [&str; 5] = [
    "heartbeat.interval=300 ms",
    "heartbeat.timeout=2 s",
    "execution.checkpointing.interval=200 ms",
    "restart-strategy.exponential-delay.initial-backoff=50 ms",
    "restart-strategy.exponential-delay.max-backoff=500 ms",
];

/// A process of the cluster that this test has started.
struct Server {
    child: Child,
}

impl Server {
    fn start(site: &Site, name: &str, arguments: &[String]) -> Self {
        let log = File::options().create(true).append(true).open(site.path().join(name));
        let log = log.expect("the folder is the test's own");
        let child = site
            .command(TIDEGATE)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the command starts");
        Self { child }
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    fn kill(&mut self) {
        // It may have ended by itself, as a JobManager does that was taken over from.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A cluster whose every process is this test's.
struct Cluster {
    site: Site,
    ha: PathBuf,
    jobmanager: Server,
    task_managers: Vec<Server>,
    /// The way of each TaskManager and its processes to the JobManager.
    proxies: Vec<Proxy>,
}

impl Cluster {
    fn start(site: Site, tokio: &tokio::runtime::Runtime) -> Self {
        let ha = site.path().join("ha");
        let address = SocketAddr::from(([127, 0, 0, 1], site.rpc_port));
        let proxies = (0..TASK_MANAGERS).map(|_| tokio.block_on(Proxy::to(address)));
        let proxies = proxies.collect::<Vec<_>>();
        let jobmanager = start_jobmanager(&site, &ha);
        let task_managers = proxies.iter().map(|proxy| start_task_manager(&site, proxy)).collect();
        Self { site, ha, jobmanager, task_managers, proxies }
    }

    /// Does something bad to somebody, and undoes it; tells what.
    fn trouble(&mut self, random: &mut StdRng) -> String {
        let index = random.random_range(0..TASK_MANAGERS);
        let pause = Duration::from_millis(random.random_range(100..5_000));
        match random.random_range(0..7) {
            0 => {
                self.jobmanager.kill();
                self.jobmanager = start_jobmanager(&self.site, &self.ha);
                "the JobManager was killed".to_owned()
            }
            1 => {
                self.task_managers[index].kill();
                self.task_managers[index] = start_task_manager(&self.site, &self.proxies[index]);
                format!("TaskManager {index} was killed")
            }
            2 => {
                let processes = children(self.task_managers[index].id());
                processes.iter().for_each(|pid| signal("-KILL", *pid));
                format!("{} processes of TaskManager {index} were killed", processes.len())
            }
            3 => {
                let mut all = children(self.task_managers[index].id());
                all.push(self.task_managers[index].id());
                all.iter().for_each(|pid| signal("-STOP", *pid));
                sleep(pause);
                all.iter().for_each(|pid| signal("-CONT", *pid));
                format!("TaskManager {index} and its processes stood still for {pause:?}")
            }
            4 => {
                let processes = children(self.task_managers[index].id());
                processes.iter().for_each(|pid| signal("-STOP", *pid));
                sleep(pause);
                processes.iter().for_each(|pid| signal("-CONT", *pid));
                format!("the processes of TaskManager {index} stood still for {pause:?}")
            }
            5 => {
                signal("-STOP", self.jobmanager.id());
                sleep(pause);
                signal("-CONT", self.jobmanager.id());
                format!("the JobManager stood still for {pause:?}")
            }
            _ => {
                self.proxies[index].cut();
                sleep(pause);
                self.proxies[index].mend();
                format!("TaskManager {index} was cut off for {pause:?}")
            }
        }
    }

    /// Whether the record of the job, which has not ended, is there.
    fn has_jobs(&self) -> bool {
        let jobs = fs::read_dir(self.ha.join("default/jobs"));
        jobs.is_ok_and(|mut jobs| jobs.next().is_some())
    }
}

fn start_jobmanager(site: &Site, ha: &Path) -> Server {
    let home = site.path().join("home");
    let mut arguments =
        vec!["jobmanager".to_owned(), "--dir".to_owned(), home.display().to_string()];
    arguments.extend(["-D".to_owned(), format!("high-availability.storageDir={}", ha.display())]);
    for option in OPTIONS {
        arguments.extend(["-D".to_owned(), option.to_owned()]);
    }
    Server::start(site, "jobmanager.log", &arguments)
}

fn start_task_manager(site: &Site, proxy: &Proxy) -> Server {
    let home = site.path().join("home").display().to_string();
    let arguments = ["taskmanager", "--slots", "2", "--dir", &home, "--jobmanager", &proxy.url];
    Server::start(site, "taskmanager.log", &arguments.map(str::to_owned))
}

fn eventually<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn whatever_happens_every_flight_is_counted_once() {
    let mut random = seeded();
    let tokio = tokio::runtime::Runtime::new().expect("the system can start threads");
    let site = Site::new();
    let input = cut_into_files(&site.path().join("input")).display().to_string();
    let mut cluster = Cluster::start(site, &tokio);
    let binary = flights().display().to_string();
    let seconds = std::env::var("TIDEGATE_CHAOS_SECONDS");
    let seconds =
        seconds.map_or(TROUBLE, |it| it.parse().expect("TIDEGATE_CHAOS_SECONDS: seconds"));
    let (trouble, rate) = (Duration::from_secs(seconds), (FLIGHTS / seconds).to_string());
    let run = ["run", "-d", "-p", "6", &binary, "--data", &input, "--rate", &rate];
    eventually("the JobManager", PATIENCE, || {
        cluster.site.run(&run).status.success().then_some(())
    });
    let begun = Instant::now();
    while begun.elapsed() < trouble && cluster.has_jobs() {
        sleep(Duration::from_millis(random.random_range(200..4_000)));
        let what = cluster.trouble(&mut random);
        eprintln!("{:>6.1?}: {what}", begun.elapsed());
    }
    eventually("the job's end", PATIENCE, || (!cluster.has_jobs()).then_some(()));
    let output = cluster.site.output();
    let (written, expected) = (Results::written_to(&output), Results::expected());
    assert!(written.summary == expected.summary, "other summaries");
    assert_eq!(written.cancelled.len(), expected.cancelled.len(), "lost or doubled");
    assert!(written == expected, "other results");
    assert_eq!(checkpoints(&output.join("checkpoints")), <[PathBuf; 0]>::default());
    for sink in ["summary", "cancelled"] {
        assert_eq!(unfinished(&output.join(sink), ".pending"), <[PathBuf; 0]>::default());
    }
}
