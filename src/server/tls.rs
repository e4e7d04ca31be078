//! TLS: the `[server.tls]` section, and certificates that change while the server runs.

use std::{
    fs,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use serde::Deserialize;

/// The `[server.tls]` section of the configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// A PEM file with the certificate, and those between it and its authority; empty for no TLS.
    pub cert: String,
    /// A PEM file with its key.
    pub key: String,
}

/// Files that no certificate can be made of.
#[derive(Debug, thiserror::Error)]
#[error("server.tls.{setting}: {reason}")]
pub struct TlsError {
    /// `cert` or `key`.
    pub setting: &'static str,
    /// The file, and what is wrong with it.
    pub reason: String,
}

impl TlsSettings {
    /// TLS is spoken.
    pub fn is_on(&self) -> bool {
        !self.cert.is_empty() || !self.key.is_empty()
    }

    /// Reads both files.
    ///
    /// # Errors
    /// [`TlsError`] where one cannot be read, holds no PEM, or is not of the other.
    pub fn read(&self) -> Result<Arc<CertifiedKey>, TlsError> {
        let wrong = |setting, reason| TlsError { setting, reason };
        let text = |setting, file: &str| {
            let text = fs::read(file);
            text.map_err(|error| wrong(setting, format!("`{file}` cannot be read: {error}")))
        };
        let (cert, key) = (&self.cert, &self.key);
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&text("cert", cert)?).collect();
        let chain = chain.map_err(|error| wrong("cert", format!("`{cert}` is no PEM: {error}")))?;
        if chain.is_empty() {
            return Err(wrong("cert", format!("`{cert}` holds no certificate")));
        }
        let private = PrivateKeyDer::from_pem_slice(&text("key", key)?);
        let private = private.map_err(|error| wrong("key", format!("`{key}`: {error}")))?;
        let pair = CertifiedKey::from_der(chain, private, &default_provider());
        let unfit = |error| wrong("key", format!("`{key}` is no key of `{cert}`: {error}"));
        pair.map(Arc::new).map_err(unfit)
    }
}

/// The certificate that new connections are shown.
#[derive(Debug)]
pub(super) struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    /// This one, until it is replaced.
    pub(super) fn new(pair: Arc<CertifiedKey>) -> Arc<Self> {
        Arc::new(Self(RwLock::new(pair)))
    }

    /// Shows another from now on. Connections that there are keep theirs.
    pub(super) fn replace(&self, pair: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
    }

    /// What connections are made with; actix adds `h2` and `http/1.1` as protocols.
    ///
    /// # Errors
    /// None that is known: the provider has the versions that are asked for.
    pub(super) fn config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?;
        let resolver = Arc::clone(self);
        Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pair = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&pair))
    }
}
