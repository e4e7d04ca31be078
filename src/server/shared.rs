//! What all worker threads share, made of the configuration.

use std::{path::Path, sync::Arc};

use actix_web::web::Data;

use super::{
    Address, Listening, ServeError,
    routes::{Healths, health, health_since},
};
use crate::{
    access::{Admission, Keyring, Limiter, MemoryLimiter, RedisLimiter, Room, Tickets},
    api::{Bodies, OriginPolicy, State},
    backend::{
        Clocks, LoadError,
        cassette::{Cassettes, OnMiss},
        mock::Control,
    },
    completion::{self, Activity, Cache, Claims, Heir, Ledger, Pumps, Sink, Stored},
    config::Config,
    metrics::Metrics,
    spans::{self, Exporter},
    stream::{
        MemoryShelf, MemoryStore, OnUnavailable, RedisStore, Shelf, ShelfLimits, StoreKind,
        StreamStore,
    },
    tokens::Tokens,
};

/// Where streams are kept, and where limits are counted.
pub(super) type Kept = (Arc<dyn StreamStore>, Arc<dyn Limiter>);

/// Both as they are configured. The store has its tasks on this thread,
/// which lives as long as the server.
pub(super) fn kept(config: &Config, heir: Heir) -> Result<Kept, ServeError> {
    Ok(match config.store.kind {
        StoreKind::Memory => (
            Arc::new(MemoryStore::new(&config.stream)),
            Arc::new(MemoryLimiter::default()),
        ),
        StoreKind::Redis => {
            let store = RedisStore::new(&config.store, &config.stream, Arc::new(heir))?;
            let is_own = config.store.on_unavailable == OnUnavailable::Unshared;
            let limiter = RedisLimiter::new(
                Arc::new(store.connections()),
                store.node(),
                (config.store.lease, is_own),
            );
            (Arc::new(store), Arc::new(limiter))
        }
    })
}

/// What all worker threads share, and what each makes its own service of.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) state: Data<State>,
    pub(super) policy: Data<OriginPolicy>,
    address: Address,
    pub(super) metrics: Data<Metrics>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) control: Arc<Control>,
    pub(super) cassettes: Option<Arc<Cassettes>>,
    // Of each model's upstreams.
    pub(super) health: Healths,
    pub(super) completions: completion::Shared,
}

impl Shared {
    pub(super) fn new(
        config: &Config,
        tokens: Arc<Tokens>,
        address: Address,
        (store, limiter): Kept,
    ) -> Result<(Self, Exporter), ServeError> {
        let control = Arc::new(control(config)?);
        let metrics: Arc<Metrics> = Arc::default();
        let state = State {
            keyring: Keyring::new(&config.auth.keys),
            tickets: Tickets::new(&config.auth.ticket_secret)?,
            public_url: config.server.public_url.trim_end_matches('/').to_owned(),
            trusted_proxies: config.server.trusted_proxies.clone(),
            limits: config.limits.clone(),
            stream: Arc::new(config.stream.clone()),
            forward_headers: lower_case(&config.server.forward_headers),
            bodies: Bodies::new(Arc::clone(&metrics)),
            mock: config.is_all_mock().then(|| Arc::clone(&control)),
        };
        let sink = Sink::open(&config.usage).map_err(ServeError::Sink)?;
        let (spans, exporter) = spans::start(&config.otlp, &metrics)?;
        let cassettes = cassettes(config)?;
        let completions = completion::Shared {
            claims: Arc::new(claims(config, &*store)),
            cache: Arc::new(cache(config, &*store)),
            stored: Arc::new(stored(config, &*store)),
            store,
            settings: Arc::clone(&state.stream),
            pumps: Pumps::default(),
            activity: Activity::default(),
            ledger: Ledger::new(
                &config.usage,
                (sink, spans),
                (Arc::clone(&tokens), Arc::clone(&metrics)),
            ),
            admission: Arc::new(Admission::new(limiter, room(config))),
            assumed_tokens: config.limits.assumed_tokens,
        };
        let shared = Self {
            config: Arc::new(config.clone()),
            state: Data::new(state),
            policy: Data::new(origin_policy(config, &address)),
            address,
            metrics: metrics.into(),
            tokens,
            control,
            cassettes,
            health: health(config),
            completions,
        };
        Ok((shared, exporter))
    }

    /// The same under other settings. Streams, counts and what is known of upstreams that stay
    /// go on.
    pub(super) fn with(&self, config: Config) -> Self {
        let health = match config.models == self.config.models {
            true => Arc::clone(&self.health),
            false => health_since(&config, &self.config.models, &self.health),
        };
        let limits = &config.limits;
        let size = (limits.streams, limits.queue, limits.queue_timeout);
        let admission = self.completions.admission.resized(size.0, size.1, size.2);
        let completions = completion::Shared {
            admission: Arc::new(admission),
            assumed_tokens: limits.assumed_tokens,
            ..self.completions.clone()
        };
        let state = State {
            keyring: Keyring::new(&config.auth.keys),
            limits: limits.clone(),
            ..(**self.state).clone()
        };
        Self {
            state: Data::new(state),
            policy: Data::new(origin_policy(&config, &self.address)),
            config: Arc::new(config),
            health,
            completions,
            ..self.clone()
        }
    }

    pub(super) fn listening(&self) -> Listening {
        Listening {
            address: self.address.clone(),
            pumps: self.completions.pumps.clone(),
            bodies: self.state.bodies.clone(),
        }
    }
}

/// What the workers of the mock share.
fn control(config: &Config) -> Result<Control, LoadError> {
    let named = Some(Path::new(&config.mock.prompts)).filter(|path| !path.as_os_str().is_empty());
    Control::new(named, &config.mock.profiles, config.mock.journal)
}

/// The places that this node has for answers.
fn room(config: &Config) -> Room {
    let limits = &config.limits;
    Room::new(limits.streams, limits.queue, limits.queue_timeout)
}

/// The cassettes, whose folder is made where something is to be recorded.
fn cassettes(config: &Config) -> Result<Option<Arc<Cassettes>>, LoadError> {
    let mock = &config.mock;
    if mock.cassettes.is_empty() {
        return Ok(None);
    }
    let folder = Path::new(&mock.cassettes);
    let cassettes = match mock.on_miss {
        OnMiss::Record => Cassettes::make(folder)?,
        OnMiss::Error | OnMiss::Mock => Cassettes::load(folder)?,
    };
    Ok(Some(Arc::new(cassettes)))
}

/// Idempotency keys. None outlives the longest stream and its retention. Where streams may begin
/// unshared, so may their keys.
fn claims(config: &Config, store: &dyn StreamStore) -> Claims {
    let totals = config.models.iter().map(|model| model.total);
    let longest = totals.max().unwrap_or(Clocks::default().total);
    let limits = ShelfLimits {
        max: config.stream.max_idempotency_keys,
        max_bytes: usize::MAX,
        keep: longest.saturating_add(config.stream.retention),
    };
    let own: Option<Arc<dyn Shelf>> = match (config.store.kind, config.store.on_unavailable) {
        (StoreKind::Redis, OnUnavailable::Unshared) => Some(Arc::new(MemoryShelf::new(limits))),
        (StoreKind::Redis, OnUnavailable::Refuse) | (StoreKind::Memory, _) => None,
    };
    Claims::new(store.shelf("idempotency", limits), own)
}

/// The answers that may be shared. Where finished ones are is forgotten with their streams.
fn cache(config: &Config, store: &dyn StreamStore) -> Cache {
    let max = config.stream.max_cached_answers;
    let limits = ShelfLimits {
        max,
        max_bytes: usize::MAX,
        keep: config.stream.retention,
    };
    Cache::new(store.shelf("answers", limits), max)
}

/// The completions that are kept. Those that stand for none are a mock's affair.
fn stored(config: &Config, store: &dyn StreamStore) -> Stored {
    let stored = Stored::new(store.shelf("stored", config.stored.limits()));
    match config.is_all_mock() {
        true => stored.with_placeholders(&config.stored.placeholders),
        false => stored,
    }
}

fn origin_policy(config: &Config, address: &Address) -> OriginPolicy {
    let is_any = config.is_all_mock() || !config.auth.keys.is_empty();
    let is_open = config.server.open && !address.is_local();
    let mut hosts = vec![config.server.host.clone()];
    hosts.extend(config.server.public_host());
    let mut origins = config.cors.origins.clone();
    if !config.server.public_url.is_empty() {
        origins.push(config.server.public_url.trim_end_matches('/').to_owned());
    }
    OriginPolicy {
        is_any,
        origins,
        hosts: (!is_any && !is_open).then_some(hosts),
    }
}

fn lower_case(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.to_lowercase()).collect()
}
