//! Starting completions and what is known of each.

use std::{
    rc::Rc,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::time::timeout;

use super::{Code, Failure, Pumps, fold::fold, pump::Pump};
use crate::{
    backend::{BackendError, Call, Identity, Router},
    openai::{ChatRequest, Model},
    stream::{Cursor, Id, Kind, Log, Owner, Reader, Settings, StreamStore},
};

/// What every completion's id begins with, as OpenAI's do.
const ID_PREFIX: &str = "chatcmpl-";

/// The completions, as one worker thread sees them.
pub struct Service {
    router: Router,
    store: Arc<dyn StreamStore>,
    settings: Arc<Settings>,
    pumps: Pumps,
}

/// A request for a completion and who makes it.
#[derive(Debug)]
pub struct Ask {
    /// The request.
    pub request: ChatRequest,
    /// To whom the completion will belong.
    pub owner: Owner,
    /// Headers of the client's that go upstream.
    pub headers: Vec<(String, String)>,
    /// The client's own `Authorization`, where it may go upstream.
    pub authorization: Option<String>,
}

/// One completion of this process.
#[derive(Debug)]
pub struct Completion {
    /// Its log.
    pub log: Arc<Log>,
    /// The model that was asked for.
    pub model: String,
    headers: OnceLock<Vec<(String, String)>>,
    failure: OnceLock<Failure>,
}

impl Completion {
    /// The upstream's headers for the client, once they are there.
    pub fn headers(&self) -> &[(String, String)] {
        self.headers.get().map_or(&[], Vec::as_slice)
    }

    /// Why it failed, once it has.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    pub(super) fn set_headers(&self, headers: Vec<(String, String)>) {
        // The first answer's count; there is no other yet.
        let _ = self.headers.set(headers);
    }

    pub(super) fn set_failure(&self, failure: Failure) {
        // A completion fails once.
        let _ = self.failure.set(failure);
    }
}

impl Service {
    /// A service over these backends and this store.
    pub fn new(
        router: Router,
        store: Arc<dyn StreamStore>,
        settings: Arc<Settings>,
        pumps: Pumps,
    ) -> Self {
        Self {
            router,
            store,
            settings,
            pumps,
        }
    }

    /// Starts a completion and reads it from its beginning.
    ///
    /// # Errors
    /// [`Failure`] when it cannot even start: an unknown model, no room, a server that stops.
    pub async fn start(&self, ask: Ask) -> Result<Started, Failure> {
        if self.pumps.is_draining() {
            return Err(Failure::shutting_down());
        }
        let model = ask.request.params.model.clone();
        let Some(route) = self.router.route(&model) else {
            return Err(unknown_model(&model));
        };
        let identity = match route.backend.identity(&ask.request) {
            Some(identity) => identity,
            None => random_identity()?,
        };
        let id = Id::new(ID_PREFIX, identity.id);
        let producer = self.store.create(id, ask.owner).await;
        let producer =
            producer.map_err(|error| Failure::new(Code::Overloaded, error.to_string()))?;
        let log = Arc::clone(producer.log());
        let reader = log.reader(Cursor::START).map_err(|_| Failure::internal())?;
        let completion = Arc::new(Completion {
            log,
            model,
            headers: OnceLock::new(),
            failure: OnceLock::new(),
        });
        let call = Rc::new(Call {
            id: completion.log.id().to_string(),
            created: identity.created,
            request: ask.request,
            headers: ask.headers,
            authorization: ask.authorization,
        });
        let pump = Pump::new(producer, Arc::clone(&completion), route.clone(), call);
        self.pumps
            .spawn(pump.run(self.pumps.stopping(), self.settings.grace()));
        Ok(Started { completion, reader })
    }

    /// The models that can be asked for.
    ///
    /// # Errors
    /// [`Failure`] when an upstream that has to be asked does not answer.
    pub async fn models(&self) -> Result<Vec<Model>, Failure> {
        let models = self.router.models().await;
        models.map_err(|error: BackendError| error.into())
    }

    /// One model by its name.
    ///
    /// # Errors
    /// [`Failure`] when it is not served here.
    pub fn model(&self, name: &str) -> Result<Model, Failure> {
        match self.router.route(name) {
            Some(_) => Ok(Model::new(name)),
            None => Err(unknown_model(name)),
        }
    }

    /// Whether new completions are taken.
    pub fn is_ready(&self) -> bool {
        !self.pumps.is_draining()
    }
}

/// A completion under way and its first reader. Dropping it is how the client leaves.
#[derive(Debug)]
pub struct Started {
    /// The completion.
    pub completion: Arc<Completion>,
    /// Its reader, at the beginning.
    pub reader: Reader,
}

impl Started {
    /// Waits until it is known that there is something to stream, or for `patience`.
    ///
    /// # Errors
    /// [`Failure`] when it failed before it said anything.
    pub async fn commit(&mut self, patience: Duration) -> Result<(), Failure> {
        match timeout(patience, self.reader.peek()).await {
            Ok(Some(Kind::Failure) | None) => Err(self.failure()),
            Ok(Some(Kind::Chunk | Kind::Usage | Kind::Whole | Kind::Done)) | Err(_) => Ok(()),
        }
    }

    /// Waits for the end; the whole completion as JSON.
    ///
    /// # Errors
    /// [`Failure`] when it failed.
    pub async fn whole(&mut self) -> Result<Bytes, Failure> {
        let events = self.reader.rest().await;
        if self.completion.failure().is_some() {
            return Err(self.failure());
        }
        if let Some(whole) = events.iter().find(|event| event.kind == Kind::Whole) {
            return Ok(whole.frame.clone());
        }
        let usage = self.completion.log.aside();
        match fold(&events, usage.as_deref()) {
            Ok(completion) => Ok(completion.to_string().into()),
            Err(error) => Err(Failure::new(Code::UpstreamMalformed, error.to_string())),
        }
    }

    fn failure(&self) -> Failure {
        let failure = self.completion.failure().cloned();
        failure.unwrap_or_else(Failure::internal)
    }
}

fn unknown_model(name: &str) -> Failure {
    let message = format!("The model `{name}` is not served here; see GET /v1/models.");
    Failure::new(Code::ModelNotFound, message)
}

fn random_identity() -> Result<Identity, Failure> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| Failure::internal())?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let created = since.map_or(0, |since| since.as_secs());
    Ok(Identity { id, created })
}
