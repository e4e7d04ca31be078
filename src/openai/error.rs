//! The error envelope, and what makes a request invalid.

use serde::Serialize;
use utoipa::ToSchema;

/// Every error, as a reply or as the last event but one of a stream.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorEnvelope {
    /// The error.
    pub error: ErrorBody,
}

/// What went wrong. All four members are always there.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What happened and, for bad input, what is allowed instead.
    pub message: String,
    /// The sort of error.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    pub kind: String,
    /// The request's field that is at fault.
    #[schema(required)]
    pub param: Option<String>,
    /// A stable code for programs.
    #[schema(required)]
    pub code: Option<String>,
}

impl ErrorEnvelope {
    /// An envelope of the given kind.
    pub fn new(kind: &str, message: String, param: Option<String>, code: Option<&str>) -> Self {
        Self {
            error: ErrorBody {
                message,
                kind: kind.to_owned(),
                param,
                code: code.map(str::to_owned),
            },
        }
    }

    /// The envelope as JSON.
    pub fn to_json(&self) -> String {
        // Strings and nulls always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Why a request body is refused, always as status 400.
/// Made by [`ChatRequest::parse`](super::ChatRequest::parse) and [`Invalid::check`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// Which field, why, and what is allowed.
    pub message: String,
    /// The field's path, such as `messages[0].role`.
    pub param: Option<String>,
}

impl Invalid {
    /// Checks that a model has a name.
    ///
    /// # Errors
    /// [`Invalid`] when it is empty.
    pub(super) fn unless_named(model: &str) -> Result<(), Self> {
        if model.is_empty() {
            let why = "expected the name of a model, got an empty string";
            return Err(Self::at("model", why));
        }
        Ok(())
    }

    /// A field that is wrong, and why.
    pub fn at(param: &str, why: &str) -> Self {
        Self {
            message: format!("{param}: {why}"),
            param: Some(param.to_owned()),
        }
    }
}
