//! `/livez` and `/readyz`, open to everyone.

use actix_web::{HttpResponse, route, web::Data};
use serde::Serialize;
use utoipa::ToSchema;

use crate::completion::{Readiness, Service};

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, `draining` while it stops, or `store_unavailable` while streams cannot be kept.
    status: &'static str,
}

/// Is the process alive?
#[utoipa::path(
    tag = "Health",
    method(get, head),
    path = "/livez",
    operation_id = "live",
    responses((status = 200, description = "It is.", body = Health))
)]
#[route("/livez", method = "GET", method = "HEAD")]
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// Does the server take new work?
#[utoipa::path(
    tag = "Health",
    method(get, head),
    path = "/readyz",
    operation_id = "ready",
    responses(
        (status = 200, description = "It does.", body = Health),
        (status = 503, description = "It is stopping, or cannot reach its store.", body = Health),
    )
)]
#[route("/readyz", method = "GET", method = "HEAD")]
pub(super) async fn ready(service: Data<Service>) -> HttpResponse {
    let status = match service.readiness() {
        Readiness::Ready => return HttpResponse::Ok().json(Health { status: "ok" }),
        Readiness::Draining => "draining",
        Readiness::StoreUnavailable => "store_unavailable",
    };
    HttpResponse::ServiceUnavailable().json(Health { status })
}
