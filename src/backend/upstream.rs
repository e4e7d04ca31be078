//! An OpenAI-compatible server behind us. The only user of `reqwest` here.

mod catalog;
mod direct;
mod fields;
mod library;
mod refused;
mod send;
mod settings;
mod steps;
mod taped;
mod unary;

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, future::LocalBoxFuture};
use reqwest::{
    Method, Request, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};

use super::{
    Answer, Backend, BackendError, Body, Call, Chunk, Credentials, UnaryAnswer, UnaryCall,
    cassette::{self, Cassettes, Tape},
};
use crate::openai::{Continuation, Destination, Facts, Field, Form, Model, json::JsonError, scan};
use catalog::Catalog;
use refused::refused;
use send::{SendError, Transport};
pub use settings::{Secret, UpstreamSettings, UpstreamSettingsError};
use settings::{base_url, headers};
use steps::Steps;
use taped::Taped;

/// The largest error body, or list of models, that is read.
const MAX_SIDE_BODY: usize = 1 << 20;

/// An upstream as one worker thread sees it: with connections of its own.
pub struct Upstream {
    transport: Transport,
    base: Url,
    chats: Url,
    texts: Url,
    headers: HeaderMap,
    has_credentials: bool,
    model: Option<String>,
    asks_usage: bool,
    fields: Vec<Field>,
    continuation: Continuation,
    max_event_bytes: usize,
    max_whole_bytes: usize,
    // Where exchanges are kept, if they are.
    cassettes: Option<Arc<Cassettes>>,
    // The models that it names, if it is asked for them.
    catalog: Option<Catalog>,
}

/// The largest answers that are taken.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One event of a stream.
    pub event_bytes: usize,
    /// A whole completion.
    pub whole_bytes: usize,
}

impl Upstream {
    /// An upstream of these settings; a connection may take `connect`.
    ///
    /// # Errors
    /// [`UpstreamSettingsError`] names the setting that cannot be used.
    pub fn new(
        settings: &UpstreamSettings,
        connect: Duration,
        limits: Limits,
    ) -> Result<Self, UpstreamSettingsError> {
        let base = base_url(settings)?;
        Ok(Self {
            transport: Transport::new(&base, connect)?,
            chats: below(&base, Form::Chat.path()),
            texts: below(&base, Form::Text.path()),
            base,
            has_credentials: settings.has_credentials(),
            headers: headers(settings)?,
            model: settings.model.clone(),
            asks_usage: settings.ask_usage,
            fields: fields::fields(&settings.body)?,
            continuation: settings.continuation,
            max_event_bytes: limits.event_bytes,
            max_whole_bytes: limits.whole_bytes,
            cassettes: None,
            catalog: settings
                .is_discovered()
                .then(|| Catalog::new(settings.discover_ttl)),
        })
    }

    /// The same, and every exchange is kept. Usage is asked for only where the client does so:
    /// a cassette is what the client's own request got.
    pub fn recorded(mut self, cassettes: Arc<Cassettes>) -> Self {
        self.asks_usage = false;
        self.cassettes = Some(cassettes);
        self
    }

    /// Where a path below the base URL is.
    fn url(&self, path: &str) -> Url {
        below(&self.base, path)
    }

    async fn post(&self, call: &Call) -> Result<Answer, BackendError> {
        let is_streaming = call.request.is_generated_as_stream();
        let partial = call.partial.as_ref();
        let body = call.request.upstream_body(&Destination {
            model: self.model.as_deref(),
            asks_usage: self.asks_usage,
            partial: partial.map(|partial| (partial, self.continuation)),
            fields: &self.fields,
        });
        let expected = if is_streaming {
            "text/event-stream"
        } else {
            "application/json"
        };
        let url = match call.request.form() {
            Form::Chat => &self.chats,
            Form::Text => &self.texts,
        };
        let mut request = Request::new(Method::POST, url.clone());
        *request.headers_mut() = self.request_headers(&call.headers, &call.credentials, expected);
        *request.body_mut() = Some(body.into());
        let tape = self.tape(call);
        let sent = self.send(request, &call.credentials, tape);
        let (headers, mut response) = sent.await?;
        if let Err(error) = expect_type(&response, expected) {
            response.play_out().await;
            return Err(error);
        }
        let body = if is_streaming {
            Body::Chunks(Box::pin(Steps::new(response, self.max_event_bytes)))
        } else {
            let json = read_body(response, self.max_whole_bytes).await?;
            Body::Whole(whole(json)?)
        };
        Ok(Answer {
            headers,
            body,
            plan: None,
        })
    }

    /// What takes the exchange down, if it is to be kept.
    fn tape(&self, call: &Call) -> Option<Tape> {
        let cassettes = self.cassettes.as_ref()?;
        let mut secrets: Vec<String> = match &call.credentials {
            Credentials::Clients(given) => given.iter().cloned().collect(),
            Credentials::Ours => Vec::new(),
        };
        // Whatever the operator has set may be one.
        let values = self.headers.values();
        secrets.extend(values.filter_map(|value| Some(value.to_str().ok()?.to_owned())));
        let (path, body) = cassette::Request::parts_of(call);
        let tape = Tape::start(cassettes, (&path, &body), secrets);
        tape.inspect_err(|error| tracing::warn!(%error, "an exchange is not kept"))
            .ok()
    }

    /// The answer's head, if it is not a refusal; and of its headers those that clients read.
    async fn send(
        &self,
        request: Request,
        credentials: &Credentials,
        tape: Option<Tape>,
    ) -> Result<(Vec<(String, String)>, Taped), BackendError> {
        let response = Taped::new(self.head(request).await?, tape);
        let headers = returned(response.headers());
        if !response.status().is_success() {
            let is_ours = self.has_credentials || *credentials == Credentials::Ours;
            return Err(refused(response, headers, is_ours).await);
        }
        Ok((headers, response))
    }

    /// A reply whose head has come.
    async fn head(&self, request: Request) -> Result<send::Response, BackendError> {
        let sent = self.transport.send(request).await;
        sent.map_err(|error| not_sent(&error))
    }

    /// The headers of a request with a body of JSON, whose answer is to be of the type `accept`.
    fn request_headers(
        &self,
        given: &[(String, String)],
        credentials: &Credentials,
        accept: &'static str,
    ) -> HeaderMap {
        let ours = 4;
        let mut headers = HeaderMap::with_capacity(given.len() + self.headers.len() + ours);
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let authorization = match credentials {
            Credentials::Clients(given) if !self.has_credentials => given.as_ref(),
            Credentials::Clients(_) | Credentials::Ours => None,
        };
        let authorization = authorization.map(|value| ("authorization", value));
        let forwarded = given.iter().map(|(name, value)| (&name[..], value));
        // What steers the mock is nobody else's.
        let forwarded = forwarded.filter(|(name, _)| !name.starts_with("x-mock-"));
        for (name, value) in forwarded.chain(authorization) {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                headers.append(name, value);
            }
        }
        // Ours come last: a client cannot override what the operator has set.
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!(
                "tokenfall/",
                env!("CARGO_PKG_VERSION")
            )));
        headers
    }
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

impl Backend for Upstream {
    fn open(&self, call: Rc<Call>) -> LocalBoxFuture<'_, Result<Answer, BackendError>> {
        async move { self.post(&call).await }.boxed_local()
    }

    fn reply<'a>(
        &'a self,
        call: &'a UnaryCall,
    ) -> LocalBoxFuture<'a, Result<UnaryAnswer, BackendError>> {
        self.reply(call).boxed_local()
    }

    fn models(&self) -> LocalBoxFuture<'_, Result<Vec<Model>, BackendError>> {
        self.list().boxed_local()
    }

    fn takes_any_name(&self) -> bool {
        self.catalog.is_none()
    }
}

fn whole(json: Bytes) -> Result<Chunk, BackendError> {
    let facts = scan(&json);
    chunk(json, facts)
}

fn chunk(json: Bytes, facts: Result<Facts, JsonError>) -> Result<Chunk, BackendError> {
    match facts {
        Ok(facts) => Ok(Chunk::new(json, facts)),
        Err(error) => Err(BackendError::Malformed(format!("bad JSON: {error}"))),
    }
}

async fn read_body(mut response: Taped, max_bytes: usize) -> Result<Bytes, BackendError> {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(read)) if body.len() + read.len() > max_bytes => {
                return Err(BackendError::TooLarge { max_bytes });
            }
            Ok(Some(read)) => body.extend_from_slice(&read),
            Ok(None) => return Ok(body.freeze()),
            Err(error) => return Err(BackendError::Truncated(error.cause())),
        }
    }
}

/// Servers that leave the type out are believed; those that name another are not.
fn expect_type(response: &Taped, expected: &str) -> Result<(), BackendError> {
    let Some(given) = response.headers().get(CONTENT_TYPE) else {
        return Ok(());
    };
    let given = given.to_str().unwrap_or("(not text)");
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let message = format!("`{given}` where `{expected}` was expected");
    Err(BackendError::Malformed(message))
}

/// The headers that clients read: `openai-*`, rate limits, and when to try again.
fn returned(headers: &HeaderMap) -> Vec<(String, String)> {
    const PREFIXES: [&str; 3] = ["openai-", "x-ratelimit-", "retry-after"];
    let is_returned = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    headers
        .iter()
        .filter(|(name, _)| is_returned(name.as_str()))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn not_sent(error: &SendError) -> BackendError {
    match error.is_connect_timeout() {
        true => BackendError::ConnectTimeout,
        false => BackendError::Unreachable(error.cause()),
    }
}
