//! Nobody gets in who shows nothing, and nothing shows a secret.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tidegate_protocol::{
    Endpoint, LinkError, Secret,
    coordination::{Hello, join},
    resources::{Hardware, Registration, fetch, register},
};
use tidegate_testing::{process::flights, wait_for};
use tidegate_types::{AttemptId, JobId, ProcessIndex};

use crate::support::Site;

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The ids of a site's servers, and of what they have started.
fn processes(site: &Site) -> BTreeSet<u32> {
    let files = fs::read_dir(site.path().join("home")).expect("it is there").flatten();
    let files = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "pid"));
    let read = |file: fs::DirEntry| fs::read_to_string(file.path()).ok()?.trim().parse().ok();
    let servers = files.filter_map(read).collect::<BTreeSet<u32>>();
    assert!(!servers.is_empty(), "no server runs");
    let mut all = servers.clone();
    for entry in fs::read_dir("/proc").expect("it is Linux").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let parent = behind.split_whitespace().nth(1).and_then(|pid| pid.parse().ok());
        if parent.is_some_and(|parent| servers.contains(&parent)) {
            all.insert(pid);
        }
    }
    all
}

/// The ports that a process listens on.
fn ports(pid: u32) -> BTreeSet<u16> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let sockets = fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
    let name = |file: fs::DirEntry| fs::read_link(file.path()).ok()?.to_str().map(str::to_owned);
    let own = sockets.filter_map(name).collect::<BTreeSet<_>>();
    let tables = ["net/tcp", "net/tcp6"].map(|table| fs::read_to_string(folder.join(table)));
    let tables = tables.into_iter().flatten().collect::<Vec<_>>();
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let port = |line: &str| {
        let fields = line.split_whitespace().collect::<Vec<_>>();
        // 0A is LISTEN.
        let listens = *fields.get(3)? == "0A";
        let is_own = own.contains(&format!("socket:[{}]", fields.get(9)?));
        let port = fields.get(1)?.rsplit(':').next()?;
        u16::from_str_radix(port, 16).ok().filter(|_| listens && is_own)
    };
    lines.filter_map(port).collect()
}

/// What is answered to these bytes, until the other side ends or says nothing more.
fn answer(port: u16, request: &str) -> String {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else {
        return String::new();
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
    // It may have ended already.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Asks one port everything that a stranger may ask.
async fn scan(port: u16) {
    let asked = [
        ("GET", "/overview"),
        ("GET", "/v1/jobs"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/jobmanager/config"),
        ("GET", "/"),
        ("OPTIONS", "/jobs"),
        ("HEAD", "/jobs"),
        ("POST", "/jars/upload"),
        ("POST", "/login"),
        ("DELETE", "/cluster"),
    ];
    for (method, path) in asked {
        for host in ["localhost", "elsewhere.example"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let answer = answer(port, &request);
            let refused = ["HTTP/1.1 401", "HTTP/1.1 403"].iter().any(|no| answer.starts_with(no));
            // What is no HTTP/1 ends without a word, or with one of HTTP/2's own.
            let is_no_http = !answer.starts_with("HTTP/1");
            assert!(refused || is_no_http, "port {port}, {method} {path}: {answer}");
            assert!(answer.len() < 1000, "port {port}, {method} {path}: {answer}");
        }
    }
    for token in [None, Some("wrong"), Some("")] {
        let endpoint = Endpoint::new(format!("http://127.0.0.1:{port}"), token.map(Secret::from));
        let registration = Registration {
            id: "0".repeat(32),
            host: "127.0.0.1".to_owned(),
            slots: 1,
            hardware: Hardware::default(),
        };
        let hello = Hello {
            job: JobId::from_name("none"),
            attempt: Some(AttemptId(1)),
            token: 1,
            process: ProcessIndex(0),
            fingerprint: String::new(),
            data_address: "127.0.0.1:1".to_owned(),
        };
        let is_kept_out = |error: &LinkError| {
            !matches!(error, LinkError::UnknownArtifact { .. } | LinkError::Misunderstood { .. })
        };
        let patience = Duration::from_millis(200);
        let registered = register(&endpoint, registration).await;
        assert!(registered.is_err_and(|error| is_kept_out(&error)), "port {port}");
        let joined = join(&endpoint, hello, patience).await;
        assert!(joined.is_err_and(|error| is_kept_out(&error)), "port {port}");
        let fetched = fetch(&endpoint, &"0".repeat(64), &mut Vec::new()).await;
        assert!(fetched.is_err_and(|error| is_kept_out(&error)), "port {port}");
    }
}

fn submit(site: &Site, more: &[&str]) -> String {
    let (binary, output) = (flights().display().to_string(), site.output().display().to_string());
    let run = [&["run", "-d", "-p", "2"], more, &[&binary, "--rate", "3000", "--out", &output]];
    let said = site.says(&run.concat());
    let id = said.trim().rsplit(' ').next().expect("Flink's words").to_owned();
    wait_for("the job to run", || site.says(&["list", "-r"]).contains(&id).then_some(()));
    id
}

#[tokio::test]
async fn every_open_port_of_a_cluster_keeps_strangers_out() {
    let site = Site::new();
    site.says(&["cluster", "start", "--taskmanagers", "2"]);
    submit(&site, &[]);
    let all = processes(&site);
    assert!(all.len() >= 5, "a JobManager, two TaskManagers and two job processes: {all:?}");
    let ports = all.iter().flat_map(|pid| ports(*pid)).collect::<BTreeSet<_>>();
    assert!([site.rest_port(), site.rpc_port].iter().all(|own| ports.contains(own)), "{ports:?}");
    for port in ports {
        scan(port).await;
    }
    let health = answer(
        site.rest_port(),
        "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(health.starts_with("HTTP/1.1 200") && health.ends_with("{}"), "{health}");
    let mode = fs::metadata(site.path().join("home/token")).expect("it was made").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_browser_is_let_in_by_the_url_that_the_command_prints() {
    let site = Site::new();
    let said = site.says(&["cluster", "start"]);
    let (_, first) = said.split_once("within ten minutes: ").expect("a URL");
    let second = site.says(&["cluster", "login"]);
    for url in [first.trim(), second.trim()] {
        let visit = || {
            let output = site.command("curl").args(["-s", "-i", url]).output();
            String::from_utf8(output.expect("curl starts").stdout).expect("it is text")
        };
        let answer = visit();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.to_lowercase().contains("\r\nset-cookie: tidegate-"), "{answer}");
        assert!(visit().starts_with("HTTP/1.1 401"), "it was good for once");
    }
}

#[test]
fn without_tokens_only_who_asks_for_that() {
    let site = Site::new();
    site.says(&["cluster", "start", "--insecure"]);
    let output = site.command("curl").args(["-s", &format!("{}/overview", site.url())]).output();
    let answer = String::from_utf8(output.expect("curl starts").stdout).expect("it is text");
    assert!(answer.contains("\"taskmanagers\":1"), "{answer}");
    let origin = "Origin: http://elsewhere.example";
    let overview = format!("{}/overview", site.url());
    let output = site.command("curl").args(["-s", "-H", origin, &overview]).output();
    let answer = String::from_utf8(output.expect("curl starts").stdout).expect("it is text");
    assert!(answer.contains("may not use this JobManager"), "{answer}");
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => all.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => all.push(entry.path()),
            _ => {}
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn a_secret_in_any_kind_of_option_is_neither_written_nor_answered() {
    const IN_FILE: &str = "xyzzy-in-a-file";
    const DEFINED: &str = "xyzzy-defined";
    const OF_JOB: &str = "xyzzy-of-the-job";
    const CLUSTERS: &str = "xyzzy-of-the-cluster";
    let all = [IN_FILE, DEFINED, OF_JOB, CLUSTERS];
    let site = Site::new();
    let home = site.path().join("home");
    fs::create_dir_all(&home).expect("the test's own");
    let config = home.join("config.yaml");
    fs::write(&config, format!("my.password: {IN_FILE}\n")).expect("the test's own");
    let path = |name: &str| site.path().join(name).display().to_string();
    let ha = format!("high-availability.storageDir={}", path("ha"));
    let savepoints = format!("execution.checkpointing.savepoint-dir={}", path("savepoints"));
    let defined = format!("fs.s3.secret-key={DEFINED}");
    let token = format!("security.cluster.token={CLUSTERS}");
    let start = ["cluster", "start", "--taskmanagers", "2", "-D", &defined, "-D", &token];
    site.says(&[start.as_slice(), &["-D", &ha, "-D", &savepoints]].concat());
    let of_job = format!("sasl.jaas.config={OF_JOB}");
    let interval = "execution.checkpointing.interval=200ms";
    let job = submit(&site, &["-D", &of_job, "-D", interval]);
    wait_for("a checkpoint", || {
        site.says(&["checkpoints", &job]).contains("COMPLETED").then_some(())
    });
    site.says(&["savepoint", &job]);

    // What is answered.
    let configured = site.get(&format!("/jobs/{job}/config"));
    assert!(configured.contains("\"sasl.jaas.config\":\"******\""), "{configured}");
    let document = site.get("/openapi.json");
    let paths = document.split("\"/").skip(1).filter_map(|part| part.split('"').next());
    let paths = paths.filter(|path| !path.contains("yarn") && !path.contains(' '));
    let mut asked = 0;
    for path in paths.collect::<BTreeSet<_>>() {
        let answer = site.get(&format!("/{}", path.replace("{jobid}", &job)));
        for secret in all {
            assert!(!answer.contains(secret), "{path} tells {secret}: {answer}");
        }
        asked += 1;
    }
    assert!(asked > 30, "{asked} paths");

    // What anybody sees of processes, and what jobs get to know.
    let token = fs::read_to_string(home.join("token")).expect("it was made");
    let servers = processes(&site);
    for pid in &servers {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        for secret in all {
            assert!(!holds(&line, secret), "the command line of {pid} has {secret}");
        }
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if holds(&environment, "TIDEGATE_PROCESS=") {
            for secret in [CLUSTERS, token.trim()] {
                assert!(!holds(&environment, secret), "job process {pid} knows {secret}");
            }
        }
    }

    // What is written: in plain only where nobody else reads it, and where it has to be.
    let (mut kept, mut looked_at) = (0, 0);
    for file in files(site.path()).into_iter().filter(|file| *file != config) {
        let bytes = fs::read(&file).unwrap_or_default();
        looked_at += 1;
        for secret in all.iter().filter(|secret| holds(&bytes, secret)) {
            let mode = fs::metadata(&file).expect("it is there").permissions().mode() & 0o777;
            let is_record = file.starts_with(site.path().join("ha"));
            assert!(is_record && mode == 0o600, "{} ({mode:o}) has {secret}", file.display());
            kept += 1;
        }
    }
    assert!(looked_at > 10, "{looked_at} files");
    assert!(kept > 0, "the job's record has to hold what it is started with again");
}
