//! Who may use the API, and from where.
//!
//! # Protocol
//!
//! A client shows the token as `Authorization: Bearer …`. A browser can't be told to: a client that
//! knows the token asks for a code (`POST /login`), which is good for one visit of `/login?code=…`,
//! and that answers with a cookie.
//!
//! # Invariants
//!
//! - INV-HOST: a request for a name that is none of this JobManager's is refused: a page of somebody
//!   else's can have its own name point here (DNS rebinding).
//! - INV-ORIGIN: a request that a browser says to come from another page than this server's is refused,
//!   token or not. No other page may read answers.
//! - INV-SHOWN: without the token or the cookie nothing is answered but whether somebody is there.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Extension,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, Method, Uri, header, uri::Authority},
    response::{Html, IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_protocol::{Secret, derived};
use tokio::time::Instant;

use super::{
    Api,
    answer::{Answer, ApiError, Empty},
    server::Connection,
};

/// How long a code is good for.
const CODE: Duration = Duration::from_secs(600);
/// How many codes may be open at once; the oldest go.
const CODES: usize = 16;

/// A request has shown the token itself, which no browser does by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenShown;

/// What is needed to decide who may come in.
pub(super) struct Access {
    token: Option<Secret>,
    /// What a browser keeps, which is not the token.
    cookie: Option<Secret>,
    /// Names of this JobManager, in lower case; `*` for any.
    names: Vec<String>,
    codes: Mutex<VecDeque<(Secret, Instant)>>,
}

/// A code that a browser may log in with, once a server knows it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "nobody can guess what the system draws")]
pub fn new_code() -> Secret {
    Secret::new(format!("{:032x}", rand::random::<u128>()))
}

impl Access {
    pub(super) fn new(token: Option<Secret>, names: &[String], first_code: Option<Secret>) -> Self {
        let cookie = token.as_ref().map(|token| derived(token, "cookie"));
        let names = names.iter().map(|name| name.to_lowercase()).collect();
        let codes = first_code.into_iter().map(|code| (code, Instant::now())).collect();
        Self { token, cookie, names, codes: Mutex::new(codes) }
    }

    /// Lets a request in, and marks one that has shown the token.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub(super) fn admit(
        &self,
        request: &mut Request,
        connection: Option<&Connection>,
    ) -> Result<(), ApiError> {
        let headers = request.headers();
        let host = self.check_host(headers, request.uri(), connection)?;
        check_origin(headers, &host)?;
        let path = request.uri().path();
        let (is_login, is_health) = (is_at(path, "/login"), is_at(path, "/health"));
        let is_navigation = is_login && request.method() == Method::GET;
        if !is_navigation {
            check_site(headers)?;
        }
        match self.shows(headers) {
            Some(Shows::Token) => {
                request.extensions_mut().insert(TokenShown);
                Ok(())
            }
            Some(Shows::Cookie) => Ok(()),
            None if self.token.is_none() || is_health || is_navigation => Ok(()),
            None => Err(ApiError::unauthorized(
                "the request shows no token, or another one than this JobManager's: send it as \
                 `Authorization: Bearer …`; it is the value of security.rest.token, or stands in the \
                 file `token` of the configuration folder (~/.tidegate)",
            )),
        }
    }

    /// Refuses names that are none of ours (INV-HOST); returns the host as it was asked for.
    fn check_host(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        connection: Option<&Connection>,
    ) -> Result<Authority, ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (first, more) = (hosts.next(), hosts.next());
        let asked = match (uri.authority(), first) {
            (Some(authority), _) => Some(authority.clone()),
            (None, Some(host)) => Authority::try_from(host.as_bytes()).ok(),
            (None, None) => None,
        };
        let Some(asked) = asked.filter(|asked| more.is_none() && !asked.as_str().contains('@'))
        else {
            return Err(ApiError::bad_request("the request has no Host, or none that is one"));
        };
        let name = asked.host().trim_matches(['[', ']']).trim_end_matches('.').to_lowercase();
        let is_ours = match name.parse::<IpAddr>() {
            Ok(address) => {
                address.is_loopback()
                    || connection
                        .is_some_and(|connection| connection.local.ip().to_canonical() == address)
            }
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        };
        if is_ours || self.names.iter().any(|own| *own == name || own == "*") {
            return Ok(asked);
        }
        let name = name.chars().take(100).collect::<String>();
        Err(ApiError::forbidden(format!(
            "`{name}` is no name of this JobManager: rest.address and security.rest.allowed-hosts say \
             which ones it has"
        )))
    }

    fn shows(&self, headers: &HeaderMap) -> Option<Shows> {
        let (token, cookie) = (self.token.as_ref()?, self.cookie.as_ref()?);
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let bearer = |value: &HeaderValue| {
            let (scheme, shown) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.is(shown.trim_ascii()))
        };
        if shown.any(|value| bearer(value) == Some(true)) {
            return Some(Shows::Token);
        }
        let cookies = headers.get_all(header::COOKIE).iter();
        let mut cookies = cookies.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
        let name = format!("{}=", self.cookie_name());
        let is_it = |shown: &[u8]| {
            shown.trim_ascii().strip_prefix(name.as_bytes()).is_some_and(|shown| cookie.is(shown))
        };
        cookies.any(is_it).then_some(Shows::Cookie)
    }

    /// Clusters on one host, which browsers do not tell apart by port, have cookies of their own.
    fn cookie_name(&self) -> String {
        let cluster = self.token.as_ref().map(|token| derived(token, "cookie's name"));
        format!("tidegate-{:.8}", cluster.as_ref().map_or("", Secret::expose))
    }

    fn codes(&self) -> MutexGuard<'_, VecDeque<(Secret, Instant)>> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|(_, made)| made.elapsed() < CODE);
        codes
    }

    /// A code for one visit.
    pub(super) fn code(&self) -> Secret {
        let code = new_code();
        let mut codes = self.codes();
        codes.push_back((code.clone(), Instant::now()));
        if codes.len() > CODES {
            codes.pop_front();
        }
        code
    }

    /// The cookie for who has a code, which is used up by that.
    fn redeem(&self, code: &str) -> Option<String> {
        let cookie = self.cookie.as_ref()?;
        let mut codes = self.codes();
        let place = codes.iter().position(|(open, _)| open.is(code.as_bytes()))?;
        codes.remove(place);
        let (name, value) = (self.cookie_name(), cookie.expose());
        Some(format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict"))
    }
}

/// What a request shows.
enum Shows {
    Token,
    Cookie,
}

fn is_at(path: &str, own: &str) -> bool {
    path == own || path.strip_prefix("/v1").is_some_and(|path| path == own)
}

/// Refuses what a page of another server has asked for (INV-ORIGIN). Which scheme it was read by does
/// not matter: a proxy may have added TLS.
fn check_origin(headers: &HeaderMap, host: &Authority) -> Result<(), ApiError> {
    for origin in headers.get_all(header::ORIGIN) {
        let own = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let is_own = own.is_some_and(|(scheme, origin)| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            scheme.bytes().all(is_part) && origin.eq_ignore_ascii_case(host.as_str())
        });
        if !is_own {
            let origin =
                String::from_utf8_lossy(origin.as_bytes()).chars().take(100).collect::<String>();
            let message = format!("a page of `{origin}` may not use this JobManager");
            return Err(ApiError::forbidden(message));
        }
    }
    Ok(())
}

/// Refuses what a browser says that another page has asked for, pictures and forms too.
fn check_site(headers: &HeaderMap) -> Result<(), ApiError> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    match site {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(ApiError::forbidden(
            "a browser says that a page of another server has asked for this",
        )),
    }
}

/// Where a browser can log in, once.
#[derive(Serialize, JsonSchema)]
pub(super) struct Login {
    /// A path, to be opened within ten minutes.
    path: String,
}

/// A code for one visit, for who knows the token.
pub(super) async fn make_code(
    State(api): State<Api>,
    shown: Option<Extension<TokenShown>>,
) -> Result<Answer<Login>, ApiError> {
    if shown.is_none() {
        return Err(ApiError::forbidden("this takes the token itself"));
    }
    Ok(Answer::ok(Login { path: format!("/login?code={}", api.access.code().expose()) }))
}

/// With which code a browser logs in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginQuery {
    /// From `POST /login`; good for once.
    code: Option<String>,
}

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>Tidegate</title>\
                    <p>This browser may use the cluster now: <a href=/overview>overview</a>, \
                    <a href=/jobs/overview>jobs</a>.\n";

/// Turns a code into a cookie.
pub(super) async fn log_in(
    State(api): State<Api>,
    Query(query): Query<LoginQuery>,
) -> Result<Response, ApiError> {
    let cookie = query.code.and_then(|code| api.access.redeem(&code)).ok_or_else(|| {
        ApiError::unauthorized(
            "the code is none, or has been used, or is too old: `tidegate cluster login` prints \
             another",
        )
    })?;
    let cookie = HeaderValue::try_from(cookie)
        .map_err(|error| ApiError::internal(format!("no cookie can be made: {error}")))?;
    let headers = [
        (header::SET_COOKIE, cookie),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, Html(PAGE)).into_response())
}

/// That somebody is there, for whoever watches over it.
pub(super) async fn health() -> Answer<Empty> {
    Answer::ok(Empty {})
}
