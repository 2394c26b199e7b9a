//! What a request may say: whatever nobody would understand is refused, so that a typo costs an error
//! and not a job's state.
//!
//! One check before every handler, made from what `/openapi.json` says of the operation: the names of
//! its query's parameters, and the schema of its body, in which objects that take no other fields say
//! so (`additionalProperties: false`, which is serde's `deny_unknown_fields`).

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Query, Request},
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use serde_json::{Value, json};
use tidegate_types::options::nearest;

use super::{Api, access::TokenShown, answer::ApiError};

/// What Flink has and Tidegate has not: its name, and why not.
pub(super) type Unserved = &'static [(&'static str, &'static str)];

/// What an operation's body may be.
pub(super) enum BodyKind {
    /// A JSON object of this schema, or nothing.
    Json(Value),
    /// A file, which the operation looks through itself.
    File,
}

/// What an operation understands.
pub(super) struct Understood {
    /// The names of its query's parameters.
    pub(super) query: Vec<String>,
    /// Parameters of Flink's that mean nothing here.
    pub(super) unserved: Unserved,
    pub(super) body: BodyKind,
}

impl Understood {
    /// What an operation understands that takes neither parameters nor a body.
    pub(super) fn nothing() -> Self {
        let body = BodyKind::Json(json!({ "additionalProperties": false }));
        Self { query: Vec::new(), unserved: &[], body }
    }

    /// `handlers`, which get to see only what they understand.
    pub(super) fn guard(self, handlers: MethodRouter<Api>) -> MethodRouter<Api> {
        let understood = Arc::new(self);
        handlers.route_layer(middleware::from_fn(move |request: Request, next: Next| {
            let understood = Arc::clone(&understood);
            async move {
                match understood.check(request).await {
                    Ok(request) => next.run(request).await,
                    Err(refusal) => refusal,
                }
            }
        }))
    }

    async fn check(&self, request: Request) -> Result<Request, Response> {
        self.check_query(&request).map_err(IntoResponse::into_response)?;
        let BodyKind::Json(schema) = &self.body else { return Ok(request) };
        let (parts, body) = request.into_parts();
        let with_limit = Request::from_parts(parts.clone(), body);
        let bytes =
            Bytes::from_request(with_limit, &()).await.map_err(IntoResponse::into_response)?;
        let request = Request::from_parts(parts, Body::from(bytes.clone()));
        check_type(&request, &bytes).map_err(IntoResponse::into_response)?;
        check_body(&bytes, schema).map_err(IntoResponse::into_response)?;
        Ok(request)
    }

    fn check_query(&self, request: &Request) -> Result<(), ApiError> {
        let given = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
        let given = given.map_err(|error| ApiError::bad_request(error.body_text()))?;
        for (name, _) in &given.0 {
            if let Some((_, why)) = self.unserved.iter().find(|(unserved, _)| unserved == name) {
                return Err(ApiError::bad_request(format!(
                    "Flink has a query parameter `{name}` here, Tidegate has not: {why}"
                )));
            }
            if !self.query.contains(name) {
                return Err(unknown("query parameter", name, &self.query));
            }
        }
        Ok(())
    }
}

/// Says what was meant, if that can be told, and else what there is.
fn unknown(what: &str, name: &str, known: &[String]) -> ApiError {
    let name: String = name.chars().take(100).collect();
    let rest = match nearest(&name, known.iter().map(String::as_str)) {
        Some(meant) => format!(", did you mean `{meant}`?"),
        None if known.is_empty() => ": there is none here".to_owned(),
        None => format!(": there are {}", known.join(", ")),
    };
    ApiError::bad_request(format!("unknown {what} `{name}`{rest}"))
}

/// A page of somebody else's can have a browser send texts and forms anywhere, and JSON not: who
/// has not shown the token itself has to say that the body is JSON.
fn check_type(request: &Request, body: &Bytes) -> Result<(), ApiError> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if body.is_empty() || !changes || request.extensions().get::<TokenShown>().is_some() {
        return Ok(());
    }
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let is_json = kind.is_some_and(|kind| {
        let name = kind.split(|byte| *byte == b';').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"application/json")
    });
    if is_json {
        return Ok(());
    }
    let message = "the body is JSON: send it with `Content-Type: application/json`";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

/// Refuses a body with fields that its schema does not have. What is wrong with it otherwise the
/// operation itself says.
fn check_body(body: &Bytes, schema: &Value) -> Result<(), ApiError> {
    if body.is_empty() {
        return Ok(());
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => check_value(&value, schema),
        Err(_) if schema["properties"].is_null() && schema["additionalProperties"] == false => {
            Err(ApiError::bad_request("Request did not match expected format EmptyRequestBody."))
        }
        Err(_) => Ok(()),
    }
}

fn check_value(value: &Value, schema: &Value) -> Result<(), ApiError> {
    match value {
        Value::Object(fields) => {
            let Some(schema) = object_in(schema) else { return Ok(()) };
            let properties = schema["properties"].as_object();
            for (name, value) in fields {
                match properties.and_then(|properties| properties.get(name)) {
                    Some(of_field) => check_value(value, of_field)?,
                    None if schema["additionalProperties"] == false => {
                        let known = properties.into_iter().flat_map(serde_json::Map::keys);
                        return Err(unknown("field", name, &known.cloned().collect::<Vec<_>>()));
                    }
                    None => check_value(value, &schema["additionalProperties"])?,
                }
            }
            Ok(())
        }
        Value::Array(items) => {
            items.iter().try_for_each(|item| check_value(item, &schema["items"]))
        }
        _ => Ok(()),
    }
}

/// The schema of objects in one that has others beside it, such as null.
fn object_in(schema: &Value) -> Option<&Value> {
    let is_object = |schema: &&Value| {
        schema["properties"].is_object() || !schema["additionalProperties"].is_null()
    };
    let beside = schema["anyOf"].as_array().into_iter().flatten();
    std::iter::once(schema).chain(beside).find(is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &Value, schema: &Value) -> Option<String> {
        let checked = check_body(&body.to_string().into(), schema);
        checked.err().map(|error| error.message().to_owned())
    }

    #[test]
    fn a_field_is_looked_for_wherever_objects_are() {
        let inner = json!({
            "properties": { "lowerBound": {}, "upperBound": {} }, "additionalProperties": false
        });
        let schema = json!({ "additionalProperties": {
            "properties": { "parallelism": { "anyOf": [inner, { "type": "null" }] } },
            "additionalProperties": false,
        } });
        let right = json!({ "any": { "parallelism": { "lowerBound": 1 } }, "other": { } });
        assert_eq!(refusal(&right, &schema), None);
        let wrong = json!({ "any": { "parallelism": { "lowerBond": 1 } } });
        let said = "unknown field `lowerBond`, did you mean `lowerBound`?";
        assert_eq!(refusal(&wrong, &schema).as_deref(), Some(said));
        let list = json!({ "items": inner });
        assert_eq!(refusal(&json!([{ "lowerBond": 1 }]), &list).as_deref(), Some(said));
    }

    #[test]
    fn what_nothing_resembles_is_told_what_there_is() {
        let schema = json!({ "properties": { "drain": {} }, "additionalProperties": false });
        let said = "unknown field `quux`: there are drain";
        assert_eq!(refusal(&json!({ "quux": 1 }), &schema).as_deref(), Some(said));
        let nothing = json!({ "additionalProperties": false });
        let said = "unknown field `quux`: there is none here";
        assert_eq!(refusal(&json!({ "quux": 1 }), &nothing).as_deref(), Some(said));
    }
}
