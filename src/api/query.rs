//! What a request asks for beside its body: query parameters and our own headers.

use actix_web::{HttpRequest, http::header::HeaderMap, web::Query};
use serde::{Deserialize, de::DeserializeOwned};

use super::{ApiError, error::invalid};
use crate::stream::OnDisconnect;

/// The longest idempotency key, as Stripe and others have it.
const MAX_KEY: usize = 255;

/// The query of every request that reads a completion.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Follow {
    /// Read it as a stream, in the SDK profile.
    pub(super) stream: Option<String>,
    /// The last event that was read.
    starting_after: Option<String>,
    /// The same, for clients that cannot set headers.
    last_event_id: Option<String>,
    /// The same, as an EventSource polyfill spells it.
    #[serde(rename = "lastEventId")]
    last_event_id_camel: Option<String>,
    /// What lets the client in without its key.
    pub(super) ticket: Option<String>,
    /// `named` for an `event:` line on every event.
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
    /// The query of this request.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        query(request)
    }

    /// `stream=true`.
    pub(super) fn is_streaming(&self) -> Result<bool, ApiError> {
        match self.stream.as_deref() {
            Some("true" | "1") => Ok(true),
            None | Some("false" | "0") => Ok(false),
            Some(_) => Err(invalid("stream", "expected `true` or `false`")),
        }
    }

    /// `events=named`.
    pub(super) fn is_named(&self) -> Result<bool, ApiError> {
        match self.events.as_deref() {
            Some("named") => Ok(true),
            None | Some("plain") => Ok(false),
            Some(_) => Err(invalid("events", "expected `named` or `plain`")),
        }
    }

    /// The place that the client has reached; the header comes first, and an empty one is none.
    pub(super) fn cursor(&self, headers: &HeaderMap) -> Option<String> {
        let header = headers.get("last-event-id");
        let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        [
            header,
            self.last_event_id.clone(),
            self.last_event_id_camel.clone(),
            self.starting_after.clone(),
        ]
        .into_iter()
        .flatten()
        .find(|cursor| !cursor.is_empty())
    }
}

/// `x-stream-ids: 1`.
pub(super) fn wants_ids(headers: &HeaderMap) -> bool {
    headers
        .get("x-stream-ids")
        .is_some_and(|value| value == "1")
}

/// The client is an official OpenAI SDK.
pub(super) fn is_official_sdk(headers: &HeaderMap) -> bool {
    headers.contains_key("x-stainless-lang")
}

/// `x-stream-on-disconnect`.
pub(super) fn on_disconnect(headers: &HeaderMap) -> Result<Option<OnDisconnect>, ApiError> {
    const NAME: &str = "x-stream-on-disconnect";
    let Some(value) = headers.get(NAME) else {
        return Ok(None);
    };
    let policy = value.to_str().unwrap_or_default().parse();
    policy
        .map(Some)
        .map_err(|error: crate::stream::OnDisconnectError| invalid(NAME, &error.to_string()))
}

/// `Idempotency-Key`.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    const NAME: &str = "idempotency-key";
    let Some(value) = headers.get(NAME) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        Ok(_) | Err(_) => Err(invalid(NAME, "expected 1 to 255 ASCII characters")),
    }
}

/// `openai-*`, `traceparent`, `user-agent` and what the operator names, for the upstream.
pub(super) fn forwarded(headers: &HeaderMap, more: &[String]) -> Vec<(String, String)> {
    let is_forwarded = |name: &str| {
        name.starts_with("openai-")
            || matches!(name, "traceparent" | "user-agent")
            || more.iter().any(|more| more == name)
    };
    headers
        .iter()
        .filter(|(name, _)| is_forwarded(name.as_str()))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}
