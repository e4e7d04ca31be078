//! Starting completions and what is known of each.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde_json::Value;
use tokio::{select, time::timeout};

use super::{
    About, Activity, Cache, Claims, Code, Completion, Failure, Pumps, Stored,
    account::Account,
    cache::Fingerprint,
    claims::{Claim, is_void},
    demand::{check_model, may_use},
    fold::fold,
    ledger::Ledger,
    pump::Pump,
    unfilled::Unfilled,
};
use crate::{
    access::{Admission, Key},
    backend::{Call, Credentials, Headers, Identity, Route, Router},
    metrics::Metrics,
    openai::{ChatRequest, Model},
    stream::{
        Cursor, Grace, Id, Kind, Lookup, OnDisconnect, Owner, Producer, Reader, Settings, Spec,
        StreamStore,
    },
};

/// The completions, as one worker thread sees them.
pub struct Service {
    pub(super) router: Router,
    pub(super) shared: Arc<Shared>,
}

/// What the services of all worker threads share.
#[derive(Clone)]
pub struct Shared {
    /// Where logs live.
    pub store: Arc<dyn StreamStore>,
    /// Times and limits of streams.
    pub settings: Arc<Settings>,
    /// The pumps at work.
    pub pumps: Pumps,
    /// Idempotency keys.
    pub claims: Arc<Claims>,
    /// Answers that may be shared.
    pub cache: Arc<Cache>,
    /// Completions that were asked to be kept.
    pub stored: Arc<Stored>,
    /// What happens.
    pub activity: Activity,
    /// Where completions are accounted for.
    pub ledger: Ledger,
    /// What stands between requests and their answers.
    pub admission: Arc<Admission>,
    /// What is taken for the tokens of an answer of any length.
    pub assumed_tokens: u64,
}

/// Whether new completions are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// They are.
    Ready,
    /// The server stops.
    Draining,
    /// The store cannot be reached, and none may begin without it.
    StoreUnavailable,
}

/// A request for a completion and who makes it.
#[derive(Debug)]
pub struct Ask {
    /// The request.
    pub request: ChatRequest,
    /// To whom the completion will belong.
    pub owner: Owner,
    /// Whose limits count.
    pub key: Option<Arc<Key>>,
    /// Headers of the client's that the backend may see.
    pub headers: Headers,
    /// Who has to know the upstream's key.
    pub credentials: Credentials,
    /// What becomes of it when nobody reads; the configured policy if `None`.
    pub on_disconnect: Option<OnDisconnect>,
    /// The reader can come back to where it was.
    pub can_resume: bool,
    /// The same key and body again are this completion.
    pub idempotency_key: Option<String>,
}

impl Service {
    /// A service over these backends.
    pub fn new(router: Router, shared: Shared) -> Self {
        let shared = Arc::new(shared);
        Self { router, shared }
    }

    /// Starts a completion and reads it from its beginning, or reads the one that its
    /// idempotency key names.
    ///
    /// # Errors
    /// [`Failure`] when it cannot even start: an unknown model, no room, a limit that is met, a
    /// server that stops, a key of another request.
    pub async fn start(&self, ask: Ask) -> Result<Started, Failure> {
        check_model(ask.key.as_ref(), &ask.request.params.model)?;
        let claim = ask.claim();
        if let Some(started) = self.known(claim.as_ref()).await? {
            return Ok(started);
        }
        if self.shared.pumps.is_draining() {
            return Err(Failure::shutting_down());
        }
        let model = &ask.request.params.model;
        let Some(route) = self.router.route(model) else {
            return Err(unknown_model(model));
        };
        let reservation = self.admit_completion(&ask).await?;
        let first = route.targets.first();
        let fixed = first.and_then(|first| first.backend.identity(&ask.request, &ask.headers));
        let identity = match fixed {
            Some(identity) if !self.shared.store.has_shared_ids() => identity,
            Some(Identity { created, .. }) => Identity {
                created,
                ..random_identity()?
            },
            None => random_identity()?,
        };
        let about = self.about(&ask, identity.created, route);
        let spec = Spec {
            id: Id::new(ask.request.form().id_prefix(), identity.id),
            owner: ask.owner,
            about: about.to_bytes(),
            grace: self.grace(&ask),
        };
        let producer = self.shared.store.create(spec).await?;
        let unfilled = Unfilled::new(producer, about.has_sequence);
        let Some(producer) = self.claimed(claim.as_ref(), unfilled).await? else {
            // Somebody was faster by a hair; theirs is the one to read, if it did not fail yet.
            return self.known(claim.as_ref()).await?.ok_or_else(Failure::retry);
        };
        let log = Arc::clone(producer.log());
        let reader = log.reader(Cursor::START).map_err(|_| Failure::internal())?;
        self.shared.activity.started(log.id(), &about.model);
        let completion = Arc::new(Completion::new(log, about, reservation.standing()));
        let ledger = self.shared.ledger.clone();
        let key = ask.key.as_ref().map(|key| key.name.clone());
        let account = Account::open(ledger, Arc::clone(&completion), (key, &route.name));
        let call = Rc::new(Call {
            id: completion.log.id().to_string(),
            created: identity.created,
            request: Rc::new(ask.request),
            headers: ask.headers,
            credentials: ask.credentials,
            partial: None,
        });
        let shared = Arc::clone(&self.shared);
        let account = account.traced(&call);
        let print = Fingerprint::of(ask.owner, route, &call);
        let pump = Pump::new(producer, account, route.clone(), call, shared);
        let pump = pump.holding(reservation).sharing(print);
        let pumps = &self.shared.pumps;
        pumps.spawn(Box::new(pump).run(pumps.stopping()));
        Ok(Started { completion, reader })
    }

    /// The completion that the request's idempotency key names, read from its beginning.
    async fn known(&self, claim: Option<&Claim>) -> Result<Option<Started>, Failure> {
        let Some(claim) = claim else {
            return Ok(None);
        };
        let claims = &self.shared.claims;
        let Some(claimed) = claims.get(claim).await? else {
            return Ok(None);
        };
        let log = match self.shared.store.find(claim.owner, &claimed.id).await? {
            Lookup::Found(log) if !is_void(&log) => log,
            Lookup::Found(_) | Lookup::Expired | Lookup::Unknown => {
                claims.free(claim, &claimed).await?;
                return Ok(None);
            }
        };
        if !claimed.is_same {
            let message = "This Idempotency-Key was used for a request with another body.";
            return Err(Failure::new(Code::IdempotencyMismatch, message));
        }
        let about = About::of(&log)?;
        let reader = log.reader(Cursor::START).map_err(|_| Failure::internal())?;
        let completion = Arc::new(Completion::new(log, about, None));
        Ok(Some(Started { completion, reader }))
    }

    /// Has the request's idempotency key stand for a log that is still empty, and gives its
    /// producer back; `None` if somebody has been faster, and the log is gone then.
    async fn claimed(
        &self,
        claim: Option<&Claim>,
        unfilled: Unfilled,
    ) -> Result<Option<Producer>, Failure> {
        let Some(claim) = claim else {
            return Ok(unfilled.into_producer());
        };
        let id = unfilled.id();
        let there = self.shared.claims.put(claim, &id).await;
        // One that is there already is this very claim where it had to be put twice.
        if matches!(&there, Ok(there) if there.as_ref().is_none_or(|there| there.id == id)) {
            return Ok(unfilled.into_producer());
        }
        drop(unfilled);
        // A store that cannot forget it lets it expire.
        let _ = self.shared.store.remove(claim.owner, &id).await;
        there.map(|_| None).map_err(Failure::from)
    }

    fn about(&self, ask: &Ask, created: u64, route: &Route) -> About {
        let total = route.clocks.total;
        let lifetime = total.saturating_add(self.shared.settings.retention);
        About {
            model: ask.request.params.model.clone(),
            form: ask.request.form(),
            created,
            is_streamed: ask.request.is_generated_as_stream(),
            has_sequence: ask.request.params.include_sequence == Some(true),
            is_patient: self.is_patient(ask),
            expiry: now().saturating_add(lifetime.as_secs()),
            recall: self.to_recall(ask, route),
        }
    }

    /// Nobody asked for another policy than to wait a while.
    fn is_patient(&self, ask: &Ask) -> bool {
        let is_grace = matches!(self.shared.settings.on_disconnect, OnDisconnect::Grace(_));
        is_grace && ask.on_disconnect.is_none() && !ask.request.is_background()
    }

    fn grace(&self, ask: &Ask) -> Grace {
        let settings = &self.shared.settings;
        if ask.request.is_background() {
            return settings.grace(OnDisconnect::Detach);
        }
        let policy = ask.on_disconnect.unwrap_or(settings.on_disconnect);
        let grace = settings.grace(policy);
        if ask.can_resume && self.is_patient(ask) {
            return grace.max(Grace(settings.resume_grace));
        }
        grace
    }

    /// The models that can be asked for with a key.
    ///
    /// # Errors
    /// [`Failure`] when no upstream of those that have to be asked answers.
    pub async fn models(&self, key: Option<&Arc<Key>>) -> Result<Vec<Model>, Failure> {
        let mut models = self.router.models().await?;
        models.retain(|model| may_use(key, &model.id));
        Ok(models)
    }

    /// One model by its name.
    ///
    /// # Errors
    /// [`Failure`] when it is not served here, or not with this key, or nobody can say.
    pub async fn model(&self, key: Option<&Arc<Key>>, name: &str) -> Result<Model, Failure> {
        check_model(key, name)?;
        let model = self.router.model(name).await?;
        model.ok_or_else(|| unknown_model(name))
    }

    /// Tells how the upstreams and the store are now.
    pub fn gauge(&self, metrics: &Metrics) {
        self.router.gauge(metrics);
        metrics.log_bytes(self.shared.store.held_bytes());
    }

    /// Whether new completions are taken.
    pub fn readiness(&self) -> Readiness {
        if self.shared.pumps.is_leaving() {
            return Readiness::Draining;
        }
        if !self.shared.store.is_available() {
            return Readiness::StoreUnavailable;
        }
        Readiness::Ready
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

    /// Waits until it is known what is done to the bytes of its reply.
    ///
    /// # Errors
    /// [`Failure`] when it failed before.
    pub async fn planned(&mut self) -> Result<(), Failure> {
        let completion = Arc::clone(&self.completion);
        select! {
            biased;
            () = completion.answered() => Ok(()),
            first = self.commit(Duration::MAX) => first,
        }
    }

    /// Waits for the end; the whole completion as JSON.
    ///
    /// # Errors
    /// [`Failure`] when it failed.
    pub async fn whole(&mut self) -> Result<Bytes, Failure> {
        let events = self.reader.rest().await;
        if self.completion.log.is_severed() {
            return Err(Failure::lost());
        }
        if let Some(failure) = self.completion.failure() {
            return Err(failure);
        }
        if let Some(whole) = events.iter().find(|event| event.kind == Kind::Whole) {
            return Ok(whole.frame.to_bytes());
        }
        let aside: Option<Value> = self.completion.log.aside().map(parse_aside);
        let usage = aside.as_ref().and_then(|aside| aside.get("usage"));
        let folded =
            fold(&events, self.completion.about.form, usage).map_err(|error| error.failure())?;
        Ok(folded.to_string().into())
    }

    fn failure(&self) -> Failure {
        if self.completion.log.is_severed() {
            return Failure::lost();
        }
        let failure = self.completion.failure();
        failure.unwrap_or_else(Failure::internal)
    }
}

impl Ask {
    /// The idempotency key and what it came with; another path's are others.
    fn claim(&self) -> Option<Claim> {
        let key = self.idempotency_key.as_ref()?;
        let path = self.request.form().path();
        let path = format!("/v1{path}");
        Some(Claim::new(self.owner, (&path, key), self.request.body()))
    }
}

fn parse_aside(aside: Bytes) -> Value {
    serde_json::from_slice(&aside).unwrap_or_default()
}

pub(super) fn unknown_model(name: &str) -> Failure {
    let message = format!("The model `{name}` is not served here; see GET /v1/models.");
    Failure::new(Code::ModelNotFound, message)
}

pub(super) fn random_identity() -> Result<Identity, Failure> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| Failure::internal())?;
    Ok(Identity { id, created: now() })
}

/// Seconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
