//! What traces are configured with, and what is made of it.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{
    Client, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use serde::Deserialize;

/// How long a connection to the collector may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Where traces are taken, below the endpoint.
const PATH: &str = "/v1/traces";
/// A span has some kilobytes.
const MOST_SPANS: usize = 1_000_000;

/// The `[otlp]` section of the configuration.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The collector's URL, which `/v1/traces` is appended to; empty for no traces.
    pub endpoint: String,
    /// Headers for it.
    pub headers: BTreeMap<String, String>,
    /// What this server is called in traces.
    pub service_name: String,
    /// What part of the traces that begin here is kept, from 0 to 1.
    pub sample_ratio: f64,
    /// How many spans may wait to be sent.
    pub queue: usize,
}

/// The headers hold keys.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("service_name", &self.service_name)
            .field("sample_ratio", &self.sample_ratio)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

/// A setting that cannot be used: which, and why.
#[derive(Debug, thiserror::Error)]
#[error("otlp.{key}: {reason}")]
pub struct SettingsError {
    /// The setting's key in its section.
    pub key: &'static str,
    /// What is allowed.
    pub reason: String,
}

impl Settings {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`SettingsError`] for the first that is wrong.
    pub fn check(&self) -> Result<(), SettingsError> {
        if !self.endpoint.is_empty() {
            self.url()?;
        }
        self.header_map()?;
        let wrong = |key, reason: String| Err(SettingsError { key, reason });
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return wrong("sample_ratio", "expected a number from 0 to 1".to_owned());
        }
        if !(1..=MOST_SPANS).contains(&self.queue) {
            return wrong("queue", format!("expected 1 to {MOST_SPANS}"));
        }
        Ok(())
    }

    /// Where spans are sent.
    pub(super) fn url(&self) -> Result<Url, SettingsError> {
        let refuse = || SettingsError {
            key: "endpoint",
            reason: "expected a URL such as `http://127.0.0.1:4318`, or nothing".to_owned(),
        };
        let mut url = Url::parse(&self.endpoint).map_err(|_| refuse())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refuse());
        }
        let base = url.path().trim_end_matches('/');
        if !base.ends_with(PATH) {
            url.set_path(&format!("{base}{PATH}"));
        }
        Ok(url)
    }

    pub(super) fn header_map(&self) -> Result<HeaderMap, SettingsError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let (Ok(name), Ok(mut value)) =
                (name.parse::<HeaderName>(), HeaderValue::try_from(value))
            else {
                let reason = format!("`{name}`: not a header's name, or its value is no header's");
                return Err(SettingsError {
                    key: "headers",
                    reason,
                });
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(headers)
    }
}

pub(super) fn client() -> Result<Client, SettingsError> {
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(CONNECT)
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| SettingsError {
            key: "endpoint",
            reason: format!("no client could be made: {error}"),
        })
}
