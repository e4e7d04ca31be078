//! HTTP, and nothing but HTTP: each handler extracts, calls one function, converts.
//!
//! Knows neither backends nor stores. The route list is [`routes`]; a stream's bytes are
//! written by `body`.

mod activity;
mod bodies;
mod body;
mod caller;
mod chat;
mod completions;
mod embeddings;
mod error;
mod fallback;
mod feed;
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
mod names;
pub mod openapi;
mod origin;
mod pages;
mod query;
mod reply;
mod request_id;
mod settings;
mod show;
mod stage;
mod stored;

use std::sync::Arc;

use actix_web::{dev::HttpServiceFactory, web};
use utoipa_actix_web::OpenApiFactory;

pub use bodies::Bodies;
pub use error::{ApiError, Part};
pub use forwarded::{TrustedProxies, TrustedProxyError};
pub use line::{Line, Socket};
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

/// Who takes routes: actix, to serve them, or utoipa, to describe them.
trait Routes {
    fn add<S>(&mut self, service: S) -> &mut Self
    where
        S: HttpServiceFactory + OpenApiFactory + 'static;
}

impl Routes for web::ServiceConfig {
    fn add<S: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, service: S) -> &mut Self {
        self.service(service)
    }
}

impl Routes for utoipa_actix_web::service_config::ServiceConfig<'_> {
    fn add<S: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, service: S) -> &mut Self {
        self.service(service)
    }
}

/// Every resource, a line each.
fn resources(to: &mut impl Routes) {
    to.add(chat::create)
        .add(stored::list)
        .add(follow::retrieve)
        .add(stored::update)
        .add(stored::delete)
        .add(follow::follow)
        .add(follow::cancel)
        .add(stored::messages)
        .add(activity::follow)
        .add(completions::create)
        .add(mock_admin::list_requests)
        .add(mock_admin::clear_requests)
        .add(mock_admin::verify)
        .add(mock_admin::list_scenarios)
        .add(mock_admin::set_scenarios)
        .add(mock_admin::reset)
        .add(models::list)
        .add(models::retrieve)
        .add(models::delete)
        .add(embeddings::create)
        .add(moderations::create)
        .add(health::live)
        .add(health::ready)
        .add(metrics::metrics)
        .add(openapi::document_3_2)
        .add(openapi::document_3_1);
}

/// Everything that is served. Nothing is described: that takes megabytes on every thread.
pub fn routes(config: &mut web::ServiceConfig) {
    resources(config);
    pages::assets(config);
}

/// Everything around the routes: ids, origins, and what happens off the routes.
pub use fallback::fallback;
pub use heads::bounded;
pub use http10::unchunked;
pub use origin::guard;
pub use request_id::request_id;
