//! Which scenario answers a request.

use std::{collections::BTreeMap, sync::Arc};

use super::{Scenario, matcher::Captures};
use crate::backend::mock::question::Question;

/// How many names a message lists.
const LISTED: usize = 5;

/// Scenarios by their names.
#[derive(Debug, Default)]
pub struct Set(BTreeMap<String, Arc<Scenario>>);

/// The one that answers.
#[derive(Debug, Clone)]
pub struct Selected {
    /// Its name.
    pub name: String,
    /// It.
    pub scenario: Arc<Scenario>,
    /// What its conditions captured.
    pub(crate) captures: Captures,
}

/// Why none does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmatched {
    /// No scenario has this name.
    #[error("there is no scenario `{name}`; there are {}", list(.known))]
    Unknown {
        /// The name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// No scenario's conditions hold.
    #[error("no scenario matches this request{}", near(.failed))]
    None {
        /// The scenarios, each with its first condition that does not hold.
        failed: Vec<(String, &'static str)>,
    },
    /// Two match and have the same priority.
    #[error(
        "`{first}` and `{second}` both match this request, with the same priority {priority}; \
             give one of them a higher one"
    )]
    Ambiguous {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// Of both.
        priority: i32,
    },
}

impl Set {
    /// A set of these.
    ///
    /// # Errors
    /// The name of one, and that of another of the same priority whose conditions are among its
    /// own: whatever the first answers, the second matches too.
    pub fn new(scenarios: BTreeMap<String, Arc<Scenario>>) -> Result<Self, (String, String)> {
        for (name, scenario) in &scenarios {
            let mut others = scenarios.iter().filter(|(other, _)| *other != name);
            let rival = others.find(|(_, other)| {
                other.priority == scenario.priority && other.matches.covers(&scenario.matches)
            });
            if let Some((rival, _)) = rival {
                return Err((name.clone(), rival.clone()));
            }
        }
        Ok(Self(scenarios))
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Scenario>)> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scenario of this name, whether its conditions hold or not.
    ///
    /// # Errors
    /// [`Unmatched::Unknown`]
    pub(crate) fn named(&self, name: &str, question: &Question) -> Result<Selected, Unmatched> {
        let Some(scenario) = self.0.get(name) else {
            return Err(Unmatched::Unknown {
                name: name.to_owned(),
                known: self.0.keys().cloned().collect(),
            });
        };
        Ok(Selected {
            name: name.to_owned(),
            scenario: Arc::clone(scenario),
            captures: scenario.matches.check(question).unwrap_or_default(),
        })
    }

    /// The scenario of the highest priority whose conditions hold.
    ///
    /// # Errors
    /// [`Unmatched::None`] and [`Unmatched::Ambiguous`]
    pub(crate) fn select(&self, question: &Question) -> Result<Selected, Unmatched> {
        let mut best: Option<Selected> = None;
        let mut rival = None;
        let mut failed = Vec::new();
        for (name, scenario) in &self.0 {
            if best
                .as_ref()
                .is_some_and(|best| best.scenario.priority > scenario.priority)
            {
                continue;
            }
            let captures = match scenario.matches.check(question) {
                Ok(captures) => captures,
                Err(condition) => {
                    failed.push((name.clone(), condition));
                    continue;
                }
            };
            let found = Selected {
                name: name.clone(),
                scenario: Arc::clone(scenario),
                captures,
            };
            rival = match best.replace(found) {
                Some(before) if before.scenario.priority == scenario.priority => Some(before),
                Some(_) | None => None,
            };
        }
        match (best, rival) {
            (None, _) => Err(Unmatched::None { failed }),
            (Some(best), None) => Ok(best),
            (Some(best), Some(rival)) => Err(Unmatched::Ambiguous {
                first: rival.name,
                priority: rival.scenario.priority,
                second: best.name,
            }),
        }
    }
}

fn list(names: &[String]) -> String {
    let mut listed: Vec<_> = names
        .iter()
        .take(LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(LISTED) {
        0 if names.is_empty() => return "none".to_owned(),
        0 => {}
        more => listed.push(format!("{more} more")),
    }
    listed.join(", ")
}

fn near(failed: &[(String, &'static str)]) -> String {
    if failed.is_empty() {
        return "; there are none".to_owned();
    }
    let failed: Vec<_> = failed
        .iter()
        .map(|(name, condition)| format!("{name} (its `{condition}` does not hold)"))
        .collect();
    let more = failed.len().saturating_sub(LISTED);
    let shown = failed[..failed.len() - more].join(", ");
    match more {
        0 => format!(": {shown}"),
        more => format!(": {shown}, and {more} more"),
    }
}
