//! `/v1/models` and `/v1/models/{model}`.

use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    web::{Data, Path},
};

use super::{ApiError, State, caller::Caller, reply};
use crate::{
    completion::{Service, Task},
    openai::{ErrorEnvelope, Model, ModelDeleted, ModelList},
};

/// List the models
///
/// Those that are configured by name, and those that the upstreams of a pattern name, as far as
/// the key may use them. An upstream that cannot say is passed over.
#[utoipa::path(
    tag = "Models",
    operation_id = "listModels",
    responses(
        (status = 200, description = "The models.", body = ModelList),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = "default", description = "Nobody could say.", body = ErrorEnvelope),
    )
)]
#[get("/v1/models")]
pub(super) async fn list(caller: Caller, service: Data<Service>) -> Result<HttpResponse, ApiError> {
    let models = service.models(caller.key.as_ref()).await?;
    Ok(HttpResponse::Ok().json(ModelList::new(models)))
}

/// Retrieve a model
#[utoipa::path(
    tag = "Models",
    operation_id = "retrieveModel",
    params(("model" = String, Path, description = "The model's name; it may hold slashes.", min_length = 1)),
    responses(
        (status = 200, description = "The model.", body = Model),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "The model is not served here.", body = ErrorEnvelope),
        (status = "default", description = "Nobody could say.", body = ErrorEnvelope),
    )
)]
// Names such as `meta-llama/Llama-3` hold slashes.
#[get("/v1/models/{model:.+}")]
pub(super) async fn retrieve(
    caller: Caller,
    name: Path<String>,
    service: Data<Service>,
) -> Result<HttpResponse, ApiError> {
    let model = service.model(caller.key.as_ref(), &name).await?;
    Ok(HttpResponse::Ok().json(model))
}

/// Delete a model
///
/// An upstream's model is deleted there. The mock, which has every name, only says so.
#[utoipa::path(
    tag = "Models",
    operation_id = "deleteModel",
    params(("model" = String, Path, description = "The model's name; it may hold slashes.", min_length = 1)),
    responses(
        (status = 200, description = "It is gone.", body = ModelDeleted),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "The key is not marked `admin`, or a web page may not use this server.", body = ErrorEnvelope),
        (status = 404, description = "The model is not served here.", body = ErrorEnvelope),
        (status = 502, description = "The upstream failed.", body = ErrorEnvelope),
        (status = 503, description = "The server stops; see `retry-after`.", body = ErrorEnvelope),
        (status = 504, description = "The upstream took too long.", body = ErrorEnvelope),
        (status = "default", description = "The upstream's own error.", body = ErrorEnvelope),
    )
)]
#[delete("/v1/models/{model:.+}")]
pub(super) async fn delete(
    caller: Caller,
    name: Path<String>,
    request: HttpRequest,
    service: Data<Service>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    // With the upstream's key, which is the operator's.
    if !caller.is_admin {
        return Err(ApiError::NotAdmin);
    }
    let task = Task::DeleteModel(name.into_inner());
    reply::unary(task, (caller, request), &service, &state).await
}
