//! What a request asks for beside its body: query parameters and our own headers.

use actix_web::{
    HttpRequest,
    http::{
        Version,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    web::Query,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{ApiError, State, error::invalid, names, show::Show};
use crate::{
    completion::{Code, Failure},
    stream::{Cursor, CursorError, OnDisconnect, OnDisconnectError},
};

/// The longest idempotency key, as Stripe and others have it.
const MAX_KEY: usize = 255;

/// What every request that reads a completion may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Follow {
    /// Read it as a stream, in the SDK profile.
    pub(super) is_streaming: bool,
    /// The place that the client has reached.
    pub(super) cursor: Option<Cursor>,
    /// An `event:` line on every event.
    pub(super) is_named: bool,
    /// What lets the client in without its key.
    pub(super) ticket: Option<String>,
}

/// The same as it is written.
#[derive(Debug, Deserialize)]
struct FollowQuery {
    stream: Option<String>,
    starting_after: Option<String>,
    last_event_id: Option<String>,
    // As an EventSource polyfill spells it.
    #[serde(rename = "lastEventId")]
    last_event_id_camel: Option<String>,
    ticket: Option<String>,
    events: Option<String>,
}

/// Reads a query, or says what is wrong with it.
pub(super) fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, ApiError> {
    match Query::<T>::from_query(request.query_string()) {
        Ok(query) => Ok(query.into_inner()),
        Err(error) => Err(invalid("query", &error.to_string())),
    }
}

impl Follow {
    /// What this request says.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let query: FollowQuery = query(request)?;
        let is_streaming = match query.stream.as_deref() {
            Some("true" | "1") => true,
            None | Some("false" | "0") => false,
            Some(_) => return Err(invalid("stream", "expected `true` or `false`")),
        };
        let is_named = match query.events.as_deref() {
            Some("named") => true,
            None | Some("plain") => false,
            Some(_) => return Err(invalid("events", "expected `named` or `plain`")),
        };
        Ok(Self {
            is_streaming,
            cursor: query.cursor(request.headers())?,
            is_named,
            ticket: query.ticket,
        })
    }
}

impl FollowQuery {
    /// The place that the client has reached; the header comes first, and an empty one is none.
    fn cursor(&self, headers: &HeaderMap) -> Result<Option<Cursor>, ApiError> {
        let header = headers.get(names::LAST_EVENT_ID);
        let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut given = [
            header.as_ref(),
            self.last_event_id.as_ref(),
            self.last_event_id_camel.as_ref(),
            self.starting_after.as_ref(),
        ]
        .into_iter()
        .flatten();
        let cursor = given.find(|cursor| !cursor.is_empty());
        let cursor = cursor.map(|cursor| cursor.parse()).transpose();
        cursor.map_err(|error: CursorError| {
            Failure::new(Code::CursorMalformed, format!("Not a cursor: {error}.")).into()
        })
    }
}

/// A header that is `1` for yes; `0`, or none, for no.
fn is_set(headers: &HeaderMap, name: &HeaderName) -> Result<bool, ApiError> {
    match headers.get(name).map(HeaderValue::as_bytes) {
        Some(b"1") => Ok(true),
        None | Some(b"0") => Ok(false),
        Some(_) => Err(invalid(name.as_str(), "expected `1` or `0`")),
    }
}

/// `x-stream-ids: 1`.
pub(super) fn wants_ids(headers: &HeaderMap) -> Result<bool, ApiError> {
    is_set(headers, &names::IDS)
}

/// `x-stream-cookie: 1`.
pub(super) fn wants_cookie(headers: &HeaderMap) -> Result<bool, ApiError> {
    is_set(headers, &names::COOKIE)
}

/// What this client sees of a stream: its kind decides how silence is bridged.
pub(super) fn shown_to(request: &HttpRequest) -> Show {
    Show {
        is_official_sdk: request.headers().contains_key(names::SDK_LANGUAGE),
        is_http2: request.version() == Version::HTTP_2,
        ..Show::default()
    }
}

/// `x-stream-on-disconnect`.
pub(super) fn on_disconnect(headers: &HeaderMap) -> Result<Option<OnDisconnect>, ApiError> {
    const NAME: HeaderName = names::ON_DISCONNECT;
    let Some(value) = headers.get(NAME) else {
        return Ok(None);
    };
    let policy = value.to_str().unwrap_or_default().parse();
    policy
        .map(Some)
        .map_err(|error: OnDisconnectError| invalid(NAME.as_str(), &error.to_string()))
}

/// `Idempotency-Key`.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    const NAME: HeaderName = names::IDEMPOTENCY_KEY;
    let Some(value) = headers.get(NAME) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        Ok(_) | Err(_) => Err(invalid(NAME.as_str(), "expected 1 to 255 ASCII characters")),
    }
}

/// Headers of the client's that the backend may see: `openai-*`, `traceparent`, `user-agent`
/// and what the operator names for an upstream, `x-mock-*` for the mock, and, where there is
/// nothing but the mock, all that hold no secret.
pub(super) fn for_backend(headers: &HeaderMap, state: &State) -> Vec<(String, String)> {
    const SECRET: [&str; 5] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "api-key",
        "x-api-key",
    ];
    let may_see = |name: &str| {
        name.starts_with("openai-")
            || name.starts_with("x-mock-")
            || matches!(name, "traceparent" | "user-agent")
            || state.forward_headers.iter().any(|more| more == name)
            || (state.mock.is_some() && !SECRET.contains(&name))
    };
    headers
        .iter()
        .filter(|(name, _)| may_see(name.as_str()))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}
