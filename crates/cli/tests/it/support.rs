//! A cluster on this machine, started with the command itself.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The command under test.
pub(crate) const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

/// A folder with a cluster of its own, which ends with the test.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    rest_port: u16,
    pub(crate) rpc_port: u16,
}

fn free_ports() -> (u16, u16) {
    let listen = || TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let (first, second) = (listen(), listen());
    let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
    (port(&first), port(&second))
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (rest_port, rpc_port) = free_ports();
        Self { folder, rest_port, rpc_port }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.path().join("out/flights")
    }

    /// A program in this folder that finds this cluster.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let tools = Path::new(TIDEGATE).parent().expect("it lies in a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(self.path())
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("TIDEGATE_HOME", self.path().join("home"))
            .env_remove("TIDEGATE_CONF_DIR")
            .env("TIDEGATE_REST_PORT", self.rest_port.to_string())
            .env("TIDEGATE_JOBMANAGER_RPC_PORT", self.rpc_port.to_string())
            .env("TZ", "UTC");
        command
    }

    pub(crate) fn rest_port(&self) -> u16 {
        self.rest_port
    }

    /// Where its REST API is.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.rest_port)
    }

    /// What the REST API answers.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut curl = self.command("curl");
        let shown = format!("@{}", self.header_file().display());
        let output = curl.args(["-sS", "-H", &shown, &format!("{}{path}", self.url())]).output();
        String::from_utf8(output.expect("curl starts").stdout).expect("it is text")
    }

    /// A file with the header that shows the cluster's token.
    pub(crate) fn header_file(&self) -> PathBuf {
        let token = std::fs::read_to_string(self.path().join("home/token")).unwrap_or_default();
        let file = self.path().join("header");
        std::fs::write(&file, format!("Authorization: Bearer {token}")).expect("the test's own");
        file
    }

    /// Runs the command, and returns its output.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(TIDEGATE).args(arguments).output().expect("the command starts")
    }

    /// Runs the command, which must succeed, and returns its standard output.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}\n{}", self.logs());
        String::from_utf8(output.stdout).expect("it speaks UTF-8")
    }

    /// Runs the command, which must fail, and returns its standard output and its error.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
        (text(output.stdout), text(output.stderr))
    }

    /// What the cluster's processes have logged.
    pub(crate) fn logs(&self) -> String {
        let entries = std::fs::read_dir(self.path().join("home")).into_iter().flatten().flatten();
        let logs = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
        logs.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A test that has failed leaves a cluster behind.
        let _ = self.run(&["cluster", "stop"]);
    }
}
