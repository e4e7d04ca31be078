//! The two APIs that a completion can be asked for by.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ChatRequest, Invalid};

/// By which API a completion was asked for: it has its own names for the same things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Chat completions.
    #[default]
    Chat,
    /// Legacy completions, of a text.
    Text,
}

impl Form {
    /// Where it is asked for, below the base URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Text => "/completions",
        }
    }

    /// What its ids begin with.
    pub fn id_prefix(self) -> &'static str {
        match self {
            Self::Chat => "chatcmpl-",
            Self::Text => "cmpl-",
        }
    }

    /// The `object` of a whole one.
    pub fn object(self) -> &'static str {
        match self {
            Self::Chat => "chat.completion",
            Self::Text => "text_completion",
        }
    }

    /// Reads and validates a request's body.
    ///
    /// # Errors
    /// [`Invalid`] says which field is wrong, why, and what is allowed.
    pub fn parse(self, body: Bytes) -> Result<ChatRequest, Invalid> {
        match self {
            Self::Chat => ChatRequest::parse(body),
            Self::Text => ChatRequest::parse_text(body),
        }
    }
}
