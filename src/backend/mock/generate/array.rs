//! Arrays: as many items as are asked for, or a few.

use serde_json::Value;

use super::{
    Cause, MAX_VALUES, Unsatisfiable,
    compare::same,
    conjunction::Conjunction,
    draw::{Generator, Spot},
    height::ENDLESS,
    keywords::{Located, Part},
};

/// How many items an array without limits has at most.
const ITEMS: usize = 3;
/// How often an item is drawn until it is another than those before, and once more for each.
const TRIES: usize = 32;
/// From this try on an item's name no longer matters: named texts come from short lists.
const NAMED_TRIES: usize = 4;

/// How many items there may be.
struct Extent {
    least: usize,
    most: usize,
    /// How many have a schema of their own.
    prefix: usize,
    /// Where those that `contains` asks for begin, and how many there are.
    contained: (usize, usize),
}

impl<'a> Generator<'_, 'a> {
    /// Draws an array.
    pub(super) fn array(
        &mut self,
        conjunction: &Conjunction<'a>,
        spot: Spot<'_>,
    ) -> Result<Value, Unsatisfiable> {
        let extent = Extent::of(conjunction)?;
        if extent.least > extent.most {
            let why = "more items are asked for than allowed".to_owned();
            return Err(conjunction.error(Cause::Contradiction(why)));
        }
        if extent.least > MAX_VALUES {
            let cause = Cause::TooLarge("an array would have more than 10000 items");
            return Err(conjunction.error(cause));
        }
        let count = self.length(conjunction, &extent, spot)?;
        let is_unique = conjunction
            .parts
            .iter()
            .any(|part| part.is_set("uniqueItems"));
        let mut items: Vec<Value> = Vec::new();
        while items.len() < count {
            let mut sites = at(conjunction, items.len())?;
            let (first, contained) = extent.contained;
            if (first..first + contained).contains(&items.len()) {
                sites.extend(
                    conjunction
                        .parts
                        .iter()
                        .filter_map(|part| part.schema("contains")),
                );
            }
            let others = if is_unique { &items[..] } else { &[] };
            match self.item(sites, others, spot) {
                Ok(item) => items.push(item),
                Err(error) if error.is_final() || items.len() < extent.least => return Err(error),
                Err(_) => break,
            }
        }
        Ok(Value::Array(items))
    }

    /// How many items to draw.
    fn length(
        &mut self,
        conjunction: &Conjunction<'a>,
        extent: &Extent,
        spot: Spot<'_>,
    ) -> Result<usize, Unsatisfiable> {
        let next = at(conjunction, extent.least)?;
        if spot.is_terse || self.heights.highest(&next) == ENDLESS {
            return Ok(extent.least);
        }
        let few = match (extent.prefix, extent.least) {
            (0, 0) => self.random.between(1, ITEMS),
            (0, least) => self.random.between(least, least.saturating_add(2)),
            (prefix, least) => prefix.max(least),
        };
        Ok(few.min(extent.most))
    }

    /// Draws an item that is none of the others.
    fn item(
        &mut self,
        sites: Vec<Located<'a>>,
        others: &[Value],
        spot: Spot<'_>,
    ) -> Result<Value, Unsatisfiable> {
        for tried in 0..TRIES.saturating_add(others.len().saturating_mul(16)) {
            let name = if tried < NAMED_TRIES { spot.name } else { "" };
            let item = self.value(sites.clone(), spot.below(name))?;
            self.document.spend(others.len() / 4)?;
            if !others.iter().any(|other| same(other, &item)) {
                return Ok(item);
            }
        }
        let at = sites.first().map_or("", |site| &site.at);
        let why = "no further item was found that is not there already".to_owned();
        Err(Unsatisfiable::new(at, Cause::Contradiction(why)))
    }
}

impl Extent {
    fn of(conjunction: &Conjunction<'_>) -> Result<Self, Unsatisfiable> {
        let mut extent = Self {
            least: conjunction.most("minItems")?,
            most: conjunction.least("maxItems")?,
            prefix: 0,
            contained: (0, 0),
        };
        for part in &conjunction.parts {
            let (keyword, rest) = keywords(part);
            let prefix = part.schemas(keyword)?.len();
            extent.prefix = extent.prefix.max(prefix);
            if part.get(rest) == Some(&Value::Bool(false)) {
                extent.most = extent.most.min(prefix);
            }
            if part.has("contains") {
                let count = part.count("minContains")?.unwrap_or(1);
                extent.contained.1 = extent.contained.1.max(count);
            }
        }
        let (first, contained) = &mut extent.contained;
        // After the prefix if there is room, since that has schemas of its own.
        if extent.prefix.saturating_add(*contained) <= extent.most {
            *first = extent.prefix;
        }
        if *contained > 0 {
            extent.least = extent.least.max(first.saturating_add(*contained));
        }
        Ok(extent)
    }
}

/// The keywords for the first items and for the rest: older drafts have one list in `items`.
pub(super) fn keywords(part: &Part<'_>) -> (&'static str, &'static str) {
    if part.get("items").is_some_and(Value::is_array) {
        ("items", "additionalItems")
    } else {
        ("prefixItems", "items")
    }
}

/// The schemas that the item at this place falls under.
fn at<'a>(conjunction: &Conjunction<'a>, index: usize) -> Result<Vec<Located<'a>>, Unsatisfiable> {
    let mut sites = Vec::new();
    for part in &conjunction.parts {
        let (keyword, rest) = keywords(part);
        let own = part.schemas(keyword)?.into_iter().nth(index);
        sites.extend(own.or_else(|| part.schema(rest)));
    }
    Ok(sites)
}
