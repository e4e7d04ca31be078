//! `POST /v1/completions`: legacy completions, of a text.

use actix_web::{
    HttpRequest, HttpResponse, post,
    web::{Data, Payload},
};

use super::{
    ApiError, State,
    caller::Caller,
    chat::{Queued, complete},
    openapi::TextEvent,
};
use crate::{
    completion::Service,
    openai::{ErrorEnvelope, Form, TextCompletion, TextParams},
};

/// Create a legacy completion
///
/// With `stream: true` the answer is an event stream, as of a chat completion. It is followed,
/// cancelled and looked at as one too, under `/v1/chat/completions/{id}`.
#[utoipa::path(
    tag = "Legacy completions",
    operation_id = "createCompletion",
    request_body = TextParams,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and body again are the same completion, from its beginning.", min_length = 1, max_length = 255, pattern = r"^[!-~]+$"),
        ("x-stream-on-disconnect" = Option<String>, Header, description = "What becomes of the answer when nobody reads it: `cancel`, `grace=5s` or `detach`.", pattern = r"^(cancel|detach|grace=[1-9][0-9]{0,5}(ms|s|m|h))$"),
        ("x-stream-ids" = Option<String>, Header, description = "`1` puts an `id:` line with the cursor on every event.", pattern = "^[01]$"),
        ("x-stream-cookie" = Option<String>, Header, description = "`1` sets the ticket as a cookie too.", pattern = "^[01]$"),
    ),
    responses(
        (status = 200, description = "The completion, whole or as a stream of events.",
            content(
                (TextCompletion = "application/json"),
                ("text/event-stream", item_schema = TextEvent,
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
#[post("/v1/completions")]
pub(super) async fn create(
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
    service: Data<Service>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    complete(Form::Text, caller, (request, payload), (&service, &state)).await
}
