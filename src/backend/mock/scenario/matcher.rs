//! Which requests a scenario answers.

use std::{collections::BTreeMap, fmt};

use jmespath::Expression;
use regex::Regex;
use serde::{Deserialize, Deserializer, de};
use utoipa::ToSchema;

use crate::backend::{mock::question::Question, router::is_match};

/// The conditions of a scenario; all that are given must hold.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The model's name; `*` stands for any run of characters.
    #[schema(example = "gpt-*")]
    #[serde(default)]
    pub model: Option<String>,
    /// The last message of the user.
    #[serde(default)]
    pub last_user: Option<Text>,
    /// Any message of the user.
    #[serde(default)]
    pub any_user: Option<Text>,
    /// The system's (or developer's) messages, joined by line ends.
    #[serde(default)]
    pub system: Option<Text>,
    /// Tools that are offered, all of these at least.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Whether the last message is the result of a tool.
    #[serde(default)]
    pub tool_result: Option<bool>,
    /// The content of that result.
    #[serde(default)]
    pub tool_content: Option<Text>,
    /// Which answer of the conversation is asked for: 1 before the first message of the assistant.
    #[schema(minimum = 1)]
    #[serde(default)]
    pub turn: Option<usize>,
    /// Headers of the request, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Text>,
    /// A JMESPath expression over the body, which must give something true.
    #[schema(example = "length(messages) > `2`")]
    #[serde(default)]
    pub jmespath: Option<Query>,
}

/// A condition on a text: a text that it contains, or one of `contains`, `equals` and `regex`.
#[derive(Debug, Clone)]
pub enum Text {
    /// It contains this.
    Contains(String),
    /// It is this.
    Equals(String),
    /// It matches this somewhere; groups are captured.
    Regex(Regex),
}

/// A compiled JMESPath expression.
#[derive(Debug, Clone)]
pub struct Query(Expression<'static>);

/// What expressions captured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Captures {
    /// By number: 0 is all that matched. Groups that did not take part are empty.
    pub(crate) numbered: Vec<String>,
    /// By name.
    pub(crate) named: BTreeMap<String, String>,
}

impl Captures {
    /// Where nothing was captured.
    pub(crate) const NONE: Self = Self {
        numbered: Vec::new(),
        named: BTreeMap::new(),
    };
}

impl Match {
    /// Whether a request fulfils every condition, and what was captured on the way.
    ///
    /// # Errors
    /// The first condition that does not hold.
    pub(crate) fn check(&self, question: &Question) -> Result<Captures, &'static str> {
        let mut captures = Captures::default();
        let mut holds = |name, condition: Option<&Text>, texts: &[String]| match condition {
            Some(condition)
                if !texts
                    .iter()
                    .any(|text| condition.holds(text, &mut captures)) =>
            {
                Err(name)
            }
            Some(_) | None => Ok(()),
        };
        holds("last_user", self.last_user.as_ref(), question.last_user())?;
        holds("any_user", self.any_user.as_ref(), &question.user)?;
        holds(
            "system",
            self.system.as_ref(),
            std::slice::from_ref(&question.system),
        )?;
        holds(
            "tool_content",
            self.tool_content.as_ref(),
            question.tool_result.as_slice(),
        )?;
        for (name, condition) in &self.headers {
            let values: Vec<String> = question.header(name);
            holds("headers", Some(condition), &values)?;
        }
        self.check_facts(question)?;
        Ok(captures)
    }

    fn check_facts(&self, question: &Question) -> Result<(), &'static str> {
        let offers = |tool: &String| question.tools.iter().any(|offered| offered.name == *tool);
        let is_model = |name: &String| is_match(name, &question.model);
        let is_result = question.tool_result.is_some();
        let facts = [
            ("model", self.model.as_ref().is_none_or(is_model)),
            ("tools", self.tools.iter().all(offers)),
            (
                "tool_result",
                self.tool_result.is_none_or(|wanted| wanted == is_result),
            ),
            ("turn", self.turn.is_none_or(|turn| turn == question.turn)),
            (
                "jmespath",
                self.jmespath
                    .as_ref()
                    .is_none_or(|query| query.holds(question)),
            ),
        ];
        match facts.into_iter().find(|(_, holds)| !holds) {
            Some((name, _)) => Err(name),
            None => Ok(()),
        }
    }

    /// Whether every request that `other` answers is one of this: each condition of this stands
    /// there too. What cannot be seen so is found when such a request comes.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        fn covered<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
            one.is_none() || one == other
        }
        covered(&self.model, &other.model)
            && covered(&self.last_user, &other.last_user)
            && covered(&self.any_user, &other.any_user)
            && covered(&self.system, &other.system)
            && self.tools.iter().all(|tool| other.tools.contains(tool))
            && covered(&self.tool_result, &other.tool_result)
            && covered(&self.tool_content, &other.tool_content)
            && covered(&self.turn, &other.turn)
            && self
                .headers
                .iter()
                .all(|(name, text)| other.headers.get(name) == Some(text))
            && covered(&self.jmespath, &other.jmespath)
    }
}

impl Text {
    fn holds(&self, text: &str, captures: &mut Captures) -> bool {
        match self {
            Self::Contains(part) => text.contains(part),
            Self::Equals(whole) => text == whole,
            Self::Regex(regex) => {
                let Some(found) = regex.captures(text) else {
                    return false;
                };
                let group = |group: Option<regex::Match<'_>>| {
                    group.map_or(String::new(), |group| group.as_str().to_owned())
                };
                if captures.numbered.is_empty() {
                    captures.numbered = found.iter().map(group).collect();
                }
                for name in regex.capture_names().flatten() {
                    let value = group(found.name(name));
                    captures.named.entry(name.to_owned()).or_insert(value);
                }
                true
            }
        }
    }
}

impl Query {
    fn holds(&self, question: &Question) -> bool {
        let found = self.0.search(&question.body);
        found.is_ok_and(|found| found.is_truthy())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Contains(one), Self::Contains(other))
            | (Self::Equals(one), Self::Equals(other)) => one == other,
            (Self::Regex(one), Self::Regex(other)) => one.as_str() == other.as_str(),
            (Self::Contains(_) | Self::Equals(_) | Self::Regex(_), _) => false,
        }
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let compiled = jmespath::compile(&text);
        compiled.map(Self).map_err(|error| {
            let reason = error.reason.to_string();
            de::Error::custom(format!(
                "not a JMESPath expression: {reason} at character {}",
                error.offset
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Text {
    // By hand, because a derived untagged enum cannot say what is wrong inside.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> de::Visitor<'de> for TextOrMap {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or one of `contains`, `equals` and `regex`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text::Contains(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                const KEYS: &[&str] = &["contains", "equals", "regex"];
                let Some((key, text)) = map.next_entry::<String, String>()? else {
                    return Err(de::Error::invalid_length(0, &self));
                };
                let condition = match &key[..] {
                    "contains" => Text::Contains(text),
                    "equals" => Text::Equals(text),
                    "regex" => Text::Regex(Regex::new(&text).map_err(de::Error::custom)?),
                    _ => return Err(de::Error::unknown_field(&key, KEYS)),
                };
                match map.next_key::<String>()? {
                    Some(_) => Err(de::Error::invalid_length(2, &self)),
                    None => Ok(condition),
                }
            }
        }
        deserializer.deserialize_any(TextOrMap)
    }
}
