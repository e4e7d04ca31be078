//! Everything that has to hold at one place of a value, gathered from references, `allOf` and
//! the branches that were chosen.

use serde_json::Value;

use super::{
    Cause, Unsatisfiable,
    document::Document,
    keywords::{Located, Part},
    kind::{Kind, both, kinds_of},
};

/// Schemas that hold together.
#[derive(Debug, Clone, Default)]
pub(super) struct Conjunction<'a> {
    /// The schemas, each for its own keywords.
    pub(super) parts: Vec<Part<'a>>,
    /// What is still to be chosen.
    pub(super) choices: Vec<Choice<'a>>,
    /// What was referred to on the way here.
    pub(super) targets: Vec<usize>,
    /// The address of each schema that was joined, and the place in here of what implied it.
    joined: Vec<(usize, Option<usize>)>,
}

/// Schemas of which one is to be chosen.
#[derive(Debug, Clone)]
pub(super) struct Choice<'a> {
    pub(super) rule: Rule,
    /// Where it stands.
    pub(super) part: Part<'a>,
    /// The schema of that, among those joined.
    pub(super) origin: Option<usize>,
    /// What each branch asks for.
    pub(super) branches: Vec<Vec<Located<'a>>>,
}

/// How branches are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    AnyOf,
    /// Exactly one may hold.
    OneOf,
    /// `if` with `then`, or `else`.
    If,
}

impl<'a> Conjunction<'a> {
    /// Adds a schema and everything that it implies. `origin` is what it is a branch of.
    pub(super) fn join(
        &mut self,
        document: &Document<'a>,
        site: Located<'a>,
        origin: Option<usize>,
    ) -> Result<(), Unsatisfiable> {
        let mut todo = vec![(site, origin)];
        while let Some((site, implied_by)) = todo.pop() {
            document.spend(1 + self.joined.len() / 16)?;
            let address = site.address();
            if self.is_behind(implied_by, address) {
                return Err(site.error(Cause::Endless));
            }
            // The same schema twice says nothing new.
            if self.joined.iter().any(|(known, _)| *known == address) {
                continue;
            }
            let origin = Some(self.joined.len());
            self.joined.push((address, implied_by));
            if site.schema == &Value::Bool(false) {
                let why = "nothing is allowed here".to_owned();
                return Err(site.error(Cause::Contradiction(why)));
            }
            let Some(part) = site.part()? else {
                continue;
            };
            let mut implied = part.schemas("allOf")?;
            if let Some(target) = document.target(&part)? {
                self.targets.push(target.address());
                implied.insert(0, target);
            }
            // Last in, first out: in the order of the schema.
            todo.extend(implied.into_iter().rev().map(|site| (site, origin)));
            self.add_choices(&part, origin)?;
            self.parts.push(part);
        }
        Ok(())
    }

    /// Whether a schema led to what was joined at `from`.
    fn is_behind(&self, mut from: Option<usize>, address: usize) -> bool {
        while let Some(index) = from {
            let (known, implied_by) = self.joined[index];
            if known == address {
                return true;
            }
            from = implied_by;
        }
        false
    }

    fn add_choices(&mut self, part: &Part<'a>, origin: Option<usize>) -> Result<(), Unsatisfiable> {
        for (keyword, rule) in [("anyOf", Rule::AnyOf), ("oneOf", Rule::OneOf)] {
            let branches = part.schemas(keyword)?;
            if part.has(keyword) {
                let branches = branches.into_iter().map(|branch| vec![branch]);
                self.choices.push(Choice {
                    rule,
                    part: part.clone(),
                    origin,
                    branches: branches.collect(),
                });
            }
        }
        if let Some(condition) = part.schema("if") {
            let then = part.schema("then").into_iter();
            let otherwise = part.schema("else").into_iter();
            self.choices.push(Choice {
                rule: Rule::If,
                part: part.clone(),
                origin,
                branches: vec![
                    [condition].into_iter().chain(then).collect(),
                    otherwise.collect(),
                ],
            });
        }
        Ok(())
    }

    /// The types that are allowed, in the schema's order; all of them where none is named.
    pub(super) fn kinds(&self) -> Result<Option<Vec<Kind>>, Unsatisfiable> {
        let mut allowed: Option<Vec<Kind>> = None;
        for part in &self.parts {
            let Some(kinds) = kinds_of(part)? else {
                continue;
            };
            allowed = Some(match allowed {
                None => kinds,
                Some(before) => both(&before, &kinds),
            });
        }
        Ok(allowed)
    }

    /// Whether every part holds of a value.
    pub(super) fn allows(
        &self,
        document: &Document<'a>,
        value: &Value,
    ) -> Result<bool, Unsatisfiable> {
        for part in &self.parts {
            if !document.holds_part(part, value)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The largest of a keyword's counts, which asks for most.
    pub(super) fn most(&self, keyword: &str) -> Result<usize, Unsatisfiable> {
        let mut most = 0;
        for part in &self.parts {
            most = most.max(part.count(keyword)?.unwrap_or_default());
        }
        Ok(most)
    }

    /// The smallest of a keyword's counts, which allows least.
    pub(super) fn least(&self, keyword: &str) -> Result<usize, Unsatisfiable> {
        let mut least = usize::MAX;
        for part in &self.parts {
            least = least.min(part.count(keyword)?.unwrap_or(usize::MAX));
        }
        Ok(least)
    }

    /// Whether some part has one of these keywords.
    pub(super) fn has_any(&self, keywords: &[&str]) -> bool {
        let has = |part: &Part<'_>| keywords.iter().any(|keyword| part.has(keyword));
        self.parts.iter().any(has)
    }

    /// An error that points here: at what was gathered first.
    pub(super) fn error(&self, cause: Cause) -> Unsatisfiable {
        let at = self.parts.first().map_or("", |part| &part.at);
        Unsatisfiable::new(at, cause)
    }
}
