//! `POST /v1/chat/completions`.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse, post,
    web::{Data, Payload},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{
    ApiError, Limits, State,
    caller::Caller,
    error::Part,
    forwarded::Outside,
    names,
    openapi::ChatEvent,
    query::{for_backend, idempotency_key, on_disconnect, shown_to, wants_cookie, wants_ids},
    reply,
    show::Show,
};
use crate::{
    completion::{Ask, Service, Started},
    openai::{ChatCompletion, ChatParams, ErrorEnvelope, Form},
};

/// What a request with `background: true` is answered with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queued {
    /// The completion's id.
    id: String,
    /// Always `queued`.
    #[schema(pattern = "^queued$")]
    status: &'static str,
    /// Where an EventSource reads the answer; it carries the ticket where one is needed.
    stream_url: String,
    /// What opens this completion without a key: as `?ticket=`.
    ticket: String,
}

/// Create a chat completion
///
/// With `stream: true` the answer is an event stream: chunks as `data:` events, then
/// `data: [DONE]`. A stream that fails ends in one error event before the sentinel.
#[utoipa::path(
    tag = "Chat",
    operation_id = "createChatCompletion",
    request_body = ChatParams,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and body again are the same completion, from its beginning.", min_length = 1, max_length = 255, pattern = r"^[!-~]+$"),
        ("x-stream-on-disconnect" = Option<String>, Header, description = "What becomes of the answer when nobody reads it: `cancel`, `grace=5s` or `detach`.", pattern = r"^(cancel|detach|grace=[1-9][0-9]{0,5}(ms|s|m|h))$"),
        ("x-stream-ids" = Option<String>, Header, description = "`1` puts an `id:` line with the cursor on every event.", pattern = "^[01]$"),
        ("x-stream-cookie" = Option<String>, Header, description = "`1` sets the ticket as a cookie too.", pattern = "^[01]$"),
    ),
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
                ("x-stream-ticket" = String, description = "On a stream: what opens it again without a key, as `?ticket=`."),
                ("x-stream-cache" = Option<String>, description = "Where the model's answers may be shared: `miss` if an upstream is asked, `shared` with a request under way, `hit` if it was answered before."),
                ("x-ratelimit-limit-requests" = Option<String>, description = "The requests per minute that the key may make, where it has such a limit; the same of tokens in `x-ratelimit-limit-tokens`."),
                ("x-ratelimit-remaining-requests" = Option<String>, description = "How many are left; of tokens, without those that answers under way may take, in `x-ratelimit-remaining-tokens`."),
                ("x-ratelimit-reset-requests" = Option<String>, description = "When all are there again, such as `6m0s`; of tokens in `x-ratelimit-reset-tokens`."),
            )),
        (status = 202, description = "The answer to `background: true`.", body = Queued),
        (status = 400, description = "The request is not valid.", body = ErrorEnvelope),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "The model is not served here.", body = ErrorEnvelope),
        (status = 408, description = "The body did not arrive in time.", body = ErrorEnvelope),
        (status = 409, description = "The completion was cancelled, or the idempotency key is another request's.", body = ErrorEnvelope),
        (status = 413, description = "The body is too large.", body = ErrorEnvelope),
        (status = 429, description = "A limit of the key is met; see `retry-after`.", body = ErrorEnvelope),
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
    request: HttpRequest,
    payload: Payload,
    service: Data<Service>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    complete(Form::Chat, caller, (request, payload), (&service, &state)).await
}

/// Starts a completion of either API and answers with it.
pub(super) async fn complete(
    form: Form,
    caller: Caller,
    (request, payload): (HttpRequest, Payload),
    (service, state): (&Service, &State),
) -> Result<HttpResponse, ApiError> {
    let headers = request.headers();
    let has_ids = wants_ids(headers)?;
    let show = Show {
        has_ids,
        can_resume: has_ids,
        ..shown_to(&request)
    };
    let wants_cookie = wants_cookie(headers)?;
    let on_disconnect = on_disconnect(headers)?;
    let idempotency_key = idempotency_key(headers)?;
    let body = read_body(payload, &state.limits).await?;
    let ask = Ask {
        request: form.parse(body)?,
        owner: caller.owner,
        key: caller.key.clone(),
        headers: for_backend(headers, state),
        credentials: caller.credentials.clone(),
        on_disconnect,
        can_resume: show.has_ids,
        idempotency_key,
    };
    let (is_streaming, is_background) = (ask.request.is_streaming(), ask.request.is_background());
    let mut started = service.start(ask).await?;
    if is_background {
        return Ok(queued(&started, &caller, (&request, state)));
    }
    if !is_streaming {
        let whole = started.whole().await?;
        let response = reply::made(&started.completion);
        let whole = (&*started.completion, whole);
        return Ok(reply::planned_whole(response, whole, (&request, state)));
    }
    started.commit(state.stream.commit_after).await?;
    if state.mock.is_some() && started.completion.plan().is_none() {
        // Its plan is about the first byte too, so none is sent before the plan is known.
        started.commit(Duration::MAX).await?;
    }
    let mut response = reply::made(&started.completion);
    let completion = &started.completion;
    let cookie_at = wants_cookie.then(|| base_url(&request, state));
    let for_whom = (state, cookie_at.as_deref());
    reply::add_ticket(&mut response, &completion.log, &completion.about, for_whom);
    Ok(reply::planned_stream(
        response,
        started,
        show,
        (&request, state),
    ))
}

/// The answer to a request that is not waited for.
fn queued(started: &Started, caller: &Caller, at: (&HttpRequest, &State)) -> HttpResponse {
    let (request, state) = at;
    let mut response = HttpResponse::Accepted();
    let completion = &started.completion;
    let log = &completion.log;
    let ticket = reply::add_ticket(&mut response, log, &completion.about, (state, None));
    let base = base_url(request, state);
    let mut stream_url = format!("{base}/v1/chat/completions/{}/stream", log.id());
    if caller.is_known {
        stream_url.push_str("?ticket=");
        stream_url.push_str(&ticket);
    }
    response.insert_header((names::COMPLETION_ID, log.id().as_str()));
    response.json(Queued {
        id: log.id().to_string(),
        status: "queued",
        stream_url,
        ticket,
    })
}

/// How the client reaches this server: as the operator says, else as the client did.
fn base_url(request: &HttpRequest, state: &State) -> String {
    if !state.public_url.is_empty() {
        return state.public_url.clone();
    }
    Outside::of(request).base_url()
}

/// The whole body, within its limits of size and time, and with no more in it than there may be.
pub(super) async fn read_body(mut payload: Payload, limits: &Limits) -> Result<Bytes, ApiError> {
    let max_bytes = limits.body_bytes;
    let read = async {
        let mut body = BytesMut::new();
        while let Some(read) = payload.next().await {
            let read = read.map_err(|error| ApiError::BodyBroken(error.to_string()))?;
            if body.len() + read.len() > max_bytes {
                let part = Part::Body;
                return Err(ApiError::TooLarge { part, max_bytes });
            }
            body.extend_from_slice(&read);
        }
        Ok(body.freeze())
    };
    let limit = limits.body_timeout;
    let read = timeout(limit, read).await;
    let body = read.unwrap_or(Err(ApiError::BodyTimeout { limit }))?;
    limits.bounds().check(&body)?;
    Ok(body)
}
