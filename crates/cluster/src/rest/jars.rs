//! Binaries: Flink's `/jars`, which here takes the binary of any job.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{Multipart, Path, State},
};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::io::StreamReader;

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, body},
    jobs::plan_json,
};
use crate::{artifacts::ArtifactError, dispatcher::Submission};

/// The id of a binary in the API: its hash and its name, as Flink has a random one and the name.
fn jar_id(hash: &str, name: &str) -> String {
    format!("{hash}_{name}")
}

/// The hash in an id.
fn hash_of(id: &str) -> &str {
    id.split_once('_').map_or(id, |(hash, _)| hash)
}

pub(super) async fn list(State(api): State<Api>) -> Answer {
    let artifacts = api.dispatcher.artifacts().list();
    let file = |artifact: &crate::artifacts::Artifact| {
        json!({
            "id": jar_id(&artifact.hash, &artifact.name),
            "name": artifact.name,
            "uploaded": artifact.uploaded.millis(),
            "entry": [{ "name": artifact.name, "description": null }],
        })
    };
    Answer::ok(json!({
        "address": "",
        "files": artifacts.iter().map(file).collect::<Vec<_>>(),
    }))
}

pub(super) async fn upload(State(api): State<Api>, multipart: Multipart) -> ApiResult {
    let mut multipart = multipart;
    let malformed = |error: &dyn std::fmt::Display| {
        ApiError::bad_request(format!("the upload is malformed: {error}"))
    };
    while let Some(field) = multipart.next_field().await.map_err(|error| malformed(&error))? {
        let Some(name) = field.file_name().map(str::to_owned) else { continue };
        let content = field.map(|chunk| chunk.map_err(std::io::Error::other)).into_stream();
        let mut content = StreamReader::new(content);
        let limit = api.options.max_content_length;
        let added = api.dispatcher.artifacts().add(&name, &mut content, limit).await;
        let artifact = added.map_err(|error| match error {
            ArtifactError::TooLong { .. } => ApiError::too_long(error.to_string()),
            ArtifactError::Io { action: "receive", .. } => malformed(&error),
            error => ApiError::internal(tidegate_types::error::chain(&error)),
        })?;
        return Ok(Answer::ok(json!({
            "status": "success",
            "filename": jar_id(&artifact.hash, &artifact.name),
        })));
    }
    Err(ApiError::bad_request("the upload has no file: send it as multipart field `jarfile`"))
}

pub(super) async fn remove(State(api): State<Api>, Path(jar): Path<String>) -> ApiResult {
    match api.dispatcher.artifacts().remove(hash_of(&jar)) {
        Ok(true) => Ok(Answer::ok(json!({}))),
        Ok(false) => Err(ApiError::not_found(format!("there is no binary {jar}"))),
        Err(error) => Err(ApiError::internal(tidegate_types::error::chain(&error))),
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunRequest {
    program_args_list: Option<Vec<String>>,
    parallelism: Option<u32>,
    job_id: Option<String>,
    allow_non_restored_state: Option<bool>,
    savepoint_path: Option<String>,
    claim_mode: Option<String>,
    flink_configuration: Option<BTreeMap<String, Value>>,
}

impl RunRequest {
    fn submission(self, jar: &str) -> Result<Submission, ApiError> {
        let mut configuration = BTreeMap::new();
        for (key, value) in self.flink_configuration.unwrap_or_default() {
            let text = match value {
                Value::String(text) => text,
                value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
                _ => return Err(ApiError::bad_request(format!("{key} has no text as its value"))),
            };
            configuration.insert(key, text);
        }
        let options = [
            ("parallelism.default", self.parallelism.map(|count| count.to_string())),
            ("execution.state-recovery.path", self.savepoint_path),
            ("execution.state-recovery.claim-mode", self.claim_mode),
            (
                "execution.state-recovery.ignore-unclaimed-state",
                self.allow_non_restored_state.map(|allow| allow.to_string()),
            ),
        ];
        for (key, value) in options {
            configuration.extend(value.map(|value| (key.to_owned(), value)));
        }
        let job_id = match self.job_id {
            Some(text) => Some(text.parse().map_err(|_| {
                ApiError::bad_request(format!("jobId `{text}` is not 32 hexadecimal digits"))
            })?),
            None => None,
        };
        Ok(Submission {
            artifact: hash_of(jar).to_owned(),
            arguments: self.program_args_list.unwrap_or_default(),
            configuration,
            job_id,
        })
    }
}

pub(super) async fn run(
    State(api): State<Api>,
    Path(jar): Path<String>,
    bytes: Bytes,
) -> ApiResult {
    let request: RunRequest = body(&bytes, "JarRunRequestBody")?;
    let id = api.dispatcher.submit(request.submission(&jar)?).await?;
    Ok(Answer::ok(json!({ "jobid": id.to_string(), "applicationId": id.to_string() })))
}

pub(super) async fn plan(
    State(api): State<Api>,
    Path(jar): Path<String>,
    bytes: Bytes,
) -> ApiResult {
    let request: RunRequest = body(&bytes, "JarPlanRequestBody")?;
    let description = api.dispatcher.describe(&request.submission(&jar)?).await?;
    Ok(Answer::ok(json!({ "plan": plan_json(&description) })))
}
