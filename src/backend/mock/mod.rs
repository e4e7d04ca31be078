//! The built-in model: any name, and an answer that is a function of the request.
//!
//! Start at [`Mock::open`]. What is said is in `answer`, how fast in `pace`, and the bytes of
//! its chunks in `render`.

mod answer;
mod embeddings;
mod moderations;
mod pace;
mod render;
mod text;
mod unary;

use std::{rc::Rc, sync::Arc};

use async_stream::stream;
use futures_util::{FutureExt, future::LocalBoxFuture};
use serde::Deserialize;
use sha2::{Digest, Sha256};

pub use pace::Profile;

use super::{
    Answer, Backend, BackendError, Body, Call, Chunk, Chunks, Identity, Step, UnaryAnswer,
    UnaryCall,
};
use crate::{
    openai::{ChatRequest, Int, Model, Usage, scan},
    tokens::{Tokens, TokensError},
};
use answer::{Choice, prompt_texts, tokens_of_prompt};
use render::Render;

/// The name that the mock lists itself by; it answers to any.
pub const MODEL: &str = "tokenfall-mock";
/// When every deterministic answer was made, in seconds since 1970.
const FIXED_TIME: u64 = 1_700_000_000;

/// The `[mock]` section of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How fast it answers.
    pub profile: Profile,
    /// Every answer has the same bytes on every run, ids and times included.
    pub deterministic: bool,
    /// Mixed into every answer; a request's own `seed` comes first.
    pub seed: i64,
    /// Vectors are written in base64 where that is asked for.
    pub base64_embeddings: bool,
}

/// The mock as one worker thread sees it.
pub struct Mock {
    settings: Settings,
    tokens: Arc<Tokens>,
}

impl Mock {
    /// A mock of these settings.
    pub fn new(settings: Settings, tokens: Arc<Tokens>) -> Self {
        Self { settings, tokens }
    }

    async fn answer(&self, call: Rc<Call>) -> Result<Chunks, TokensError> {
        let request = &call.request;
        let digest = self.conversation(request);
        let mut choices = Vec::new();
        for index in 0..request.choices() {
            let text = answer::text(&request.params, &digest, index);
            let (text, pieces) = self.tokens.split(text).await?;
            choices.push(Choice::cut(text, &pieces, request));
        }
        let counts = self.tokens.count(prompt_texts(&request.params)).await?;
        let completion = choices.iter().map(|choice| choice.tokens).sum();
        let usage = Usage::new(tokens_of_prompt(&request.params, &counts), completion);
        Ok(self.play(call, choices, usage))
    }

    /// The chunks of an answer, in their time.
    fn play(&self, call: Rc<Call>, choices: Vec<Choice>, usage: Usage) -> Chunks {
        let pace = self.settings.profile.pace();
        Box::pin(stream! {
            let mut render = Render::new(&call);
            let steps = choices.iter().map(|c| c.ends.len()).max().unwrap_or_default();
            let start = tokio::time::Instant::now();
            pace.until(start, 0).await;
            for index in 0..call.request.choices() {
                yield chunk(render.role(index));
            }
            for step in 0..steps {
                if step > 0 {
                    pace.until(start, step).await;
                }
                for (index, choice) in (0..).zip(&choices) {
                    if let Some(text) = choice.piece(step) {
                        yield chunk(render.content(index, text));
                    }
                }
            }
            for (index, choice) in (0..).zip(&choices) {
                yield chunk(render.finish(index, choice.finish_reason));
            }
            // As an upstream that is always asked for it; it is hidden where nobody wants it.
            yield chunk(render.usage(usage));
            yield Ok(Step::Done);
        })
    }

    /// What is said is drawn from this: the seed, the model and the conversation. Streamed or
    /// not, the same question has the same answer.
    fn conversation(&self, request: &ChatRequest) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.seed(request));
        hasher.update(&request.params.model);
        for text in prompt_texts(&request.params) {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        hasher.finalize().into()
    }

    fn seed(&self, request: &ChatRequest) -> [u8; 8] {
        let seed = request.params.seed.map_or(self.settings.seed, Int::get);
        seed.to_be_bytes()
    }
}

impl Backend for Mock {
    fn open(&self, call: Rc<Call>) -> LocalBoxFuture<'_, Result<Answer, BackendError>> {
        let answer = async move {
            let chunks = match call.request.text.clone() {
                None => self.answer(call).await,
                Some(params) => text::complete(self, call, &params).await,
            };
            let chunks = chunks.map_err(|error| BackendError::Internal(error.to_string()))?;
            Ok(Answer {
                headers: Vec::new(),
                body: Body::Chunks(chunks),
            })
        };
        answer.boxed_local()
    }

    fn reply<'a>(
        &'a self,
        call: &'a UnaryCall,
    ) -> LocalBoxFuture<'a, Result<UnaryAnswer, BackendError>> {
        unary::reply(self, &call.task).boxed_local()
    }

    fn identity(&self, request: &ChatRequest) -> Option<Identity> {
        if !self.settings.deterministic && request.params.seed.is_none() {
            return None;
        }
        let digest = Sha256::digest([&self.seed(request), &request.body()[..]].concat());
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Some(Identity {
            id,
            created: FIXED_TIME,
        })
    }

    fn models(&self) -> LocalBoxFuture<'_, Result<Vec<Model>, BackendError>> {
        std::future::ready(Ok(vec![Model::new(MODEL)])).boxed_local()
    }
}

fn chunk(json: Vec<u8>) -> Result<Step, BackendError> {
    let facts = scan(&json).map_err(|error| BackendError::Internal(error.to_string()))?;
    let json = json.into();
    Ok(Step::Chunk(Chunk { json, facts }))
}
