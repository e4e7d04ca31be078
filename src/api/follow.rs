//! Reading a completion again: as JSON, as the stream it was, or as an EventSource does.

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header::ACCEPT,
    post,
    web::{Data, Path},
};

use super::{
    ApiError, State,
    caller::Holder,
    names,
    openapi::AnyEvent,
    query::{shown_to, wants_ids},
    reply,
    show::Show,
};
use crate::{
    completion::{Followed, Service},
    openai::{CompletionView, ErrorEnvelope},
    stream::{Cursor, Seq},
};

/// Retrieve a chat completion, or follow its stream
///
/// Legacy completions are found here too. /// As JSON it is as far as it has come, with its `status`. With `stream=true` it is the stream
/// that the creating request got, from behind the event `starting_after` on. With
/// `Accept: text/event-stream` it is what `/stream` answers.
#[utoipa::path(
    tag = "Chat",
    operation_id = "retrieveChatCompletion",
    params(
        ("id" = String, Path, description = "The completion's id.", min_length = 1),
        ("stream" = Option<bool>, Query, description = "Follow the stream."),
        ("starting_after" = Option<String>, Query, description = "The number of the last event that was read, or its cursor.", pattern = "^(([1-9][0-9]{0,8}-)?[0-9]{1,18})?$"),
        ("events" = Option<String>, Query, description = "`named` puts an `event:` line on every event.", pattern = "^(named|plain)$"),
        ("ticket" = Option<String>, Query, description = "Instead of a key: the ticket of this completion."),
    ),
    responses(
        (status = 200, description = "The completion so far, or the rest of its stream.",
            content(
                (CompletionView = "application/json"),
                ("text/event-stream", item_schema = AnyEvent,
                    extensions(("x-speakeasy-sse-sentinel" = json!("[DONE]")))),
            )),
        (status = 204, description = "An EventSource has read everything: it stops."),
        (status = 400, description = "A cursor or a parameter is malformed, or there is no stream to follow.", body = ErrorEnvelope),
        (status = 401, description = "No key or ticket that opens it.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "No such completion of this key.", body = ErrorEnvelope),
        (status = 410, description = "It is no longer kept, or has no such place.", body = ErrorEnvelope),
        (status = 503, description = "What nodes share cannot be reached; see `retry-after`.", body = ErrorEnvelope),
    )
)]
#[get("/v1/chat/completions/{id}")]
pub(super) async fn retrieve(
    holder: Holder,
    id: Path<String>,
    request: HttpRequest,
    service: Data<Service>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    if accepts_events(&request) {
        return event_source(holder, &id, &request, (&service, &state)).await;
    }
    let query = &holder.follow;
    if !query.is_streaming {
        let completion = service.describe(holder.owner, &id).await?;
        return Ok(HttpResponse::Ok()
            .content_type("application/json")
            .body(completion));
    }
    let followed = service.follow(holder.owner, &id, query.cursor).await?;
    let followed = with_sentinel(followed);
    let show = Show {
        has_ids: wants_ids(request.headers())?,
        has_names: query.is_named,
        has_opening: false,
        can_resume: true,
        ..shown_to(&request)
    };
    Ok(stream(followed, show, holder, (&request, &state)))
}

/// Follow a chat completion's stream, as an EventSource does
///
/// Every event has an `id:`; what is answered begins with the reconnection time. When all has
/// been read the answer is 204, at which an EventSource stops.
#[utoipa::path(
    tag = "Chat",
    operation_id = "followChatCompletion",
    params(
        ("id" = String, Path, description = "The completion's id.", min_length = 1),
        ("Last-Event-ID" = Option<String>, Header, description = "The cursor of the last event that was read.", pattern = "^(([1-9][0-9]{0,8}-)?[0-9]{1,18})?$"),
        ("last_event_id" = Option<String>, Query, description = "The same, where no header can be set.", pattern = "^(([1-9][0-9]{0,8}-)?[0-9]{1,18})?$"),
        ("events" = Option<String>, Query, description = "`named` puts an `event:` line on every event: `chunk`, `usage`, `failure`, `done`.", pattern = "^(named|plain)$"),
        ("ticket" = Option<String>, Query, description = "Instead of a key: the ticket of this completion."),
    ),
    responses(
        (status = 200, description = "The rest of the stream.",
            content(("text/event-stream", item_schema = AnyEvent,
                extensions(("x-speakeasy-sse-sentinel" = json!("[DONE]")))))),
        (status = 204, description = "Everything has been read."),
        (status = 400, description = "A cursor or a parameter is malformed, or there is no stream to follow.", body = ErrorEnvelope),
        (status = 401, description = "No key or ticket that opens it.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "No such completion of this key.", body = ErrorEnvelope),
        (status = 410, description = "It is no longer kept, or has no such place.", body = ErrorEnvelope),
        (status = 503, description = "What nodes share cannot be reached; see `retry-after`.", body = ErrorEnvelope),
    )
)]
#[get("/v1/chat/completions/{id}/stream")]
pub(super) async fn follow(
    holder: Holder,
    id: Path<String>,
    request: HttpRequest,
    service: Data<Service>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    event_source(holder, &id, &request, (&service, &state)).await
}

/// Cancel a chat completion
///
/// Stops it, also at the upstream, if it has not ended; a second call changes nothing.
#[utoipa::path(
    tag = "Chat",
    operation_id = "cancelChatCompletion",
    params(
        ("id" = String, Path, description = "The completion's id.", min_length = 1),
        ("ticket" = Option<String>, Query, description = "Instead of a key: the ticket of this completion."),
    ),
    responses(
        (status = 200, description = "The completion as far as it came.", body = CompletionView),
        (status = 401, description = "No key or ticket that opens it.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "No such completion of this key.", body = ErrorEnvelope),
        (status = 410, description = "It is no longer kept.", body = ErrorEnvelope),
        (status = 503, description = "What nodes share cannot be reached; see `retry-after`.", body = ErrorEnvelope),
    )
)]
#[post("/v1/chat/completions/{id}/cancel")]
pub(super) async fn cancel(
    holder: Holder,
    id: Path<String>,
    service: Data<Service>,
) -> Result<HttpResponse, ApiError> {
    let completion = service.cancel(holder.owner, &id).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(completion))
}

async fn event_source(
    holder: Holder,
    id: &str,
    request: &HttpRequest,
    at: (&Service, &State),
) -> Result<HttpResponse, ApiError> {
    let (service, state) = at;
    let query = &holder.follow;
    let show = Show {
        has_ids: true,
        has_names: query.is_named,
        has_opening: true,
        can_resume: true,
        ..shown_to(request)
    };
    let followed = service.follow(holder.owner, id, query.cursor).await?;
    if followed.is_over {
        return Ok(HttpResponse::NoContent().finish());
    }
    Ok(stream(followed, show, holder, (request, state)))
}

/// A stream to an SDK is never empty: who has read everything gets the sentinel again.
fn with_sentinel(followed: Followed) -> Followed {
    let log = followed.reader.log();
    let last = Cursor {
        seq: Seq(followed.reader.cursor().seq.0.saturating_sub(1)),
        ..followed.reader.cursor()
    };
    match log.reader(last) {
        Ok(reader) if followed.is_over => Followed { reader, ..followed },
        Ok(_) | Err(_) => followed,
    }
}

fn stream(
    followed: Followed,
    show: Show,
    holder: Holder,
    (request, state): (&HttpRequest, &State),
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    let log = followed.reader.log();
    response.insert_header((names::COMPLETION_ID, log.id().as_str()));
    reply::add_ticket(&mut response, log, &followed.about, (state, None));
    if holder.is_by_ticket {
        reply::without_referrer(&mut response);
    }
    reply::stream(response, followed.reader, show, (request, state))
}

fn accepts_events(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}
