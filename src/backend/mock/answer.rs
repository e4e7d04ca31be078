//! What the mock says where no scenario does.

use serde_json::json;

use super::{
    generate,
    question::{Format, Function, Question, ToolChoice},
    random::Random,
    refusal,
    script::{Block, Call},
};
use crate::backend::BackendError;

/// How much of the question is repeated, in characters.
const ECHO: usize = 120;
const CALL_ID: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

const SENTENCES: [&str; 16] = [
    "A stream of tokens is a river that knows where it ends.",
    "Each event is written once and read by everyone who asks.",
    "When the line breaks, the log remembers; the reader comes back and goes on.",
    "Nothing is repeated and nothing is lost.",
    "The first token leaves as soon as it is there.",
    "Between two tokens there is time for a heartbeat, so that no proxy falls asleep.",
    "A finish reason closes every choice, and the sentinel closes the stream.",
    "Slow readers wait for themselves alone.",
    "What the mock says today it will say tomorrow, byte for byte, if you give it a seed.",
    "Behind this address there may be a real model instead, and your client will not know the difference.",
    "Errors come with a code, and the code says whose fault it was.",
    "Bytes may be split anywhere, in the middle of a character too; a good decoder does not mind.",
    "Every buffer has an end, and someone has tested what happens there.",
    "A cursor is a promise: everything after this place, and nothing before it.",
    "You can cut the connection now and ask for the rest later.",
    "The quick brown fox streams over the lazy proxy.",
];

/// What one choice says: calls of tools, a value of the schema that is asked for, or a text.
///
/// # Errors
/// [`BackendError::Refused`] with status 400 for a schema that no value can be drawn of.
pub(super) fn blocks(question: &Question, random: &mut Random) -> Result<Vec<Block>, BackendError> {
    let calls = called(question);
    if !calls.is_empty() {
        let calls = calls.into_iter().map(|tool| {
            let arguments = arguments(tool, random)?;
            Ok(Block::Call(call(&tool.name, arguments, random)))
        });
        return calls.collect();
    }
    let text = match &question.format {
        Format::Text => text(question, random),
        Format::Object => json!({"answer": text(question, random)}).to_string(),
        Format::Schema(schema) => {
            let field = "response_format.json_schema.schema";
            let value = generate::value(schema, random);
            value
                .map_err(|error| unsatisfiable(field, &error))?
                .to_string()
        }
    };
    Ok(vec![Block::Text(text)])
}

/// A call with an id of its own.
pub(super) fn call(name: &str, arguments: String, random: &mut Random) -> Call {
    let letters: Vec<char> = CALL_ID.chars().collect();
    let mut id = "call_".to_owned();
    id.extend((0..24).filter_map(|_| random.pick(&letters)));
    Call {
        id,
        name: name.to_owned(),
        arguments,
    }
}

/// Arguments that are right for a tool.
///
/// # Errors
/// [`BackendError::Refused`] with status 400 for a schema that no value can be drawn of.
pub(super) fn arguments(tool: &Function, random: &mut Random) -> Result<String, BackendError> {
    let arguments = generate::arguments(tool.parameters.as_ref(), random);
    let arguments = arguments.map_err(|error| {
        let name = &tool.name;
        unsatisfiable("tools", &format_args!("the parameters of `{name}` {error}"))
    });
    Ok(arguments?.to_string())
}

fn unsatisfiable(field: &str, why: &dyn std::fmt::Display) -> BackendError {
    let message = format!("{field}: no value can be drawn of this schema: {why}");
    refusal::invalid(field, &message)
}

/// The tools that are called: the one that must be; of those that may be, the ones that the
/// user names. After a tool's result there is an answer.
fn called(question: &Question) -> Vec<&Function> {
    let tools = question.tools.iter();
    let named = |tool: &&Function| {
        let spoken = tool.name.replace(['_', '-'], " ").to_lowercase();
        let asked = question.last_user().first().map(|text| text.to_lowercase());
        asked.is_some_and(|text| text.contains(&tool.name.to_lowercase()) || text.contains(&spoken))
    };
    let mut called: Vec<&Function> = match &question.tool_choice {
        ToolChoice::None => return Vec::new(),
        ToolChoice::Named(name) => return tools.filter(|tool| tool.name == *name).collect(),
        ToolChoice::Auto if question.tool_result.is_some() => return Vec::new(),
        ToolChoice::Auto => tools.filter(named).collect(),
        ToolChoice::Required => {
            let called: Vec<_> = tools.clone().filter(named).collect();
            if called.is_empty() {
                tools.take(1).collect()
            } else {
                called
            }
        }
    };
    if question.one_call {
        called.truncate(1);
    }
    called
}

fn text(question: &Question, random: &mut Random) -> String {
    let mut text = match (&question.tool_result, echo(question.last_user().first())) {
        (Some(result), _) => match echo(Some(result)) {
            Some(result) => said("The tool", &result),
            None => "The tool said nothing.".to_owned(),
        },
        (None, Some(asked)) => said("You", &asked),
        (None, None) => "You said nothing.".to_owned(),
    };
    let mut sentences = SENTENCES;
    let count = 3 + random.below(4);
    for taken in 0..count {
        let pick = taken + random.below(sentences.len() - taken);
        sentences.swap(taken, pick);
        text.push(' ');
        text.push_str(sentences[taken]);
    }
    text
}

/// A sentence with what somebody said, which may have an end of its own.
fn said(who: &str, text: &str) -> String {
    let end = if text.ends_with(['.', '!', '?', '…']) {
        ""
    } else {
        "."
    };
    format!("{who} said: “{text}”{end}")
}

/// The beginning of a text.
fn echo(text: Option<&String>) -> Option<String> {
    let text = text?.trim();
    let mut echo: String = text.chars().take(ECHO).collect();
    if echo.len() < text.len() {
        echo.push('…');
    }
    (!echo.is_empty()).then_some(echo)
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn what_was_said_ends_once() {
        assert_eq!(said("You", "Hi"), "You said: “Hi”.");
        assert_eq!(said("You", "Hello!"), "You said: “Hello!”");
    }
}
