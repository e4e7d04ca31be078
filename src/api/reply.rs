//! How replies are made.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, SET_COOKIE},
};

use super::{
    ApiError, State,
    body::{EventBody, Show},
    caller::{COOKIE_NAME, Caller},
    query::forwarded,
};
use crate::{
    completion::{About, Completion, Service, Task, UnaryCall},
    stream::{Log, Reader},
};

/// The head of a reply to the request that made a completion: the upstream's headers too.
pub(super) fn made(completion: &Completion) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header(("x-completion-id", completion.log.id().as_str()));
    for (name, value) in completion.headers() {
        response.append_header((&name[..], &value[..]));
    }
    response
}

/// A stream over what `reader` reads, on a head that `response` has begun.
pub(super) fn stream(
    mut response: HttpResponseBuilder,
    reader: Reader,
    show: Show,
    state: &State,
) -> HttpResponse {
    let bodies = state.bodies.clone();
    let body = EventBody::new(reader, &state.stream, show, bodies);
    response
        .insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header(("x-accel-buffering", "no"))
        .body(body)
}

/// The answer to what is answered in one piece.
pub(super) async fn unary(
    task: Task,
    (caller, request): (Caller, HttpRequest),
    service: &Service,
    state: &State,
) -> Result<HttpResponse, ApiError> {
    let call = UnaryCall {
        task,
        headers: forwarded(request.headers(), &state.forward_headers),
        credentials: caller.credentials,
    };
    let reply = service.reply(call).await?;
    let mut response = HttpResponse::Ok();
    for (name, value) in reply.headers {
        response.append_header((name, value));
    }
    Ok(response.content_type("application/json").body(reply.json))
}

/// A ticket for a completion: in its header, and as a cookie where that is asked for.
pub(super) fn add_ticket(
    response: &mut HttpResponseBuilder,
    log: &Log,
    about: &About,
    (state, wants_cookie): (&State, bool),
) -> String {
    let id = log.id().as_str();
    let ticket = state.tickets.issue(id, log.owner().0, about.expiry);
    response.insert_header(("x-stream-ticket", &ticket[..]));
    if wants_cookie {
        // A cookie of another site comes with EventSource only if it is `None`, which browsers
        // take over TLS alone.
        let site = match state.public_url.starts_with("https://") {
            true => "SameSite=None; Secure",
            false => "SameSite=Lax",
        };
        let cookie =
            format!("{COOKIE_NAME}={ticket}; Path=/v1/chat/completions/{id}; HttpOnly; {site}");
        response.append_header((SET_COOKIE, cookie));
    }
    ticket
}

/// A reply to a URL that holds a ticket: it must not leak to where the page goes next.
pub(super) fn without_referrer(response: &mut HttpResponseBuilder) {
    response.insert_header((REFERRER_POLICY, "no-referrer"));
}
