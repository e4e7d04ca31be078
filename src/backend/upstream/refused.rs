//! What an upstream says instead of an answer.

use reqwest::StatusCode;

use super::{MAX_SIDE_BODY, Taped, read_body};
use crate::{
    backend::{BackendError, Refusal},
    openai::scan,
};

/// An error status. A refused key is the client's affair only if the key was.
pub(super) async fn refused(
    mut response: Taped,
    headers: Vec<(String, String)>,
    is_key_ours: bool,
) -> BackendError {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED && is_key_ours {
        response.play_out().await;
        return BackendError::Auth;
    }
    if !status.is_client_error() && !status.is_server_error() {
        return BackendError::Malformed(format!("status {status}"));
    }
    // An error without a readable body is still that error.
    let body = read_body(response, MAX_SIDE_BODY).await.unwrap_or_default();
    let is_envelope = scan(&body)
        .ok()
        .and_then(|facts| facts.error)
        .is_some_and(|error| body[error.range()].starts_with(b"{"));
    BackendError::Refused(Refusal {
        status: status.as_u16(),
        headers,
        reason: if is_envelope {
            None
        } else {
            flat_reason(&body)
        },
        envelope: is_envelope.then_some(body),
    })
}

/// The reason of an error that has no envelope: older vLLM's `message`, FastAPI's `detail`.
fn flat_reason(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let reason = body.get("message").or(body.get("detail"))?;
    Some(match reason.as_str() {
        Some(text) => text.to_owned(),
        None => reason.to_string(),
    })
}
