//! A small client of any OpenAI-compatible server, for commands that ask one: whole replies
//! ([`Client`]), one stream ([`Completion`]), and many at once ([`load`]).

mod chunk;
mod completion;
mod fault;
pub mod load;
mod models;
mod place;

use std::{net::IpAddr, time::Duration};

use bytes::{Bytes, BytesMut};
pub use chunk::{CallDelta, Chunk};
pub use completion::{Completion, End, Step};
pub use fault::Fault;
use reqwest::{
    Method, RequestBuilder, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use serde_json::Value;

use crate::cause::innermost;

/// How long a connection may take, and a whole reply.
const CONNECT: Duration = Duration::from_secs(10);
const TOTAL: Duration = Duration::from_secs(600);
/// The largest reply that is read, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// What paths of the API begin with, and what base URLs end in.
const VERSION: &str = "/v1";

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    client: reqwest::Client,
    base: Url,
    headers: HeaderMap,
}

/// A whole reply, whatever it says.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The `content-type`, if it is a text.
    pub content_type: Option<String>,
    /// The body as it came.
    pub body: Bytes,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not the URL of a server.
    #[error("`{url}`: expected a URL such as `http://127.0.0.1:8000/v1`")]
    Url {
        /// What was given.
        url: String,
    },
    /// A key with characters that no header has.
    #[error("the key has characters that no header can carry")]
    Key,
    /// A header that cannot be sent.
    #[error("`{name}` and its value are no header")]
    Header {
        /// Its name.
        name: String,
    },
    /// No connection.
    #[error("no connection to {url}: {cause}")]
    Unreachable {
        /// Where to: scheme, host and port.
        url: String,
        /// The first cause.
        cause: String,
    },
    /// A connection that broke, or that nothing came on.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// A larger reply than is read.
    #[error("the reply has more than {MAX_BODY} bytes")]
    TooLarge,
}

impl Client {
    /// A client of the server with this base URL, which is given `key` with every request.
    ///
    /// # Errors
    /// [`ClientError`] for a URL or a key that cannot be used.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, ClientError> {
        let base = Url::parse(url).ok();
        let base = base.filter(|base| matches!(base.scheme(), "http" | "https") && base.has_host());
        let base = base.ok_or_else(|| ClientError::Url {
            url: url.to_owned(),
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = key {
            let value = HeaderValue::try_from(format!("Bearer {key}"));
            let mut value = value.map_err(|_| ClientError::Key)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder();
        if is_here(&base) {
            client = client.no_proxy();
        }
        let client = client
            // Some servers close a connection just when it is used again, which no client can tell.
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| broken(&error))?;
        Ok(Self {
            client,
            base,
            headers,
        })
    }

    /// Sends this header, too, with every request.
    ///
    /// # Errors
    /// [`ClientError::Header`] for one that cannot be sent.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<(), ClientError> {
        let wrong = || ClientError::Header {
            name: name.to_owned(),
        };
        let header = HeaderName::try_from(name).map_err(|_| wrong())?;
        let value = HeaderValue::try_from(value).map_err(|_| wrong())?;
        self.headers.insert(header, value);
        Ok(())
    }

    /// Posts to a path of the API, such as `/v1/chat/completions`, and reads the whole reply.
    ///
    /// # Errors
    /// [`ClientError`] when none comes, or too large a one. An error status is a reply.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply, ClientError> {
        let request = self.request(Method::POST, path).timeout(TOTAL);
        read(request.body(body.to_string())).await
    }

    /// Asks for a path, such as `/readyz`, and reads the whole reply, all of it `within` this time.
    ///
    /// # Errors
    /// [`ClientError`] when none comes, or too large a one. An error status is a reply.
    pub async fn get(&self, path: &str, within: Duration) -> Result<Reply, ClientError> {
        read(self.request(Method::GET, path).timeout(within)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.url(path));
        request.headers(self.headers.clone())
    }

    /// The path below the base URL, which has the version already.
    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let below = path.strip_prefix(VERSION).unwrap_or(path);
        url.set_path(&format!(
            "{}{below}",
            self.base.path().trim_end_matches('/')
        ));
        url
    }
}

async fn read(request: RequestBuilder) -> Result<Reply, ClientError> {
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    let content_type = header(&response, CONTENT_TYPE.as_str());
    let status = response.status().as_u16();
    let mut body = BytesMut::new();
    while let Some(read) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + read.len() > MAX_BODY {
            return Err(ClientError::TooLarge);
        }
        body.extend_from_slice(&read);
    }
    Ok(Reply {
        status,
        content_type,
        body: body.freeze(),
    })
}

/// A header of the reply, if it is a text.
fn header(response: &Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
    Some(value.to_str().ok()?.to_owned())
}

/// Whether the URL is of this machine, to which no proxy is the way.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// What went wrong and its first cause: who runs a command may know the address.
fn broken(error: &reqwest::Error) -> ClientError {
    let cause = innermost(error).to_string();
    if !error.is_connect() {
        return ClientError::Broken(cause);
    }
    let url = error.url().map(|url| url.origin().ascii_serialization());
    ClientError::Unreachable {
        url: url.unwrap_or_default(),
        cause,
    }
}
