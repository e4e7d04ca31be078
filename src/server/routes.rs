//! Who answers for which model: the routes of one worker thread.

use std::{rc::Rc, sync::Arc};

use super::shared::Shared;
use crate::{
    backend::{
        Backend, Balance, CacheSettings, Clocks, Health, ModelSettings, OnLoss, Route, Router,
        Target,
        cassette::Recording,
        mock::Mock,
        upstream::{Limits, Upstream, UpstreamSettings, UpstreamSettingsError},
    },
    config::Config,
};

impl Shared {
    /// Routes with connections of their own.
    pub(super) fn router(&self) -> Router {
        let routes = self.routes().unwrap_or_else(|error| {
            // The settings were checked at start; what fails here is the machine.
            tracing::error!(%error, "an upstream cannot be used");
            Vec::new()
        });
        Router::new(routes)
    }

    fn routes(&self) -> Result<Vec<Route>, UpstreamSettingsError> {
        if self.config.models.is_empty() {
            return Ok(vec![self.mock("*", Clocks::default())]);
        }
        let models = self.config.models.iter().zip(&*self.health);
        models
            .map(|(model, health)| self.route(model, health))
            .collect()
    }

    fn new_mock(&self) -> Mock {
        let (control, tokens) = (Arc::clone(&self.control), Arc::clone(&self.tokens));
        let mock = Mock::new(self.config.mock.clone(), control, tokens);
        mock.replaying(self.cassettes.clone())
    }

    /// An upstream, and where there are cassettes, what is recorded of it.
    fn backend(&self, upstream: Upstream) -> Rc<dyn Backend> {
        let Some(cassettes) = &self.cassettes else {
            return Rc::new(upstream);
        };
        let upstream = upstream.recorded(Arc::clone(cassettes));
        let asks_all = self.config.mock.rerecord;
        let pair = (self.new_mock(), upstream);
        Rc::new(Recording::new(Arc::clone(cassettes), pair, asks_all))
    }

    /// A model that the mock answers for.
    fn mock(&self, name: &str, clocks: Clocks) -> Route {
        let target = target("mock", Rc::new(self.new_mock()), 1, Arc::default());
        Route {
            name: name.into(),
            targets: [target].into(),
            balance: Balance::Ordered,
            on_upstream_loss: OnLoss::Error,
            on_owner_loss: OnLoss::Error,
            clocks,
            cache: CacheSettings::default(),
        }
    }

    fn route(
        &self,
        model: &ModelSettings,
        health: &[Arc<Health>],
    ) -> Result<Route, UpstreamSettingsError> {
        if model.mock {
            return Ok(self.mock(&model.name, model.clocks()));
        }
        let limits = Limits {
            event_bytes: self.config.stream.event_bytes,
            whole_bytes: self.config.stream.log_bytes,
        };
        let targets = model
            .upstreams
            .iter()
            .zip(health)
            .map(|(upstream, health)| {
                let backend = self.backend(Upstream::new(upstream, model.connect, limits)?);
                let health = Arc::clone(health);
                Ok(target(&upstream.label(), backend, upstream.weight, health))
            });
        Ok(Route {
            name: model.name.as_str().into(),
            targets: targets.collect::<Result<_, _>>()?,
            balance: model.balance,
            on_upstream_loss: model.on_upstream_loss,
            on_owner_loss: model.on_owner_loss,
            clocks: model.clocks(),
            cache: model.cache,
        })
    }
}

fn target(label: &str, backend: Rc<dyn Backend>, weight: u32, health: Arc<Health>) -> Target {
    Target {
        label: label.into(),
        backend,
        health,
        weight,
        turn: Rc::default(),
    }
}

/// How the upstreams of each model are doing.
pub(super) type Healths = Arc<[Vec<Arc<Health>>]>;

/// Of new upstreams nobody knows yet.
pub(super) fn health(config: &Config) -> Healths {
    health_since(config, &[], &[])
}

/// An upstream that stays keeps what is known of it.
pub(super) fn health_since(
    config: &Config,
    before: &[ModelSettings],
    known: &[Vec<Arc<Health>>],
) -> Healths {
    let health = |model: &ModelSettings, upstream: &UpstreamSettings| {
        let (old, health) = before
            .iter()
            .zip(known)
            .find(|(old, _)| old.name == model.name)?;
        let mut upstreams = old.upstreams.iter().zip(health);
        let same = upstreams.find(|(old, _)| old.is_same_server(upstream));
        same.map(|(_, health)| Arc::clone(health))
    };
    let healths = |model: &ModelSettings| {
        let upstreams = model.upstreams.iter();
        upstreams
            .map(|upstream| health(model, upstream).unwrap_or_default())
            .collect()
    };
    config.models.iter().map(healths).collect()
}
