//! The built-in model: any name, and an answer that is a function of the request.
//!
//! Start at [`Mock::open`]. Who answers is decided in `cast`; what is said is a [`scenario`]'s or
//! `answer`'s, cut into tokens by `script`, timed by `pace`, and written by `render` in the
//! `dialect` of some server. `generate` draws values of a JSON Schema. What becomes of the bytes
//! then is a wire plan.

mod answer;
mod cast;
mod control;
mod dialect;
mod embeddings;
mod generate;
mod journal;
mod moderations;
mod options;
mod pace;
mod play;
mod question;
mod random;
mod refusal;
mod render;
mod replay;
pub mod scenario;
mod script;
mod settings;
mod splits;
mod template;
mod text;
mod unary;

use std::{rc::Rc, sync::Arc};

use futures_util::{FutureExt, future::LocalBoxFuture};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use control::Control;
pub use dialect::Dialect;
pub use journal::Entry;
pub use options::check_speed;
pub use pace::{Jitter, Profile};
pub use settings::{OnNoMatch, Settings};

use super::{
    Answer, Backend, BackendError, Body, Call, Headers, Identity, UnaryAnswer, UnaryCall,
    cassette::Cassettes,
};
use crate::{
    openai::{ChatRequest, Model},
    tokens::{Tokens, TokensError},
};
use cast::{Cast, Stream, prompt_texts};
use control::QueueFull;
use options::Options;
use play::Show;
use question::Question;
use random::Random;
use render::Look;
use script::{Block, Choice};
use splits::Splits;

/// The name that the mock lists itself by; it answers to any.
pub const MODEL: &str = "tokenfall-mock";
/// When every deterministic answer was made, in seconds since 1970.
const FIXED_TIME: u64 = 1_700_000_000;

/// The mock as one worker thread sees it.
pub struct Mock {
    settings: Settings,
    control: Arc<Control>,
    tokens: Arc<Tokens>,
    splits: Splits,
    cassettes: Option<Arc<Cassettes>>,
}

impl Mock {
    /// A mock of these settings.
    pub fn new(settings: Settings, control: Arc<Control>, tokens: Arc<Tokens>) -> Self {
        Self {
            settings,
            control,
            splits: Splits::new(Arc::clone(&tokens)),
            tokens,
            cassettes: None,
        }
    }

    /// The same, and requests that these have are answered by them.
    pub fn replaying(mut self, cassettes: Option<Arc<Cassettes>>) -> Self {
        self.cassettes = cassettes;
        self
    }

    async fn answer(&self, call: Rc<Call>) -> Result<Answer, BackendError> {
        let options = Options::of(&call.headers)?;
        let question = Arc::new(match self.is_replayed(&call, &options) {
            true => Question::unread(&call.request, &call.headers)?,
            false => Question::of(&call.request, &call.headers)?,
        });
        let mut entry = Entry::new(&question, &call.id, &options.session);
        let answer = self.play(&call, (&options, &question), &mut entry).await;
        if let Err(BackendError::Refused(refusal)) = &answer {
            entry.status = refusal.status;
        }
        self.control.write(entry);
        answer
    }

    /// Decides everything about an answer; `entry` is told.
    async fn play(
        &self,
        call: &Rc<Call>,
        (options, question): (&Options, &Question),
        entry: &mut Entry,
    ) -> Result<Answer, BackendError> {
        if options.scenario.is_none()
            && let Some(answer) = self.replay(call, (options, question), entry)?
        {
            return Ok(answer);
        }
        let on = (&self.settings, &*self.control);
        let cast = Cast::new(on, &call.request, (options, question), &entry.delivery)?;
        entry.scenario = cast.selected.as_ref().map(|selected| selected.name.clone());
        entry.profile.clone_from(&cast.profile.0);
        entry.seed = cast.seed;
        if let Some(error) = cast.refused(question) {
            return Err(error);
        }
        let body = match cast.reply().map(|reply| &reply.body) {
            Some(scenario::Body::Raw(frames)) => Body::Raw(play::raw(frames.clone(), &cast)),
            Some(scenario::Body::Blocks(_) | scenario::Body::Error(_)) | None => {
                let show = self.show(call, question, &cast).await?;
                let plan = (Arc::clone(&entry.delivery), cast.plan.is_virtual);
                let random = cast.random(Stream::Logprobs);
                Body::Chunks(play::chunks(Rc::clone(call), show, random, plan))
            }
        };
        Ok(Answer {
            headers: Vec::new(),
            body,
            plan: Some(Arc::new(cast.plan)),
        })
    }

    async fn show(
        &self,
        call: &Call,
        question: &Question,
        cast: &Cast,
    ) -> Result<Show, BackendError> {
        let (request, reply) = (&call.request, cast.reply());
        let (prompt, choices) = match &request.text {
            None => self.chat(request, question, cast).await?,
            Some(params) => self.text((request, params), question, cast).await?,
        };
        let (name, profile) = &cast.profile;
        let place = self.control.place(name);
        let place = place.map_err(|QueueFull| refusal::of_status(503, None))?;
        let has_logprobs = reply.is_some_and(|reply| reply.logprobs);
        let tier = question.service_tier.clone().filter(|tier| tier != "auto");
        Ok(Show {
            usage: usage(prompt, &choices, reply.map(|reply| &reply.usage)),
            choices: choices.into(),
            look: Look {
                dialect: cast.dialect,
                service_tier: reply.and_then(|reply| reply.service_tier.clone()).or(tier),
                fingerprint: reply.and_then(|reply| reply.system_fingerprint.clone()),
                logprobs: question.logprobs.or(has_logprobs.then_some(0)),
            },
            pace: profile.pace(prompt, cast.speed, cast.random(Stream::Times)),
            place,
        })
    }

    /// What every choice of a chat says, behind the tokens of its prompt.
    async fn chat(
        &self,
        request: &ChatRequest,
        question: &Question,
        cast: &Cast,
    ) -> Result<(usize, Vec<Choice>), BackendError> {
        let mut choices = Vec::new();
        for index in 0..request.choices() {
            let random = cast.random(Stream::Choice(index));
            let blocks = blocks(cast, question, (index, random))?;
            choices.push(self.choice(blocks, request, cast).await?);
        }
        let prompt = self.prompt_tokens(request).await.map_err(internal)?;
        Ok((prompt, choices))
    }

    /// One choice, cut where the request says.
    async fn choice(
        &self,
        blocks: Vec<Block>,
        request: &ChatRequest,
        cast: &Cast,
    ) -> Result<Choice, BackendError> {
        let choice = Choice::cut(blocks, request, &self.splits).await;
        let mut choice = choice.map_err(internal)?;
        // A scenario's reason is its own, but for an answer that was cut short.
        if choice.finish_reason != "length"
            && let Some(reply) = cast.reply()
            && let Some(reason) = &reply.finish_reason
        {
            choice.finish_reason.clone_from(reason);
        }
        Ok(choice)
    }

    /// The tokens of a prompt: those of its texts, three more for each message, one for each name,
    /// and three that open the answer (OpenAI Cookbook, "How to count tokens").
    async fn prompt_tokens(&self, request: &ChatRequest) -> Result<usize, TokensError> {
        let messages = &request.params.messages;
        let names = messages.iter().filter(|m| m.name.is_some()).count();
        let mut count = 3 * messages.len() + names + 3;
        for text in prompt_texts(request) {
            count += self.splits.count(&text).await?;
        }
        Ok(count)
    }
}

/// What one choice says.
fn blocks(
    cast: &Cast,
    question: &Question,
    (index, mut random): (u32, Random),
) -> Result<Vec<Block>, BackendError> {
    let Some(scenario::Body::Blocks(written)) = cast.reply().map(|reply| &reply.body) else {
        return answer::blocks(question, &mut random);
    };
    let context = cast.context(question, index);
    let mut blocks = Vec::new();
    for block in written {
        let fill =
            |text: &scenario::Template| text.render(&context).map_err(|error| cast.broken(&error));
        match block {
            scenario::Block::Reasoning(text) => blocks.push(Block::Reasoning(fill(text)?)),
            scenario::Block::Text(text) => blocks.push(Block::Text(fill(text)?)),
            scenario::Block::Refusal(text) => blocks.push(Block::Refusal(fill(text)?)),
            scenario::Block::ToolCalls(calls) => {
                let count = if question.one_call { 1 } else { calls.len() };
                for call in calls.iter().take(count) {
                    let tool = question.tools.iter().find(|tool| tool.name == call.name);
                    let arguments = match (&call.arguments, tool) {
                        (Some(arguments), _) => {
                            let arguments = arguments.render(&context);
                            arguments.map_err(|error| cast.broken(&error))?
                        }
                        (None, Some(tool)) => answer::arguments(tool, &mut random)?,
                        (None, None) => "{}".to_owned(),
                    };
                    let mut made = answer::call(&call.name, arguments, &mut random);
                    made.id = call.id.clone().unwrap_or(made.id);
                    blocks.push(Block::Call(made));
                }
            }
        }
    }
    Ok(blocks)
}

/// The count of tokens, with what a scenario says of it.
fn usage(prompt: usize, choices: &[Choice], said: Option<&Map<String, Value>>) -> Value {
    let completion: usize = choices.iter().map(|choice| choice.tokens).sum();
    let reasoning: usize = choices.iter().map(|choice| choice.reasoning_tokens).sum();
    let mut usage = json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    });
    for (name, value) in said.into_iter().flatten() {
        usage[name] = value.clone();
    }
    if said.is_some_and(|said| !said.is_empty() && !said.contains_key("total_tokens")) {
        let count = |name: &str| usage[name].as_u64().unwrap_or_default();
        usage["total_tokens"] = (count("prompt_tokens") + count("completion_tokens")).into();
    }
    usage
}

impl Backend for Mock {
    fn open(&self, call: Rc<Call>) -> LocalBoxFuture<'_, Result<Answer, BackendError>> {
        self.answer(call).boxed_local()
    }

    fn reply<'a>(
        &'a self,
        call: &'a UnaryCall,
    ) -> LocalBoxFuture<'a, Result<UnaryAnswer, BackendError>> {
        unary::reply(self, &call.task).boxed_local()
    }

    fn identity(&self, request: &ChatRequest, headers: &Headers) -> Option<Identity> {
        let options = Options::of(headers).unwrap_or_default();
        let is_seeded = options
            .seed
            .or(request.params.seed.map(crate::openai::Int::get))
            .is_some();
        if !self.settings.deterministic && !is_seeded {
            return None;
        }
        let seed = cast::seed(&self.settings, &options, request, None);
        let mut hasher = Sha256::new();
        hasher.update(seed.to_be_bytes());
        hasher.update(request.body());
        // What makes another answer of the same body.
        for name in ["x-mock-scenario", "x-mock-dialect"] {
            let value = headers.iter().find(|(known, _)| known == name);
            if let Some((name, value)) = value {
                hasher.update(format!("\n{name}: {value}"));
            }
        }
        let digest = hasher.finalize();
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

    fn takes_any_name(&self) -> bool {
        true
    }
}

fn internal(error: TokensError) -> BackendError {
    BackendError::Internal(error.to_string())
}
