//! Which properties an object will have.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    Cause, Unsatisfiable,
    conjunction::Conjunction,
    draw::{Generator, Spot},
    height::ENDLESS,
    object::property,
};

/// Which properties an object will have.
pub(super) struct Plan<'a> {
    /// All that are named, in the schema's order.
    pub(super) named: Vec<&'a str>,
    pub(super) required: HashSet<&'a str>,
    pub(super) chosen: HashSet<&'a str>,
    /// Those chosen, in the order in which they were.
    order: Vec<&'a str>,
    pub(super) least: usize,
    pub(super) most: usize,
}

impl<'a> Generator<'_, 'a> {
    /// Chooses the properties of an object.
    pub(super) fn plan(
        &mut self,
        conjunction: &Conjunction<'a>,
        spot: Spot<'_>,
    ) -> Result<Plan<'a>, Unsatisfiable> {
        let mut plan = Plan::of(conjunction)?;
        if plan.required.len() > plan.most {
            let why = "more properties are required than allowed".to_owned();
            return Err(conjunction.error(Cause::Contradiction(why)));
        }
        self.document.spend(plan.named.len())?;
        let optional: Vec<&str> = {
            let is_optional = |name: &&&str| !plan.required.contains(**name);
            plan.named.iter().filter(is_optional).copied().collect()
        };
        for name in &optional {
            let is_wanted = !spot.is_terse && self.random.coin();
            if is_wanted && plan.chosen.len() < plan.most {
                let sites = property(self.document, conjunction, name)?;
                if self.heights.highest(&sites) < ENDLESS {
                    plan.choose(name, conjunction)?;
                }
            }
        }
        for name in optional {
            if plan.chosen.len() < plan.least {
                plan.choose(name, conjunction)?;
            }
        }
        // Those that `properties` does not have come last.
        let known: HashSet<&str> = plan.named.iter().copied().collect();
        let others = plan.order.iter().filter(|name| !known.contains(*name));
        plan.named.extend(others);
        Ok(plan)
    }
}

impl<'a> Plan<'a> {
    /// With what is required, and all that brings along.
    fn of(conjunction: &Conjunction<'a>) -> Result<Self, Unsatisfiable> {
        let mut plan = Self {
            named: Vec::new(),
            required: HashSet::new(),
            chosen: HashSet::new(),
            order: Vec::new(),
            least: conjunction.most("minProperties")?,
            most: conjunction.least("maxProperties")?,
        };
        let mut known = HashSet::new();
        for part in &conjunction.parts {
            let names = part.members("properties")?.map(|(name, _)| name);
            plan.named.extend(names.filter(|name| known.insert(*name)));
        }
        let mut required = Vec::new();
        for part in &conjunction.parts {
            // A boolean is draft 3's, and says nothing here.
            if !part.get("required").is_some_and(Value::is_boolean) {
                required.extend(part.names("required")?);
            }
        }
        for name in required {
            plan.choose(name, conjunction)?;
        }
        plan.required = plan.chosen.clone();
        Ok(plan)
    }

    /// Chooses a property and those that it cannot be without.
    fn choose(
        &mut self,
        name: &'a str,
        conjunction: &Conjunction<'a>,
    ) -> Result<(), Unsatisfiable> {
        let mut todo = vec![name];
        while let Some(name) = todo.pop() {
            if !self.chosen.insert(name) {
                continue;
            }
            self.order.push(name);
            for part in &conjunction.parts {
                for keyword in ["dependentRequired", "dependencies"] {
                    let members = part.members(keyword)?;
                    let of_it = members.filter(|(of, _)| *of == name);
                    todo.extend(
                        of_it
                            .flat_map(|(_, names)| names.as_array())
                            .flatten()
                            .filter_map(Value::as_str),
                    );
                }
            }
        }
        Ok(())
    }
}
