//! Whether a value is valid, as a validator says that asserts formats.

use serde_json::Value;

use super::{
    Cause, MAX_DEPTH, Unsatisfiable, array,
    compare::{holds_number, is_kind, is_within, same},
    document::Document,
    format::Format,
    keywords::{Located, Part},
    kind::kinds_of,
    object::of_part,
};

/// How deep schemas are followed into each other, so that the stack is not used up.
const MAX_CHECKS: usize = 6 * MAX_DEPTH as usize;

impl<'a> Document<'a> {
    /// Whether a schema allows a value.
    pub(super) fn holds(&self, site: &Located<'a>, value: &Value) -> Result<bool, Unsatisfiable> {
        self.spend(1)?;
        let Some(part) = site.part()? else {
            return Ok(site.schema == &Value::Bool(true));
        };
        let check = (site.address(), std::ptr::from_ref(value).addr());
        let (is_circle, depth) = {
            let checks = self.checks.borrow();
            (checks.contains(&check), checks.len())
        };
        // What only holds if it holds does not.
        if is_circle {
            return Ok(false);
        }
        if depth > MAX_CHECKS {
            return Err(site.error(Cause::TooLarge("schemas lead too deep into each other")));
        }
        self.spend(depth / 64)?;
        self.checks.borrow_mut().push(check);
        let holds = self.holds_part(&part, value);
        self.checks.borrow_mut().pop();
        holds
    }

    /// Whether all keywords of a part allow a value.
    pub(super) fn holds_part(&self, part: &Part<'a>, value: &Value) -> Result<bool, Unsatisfiable> {
        if let Some(kinds) = kinds_of(part)?
            && !kinds.into_iter().any(|kind| is_kind(value, kind))
        {
            return Ok(false);
        }
        if part.get("const").is_some_and(|only| !same(only, value)) {
            return Ok(false);
        }
        if let Some(listed) = part.get("enum").and_then(Value::as_array) {
            self.spend(listed.len() / 16)?;
            if !listed.iter().any(|one| same(one, value)) {
                return Ok(false);
            }
        }
        let is_typed_right = match value {
            Value::Null | Value::Bool(_) => true,
            Value::Number(number) => holds_number(part, number)?,
            Value::String(text) => self.holds_text(part, text)?,
            Value::Array(items) => self.holds_array(part, items)?,
            Value::Object(_) => self.holds_object(part, value)?,
        };
        Ok(is_typed_right && self.holds_choices(part, value)?)
    }

    /// Whether what a part combines allows a value.
    pub(super) fn holds_choices(
        &self,
        part: &Part<'a>,
        value: &Value,
    ) -> Result<bool, Unsatisfiable> {
        if let Some(target) = self.target(part)?
            && !self.holds(&target, value)?
        {
            return Ok(false);
        }
        let all = part.schemas("allOf")?;
        if self.matches(&all, value)? < all.len() {
            return Ok(false);
        }
        if part.has("anyOf") && self.matches(&part.schemas("anyOf")?, value)? == 0 {
            return Ok(false);
        }
        if part.has("oneOf") && self.matches(&part.schemas("oneOf")?, value)? != 1 {
            return Ok(false);
        }
        if let Some(not) = part.schema("not")
            && self.holds(&not, value)?
        {
            return Ok(false);
        }
        let Some(condition) = part.schema("if") else {
            return Ok(true);
        };
        let keyword = if self.holds(&condition, value)? {
            "then"
        } else {
            "else"
        };
        match part.schema(keyword) {
            Some(site) => self.holds(&site, value),
            None => Ok(true),
        }
    }

    /// How many of these schemas allow a value.
    fn matches(&self, sites: &[Located<'a>], value: &Value) -> Result<usize, Unsatisfiable> {
        let mut count = 0;
        for site in sites {
            count += usize::from(self.holds(site, value)?);
        }
        Ok(count)
    }

    fn holds_text(&self, part: &Part<'a>, text: &str) -> Result<bool, Unsatisfiable> {
        self.spend(text.len() / 64)?;
        let length = text.chars().count();
        if !is_within(part, length, ("minLength", "maxLength"))? {
            return Ok(false);
        }
        if let Some(source) = part.text("pattern")?
            && !self.is_match(&*self.pattern(source, (part, "pattern"))?, text)?
        {
            return Ok(false);
        }
        match part.text("format")?.and_then(Format::named) {
            Some(format) => format.holds(text, self),
            None => Ok(true),
        }
    }

    fn holds_array(&self, part: &Part<'a>, items: &[Value]) -> Result<bool, Unsatisfiable> {
        if !is_within(part, items.len(), ("minItems", "maxItems"))? {
            return Ok(false);
        }
        if part.is_set("uniqueItems") {
            self.spend(items.len().saturating_mul(items.len()) / 16)?;
            let is_repeated = |(index, item)| items[..index].iter().any(|other| same(other, item));
            if items.iter().enumerate().any(is_repeated) {
                return Ok(false);
            }
        }
        let (keyword, rest) = array::keywords(part);
        let prefix = part.schemas(keyword)?;
        let rest = part.schema(rest);
        for (index, item) in items.iter().enumerate() {
            let site = prefix.get(index).or(rest.as_ref());
            if let Some(site) = site
                && !self.holds(site, item)?
            {
                return Ok(false);
            }
        }
        let Some(contained) = part.schema("contains") else {
            return Ok(true);
        };
        let mut count = 0;
        for item in items {
            count += usize::from(self.holds(&contained, item)?);
        }
        let least = part.count("minContains")?.unwrap_or(1);
        let most = part.count("maxContains")?.unwrap_or(usize::MAX);
        Ok((least..=most).contains(&count))
    }

    fn holds_object(&self, part: &Part<'a>, value: &Value) -> Result<bool, Unsatisfiable> {
        let Value::Object(object) = value else {
            return Ok(true);
        };
        if !is_within(part, object.len(), ("minProperties", "maxProperties"))? {
            return Ok(false);
        }
        let is_required = !part.get("required").is_some_and(Value::is_boolean);
        if is_required
            && !part
                .names("required")?
                .iter()
                .all(|name| object.contains_key(*name))
        {
            return Ok(false);
        }
        for (name, value) in object {
            for site in of_part(self, part, name)? {
                if !self.holds(&site, value)? {
                    return Ok(false);
                }
            }
            if let Some(site) = part.schema("propertyNames")
                && !self.holds(&site, &Value::String(name.clone()))?
            {
                return Ok(false);
            }
        }
        for keyword in ["dependentRequired", "dependentSchemas", "dependencies"] {
            for (name, needed) in part.members(keyword)? {
                if !object.contains_key(name) {
                    continue;
                }
                let is_met = match (needed.as_array(), part.member(keyword, name)) {
                    (Some(names), _) => {
                        let mut names = names.iter().filter_map(Value::as_str);
                        names.all(|name| object.contains_key(name))
                    }
                    (None, Some(site)) => self.holds(&site, value)?,
                    (None, None) => true,
                };
                if !is_met {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
