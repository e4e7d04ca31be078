//! `POST /v1/chat/completions`.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    post,
    web::{Data, Payload},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{ApiError, Limits, State, body::EventBody, caller::Caller, openapi::ChatEvent};
use crate::{
    completion::{Ask, Completion, Service},
    openai::{ChatCompletion, ChatParams, ChatRequest, ErrorEnvelope},
};

/// Create a chat completion
///
/// With `stream: true` the answer is an event stream: chunks as `data:` events, then
/// `data: [DONE]`. A stream that fails ends in one error event before the sentinel.
#[utoipa::path(
    tag = "Chat",
    operation_id = "createChatCompletion",
    request_body = ChatParams,
    responses(
        (status = 200, description = "The completion, whole or as a stream of events.",
            content(
                (ChatCompletion = "application/json"),
                ("text/event-stream", item_schema = ChatEvent,
                    extensions(("x-speakeasy-sse-sentinel" = json!("[DONE]")))),
            ),
            headers(
                ("x-request-id" = String, description = "The request's id, the client's own if it sent one."),
                ("x-completion-id" = String, description = "The completion's id, which names its log."),
            )),
        (status = 400, description = "The request is not valid.", body = ErrorEnvelope),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "The model is not served here.", body = ErrorEnvelope),
        (status = 408, description = "The body did not arrive in time.", body = ErrorEnvelope),
        (status = 409, description = "The completion was cancelled.", body = ErrorEnvelope),
        (status = 413, description = "The body is too large.", body = ErrorEnvelope),
        (status = 500, description = "A fault of this server.", body = ErrorEnvelope),
        (status = 502, description = "The upstream failed.", body = ErrorEnvelope),
        (status = 503, description = "No room, or the server stops; see `retry-after`.", body = ErrorEnvelope),
        (status = 504, description = "The upstream took too long.", body = ErrorEnvelope),
        (status = "default", description = "The upstream's own error.", body = ErrorEnvelope),
    )
)]
#[post("/v1/chat/completions")]
pub(super) async fn create(
    caller: Caller,
    payload: Payload,
    service: Data<Service>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let body = read_body(payload, &state.limits).await?;
    let request = ChatRequest::parse(body)?;
    let is_streaming = request.is_streaming();
    let ask = Ask {
        request,
        owner: caller.owner,
        headers: caller.headers,
        authorization: caller.authorization,
    };
    let mut started = service.start(ask).await?;
    if !is_streaming {
        let whole = started.whole().await?;
        let mut response = head(&started.completion);
        return Ok(response.content_type("application/json").body(whole));
    }
    started.commit(state.stream.commit_after).await?;
    let mut response = head(&started.completion);
    let bodies = state.bodies.clone();
    let body = EventBody::new(
        started.reader,
        &state.stream,
        caller.is_official_sdk,
        bodies,
    );
    Ok(response
        .insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header(("x-accel-buffering", "no"))
        .body(body))
}

/// What stands in the head of every reply to a completion.
fn head(completion: &Completion) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header(("x-completion-id", completion.log.id().as_str()));
    for (name, value) in completion.headers() {
        response.append_header((&name[..], &value[..]));
    }
    response
}

/// The whole body, within its limits of size and time.
async fn read_body(mut payload: Payload, limits: &Limits) -> Result<Bytes, ApiError> {
    let max_bytes = limits.body_bytes;
    let read = async {
        let mut body = BytesMut::new();
        while let Some(read) = payload.next().await {
            let read = read.map_err(|error| ApiError::BodyBroken(error.to_string()))?;
            if body.len() + read.len() > max_bytes {
                return Err(ApiError::BodyTooLarge { max_bytes });
            }
            body.extend_from_slice(&read);
        }
        Ok(body.freeze())
    };
    let read = timeout(limits.body_timeout, read).await;
    read.unwrap_or(Err(ApiError::BodyTimeout))
}
