//! Objects: the properties that are required, some of the others, and made-up ones where a map
//! is asked for.

use serde_json::{Map, Value};

use super::{
    Cause, Unsatisfiable,
    conjunction::Conjunction,
    document::Document,
    draw::{Generator, Spot},
    keywords::{Located, Part},
    names,
    plan::Plan,
    writing,
};

/// How many entries a map without limits has at most.
const ENTRIES: usize = 3;
/// How often a name is made up for one entry.
const TRIES: usize = 32;

impl<'a> Generator<'_, 'a> {
    /// Draws an object.
    pub(super) fn object(
        &mut self,
        conjunction: &Conjunction<'a>,
        spot: Spot<'_>,
    ) -> Result<Value, Unsatisfiable> {
        let plan = self.plan(conjunction, spot)?;
        let mut object = Map::new();
        for name in plan.named.iter().filter(|name| plan.chosen.contains(*name)) {
            let sites = property(self.document, conjunction, name)?;
            match self.value(sites, spot.below(name)) {
                Ok(value) => _ = object.insert((*name).to_owned(), value),
                Err(error) if error.is_final() || plan.required.contains(name) => {
                    return Err(error);
                }
                // It may be left out.
                Err(_) => {}
            }
        }
        self.entries(conjunction, (&plan, spot), &mut object)?;
        if object.len() < plan.least {
            let why = "too few properties are allowed".to_owned();
            return Err(conjunction.error(Cause::Contradiction(why)));
        }
        Ok(Value::Object(object))
    }

    /// Adds properties that no schema names, as many as are needed or make a map look like one.
    fn entries(
        &mut self,
        conjunction: &Conjunction<'a>,
        (plan, spot): (&Plan<'a>, Spot<'_>),
        object: &mut Map<String, Value>,
    ) -> Result<(), Unsatisfiable> {
        let has_entries = |part: &Part<'a>| {
            let open = part.get("additionalProperties");
            open.is_some_and(Value::is_object) || part.has("patternProperties")
        };
        let is_map = plan.named.is_empty() && conjunction.parts.iter().any(has_entries);
        let wished = match is_map && !spot.is_terse {
            true => self.random.between(1, ENTRIES).max(plan.least),
            false => plan.least,
        };
        for tried in 0..TRIES.saturating_add(wished) {
            if object.len() >= wished.min(plan.most) {
                break;
            }
            self.document.spend(1)?;
            let Some(name) = self.name(conjunction, spot, tried)? else {
                continue;
            };
            if object.contains_key(&name) || plan.named.contains(&&name[..]) {
                continue;
            }
            let sites = property(self.document, conjunction, &name)?;
            match self.value(sites, spot.below(&name)) {
                Ok(value) => _ = object.insert(name, value),
                Err(error) if error.is_final() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Whether a name follows every rule for names.
    fn is_ruled(&self, rules: &[Located<'a>], name: &str) -> Result<bool, Unsatisfiable> {
        let name = Value::String(name.to_owned());
        for rule in rules {
            if !self.document.holds(rule, &name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A name that may be allowed.
    fn name(
        &mut self,
        conjunction: &Conjunction<'a>,
        spot: Spot<'_>,
        tried: usize,
    ) -> Result<Option<String>, Unsatisfiable> {
        let rules: Vec<_> = conjunction
            .parts
            .iter()
            .filter_map(|part| part.schema("propertyNames"))
            .collect();
        if !rules.is_empty() {
            let key = names::key(tried, self.random);
            if self.is_ruled(&rules, &key)? {
                return Ok(Some(key));
            }
            let names = self.value(rules, spot.below(""));
            return match names {
                Ok(Value::String(name)) => Ok(Some(name)),
                Err(error) if error.is_final() => Err(error),
                Ok(_) | Err(_) => Ok(None),
            };
        }
        let mut patterns = Vec::new();
        for part in &conjunction.parts {
            let place = (part, "patternProperties");
            for (source, _) in part.members("patternProperties")? {
                patterns.push(self.document.pattern(source, place)?);
            }
        }
        let is_plain = patterns.is_empty() || tried % 4 == 3;
        if is_plain {
            return Ok(Some(names::key(tried, self.random)));
        }
        let length = writing::length(1, usize::MAX, self.random);
        let Some(pattern) = self.random.pick(&patterns).cloned() else {
            return Ok(None);
        };
        self.document.spend(pattern.cost_of_writing())?;
        Ok(pattern.write(length, self.random))
    }
}

/// The schemas that a property of this name falls under.
pub(super) fn property<'a>(
    document: &Document<'a>,
    conjunction: &Conjunction<'a>,
    name: &str,
) -> Result<Vec<Located<'a>>, Unsatisfiable> {
    let mut sites = Vec::new();
    for part in &conjunction.parts {
        sites.extend(of_part(document, part, name)?);
    }
    Ok(sites)
}

/// The schemas of one part that a property of this name falls under.
pub(super) fn of_part<'a>(
    document: &Document<'a>,
    part: &Part<'a>,
    name: &str,
) -> Result<Vec<Located<'a>>, Unsatisfiable> {
    let mut sites: Vec<_> = part.member("properties", name).into_iter().collect();
    for (source, _) in part.members("patternProperties")? {
        let pattern = document.pattern(source, (part, "patternProperties"))?;
        if document.is_match(&pattern, name)? {
            sites.extend(part.member("patternProperties", source));
        }
    }
    if sites.is_empty() {
        sites.extend(part.schema("additionalProperties"));
    }
    Ok(sites)
}
