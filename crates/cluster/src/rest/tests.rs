mod access;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tidegate_types::options::OptionValues;

use super::*;
use crate::{
    jobmanager::{JobManager, JobManagerOptions},
    resources::HeartbeatOptions,
};

const NOBODY: &str = "0123456789abcdef0123456789abcdef";

/// An API over a JobManager without TaskManagers and jobs.
struct Served {
    url: String,
    _folder: tempfile::TempDir,
    _manager: JobManager,
}

impl Served {
    async fn with(token: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let manager = JobManager::new(JobManagerOptions {
            folder: folder.path().to_owned(),
            configuration: OptionValues::default(),
            secret: None,
            heartbeat: HeartbeatOptions {
                interval: Duration::from_secs(1),
                timeout: Duration::from_secs(5),
            },
            leadership: None,
        });
        let manager = manager.expect("the folder is the test's own");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let options = RestOptions {
            token: token.map(Secret::from),
            names: vec!["cluster.example".to_owned()],
            first_code: None,
            max_content_length: 1000,
            async_store_duration: Duration::from_secs(60),
        };
        let dispatcher = manager.dispatcher().clone();
        tokio::spawn(serve(listener, dispatcher, options, CancellationToken::new()));
        Self { url, _folder: folder, _manager: manager }
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let request = Client::new().request(method, format!("{}{path}", self.url));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let response = request.body(body.to_owned()).send().await.expect("it answers");
        let kind =
            response.headers()[header::CONTENT_TYPE].to_str().expect("it is text").to_owned();
        assert_eq!(kind, "application/json; charset=UTF-8", "{path}");
        let anywhere = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(anywhere, None, "no other page may read it");
        let status = response.status();
        (status, response.json().await.expect("it is JSON"))
    }

    async fn error(&self, method: Method, path: &str, body: &str) -> (u16, String) {
        let (status, answer) = self.ask(method, path, body).await;
        let object = answer.as_object().expect("an object");
        assert_eq!(object.keys().collect::<Vec<_>>(), ["errors"], "{answer}");
        (status.as_u16(), answer["errors"][0].as_str().expect("a text").to_owned())
    }
}

#[tokio::test]
async fn every_mistake_is_answered_in_the_one_form() {
    let served = Served::with(None).await;
    let found = served.error(Method::GET, "/v1/nowhere", "").await;
    assert_eq!(found, (404, "Not found: /v1/nowhere".to_owned()));
    let (status, _) = served.error(Method::DELETE, "/jobs/overview", "").await;
    assert_eq!(status, 405);
    let found = served.error(Method::GET, "/jobs/x", "").await;
    let expected = "Bad request, could not parse parameters: Cannot resolve path parameter (jobid) \
                    from value \"x\".";
    assert_eq!(found, (400, expected.to_owned()));
    let found = served.error(Method::GET, &format!("/v1/jobs/{NOBODY}"), "").await;
    assert_eq!(found, (404, format!("Job {NOBODY} not found")));
    let savepoints = format!("/v1/jobs/{NOBODY}/savepoints");
    let found = served.error(Method::POST, &savepoints, "[").await;
    let expected = "Request did not match expected format SavepointTriggerRequestBody.";
    assert_eq!(found, (400, expected.to_owned()));
    let long = format!("\"{}\"", "x".repeat(LONGEST_BODY));
    let (status, _) = served.error(Method::POST, &savepoints, &long).await;
    assert_eq!(status, 413);
    let found = served.error(Method::POST, "/v1/savepoint-disposal", "{}").await;
    let expected = "Field savepoint-path must not be omitted or be null.";
    assert_eq!(found, (400, expected.to_owned()));
    let (status, _) = served.error(Method::POST, "/jars/upload", "x").await;
    assert_eq!(status, 400);
    let path = format!("/v1/jobs/{NOBODY}?mode=cancel");
    let found = served.error(Method::PATCH, &path, "{}").await;
    assert_eq!(found, (404, "Job could not be found.".to_owned()));
}

#[tokio::test]
async fn an_operation_is_started_once_and_its_result_kept() {
    let served = Served::with(None).await;
    let path = format!("/v1/jobs/{NOBODY}/savepoints");
    let trigger = "00000000000000000000000000000007";
    let body = json!({ "target-directory": "/tmp", "triggerId": trigger }).to_string();
    for _ in 0..2 {
        let (status, answer) = served.ask(Method::POST, &path, &body).await;
        assert_eq!((status.as_u16(), &answer), (202, &json!({ "request-id": trigger })));
    }
    let result = format!("{path}/{trigger}");
    let operation = loop {
        let (_, answer) = served.ask(Method::GET, &result, "").await;
        if answer["status"]["id"] == "COMPLETED" {
            break answer["operation"].clone();
        }
    };
    let cause = &operation["failure-cause"];
    let class = "org.apache.flink.runtime.messages.FlinkJobNotFoundException";
    assert_eq!(cause["class"], class);
    assert!(
        cause["serialized-throwable"].as_str().is_some_and(|text| text.starts_with("rO0ABXNy"))
    );
    let other = "00000000000000000000000000000008";
    let found = served.error(Method::GET, &format!("{path}/{other}"), "").await;
    let expected = format!(
        "There is no savepoint operation with triggerId={other} for job {NOBODY}. Results are kept \
         for 60s, and without high-availability.storageDir no longer than the JobManager lives that \
         was asked."
    );
    assert_eq!(found, (404, expected));
}

#[tokio::test]
async fn without_the_token_nothing_is_told() {
    let served = Served::with(Some("open sesame")).await;
    let (status, _) = served.error(Method::GET, "/v1/jobs", "").await;
    assert_eq!(status, 401);
    let request = Client::new().get(format!("{}/v1/jobs", served.url)).bearer_auth("open sesame");
    let answer: Value = request.send().await.expect("answers").json().await.expect("JSON");
    assert_eq!(answer, json!({ "jobs": [] }));
}

#[tokio::test]
async fn the_clusters_figures_have_flinks_names() {
    let served = Served::with(None).await;
    let (_, overview) = served.ask(Method::GET, "/overview", "").await;
    for name in ["taskmanagers", "slots-total", "slots-available", "jobs-running", "jobs-finished"]
    {
        assert_eq!(overview[name], 0, "{name}");
    }
    let (_, jars) = served.ask(Method::GET, "/v1/jars", "").await;
    assert_eq!(jars["files"], json!([]));
    let (_, managers) = served.ask(Method::GET, "/v1/taskmanagers", "").await;
    assert_eq!(managers, json!({ "taskmanagers": [] }));
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_its_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let served = Served::with(None).await;
    let address = served.url.trim_start_matches("http://").to_owned();
    let mut slow = tokio::net::TcpStream::connect(address).await.expect("it listens");
    slow.write_all(b"GET /jobs HTTP/1.1\r\nhost: a\r\nx").await.expect("it takes that");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut answer)).await;
    read.expect("it ends").expect("in order");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    let (status, _) = served.ask(Method::GET, "/jobs", "").await;
    assert_eq!(status, 200, "others are served");
}

#[tokio::test]
async fn what_flink_alone_has_is_told_of() {
    let served = Served::with(None).await;
    let found = served.error(Method::GET, "/v1/jobmanager/thread-dump", "").await;
    let expected = "Flink has GET /jobmanager/thread-dump, Tidegate has not: Tidegate's processes are \
                    no JVMs";
    assert_eq!(found, (404, expected.to_owned()));
}

#[tokio::test]
async fn a_head_changes_nothing() {
    let served = Served::with(None).await;
    for prefix in ["", "/v1"] {
        let url = format!("{}{prefix}/jobs/{NOBODY}/yarn-cancel", served.url);
        let answer = Client::new().head(&url).send().await.expect("it answers");
        assert_eq!(answer.status(), 405, "{url}");
        let answer = Client::new().get(&url).send().await.expect("it answers");
        assert_eq!(answer.status(), 404, "there is no such job");
    }
    let answer = Client::new().head(format!("{}/jobs", served.url)).send().await;
    assert_eq!(answer.expect("it answers").status(), 200);
}

#[tokio::test]
async fn what_nobody_would_understand_is_refused() {
    let served = Served::with(None).await;
    let run = format!("/jars/{}_job/run", "0".repeat(64));
    let stop = format!("/jobs/{NOBODY}/stop");
    let job = format!("/jobs/{NOBODY}");
    let requirements = format!("{job}/resource-requirements");
    let bodies = [
        (Method::POST, &run, r#"{"savepointPth":"/x"}"#, "savepointPth", "savepointPath"),
        (Method::POST, &run, r#"{"savepoint-path":"/x"}"#, "savepoint-path", "savepointPath"),
        (Method::POST, &stop, r#"{"drian":true}"#, "drian", "drain"),
    ];
    for (method, path, body, wrong, meant) in bodies {
        let found = served.error(method, path, body).await;
        let expected = format!("unknown field `{wrong}`, did you mean `{meant}`?");
        assert_eq!(found, (400, expected), "{path} {body}");
    }
    let found = served.error(Method::PATCH, &job, r#"{"mode":"cancel"}"#).await;
    assert_eq!(found, (400, "unknown field `mode`: there is none here".to_owned()));
    let found = served.error(Method::PATCH, &format!("{job}?mod=stop"), "").await;
    assert_eq!(found.1, "unknown query parameter `mod`, did you mean `mode`?");
    let (status, _) = served.error(Method::PUT, &requirements, r#"{"x":{"paralelism":1}}"#).await;
    assert_eq!(status, 400);
    let path = format!("{job}/exceptions?failureLabelFilter=a:b");
    let found = served.error(Method::GET, &path, "").await;
    assert_eq!(found.0, 400, "{found:?}");
    assert!(found.1.ends_with("Tidegate has not: failures have no labels"), "{found:?}");
    let found = served.error(Method::GET, "/openapi.json?xyzzy=1", "").await;
    assert_eq!(found, (400, "unknown query parameter `xyzzy`: there is none here".to_owned()));
}

#[tokio::test]
async fn no_operation_leaves_out_a_parameter_that_it_does_not_have() {
    let served = Served::with(None).await;
    let (_, document) = served.ask(Method::GET, "/openapi.json", "").await;
    for (path, operations) in document["paths"].as_object().expect("an object") {
        let path = path.replace("{jobid}", NOBODY).replace(['{', '}'], "");
        for method in operations.as_object().expect("an object").keys() {
            let method = method.to_uppercase().parse::<Method>().expect("one of HTTP's");
            let found = served.error(method.clone(), &format!("{path}?xyzzy=1"), "").await;
            assert_eq!(found.0, 400, "{method} {path}: {found:?}");
            assert!(found.1.starts_with("unknown query parameter `xyzzy`"), "{path}: {found:?}");
            // A file, and a map by vertices, which may be called anything.
            let is_map = path.ends_with("/resource-requirements") && method == Method::PUT;
            if path == "/jars/upload" || is_map {
                continue;
            }
            let found = served.error(method.clone(), &path, r#"{"xyzzy":1}"#).await;
            assert_eq!(found.0, 400, "{method} {path}: {found:?}");
            assert!(found.1.starts_with("unknown field `xyzzy`"), "{path}: {found:?}");
        }
    }
}

#[tokio::test]
async fn flinks_own_clients_are_understood() {
    let served = Served::with(None).await;
    // The command line sends all fields, the web interface says some things twice.
    let savepoint =
        r#"{"target-directory":"/x","cancel-job":false,"formatType":"CANONICAL","triggerId":null}"#;
    let path = format!("/v1/jobs/{NOBODY}/savepoints");
    assert_eq!(served.ask(Method::POST, &path, savepoint).await.0, 202);
    let stop =
        r#"{"targetDirectory":"/x","drain":false,"formatType":"CANONICAL","triggerId":null}"#;
    let path = format!("/v1/jobs/{NOBODY}/stop");
    assert_eq!(served.ask(Method::POST, &path, stop).await.0, 202);
    let checkpoint = r#"{"checkpointType":"CONFIGURED","triggerId":null}"#;
    let path = format!("/v1/jobs/{NOBODY}/checkpoints");
    assert_eq!(served.ask(Method::POST, &path, checkpoint).await.0, 202);
    assert_eq!(served.ask(Method::GET, "/v1/jobs/overview", "{}").await.0, 200);
    let path = format!("/v1/jobs/{NOBODY}/accumulators?includeSerializedValue=true");
    assert_eq!(served.ask(Method::GET, &path, "{}").await.0, 404, "there is no such job");
    let run = r#"{"entryClass":null,"parallelism":null,"programArgs":"a b","savepointPath":null,"allowNonRestoredState":null}"#;
    let path = "/jars/none/run?entry-class=x&parallelism=2&program-args=a%20b";
    let found = served.error(Method::POST, path, run).await;
    assert_eq!(found.0, 404, "there is no such binary: {found:?}");
    let found = served.error(Method::GET, "/jars/none/plan?program-args=a", "").await;
    assert_eq!(found.0, 404, "there is no such binary: {found:?}");
}

#[tokio::test]
async fn a_binary_goes_by_its_hash_and_its_name() {
    let served = Served::with(None).await;
    let artifacts = served._manager.dispatcher().artifacts().clone();
    let binary = artifacts.add("job", &mut b"abc".as_slice(), 3).await.expect("kept");
    let id = format!("/jars/{}_job", binary.hash);
    let other = format!("/jars/{}_other", binary.hash);
    let (status, _) = served.error(Method::DELETE, &other, "").await;
    assert_eq!(status, 404);
    let (status, _) = served.error(Method::POST, &format!("{other}/run"), "{}").await;
    assert_eq!(status, 404);
    assert!(artifacts.get(&binary.hash).is_some(), "it was called otherwise");
    let (status, _) = served.ask(Method::DELETE, &id, "").await;
    assert_eq!(status, 200);
    assert!(artifacts.get(&binary.hash).is_none());
}

#[tokio::test]
async fn the_description_has_every_operation_and_its_schemas() {
    let served = Served::with(None).await;
    let (_, document) = served.ask(Method::GET, "/openapi.json", "").await;
    let paths = document["paths"].as_object().expect("an object");
    assert!(paths.contains_key("/jobs/{jobid}/savepoints/{triggerid}"), "{paths:#?}");
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().expect("an object");
    let referred =
        text.split("#/components/schemas/").skip(1).filter_map(|part| part.split('"').next());
    for name in referred {
        assert!(schemas.contains_key(name), "{name} is not described");
    }
    for (name, schema) in schemas {
        let is_request = name.ends_with("Request") || name == "Heartbeat";
        let is_closed = schema["additionalProperties"] == false;
        assert!(!is_request || is_closed, "{name} takes fields that it does not have");
    }
}

#[tokio::test]
async fn a_client_may_end_the_jobmanager() {
    let served = Served::with(None).await;
    let (status, _) = served.ask(Method::DELETE, "/v1/cluster", "").await;
    assert_eq!(status, 200);
    let gone = async {
        while Client::new().get(format!("{}/jobs", served.url)).send().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it ends");
}
