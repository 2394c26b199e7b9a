//! The JobManager's REST API, as a client sees it.

use std::{
    fs::File,
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use reqwest::{Method, StatusCode, multipart};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidegate_types::options::Secret;
use tokio_util::io::ReaderStream;

/// How long a client waits between two questions, at first.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// And at last.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// For how long a client that waits for something puts up with a JobManager that does not answer.
const RETRY_FOR: Duration = Duration::from_secs(60);
/// How long it waits before it asks again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A JobManager.
pub(crate) struct Client {
    base: String,
    token: Option<Secret>,
    http: reqwest::Client,
    /// How long it waits for an operation.
    pub(crate) timeout: Duration,
}

impl Client {
    pub(crate) fn new(address: &str, token: Option<Secret>, timeout: Duration) -> Result<Self> {
        let base = if address.contains("://") {
            address.trim_end_matches('/').to_owned()
        } else {
            format!("http://{address}")
        };
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(15))
            .build()
            .context("cannot set up an HTTP client")?;
        Ok(Self { base, token, http, timeout })
    }

    pub(crate) fn address(&self) -> &str {
        &self.base
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/v1{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        request.send().await.with_context(|| {
            format!(
                "cannot reach the JobManager at {}: is it running? `tidegate cluster start` starts \
                 one, and -m names another",
                self.base
            )
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let response = self.answer(request).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let text = response.text().await.context("the JobManager's answer broke off")?;
        serde_json::from_str(&text)
            .with_context(|| format!("what answers at {} is no JobManager: {text:.100}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.send(self.request(Method::GET, path)).await
    }

    /// As [`Client::get`], for a client that waits for something: a JobManager that does not answer
    /// for a while is asked again.
    pub(crate) async fn get_patiently(&self, path: &str) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let request = self.request(Method::GET, path);
            match request.send().await {
                Err(error) if begun.elapsed() < RETRY_FOR => {
                    tracing::debug!(%error, "the JobManager does not answer; asking again");
                }
                Ok(response)
                    if response.status() == StatusCode::SERVICE_UNAVAILABLE
                        && begun.elapsed() < RETRY_FOR => {}
                _ => return self.get(path).await,
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// What is no JSON.
    pub(crate) async fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.answer(self.request(Method::GET, path)).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        Ok(response.bytes().await.context("the JobManager's answer broke off")?.into())
    }

    pub(crate) async fn patch(&self, path: &str) -> Result<Value> {
        self.send(self.request(Method::PATCH, path).json(&json!({}))).await
    }

    /// Uploads a binary, unless it is there, and returns its id.
    pub(crate) async fn upload(&self, binary: &Path) -> Result<String> {
        let hash = hash_of(binary)?;
        let known = self.get("/jars").await?;
        let mut ids = known["files"].as_array().into_iter().flatten();
        let id = ids.find_map(|jar| jar["id"].as_str().filter(|id| id.starts_with(&hash)));
        if let Some(id) = id {
            return Ok(id.to_owned());
        }
        let shown = binary.display();
        let file = tokio::fs::File::open(binary)
            .await
            .with_context(|| format!("cannot read the job's binary {shown}"))?;
        let length = file.metadata().await.with_context(|| format!("cannot read {shown}"))?.len();
        let name = binary.file_name().map(|name| name.to_string_lossy().into_owned());
        let stream = reqwest::Body::wrap_stream(ReaderStream::new(file));
        let part = multipart::Part::stream_with_length(stream, length)
            .file_name(name.unwrap_or_else(|| "job".to_owned()));
        let form = multipart::Form::new().part("jarfile", part);
        let answer = self.send(self.request(Method::POST, "/jars/upload").multipart(form)).await?;
        let id = answer["filename"].as_str();
        Ok(id.ok_or_else(|| anyhow!("the JobManager's answer has no filename"))?.to_owned())
    }

    /// Waits for the result of an operation; `None` when that takes too long. Calls `meanwhile` each
    /// time that it is not there.
    pub(crate) async fn result_of(
        &self,
        path: &str,
        mut meanwhile: impl AsyncFnMut(),
    ) -> Result<Option<Value>> {
        let wait = async {
            let mut pause = FIRST_PAUSE;
            loop {
                let answer = self.get_patiently(path).await?;
                if answer["status"]["id"] == "COMPLETED" {
                    return Ok(answer["operation"].clone());
                }
                meanwhile().await;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        match tokio::time::timeout(self.timeout, wait).await {
            Ok(result) => result.map(Some),
            Err(_) => Ok(None),
        }
    }
}

/// What an answer that is no success says.
async fn refusal(response: reqwest::Response) -> anyhow::Error {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let answer = serde_json::from_str::<Value>(&text).unwrap_or_default();
    match answer["errors"][0].as_str() {
        Some(first) => anyhow!("{first}"),
        None => anyhow!("the JobManager answered {status}: {text}"),
    }
}

/// The content hash of a file: SHA-256, in hexadecimal digits.
fn hash_of(binary: &Path) -> Result<String> {
    let shown = || format!("cannot read the job's binary {}", binary.display());
    let mut file = File::open(binary).with_context(shown)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 18]);
    loop {
        let read = file.read(&mut buffer).with_context(shown)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Why an operation failed, from either spelling of the field.
pub(crate) fn failure_of(operation: &Value) -> Option<String> {
    let cause = [&operation["failure-cause"], &operation["failureCause"]];
    let cause = cause.into_iter().find(|cause| cause.is_object())?;
    let trace = cause["stack-trace"].as_str().unwrap_or("no reason was given");
    let class = cause["class"].as_str().unwrap_or_default();
    Some(trace.trim().trim_start_matches(class).trim_start_matches(": ").to_owned())
}
