//! The composition root: names the concrete stores and backends, binds, drains, stops.

use std::{
    any::Any,
    future::Future,
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::Path,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    dev::Extensions,
    http::Uri,
    middleware::from_fn,
    rt::{System, net::TcpStream},
    web::{self, Data},
};
use serde::Deserialize;
use utoipa_actix_web::AppExt;

use crate::{
    access::{Admission, Keyring, Limiter, MemoryLimiter, RedisLimiter, Room, Tickets},
    api::{self, Bodies, Line, OriginPolicy, State},
    backend::{
        Backend, Balance, CacheSettings, Clocks, Health, LoadError, ModelSettings, OnLoss, Route,
        Router, Target,
        cassette::{Cassettes, OnMiss, Recording},
        mock::{Control, Mock},
        upstream::{Limits, Upstream, UpstreamSettingsError},
    },
    completion::{self, Activity, Cache, Claims, Heir, Ledger, Pumps, Service, Sink, Stored},
    config::Config,
    metrics::Metrics,
    spans::{self, Exporter},
    stream::{
        MemoryShelf, MemoryStore, OnUnavailable, RedisStore, Shelf, ShelfLimits, StoreKind,
        StreamStore,
    },
    tokens::Tokens,
};

/// How long the last bytes may take to be written once every stream has ended.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// Sockets that wait to be accepted.
const BACKLOG: u32 = 2048;

/// The `[server]` section of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address or name to listen on.
    pub host: String,
    /// The port; 0 for any free one.
    pub port: u16,
    /// How others reach this server; empty if only by its address.
    pub public_url: String,
    /// HTTP/2 without TLS too, for proxies that begin with it.
    pub http2: bool,
    /// Serve beyond this machine although anyone can then use the upstream's key.
    pub open: bool,
    /// How long streams may go on after a stop was asked for.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// Headers of the client's that go upstream beside the usual ones.
    pub forward_headers: Vec<String>,
    /// Worker threads; 0 for one per core.
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

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// No secret for tickets.
    #[error(transparent)]
    Secret(#[from] crate::access::SecretError),
    /// The store of streams cannot be used.
    #[error("store.url: {0}")]
    Store(#[from] crate::stream::SetupError),
    /// Usage records cannot be written.
    #[error("usage.sink: {0}")]
    Sink(#[source] io::Error),
    /// Traces cannot be sent.
    #[error(transparent)]
    Spans(#[from] spans::SettingsError),
    /// A scenario or a cassette cannot be used.
    #[error(transparent)]
    File(#[from] LoadError),
    /// It stopped by itself.
    #[error("the server stopped: {0}")]
    Stopped(#[source] io::Error),
}

/// A server that listens and is about to answer.
#[derive(Debug, Clone)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    /// The streams under way.
    pub pumps: Pumps,
    /// The streams that are being written.
    pub bodies: Bodies,
}

/// Serves until what `stop` returns resolves, then drains. Blocks the thread meanwhile.
///
/// `stop` is called within the runtime before `on_listening`, so that a signal that follows
/// the start-up message at once is not lost.
///
/// # Errors
/// [`ServeError`] when it cannot start, or stops by itself.
pub fn run<S: Future<Output = ()>>(
    config: Config,
    on_listening: impl FnOnce(&Listening),
    stop: impl FnOnce() -> S,
) -> Result<(), ServeError> {
    System::new().block_on(async { serve(config, on_listening, stop()).await })
}

async fn serve(
    config: Config,
    on_listening: impl FnOnce(&Listening),
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let listener = listen(&config.server)?;
    let address = listener.local_addr().map_err(ServeError::Stopped)?;
    let (heir, inherited) = Heir::new();
    let (store, limiter) = kept(&config, heir)?;
    let kept = (Arc::clone(&store), Arc::clone(&limiter));
    let (shared, mut exporter) = Shared::new(&config, address, kept)?;
    let control = Arc::clone(&shared.control);
    let sink = shared.completions.ledger.sink().clone();
    let listening = shared.listening(address);
    let heir = shared.service();
    // One call of this per worker thread: each has backends and connections of its own.
    let app = move || {
        App::new()
            .app_data(shared.state.clone())
            .app_data(Data::new(shared.service()))
            .app_data(shared.policy.clone())
            .app_data(shared.metrics.clone())
            .app_data(Data::new(shared.completions.activity.clone()))
            .into_utoipa_app()
            .configure(api::routes)
            .into_app()
            .default_service(web::to(api::fallback))
            .wrap(from_fn(api::unchunked))
            .wrap(from_fn(api::bounded))
            .wrap(from_fn(api::guard))
            .wrap(from_fn(api::request_id))
    };
    let server = HttpServer::new(app)
        .workers(workers(config.server.workers))
        .backlog(BACKLOG)
        .max_connections(config.limits.connections)
        .client_request_timeout(config.limits.head_timeout)
        .keep_alive(config.limits.keep_alive)
        // Off, the first chunk of a stream waits for the head's acknowledgement.
        .tcp_nodelay(true)
        // A client's FIN is its leaving.
        .h1_allow_half_closed(false)
        .on_connect(on_connect(
            config.stream.write_deadline,
            config.is_all_mock(),
        ))
        .shutdown_timeout(LAST_WRITES.as_secs())
        .disable_signals();
    let server = match config.server.http2 {
        true => server.listen_auto_h2c(listener),
        false => server.listen(listener),
    };
    let mut server = server.map_err(ServeError::Stopped)?.run();
    let handle = server.handle();
    on_listening(&listening);
    tokio::select! {
        ended = &mut server => return ended.map_err(ServeError::Stopped),
        () = store.tend() => {}
        () = control.tend() => {}
        () = heir.inherit(inherited) => {}
        () = limiter.tend() => {}
        () = exporter.run() => {}
        () = drain(stop, &listening, config.server.drain) => {}
    }
    settle(&*store, &*limiter).await;
    // Sent at once; the server itself says when it is done.
    drop(handle.stop(true));
    let stopped = server.await.map_err(ServeError::Stopped);
    exporter.flush(LAST_WRITES).await;
    // Nothing is served any more, so that nobody minds a thread that waits.
    sink.flush(LAST_WRITES);
    stopped
}

/// Other nodes have to know how the streams of this one ended. What is late is lost to them.
async fn settle(store: &dyn StreamStore, limiter: &dyn Limiter) {
    let settled = async { tokio::join!(store.settle(), limiter.settle()) };
    if tokio::time::timeout(LAST_WRITES, settled).await.is_err() {
        tracing::warn!("not every stream's end could be shared");
    }
}

/// Where streams are kept, and where limits are counted.
type Kept = (Arc<dyn StreamStore>, Arc<dyn Limiter>);

/// Both as they are configured. The store has its tasks on this thread,
/// which lives as long as the server.
fn kept(config: &Config, heir: Heir) -> Result<Kept, ServeError> {
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

/// Waits for the stop, then for the streams, then for their last bytes.
/// New connections are accepted meanwhile: what is unready must still be able to say so.
async fn drain(stop: impl Future<Output = ()>, listening: &Listening, patience: Duration) {
    stop.await;
    tracing::info!(streams = listening.pumps.count(), "draining");
    listening.pumps.drain(patience).await;
    listening.bodies.written(LAST_WRITES).await;
}

/// What all worker threads share, and what each makes its own service of.
#[derive(Clone)]
struct Shared {
    config: Arc<Config>,
    state: Data<State>,
    policy: Data<OriginPolicy>,
    metrics: Data<Metrics>,
    tokens: Arc<Tokens>,
    control: Arc<Control>,
    cassettes: Option<Arc<Cassettes>>,
    // Of each model's upstreams.
    health: Arc<[Vec<Arc<Health>>]>,
    completions: completion::Shared,
}

impl Shared {
    fn new(
        config: &Config,
        address: SocketAddr,
        (store, limiter): Kept,
    ) -> Result<(Self, Exporter), ServeError> {
        let control = Arc::new(control(config)?);
        let metrics: Arc<Metrics> = Arc::default();
        let state = State {
            keyring: Keyring::new(&config.auth.keys),
            tickets: Tickets::new(&config.auth.ticket_secret)?,
            public_url: config.server.public_url.trim_end_matches('/').to_owned(),
            limits: config.limits.clone(),
            stream: Arc::new(config.stream.clone()),
            forward_headers: lower_case(&config.server.forward_headers),
            bodies: Bodies::new(Arc::clone(&metrics)),
            mock: config.is_all_mock().then(|| Arc::clone(&control)),
        };
        let tokens: Arc<Tokens> = Arc::default();
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
            policy: Data::new(origin_policy(config, address)),
            metrics: metrics.into(),
            tokens,
            control,
            cassettes,
            health: health(config),
            completions,
        };
        Ok((shared, exporter))
    }

    fn listening(&self, address: SocketAddr) -> Listening {
        Listening {
            address,
            pumps: self.completions.pumps.clone(),
            bodies: self.state.bodies.clone(),
        }
    }

    fn service(&self) -> Service {
        let routes = self.routes().unwrap_or_else(|error| {
            // The settings were checked at start; what fails here is the machine.
            tracing::error!(%error, "an upstream cannot be used");
            Vec::new()
        });
        Service::new(Router::new(routes), self.completions.clone())
    }

    fn routes(&self) -> Result<Vec<Route>, UpstreamSettingsError> {
        if self.config.models.is_empty() {
            return Ok(vec![self.mock("*", Clocks::default())]);
        }
        let models = self.config.models.iter().zip(&*self.health);
        models
            .map(|(model, health)| self.route(model, health))
            .collect()
    }

    fn new_mock(&self) -> Mock {
        let (control, tokens) = (Arc::clone(&self.control), Arc::clone(&self.tokens));
        let mock = Mock::new(self.config.mock.clone(), control, tokens);
        mock.replaying(self.cassettes.clone())
    }

    /// An upstream, and where there are cassettes, what is recorded of it.
    fn backend(&self, upstream: Upstream) -> Rc<dyn Backend> {
        let Some(cassettes) = &self.cassettes else {
            return Rc::new(upstream);
        };
        let upstream = upstream.recorded(Arc::clone(cassettes));
        let asks_all = self.config.mock.rerecord;
        let pair = (self.new_mock(), upstream);
        Rc::new(Recording::new(Arc::clone(cassettes), pair, asks_all))
    }

    /// A model that the mock answers for.
    fn mock(&self, name: &str, clocks: Clocks) -> Route {
        let target = target("mock", Rc::new(self.new_mock()), 1, Arc::default());
        Route {
            name: name.to_owned(),
            targets: [target].into(),
            balance: Balance::Ordered,
            on_upstream_loss: OnLoss::Error,
            on_owner_loss: OnLoss::Error,
            clocks,
            cache: CacheSettings::default(),
        }
    }

    fn route(
        &self,
        model: &ModelSettings,
        health: &[Arc<Health>],
    ) -> Result<Route, UpstreamSettingsError> {
        if model.mock {
            return Ok(self.mock(&model.name, model.clocks()));
        }
        let limits = Limits {
            event_bytes: self.config.stream.event_bytes,
            whole_bytes: self.config.stream.log_bytes,
        };
        let targets = model
            .upstreams
            .iter()
            .zip(health)
            .map(|(upstream, health)| {
                let backend = self.backend(Upstream::new(upstream, model.connect, limits)?);
                let health = Arc::clone(health);
                Ok(target(&upstream.label(), backend, upstream.weight, health))
            });
        Ok(Route {
            name: model.name.clone(),
            targets: targets.collect::<Result<_, _>>()?,
            balance: model.balance,
            on_upstream_loss: model.on_upstream_loss,
            on_owner_loss: model.on_owner_loss,
            clocks: model.clocks(),
            cache: model.cache,
        })
    }
}

fn target(label: &str, backend: Rc<dyn Backend>, weight: u32, health: Arc<Health>) -> Target {
    Target {
        label: label.into(),
        backend,
        health,
        weight,
        turn: Rc::default(),
    }
}

/// How the upstreams of each model are doing: nobody knows yet.
fn health(config: &Config) -> Arc<[Vec<Arc<Health>>]> {
    let unknown = |model: &ModelSettings| {
        let upstreams = model.upstreams.iter();
        upstreams.map(|_| Arc::default()).collect()
    };
    config.models.iter().map(unknown).collect()
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

fn listen(settings: &Settings) -> Result<TcpListener, ServeError> {
    let bind = || {
        let addresses: Vec<_> = (&settings.host[..], settings.port)
            .to_socket_addrs()?
            .collect();
        TcpListener::bind(&addresses[..])
    };
    bind().map_err(|source| ServeError::Bind {
        address: format!("{}:{}", settings.host, settings.port),
        source,
    })
}

fn origin_policy(config: &Config, address: SocketAddr) -> OriginPolicy {
    let is_any = config.is_all_mock() || !config.auth.keys.is_empty();
    let is_open = config.server.open && !address.ip().is_loopback();
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

/// What is done with every connection that is accepted.
fn on_connect(write_deadline: Duration, is_mock: bool) -> impl Fn(&dyn Any, &mut Extensions) {
    move |connection, data| {
        let Some(connection) = connection.downcast_ref::<TcpStream>() else {
            return;
        };
        set_write_deadline(connection, write_deadline);
        if is_mock {
            data.insert(Line::to(connection));
        }
    }
}

/// Cuts off a client that acknowledges nothing for so long. The body cannot do it: once its
/// bytes are queued, nobody polls it.
fn set_write_deadline(connection: &TcpStream, deadline: Duration) {
    let socket = socket2::SockRef::from(connection);
    if let Err(error) = socket.set_tcp_user_timeout(Some(deadline)) {
        tracing::debug!(%error, "no write deadline on this connection");
    }
}

fn workers(setting: usize) -> usize {
    if setting > 0 {
        return setting;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn lower_case(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.to_lowercase()).collect()
}
