//! What an upstream is configured with, and what is made of it.

use std::{collections::BTreeMap, fmt, time::Duration};

use reqwest::{
    Client, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use serde::Deserialize;

use crate::openai::Continuation;

/// One `upstreams` entry of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSettings {
    /// The URL that `/chat/completions` and its like are appended to.
    pub base_url: String,
    /// The environment variable that holds the key.
    #[serde(default)]
    pub key_env: Option<String>,
    /// The model's name there, when it has another.
    #[serde(default)]
    pub model: Option<String>,
    /// How much of the requests it takes, compared with the model's other upstreams.
    #[serde(default = "weight")]
    pub weight: u32,
    /// Headers to add to every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Ask for the usage chunk of every stream; off for servers that refuse the field.
    #[serde(default = "ask_usage")]
    pub ask_usage: bool,
    /// How it is told to go on with what was said, where `on_upstream_loss` is `continue`.
    #[serde(default)]
    pub continuation: Continuation,
    /// The key itself, once it was read from the environment.
    #[serde(skip)]
    pub key: Option<Secret>,
}

impl UpstreamSettings {
    /// What it is called in logs and metrics: its host and port.
    pub fn label(&self) -> String {
        let url = Url::parse(&self.base_url).ok();
        let host = url
            .as_ref()
            .and_then(|url| Some((url.host_str()?, url.port())));
        match host {
            Some((host, Some(port))) => format!("{host}:{port}"),
            Some((host, None)) => host.to_owned(),
            None => self.base_url.clone(),
        }
    }

    /// Both are one server, asked in one name: what is known of one is known of the other.
    pub fn is_same_server(&self, other: &Self) -> bool {
        let identity = |one: &Self| {
            let named = (one.base_url.clone(), one.model.clone());
            (named, one.key.clone(), one.headers.clone())
        };
        identity(self) == identity(other)
    }

    /// A key is configured, or another means in the headers (Azure takes keys in `api-key`).
    pub fn has_credentials(&self) -> bool {
        let is_credential = |name: &String| {
            ["authorization", "api-key", "x-api-key"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
        };
        self.key.is_some() || self.headers.keys().any(is_credential)
    }
}

fn weight() -> u32 {
    1
}

fn ask_usage() -> bool {
    true
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A setting that cannot be used: which, and why.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct UpstreamSettingsError {
    /// The setting's key in its entry.
    pub key: &'static str,
    /// Its value, and what is allowed.
    pub reason: String,
}

pub(super) fn base_url(text: &str) -> Result<Url, UpstreamSettingsError> {
    let refuse = |why: &str| UpstreamSettingsError {
        key: "base_url",
        reason: format!("`{text}`: {why}; expected a URL such as `http://127.0.0.1:8000/v1`"),
    };
    let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse("only http and https can be used"));
    }
    Ok(url)
}

pub(super) fn headers(settings: &UpstreamSettings) -> Result<HeaderMap, UpstreamSettingsError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let (Ok(header), Ok(mut value)) =
            (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
        else {
            let reason = format!("`{name}`: not a header's name, or its value is no header's");
            return Err(UpstreamSettingsError {
                key: "headers",
                reason,
            });
        };
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    if let Some(Secret(key)) = &settings.key {
        let mut value =
            HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| UpstreamSettingsError {
                key: "key_env",
                reason: "the key has characters that no header can carry".to_owned(),
            })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

pub(super) fn client(connect: Duration) -> Result<Client, UpstreamSettingsError> {
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(connect)
        .redirect(redirect::Policy::none())
        .tcp_nodelay(true)
        .build()
        .map_err(|error| UpstreamSettingsError {
            key: "base_url",
            reason: format!("no client could be made: {error}"),
        })
}
