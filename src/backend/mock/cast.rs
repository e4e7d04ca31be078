//! Who answers a request, and how: the scenario, the headers and the settings put together.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{
    Settings,
    control::Control,
    dialect::Dialect,
    options::Options,
    pace::Profile,
    question::Question,
    random::Random,
    refusal,
    scenario::{Body, Captures, Context, ErrorReply, Reply, Selected, Unmatched},
};
use crate::{
    backend::BackendError,
    openai::{ChatRequest, Int},
    wire::{Delivery, Fault, Plan},
};

/// What is drawn has streams of its own, so that one does not move another.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    /// What a choice says.
    Choice(u32),
    /// The times.
    Times,
    /// Which faults take place.
    Faults,
    /// Log probabilities.
    Logprobs,
}

/// What one answer is made with.
pub(super) struct Cast {
    /// The scenario, if one answers.
    pub(super) selected: Option<Selected>,
    // The number of this call within its sequence.
    call: usize,
    /// What it is drawn from.
    pub(super) seed: i64,
    digest: [u8; 32],
    /// The name of the profile of its times, and it.
    pub(super) profile: (String, Profile),
    /// How many times as fast.
    pub(super) speed: f64,
    /// Which server it looks like.
    pub(super) dialect: Dialect,
    /// What happens to it on the wire.
    pub(super) plan: Plan,
}

impl Cast {
    /// Finds the scenario and puts everything together.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for names that are not known, and where no scenario, or more than
    /// one, is right.
    pub(super) fn new(
        (settings, control): (&Settings, &Control),
        request: &ChatRequest,
        (options, question): (&Options, &Question),
        delivery: &Arc<Delivery>,
    ) -> Result<Self, BackendError> {
        let selected = select(settings, control, options, question)?;
        Self::of(
            selected,
            (settings, control),
            (request, question),
            (options, delivery),
        )
    }

    /// The same for a cassette, which no scenario has a part in.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for names that are not known.
    pub(super) fn of_cassette(
        on: (&Settings, &Control),
        request: &ChatRequest,
        (options, question): (&Options, &Question),
        delivery: &Arc<Delivery>,
    ) -> Result<Self, BackendError> {
        Self::of(None, on, (request, question), (options, delivery))
    }

    fn of(
        selected: Option<Selected>,
        (settings, control): (&Settings, &Control),
        (request, question): (&ChatRequest, &Question),
        (options, delivery): (&Options, &Arc<Delivery>),
    ) -> Result<Self, BackendError> {
        let scenario = selected
            .as_ref()
            .map(|selected| Arc::clone(&selected.scenario));
        let scenario = scenario.as_deref();
        let call = selected.as_ref();
        let call = call.map(|selected| count_call(control, options, selected));
        let name = options.profile.as_ref();
        let name = name.or(scenario.and_then(|scenario| scenario.profile.as_ref()));
        let name = name.unwrap_or(&settings.profile);
        let Some(profile) = settings.profiles.get(name) else {
            let known: Vec<_> = settings.profiles.keys().map(String::as_str).collect();
            let known = known.join(", ");
            let message = format!("x-mock-profile: unknown profile `{name}`; there are {known}");
            return Err(refusal::invalid("x-mock-profile", &message));
        };
        let seed = seed(settings, options, request, scenario.and_then(|s| s.seed));
        let digest = conversation(seed, request, question);
        let dialect = options
            .dialect
            .or(scenario.and_then(|scenario| scenario.dialect));
        let dialect = dialect.unwrap_or(settings.dialect);
        let speed = options
            .speed
            .or(scenario.and_then(|scenario| scenario.speed));
        let faults = options.faults.as_ref();
        let faults = faults.or(scenario.and_then(|scenario| scenario.fault.as_ref()));
        let framing = options
            .framing
            .or(scenario.and_then(|scenario| scenario.wire));
        let plan = Plan {
            faults: drawn(faults.map_or(&[], Vec::as_slice), &digest),
            framing: framing.unwrap_or_default(),
            failure: dialect.failure(&question.model).map(Into::into),
            waiting: dialect.waiting(),
            seed: Random::new(&digest, stream(Stream::Faults)).next(),
            is_virtual: settings.virtual_time,
            is_exact: false,
            delivery: Arc::clone(delivery),
        };
        Ok(Self {
            call: call.transpose()?.unwrap_or_default(),
            selected,
            seed,
            digest,
            profile: (name.clone(), profile.clone()),
            speed: speed.unwrap_or(settings.speed),
            dialect,
            plan,
        })
    }

    /// The scenario's reply, if one answers.
    pub(super) fn reply(&self) -> Option<&Reply> {
        self.selected.as_ref()?.scenario.reply(self.call)
    }

    /// The numbers that something is drawn from.
    pub(super) fn random(&self, of: Stream) -> Random {
        Random::new(&self.digest, stream(of))
    }

    /// What the texts of a choice can refer to.
    pub(super) fn context<'a>(&'a self, question: &'a Question, choice: u32) -> Context<'a> {
        static NOTHING: Captures = Captures::NONE;
        let selected = self.selected.as_ref();
        let captures = selected.map_or(&NOTHING, |selected| &selected.captures);
        Context {
            request: &question.body,
            last_user: question.last_user().first().map_or("", String::as_str),
            turn: question.turn,
            captures: &captures.numbered,
            named: &captures.named,
            choice,
        }
    }

    /// The error that stands in place of an answer, if one does: a planned one, or the scenario's.
    pub(super) fn refused(&self, question: &Question) -> Option<BackendError> {
        let mut planned = self.plan.faults.iter();
        let planned = planned.find_map(|fault| Some((fault, fault.kind.status()?)));
        if let Some((fault, status)) = planned {
            self.plan.delivery.fault(fault.to_string());
            // Seconds, rounded up: a client that comes back too early gains nothing.
            let seconds = fault.lasts.map(|lasts| lasts.as_millis().div_ceil(1000));
            let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
            return Some(refusal::of_status(status, seconds));
        }
        match &self.reply()?.body {
            Body::Error(error) => Some(self.worded(error, question)),
            Body::Blocks(_) | Body::Raw(_) => None,
        }
    }

    fn worded(&self, error: &ErrorReply, question: &Question) -> BackendError {
        let mut body = refusal::worded(error.status);
        let message = error.message.as_ref();
        let message = message.map(|message| message.render(&self.context(question, 0)));
        match message.transpose() {
            Ok(Some(message)) => body["message"] = message.into(),
            Ok(None) => {}
            Err(error) => return self.broken(&error),
        }
        let given = [
            ("type", &error.kind),
            ("param", &error.param),
            ("code", &error.code),
        ];
        for (member, value) in given {
            if let Some(value) = value {
                body[member] = value.clone().into();
            }
        }
        let mut headers = refusal::headers_of(error.status, None);
        for (name, value) in &error.headers {
            let name = name.to_lowercase();
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value.clone()));
        }
        refusal::refuse(error.status, &body, headers)
    }

    /// The scenario cannot be played.
    pub(super) fn broken(&self, why: &dyn std::fmt::Display) -> BackendError {
        let name = self.selected.as_ref().map_or("", |selected| &selected.name);
        refusal::broken(&format!("The scenario `{name}` cannot be played: {why}."))
    }
}

fn stream(of: Stream) -> u32 {
    match of {
        Stream::Choice(index) => index,
        Stream::Times => u32::MAX,
        Stream::Faults => u32::MAX - 1,
        Stream::Logprobs => u32::MAX - 2,
    }
}

/// The faults that take place this time.
fn drawn(faults: &[Fault], digest: &[u8; 32]) -> Vec<Fault> {
    let mut random = Random::new(digest, stream(Stream::Faults));
    let takes_place = |fault: &&Fault| random.unit() < fault.probability;
    faults.iter().filter(takes_place).copied().collect()
}

fn select(
    settings: &Settings,
    control: &Control,
    options: &Options,
    question: &Question,
) -> Result<Option<Selected>, BackendError> {
    let scenarios = control.scenarios(&options.session);
    let selected = match &options.scenario {
        Some(name) => scenarios.named(name, question),
        None => scenarios.select(question),
    };
    match selected {
        Ok(selected) => Ok(Some(selected)),
        Err(Unmatched::None { .. }) if settings.on_no_match == super::OnNoMatch::Answer => Ok(None),
        Err(error @ Unmatched::None { .. }) => {
            Err(refusal::unmatched("mock_no_match", &sentence(&error)))
        }
        Err(error @ Unmatched::Ambiguous { .. }) => {
            Err(refusal::unmatched("mock_ambiguous", &sentence(&error)))
        }
        Err(error @ Unmatched::Unknown { .. }) => {
            let message = format!("x-mock-scenario: {error}");
            Err(refusal::invalid("x-mock-scenario", &message))
        }
    }
}

fn sentence(error: &Unmatched) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

/// The number of this call of a scenario, from 0; only a sequence counts.
fn count_call(
    control: &Control,
    options: &Options,
    selected: &Selected,
) -> Result<usize, BackendError> {
    let scenario = &selected.scenario;
    let call = match scenario.sequence {
        Some(_) => control.count_call(&options.session, &selected.name),
        None => 0,
    };
    if scenario.reply(call).is_some() {
        return Ok(call);
    }
    let message = format!("The sequence of the scenario `{}` is over.", selected.name);
    Err(refusal::unmatched("mock_no_match", &message))
}

/// What comes first: the header, the request, the scenario, the configuration.
pub(super) fn seed(
    settings: &Settings,
    options: &Options,
    request: &ChatRequest,
    scenario: Option<i64>,
) -> i64 {
    let seed = options.seed.or(request.params.seed.map(Int::get));
    seed.or(scenario).unwrap_or(settings.seed)
}

/// What is said is drawn from this: the seed, the model and the conversation. Streamed or not,
/// the same question has the same answer.
fn conversation(seed: i64, request: &ChatRequest, question: &Question) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_be_bytes());
    hasher.update(&question.model);
    for text in prompt_texts(request) {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}

/// The texts of a prompt whose tokens count.
pub(super) fn prompt_texts(request: &ChatRequest) -> Vec<String> {
    let mut texts = Vec::new();
    for message in &request.params.messages {
        texts.push(message.role.as_str().to_owned());
        let content = message.content.as_ref().map(crate::openai::Content::text);
        texts.push(content.unwrap_or_default().into_owned());
        texts.extend(message.name.clone());
    }
    texts
}
