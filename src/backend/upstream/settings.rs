//! What an upstream is configured with, and what is made of it.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use reqwest::{
    Client, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use serde::Deserialize;
use tower::util::MapRequestLayer;

use super::library::opening;

use crate::openai::Continuation;

/// One `upstreams` entry of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSettings {
    /// The URL that `/chat/completions` and its like are appended to.
    pub base_url: String,
    /// The environment variable that holds the key.
    #[serde(default)]
    pub key_env: Option<String>,
    /// The file that holds it, in place of `key_env`.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The model's name there, when it has another.
    #[serde(default)]
    pub model: Option<String>,
    /// How much of the requests it takes, compared with the model's other upstreams.
    #[serde(default = "weight")]
    pub weight: u32,
    /// Headers to add to every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Parameters to add to the URL of every request.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Members to set in the body of every request, over the client's.
    #[serde(default)]
    pub body: toml::Table,
    /// Ask for the usage chunk of every stream; off for servers that refuse the field.
    #[serde(default = "ask_usage")]
    pub ask_usage: bool,
    /// How it is told to go on with what was said, where `on_upstream_loss` is `continue`.
    #[serde(default)]
    pub continuation: Continuation,
    /// Ask it for the models that it has, where those of a pattern are listed.
    #[serde(default = "discover")]
    pub discover: bool,
    /// How long what it says of its models stands.
    #[serde(with = "humantime_serde", default = "discover_ttl")]
    pub discover_ttl: Duration,
    /// The key itself, once it was read from where it is.
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
            let place = (one.base_url.clone(), one.query.clone());
            (
                place,
                one.model.clone(),
                one.key.clone(),
                one.headers.clone(),
            )
        };
        identity(self) == identity(other)
    }

    /// Whether it says which models there are. One that has a single model under whatever name does
    /// not.
    pub(super) fn is_discovered(&self) -> bool {
        self.discover && self.model.is_none()
    }

    /// A key is configured, or another means in the headers or the query (Azure takes keys in
    /// `api-key`, Google in `key`).
    pub fn has_credentials(&self) -> bool {
        let is_credential = |name: &String| {
            ["authorization", "api-key", "x-api-key", "key", "api_key"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
        };
        let mut names = self.headers.keys().chain(self.query.keys());
        self.key.is_some() || names.any(is_credential)
    }
}

fn discover() -> bool {
    true
}

// Servers that load a model, or are replaced, take longer than that.
fn discover_ttl() -> Duration {
    Duration::from_secs(30)
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

/// The URL that paths are appended to, with the parameters that every request has.
pub(super) fn base_url(settings: &UpstreamSettings) -> Result<Url, UpstreamSettingsError> {
    let text = &settings.base_url;
    let refuse = |why: &str| UpstreamSettingsError {
        key: "base_url",
        reason: format!("`{text}`: {why}; expected a URL such as `http://127.0.0.1:8000/v1`"),
    };
    let mut url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse("only http and https can be used"));
    }
    // An empty list would leave a `?` behind.
    if !settings.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&settings.query);
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
                key: match settings.key_file {
                    Some(_) => "key_file",
                    None => "key_env",
                },
                reason: "the key has characters that no header can carry".to_owned(),
            })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// How often a server that speaks HTTP/2 is asked whether it is there, while it has requests, and
/// how long its answer may take.
const PING: Duration = Duration::from_secs(15);
const PONG: Duration = Duration::from_secs(10);

/// A client that keeps up to `idle` connections of those that are free.
pub(super) fn client(connect: Duration, idle: usize) -> Result<Client, UpstreamSettingsError> {
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(connect)
        .connector_layer(MapRequestLayer::new(opening))
        .pool_max_idle_per_host(idle)
        // Over TLS, where the server speaks it. All requests are on one connection then, so that a
        // dead one has to be found out before the clocks of each do.
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PONG)
        .redirect(redirect::Policy::none())
        .tcp_nodelay(true)
        .build()
        .map_err(|error| UpstreamSettingsError {
            key: "base_url",
            reason: format!("no client could be made: {error}"),
        })
}
