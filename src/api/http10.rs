//! Replies to HTTP/1.0, which knows no transfer chunks (RFC 9112, 6.1): the end of the connection is
//! the end of the body. nginx up to 1.29 speaks it to its upstreams where nothing else is set.

use actix_web::{
    Error,
    body::{BodySize, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{ConnectionType, Version},
    middleware::Next,
};

/// Leaves streams to such clients without chunks, and closes the connection behind them.
pub async fn unchunked<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let is_old = request.version() == Version::HTTP_10;
    let mut response = next.call(request).await?;
    if is_old && response.response().body().size() == BodySize::Stream {
        let head = response.response_mut().head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}
