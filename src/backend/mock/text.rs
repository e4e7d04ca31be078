//! The mock's legacy completions: each prompt is continued on its own.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Mock, blocks,
    cast::Cast,
    internal,
    question::Question,
    random::Random,
    script::{Block, Choice},
};
use crate::{
    backend::{BackendError, Call},
    openai::{ChatRequest, Form, TextChoice, TextCompletion, TextInput, TextParams},
    tokens::TokensError,
};

const FINGERPRINT: &str = "fp_tokenfall";

/// What is continued.
struct Prompt {
    text: String,
    tokens: usize,
}

impl Mock {
    /// What every choice of a legacy completion says, behind the tokens of its prompts.
    pub(super) async fn text(
        &self,
        (request, params): (&ChatRequest, &TextParams),
        question: &Question,
        cast: &Cast,
    ) -> Result<(usize, Vec<Choice>), BackendError> {
        let prompts = self.prompts(params).await.map_err(internal)?;
        let mut question = question.clone();
        let mut choices = Vec::new();
        for prompt in &prompts {
            question.user = vec![prompt.text.clone()];
            let digest = conversation(cast.seed, params, prompt);
            for index in (0..).take(params.choices_each()) {
                let random = Random::new(&digest, index);
                let mut said = blocks(cast, &question, (index, random))?;
                // There is no word for anything else here.
                said.retain(|block| matches!(block, Block::Text(_)));
                let mut choice = self.choice(said, request, cast).await?;
                if params.echo == Some(true) {
                    choice.echo.clone_from(&prompt.text);
                }
                choices.push(choice);
            }
        }
        Ok((prompts.iter().map(|prompt| prompt.tokens).sum(), choices))
    }

    async fn prompts(&self, params: &TextParams) -> Result<Vec<Prompt>, TokensError> {
        let mut prompts = Vec::new();
        match &params.prompt {
            None => prompts.push(Prompt {
                text: String::new(),
                tokens: 0,
            }),
            Some(TextInput::Texts(texts)) => {
                for text in texts {
                    prompts.push(Prompt {
                        text: text.clone(),
                        tokens: self.splits.count(text).await?,
                    });
                }
            }
            Some(TextInput::Tokens(lists)) => {
                for ids in lists {
                    prompts.push(Prompt {
                        text: self.tokens.decode(ids.clone()).await?,
                        tokens: ids.len(),
                    });
                }
            }
        }
        Ok(prompts)
    }
}

/// What is said is drawn from this: a prompt is continued alike, alone and among others.
fn conversation(seed: i64, params: &TextParams, prompt: &Prompt) -> [u8; 32] {
    let suffix = params.suffix.as_deref().unwrap_or_default();
    let mut hasher = Sha256::new();
    hasher.update(seed.to_be_bytes());
    for part in [&params.model[..], suffix, &prompt.text] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A chunk of these choices.
pub(super) fn chunk(
    call: &Call,
    choices: &[TextChoice<'_>],
    usage: Option<Option<&Value>>,
) -> Vec<u8> {
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
