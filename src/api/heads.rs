//! Limits on a request's head that actix does not have: how long its parts may be.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};

use super::{ApiError, Limits, State, error::Part};

/// Refuses targets and headers that are too long before anything looks at them.
pub async fn bounded(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let state = request.app_data::<Data<State>>();
    let excess = state.and_then(|state| excess(&request, &state.limits));
    if let Some(error) = excess {
        return Ok(request.error_response(error));
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

fn excess(request: &ServiceRequest, limits: &Limits) -> Option<ApiError> {
    let target = request.uri().path_and_query();
    let length = target.map_or(0, |target| target.as_str().len());
    if length > limits.target_bytes {
        let max_bytes = limits.target_bytes;
        let part = Part::Target;
        return Some(ApiError::TooLarge { part, max_bytes });
    }
    let max_bytes = limits.header_bytes;
    let mut headers = request.headers().iter();
    let long = headers.find(|(_, value)| value.len() > max_bytes);
    // The name itself may be of any length.
    let named = long.map(|(name, _)| name.as_str().chars().take(64).collect());
    let part = Part::Header(named?);
    Some(ApiError::TooLarge { part, max_bytes })
}
