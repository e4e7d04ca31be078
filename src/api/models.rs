//! `GET /v1/models` and `/v1/models/{model}`.

use actix_web::{
    HttpResponse, get,
    web::{Data, Path},
};

use super::{ApiError, caller::Caller};
use crate::{
    completion::Service,
    openai::{ErrorEnvelope, Model, ModelList},
};

/// List the models
///
/// Those that are configured by name, and those that an upstream for any name offers.
#[utoipa::path(
    tag = "Models",
    operation_id = "listModels",
    responses(
        (status = 200, description = "The models.", body = ModelList),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "A web page that may not use this server.", body = ErrorEnvelope),
        (status = "default", description = "An upstream that could not say.", body = ErrorEnvelope),
    )
)]
#[get("/v1/models")]
pub(super) async fn list(_: Caller, service: Data<Service>) -> Result<HttpResponse, ApiError> {
    let models = service.models().await?;
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
    )
)]
// Names such as `meta-llama/Llama-3` hold slashes.
#[get("/v1/models/{model:.+}")]
pub(super) async fn retrieve(
    _: Caller,
    name: Path<String>,
    service: Data<Service>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(service.model(&name)?))
}
