//! Jobs as processes of their own.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
};

use crate::wait_for;

/// A process that this test has started, and that it ends.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; what it says on standard error goes to `log`.
    pub fn start(program: &Path, arguments: &[String], log: &Path) -> Self {
        let errors = File::create(log).expect("the log can be written");
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("the program starts");
        Self { child, log: log.to_owned() }
    }

    /// Its id, for signals.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its end, if it has come.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the process is this one's child")
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("a job's process to end", || self.ended())
    }

    /// Waits for its end, which must be a good one.
    pub fn finish(mut self) {
        let status = self.wait();
        assert!(status.success(), "the job ended with {status}:\n{}", self.log());
    }

    /// SIGKILL, which nobody can catch. It must not have ended before.
    pub fn kill(mut self) {
        if let Some(status) = self.ended() {
            panic!("the job was to be killed, but has ended with {status}:\n{}", self.log());
        }
        self.child.kill().expect("the process runs");
        self.child.wait().expect("the process is this one's child");
    }

    /// What it has said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log can be read")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Addresses on which nobody listens.
pub fn addresses<const N: usize>() -> [String; N] {
    let listen = |_| TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let listeners: [TcpListener; N] = std::array::from_fn(listen);
    listeners.map(|listener| listener.local_addr().expect("it is bound").to_string())
}

/// What makes a process the `index`-th of two.
pub fn seat([first, second, coordinator]: &[String; 3], index: usize) -> [String; 3] {
    [
        format!("--process-index={index}"),
        format!("--addresses={first},{second}"),
        format!("--coordinator={coordinator}"),
    ]
}

/// The example `flights`, built as this test is.
pub fn flights() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("--example", "flights"))
}

/// The same, changed: without an operator, and with another one.
pub fn flights_by_day() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("--bin", "flights_by_day"))
}

/// A job that stands still where a test wants it to.
pub fn stuck() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("--bin", "stuck"))
}

/// A job in which much goes wrong without an error.
pub fn silent() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("--bin", "silent"))
}

/// A job one of whose records can't be sent to another process.
pub fn unwritable() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("--bin", "unwritable"))
}

/// A TaskManager in a process of its own.
pub fn task_manager() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("--example", "task_manager"))
}

/// The command.
pub fn tidegate() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("--bin", "tidegate"))
}

/// A JobManager in a process of its own.
pub fn job_manager() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("--example", "job_manager"))
}

/// The processes that a process has started.
pub fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let all = lists.collect::<Vec<_>>().join(" ");
    all.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether a process is there, and more than what is left of one that has ended.
pub fn is_alive(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = state.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// Sends a signal, such as `-TERM`, to a process; it may have ended meanwhile.
pub fn signal(name: &str, pid: u32) {
    let mut kill = Command::new("kill");
    kill.args([name, &pid.to_string()]).stderr(Stdio::null());
    kill.status().expect("there is a program `kill`");
}

/// The example that makes a savepoint for `flights` out of a file.
pub fn bootstrap() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("--example", "bootstrap"))
}

/// Jobs that keep a value per key, as they were before their types changed, and as they are now.
pub fn evolution() -> (&'static Path, &'static Path) {
    static BEFORE: OnceLock<PathBuf> = OnceLock::new();
    static AFTER: OnceLock<PathBuf> = OnceLock::new();
    let program = |name| build("--bin", name);
    (
        BEFORE.get_or_init(|| program("evolution_before")),
        AFTER.get_or_init(|| program("evolution_after")),
    )
}

/// What `cargo xtask test` builds as well: of a package alone cargo would build most of what it depends on
/// once more, with the features that this package alone asks for.
const BUILT_TOGETHER: [&str; 3] = ["--workspace", "--exclude", "tidegate-state-cli"];

fn build(kind: &str, program: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet"]).args(BUILT_TOGETHER).args([kind, program]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the program {program} does not build:\n{errors}");
    let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    let of_program = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == program;
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    };
    messages.lines().find_map(of_program).expect("cargo tells where the program is")
}
