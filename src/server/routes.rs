//! Who answers for which model: the routes of one worker thread.

use std::{rc::Rc, sync::Arc};

use super::shared::Shared;
use crate::{
    backend::{
        Backend, Balance, Clocks, Health, ModelSettings, Route, Router, Target,
        cassette::Recording,
        mock::Mock,
        upstream::{Limits, Upstream, UpstreamSettingsError},
    },
    completion::Service,
    config::Config,
};

impl Shared {
    pub(super) fn service(&self) -> Service {
        let routes = self.routes().unwrap_or_else(|error| {
            // The settings were checked at start; what fails here is the machine.
            tracing::error!(%error, "an upstream cannot be used");
            Vec::new()
        });
        Service::new(Router::new(routes), self.completions.clone())
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
            name: name.to_owned(),
            targets: [target].into(),
            balance: Balance::Ordered,
            clocks,
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
            name: model.name.clone(),
            targets: targets.collect::<Result<_, _>>()?,
            balance: model.balance,
            clocks: model.clocks(),
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

/// How the upstreams of each model are doing: nobody knows yet.
pub(super) fn health(config: &Config) -> Arc<[Vec<Arc<Health>>]> {
    let unknown = |model: &ModelSettings| {
        let upstreams = model.upstreams.iter();
        upstreams.map(|_| Arc::default()).collect()
    };
    config.models.iter().map(unknown).collect()
}
