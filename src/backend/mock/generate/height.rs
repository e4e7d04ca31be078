//! How far it is to the end of a value, so that a recursion ends by its shortest way.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    Unsatisfiable,
    document::Document,
    keywords::{Located, Part},
    kind::{Kind, guess, kinds_of},
};

/// A value of this schema never ends.
pub(super) const ENDLESS: u32 = u32::MAX;
/// How many schemas are looked at; the others count as near their end.
const MAX_SCHEMAS: usize = 10_000;
/// How often heights are worked out anew, each time from those below.
const MAX_ROUNDS: usize = 64;

/// The least number of levels that a value of each schema has below it.
#[derive(Default)]
pub(super) struct Heights {
    known: HashMap<usize, u32>,
    /// Nothing would change any more.
    is_settled: bool,
}

impl Heights {
    /// Of everything that these schemas lead to.
    pub(super) fn of<'a>(
        document: &Document<'a>,
        roots: &[Located<'a>],
    ) -> Result<Self, Unsatisfiable> {
        let mut heights = Self::default();
        let mut sites = Vec::new();
        let mut todo = roots.to_vec();
        while let Some(site) = todo.pop() {
            let is_new = heights.known.insert(site.address(), ENDLESS).is_none();
            if !is_new {
                continue;
            }
            if sites.len() == MAX_SCHEMAS {
                heights.known.remove(&site.address());
                break;
            }
            // What is broken is told of where it is needed, if it ever is.
            if let Ok(Some(part)) = site.part() {
                todo.extend(below(document, &part).unwrap_or_default());
            }
            sites.push(site);
        }
        for _ in 0..MAX_ROUNDS {
            document.spend(sites.len() / 16)?;
            let mut is_changed = false;
            // Those found last are the deepest, and the others build on them.
            for site in sites.iter().rev() {
                let height = heights.work_out(document, site).unwrap_or(0);
                is_changed |= heights.known.insert(site.address(), height) != Some(height);
            }
            heights.is_settled = !is_changed;
            if heights.is_settled {
                break;
            }
        }
        Ok(heights)
    }

    /// Of a schema.
    pub(super) fn get(&self, site: &Located<'_>) -> u32 {
        self.known.get(&site.address()).copied().unwrap_or_default()
    }

    /// Whether no value of this schema ever ends.
    pub(super) fn is_endless(&self, site: &Located<'_>) -> bool {
        self.is_settled && self.get(site) == ENDLESS
    }

    /// Of several that hold together.
    pub(super) fn highest<'s, 'a: 's>(
        &self,
        sites: impl IntoIterator<Item = &'s Located<'a>>,
    ) -> u32 {
        let heights = sites.into_iter().map(|site| self.get(site));
        heights.max().unwrap_or_default()
    }

    fn lowest(&self, sites: &[Located<'_>]) -> u32 {
        let heights = sites.iter().map(|site| self.get(site));
        heights.min().unwrap_or_default()
    }

    fn work_out<'a>(
        &self,
        document: &Document<'a>,
        site: &Located<'a>,
    ) -> Result<u32, Unsatisfiable> {
        let Some(part) = site.part()? else {
            return Ok(0);
        };
        if part.has("enum") || part.has("const") {
            return Ok(0);
        }
        let mut height = self.highest(&part.schemas("allOf")?);
        if let Some(target) = document.target(&part)? {
            height = height.max(self.get(&target));
        }
        for keyword in ["anyOf", "oneOf"] {
            if part.has(keyword) {
                height = height.max(self.lowest(&part.schemas(keyword)?));
            }
        }
        Ok(height.max(self.body(&part)?))
    }

    /// Of what a part says of properties and items.
    fn body(&self, part: &Part<'_>) -> Result<u32, Unsatisfiable> {
        let kinds = kinds_of(part)?;
        let kinds = kinds.unwrap_or_else(|| guess(part).into_iter().collect());
        let is = |kind| kinds.contains(&kind);
        let is_flat = |kind: &Kind| *kind < Kind::Object;
        if kinds.is_empty() || kinds.iter().any(is_flat) {
            return Ok(0);
        }
        let mut lowest = ENDLESS;
        if is(Kind::Object) {
            let mut sites = Vec::new();
            for name in part.names("required")? {
                sites.extend(part.member("properties", name));
            }
            lowest = self.above(&sites);
        }
        if is(Kind::Array) {
            let count = part.count("minItems")?.unwrap_or_default();
            let mut sites = part.schemas("prefixItems")?;
            let prefix = sites.len();
            sites.truncate(count);
            if count > prefix {
                sites.extend(
                    part.schema("items")
                        .filter(|items| !items.schema.is_array()),
                );
            }
            lowest = lowest.min(self.above(&sites));
        }
        Ok(lowest)
    }

    fn above(&self, sites: &[Located<'_>]) -> u32 {
        if sites.is_empty() {
            return 0;
        }
        self.highest(sites).saturating_add(1)
    }
}

/// The schemas that a part leads to.
fn below<'a>(document: &Document<'a>, part: &Part<'a>) -> Result<Vec<Located<'a>>, Unsatisfiable> {
    let mut sites = Vec::new();
    for keyword in ["allOf", "anyOf", "oneOf", "prefixItems"] {
        sites.extend(part.schemas(keyword)?);
    }
    match part.get("items") {
        Some(Value::Array(_)) => sites.extend(part.schemas("items")?),
        Some(_) | None => sites.extend(part.schema("items")),
    }
    for keyword in [
        "additionalProperties",
        "additionalItems",
        "contains",
        "if",
        "then",
        "else",
    ] {
        sites.extend(part.schema(keyword));
    }
    for keyword in ["properties", "patternProperties"] {
        for (name, _) in part.members(keyword)? {
            sites.extend(part.member(keyword, name));
        }
    }
    sites.extend(document.target(part)?);
    Ok(sites)
}
