//! The mock's legacy completions: each prompt is continued on its own.

use std::rc::Rc;

use async_stream::stream;
use sha2::{Digest, Sha256};

use super::{Mock, answer, answer::Choice, chunk};
use crate::{
    backend::{Call, Chunks, Step},
    openai::{
        ChatParams, Content, Form, Message, Role, TextChoice, TextCompletion, TextInput,
        TextParams, Usage,
    },
    tokens::TokensError,
};

const FINGERPRINT: &str = "fp_tokenfall";

/// What a choice continues, and how.
struct Continued {
    /// What it begins with, where the prompt is echoed.
    echo: String,
    choice: Choice,
}

/// What is continued.
struct Prompt {
    text: String,
    tokens: usize,
}

/// The chunks of an answer, in their time.
///
/// # Errors
/// [`TokensError`] when the tokenizer is not to be had.
pub(super) async fn complete(
    mock: &Mock,
    call: Rc<Call>,
    params: &TextParams,
) -> Result<Chunks, TokensError> {
    let prompts = prompts(mock, params).await?;
    let mut continued = Vec::new();
    for prompt in &prompts {
        let digest = conversation(&mock.seed(&call.request), params, prompt);
        for index in (0..).take(params.choices_each()) {
            let text = answer::text(&as_question(prompt), &digest, index);
            let (text, pieces) = mock.tokens.split(text).await?;
            let echo = params.echo.unwrap_or_default().then(|| prompt.text.clone());
            continued.push(Continued {
                echo: echo.unwrap_or_default(),
                choice: Choice::cut(text, &pieces, &call.request),
            });
        }
    }
    let asked = prompts.iter().map(|prompt| prompt.tokens).sum();
    let said = continued.iter().map(|c| c.choice.tokens).sum();
    Ok(play(mock, call, continued, Usage::new(asked, said)))
}

async fn prompts(mock: &Mock, params: &TextParams) -> Result<Vec<Prompt>, TokensError> {
    let mut prompts = Vec::new();
    match &params.prompt {
        None => prompts.push(Prompt {
            text: String::new(),
            tokens: 0,
        }),
        Some(TextInput::Texts(texts)) => {
            let counts = mock.tokens.count(texts.clone()).await?;
            let counted = texts.iter().cloned().zip(counts);
            prompts.extend(counted.map(|(text, tokens)| Prompt { text, tokens }));
        }
        Some(TextInput::Tokens(lists)) => {
            for ids in lists {
                prompts.push(Prompt {
                    text: mock.tokens.decode(ids.clone()).await?,
                    tokens: ids.len(),
                });
            }
        }
    }
    Ok(prompts)
}

/// What is said is drawn from this: a prompt is continued alike, alone and among others.
fn conversation(seed: &[u8], params: &TextParams, prompt: &Prompt) -> [u8; 32] {
    let suffix = params.suffix.as_deref().unwrap_or_default();
    let mut hasher = Sha256::new();
    for part in [
        seed,
        params.model.as_bytes(),
        suffix.as_bytes(),
        prompt.text.as_bytes(),
    ] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn as_question(prompt: &Prompt) -> ChatParams {
    let message = Message {
        role: Role::User,
        content: Some(Content::Text(prompt.text.clone())),
        name: None,
        tool_call_id: None,
    };
    ChatParams {
        messages: vec![message],
        ..ChatParams::default()
    }
}

fn play(mock: &Mock, call: Rc<Call>, continued: Vec<Continued>, usage: Usage) -> Chunks {
    let pace = mock.settings.profile.pace();
    Box::pin(stream! {
        let steps = continued.iter().map(|c| c.choice.ends.len()).max().unwrap_or_default();
        let start = tokio::time::Instant::now();
        pace.until(start, 0).await;
        for (index, continued) in (0..).zip(&continued) {
            if !continued.echo.is_empty() {
                yield chunk(piece(&call, index, &continued.echo, None));
            }
        }
        for step in 0..steps {
            if step > 0 {
                pace.until(start, step).await;
            }
            for (index, continued) in (0..).zip(&continued) {
                if let Some(text) = continued.choice.piece(step) {
                    yield chunk(piece(&call, index, text, None));
                }
            }
        }
        for (index, continued) in (0..).zip(&continued) {
            yield chunk(piece(&call, index, "", Some(continued.choice.finish_reason)));
        }
        yield chunk(write(&call, &[], Some(Some(usage))));
        yield Ok(Step::Done);
    })
}

/// A chunk that adds to one choice.
fn piece(call: &Call, index: u32, text: &str, finish_reason: Option<&str>) -> Vec<u8> {
    let choice = TextChoice {
        text,
        index,
        logprobs: None,
        finish_reason,
    };
    write(
        call,
        &[choice],
        call.request.includes_usage().then_some(None),
    )
}

fn write(call: &Call, choices: &[TextChoice<'_>], usage: Option<Option<Usage>>) -> Vec<u8> {
    let chunk = TextCompletion {
        id: &call.id,
        object: Form::Text.object(),
        created: call.created,
        model: &call.request.params.model,
        choices,
        usage,
        system_fingerprint: Some(FINGERPRINT),
        sequence_number: None,
    };
    // Strings and numbers always serialize.
    serde_json::to_vec(&chunk).unwrap_or_default()
}
