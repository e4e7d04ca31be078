//! Which backend answers for which model.

use std::{cell::Cell, cmp::Reverse, collections::HashSet, rc::Rc, sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde::Deserialize;

use super::{
    Backend, BackendError, CacheSettings, Clocks,
    health::{Health, Readiness},
    upstream::UpstreamSettings,
};
use crate::{metrics::Metrics, openai::Model};

/// One `[[models]]` entry.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// The public name; `*` stands for any run of characters.
    pub name: String,
    /// Where the model runs.
    #[serde(default)]
    pub upstreams: Vec<UpstreamSettings>,
    /// The built-in mock answers for it.
    #[serde(default)]
    pub mock: bool,
    /// Which of the upstreams is asked first.
    #[serde(default)]
    pub balance: Balance,
    /// What becomes of an answer whose upstream is lost in the middle.
    #[serde(default)]
    pub on_upstream_loss: OnLoss,
    /// What becomes of one whose node is lost, where nodes share a store.
    #[serde(default)]
    pub on_owner_loss: OnLoss,
    /// How long a connection may take.
    #[serde(with = "humantime_serde", default = "connect")]
    pub connect: Duration,
    /// From the request to the first chunk of a stream.
    #[serde(with = "humantime_serde", default = "first_chunk")]
    pub first_chunk: Duration,
    /// Between two chunks with content.
    #[serde(with = "humantime_serde", default = "between")]
    pub between: Duration,
    /// From the last choice's finish to the end of the stream.
    #[serde(with = "humantime_serde", default = "after_finish")]
    pub after_finish: Duration,
    /// The whole answer.
    #[serde(with = "humantime_serde", default = "total")]
    pub total: Duration,
    /// Which requests may share an answer.
    #[serde(default)]
    pub cache: CacheSettings,
}

/// Which of several upstreams is asked first. Whoever fails before it has said anything is
/// followed by the next; those that rest or fail too often come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The first; the others are for when it fails.
    #[default]
    Ordered,
    /// Each as often as its weight says.
    Weighted,
    /// The one with the fewest open answers for its weight. One that fails has few, so its
    /// failures count against it.
    LeastOpen,
}

/// What becomes of an answer that is lost after it has said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// It ends with an error event.
    #[default]
    Error,
    /// Another upstream, or another node, goes on from what was said.
    Continue,
}

fn connect() -> Duration {
    Duration::from_secs(5)
}
// A long prompt on a busy server takes minutes before its first token.
fn first_chunk() -> Duration {
    Duration::from_secs(300)
}
fn between() -> Duration {
    Duration::from_secs(120)
}
// Servers that send a usage chunk do so at once after the last finish.
fn after_finish() -> Duration {
    Duration::from_secs(2)
}
fn total() -> Duration {
    Duration::from_secs(3600)
}

impl ModelSettings {
    /// The clocks of this model's answers.
    pub fn clocks(&self) -> Clocks {
        Clocks {
            first_chunk: self.first_chunk,
            between: self.between,
            after_finish: self.after_finish,
            total: self.total,
        }
    }
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            first_chunk: first_chunk(),
            between: between(),
            after_finish: after_finish(),
            total: total(),
        }
    }
}

/// A model's name or pattern, and who answers for it.
#[derive(Clone)]
pub struct Route {
    /// The public name; `*` stands for any run of characters.
    pub name: Arc<str>,
    /// Who answers; at least one.
    pub targets: Rc<[Target]>,
    /// Who of them is asked first.
    pub balance: Balance,
    /// What becomes of its answers whose upstream is lost in the middle.
    pub on_upstream_loss: OnLoss,
    /// What becomes of those whose node is lost.
    pub on_owner_loss: OnLoss,
    /// How long the parts of its answers may take.
    pub clocks: Clocks,
    /// Which requests may share an answer.
    pub cache: CacheSettings,
}

/// One of those who answer for a model.
#[derive(Clone)]
pub struct Target {
    /// What it is called in logs and metrics.
    pub label: Arc<str>,
    /// It.
    pub backend: Rc<dyn Backend>,
    /// How it has been doing.
    pub health: Arc<Health>,
    /// How much of the requests it takes, compared with the others.
    pub weight: u32,
    /// How far ahead of its share it is behind (smooth weighted round-robin).
    pub turn: Rc<Cell<i64>>,
}

impl Route {
    /// Those who answer, in the order in which they are asked this time.
    pub fn order(&self) -> Vec<Target> {
        let mut order = self.targets.to_vec();
        if order.len() < 2 {
            return order;
        }
        match self.balance {
            Balance::Ordered => {}
            Balance::Weighted => {
                let ready = |target: &&Target| target.health.readiness() == Readiness::Ready;
                let chosen = next_turn(self.targets.iter().filter(ready));
                order.sort_by_key(|target| Reverse(target.weight));
                if let Some(chosen) = chosen {
                    order.sort_by_key(|target| !Rc::ptr_eq(&target.turn, &chosen.turn));
                }
            }
            Balance::LeastOpen => order.sort_by(|one, other| one.load().total_cmp(&other.load())),
        }
        order.sort_by_key(|target| target.health.readiness());
        order
    }
}

impl Route {
    fn is_pattern(&self) -> bool {
        self.name.contains('*')
    }

    /// The models that its targets name, those of the first target first.
    async fn offered(&self) -> Result<Vec<Model>, BackendError> {
        let asked = self.targets.iter().map(|target| async {
            let named = target.backend.models().await;
            let upstream = &*target.label;
            named.inspect_err(|error| tracing::warn!(upstream, %error, "its models are not known"))
        });
        let mut models: Vec<Model> = Vec::new();
        let mut failed = Ok(());
        for named in join_all(asked).await {
            match named {
                Ok(named) => models.extend(named),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        models.retain(|model| is_match(&self.name, &model.id));
        match models.is_empty() {
            true => failed.map(|()| models),
            false => Ok(models),
        }
    }
}

impl Target {
    /// Open answers for its weight, more where attempts have failed.
    fn load(&self) -> f64 {
        // Nobody has so many that it matters.
        let open = f64::from(u32::try_from(self.health.open()).unwrap_or(u32::MAX)) + 1.0;
        open / f64::from(self.weight).max(0.001) * (1.0 + 9.0 * self.health.failing())
    }
}

/// Whose turn it is, as nginx has it: everyone gains its weight, the first pays for all.
fn next_turn<'a>(targets: impl Iterator<Item = &'a Target>) -> Option<&'a Target> {
    let mut total = 0;
    let mut first: Option<&Target> = None;
    for target in targets {
        let weight = i64::from(target.weight);
        total += weight;
        target.turn.set(target.turn.get() + weight);
        if first.is_none_or(|first| target.turn.get() > first.turn.get()) {
            first = Some(target);
        }
    }
    let first = first?;
    first.turn.set(first.turn.get() - total);
    Some(first)
}

/// The routes of one worker thread.
#[derive(Clone)]
pub struct Router {
    routes: Rc<[Route]>,
}

impl Router {
    /// A router that tries the routes in this order.
    pub fn new(routes: Vec<Route>) -> Self {
        Self {
            routes: routes.into(),
        }
    }

    /// The first route for a model's name.
    pub fn route(&self, model: &str) -> Option<&Route> {
        self.routes
            .iter()
            .find(|route| is_match(&route.name, model))
    }

    /// Tells of each upstream whether it is asked.
    pub fn gauge(&self, metrics: &Metrics) {
        metrics.forget_breakers();
        for target in self.routes.iter().flat_map(|route| &*route.targets) {
            let state = match target.health.readiness() {
                Readiness::Ready => 0,
                Readiness::Resting => 1,
                Readiness::Broken => 2,
            };
            metrics.breaker(&target.label, state);
        }
    }

    /// The models of all routes: a plain name is one, those of a pattern are what all of its targets
    /// name. Who cannot say is passed over.
    ///
    /// # Errors
    /// [`BackendError`] where there would be none at all, because somebody could not say.
    pub async fn models(&self) -> Result<Vec<Model>, BackendError> {
        let mut models: Vec<Model> = Vec::new();
        let mut failed = Ok(());
        let offered = self.routes.iter().map(|route| async move {
            match route.is_pattern() {
                true => (route, route.offered().await),
                false => (route, Ok(vec![Model::new(&route.name)])),
            }
        });
        for (route, offered) in join_all(offered).await {
            // Another route may come first for some of them.
            let is_routed = |model: &Model| {
                let first = self.route(&model.id);
                first.is_some_and(|first| std::ptr::eq(first, route))
            };
            match offered {
                Ok(offered) => models.extend(offered.into_iter().filter(is_routed)),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        let mut known = HashSet::new();
        models.retain(|model| known.insert(model.id.clone()));
        match models.is_empty() {
            true => failed.map(|()| models),
            false => Ok(models),
        }
    }

    /// One model by its name: one of the list, or one that a target takes by any name. `None` if
    /// there is no such model.
    ///
    /// # Errors
    /// [`BackendError`] where nobody could say.
    pub async fn model(&self, name: &str) -> Result<Option<Model>, BackendError> {
        let Some(route) = self.route(name) else {
            return Ok(None);
        };
        let takes_any = |target: &Target| target.backend.takes_any_name();
        let is_taken = !route.is_pattern() || route.targets.iter().any(takes_any);
        let offered = match route.is_pattern() {
            true => route.offered().await,
            false => Ok(Vec::new()),
        };
        match offered {
            Ok(offered) => {
                let named = offered.into_iter().find(|model| model.id == name);
                Ok(named.or_else(|| is_taken.then(|| Model::new(name))))
            }
            Err(_) if is_taken => Ok(Some(Model::new(name))),
            Err(error) => Err(error),
        }
    }
}

/// Whether `name` has the form of `pattern`, in which `*` stands for any run of characters.
pub fn is_match(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return name.ends_with(part);
        }
        // The earliest place leaves the most room for the parts that follow.
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        let matching = [
            ("*", "a"),
            ("*", ""),
            ("gpt-*", "gpt-4o"),
            ("*-mini", "gpt-mini"),
            ("a*b*c", "aXbXbc"),
            ("a", "a"),
            ("a*a", "aa"),
        ];
        let other = [
            ("a", "b"),
            ("gpt-*", "gpt"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("*x", "y"),
        ];
        for (pattern, name) in matching {
            assert!(is_match(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in other {
            assert!(!is_match(pattern, name), "{pattern} {name}");
        }
    }
}
