//! The composition root: names the concrete stores and backends, binds, drains, stops.

mod connection;
mod http;
mod reload;
mod routes;
mod settings;
mod shared;
mod tls;
mod worker;

use std::{future::Future, io, rc::Rc, sync::Arc, thread, time::Duration};

use actix_web::{
    App,
    dev::{Server, Service},
    middleware::from_fn,
    rt::System,
    web::{self, Data},
};
use tokio::sync::watch;

use crate::{
    access::Limiter,
    api::{self, Bodies},
    backend::LoadError,
    completion::{Heir, Pumps},
    config::Config,
    spans,
    stream::StreamStore,
    tokens::Tokens,
};
pub use connection::Address;
use connection::{Listener, listen};
use reload::Reload;
pub use settings::Settings;
use shared::{Shared, kept};
pub use tls::{TlsError, TlsSettings};
use worker::Worker;

/// How long the last bytes may take to be written once every stream has ended.
const LAST_WRITES: Duration = Duration::from_secs(2);

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
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
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
    pub address: Address,
    /// The streams under way.
    pub pumps: Pumps,
    /// The streams that are being written.
    pub bodies: Bodies,
}

/// Serves until what `stop` returns resolves, then drains. Blocks the thread meanwhile. `tokens` are
/// loaded when they are first needed, if they are not yet.
///
/// `stop` is called within the runtime before `on_listening`, so that a signal that follows
/// the start-up message at once is not lost.
///
/// # Errors
/// [`ServeError`] when it cannot start, or stops by itself.
pub fn run<S: Future<Output = ()>>(
    config: Config,
    tokens: Arc<Tokens>,
    on_listening: impl FnOnce(&Listening),
    stop: impl FnOnce() -> S,
) -> Result<(), ServeError> {
    System::new().block_on(async { serve(config, tokens, on_listening, stop()).await })
}

async fn serve(
    config: Config,
    tokens: Arc<Tokens>,
    on_listening: impl FnOnce(&Listening),
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (listener, address, socket_file) = listen(&config.server)?;
    let (heir, inherited) = Heir::new();
    let (store, limiter) = kept(&config, heir)?;
    let kept = (Arc::clone(&store), Arc::clone(&limiter));
    let (shared, mut exporter) = Shared::new(&config, tokens, address, kept)?;
    let control = Arc::clone(&shared.control);
    let sink = shared.completions.ledger.sink().clone();
    let listening = shared.listening();
    let live = watch::Sender::new(Arc::new(shared));
    let certificate = match &listener {
        Listener::Tls(_, certificate) => Some(Arc::clone(certificate)),
        Listener::Tcp(_) | Listener::Unix(_) => None,
    };
    let mut server =
        http_server(&config, live.subscribe(), listener).map_err(ServeError::Stopped)?;
    let heir = Worker::new(live.subscribe());
    let reload = Reload::new(live, certificate);
    let handle = server.handle();
    on_listening(&listening);
    tokio::select! {
        ended = &mut server => return ended.map_err(ServeError::Stopped),
        () = store.tend() => {}
        () = control.tend() => {}
        () = inherited.go_on(|| heir.service()) => {}
        () = limiter.tend() => {}
        () = exporter.run() => {}
        () = reload.tend() => {}
        () = drain(stop, &listening, (&config.server, store.has_shared_ids())) => {}
    }
    settle(&*store, &*limiter).await;
    // Sent at once; the server itself says when it is done.
    drop(handle.stop(true));
    let stopped = server.await.map_err(ServeError::Stopped);
    drop(socket_file);
    exporter.flush(LAST_WRITES).await;
    // Nothing is served any more, so that nobody minds a thread that waits.
    sink.flush(LAST_WRITES);
    stopped
}

/// A server on this socket. Each worker thread calls for an application of its own.
fn http_server(
    config: &Config,
    live: watch::Receiver<Arc<Shared>>,
    listener: Listener,
) -> io::Result<Server> {
    let app = move || {
        let worker = Rc::new(Worker::new(live.clone()));
        let shared = Arc::clone(&live.borrow());
        App::new()
            .app_data(shared.metrics.clone())
            .app_data(Data::new(shared.completions.activity.clone()))
            .configure(api::routes)
            .default_service(web::to(api::fallback))
            .wrap(from_fn(api::unchunked))
            .wrap(from_fn(api::bounded))
            .wrap(from_fn(api::guard))
            .wrap_fn(move |mut request, next| {
                request.add_data_container(worker.data());
                next.call(request)
            })
            .wrap(from_fn(api::request_id))
    };
    http::server(config, workers(config), listener, app)
}

/// Other nodes have to know how the streams of this one ended. What is late is lost to them.
async fn settle(store: &dyn StreamStore, limiter: &dyn Limiter) {
    let settled = async { tokio::join!(store.settle(), limiter.settle()) };
    if tokio::time::timeout(LAST_WRITES, settled).await.is_err() {
        tracing::warn!("not every stream's end could be shared");
    }
}

/// Waits for the stop, for those who send work to notice, for the streams, and for their last bytes.
/// New connections are accepted meanwhile: what is unready must still be able to say so.
async fn drain(
    stop: impl Future<Output = ()>,
    listening: &Listening,
    (settings, is_shared): (&Settings, bool),
) {
    stop.await;
    tracing::info!(streams = listening.pumps.count(), "draining");
    if !settings.drain_delay.is_zero() {
        listening.pumps.leave();
        tokio::time::sleep(settings.drain_delay).await;
    }
    if is_shared {
        // Another node can take them, and by now has them sent to it.
        listening.bodies.part();
    }
    listening.pumps.drain(settings.drain).await;
    listening.bodies.written(LAST_WRITES).await;
}

fn workers(config: &Config) -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    match config.server.workers {
        // The mock shares its machine with what is tested against it.
        0 if config.is_all_mock() => processors.div_ceil(2),
        0 => processors,
        set => set,
    }
}
