//! `GET /v1/activity`: what happens here, as an endless stream.

use actix_web::{HttpRequest, HttpResponse, get, web::Data};

use super::{
    ApiError, State,
    caller::Caller,
    openapi::ActivityEvent,
    query::{Follow, shown_to},
    reply,
    show::Show,
};
use crate::{
    completion::{Activity, Code, Failure},
    openai::ErrorEnvelope,
};

/// Follow what happens
///
/// Completions that start, speak first and end, with times and never with content. The stream
/// does not end; an EventSource that comes back misses nothing of the latest 10,000 events.
#[utoipa::path(
    tag = "Activity",
    operation_id = "followActivity",
    params(
        ("Last-Event-ID" = Option<String>, Header, description = "The cursor of the last event that was read.", pattern = "^(([1-9][0-9]{0,8}-)?[0-9]{1,18})?$"),
        ("last_event_id" = Option<String>, Query, description = "The same, where no header can be set.", pattern = "^(([1-9][0-9]{0,8}-)?[0-9]{1,18})?$"),
    ),
    responses(
        (status = 200, description = "The events.",
            content(("text/event-stream", item_schema = ActivityEvent))),
        (status = 400, description = "A cursor is malformed.", body = ErrorEnvelope),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "The key is not marked `admin`.", body = ErrorEnvelope),
        (status = 410, description = "The place is gone, or never was.", body = ErrorEnvelope),
    )
)]
#[get("/v1/activity")]
pub(super) async fn follow(
    caller: Caller,
    request: HttpRequest,
    activity: Data<Activity>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    if !caller.is_admin {
        return Err(ApiError::NotAdmin);
    }
    let cursor = Follow::of(&request)?.cursor;
    let reader = activity.reader(cursor).map_err(|error| {
        let message = format!("Not a place of the activity: {error}.");
        Failure::new(Code::CursorInvalid, message)
    })?;
    let show = Show {
        has_ids: true,
        has_opening: true,
        ..shown_to(&request)
    };
    Ok(reply::stream(
        HttpResponse::Ok(),
        reader,
        show,
        (&request, &state),
    ))
}
