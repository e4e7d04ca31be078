//! Errors that the mock answers with, as hosted models word theirs.

use serde_json::{Value, json};

use crate::backend::{BackendError, Refusal};

/// What is wrong with a request of the mock's own making.
const MOCK: &str = "mock_error";

/// A header, or a scenario that it names, that cannot be.
pub(super) fn invalid(param: &str, message: &str) -> BackendError {
    refuse(
        400,
        &error(message, "invalid_request_error", Some(param), MOCK),
        Vec::new(),
    )
}

/// No scenario, or more than one; or no cassette.
pub(super) fn unmatched(code: &str, message: &str) -> BackendError {
    let headers = vec![("x-should-retry".to_owned(), "false".to_owned())];
    let status = match code {
        "mock_no_match" | "mock_no_cassette" => 404,
        _ => 400,
    };
    refuse(
        status,
        &error(message, "invalid_request_error", None, code),
        headers,
    )
}

/// A scenario that could not be played.
pub(super) fn broken(message: &str) -> BackendError {
    let headers = vec![("x-should-retry".to_owned(), "false".to_owned())];
    refuse(500, &error(message, "server_error", None, MOCK), headers)
}

/// An error of this status as OpenAI words it, with the headers that come with it.
/// `retry_after` is in seconds.
pub(super) fn of_status(status: u16, retry_after: Option<u64>) -> BackendError {
    refuse(status, &worded(status), headers_of(status, retry_after))
}

/// What OpenAI says at this status.
pub(super) fn worded(status: u16) -> Value {
    let (kind, code, message) = match status {
        400 => ("invalid_request_error", None, "The request is not valid."),
        401 => (
            "invalid_request_error",
            Some("invalid_api_key"),
            "Incorrect API key provided.",
        ),
        403 => (
            "invalid_request_error",
            None,
            "You are not allowed to use this model.",
        ),
        404 => (
            "invalid_request_error",
            Some("model_not_found"),
            "The model does not exist.",
        ),
        429 => (
            "requests",
            Some("rate_limit_exceeded"),
            "Rate limit reached for requests. Please try again later.",
        ),
        503 => (
            "server_error",
            Some("overloaded"),
            "The engine is currently overloaded.",
        ),
        500..=599 => (
            "server_error",
            None,
            "The server had an error while processing your request.",
        ),
        _ => (
            "invalid_request_error",
            None,
            "The mock was asked to refuse this request.",
        ),
    };
    json!({"message": message, "type": kind, "param": null, "code": code})
}

/// The headers that an error of this status comes with.
pub(super) fn headers_of(status: u16, retry_after: Option<u64>) -> Vec<(String, String)> {
    let seconds = retry_after.or(match status {
        429 | 503 => Some(1),
        _ => None,
    });
    let mut headers = Vec::new();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    if let Some(seconds) = seconds {
        add("retry-after", seconds.to_string());
    }
    if status == 429 {
        let reset = format!("{}s", seconds.unwrap_or(1));
        add("x-ratelimit-limit-requests", "60".to_owned());
        add("x-ratelimit-remaining-requests", "0".to_owned());
        add("x-ratelimit-reset-requests", reset);
        add("x-ratelimit-limit-tokens", "150000".to_owned());
        add("x-ratelimit-remaining-tokens", "149984".to_owned());
        add("x-ratelimit-reset-tokens", "6ms".to_owned());
    }
    headers
}

/// An error with this envelope's content and these headers.
pub(super) fn refuse(status: u16, error: &Value, headers: Vec<(String, String)>) -> BackendError {
    BackendError::Refused(Refusal {
        status,
        headers,
        envelope: Some(json!({ "error": error }).to_string().into()),
        reason: None,
    })
}

fn error(message: &str, kind: &str, param: Option<&str>, code: &str) -> Value {
    json!({"message": message, "type": kind, "param": param, "code": code})
}
