//! Bytes of an answer in their time, as scenarios and cassettes write them.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use serde::Deserialize;
use utoipa::ToSchema;

/// Bytes of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenFrame")]
pub struct RawFrame {
    /// How long after the frame before it.
    pub after: Duration,
    /// The bytes.
    pub bytes: Bytes,
}

/// Exactly one of `text` and `base64`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenFrame {
    /// How long after the frame before it.
    #[serde(default, with = "humantime_serde")]
    #[schema(value_type = String, required = false, example = "10ms")]
    after: Duration,
    /// The bytes as text.
    #[serde(default)]
    text: Option<String>,
    /// The bytes in base64, where they are no text.
    #[serde(default)]
    base64: Option<String>,
}

impl TryFrom<WrittenFrame> for RawFrame {
    type Error = String;

    fn try_from(written: WrittenFrame) -> Result<Self, String> {
        let bytes = match (written.text, written.base64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(text)) => {
                let bytes = BASE64_STANDARD.decode(&text);
                bytes.map_err(|error| format!("base64: {error}"))?.into()
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err("expected exactly one of `text` and `base64`".to_owned());
            }
        };
        Ok(Self {
            after: written.after,
            bytes,
        })
    }
}
