//! TLS: streams, who goes away, and certificates that change.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use rcgen::generate_simple_self_signed;
use reqwest::{Client, Version};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName},
};

use super::{
    File,
    binary::{Binary, refused},
};
use crate::{
    chunks::{DONE, STREAM, finish, text},
    gate::{Gate, PATIENCE, wait_until},
    http::{post, request},
    proxy::{Proxy, before},
    upstream::Script,
};

/// Two seconds between heartbeats, and some for a busy machine.
const NOTICED: Duration = Duration::from_secs(10);

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A certificate's files, and the certificate as clients know it.
struct Pair {
    cert: File,
    key: File,
    der: CertificateDer<'static>,
}

impl Pair {
    fn new(name: &str) -> Self {
        let made = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        Self {
            cert: File::new(&format!("{name}.crt"), &made.cert.pem()),
            key: File::new(&format!("{name}.key"), &made.signing_key.serialize_pem()),
            der: made.cert.der().clone(),
        }
    }

    /// Another one in the same files.
    fn renew(&mut self) {
        let made = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        self.cert.write(&made.cert.pem());
        self.key.write(&made.signing_key.serialize_pem());
        self.der = made.cert.der().clone();
    }

    fn client(&self, protocol: &str) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.expect("versions").with_root_certificates(roots);
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        config
    }

    /// A connection whose handshake is done, if that is what the server has.
    fn connect(&self, address: SocketAddr) -> Option<Tls> {
        let socket = TcpStream::connect(address).expect("the server listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let config = Arc::new(self.client("http/1.1"));
        let client = ClientConnection::new(config, name).expect("a client");
        let mut tls = StreamOwned::new(client, socket);
        tls.flush().ok()?;
        Some(tls)
    }

    fn start(&self, script: Script) -> Proxy {
        before(script)
            .set("server.tls.cert", &format!("'{}'", self.cert.path()))
            .set("server.tls.key", &format!("'{}'", self.key.path()))
            .set("stream.commit_after", "'100ms'")
            .set("stream.on_disconnect", "'cancel'")
            .start()
    }
}

fn read_until(tls: &mut Tls, end: &str) -> String {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&read).contains(end) {
        let count = tls.read(&mut buffer).expect("bytes");
        assert!(count > 0, "cut after {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(read).expect("UTF-8")
}

#[test]
fn streams_come_over_http_1() {
    let pair = Pair::new("http1");
    let script = Script::stream().event(&text("one")).event(&finish()).done();
    let proxy = pair.start(script);
    let mut tls = pair.connect(proxy.address()).expect("a handshake");
    assert_eq!(tls.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    tls.write_all(&post(STREAM, &[])).expect("sent");
    let reply = read_until(&mut tls, DONE);
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.contains("\"content\":\"one\""), "{reply}");
}

/// A stream is begun and left in this way; the upstream has to notice.
fn leaving(name: &str, how: impl FnOnce(Tls)) {
    let pair = Pair::new(name);
    let proxy = pair.start(Script::stream().event(&text("one")).linger());
    let mut tls = pair.connect(proxy.address()).expect("a handshake");
    tls.write_all(&post(STREAM, &[])).expect("sent");
    read_until(&mut tls, "one");
    let left = Instant::now();
    how(tls);
    proxy.upstream.departure();
    // Not at the next heartbeat, which is due after 15 s.
    assert!(left.elapsed() < NOTICED, "{:?}", left.elapsed());
}

#[test]
fn who_says_goodbye_is_noticed() {
    leaving("goodbye", |mut tls| {
        tls.conn.send_close_notify();
        tls.flush().expect("sent");
    });
}

#[test]
fn who_just_goes_is_noticed() {
    leaving("gone", |tls| {
        tls.sock.shutdown(Shutdown::Both).expect("a socket");
    });
}

async fn leave_http_2(proxy: &Proxy, tls: ClientConfig) -> Instant {
    let client = Client::builder().tls_backend_preconfigured(tls);
    let host = client.resolve("localhost", proxy.address()).build();
    let client = host.expect("a client");
    let port = proxy.address().port();
    let url = format!("https://localhost:{port}/v1/chat/completions");
    let request = client.post(url).header("content-type", "application/json");
    let reply = request.body(STREAM).send().await.expect("a reply");
    assert_eq!(reply.version(), Version::HTTP_2);
    let first = reply.bytes_stream().next().await.expect("more");
    assert!(!first.expect("bytes").is_empty());
    Instant::now()
}

#[test]
fn http_2_is_agreed_on_and_who_leaves_is_noticed_at_the_next_heartbeat() {
    let pair = Pair::new("http2");
    let proxy = pair.start(Script::silent().linger());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let left = runtime.block_on(leave_http_2(&proxy, pair.client("h2")));
    drop(runtime);
    proxy.upstream.departure();
    assert!(left.elapsed() < NOTICED, "{:?}", left.elapsed());
}

#[test]
fn a_new_certificate_is_shown_and_streams_go_on_under_the_old_one() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&gate);
    let mut pair = Pair::new("renewed");
    let proxy = pair.start(script.event(&finish()).done());
    let mut tls = pair.connect(proxy.address()).expect("a handshake");
    tls.write_all(&post(STREAM, &[])).expect("sent");
    read_until(&mut tls, "one");
    assert!(Pair::new("stranger").connect(proxy.address()).is_none());
    pair.renew();
    wait_until("the new certificate", || {
        pair.connect(proxy.address()).is_some()
    });
    gate.open();
    let rest = read_until(&mut tls, DONE);
    assert!(rest.contains("\"finish_reason\":\"stop\""), "{rest}");
}

#[test]
fn a_key_of_another_certificate_is_refused_and_the_old_pair_stays() {
    let (pair, other) = (Pair::new("kept"), Pair::new("other"));
    let settings = [
        "--port".to_owned(),
        "0".to_owned(),
        "--config".to_owned(),
        config(&pair).path().to_owned(),
    ];
    let binary = Binary::start(&settings.each_ref().map(|text| &text[..]));
    assert!(binary.started.greeting.contains("Base URL  https://"));
    let key = std::fs::read_to_string(&other.key.0).expect("a key");
    pair.key.write(&key);
    let line = binary.logs("what held before holds on");
    let place = format!("server.tls.key: `{}` is no key of", pair.key.path());
    assert!(line.contains(&place), "{line}");
    let mut tls = pair.connect(binary.address()).expect("a handshake");
    let asked = request("GET", "/livez", &[]);
    tls.write_all(&asked).expect("sent");
    read_until(&mut tls, "\"ok\"");
}

fn config(pair: &Pair) -> File {
    let (cert, key) = (pair.cert.path(), pair.key.path());
    let text = format!("server.tls = {{ cert = '{cert}', key = '{key}' }}\n");
    let name = pair.cert.0.with_extension("toml");
    let name = name.file_name().and_then(|name| name.to_str());
    File::new(name.expect("a name"), &text)
}

#[test]
fn files_that_are_no_pair_are_refused_at_the_start() {
    let pair = Pair::new("broken");
    let file = config(&pair);
    for (text, reason) in [
        ("", "holds no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
            "is no PEM",
        ),
    ] {
        pair.cert.write(text);
        let said = refused(&["--config", file.path()]);
        let place = format!("{}:1: server.tls.cert: `{}`", file.path(), pair.cert.path());
        assert!(said.contains(&place) && said.contains(reason), "{said}");
    }
    let alone = format!("server.tls.cert = '{}'\n", pair.cert.path());
    file.write(&alone);
    let said = refused(&["--config", file.path()]);
    assert!(said.contains("server.tls.key: expected both"), "{said}");
}
