//! `POST /v1/embeddings`.

use actix_web::{
    HttpRequest, HttpResponse, post,
    web::{Data, Payload},
};

use super::{ApiError, State, caller::Caller, chat::read_body, reply};
use crate::{
    completion::{Service, Task},
    openai::{EmbeddingList, EmbeddingParams, ErrorEnvelope, UnaryRequest},
};

/// Create embeddings
///
/// The mock's vectors have length one, are the same on every machine, and are nearer to each
/// other the more words and parts of words their texts share.
#[utoipa::path(
    tag = "Embeddings",
    operation_id = "createEmbedding",
    request_body = EmbeddingParams,
    responses(
        (status = 200, description = "A vector for each input.", body = EmbeddingList),
        (status = 400, description = "The request is not valid.", body = ErrorEnvelope),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "The model is not served here.", body = ErrorEnvelope),
        (status = 408, description = "The body did not arrive in time.", body = ErrorEnvelope),
        (status = 413, description = "The body is too large.", body = ErrorEnvelope),
        (status = 429, description = "A limit of the key is met; see `retry-after`.", body = ErrorEnvelope),
        (status = 502, description = "The upstream failed.", body = ErrorEnvelope),
        (status = 503, description = "No room, or the server stops; see `retry-after`.", body = ErrorEnvelope),
        (status = 504, description = "The upstream took too long.", body = ErrorEnvelope),
        (status = "default", description = "The upstream's own error.", body = ErrorEnvelope),
    )
)]
#[post("/v1/embeddings")]
pub(super) async fn create(
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
    service: Data<Service>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let body = read_body(payload, &state.limits).await?;
    let task = Task::Embed(UnaryRequest::parse(body)?);
    reply::unary(task, (caller, request), &service, &state).await
}
