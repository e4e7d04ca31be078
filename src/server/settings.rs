//! The `[server]` section of the configuration.

use std::time::Duration;

use actix_web::http::Uri;
use serde::Deserialize;

use super::TlsSettings;
use crate::api::TrustedProxies;

/// The `[server]` section of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address or name to listen on.
    pub host: String,
    /// The port; 0 for any free one.
    pub port: u16,
    /// A Unix socket to listen on instead of the port; empty for none.
    pub unix: String,
    /// The certificate that connections are encrypted with.
    pub tls: TlsSettings,
    /// How others reach this server; empty if only by its address.
    pub public_url: String,
    /// Proxies whose `X-Forwarded-*` headers count.
    pub trusted_proxies: TrustedProxies,
    /// HTTP/2 without TLS too, for proxies that begin with it.
    pub http2: bool,
    /// Serve beyond this machine although anyone can then use the upstream's key.
    pub open: bool,
    /// How long the server says that it is about to stop before it takes no new work.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// How long streams may go on after a stop was asked for.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// Headers of the client's that go upstream beside the usual ones.
    pub forward_headers: Vec<String>,
    /// Worker threads; 0 for one per core, or for every two where all models are the mock's.
    pub workers: usize,
    /// What is logged: a level, or `target=level` pairs.
    pub log: String,
}

impl Settings {
    /// The host of `public_url`.
    pub fn public_host(&self) -> Option<String> {
        let url: Uri = self.public_url.parse().ok()?;
        matches!(url.scheme_str(), Some("http" | "https")).then(|| url.host().map(str::to_owned))?
    }
}
