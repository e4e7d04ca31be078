//! The drawing of a value: choices first, then a type, then what the type asks for.

use serde_json::Value;

use super::{
    Cause, MAX_CHOICES, MAX_DEPTH, MAX_VALUES, Random, Unsatisfiable,
    conjunction::{Choice, Conjunction, Rule},
    document::Document,
    height::{ENDLESS, Heights},
    keywords::Located,
    kind::{Kind, guess},
    number, text,
};

/// How often a value is drawn anew where a keyword can only be checked.
const TRIES: usize = 24;
/// How often all branches are tried.
const ROUNDS: usize = 8;
/// From so many values on, everything ends by its shortest way.
const AMPLE_VALUES: usize = 300;
/// From this depth on, too.
const AMPLE_DEPTH: u32 = 12;
/// How often a reference may be followed within itself before it ends by its shortest way.
const RECURSIONS: usize = 2;

/// Keywords that are not drawn by, only checked.
const CHECKED: [&str; 7] = [
    "not",
    "contains",
    "dependentSchemas",
    "dependencies",
    "propertyNames",
    "minContains",
    "maxContains",
];

/// Draws the values of one document.
pub(super) struct Generator<'g, 'a> {
    pub(super) document: &'g Document<'a>,
    pub(super) random: &'g mut Random,
    pub(super) heights: Heights,
    /// The references that lead to where it is.
    trail: Vec<usize>,
    values: usize,
    /// How many choices wait for those below them.
    open: usize,
}

/// Where in the value it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'n> {
    /// The property's name, or what items are called; empty where there is none.
    pub(super) name: &'n str,
    depth: u32,
    /// Whether to end by the shortest way.
    pub(super) is_terse: bool,
}

impl<'n> Spot<'n> {
    /// One level further down.
    pub(super) fn below(self, name: &'n str) -> Self {
        let depth = self.depth + 1;
        Self {
            name,
            depth,
            ..self
        }
    }
}

impl<'g, 'a> Generator<'g, 'a> {
    pub(super) fn new(document: &'g Document<'a>, random: &'g mut Random) -> Self {
        Self {
            document,
            random,
            heights: Heights::default(),
            trail: Vec::new(),
            values: 0,
            open: 0,
        }
    }

    /// Draws the whole value.
    pub(super) fn root(&mut self, sites: Vec<Located<'a>>) -> Result<Value, Unsatisfiable> {
        self.heights = Heights::of(self.document, &sites)?;
        if let Some(site) = sites.iter().find(|site| self.heights.is_endless(site)) {
            return Err(site.error(Cause::Endless));
        }
        self.trail.extend(sites.iter().map(Located::address));
        let spot = Spot {
            name: "",
            depth: 0,
            is_terse: false,
        };
        self.value(sites, spot)
    }

    /// Draws a value that all of these schemas allow.
    pub(super) fn value(
        &mut self,
        sites: Vec<Located<'a>>,
        spot: Spot<'_>,
    ) -> Result<Value, Unsatisfiable> {
        let at = sites.first().map_or("", |site| &site.at);
        self.values += 1;
        if self.values > MAX_VALUES {
            let cause = Cause::TooLarge("a value would have more than 10000 parts");
            return Err(Unsatisfiable::new(at, cause));
        }
        if spot.depth > MAX_DEPTH {
            // Another branch may be less deep.
            let why = "a value would be nested more than 64 levels deep".to_owned();
            return Err(Unsatisfiable::new(at, Cause::Contradiction(why)));
        }
        let mut conjunction = Conjunction::default();
        for site in sites {
            conjunction.join(self.document, site, None)?;
        }
        self.settle(conjunction, spot)
    }

    /// Makes the first choice that is left, and the others after it.
    fn settle(
        &mut self,
        mut conjunction: Conjunction<'a>,
        spot: Spot<'_>,
    ) -> Result<Value, Unsatisfiable> {
        if conjunction.choices.is_empty() {
            let length = self.trail.len();
            self.trail.extend(&conjunction.targets);
            let value = self.chosen(&conjunction, self.here(&conjunction, spot));
            self.trail.truncate(length);
            return value;
        }
        let choice = conjunction.choices.remove(0);
        let mut last = None;
        for round in 0..ROUNDS {
            // Optional properties may be what makes two branches hold.
            let is_terse = spot.is_terse || round % 2 == 1;
            let spot = Spot { is_terse, ..spot };
            for branch in self.order(&choice, spot) {
                match self.branch(conjunction.clone(), (&choice, branch), spot) {
                    Ok(Some(value)) => return Ok(value),
                    Ok(None) => {}
                    Err(error) if error.is_final() => return Err(error),
                    Err(error) => last = Some(error),
                }
            }
            // Only what chance decided may turn out otherwise.
            if choice.rule == Rule::AnyOf {
                break;
            }
        }
        Err(last.unwrap_or_else(|| {
            let why = format!("no value was found for {}", choice.keyword());
            choice
                .part
                .error(choice.keyword(), Cause::Contradiction(why))
        }))
    }

    /// A value of one branch; none where more than one branch of a `oneOf` holds.
    fn branch(
        &mut self,
        mut conjunction: Conjunction<'a>,
        (choice, branch): (&Choice<'a>, usize),
        spot: Spot<'_>,
    ) -> Result<Option<Value>, Unsatisfiable> {
        self.document.spend(1 + conjunction.parts.len())?;
        for site in &choice.branches[branch] {
            conjunction.join(self.document, site.clone(), choice.origin)?;
        }
        self.open += 1;
        if self.open > MAX_CHOICES {
            let cause = Cause::TooLarge("too many choices depend on each other");
            return Err(choice.part.error(choice.keyword(), cause));
        }
        let value = self.settle(conjunction, spot);
        self.open -= 1;
        let value = value?;
        let is_right = match choice.rule {
            Rule::AnyOf => true,
            Rule::OneOf | Rule::If => self.document.holds_choices(&choice.part, &value)?,
        };
        Ok(is_right.then_some(value))
    }

    /// The branches in the order in which they are tried.
    fn order(&mut self, choice: &Choice<'a>, spot: Spot<'_>) -> Vec<usize> {
        let mut order: Vec<usize> = (0..choice.branches.len()).collect();
        self.random.shuffle(&mut order);
        let is_null = |branch: &usize| {
            let site = choice.branches[*branch].first();
            let kind = site.and_then(|site| site.schema.get("type"));
            kind.and_then(Value::as_str) == Some("null")
        };
        // Nothing is a rare answer.
        if order.first().is_some_and(is_null) && self.random.below(4) > 0 {
            order.rotate_left(1);
        }
        let height = |branch: &usize| self.heights.highest(&choice.branches[*branch]);
        if spot.is_terse {
            order.sort_by_key(height);
        } else {
            order.sort_by_key(|branch| height(branch) == ENDLESS);
        }
        order
    }

    /// Whether it is time to end.
    fn here<'n>(&self, conjunction: &Conjunction<'a>, spot: Spot<'n>) -> Spot<'n> {
        let followed = |target| self.trail.iter().filter(|&before| before == target).count();
        // The trail has this place's own references already.
        let is_recursing = |target| followed(target) > RECURSIONS;
        let is_terse = spot.is_terse
            || spot.depth > AMPLE_DEPTH
            || self.values > AMPLE_VALUES
            || conjunction.targets.iter().any(is_recursing);
        Spot { is_terse, ..spot }
    }

    /// Draws where every choice is made.
    fn chosen(
        &mut self,
        conjunction: &Conjunction<'a>,
        spot: Spot<'_>,
    ) -> Result<Value, Unsatisfiable> {
        if conjunction.has_any(&["enum", "const"]) {
            return self.listed(conjunction);
        }
        let mut last = None;
        for kind in self.kinds(conjunction, spot)? {
            for _ in 0..TRIES {
                self.document.spend(1)?;
                let value = match self.kind(conjunction, kind, spot) {
                    Ok(value) => value,
                    Err(error) if error.is_final() => return Err(error),
                    Err(error) => {
                        last = Some(error);
                        break;
                    }
                };
                if self.is_allowed(conjunction, &value)? {
                    return Ok(value);
                }
            }
        }
        Err(last.unwrap_or_else(|| {
            let why = "no value was found in which everything holds".to_owned();
            conjunction.error(Cause::Contradiction(why))
        }))
    }

    /// What was drawn by every keyword needs no check until the end.
    fn is_allowed(
        &self,
        conjunction: &Conjunction<'a>,
        value: &Value,
    ) -> Result<bool, Unsatisfiable> {
        let is_nested = value.is_object() || value.is_array();
        if is_nested && !conjunction.has_any(&CHECKED) {
            return Ok(true);
        }
        conjunction.allows(self.document, value)
    }

    /// One of the values of `enum` or `const`.
    fn listed(&mut self, conjunction: &Conjunction<'a>) -> Result<Value, Unsatisfiable> {
        let mut listed: Vec<&Value> = Vec::new();
        for part in &conjunction.parts {
            match (part.get("const"), part.get("enum")) {
                (Some(value), _) => listed = vec![value],
                (None, Some(Value::Array(values))) => listed = values.iter().collect(),
                (None, Some(_)) => {
                    let why = "\"enum\" has to be a list".to_owned();
                    return Err(part.error("enum", Cause::Malformed(why)));
                }
                (None, None) => continue,
            }
            break;
        }
        self.document.spend(listed.len() / 16)?;
        while !listed.is_empty() {
            let value = listed.swap_remove(self.random.below(listed.len()));
            if conjunction.allows(self.document, value)? {
                return Ok(value.clone());
            }
        }
        let why = "none of the values listed is allowed".to_owned();
        Err(conjunction.error(Cause::Contradiction(why)))
    }

    /// The types in the order in which they are tried.
    fn kinds(
        &mut self,
        conjunction: &Conjunction<'a>,
        spot: Spot<'_>,
    ) -> Result<Vec<Kind>, Unsatisfiable> {
        let Some(mut kinds) = conjunction.kinds()? else {
            let guess = conjunction.parts.iter().find_map(guess);
            let mut kinds: Vec<Kind> = guess.into_iter().collect();
            kinds.extend([Kind::String, Kind::Number, Kind::Boolean, Kind::Null]);
            kinds.extend([Kind::Object, Kind::Array]);
            return Ok(kinds);
        };
        if kinds.is_empty() {
            let why = "no type is allowed".to_owned();
            return Err(conjunction.error(Cause::Contradiction(why)));
        }
        self.random.shuffle(&mut kinds);
        if kinds[0] == Kind::Null && self.random.below(4) > 0 {
            kinds.rotate_left(1);
        }
        if spot.is_terse {
            kinds.sort_by_key(|kind| *kind >= Kind::Object);
        }
        Ok(kinds)
    }

    fn kind(
        &mut self,
        conjunction: &Conjunction<'a>,
        kind: Kind,
        spot: Spot<'_>,
    ) -> Result<Value, Unsatisfiable> {
        let tools = (self.document, &mut *self.random);
        match kind {
            Kind::Null => Ok(Value::Null),
            Kind::Boolean => Ok(Value::Bool(self.random.coin())),
            Kind::Integer => number::draw(conjunction, true, tools, spot.name),
            Kind::Number => number::draw(conjunction, false, tools, spot.name),
            Kind::String => text::draw(conjunction, tools, spot.name).map(Value::String),
            Kind::Object => self.object(conjunction, spot),
            Kind::Array => self.array(conjunction, spot),
        }
    }
}

impl Choice<'_> {
    /// The keyword that it is of.
    fn keyword(&self) -> &'static str {
        match self.rule {
            Rule::AnyOf => "anyOf",
            Rule::OneOf => "oneOf",
            Rule::If => "if",
        }
    }
}
