//! The routes of the API, each with what `/openapi.json` says of it: one list, so that neither is
//! without the other. Schemas come from the types that are read and written.

use axum::{
    Router,
    handler::Handler,
    http::{Method, StatusCode, Uri},
    routing::{MethodFilter, on},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    Api,
    answer::{ApiError, Errors},
    request::{BodyKind, Understood, Unserved},
};

/// What every operation may answer, whatever it is asked.
const ALWAYS: [StatusCode; 7] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// How an operation's body or answer is written.
enum Content {
    Json(SchemaOf),
    Text(&'static str),
    /// A file, as a multipart form.
    Upload,
}

/// What an operation of the API does, takes and answers.
pub(super) struct Operation {
    summary: &'static str,
    status: StatusCode,
    answer: Content,
    body: Option<Content>,
    query: Option<SchemaOf>,
    /// Parameters of Flink's that mean nothing here.
    unserved: Unserved,
    /// A body that it takes without saying so: one of a GET.
    quietly_takes: Option<SchemaOf>,
    /// Whether everybody may ask for it.
    is_open: bool,
    /// Whether it changes something although it is a GET.
    changes: bool,
    errors: Vec<StatusCode>,
}

impl Operation {
    fn new(summary: &'static str, answer: Content) -> Self {
        let (status, errors) = (StatusCode::OK, Vec::new());
        let (body, query, quietly_takes) = (None, None, None);
        Self {
            summary,
            status,
            answer,
            body,
            query,
            unserved: &[],
            quietly_takes,
            is_open: false,
            changes: false,
            errors,
        }
    }

    /// One that answers 200 with a `T`.
    pub(super) fn answers<T: JsonSchema>(summary: &'static str) -> Self {
        Self::new(summary, Content::Json(|generator| generator.subschema_for::<T>()))
    }

    /// One that answers 200 with a text.
    pub(super) fn answers_text(summary: &'static str, content_type: &'static str) -> Self {
        Self::new(summary, Content::Text(content_type))
    }

    /// The same, with 202.
    pub(super) fn accepts(self) -> Self {
        Self { status: StatusCode::ACCEPTED, changes: true, ..self }
    }

    /// It changes something, whatever its method.
    pub(super) fn changes(self) -> Self {
        Self { changes: true, ..self }
    }

    /// It takes a JSON object.
    pub(super) fn takes<T: JsonSchema>(self) -> Self {
        let body = Content::Json(|generator| generator.subschema_for::<T>());
        Self { body: Some(body), ..self }.fails(&[StatusCode::PAYLOAD_TOO_LARGE])
    }

    /// It takes a JSON object, which is not described: one of a GET has no meaning to most tools.
    pub(super) fn quietly_takes<T: JsonSchema>(self) -> Self {
        Self { quietly_takes: Some(|generator| generator.subschema_for::<T>()), ..self }
    }

    /// Everybody may ask for it, without the token.
    pub(super) fn open(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// It takes a file.
    pub(super) fn takes_file(self) -> Self {
        Self { body: Some(Content::Upload), ..self }.fails(&[StatusCode::PAYLOAD_TOO_LARGE])
    }

    /// It has the fields of `T` as parameters of its query.
    pub(super) fn with_query<T: JsonSchema>(self) -> Self {
        Self { query: Some(|generator| T::json_schema(generator)), ..self }
    }

    /// Flink has these parameters here, and Tidegate has not.
    pub(super) fn without(self, unserved: Unserved) -> Self {
        Self { unserved, ..self }
    }

    /// What it understands, from what it says.
    fn understood(&self) -> Understood {
        let settings = SchemaSettings::draft2020_12();
        let settings = settings.with(|settings| settings.inline_subschemas = true);
        let mut generator = settings.into_generator();
        let query = self.query.map(|query| query(&mut generator));
        let query = query.as_ref().and_then(|query| query.get("properties")?.as_object());
        let query = query.into_iter().flat_map(Map::keys).cloned().collect();
        let body = match (&self.body, self.quietly_takes) {
            (Some(Content::Upload), _) => BodyKind::File,
            (Some(Content::Json(schema)), _) => BodyKind::Json(schema(&mut generator).to_value()),
            (_, Some(schema)) => BodyKind::Json(schema(&mut generator).to_value()),
            _ => return Understood { query, unserved: self.unserved, ..Understood::nothing() },
        };
        Understood { query, unserved: self.unserved, body }
    }

    /// How it may fail, besides what every operation may.
    pub(super) fn fails(mut self, statuses: &[StatusCode]) -> Self {
        self.errors.extend(statuses);
        self
    }
}

async fn refuse_head(uri: Uri) -> ApiError {
    ApiError::method_not_allowed(format!("HEAD changes nothing: {} takes GET", uri.path()))
}

/// Routes, and their description.
pub(super) struct Routes {
    router: Router<Api>,
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Routes {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = "/components/schemas".into());
        Self { router: Router::new(), generator: settings.into_generator(), paths: Map::new() }
    }

    pub(super) fn get<A: 'static, H: Handler<A, Api>>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.on(Method::GET, path, handler, operation)
    }

    pub(super) fn post<A: 'static, H: Handler<A, Api>>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.on(Method::POST, path, handler, operation)
    }

    pub(super) fn on<A: 'static, H: Handler<A, Api>>(
        mut self,
        method: Method,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.add(&method, path, &operation);
        if method == Method::GET && operation.changes {
            // It does something, which whoever asks for a head alone does not want.
            self.router = self.router.route(path, on(MethodFilter::HEAD, refuse_head));
        }
        let filter = match MethodFilter::try_from(method) {
            Ok(filter) => filter,
            Err(error) => unreachable!("a method of HTTP: {error}"),
        };
        let handlers = operation.understood().guard(on(filter, handler));
        self.router = self.router.route(path, handlers);
        self
    }

    fn add(&mut self, method: &Method, path: &'static str, operation: &Operation) {
        let described = self.describe(method, path, operation);
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        item[method.as_str().to_lowercase()] = described;
    }

    fn describe(&mut self, method: &Method, path: &str, operation: &Operation) -> Value {
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let in_path = names.clone().map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": path_schema(name) })
        });
        let mut parameters = in_path.collect::<Vec<_>>();
        parameters
            .extend(operation.query.map(|query| self.parameters(query)).into_iter().flatten());
        let mut responses = Map::new();
        let answer = json!({
            "description": operation.summary,
            "content": self.content(&operation.answer),
        });
        responses.insert(operation.status.as_str().to_owned(), answer);
        let not_found = names.count() > 0;
        let statuses = ALWAYS.iter().chain(not_found.then_some(&StatusCode::NOT_FOUND));
        for status in statuses.chain(&operation.errors) {
            let errors = self.generator.subschema_for::<Errors>();
            let answer = json!({
                "description": status.canonical_reason().unwrap_or_default(),
                "content": { "application/json": { "schema": errors } },
            });
            responses.insert(status.as_str().to_owned(), answer);
        }
        let name = path.split(['/', '{', '}', '-', '.']).filter(|part| !part.is_empty());
        let mut described = json!({
            "operationId": name.fold(method.as_str().to_lowercase(), |id, part| id + "_" + part),
            "summary": operation.summary,
            "parameters": parameters,
            "responses": responses,
        });
        if operation.is_open {
            described["security"] = json!([]);
        }
        if let Some(body) = &operation.body {
            let (content, required) = (self.content(body), self.is_required(body));
            described["requestBody"] = json!({ "content": content, "required": required });
        }
        described
    }

    /// Whether a body can't be left out: without one it counts as an object without fields.
    fn is_required(&mut self, body: &Content) -> bool {
        let Content::Json(schema) = body else { return true };
        let schema = schema(&mut self.generator);
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next());
        let definition = name.and_then(|name| self.generator.definitions().get(name));
        definition.is_some_and(|definition| definition.get("required").is_some())
    }

    fn content(&mut self, content: &Content) -> Value {
        match content {
            Content::Json(schema) => {
                json!({ "application/json": { "schema": schema(&mut self.generator) } })
            }
            Content::Text(kind) => json!({ *kind: { "schema": { "type": "string" } } }),
            Content::Upload => json!({ "multipart/form-data": { "schema": {
                "type": "object",
                "required": ["jarfile"],
                "properties": { "jarfile": { "type": "string", "format": "binary" } },
            } } }),
        }
    }

    /// The fields of an object, as parameters.
    fn parameters(&mut self, query: SchemaOf) -> Vec<Value> {
        let schema = query(&mut self.generator);
        let properties = schema.get("properties").and_then(Value::as_object).cloned();
        let parameter = |(name, mut schema): (String, Value)| {
            let description =
                schema.as_object_mut().and_then(|schema| schema.remove("description"));
            // What a query leaves out is not there at all: no value in it is null.
            if let Some(kinds) = schema["type"].as_array_mut() {
                kinds.retain(|kind| kind != "null");
            }
            json!({ "name": name, "in": "query", "description": description, "schema": schema })
        };
        properties.unwrap_or_default().into_iter().map(parameter).collect()
    }

    /// The routes, and the description of all of them, which take a token or not.
    pub(super) fn finish(mut self, takes_token: bool) -> (Router<Api>, Value) {
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Tidegate",
                "description": "Flink's REST API, for jobs of native Rust.",
                "version": env!("CARGO_PKG_VERSION"),
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "/v1" }, { "url": "/" }],
            "security": if takes_token { json!([{ "token": [] }]) } else { json!([]) },
            "paths": self.paths,
            "components": {
                "schemas": self.generator.take_definitions(true),
                "securitySchemes": { "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "security.rest.token, or what stands in the file `token` of the \
                                    configuration folder",
                } },
            },
        });
        (self.router, document)
    }
}

/// What stands in a path.
fn path_schema(name: &str) -> Value {
    match name {
        "jobid" | "vertexid" | "triggerid" => {
            json!({ "type": "string", "pattern": "^[0-9a-fA-F]{32}$" })
        }
        "checkpointid" => json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
        "subtaskindex" => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        _ => json!({ "type": "string", "minLength": 1 }),
    }
}
