//! Texts with placeholders.

use std::{collections::BTreeMap, sync::OnceLock};

use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use serde::{Deserialize, Serialize};

/// How many steps one text may take: some thousand lines of loops.
const FUEL: u64 = 100_000;
/// How much one text may grow to, in bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A text in which `{{ … }}` and `{% … %}` stand for something of the request (minijinja).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(String);

/// What a text can refer to.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Context<'a> {
    /// The body of the request.
    pub request: &'a serde_json::Value,
    /// The last thing that the user said.
    pub last_user: &'a str,
    /// Which answer of the conversation this is, from 1.
    pub turn: usize,
    /// What the expression of the condition captured: by number, from 0, the whole match.
    pub captures: &'a [String],
    /// The same by name.
    pub named: &'a BTreeMap<String, String>,
    /// The number of the choice, from 0.
    pub choice: u32,
}

/// A text that could not be made; its own text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl Template {
    /// The text with everything put in.
    ///
    /// # Errors
    /// [`TemplateError`] when something is not there, or the text never ends.
    pub fn render(&self, context: &Context<'_>) -> Result<String, TemplateError> {
        render(&self.0, context)
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        let parsed = environment().template_from_str(&text).map(drop);
        parsed.map_err(failed)?;
        Ok(Self(text))
    }
}

/// A text, checked before, with everything put in.
pub(super) fn render(text: &str, context: &Context<'_>) -> Result<String, TemplateError> {
    if !has_placeholders(text) {
        return Ok(text.to_owned());
    }
    let rendered = environment().render_str(text, Serde(context));
    let rendered = rendered.map_err(failed)?;
    if rendered.len() > MAX_BYTES {
        return Err(TemplateError(format!(
            "a text of more than {MAX_BYTES} bytes"
        )));
    }
    Ok(rendered)
}

fn has_placeholders(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        // The texts are no HTML, and their last line end is meant.
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.unwrap_or_default());
        environment
    })
}

fn failed(error: minijinja::Error) -> TemplateError {
    let mut text = format!("template: {}", error.kind());
    if let Some(detail) = error.detail() {
        text.push_str(": ");
        text.push_str(detail);
    }
    if let Some(line) = error.line() {
        text.push_str(&format!(" (line {line} of the text)"));
    }
    TemplateError(text)
}
