//! Stored completions, as OpenAI has them.

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse, delete, get, post,
    web::{Data, Path, Query},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{ApiError, State, caller::Caller, chat::read_body, error::invalid, query::query};
use crate::{
    completion::{Page, Picked, Service},
    openai::{ChatCompletionView, ErrorEnvelope, Invalid},
};

/// The longest page, as OpenAI has it.
const MAX_LIMIT: usize = 100;
const DEFAULT_LIMIT: usize = 20;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List {
    /// Always `list`.
    #[schema(pattern = "^list$")]
    object: String,
    /// The items.
    data: Vec<Value>,
    /// The first one's id.
    #[schema(required)]
    first_id: Option<String>,
    /// The last one's id, for the next page's `after`.
    #[schema(required)]
    last_id: Option<String>,
    /// There is a next page.
    has_more: bool,
}

/// What a completion is given.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Labels {
    /// Its new labels, in place of all it has.
    #[schema(required)]
    metadata: Option<BTreeMap<String, String>>,
}

/// What is left of a deleted completion.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deleted {
    /// Always `chat.completion.deleted`.
    #[schema(pattern = "^chat\\.completion\\.deleted$")]
    object: &'static str,
    /// Its id.
    id: String,
    /// It is gone.
    deleted: bool,
}

#[derive(Debug, Deserialize)]
struct PageQuery {
    after: Option<String>,
    limit: Option<String>,
    order: Option<String>,
    model: Option<String>,
}

/// List stored chat completions
#[utoipa::path(
    tag = "Stored completions",
    operation_id = "listChatCompletions",
    params(
        ("after" = Option<String>, Query, description = "The id of the last one of the page before."),
        ("limit" = Option<i64>, Query, description = "How many at most; 20 if not said.", minimum = 0, maximum = 100),
        ("order" = Option<String>, Query, description = "By age: `asc` or `desc`; `asc` if not said.", pattern = "^(asc|desc)$"),
        ("model" = Option<String>, Query, description = "Only those of this model."),
    ),
    responses(
        (status = 200, description = "Those of this key. `metadata[name]=value` in the query picks those with that label.", body = List),
        (status = 400, description = "A parameter is malformed.", body = ErrorEnvelope),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "`after` is none of them.", body = ErrorEnvelope),
        (status = 503, description = "What nodes share cannot be reached; see `retry-after`.", body = ErrorEnvelope),
    )
)]
#[get("/v1/chat/completions")]
pub(super) async fn list(
    caller: Caller,
    request: HttpRequest,
    service: Data<Service>,
) -> Result<HttpResponse, ApiError> {
    let asked: PageQuery = query(&request)?;
    let page = page(&asked)?;
    let picked = Picked {
        model: asked.model,
        metadata: labels(&request)?,
    };
    let list = service.list_stored(caller.owner, &picked, &page).await?;
    Ok(HttpResponse::Ok().json(list))
}

/// Give a stored chat completion other labels
#[utoipa::path(
    tag = "Stored completions",
    operation_id = "updateChatCompletion",
    params(("id" = String, Path, description = "The completion's id.", min_length = 1)),
    request_body = Labels,
    responses(
        (status = 200, description = "The completion.", body = ChatCompletionView),
        (status = 400, description = "The body is not valid.", body = ErrorEnvelope),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "No such stored completion of this key.", body = ErrorEnvelope),
        (status = 408, description = "The body did not arrive in time.", body = ErrorEnvelope),
        (status = 413, description = "The body is too large.", body = ErrorEnvelope),
        (status = 503, description = "What nodes share cannot be reached; see `retry-after`.", body = ErrorEnvelope),
    )
)]
#[post("/v1/chat/completions/{id}")]
pub(super) async fn update(
    caller: Caller,
    id: Path<String>,
    payload: actix_web::web::Payload,
    service: Data<Service>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let body = read_body(payload, &state.limits).await?;
    let labels: Labels = Invalid::check(&body)?;
    let metadata = labels.metadata.unwrap_or_default();
    let completion: Bytes = service.label_stored(caller.owner, &id, metadata).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(completion))
}

/// Delete a chat completion
///
/// Stored or not; one under way is cancelled first.
#[utoipa::path(
    tag = "Stored completions",
    operation_id = "deleteChatCompletion",
    params(("id" = String, Path, description = "The completion's id.", min_length = 1)),
    responses(
        (status = 200, description = "It is gone.", body = Deleted),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "No such completion of this key.", body = ErrorEnvelope),
        (status = 410, description = "It is no longer kept.", body = ErrorEnvelope),
        (status = 503, description = "What nodes share cannot be reached; see `retry-after`.", body = ErrorEnvelope),
    )
)]
#[delete("/v1/chat/completions/{id}")]
pub(super) async fn delete(
    caller: Caller,
    id: Path<String>,
    service: Data<Service>,
) -> Result<HttpResponse, ApiError> {
    service.delete(caller.owner, &id).await?;
    Ok(HttpResponse::Ok().json(Deleted {
        object: "chat.completion.deleted",
        id: id.into_inner(),
        deleted: true,
    }))
}

/// List what was asked for a stored chat completion
#[utoipa::path(
    tag = "Stored completions",
    operation_id = "getChatCompletionMessages",
    params(
        ("id" = String, Path, description = "The completion's id.", min_length = 1),
        ("after" = Option<String>, Query, description = "The id of the last one of the page before."),
        ("limit" = Option<i64>, Query, description = "How many at most; 20 if not said.", minimum = 0, maximum = 100),
        ("order" = Option<String>, Query, description = "`asc` or `desc`; `asc` if not said.", pattern = "^(asc|desc)$"),
    ),
    responses(
        (status = 200, description = "The messages of the request.", body = List),
        (status = 400, description = "A parameter is malformed.", body = ErrorEnvelope),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "No such stored completion of this key.", body = ErrorEnvelope),
        (status = 503, description = "What nodes share cannot be reached; see `retry-after`.", body = ErrorEnvelope),
    )
)]
#[get("/v1/chat/completions/{id}/messages")]
pub(super) async fn messages(
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
    service: Data<Service>,
) -> Result<HttpResponse, ApiError> {
    let page = page(&query(&request)?)?;
    let messages = service.stored_messages(caller.owner, &id, &page).await?;
    Ok(HttpResponse::Ok().json(messages))
}

fn page(asked: &PageQuery) -> Result<Page, ApiError> {
    let limit = match asked.limit.as_deref().map(str::parse) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit @ 0..=MAX_LIMIT)) => limit,
        Some(Ok(_) | Err(_)) => return Err(invalid("limit", "expected a number from 0 to 100")),
    };
    let is_descending = match asked.order.as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(invalid("order", "expected `asc` or `desc`")),
    };
    Ok(Page {
        after: asked.after.clone(),
        limit,
        is_descending,
    })
}

/// The `metadata[name]=value` pairs of a query.
fn labels(request: &HttpRequest) -> Result<BTreeMap<String, String>, ApiError> {
    let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let pairs = pairs.map_err(|error| invalid("query", &error.to_string()))?;
    let label = |(key, value): (String, String)| {
        let name = key.strip_prefix("metadata[")?.strip_suffix(']')?;
        Some((name.to_owned(), value))
    };
    Ok(pairs.into_inner().into_iter().filter_map(label).collect())
}
