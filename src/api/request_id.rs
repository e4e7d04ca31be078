//! `x-request-id`, the client's own where it is fit to be logged, and other headers that
//! stand on every reply; the count of replies; and the reply where there would be none.

use std::{
    hash::{BuildHasher, RandomState},
    panic::AssertUnwindSafe,
};

use actix_web::{
    Error, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    web::Data,
};
use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::Level;

use super::{ApiError, forwarded::Outside};
use crate::{completion::Failure, metrics::Metrics};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
const MAX_LENGTH: usize = 128;

/// Puts the id of the request on its response, and how long it took to answer. A handler that
/// panics is answered for.
pub async fn request_id(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let start = Instant::now();
    let id = match request.headers().get(REQUEST_ID) {
        Some(id) if is_fit(id) => id.clone(),
        Some(_) | None => new_id(),
    };
    let metrics = request.app_data::<Data<Metrics>>().cloned();
    let response = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    let Ok(response) = response else {
        if let Some(metrics) = metrics {
            metrics.request("none", StatusCode::INTERNAL_SERVER_ERROR.as_u16());
        }
        return Err(fallen(id));
    };
    let mut response = response?;
    write_down(&response, &id, start);
    if let Some(metrics) = metrics {
        // What has no route was asked for by somebody else's idea of one.
        let route = response.request().match_pattern();
        let route = route.as_deref().unwrap_or("none");
        metrics.request(route, response.status().as_u16());
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // An upstream's own figure, where there is one, says more.
    if !headers.contains_key(PROCESSING_MS) {
        let took = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        headers.insert(PROCESSING_MS, took.into());
    }
    Ok(response)
}

/// One line for each request that was answered, for who asks for it: never its query, which may
/// hold a ticket.
fn write_down<B>(response: &ServiceResponse<B>, id: &HeaderValue, start: Instant) {
    if !tracing::enabled!(target: "tokenfall::access", Level::DEBUG) {
        return;
    }
    let request = response.request();
    let client = Outside::of(request).client.map(|client| client.to_string());
    tracing::debug!(
        target: "tokenfall::access",
        request_id = id.to_str().unwrap_or_default(),
        client,
        method = %request.method(),
        path = request.path(),
        status = response.status().as_u16(),
        duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
}

/// The reply to a request whose handler panicked. The request went down with it, so that nothing
/// else is known of it here.
fn fallen(id: HeaderValue) -> Error {
    let failure = ApiError::from(Failure::internal());
    let mut response = failure.error_response();
    response.headers_mut().insert(REQUEST_ID, id);
    InternalError::from_response(failure, response).into()
}

fn is_fit(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let is_fit = |b: &u8| b.is_ascii_alphanumeric() || b"._-:/+=".contains(b);
    (1..=MAX_LENGTH).contains(&bytes.len()) && bytes.iter().all(is_fit)
}

/// Another one for each request, which need not be hard to guess: the keys of a hash table are made
/// without a call of the kernel.
fn new_id() -> HeaderValue {
    let random = || RandomState::new().hash_one(());
    let number = u128::from(random()) << 64 | u128::from(random());
    let text = format!("req_{number:032x}");
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("req_0"))
}
