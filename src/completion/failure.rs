//! Why a completion failed, in the words a client gets. Status codes are `api::error`'s.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Clock, Code};
use crate::{
    access::{Exceeded, Limit},
    backend::{BackendError, Refusal},
    openai::{ErrorEnvelope, scan},
    stream::{AppendError, StoreError},
};

/// Why a completion failed.
#[derive(Debug, Clone)]
pub enum Failure {
    /// For a reason of ours.
    Coded {
        /// Which.
        code: Code,
        /// What happened.
        message: String,
        /// Which clock has run out, if one has.
        clock: Option<Clock>,
    },
    /// The upstream's own error status, before its stream began.
    Refused(Refusal),
    /// The upstream's own error inside the stream, as an envelope with all four members.
    Reported(Bytes),
    /// A limit of the key's.
    Limited(Box<Exceeded>),
    /// What another reader of the same log finds at its end.
    Logged {
        /// The code the log ended with.
        code: Code,
        /// The error envelope.
        envelope: Bytes,
    },
}

impl Failure {
    /// A failure for a reason of ours.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Coded {
            code,
            message: message.into(),
            clock: None,
        }
    }

    /// A clock has run out, after `limit` if that is known.
    pub(super) fn late(clock: Clock, limit: Option<Duration>) -> Self {
        Self::Coded {
            code: Code::UpstreamTimeout,
            message: clock.message(limit),
            clock: Some(clock),
        }
    }

    /// The cause as metrics have it: the code, or which clock it was.
    pub(super) fn cause(&self) -> &'static str {
        self.clock().map_or(self.code().label(), Clock::cause)
    }

    /// Which clock has run out, if one has.
    pub(super) fn clock(&self) -> Option<Clock> {
        match self {
            Self::Coded { clock, .. } => *clock,
            Self::Logged { .. } | Self::Limited(_) | Self::Refused(_) | Self::Reported(_) => None,
        }
    }

    /// The server stops.
    pub fn shutting_down() -> Self {
        let message = "This server is shutting down; please try again.";
        Self::new(Code::ShuttingDown, message)
    }

    /// The node that the completion was made on is gone.
    pub fn lost() -> Self {
        let message = "The server that made this completion was lost.";
        Self::new(Code::UpstreamLost, message)
    }

    /// What was to be read is gone by now; asked again, it is made again.
    pub(super) fn retry() -> Self {
        let message = "The request of the same Idempotency-Key has just failed; please try again.";
        Self::new(Code::Overloaded, message)
    }

    /// A panic or a lost task: nothing of it is told.
    pub fn internal() -> Self {
        Self::new(Code::InternalError, "Something went wrong in this server.")
    }

    /// The error that an upstream reports, alone and with all four members, so that every
    /// client and the OpenAPI document can rely on them; what else it says of it stays.
    pub fn reported(error: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(error).unwrap_or_default();
        let text = |key| match value.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) | None => None,
        };
        let message = text("message").or(value.as_str().map(str::to_owned));
        let mut body = Map::new();
        let message = message
            .as_deref()
            .unwrap_or("The upstream reported an error.");
        body.insert("message".to_owned(), message.into());
        let kind = text("type").unwrap_or(Code::UpstreamError.kind().to_owned());
        body.insert("type".to_owned(), kind.into());
        body.insert("param".to_owned(), text("param").into());
        let code = text("code").unwrap_or(Code::UpstreamError.label().to_owned());
        body.insert("code".to_owned(), code.into());
        for (key, value) in value.as_object().into_iter().flatten() {
            body.entry(key).or_insert(value.clone());
        }
        Self::Reported(json!({ "error": body }).to_string().into())
    }

    /// The failure that a log's own last words tell: the label it ended with and its envelope.
    pub fn logged(label: &str, envelope: Bytes) -> Self {
        let mut codes = Code::OF_LOGS.into_iter();
        let code = codes.find(|code| code.label() == label);
        Self::Logged {
            code: code.unwrap_or(Code::UpstreamError),
            envelope,
        }
    }

    /// The code of ours that comes nearest.
    pub fn code(&self) -> Code {
        match self {
            Self::Coded { code, .. } | Self::Logged { code, .. } => *code,
            Self::Limited(exceeded) => match exceeded.limit {
                Limit::Requests | Limit::Tokens | Limit::Streams => Code::RateLimitExceeded,
                Limit::Day => Code::InsufficientQuota,
            },
            Self::Refused(_) | Self::Reported(_) => Code::UpstreamError,
        }
    }

    /// It is the upstream's, and another might do better: not the client's fault, and not ours.
    pub(super) fn is_upstreams(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.status == 429 || refusal.status >= 500,
            Self::Reported(_) => true,
            Self::Limited(_) => false,
            Self::Coded { code, .. } | Self::Logged { code, .. } => code.kind() == "upstream_error",
        }
    }

    /// Another upstream may be asked: this one has failed, or has no such model.
    pub(super) fn moves_on(&self) -> bool {
        let has_none = matches!(self, Self::Refused(refusal) if refusal.status == 404);
        has_none || self.is_upstreams()
    }

    /// The upstream did nothing for the request: it refused it, or never had it.
    pub(super) fn is_free(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Limited(_) => true,
            Self::Coded { code, .. } => {
                matches!(code, Code::UpstreamUnreachable | Code::UpstreamAuth)
            }
            Self::Reported(_) | Self::Logged { .. } => false,
        }
    }

    /// How long the upstream asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let Self::Refused(refusal) = self else {
            return None;
        };
        let header = |wanted: &str| {
            let found = refusal.headers.iter().find(|(name, _)| name == wanted);
            found.and_then(|(_, value)| value.parse().ok())
        };
        // The other form of `retry-after`, a date, is not sent by model servers.
        let seconds = || header("retry-after").map(Duration::from_secs);
        header("retry-after-ms")
            .map(Duration::from_millis)
            .or_else(seconds)
    }

    /// The error event of a stream, as JSON: an upstream's envelope too has all four members
    /// there, which every client and the OpenAPI document can rely on.
    pub fn event(&self) -> Bytes {
        if let Self::Refused(refusal) = self
            && let Some(json) = &refusal.envelope
        {
            return match scan(json).ok().and_then(|facts| facts.error) {
                Some(error) => Self::reported(&json[error.range()]).envelope(),
                // A replayed refusal may be anything; an event is JSON.
                None => Self::Refused(Refusal {
                    envelope: None,
                    ..refusal.clone()
                })
                .envelope(),
            };
        }
        self.envelope()
    }

    /// The error envelope, as JSON.
    pub fn envelope(&self) -> Bytes {
        let coded = |code: Code, message: String, clock: Option<&str>| {
            let param = clock.or((code == Code::ModelNotFound).then_some("model"));
            let param = param.map(str::to_owned);
            ErrorEnvelope::new(code.kind(), message, param, Some(code.label()))
                .to_json()
                .into()
        };
        match self {
            Self::Coded {
                code,
                message,
                clock,
            } => coded(*code, message.clone(), clock.map(Clock::setting)),
            Self::Limited(exceeded) => limited(exceeded, self.code()),
            Self::Reported(json) | Self::Logged { envelope: json, .. } => json.clone(),
            Self::Refused(Refusal {
                envelope: Some(json),
                ..
            }) => json.clone(),
            Self::Refused(Refusal { status, reason, .. }) => {
                let reason = reason.as_deref().unwrap_or("it gave no reason");
                let message = format!("The upstream answered with status {status}: {reason}");
                coded(Code::UpstreamError, message, None)
            }
        }
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        let code = match &error {
            BackendError::Refused(refusal) => return Self::Refused(refusal.clone()),
            BackendError::Unreachable(_) => Code::UpstreamUnreachable,
            BackendError::ConnectTimeout => return Self::late(Clock::Connect, None),
            BackendError::Auth => Code::UpstreamAuth,
            BackendError::Truncated(_) => Code::UpstreamTruncated,
            BackendError::Malformed(_) => Code::UpstreamMalformed,
            BackendError::TooLarge { .. } => Code::LogTooLarge,
            BackendError::Internal(_) => Code::InternalError,
        };
        Self::new(code, sentence(&error.to_string()))
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        Self::new(Code::LogTooLarge, sentence(&error.to_string()))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(Code::Overloaded, sentence(&error.to_string()))
    }
}

/// The envelope as OpenAI has it: the `type` says what there is too much of.
fn limited(exceeded: &Exceeded, code: Code) -> Bytes {
    let kind = match exceeded.limit {
        Limit::Tokens => "tokens",
        Limit::Requests | Limit::Streams | Limit::Day => code.kind(),
    };
    ErrorEnvelope::new(kind, exceeded.to_string(), None, Some(code.label()))
        .to_json()
        .into()
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}
