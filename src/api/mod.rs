//! HTTP, and nothing but HTTP: each handler extracts, calls one function, converts.
//!
//! Knows neither backends nor stores. The route list is [`routes`]; a stream's bytes are
//! written by `body`.

mod activity;
mod body;
mod caller;
mod chat;
mod completions;
mod embeddings;
mod error;
mod fallback;
mod follow;
mod forwarded;
mod heads;
mod health;
mod http10;
mod limits;
mod line;
mod metrics;
mod mock_admin;
mod models;
mod moderations;
pub mod openapi;
mod origin;
mod pages;
mod query;
mod reply;
mod request_id;
mod settings;
mod stage;
mod stored;

use std::sync::Arc;

use utoipa_actix_web::service_config::ServiceConfig;

pub use body::Bodies;
pub use error::{ApiError, Part};
pub use forwarded::{TrustedProxies, TrustedProxyError};
pub use line::Line;
pub use mock_admin::MockHandle;
pub use origin::OriginPolicy;
pub use settings::{CorsSettings, Limits};

use crate::{
    access::{Keyring, Tickets},
    stream,
};

/// What all handlers of a process share.
#[derive(Clone)]
pub struct State {
    /// The keys that are accepted.
    pub keyring: Keyring,
    /// Makes and checks tickets.
    pub tickets: Tickets,
    /// How others reach this server, without a slash at the end; empty if only by its address.
    pub public_url: String,
    /// The proxies that are believed.
    pub trusted_proxies: TrustedProxies,
    /// Limits on requests.
    pub limits: Limits,
    /// Times and forms of streams.
    pub stream: Arc<stream::Settings>,
    /// Names of the client's headers that go upstream beside the usual ones, in lower case.
    pub forward_headers: Vec<String>,
    /// The streams that are being written.
    pub bodies: Bodies,
    /// What tests may look at and steer, where nothing is served but the mock.
    pub mock: Option<MockHandle>,
}

/// Every resource, a line each.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(chat::create)
        .service(stored::list)
        .service(follow::retrieve)
        .service(stored::update)
        .service(stored::delete)
        .service(follow::follow)
        .service(follow::cancel)
        .service(stored::messages)
        .service(activity::follow)
        .service(completions::create)
        .service(mock_admin::list_requests)
        .service(mock_admin::clear_requests)
        .service(mock_admin::verify)
        .service(mock_admin::list_scenarios)
        .service(mock_admin::set_scenarios)
        .service(mock_admin::reset)
        .service(models::list)
        .service(models::retrieve)
        .service(models::delete)
        .service(embeddings::create)
        .service(moderations::create)
        .service(health::live)
        .service(health::ready)
        .service(metrics::metrics)
        .service(openapi::document_3_2)
        .service(openapi::document_3_1)
        .map(pages::assets);
}

/// Everything around the routes: ids, origins, and what happens off the routes.
pub use fallback::fallback;
pub use heads::bounded;
pub use http10::unchunked;
pub use origin::guard;
pub use request_id::request_id;
