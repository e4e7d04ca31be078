//! What is written beside a log when it is made, so that every node can say what it is of.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Failure;
use crate::{backend::Headers, openai::Form, stream::Log};

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
    /// What another node needs to go on with it, if one may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<Recall>,
}

/// A request, as a node has to know it that goes on with its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recall {
    /// Its body.
    pub body: String,
    /// Headers of the client's that the backend may see.
    pub headers: Headers,
    /// The name of the key that pays.
    pub key: Option<String>,
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
