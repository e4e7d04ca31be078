//! Which backend answers for which model.

use std::{rc::Rc, time::Duration};

use serde::Deserialize;

use super::{Backend, BackendError, Clocks, upstream::UpstreamSettings};
use crate::openai::Model;

/// One `[[models]]` entry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// The public name; `*` stands for any run of characters.
    pub name: String,
    /// Where the model runs.
    pub upstreams: Vec<UpstreamSettings>,
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
    pub name: String,
    /// Who answers.
    pub backend: Rc<dyn Backend>,
    /// How long the parts of its answers may take.
    pub clocks: Clocks,
}

/// The routes of one worker thread.
pub struct Router {
    routes: Vec<Route>,
}

impl Router {
    /// A router that tries the routes in this order.
    pub fn new(routes: Vec<Route>) -> Self {
        Self { routes }
    }

    /// The first route for a model's name.
    pub fn route(&self, model: &str) -> Option<&Route> {
        self.routes
            .iter()
            .find(|route| is_match(&route.name, model))
    }

    /// The models of all routes: a plain name is one, a pattern's are asked for.
    ///
    /// # Errors
    /// [`BackendError`] of the first backend that could not say.
    pub async fn models(&self) -> Result<Vec<Model>, BackendError> {
        let mut models: Vec<Model> = Vec::new();
        for route in &self.routes {
            if !route.name.contains('*') {
                models.push(Model::new(&route.name));
                continue;
            }
            let offered = route.backend.models().await?;
            models.extend(offered.into_iter().filter(|m| is_match(&route.name, &m.id)));
        }
        Ok(models)
    }
}

/// Whether `name` has the form of `pattern`, in which `*` stands for any run of characters.
pub(super) fn is_match(pattern: &str, name: &str) -> bool {
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
