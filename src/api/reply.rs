//! How replies are made.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::BodyStream,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, SET_COOKIE},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    ApiError, State,
    body::EventBody,
    caller::{COOKIE_NAME, Caller},
    limits::add_limits,
    line::{Bypass, Line},
    names,
    query::for_backend,
    show::{Show, heartbeat},
    stage::Stage,
};
use crate::{
    completion::{About, Completion, Service, Started, Task, UnaryCall},
    stream::{Log, Reader},
};

/// What a stream's head says of it.
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const UNTOUCHED: HeaderValue = HeaderValue::from_static("no-cache, no-transform");
const UNBUFFERED: HeaderValue = HeaderValue::from_static("no");
/// What a reply of a planned wrong type says to be.
const WRONG_TYPE: &str = "text/html; charset=utf-8";

/// The head of a reply to the request that made a completion: the upstream's headers too.
pub(super) fn made(completion: &Completion) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((names::COMPLETION_ID, completion.log.id().as_str()));
    match completion.attempts() {
        0 => {}
        attempts => drop(response.insert_header((names::ATTEMPTS, attempts))),
    }
    if let Some(outcome) = completion.cached() {
        response.insert_header((names::CACHE, HeaderValue::from_static(outcome.label())));
    }
    add_limits(&mut response, completion.standing(), completion.headers());
    response
}

/// What the backend says that its bytes are, where that is not ours to say.
fn given_type(completion: &Completion) -> Option<&str> {
    let mut headers = completion.headers().iter();
    let given = headers.find(|(name, _)| name == CONTENT_TYPE.as_str());
    given.map(|(_, value)| &value[..])
}

/// A stream over what `reader` reads, on a head that `response` has begun.
pub(super) fn stream(
    mut response: HttpResponseBuilder,
    reader: Reader,
    show: Show,
    (request, state): (&HttpRequest, &State),
) -> HttpResponse {
    let shown = (&*state.stream, show);
    let body = EventBody::new(reader, shown, &state.bodies, (Bypass::of(request), None));
    stream_head(&mut response).body(body)
}

/// The same for the request that made the completion, with what its plan does to the bytes.
pub(super) fn planned_stream(
    mut response: HttpResponseBuilder,
    started: Started,
    show: Show,
    (request, state): (&HttpRequest, &State),
) -> HttpResponse {
    stream_head(&mut response);
    if let Some(given) = given_type(&started.completion) {
        response.insert_header((CONTENT_TYPE, given));
    }
    let Some(plan) = started.completion.plan().map(Arc::clone) else {
        return stream(response, started.reader, show, (request, state));
    };
    if plan.has_wrong_content_type() {
        response.insert_header((CONTENT_TYPE, WRONG_TYPE));
    }
    if plan.is_plain() && plan.waiting.is_none() {
        let to = (Bypass::of(request), Some(Arc::clone(&plan.delivery)));
        let shown = (&*state.stream, show);
        return response.body(EventBody::new(started.reader, shown, &state.bodies, to));
    }
    let heartbeat = heartbeat(state.stream.heartbeat_form, show).map(Bytes::from_static);
    let heartbeat = plan
        .waiting
        .map(|text| Bytes::from_static(text.as_bytes()))
        .or(heartbeat)
        .filter(|_| !plan.is_exact);
    let stage = Stage {
        plan,
        line: Line::of(request),
        heartbeat,
        heartbeat_every: show.heartbeat_every(&state.stream),
        count: state.bodies.counted(),
    };
    response.body(BodyStream::new(stage.stream(started.reader, show)))
}

/// A whole reply, with what its plan does to the bytes.
pub(super) fn planned_whole(
    mut response: HttpResponseBuilder,
    (completion, whole): (&Completion, Bytes),
    (request, state): (&HttpRequest, &State),
) -> HttpResponse {
    response.content_type(given_type(completion).unwrap_or("application/json"));
    let Some(plan) = completion.plan() else {
        return response.body(whole);
    };
    if plan.has_wrong_content_type() {
        response.insert_header((CONTENT_TYPE, WRONG_TYPE));
    }
    if plan.is_plain() {
        plan.delivery.sent(Instant::now(), 1, whole.len());
        plan.delivery.ended("finished");
        return response.body(whole);
    }
    let stage = Stage {
        plan: Arc::clone(plan),
        line: Line::of(request),
        heartbeat: None,
        heartbeat_every: state.stream.heartbeat,
        count: state.bodies.counted(),
    };
    response.body(BodyStream::new(stage.whole(whole)))
}

fn stream_head(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response
        .insert_header((CONTENT_TYPE, EVENT_STREAM))
        .insert_header((CACHE_CONTROL, UNTOUCHED))
        .insert_header((names::ACCEL_BUFFERING, UNBUFFERED))
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
        headers: for_backend(request.headers(), state),
        credentials: caller.credentials,
    };
    let reply = service.reply(caller.key.as_ref(), call).await?;
    let mut response = HttpResponse::Ok();
    add_limits(&mut response, reply.standing, &reply.headers);
    Ok(response.content_type("application/json").body(reply.json))
}

/// A ticket for a completion: in its header, and as a cookie where that is asked for, for the URL
/// that the client knows this server by.
pub(super) fn add_ticket(
    response: &mut HttpResponseBuilder,
    log: &Log,
    about: &About,
    (state, cookie_at): (&State, Option<&str>),
) -> String {
    let id = log.id().as_str();
    let ticket = state.tickets.issue(id, log.owner().0, about.expiry);
    response.insert_header((names::TICKET, &ticket[..]));
    if let Some(base) = cookie_at {
        // A cookie of another site comes with EventSource only if it is `None`, which browsers
        // take over TLS alone.
        let site = match base.starts_with("https://") {
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
