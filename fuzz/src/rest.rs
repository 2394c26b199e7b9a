//! Requests to the REST API of a JobManager without jobs: method and path in the first line,
//! headers up to an empty one, and the body.
//!
//! A first line that begins with `!` asks a JobManager that wants a token.

use std::{cell::RefCell, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header},
};
use serde_json::Value;
use tempfile::TempDir;
use tidegate_cluster::{
    jobmanager::{JobManager, JobManagerOptions},
    resources::HeartbeatOptions,
    rest::{RestOptions, router},
};
use tidegate_protocol::Secret;
use tidegate_types::options::OptionValues;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::Target;

/// The target.
pub const TARGET: Target = Target { name: "rest", feed, seeds, room: 64 << 20 };

const TOKEN: &str = "open-sesame";
const JOB: &str = "0123456789abcdef0123456789abcdef";
/// The longest answer: the description of the API.
const LONGEST_ANSWER: usize = 4 << 20;

/// What would write or delete files wherever the input says.
const KEPT_AWAY: [&str; 2] = ["upload", "disposal"];

thread_local! {
    static DOORS: RefCell<Doors> = RefCell::new(Doors::new());
}

/// A JobManager, and its API with a token and without.
struct Doors {
    tokio: Runtime,
    open: Router,
    guarded: Router,
    _manager: JobManager,
    _folder: TempDir,
}

impl Doors {
    fn new() -> Self {
        let tokio = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let entered = tokio.enter();
        let interval = Duration::from_secs(3600);
        let manager = JobManager::new(JobManagerOptions {
            folder: folder.path().to_owned(),
            configuration: OptionValues::default(),
            secret: None,
            heartbeat: HeartbeatOptions { interval, timeout: interval },
            leadership: None,
        });
        let manager = manager.expect("the folder is its own");
        let door = |token: Option<&str>| {
            let options = RestOptions {
                token: token.map(Secret::from),
                names: vec!["cluster.example".to_owned()],
                first_code: None,
                max_content_length: 1 << 16,
                async_store_duration: Duration::ZERO,
            };
            router(manager.dispatcher().clone(), options, CancellationToken::new())
        };
        let (open, guarded) = (door(None), door(Some(TOKEN)));
        drop(entered);
        Self { tokio, open, guarded, _manager: manager, _folder: folder }
    }

    /// What is answered, if the request is one at all.
    fn ask(&mut self, asked: &Asked<'_>) -> Option<(StatusCode, Vec<u8>)> {
        let request = asked.request()?;
        let router = if asked.guarded { &mut self.guarded } else { &mut self.open };
        let answered = self.tokio.block_on(async {
            let response = router.call(request).await.unwrap_or_else(|never| match never {});
            let (parts, body) = response.into_parts();
            (parts.status, to_bytes(body, LONGEST_ANSWER).await)
        });
        Some((answered.0, answered.1.expect("the answer is no longer than that").to_vec()))
    }
}

/// A request, taken apart.
#[derive(Clone)]
struct Asked<'a> {
    guarded: bool,
    method: &'a [u8],
    target: &'a [u8],
    headers: Vec<(&'a [u8], &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Asked<'a> {
    fn parse(input: &'a [u8]) -> Option<Self> {
        let mut rest = input;
        let first = line(&mut rest);
        let (guarded, first) = match first.strip_prefix(b"!") {
            Some(first) => (true, first),
            None => (false, first),
        };
        let space = first.iter().position(|byte| *byte == b' ')?;
        let mut headers = Vec::new();
        loop {
            let header = line(&mut rest);
            let Some(colon) = header.iter().position(|byte| *byte == b':') else { break };
            headers.push((&header[..colon], header[colon + 1..].trim_ascii()));
        }
        let (method, target) = (&first[..space], &first[space + 1..]);
        Some(Self { guarded, method, target, headers, body: rest })
    }

    fn request(&self) -> Option<Request<Body>> {
        let uri = Uri::try_from(self.target).ok()?;
        if KEPT_AWAY.iter().any(|path| uri.path().contains(path)) {
            return None;
        }
        let mut request = Request::builder().uri(uri).method(Method::from_bytes(self.method).ok()?);
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name).ok()?;
            request = request.header(name, HeaderValue::from_bytes(value).ok()?);
        }
        request.body(Body::from(self.body.to_vec())).ok()
    }

    /// Whether anything in it is the token.
    fn shows_token(&self) -> bool {
        let is_it = |value: &[u8]| value.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
        self.headers.iter().any(|(_, value)| is_it(value))
    }

    /// The values of a header.
    fn named(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let of_it = |(header, value): &(&[u8], &'a [u8])| {
            header.eq_ignore_ascii_case(name.as_bytes()).then_some(*value)
        };
        self.headers.iter().filter_map(of_it).collect::<Vec<_>>().into_iter()
    }

    /// Whether a browser says that another page asks.
    fn is_from_elsewhere(&self) -> bool {
        self.named("origin").any(|origin| {
            let host = origin.split(|byte| *byte == b'/').nth(2);
            let asked = self.asked_host();
            !host.zip(asked).is_some_and(|(host, asked)| host.eq_ignore_ascii_case(&asked))
        })
    }

    /// The host that is asked for.
    fn asked_host(&self) -> Option<Vec<u8>> {
        let uri = Uri::try_from(self.target).ok()?;
        let authority = uri.authority().map(|authority| authority.as_str().as_bytes().to_vec());
        authority.or_else(|| self.named("host").next().map(<[u8]>::to_vec))
    }
}

/// Takes a line from the front.
fn line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let line = &rest[..end];
    *rest = rest.get(end + 1..).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn feed(input: &[u8]) {
    let Some(asked) = Asked::parse(input) else { return };
    DOORS.with(|doors| {
        let mut doors = doors.borrow_mut();
        let Some((status, answer)) = doors.ask(&asked) else { return };
        // What answers a HEAD has no body.
        if asked.method != b"HEAD" {
            check_form(status, &answer);
        }
        if asked.guarded && !asked.shows_token() {
            check_shut(&asked, status);
        }
        if asked.is_from_elsewhere() {
            assert!(status.is_client_error(), "a page of another server gets {status}");
        }
        if status.is_success() {
            check_strictness(&mut doors, &asked);
        }
    });
}

/// Whatever is refused is refused in one form, and nothing is the server's own fault.
fn check_form(status: StatusCode, answer: &[u8]) {
    assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{}", String::from_utf8_lossy(answer));
    if status.is_client_error() || status.is_server_error() {
        let answer = serde_json::from_slice::<Value>(answer).expect("an error is JSON");
        assert!(answer["errors"][0].is_string(), "{answer}");
    }
}

/// Who shows no token is told whether somebody is there, and where a browser shows its code.
fn check_shut(asked: &Asked<'_>, status: StatusCode) {
    let path = asked.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let is_open = path.ends_with(b"/health") || path.ends_with(b"/login");
    let refusals = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
    assert!(is_open || refusals.contains(&status), "without a token: {status}");
}

/// What is understood is not understood any more with a field or a parameter that nobody knows.
fn check_strictness(doors: &mut Doors, asked: &Asked<'_>) {
    let joined = if asked.target.contains(&b'?') { "&" } else { "?" };
    let target = [asked.target, joined.as_bytes(), b"nobodyKnowsThis=1"].concat();
    let refused = doors.ask(&Asked { target: &target, ..asked.clone() });
    if let Some((status, _)) = refused {
        assert_eq!(status, StatusCode::BAD_REQUEST, "an unknown parameter");
    }
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(asked.body) else { return };
    fields.insert("nobodyKnowsThis".to_owned(), Value::Null);
    let body = Value::Object(fields).to_string();
    let refused = doors.ask(&Asked { body: body.as_bytes(), ..asked.clone() });
    if let Some((status, _)) = refused {
        assert_eq!(status, StatusCode::BAD_REQUEST, "an unknown field");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let job = format!("/v1/jobs/{JOB}");
    let json = format!("{}: application/json", header::CONTENT_TYPE);
    let requests = [
        ("GET /overview".to_owned(), "Origin: http://localhost", ""),
        ("GET /v1/jobs/metrics?get=uptime,restarts&agg=max&jobs=".to_owned() + JOB, "", ""),
        (format!("GET {job}/exceptions?maxExceptions=20"), "", ""),
        (format!("POST {job}/savepoints"), "", SAVEPOINT),
        (format!("POST {job}/stop"), "", r#"{"targetDirectory":"/x","drain":true}"#),
        (format!("POST {job}/checkpoints"), "", r#"{"checkpointType":"FULL"}"#),
        (format!("PATCH {job}?mode=cancel"), "", "{}"),
        (format!("PATCH {job}/clientHeartbeat"), "", r#"{"expiredTimestamp":1}"#),
        (format!("PUT {job}/resource-requirements"), "", REQUIREMENTS),
        ("POST /jars/x/run?parallelism=2&programArg=a".to_owned(), "", RUN),
        ("POST /jars/x/plan".to_owned(), "", RUN),
        ("GET /openapi.json".to_owned(), "", ""),
        ("GET /login?code=x".to_owned(), "Sec-Fetch-Site: cross-site", ""),
        ("!GET /health".to_owned(), "Host: [::1]:8081", ""),
        ("!GET /jobs/overview".to_owned(), "Authorization: Bearer open-sesame", ""),
        ("!GET /config".to_owned(), "Cookie: a=b; tidegate-00000000=0123", ""),
        ("!POST /login".to_owned(), "authorization: bearer open-sesame", ""),
        ("GET http://cluster.example/taskmanagers".to_owned(), "Origin: null", ""),
    ];
    let request = |(first, more, body): (String, &str, &str)| {
        let host = if more.starts_with("Host") { "X: y" } else { "Host: localhost" };
        let more = if more.is_empty() { "X-Y: z" } else { more };
        format!("{first}\n{host}\n{more}\n{json}\n\n{body}").into_bytes()
    };
    requests.map(request).to_vec()
}

const SAVEPOINT: &str = r#"{"target-directory":"/x","cancel-job":false,"formatType":"NATIVE",
    "triggerId":"00000000000000000000000000000007"}"#;
const REQUIREMENTS: &str = r#"{"a":{"parallelism":{"lowerBound":1,"upperBound":2}}}"#;
const RUN: &str = r#"{"programArgsList":["--a","b"],"parallelism":2,"savepointPath":"/x",
    "allowNonRestoredState":true,"restoreMode":"CLAIM","flinkConfiguration":{"a":"b"}}"#;
