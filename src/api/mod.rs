//! HTTP, and nothing but HTTP: each handler extracts, calls one function, converts.
//!
//! Knows neither backends nor stores. The route list is [`routes`]; a stream's bytes are
//! written by `body`.

mod body;
mod caller;
mod chat;
mod docs;
mod error;
mod fallback;
mod health;
mod models;
pub mod openapi;
mod origin;
mod request_id;
mod settings;

use std::sync::Arc;

use utoipa_actix_web::service_config::ServiceConfig;

pub use body::Bodies;
pub use error::ApiError;
pub use origin::OriginPolicy;
pub use settings::{CorsSettings, Limits};

use crate::{access::Keyring, stream};

/// What all handlers of a process share.
pub struct State {
    /// The keys that are accepted.
    pub keyring: Keyring,
    /// Limits on requests.
    pub limits: Limits,
    /// Times and forms of streams.
    pub stream: Arc<stream::Settings>,
    /// Names of the client's headers that go upstream beside the usual ones, in lower case.
    pub forward_headers: Vec<String>,
    /// The streams that are being written.
    pub bodies: Bodies,
}

/// Every resource, a line each.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(chat::create)
        .service(models::list)
        .service(models::retrieve)
        .service(health::live)
        .service(health::ready)
        .service(openapi::document_3_2)
        .service(openapi::document_3_1)
        .map(docs::assets);
}

/// Everything around the routes: ids, origins, and what happens off the routes.
pub use fallback::fallback;
pub use origin::guard;
pub use request_id::request_id;
