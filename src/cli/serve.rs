//! `tokenfall serve`.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use toml::{Table, Value};

use super::{FAILED, INTERRUPTED, ServeArgs, WRONG_INPUT, fail, raise_open_files, say, warn};
use crate::{
    backend::{cassette::OnMiss, mock},
    config::{Config, Flag},
    server::{self, Address, Listening, ServeError},
    telemetry,
};

const PROMPTS: &str = "prompts";

pub(super) fn run(args: ServeArgs) -> ExitCode {
    let file = args.config.config.clone();
    let stops_at_eof = args.stop_at_eof;
    run_with(file.as_deref(), flags(args), stops_at_eof)
}

/// Serves with these settings, and stops at the end of standard input if that is asked for.
pub(super) fn run_with(file: Option<&Path>, flags: Vec<Flag>, stops_at_eof: bool) -> ExitCode {
    let mut config = match Config::load(file, flags) {
        Ok(config) => config,
        Err(error) => return fail(WRONG_INPUT, &error),
    };
    use_prompts(&mut config);
    if let Err(error) = telemetry::start(&config.server.log) {
        return fail(WRONG_INPUT, &error);
    }
    raise_open_files();
    let upstream = upstream(&config);
    let on_listening = |l: &Listening| greet(&l.address, &upstream);
    match server::run(config, Arc::default(), on_listening, || stop(stops_at_eof)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(ServeError::File(error)) => fail(WRONG_INPUT, &error),
        Err(error) => fail(FAILED, &error),
    }
}

/// The folder of scenarios where none is named and the mock serves alone.
pub(super) fn use_prompts(config: &mut Config) {
    if config.mock.prompts.is_empty() && config.is_all_mock() && Path::new(PROMPTS).is_dir() {
        PROMPTS.clone_into(&mut config.mock.prompts);
    }
}

/// Resolves at the first signal, or when standard input ends if it is to; a second Ctrl-C ends the
/// process at once. Signals are caught from the call on.
fn stop(at_eof: bool) -> impl Future<Output = ()> {
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    let eof = at_eof.then(end_of_input);
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
            tracing::warn!("signals cannot be caught; a stop will not drain");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {
                warn("Finishing the streams under way; Ctrl-C again stops at once.\n");
            }
            _ = terminate.recv() => {}
            Some(_) = async { Some(eof?.await) } => {}
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "it watches the process, which it may end"
        )]
        tokio::task::spawn_local(async move {
            interrupt.recv().await;
            std::process::exit(INTERRUPTED.into());
        });
    }
}

/// Resolves when standard input ends. What comes on it is nobody's.
fn end_of_input() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    // A thread of its own: a read that waits cannot be cancelled, and a runtime that stops would
    // wait for it.
    thread::spawn(move || {
        // What cannot be read has ended.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        // Nobody listens where the server has stopped already.
        let _ = sender.send(());
    });
    receiver
}

/// The flags as settings.
pub(super) fn flags(args: ServeArgs) -> Vec<Flag> {
    let mut flags = Vec::new();
    let path = |path: PathBuf| Value::String(path.display().to_string());
    let mut set = |name, key, value: Option<Value>| {
        flags.extend(value.map(|value| Flag { name, key, value }));
    };
    let given = |is_given: bool| is_given.then_some(Value::Boolean(true));
    set("--host", "server.host", args.listen.host.map(Value::String));
    set(
        "--port",
        "server.port",
        args.listen.port.map(|port| i64::from(port).into()),
    );
    let unix = args.listen.unix.map(path);
    set("--unix", "server.unix", unix);
    set("--open", "server.open", given(args.listen.open));
    let instant = args.instant.then(|| "instant".into());
    set("--instant", "mock.profile", instant);
    set("--profile", "mock.profile", args.profile.map(Value::String));
    set("--speed", "mock.speed", args.speed.map(Value::Float));
    set("--dialect", "mock.dialect", args.dialect.map(Value::String));
    set("--prompts", "mock.prompts", args.prompts.map(path));
    set("--cassettes", "mock.cassettes", args.cassettes.map(path));
    set("--on-miss", "mock.on_miss", args.on_miss.map(Value::String));
    set(
        "--virtual-time",
        "mock.virtual_time",
        given(args.virtual_time),
    );
    set(
        "--deterministic",
        "mock.deterministic",
        given(args.deterministic),
    );
    if let Some(url) = args.upstream {
        let mut upstream = Table::from_iter([("base_url".to_owned(), Value::String(url))]);
        if let Some(name) = args.upstream_key_env {
            upstream.insert("key_env".to_owned(), name.into());
        }
        let model = Table::from_iter([
            ("name".to_owned(), "*".into()),
            ("upstreams".to_owned(), Value::Array(vec![upstream.into()])),
        ]);
        set(
            "--upstream",
            "models",
            Some(Value::Array(vec![model.into()])),
        );
    }
    flags
}

/// Who answers, for the start-up message.
fn upstream(config: &Config) -> String {
    let upstreams = config.models.iter().flat_map(|model| &model.upstreams);
    let mut urls: Vec<_> = upstreams
        .map(|upstream| upstream.base_url.clone())
        .collect();
    urls.dedup();
    let urls = urls.join(", ");
    let folder = &config.mock.cassettes;
    if !folder.is_empty() {
        return match config.mock.on_miss {
            OnMiss::Error => format!("the cassettes in {folder}/"),
            OnMiss::Mock => format!("the cassettes in {folder}/, and the mock for all others"),
            OnMiss::Record if config.mock.rerecord => format!("{urls}, recorded in {folder}/"),
            OnMiss::Record => format!("the cassettes in {folder}/, and {urls} to record others"),
        };
    }
    if !urls.is_empty() {
        return urls;
    }
    let prompts = match &config.mock.prompts[..] {
        "" => String::new(),
        folder => format!(", with the scenarios in {folder}/"),
    };
    let name = mock::MODEL;
    format!("the built-in mock, as `{name}` or any other name{prompts}")
}

fn greet(address: &Address, upstream: &str) {
    let (base, via) = match address {
        Address::Tcp(socket) => (format!("http://{}", from_here(*socket)), String::new()),
        Address::Tls(socket) => (format!("https://{}", from_here(*socket)), String::new()),
        Address::Unix(path) => {
            let via = format!("--unix-socket {} ", path.display());
            ("http://localhost".to_owned(), via)
        }
    };
    let greeting = format!(
        "tokenfall {version} listens on {address}

  Base URL  {base}/v1
  Docs      {base}/docs
  Model     {upstream}

Try it:

  curl -N {via}{base}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{\"model\":\"{model}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello!\"}}]}}'

",
        version = env!("CARGO_PKG_VERSION"),
        model = mock::MODEL,
    );
    say(&greeting);
}

/// Everything the server listens on beyond this machine is also reached from here.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) if !ip.is_unspecified() => ip,
        IpAddr::V4(_) | IpAddr::V6(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    SocketAddr::new(ip, address.port())
}
