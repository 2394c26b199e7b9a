//! The processes of a cluster: JobManager, TaskManagers, and both on this machine.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::IsTerminal,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::ArgMatches;
use tidegate_cluster::{
    jobmanager::{JobManager, JobManagerError, JobManagerOptions},
    leader::{LeaderError, LeaderOptions, Leadership},
    resources::HeartbeatOptions,
    rest::{self, RestOptions},
    taskmanager::{TaskManagerOptions, run_taskmanager},
};
use tidegate_protocol::{Endpoint, Secret};
use tidegate_types::options::{ClusterOptions, Configuration, SECRETS_VARIABLE, is_sensitive};
use tokio::{net::TcpListener, signal::unix::SignalKind, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{Done, Failure, configuration, text, tokens};
use crate::client::Client;

/// How long processes in the background may take to start.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long they may take to end when they are asked to: their jobs take a last checkpoint.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// The exit codes of a process that SIGTERM, or that Ctrl-C twice, has ended.
const TERMINATED: u8 = 143;
const INTERRUPTED: u8 = 130;
/// The exit code of a JobManager that another one has taken over from.
const TAKEN_OVER: u8 = 3;
/// How often that is looked at.
const PAUSE: Duration = Duration::from_millis(20);

fn folder(matches: &ArgMatches) -> anyhow::Result<PathBuf> {
    let folder = match text(matches, "dir") {
        Some(folder) => PathBuf::from(folder),
        None => super::default_folder().context("HOME is not set: give --dir")?,
    };
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    std::path::absolute(&folder).with_context(|| format!("{} is no folder", folder.display()))
}

fn start_logging() {
    let wanted = std::env::var("TIDEGATE_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = wanted.parse().unwrap_or_else(|problem| {
        eprintln!("warning: TIDEGATE_LOG is `{wanted}`, which is no filter: {problem}");
        Targets::new().with_default(LevelFilter::INFO)
    });
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
    // A second start in one process keeps the first log.
    let _ = tracing_subscriber::registry().with(filter).with(log).try_init();
}

/// What signals have told this process.
#[derive(Clone)]
struct Told {
    /// Cancelled by the first SIGTERM or Ctrl-C; the second ends the process at once.
    shutdown: CancellationToken,
    terminated: Arc<AtomicBool>,
}

impl Told {
    /// Listens from now on.
    fn listen() -> anyhow::Result<Self> {
        let told = Self {
            shutdown: CancellationToken::new(),
            terminated: Arc::new(AtomicBool::new(false)),
        };
        let kinds = [(SignalKind::terminate(), TERMINATED), (SignalKind::interrupt(), INTERRUPTED)];
        for (kind, code) in kinds {
            let mut signal =
                tokio::signal::unix::signal(kind).context("cannot listen for signals")?;
            let told = told.clone();
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    if told.shutdown.is_cancelled() {
                        std::process::exit(code.into());
                    }
                    info!("this process ends; once more ends it at once");
                    told.terminated.fetch_or(code == TERMINATED, Ordering::Relaxed);
                    told.shutdown.cancel();
                }
            });
        }
        Ok(told)
    }

    /// How a process ends that has been told to.
    fn end(&self) -> Done {
        match self.terminated.load(Ordering::Relaxed) {
            true => Err(Failure::Exit(TERMINATED)),
            false => Ok(()),
        }
    }
}

/// Whoever serves other hosts has to say what these are to show: a token that is made here they do not
/// have.
fn check_safety(options: &ClusterOptions, insecure: bool) -> anyhow::Result<()> {
    if !options.rpc_bind_host.is_loopback() && options.cluster_token.is_none() && !insecure {
        bail!(
            "jobmanager.bind-host is {}: anyone who reaches it could take part in jobs; set \
             security.cluster.token, or give --insecure",
            options.rpc_bind_host
        );
    }
    Ok(())
}

/// Says how a browser gets in, to a person alone: a log may be read by others.
fn say_login(address: &str, code: &Secret) {
    if std::io::stderr().is_terminal() {
        let code = code.expose();
        eprintln!("For a browser, once, within ten minutes: http://{address}/login?code={code}");
    }
}

pub(super) async fn jobmanager(matches: &ArgMatches) -> Done {
    start_logging();
    let (told, configuration) = (Told::listen()?, configuration(matches)?);
    let folder = folder(matches)?.join("jobmanager");
    run_jobmanager(matches, &configuration, folder, told.shutdown.clone()).await?;
    told.end()
}

/// Becomes the one JobManager of `high-availability.storageDir`, once the one before is gone.
async fn lead(
    options: &ClusterOptions,
    take_over: bool,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Leadership>> {
    let Some(dir) = &options.ha_storage_dir else { return Ok(None) };
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let leader = LeaderOptions {
        name: format!(
            "process {} on {} (jobmanager.rpc.address {}:{})",
            std::process::id(),
            host.trim(),
            options.rpc_address,
            options.rpc_port
        ),
        retry_period: options.ha_retry_period,
        lease_duration: options.ha_lease_duration,
        take_over,
    };
    tokio::select! {
        gained = Leadership::gain(dir, &options.ha_cluster_id, &leader) => Ok(Some(gained?)),
        () = shutdown.cancelled() => Ok(None),
    }
}

async fn run_jobmanager(
    matches: &ArgMatches,
    configuration: &Configuration,
    folder: PathBuf,
    shutdown: CancellationToken,
) -> Done {
    for warning in configuration.warnings() {
        tracing::warn!("{}", warning.message);
    }
    let options = ClusterOptions::from_configuration(configuration)?;
    let insecure = matches.get_flag("insecure");
    check_safety(&options, insecure)?;
    let tokens = tokens::of_jobmanager(&options, insecure).map_err(Failure::Configuration)?;
    let leadership = lead(&options, matches.get_flag("take-over"), &shutdown).await?;
    if shutdown.is_cancelled() {
        return Ok(());
    }
    let manager = JobManager::new(JobManagerOptions {
        folder,
        configuration: configuration.values(),
        secret: tokens.cluster,
        heartbeat: HeartbeatOptions {
            interval: options.heartbeat_interval,
            timeout: options.heartbeat_timeout,
        },
        leadership,
    })?;
    let rpc = listen(options.rpc_bind_host, options.rpc_port, "jobmanager.rpc.port").await?;
    let http = listen(options.rest_bind_address, options.rest_port, "rest.port").await?;
    info!(address = %rpc.local_addr()?, "TaskManagers and job processes are served");
    info!(address = %http.local_addr()?, "the REST API is served");
    let first_code = tokens.rest.as_ref().map(|_| rest::new_code());
    if let Some(code) = &first_code {
        say_login(&format!("{}:{}", options.rest_address, http.local_addr()?.port()), code);
    }
    let api = rest::serve(
        http,
        manager.dispatcher().clone(),
        RestOptions {
            token: tokens.rest,
            names: [vec![options.rest_address.clone()], options.rest_allowed_hosts.clone()]
                .concat(),
            first_code: first_code.clone(),
            max_content_length: options.max_content_length,
            async_store_duration: options.async_store_duration,
        },
        shutdown.clone(),
    );
    // Links to TaskManagers stay open until they end: the end of this process ends them.
    let served = manager.serve(rpc, CancellationToken::new());
    let ended = async {
        // The API takes nothing in any more.
        let served = tokio::select! {
            served = api => served,
            () = shutdown.cancelled() => Ok(()),
        };
        manager.end().await;
        served
    };
    tokio::select! {
        served = served => served.map_err(|error| match error {
            JobManagerError::Leader(LeaderError::TakenOver { .. }) => {
                Failure::Coded(TAKEN_OVER, error.into())
            }
            error => error.into(),
        }),
        ended = ended => Ok(ended?),
    }
}

async fn listen(host: std::net::IpAddr, port: u16, option: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind((host, port)).await;
    listener.with_context(|| {
        format!("cannot listen on {host}:{port}: is another one running? {option} sets the port")
    })
}

pub(super) async fn taskmanager(matches: &ArgMatches) -> Done {
    start_logging();
    let told = Told::listen()?;
    let mut configuration = configuration(matches)?;
    if let Some(slots) = text(matches, "slots") {
        configuration.set_pair(&format!("taskmanager.numberOfTaskSlots={slots}"))?;
    }
    let options = ClusterOptions::from_configuration(&configuration)?;
    let url = match text(matches, "jobmanager") {
        Some(address) => address.to_owned(),
        None => format!("{}:{}", options.rpc_address, options.rpc_port),
    };
    let id = format!("{:032x}", rand::random::<u128>());
    let folder = folder(matches)?.join(format!("taskmanager-{}", &id[..6]));
    let home = folder.clone();
    let task_manager = TaskManagerOptions {
        id,
        jobmanager: Endpoint::new(url, tokens::of_taskmanager(&options)),
        host: options.taskmanager_host.clone(),
        slots: options.slots,
        folder,
        logs: options.kept_logs,
        log_bytes: options.log_bytes,
        leave_within: options.termination_timeout,
    };
    run_taskmanager(task_manager, told.shutdown.clone()).await?;
    // Binaries are fetched anew; the logs of processes stay.
    let _ = fs::remove_dir_all(home.join("artifacts"));
    told.end()
}

pub(super) async fn cluster(matches: &ArgMatches) -> Done {
    let folder = folder(matches)?;
    match text(matches, "action") {
        Some("stop") => stop(&folder).await?,
        Some("login") => login(matches).await?,
        _ if matches.get_flag("foreground") => foreground(matches, &folder).await?,
        _ => start(matches, &folder).await?,
    }
    Ok(())
}

/// A file with a process's id, as long as it is to run.
fn pid_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files = entries.map(|entry| entry.path()).collect::<Vec<_>>();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pid"));
    files.sort();
    files
}

fn pid_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Whether a process is one that `start` has started for this folder, and not another one that has
/// got its id since.
fn is_ours(pid: u32, folder: &Path) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_zombie = state.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z'));
    let arguments = command.split(|byte| *byte == 0).collect::<Vec<_>>();
    let folder = folder.as_os_str().as_encoded_bytes();
    let is_server = matches!(arguments.get(1), Some(&b"jobmanager" | &b"taskmanager"));
    let is_here = arguments.windows(2).any(|pair| pair == [b"--dir".as_slice(), folder]);
    !is_zombie && is_server && is_here
}

async fn start(matches: &ArgMatches, folder: &Path) -> anyhow::Result<()> {
    if pid_files(folder).iter().filter_map(|file| pid_in(file)).any(|pid| is_ours(pid, folder)) {
        bail!(
            "a cluster is running already ({}): `tidegate cluster stop` ends it",
            folder.display()
        );
    }
    let configuration = configuration(matches).map_err(Failure::into_error)?;
    let options = ClusterOptions::from_configuration(&configuration)?;
    let started = start_all(matches, folder, &options).await;
    if started.is_err() {
        // Half a cluster is of no use to anybody.
        end_all(folder).await?;
    }
    started
}

fn count_of_task_managers(matches: &ArgMatches) -> anyhow::Result<u32> {
    text(matches, "taskmanagers").map_or(Ok(1), |text| {
        text.parse::<u32>()
            .with_context(|| format!("--taskmanagers takes a number, and not {text}"))
    })
}

async fn start_all(
    matches: &ArgMatches,
    folder: &Path,
    options: &ClusterOptions,
) -> anyhow::Result<()> {
    let count = count_of_task_managers(matches)?;
    spawn(matches, folder, "jobmanager", &[])?;
    for number in 0..count {
        let address = format!("{}:{}", options.rpc_address, options.rpc_port);
        let mut own = vec!["--jobmanager".to_owned(), address];
        if let Some(slots) = text(matches, "slots") {
            own.extend(["--slots".to_owned(), slots.to_owned()]);
        }
        spawn(matches, folder, &format!("taskmanager-{number}"), &own)?;
    }
    let address = format!("{}:{}", options.rest_address, options.rest_port);
    let insecure = matches.get_flag("insecure");
    let tokens = tokens::of_jobmanager(options, insecure)?;
    let client = Client::new(&address, tokens.rest, PATIENCE)?;
    let begun = Instant::now();
    loop {
        let overview = client.get("/overview").await;
        if overview.is_ok_and(|overview| overview["taskmanagers"].as_u64() == Some(count.into())) {
            break;
        }
        if begun.elapsed() > PATIENCE {
            bail!(
                "the cluster has not started within {PATIENCE:?}: see {}",
                folder.join("*.log").display()
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
    println!(
        "The cluster is running at {}: a JobManager and {count} TaskManager(s).",
        client.address()
    );
    println!("Logs are in {}; `tidegate cluster stop` ends it.", folder.display());
    // Without a token everybody is let in.
    if let Ok(made) = client.post("/login", &serde_json::json!({})).await {
        let path = made["path"].as_str().unwrap_or_default();
        println!("For a browser, once, within ten minutes: {}{path}", client.address());
    }
    Ok(())
}

/// Starts this program as a process in the background.
fn spawn(matches: &ArgMatches, folder: &Path, name: &str, own: &[String]) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    let verb = name.split('-').next().unwrap_or(name);
    let log = folder.join(format!("{name}.log"));
    let output = File::options().create(true).append(true).open(&log);
    let output = output.with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.arg(verb).arg("--dir").arg(folder).args(own);
    let mut secrets = BTreeMap::new();
    for option in matches.get_many::<String>("option").into_iter().flatten() {
        match option.split_once('=') {
            Some((key, value)) if is_sensitive(key) => {
                secrets.insert(key.trim(), value.trim());
            }
            _ => {
                command.arg("-D").arg(option);
            }
        }
    }
    if !secrets.is_empty() {
        command.env(SECRETS_VARIABLE, serde_json::to_string(&secrets)?);
    }
    if let Some(file) = text(matches, "config") {
        command.arg("--config").arg(file);
    }
    for flag in ["insecure", "take-over"] {
        if verb == "jobmanager" && matches.get_flag(flag) {
            command.arg(format!("--{flag}"));
        }
    }
    // A group of its own: Ctrl-C in this terminal is not meant for it.
    let child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start a {verb}"))?;
    let pid = folder.join(format!("{name}.pid"));
    fs::write(&pid, child.id().to_string())
        .with_context(|| format!("cannot write {}", pid.display()))
}

/// Prints where a browser is let in, once.
async fn login(matches: &ArgMatches) -> Done {
    let client = super::client(matches)?;
    let made = client.post("/login", &serde_json::json!({})).await?;
    println!("{}{}", client.address(), super::field(&made, "path")?);
    Ok(())
}

async fn stop(folder: &Path) -> anyhow::Result<()> {
    match end_all(folder).await? {
        0 => println!("No cluster is running ({}).", folder.display()),
        ended => println!("The cluster has ended: {ended} processes."),
    }
    Ok(())
}

/// Ends what `start` has started: the JobManager first, so that TaskManagers are there for its jobs'
/// last checkpoints. Returns how many processes there were.
async fn end_all(folder: &Path) -> anyhow::Result<usize> {
    let mut ended = 0;
    // By name, "jobmanager" comes first.
    for file in pid_files(folder) {
        if let Some(pid) = pid_in(&file).filter(|pid| is_ours(*pid, folder)) {
            end(pid, folder).await?;
            ended += 1;
        }
        fs::remove_file(&file).with_context(|| format!("cannot delete {}", file.display()))?;
    }
    Ok(ended)
}

/// SIGTERM, and SIGKILL if that does not help.
async fn end(pid: u32, folder: &Path) -> anyhow::Result<()> {
    for signal in ["-TERM", "-KILL"] {
        let status = Command::new("kill").args([signal, &pid.to_string()]).status();
        status.context("cannot run kill")?;
        let begun = Instant::now();
        while is_ours(pid, folder) && begun.elapsed() < END_PATIENCE {
            tokio::time::sleep(PAUSE).await;
        }
        if !is_ours(pid, folder) {
            return Ok(());
        }
    }
    bail!("process {pid} does not end")
}

/// A JobManager and TaskManagers in this very process, for containers.
async fn foreground(matches: &ArgMatches, folder: &Path) -> Done {
    start_logging();
    let told = Told::listen()?;
    let mut configuration = configuration(matches)?;
    if let Some(slots) = text(matches, "slots") {
        configuration.set_pair(&format!("taskmanager.numberOfTaskSlots={slots}"))?;
    }
    let options = ClusterOptions::from_configuration(&configuration)?;
    let count = count_of_task_managers(matches)?;
    let shown = tokens::of_taskmanager(&options);
    // Behind the JobManager: they are there for its jobs' last checkpoints.
    let task_manager_end = CancellationToken::new();
    let mut task_managers = JoinSet::new();
    for number in 0..count {
        let url = format!("{}:{}", options.rpc_address, options.rpc_port);
        let task_manager = TaskManagerOptions {
            id: format!("{:032x}", rand::random::<u128>()),
            jobmanager: Endpoint::new(url, shown.clone()),
            host: options.taskmanager_host.clone(),
            slots: options.slots,
            folder: folder.join(format!("taskmanager-{number}")),
            logs: options.kept_logs,
            log_bytes: options.log_bytes,
            // Whoever could take the jobs over ends as well.
            leave_within: Duration::ZERO,
        };
        task_managers.spawn(run_taskmanager(task_manager, task_manager_end.clone()));
    }
    let folder = folder.join("jobmanager");
    let jobmanager = run_jobmanager(matches, &configuration, folder, told.shutdown.clone());
    tokio::select! {
        ended = jobmanager => ended?,
        Some(ended) = task_managers.join_next(), if !task_managers.is_empty() => {
            ended.context("a TaskManager has panicked")??;
        }
    }
    task_manager_end.cancel();
    while task_managers.join_next().await.is_some() {}
    told.end()
}
