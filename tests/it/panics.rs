//! What panics takes nothing else with it: its own stream ends as it has to, and is written down.

use std::{
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::ServerHandle,
    middleware::from_fn,
    rt::System,
    web::{self, Data},
};
use bytes::Bytes;
use futures_util::{StreamExt, future::LocalBoxFuture, stream};
use tokenfall::{
    access::{Admission, Keyring, MemoryLimiter, Room, Tickets},
    api::{self, Bodies, State, TrustedProxies},
    backend::{
        Answer, Backend, BackendError, Balance, Body, CacheSettings, Call, Chunk, Clocks, OnLoss,
        Route, Router, Step, Target, UnaryAnswer, UnaryCall,
    },
    completion::{Activity, Cache, Claims, Ledger, Pumps, Service, Shared, Sink, Stored},
    config::Config,
    metrics::Metrics,
    openai::{Model, scan},
    spans,
    stream::{MemoryStore, ShelfLimits, StreamStore},
    tokens::Tokens,
};
use tokio::sync::Notify;

use crate::{
    chunks::{STREAM, WHOLE, finish, frame, text},
    gate::wait_until,
    http::{Connection, fetch, post, post_to, request},
    usage::Records,
};

/// Does what the name of the model says.
struct Fragile(Arc<Notify>);

impl Backend for Fragile {
    fn takes_any_name(&self) -> bool {
        true
    }

    fn open(&self, call: Rc<Call>) -> LocalBoxFuture<'_, Result<Answer, BackendError>> {
        let model = call.request.params.model.clone();
        assert!(model != "open", "a backend broke");
        let gate = Arc::clone(&self.0);
        let steps = [text("one"), finish()].into_iter().enumerate();
        let steps = stream::iter(steps).then(move |(number, json)| {
            let (gate, model) = (Arc::clone(&gate), model.clone());
            async move {
                match (number, &*model) {
                    (1, "chunk") => panic!("a chunk of {model} broke"),
                    (1, "gate") => gate.notified().await,
                    (_, _) => {}
                }
                let json = Bytes::from(json);
                let facts = scan(&json).expect("a chunk");
                Ok(Step::Chunk(Chunk::new(json, facts)))
            }
        });
        let done = stream::once(async { Ok(Step::Done) });
        let body = Body::Chunks(Box::pin(steps.chain(done)));
        Box::pin(async move {
            Ok(Answer {
                headers: Vec::new(),
                body,
                plan: None,
            })
        })
    }

    fn reply<'a>(
        &'a self,
        _: &'a UnaryCall,
    ) -> LocalBoxFuture<'a, Result<UnaryAnswer, BackendError>> {
        Box::pin(async { panic!("a reply broke") })
    }

    fn models(&self) -> LocalBoxFuture<'_, Result<Vec<Model>, BackendError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// A server with one worker, whose only backend is fragile.
struct Server {
    address: SocketAddr,
    gate: Arc<Notify>,
    pumps: Pumps,
    records: Records,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        let records = Records::new();
        let settings = format!("usage.sink = {}\nusage.estimate = false", records.setting());
        let config = Config::from_toml(&settings).expect("valid settings");
        let gate: Arc<Notify> = Arc::default();
        let metrics: Arc<Metrics> = Arc::default();
        let shared = shared(&config, &metrics);
        let pumps = shared.pumps.clone();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an open socket");
        let (tell, told) = mpsc::sync_channel(1);
        let of_server = (shared, state(&config, &metrics), Arc::clone(&gate));
        let thread = thread::spawn(move || {
            System::new().block_on(async move {
                let server = serve(of_server, Data::from(metrics), listener);
                tell.send(server.handle()).expect("somebody waits");
                server.await.expect("it serves");
            });
        });
        Self {
            address,
            gate,
            pumps,
            records,
            handle: told.recv().expect("it starts"),
            thread: Some(thread),
        }
    }

    fn ask(&self, model: &str, body: &str) -> crate::reply::Reply {
        fetch(self.address, &post(of_model(model, body), &[]))
    }

    /// Ends its worker and all that runs there, at once.
    fn kill(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn of_model(model: &str, body: &str) -> String {
    body.replace("\"m\"", &format!("\"{model}\""))
}

fn shared(config: &Config, metrics: &Arc<Metrics>) -> Shared {
    let store: Arc<dyn StreamStore> = Arc::new(MemoryStore::new(&config.stream));
    let limits = ShelfLimits {
        max: 10,
        max_bytes: 1_000_000,
        keep: Duration::from_secs(60),
    };
    let sink = Sink::open(&config.usage).expect("a file");
    let (spans, _) = spans::start(&config.otlp, metrics).expect("valid settings");
    let counts: (Arc<Tokens>, _) = (Arc::default(), Arc::clone(metrics));
    let room = Room::new(10, 10, Duration::from_secs(1));
    Shared {
        claims: Arc::new(Claims::new(store.shelf("idempotency", limits), None)),
        stored: Arc::new(Stored::new(store.shelf("stored", limits))),
        cache: Arc::new(Cache::new(store.shelf("answers", limits), 10)),
        store,
        settings: Arc::new(config.stream.clone()),
        pumps: Pumps::default(),
        activity: Activity::default(),
        ledger: Ledger::new(&config.usage, (sink, spans), counts),
        admission: Arc::new(Admission::new(Arc::new(MemoryLimiter::default()), room)),
        assumed_tokens: 10,
    }
}

fn state(config: &Config, metrics: &Arc<Metrics>) -> Data<State> {
    Data::new(State {
        keyring: Keyring::new(&[]),
        tickets: Tickets::new("secret").expect("a secret"),
        public_url: String::new(),
        trusted_proxies: TrustedProxies::default(),
        limits: config.limits.clone(),
        stream: Arc::new(config.stream.clone()),
        forward_headers: Vec::new(),
        bodies: Bodies::new(Arc::clone(metrics)),
        mock: None,
    })
}

fn serve(
    (shared, state, gate): (Shared, Data<State>, Arc<Notify>),
    metrics: Data<Metrics>,
    listener: TcpListener,
) -> actix_web::dev::Server {
    let app = move || {
        let target = Target {
            label: "fragile".into(),
            backend: Rc::new(Fragile(Arc::clone(&gate))),
            health: Arc::default(),
            weight: 1,
            turn: Rc::default(),
        };
        let route = Route {
            name: "*".into(),
            targets: [target].into(),
            balance: Balance::Ordered,
            clocks: Clocks::default(),
            on_upstream_loss: OnLoss::default(),
            on_owner_loss: OnLoss::default(),
            cache: CacheSettings::default(),
        };
        App::new()
            .app_data(state.clone())
            .app_data(metrics.clone())
            .app_data(Data::new(Service::new(
                Router::new(vec![route]),
                shared.clone(),
            )))
            .configure(api::routes)
            .route("/handler", web::get().to(broken_handler))
            .route("/body", web::get().to(broken_body))
            .wrap(from_fn(api::request_id))
    };
    let server = HttpServer::new(app).workers(1).disable_signals();
    server.listen(listener).expect("a socket").run()
}

async fn broken_handler() -> HttpResponse {
    panic!("a handler broke")
}

async fn broken_body() -> HttpResponse {
    let pieces = stream::iter(0..2).map(|number| {
        assert!(number == 0, "a body broke");
        Ok::<_, std::io::Error>(Bytes::from_static(b"one"))
    });
    HttpResponse::Ok().streaming(pieces)
}

/// Which ends are written down.
fn ends(records: &Records, count: usize) -> Vec<String> {
    let mut ends: Vec<_> = records
        .wait_for(count)
        .iter()
        .map(|record| record["end"].as_str().expect("an end").to_owned())
        .collect();
    ends.sort();
    ends
}

#[test]
fn a_stream_whose_backend_panics_ends_and_others_on_its_worker_go_on() {
    let server = Server::start();
    let mut other = Connection::open(server.address);
    other.send(&post(of_model("gate", STREAM), &[]));
    let head = other.head();
    let begun = other.chunks_until("one");
    let reply = server.ask("chunk", STREAM);
    let error = reply.assert_breaks_off(&frame(&text("one")), "internal_error");
    assert!(!error.to_string().contains("broke"), "{error}");
    server.gate.notify_one();
    let whole = frame(&text("one")) + &frame(&finish());
    other.rest(head, begun).assert_streams(&whole);
    server.ask("good", STREAM).assert_streams(&whole);
    wait_until("the pumps to end", || server.pumps.count() == 0);
    assert_eq!(
        ends(&server.records, 3),
        ["completed", "completed", "internal_error"]
    );
}

#[test]
fn a_panic_before_the_first_byte_is_a_status() {
    let server = Server::start();
    for body in [STREAM, WHOLE] {
        let reply = server.ask("open", body);
        let error = reply.assert_refused(500, "internal_error");
        assert!(!error.to_string().contains("broke"), "{error}");
    }
    assert_eq!(
        ends(&server.records, 2),
        ["internal_error", "internal_error"]
    );
}

#[test]
fn a_panic_in_a_handler_is_a_status() {
    let server = Server::start();
    let embed = r#"{"model":"m","input":"a"}"#;
    for request in [
        request("GET", "/handler", &[("x-request-id", "mine")]),
        post_to("/v1/embeddings", embed, &[("x-request-id", "mine")]),
    ] {
        let reply = fetch(server.address, &request);
        let error = reply.assert_refused(500, "internal_error");
        assert!(!error.to_string().contains("broke"), "{error}");
        assert_eq!(reply.head.header("x-request-id"), Some("mine"));
    }
    let whole = frame(&text("one")) + &frame(&finish());
    server.ask("good", STREAM).assert_streams(&whole);
}

#[test]
fn a_panic_while_a_body_is_written_cuts_that_connection_and_no_other() {
    let server = Server::start();
    let mut other = Connection::open(server.address);
    other.send(&post(of_model("gate", STREAM), &[]));
    let head = other.head();
    let begun = other.chunks_until("one");
    let mut broken = Connection::open(server.address);
    broken.send(&request("GET", "/body", &[]));
    assert!(!broken.read_to_cut().ends_with("0\r\n\r\n"));
    server.gate.notify_one();
    let whole = frame(&text("one")) + &frame(&finish());
    other.rest(head, begun).assert_streams(&whole);
}

#[test]
fn a_pump_that_is_lost_with_its_worker_is_written_down() {
    let mut server = Server::start();
    let mut client = Connection::open(server.address);
    client.send(&post(of_model("gate", STREAM), &[]));
    client.head();
    client.chunks_until("one");
    server.kill();
    assert_eq!(ends(&server.records, 1), ["internal_error"]);
    // It is counted until all that it had is gone, which is after its record.
    wait_until("the pump to end", || server.pumps.count() == 0);
}
