//! Whom to ask, and the bytes to ask with.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Url;
use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::ConfigVerifierExt;
use serde_json::Value;
use tokio_rustls::TlsConnector;

use crate::client::ClientError;

/// What every stream asks for.
#[derive(Debug)]
pub enum Ask {
    /// A chat completion: this body is posted.
    Chat(Value),
    /// What lies at this path and query of the server, such as a stream to follow.
    Get(String),
}

/// A server, and the request that all streams are.
pub struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(super) request: Bytes,
}

impl Target {
    /// The server with this base URL, asked with `key` if there is one.
    ///
    /// # Errors
    /// [`ClientError`] for a URL or a key that cannot be used.
    pub fn new(url: &str, key: Option<&str>, ask: &Ask) -> Result<Self, ClientError> {
        let wrong = || ClientError::Url {
            url: url.to_owned(),
        };
        let base = Url::parse(url).map_err(|_| wrong())?;
        let host = base.host_str().ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_tls = match base.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(wrong()),
        };
        Ok(Self {
            port: base.port_or_known_default().ok_or_else(wrong)?,
            tls: if is_tls { Some(tls(host)?) } else { None },
            request: request(&base, key, ask)?,
            host: host.to_owned(),
        })
    }
}

/// The request's bytes, the same for every stream.
fn request(base: &Url, key: Option<&str>, ask: &Ask) -> Result<Bytes, ClientError> {
    let (method, path, body) = match ask {
        Ask::Chat(body) => {
            let path = base.path().trim_end_matches('/');
            ("POST", format!("{path}/chat/completions"), body.to_string())
        }
        Ask::Get(path) => ("GET", path.clone(), String::new()),
    };
    let authority = match base.port() {
        Some(port) => format!("{}:{port}", base.host_str().unwrap_or_default()),
        None => base.host_str().unwrap_or_default().to_owned(),
    };
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\naccept: text/event-stream\r\nuser-agent: tokenfall-bench\r\n"
    );
    if let Some(key) = key {
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientError::Key);
        }
        head.push_str(&format!("authorization: Bearer {key}\r\n"));
    }
    if !body.is_empty() {
        let length = body.len();
        head.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {length}\r\n"
        ));
    }
    Ok(format!("{head}\r\n{body}").into())
}

/// What makes a TLS connection, with the certificates that this machine trusts.
fn tls(host: &str) -> Result<(TlsConnector, ServerName<'static>), ClientError> {
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let broken = |error: &dyn std::error::Error| ClientError::Broken(error.to_string());
    let name = ServerName::try_from(host.to_owned()).map_err(|error| broken(&error))?;
    let config = ClientConfig::with_platform_verifier().map_err(|error| broken(&error))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}
