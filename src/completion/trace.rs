//! One completion as spans, by the semantic conventions for generative AI
//! (opentelemetry.io/docs/specs/semconv/gen-ai): one that serves it, and within it one for each
//! upstream that is asked. Never content.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{Completion, Failure};
use crate::{
    backend::{Headers, Refusal},
    openai::{ChatRequest, Finished, Form},
    spans::{Attribute, Context, Kind, Span, SpanId, Spans},
};

/// The header that a span's context travels in.
const TRACEPARENT: &str = "traceparent";
/// The longest name of a model, or reason to finish, in bytes. Clients and upstreams choose them.
const LONGEST: usize = 256;

/// Who answers where no upstream does: the mock, or what is kept of another answer.
const OURSELVES: &str = "tokenfall";

type Attributes = Vec<(&'static str, Attribute)>;

/// The spans of a completion under way.
pub(super) struct Trace {
    spans: Spans,
    context: Context,
    parent: Option<SpanId>,
    started: (SystemTime, Instant),
    operation: &'static str,
    model: String,
    request: Attributes,
    attempt: Option<Attempt>,
    answered_by: Option<String>,
    reasons: BTreeMap<u32, String>,
}

struct Attempt {
    context: Context,
    started: Instant,
    upstream: Arc<str>,
}

/// What is known of a completion when it is over.
pub(super) struct Outcome<'a> {
    /// When.
    pub(super) ended: Instant,
    /// How, as metrics have it.
    pub(super) end: &'a str,
    /// From the request to the first content.
    pub(super) first_chunk: Option<Duration>,
    /// Prompt and answer.
    pub(super) tokens: (Option<u64>, Option<u64>),
    /// How it is known.
    pub(super) source: &'static str,
    /// How many upstreams were asked.
    pub(super) attempts: u32,
    /// The one that was asked last.
    pub(super) upstream: Option<&'a str>,
    /// How it was answered, where answers are shared.
    pub(super) cache: Option<&'static str>,
}

impl Trace {
    /// The spans of a completion that began at `started`; `None` where nothing is traced.
    pub(super) fn begin(
        spans: &Spans,
        completion: &Completion,
        (request, headers): (&ChatRequest, &Headers),
        started: (SystemTime, Instant),
    ) -> Option<Self> {
        let (context, parent) = spans.begin(given(headers))?;
        Some(Self {
            context,
            parent,
            ..Self::new(spans, completion, request, (context, started))
        })
    }

    /// Of one that clients do not know: only who is asked for it is told, as parts of the span that
    /// it was asked for in.
    pub(super) fn within(
        spans: &Spans,
        completion: &Completion,
        (request, headers): (&ChatRequest, &Headers),
        started: (SystemTime, Instant),
    ) -> Option<Self> {
        // None where nothing is traced.
        spans.begin(None)?;
        let context = given(headers).and_then(Context::parse)?;
        Some(Self::new(spans, completion, request, (context, started)))
    }

    fn new(
        spans: &Spans,
        completion: &Completion,
        request: &ChatRequest,
        (context, started): (Context, (SystemTime, Instant)),
    ) -> Self {
        let operation = match request.form() {
            Form::Chat => "chat",
            Form::Text => "text_completion",
        };
        let mut attributes = vec![
            (
                "gen_ai.request.stream",
                Attribute::Bool(completion.about.is_streamed),
            ),
            ("gen_ai.response.id", completion.log.id().as_str().into()),
        ];
        if request.choices() != 1 {
            let choices = u64::from(request.choices());
            attributes.push(("gen_ai.request.choice.count", choices.into()));
        }
        if let Some(max) = request.max_tokens() {
            let max = u64::try_from(max).unwrap_or(u64::MAX);
            attributes.push(("gen_ai.request.max_tokens", max.into()));
        }
        Self {
            spans: spans.clone(),
            context,
            parent: None,
            started,
            operation,
            model: short(completion.about.model.clone()),
            request: attributes,
            attempt: None,
            answered_by: None,
            reasons: BTreeMap::new(),
        }
    }

    /// An upstream is asked. What another one has said before does not count.
    pub(super) fn asked(&mut self, upstream: &Arc<str>) {
        (self.answered_by, self.reasons) = (None, BTreeMap::new());
        self.attempt = self.context.child().map(|context| Attempt {
            context,
            started: Instant::now(),
            upstream: Arc::clone(upstream),
        });
    }

    /// The client's headers, for the upstream that is asked.
    pub(super) fn headers(&self, given: &Headers) -> Headers {
        let context = self.attempt.as_ref().map_or(self.context, |a| a.context);
        let others = given.iter().filter(|(name, _)| name != TRACEPARENT);
        let ours = (TRACEPARENT.to_owned(), context.to_string());
        others.cloned().chain([ours]).collect()
    }

    /// It has failed.
    pub(super) fn failed(&mut self, failure: &Failure) {
        let cause = match failure {
            Failure::Refused(Refusal { status, .. }) => status.to_string(),
            Failure::Coded { .. }
            | Failure::Reported(_)
            | Failure::Limited(_)
            | Failure::Logged { .. } => failure.code().label().to_owned(),
        };
        self.end_attempt(Instant::now(), Some(&cause));
    }

    /// A choice has finished in this chunk, or all in this completion.
    pub(super) fn finished(&mut self, json: &[u8]) {
        let Some(mut finished) = Finished::read(json) else {
            return;
        };
        if let Some(model) = finished.model.take() {
            self.answered_by = Some(short(model));
        }
        let reasons = finished.reasons();
        self.reasons
            .extend(reasons.map(|(at, reason)| (at, short(reason))));
    }

    /// It is over: so is what was asked for it.
    pub(super) fn ended(&mut self, ended: Instant, end: &str) {
        self.end_attempt(ended, not_completed(end));
    }

    /// All that is known of it.
    pub(super) fn end(mut self, outcome: &Outcome<'_>) {
        let failed = not_completed(outcome.end);
        self.end_attempt(outcome.ended, failed);
        let mut attributes = self.about(outcome.upstream);
        attributes.append(&mut self.request);
        let mut add = |key, value: Option<Attribute>| attributes.extend(value.map(|v| (key, v)));
        add(
            "gen_ai.response.model",
            self.answered_by.take().map(Attribute::Text),
        );
        let reasons: Vec<_> = std::mem::take(&mut self.reasons).into_values().collect();
        let reasons = (!reasons.is_empty()).then_some(Attribute::Texts(reasons));
        add("gen_ai.response.finish_reasons", reasons);
        let first = outcome
            .first_chunk
            .map(|time| Attribute::Float(time.as_secs_f64()));
        add("gen_ai.response.time_to_first_chunk", first);
        let (input, output) = outcome.tokens;
        add("gen_ai.usage.input_tokens", input.map(Attribute::from));
        add("gen_ai.usage.output_tokens", output.map(Attribute::from));
        add("tokenfall.usage.source", Some(outcome.source.into()));
        add(
            "tokenfall.attempts",
            Some(u64::from(outcome.attempts).into()),
        );
        add("tokenfall.cache", outcome.cache.map(Attribute::from));
        let times = (self.started.1, outcome.ended);
        let span = self.span((self.context, self.parent, Kind::Server), times, attributes);
        self.spans.record(with_error(span, failed));
    }

    fn end_attempt(&mut self, ended: Instant, failed: Option<&str>) {
        if let Some(attempt) = self.attempt.take() {
            let times = (attempt.started, ended);
            let ids = (attempt.context, Some(self.context.span), Kind::Client);
            let span = self.span(ids, times, self.about(Some(&attempt.upstream)));
            self.spans.record(with_error(span, failed));
        }
    }

    /// What is asked for, and of whom: of ourselves where no upstream is.
    fn about(&self, upstream: Option<&str>) -> Attributes {
        let mut about: Attributes = vec![
            ("gen_ai.operation.name", self.operation.into()),
            ("gen_ai.request.model", self.model.as_str().into()),
            (
                "gen_ai.provider.name",
                upstream.map_or(OURSELVES, provider).into(),
            ),
        ];
        about.extend(upstream.map(server).unwrap_or_default());
        about
    }

    fn span(
        &self,
        (context, parent, kind): (Context, Option<SpanId>, Kind),
        (start, end): (Instant, Instant),
        attributes: Attributes,
    ) -> Span {
        let at = |instant: Instant| self.started.0 + instant.duration_since(self.started.1);
        Span {
            context,
            parent,
            name: format!("{} {}", self.operation, self.model),
            kind,
            start: at(start),
            end: at(end),
            attributes,
            is_error: false,
        }
    }
}

/// The `traceparent` that came.
fn given(headers: &Headers) -> Option<&str> {
    let given = headers.iter().find(|(name, _)| name == TRACEPARENT);
    given.map(|(_, value)| &value[..])
}

fn not_completed(end: &str) -> Option<&str> {
    (end != "completed").then_some(end)
}

/// The same, of what ended in this other way. Who cancels has not failed.
fn with_error(mut span: Span, failed: Option<&str>) -> Span {
    if let Some(cause) = failed {
        span.attributes.push(("error.type", cause.into()));
        span.is_error = cause != "cancelled";
    }
    span
}

fn short(mut text: String) -> String {
    let mut length = text.len().min(LONGEST);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    text.truncate(length);
    text
}

/// Where an upstream of this label is; the mock is nowhere.
fn server(label: &str) -> Attributes {
    if label == "mock" {
        return Vec::new();
    }
    let parts = label.rsplit_once(':');
    let parts = parts.and_then(|(host, port)| Some((host, port.parse::<u64>().ok()?)));
    match parts {
        Some((host, port)) => vec![
            ("server.address", host.into()),
            ("server.port", port.into()),
        ],
        None => vec![("server.address", label.into())],
    }
}

/// Who runs an upstream of this label, by the names that the conventions have. All others are known
/// by the API that they speak.
fn provider(label: &str) -> &'static str {
    const KNOWN: [(&str, &str); 8] = [
        (".openai.azure.com", "azure.ai.openai"),
        ("api.anthropic.com", "anthropic"),
        ("api.deepseek.com", "deepseek"),
        ("api.groq.com", "groq"),
        ("api.mistral.ai", "mistral_ai"),
        ("api.perplexity.ai", "perplexity"),
        ("api.x.ai", "x_ai"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
    ];
    if label == "mock" {
        return OURSELVES;
    }
    let host = label.split(':').next().unwrap_or_default();
    let known = KNOWN.iter().find(|(suffix, _)| host.ends_with(suffix));
    known.map_or("openai", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_told_by_its_host() {
        let azure = server("me.openai.azure.com");
        assert_eq!(azure, [("server.address", "me.openai.azure.com".into())]);
        assert_eq!(provider("me.openai.azure.com"), "azure.ai.openai");
        let own = [
            ("server.address", "[::1]".into()),
            ("server.port", 8000_u64.into()),
        ];
        assert_eq!(server("[::1]:8000"), own);
        assert_eq!(provider("10.0.0.7:8000"), "openai");
        assert_eq!(
            (provider("mock"), server("mock")),
            ("tokenfall", Vec::new())
        );
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let name = "é".repeat(LONGEST);
        assert_eq!(short(name).len(), LONGEST);
        assert_eq!(
            short("a".to_owned() + &"é".repeat(LONGEST)).len(),
            LONGEST - 1
        );
    }
}
