//! What is written beside a log when it is made, so that every node can say what it is of.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Failure;
use crate::{openai::Form, stream::Log};

/// What a log is of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct About {
    /// The model that was asked for.
    pub model: String,
    /// By which API.
    #[serde(default)]
    pub form: Form,
    /// When, in seconds since 1970, as the chunks say it.
    pub created: u64,
    /// It was asked for as a stream, so it can be followed.
    pub is_streamed: bool,
    /// `sequence_number` stands in every chunk and error.
    #[serde(default)]
    pub has_sequence: bool,
    /// Who comes back gets a longer grace: no other policy was asked for.
    pub is_patient: bool,
    /// When its tickets expire, in seconds since 1970.
    pub expiry: u64,
}

impl About {
    /// What a log says of itself.
    ///
    /// # Errors
    /// [`Failure`] when a log holds something else, which is a fault of ours.
    pub fn of(log: &Log) -> Result<Self, Failure> {
        serde_json::from_slice(log.about()).map_err(|_| Failure::internal())
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        // Strings, numbers and booleans always serialize.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}
