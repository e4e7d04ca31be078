//! `GET /metrics`, for Prometheus.

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header::{ACCEPT, CONTENT_TYPE},
    web::Data,
};

use super::{ApiError, State, caller::Caller};
use crate::{completion::Service, metrics::Metrics, openai::ErrorEnvelope};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What older scrapers know; they take the same lines.
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics
///
/// Counts and times of this process, in the text format of Prometheus.
#[utoipa::path(
    tag = "Health",
    operation_id = "metrics",
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = "text/plain"),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "The key is not marked `admin`.", body = ErrorEnvelope),
    )
)]
#[get("/metrics")]
pub(super) async fn metrics(
    caller: Caller,
    request: HttpRequest,
    service: Data<Service>,
    (state, metrics): (Data<State>, Data<Metrics>),
) -> Result<HttpResponse, ApiError> {
    if !caller.is_admin {
        return Err(ApiError::NotAdmin);
    }
    // What is, beside what has happened.
    service.gauge(&metrics);
    metrics.readers(state.bodies.count());
    let accept = request.headers().get(ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let is_open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let form = if is_open { OPEN_METRICS } else { PLAIN };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, form))
        .body(metrics.text()))
}
