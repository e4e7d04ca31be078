//! A cassette from its file.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::{Cassette, MAX_BODY, MAX_FILE, MAX_FRAMES, Request, Response};
use crate::backend::{
    frame::RawFrame,
    yaml::{self, LoadError},
};

/// The only form there is.
const VERSION: u32 = 1;
/// The longest wait before a frame.
const LONGEST: Duration = Duration::from_secs(3600);

/// A file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(deserialize_with = "version")]
    #[expect(
        dead_code,
        reason = "there is one version, which is checked as it is read"
    )]
    version: u32,
    request: WrittenRequest,
    response: WrittenResponse,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRequest {
    path: String,
    #[serde(deserialize_with = "json")]
    body: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenResponse {
    #[serde(deserialize_with = "status")]
    status: u16,
    headers: BTreeMap<String, String>,
    #[serde(deserialize_with = "frames")]
    frames: Vec<RawFrame>,
}

impl Cassette {
    /// Reads a file.
    ///
    /// # Errors
    /// [`LoadError`] with the line and the field.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let text = yaml::text(path, MAX_FILE)?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`LoadError`] with the line and the field.
    pub fn parse(file: &str, text: &str) -> Result<Self, LoadError> {
        let Written {
            request, response, ..
        } = yaml::read(file, text)?;
        let cassette = Self {
            request: Request::of(&request.path, request.body),
            response: Response {
                status: response.status,
                headers: response.headers.into_iter().collect(),
                frames: response.frames,
            },
        };
        let bytes = cassette.response.bytes();
        if bytes > MAX_BODY {
            return Err(LoadError {
                file: file.to_owned(),
                line: None,
                field: "response.frames".to_owned(),
                reason: format!("{bytes} bytes together, and {MAX_BODY} at most can be replayed"),
            });
        }
        Ok(cassette)
    }
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        VERSION => Ok(VERSION),
        other => Err(de::Error::custom(format!("expected 1, got {other}"))),
    }
}

fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let text = String::deserialize(deserializer)?;
    serde_json::from_str(&text)
        .map_err(|error| de::Error::custom(format!("the request's body is no JSON: {error}")))
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        status @ (200..=299 | 400..=599) => Ok(status),
        status => Err(de::Error::custom(format!(
            "expected a status from 200 to 299 or from 400 to 599, got {status}"
        ))),
    }
}

/// Frames within their limits; the sequence itself is bounded by the reader of YAML.
fn frames<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RawFrame>, D::Error> {
    let frames = Vec::<RawFrame>::deserialize(deserializer)?;
    if frames.len() > MAX_FRAMES {
        let reason = format!("{} frames, and {MAX_FRAMES} at most can be", frames.len());
        return Err(de::Error::custom(reason));
    }
    if frames.iter().any(|frame| frame.after > LONGEST) {
        return Err(de::Error::custom(
            "a frame comes an hour after the one before at most",
        ));
    }
    Ok(frames)
}
