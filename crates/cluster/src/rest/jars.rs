//! Binaries: Flink's `/jars`, which here takes the binary of any job.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{Multipart, Path, Query, State},
};
use futures::{StreamExt, TryStreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_types::options::OptionValues;
use tokio_util::io::StreamReader;

use super::{
    Api,
    answer::{Answer, ApiError, ApiResult, Empty, HexId, body, millis},
    plan::{Plan, PlanAnswer},
};
use crate::{
    artifacts::{Artifact, ArtifactError},
    dispatcher::Submission,
};

/// The id of a binary in the API: its hash and its name, as Flink has a random one and the name.
fn jar_id(hash: &str, name: &str) -> String {
    format!("{hash}_{name}")
}

/// The binary with an id, whose name fits too, if there is one in it.
fn artifact_of(api: &Api, id: &str) -> Result<Artifact, ApiError> {
    let (hash, name) = match id.split_once('_') {
        Some((hash, name)) => (hash, Some(name)),
        None => (id, None),
    };
    let found = api.dispatcher.artifacts().get(hash);
    let found = found.filter(|artifact| name.is_none_or(|name| name == artifact.name));
    found.ok_or_else(|| {
        ApiError::not_found(format!(
            "there is no binary {id}: upload it first (GET /jars lists all)"
        ))
    })
}

/// All binaries.
#[derive(Serialize, JsonSchema)]
pub(super) struct Jars {
    address: String,
    files: Vec<Jar>,
}

/// A binary.
#[derive(Serialize, JsonSchema)]
struct Jar {
    id: String,
    name: String,
    uploaded: i64,
    entry: [JarEntry; 1],
}

/// What a binary runs.
#[derive(Serialize, JsonSchema)]
struct JarEntry {
    name: String,
    description: Option<String>,
}

pub(super) async fn list(State(api): State<Api>) -> Answer<Jars> {
    let jar = |artifact: Artifact| Jar {
        id: jar_id(&artifact.hash, &artifact.name),
        name: artifact.name.clone(),
        uploaded: millis(Some(artifact.uploaded)),
        entry: [JarEntry { name: artifact.name, description: None }],
    };
    let files = api.dispatcher.artifacts().list().into_iter().map(jar).collect();
    Answer::ok(Jars { address: String::new(), files })
}

/// A binary that has been uploaded.
#[derive(Serialize, JsonSchema)]
pub(super) struct Uploaded {
    status: &'static str,
    /// Its id.
    filename: String,
}

pub(super) async fn upload(State(api): State<Api>, multipart: Multipart) -> ApiResult<Uploaded> {
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
        let filename = jar_id(&artifact.hash, &artifact.name);
        return Ok(Answer::ok(Uploaded { status: "success", filename }));
    }
    Err(ApiError::bad_request("the upload has no file: send it as multipart field `jarfile`"))
}

pub(super) async fn remove(State(api): State<Api>, Path(jar): Path<String>) -> ApiResult<Empty> {
    let artifact = artifact_of(&api, &jar)?;
    match api.dispatcher.remove_artifact(&artifact.hash) {
        Ok(true) => Ok(Answer::ok(Empty {})),
        Ok(false) => Err(ApiError::not_found(format!("there is no binary {jar}"))),
        Err(error) => Err(ApiError::internal(tidegate_types::error::chain(&error))),
    }
}

/// How to run a binary.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RunRequest {
    /// Accepted for Flink's sake, and ignored: a binary has one entry.
    #[serde(rename = "entryClass")]
    _entry_class: Option<String>,
    /// Its own arguments, in one text: those with blanks in them stand in quotes.
    program_args: Option<String>,
    /// Its own arguments.
    program_args_list: Option<Vec<String>>,
    /// How many subtasks each operator has.
    #[schemars(range(min = 1, max = 32768))]
    parallelism: Option<u32>,
    /// By default a new one.
    #[schemars(with = "Option<HexId>")]
    job_id: Option<String>,
    /// Whether state of operators that are gone is left behind.
    allow_non_restored_state: Option<bool>,
    /// The snapshot to start from.
    savepoint_path: Option<String>,
    /// Whom that belongs to.
    claim_mode: Option<ClaimMode>,
    /// Options, which win over those of the program.
    #[schemars(with = "Option<BTreeMap<String, OptionValue>>")]
    flink_configuration: Option<BTreeMap<String, Value>>,
}

/// How to run a binary, as Flink's web interface says it besides the body, which wins.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RunQuery {
    /// Accepted for Flink's sake, and ignored.
    #[serde(rename = "entry-class")]
    _entry_class: Option<String>,
    /// Its own arguments, separated by commas.
    program_arg: Option<String>,
    /// Its own arguments, in one text.
    #[serde(rename = "program-args")]
    program_args: Option<String>,
    /// How many subtasks each operator has.
    #[schemars(range(min = 1, max = 32768))]
    parallelism: Option<u32>,
    /// Whether state of operators that are gone is left behind.
    allow_non_restored_state: Option<bool>,
    /// The snapshot to start from.
    savepoint_path: Option<String>,
}

/// The arguments of a program, which a body may give in two ways, and a query as well.
fn arguments(
    list: Option<Vec<String>>,
    text: Option<String>,
    names: [&str; 2],
) -> Result<Option<Vec<String>>, ApiError> {
    match (list, text.filter(|text| !text.trim().is_empty())) {
        (Some(_), Some(_)) => {
            let [list, text] = names;
            Err(ApiError::bad_request(format!("both {list} and {text} are given: leave one out")))
        }
        (Some(list), None) => Ok(Some(list)),
        (None, Some(text)) => Ok(Some(split_arguments(&text))),
        (None, None) => Ok(None),
    }
}

/// Splits a text at blanks, but for those in quotes.
fn split_arguments(text: &str) -> Vec<String> {
    let (mut all, mut current, mut quote) = (Vec::new(), None::<String>, None);
    for letter in text.chars() {
        match (letter, quote) {
            (letter, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                current.get_or_insert_default();
            }
            (letter, None) if letter.is_whitespace() => all.extend(current.take()),
            (letter, _) => current.get_or_insert_default().push(letter),
        }
    }
    all.extend(current);
    all
}

/// Whom the snapshot belongs to that a job starts from.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ClaimMode {
    Claim,
    NoClaim,
}

/// An option's value.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema only")]
#[schemars(untagged)]
enum OptionValue {
    Text(String),
    Number(f64),
    Flag(bool),
}

impl RunRequest {
    /// What the query says goes where the body says nothing.
    fn or(self, query: RunQuery) -> Result<Self, ApiError> {
        let own = arguments(
            self.program_args_list,
            self.program_args,
            ["programArgsList", "programArgs"],
        )?;
        let list = query.program_arg.map(|list| list.split(',').map(str::to_owned).collect());
        let others = arguments(list, query.program_args, ["programArg", "program-args"])?;
        let allow = self.allow_non_restored_state.or(query.allow_non_restored_state);
        Ok(Self {
            program_args: None,
            program_args_list: own.or(others),
            parallelism: self.parallelism.or(query.parallelism),
            allow_non_restored_state: allow,
            savepoint_path: self.savepoint_path.or(query.savepoint_path),
            ..self
        })
    }

    fn submission(self, api: &Api, jar: &str) -> Result<Submission, ApiError> {
        let mut configuration = OptionValues::default();
        for (key, value) in self.flink_configuration.unwrap_or_default() {
            let text = match value {
                Value::String(text) => text,
                value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
                _ => return Err(ApiError::bad_request(format!("{key} has no text as its value"))),
            };
            configuration.insert(key, text);
        }
        let claim_mode = self.claim_mode.map(|mode| match mode {
            ClaimMode::Claim => "CLAIM",
            ClaimMode::NoClaim => "NO_CLAIM",
        });
        let options = [
            ("parallelism.default", self.parallelism.map(|count| count.to_string())),
            ("execution.state-recovery.path", self.savepoint_path),
            ("execution.state-recovery.claim-mode", claim_mode.map(str::to_owned)),
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
            artifact: artifact_of(api, jar)?.hash,
            arguments: self.program_args_list.unwrap_or_default(),
            configuration,
            job_id,
        })
    }
}

/// A job that has been submitted.
#[derive(Serialize, JsonSchema)]
pub(super) struct Submitted {
    #[schemars(with = "HexId")]
    jobid: String,
    #[serde(rename = "applicationId")]
    #[schemars(with = "HexId")]
    application_id: String,
    /// What it writes again, if it was started behind what it had committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    rewind: Option<String>,
    /// Which other job it has begun beside, since that lives and the snapshot is of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fork: Option<String>,
}

pub(super) async fn run(
    State(api): State<Api>,
    Path(jar): Path<String>,
    Query(query): Query<RunQuery>,
    bytes: Bytes,
) -> ApiResult<Submitted> {
    let request = body::<RunRequest>(&bytes, "JarRunRequestBody")?.or(query)?;
    let id = api.dispatcher.submit(request.submission(&api, &jar)?).await?;
    let stats = api.dispatcher.job(id).map(|job| job.stats);
    let rewind = stats.as_ref().and_then(|stats| Some(stats.rewind.as_ref()?.to_string()));
    let fork = stats.as_ref().and_then(|stats| Some(stats.fork.as_ref()?.to_string()));
    let (jobid, application_id) = (id.to_string(), id.to_string());
    Ok(Answer::ok(Submitted { jobid, application_id, rewind, fork }))
}

pub(super) async fn plan(
    State(api): State<Api>,
    Path(jar): Path<String>,
    Query(query): Query<RunQuery>,
    bytes: Bytes,
) -> ApiResult<PlanAnswer> {
    let request = body::<RunRequest>(&bytes, "JarPlanRequestBody")?.or(query)?;
    let description = api.dispatcher.describe(&request.submission(&api, &jar)?).await?;
    Ok(Answer::ok(PlanAnswer { plan: Plan::of(&description) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_in_one_text_are_split_at_blanks_outside_quotes() {
        let split = split_arguments(" --name 'two words'  --text \"it's\" '' x");
        assert_eq!(split, ["--name", "two words", "--text", "it's", "", "x"]);
        assert_eq!(split_arguments("  "), Vec::<String>::new());
    }
}
