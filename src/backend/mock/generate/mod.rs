//! Values of a JSON Schema: drawn by chance, and valid.
//!
//! The same schema and the same random numbers make the same value on every machine. It knows
//! nothing of chats. Start at [`value`]. What has to hold at one place is gathered first
//! (`conjunction`) and drawn by its type (`draw`, then `number`, `text`, `array`, `object`). At
//! the end the value is checked as a validator would (`check`), so that a mistake made here is
//! an error and never a wrong value.

mod array;
mod check;
mod compare;
mod conjunction;
mod decimal;
mod document;
mod draw;
mod ecma;
mod format;
mod height;
mod keywords;
mod kind;
mod names;
mod number;
mod object;
mod pattern;
mod plan;
mod text;
mod words;
mod writing;

#[cfg(test)]
mod nested_tests;
#[cfg(test)]
mod random_schema_tests;
#[cfg(test)]
mod real_schema_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::random::Random;
use document::Document;
use draw::Generator;
use keywords::Located;

/// How deep a value may be nested.
const MAX_DEPTH: u32 = 64;
/// How many choices may be open at once, each waiting for those below it.
const MAX_CHOICES: usize = 192;
/// How many values may be drawn for one answer, those that are thrown away included.
const MAX_VALUES: usize = 10_000;
/// How much work one answer may be: a check of a value, some characters of a text.
const MAX_STEPS: u64 = 200_000;
/// How long one text may be, in characters.
const MAX_TEXT: usize = 16_384;

/// Why no value was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at #{pointer}: {cause}")]
pub(super) struct Unsatisfiable {
    /// Where in the schema, as a JSON Pointer; empty for all of it.
    pub(super) pointer: String,
    /// What is in the way there.
    pub(super) cause: Cause,
}

/// What is in the way of a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Cause {
    /// A keyword's value is not what a schema may have there.
    #[error("{0}")]
    Malformed(String),
    /// A `$ref` that leads nowhere in this schema.
    #[error("the reference {0:?} leads nowhere in this schema")]
    Unresolved(String),
    /// Something that a schema may say and that is not understood here.
    #[error("{0}")]
    Unsupported(String),
    /// Nothing was found that fits everything asked for.
    #[error("{0}")]
    Contradiction(String),
    /// A recursion that every value would have to follow forever.
    #[error("no value of this schema ever ends")]
    Endless,
    /// A value would be larger, or take longer, than is allowed.
    #[error("{0}")]
    TooLarge(&'static str),
}

impl Unsatisfiable {
    fn new(pointer: &str, cause: Cause) -> Self {
        let pointer = pointer.to_owned();
        Self { pointer, cause }
    }

    /// Another branch would not help: the schema is broken, or the work is used up.
    fn is_final(&self) -> bool {
        match self.cause {
            Cause::Malformed(_) | Cause::Unresolved(_) | Cause::TooLarge(_) => true,
            Cause::Unsupported(_) | Cause::Contradiction(_) | Cause::Endless => false,
        }
    }
}

/// Draws a value that is valid under `schema`.
///
/// # Errors
///
/// Where no value is found: the schema is not one, contradicts itself, asks for what is not
/// supported, or for more than the limits allow.
pub(super) fn value(schema: &Value, random: &mut Random) -> Result<Value, Unsatisfiable> {
    draw(schema, None, random)
}

/// Draws the arguments of a call of a tool with these `parameters`: always an object.
///
/// # Errors
///
/// As [`value`].
pub(super) fn arguments(
    parameters: Option<&Value>,
    random: &mut Random,
) -> Result<Value, Unsatisfiable> {
    let Some(parameters) = parameters.filter(|p| !p.is_null()) else {
        return Ok(Value::Object(Map::new()));
    };
    draw(parameters, Some(&json!({ "type": "object" })), random)
}

fn draw<'a>(
    schema: &'a Value,
    beside: Option<&'a Value>,
    random: &mut Random,
) -> Result<Value, Unsatisfiable> {
    let document = Document::new(schema);
    let root = Located::root(schema);
    let mut sites = vec![root.clone()];
    sites.extend(beside.map(Located::root));
    let value = Generator::new(&document, random).root(sites)?;
    if document.holds(&root, &value)? {
        return Ok(value);
    }
    let why = "no value was found in which everything holds".to_owned();
    Err(root.error(Cause::Contradiction(why)))
}
