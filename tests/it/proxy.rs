//! The server in front of a scripted upstream.

use std::{collections::BTreeMap, net::SocketAddr};

use tokenfall::testing::{TestServer, spawn};

use crate::{
    gate::wait_until,
    http::{Connection, fetch, post},
    reply::Reply,
    upstream::{Script, Upstream},
};

/// A server that does not run yet.
pub(crate) struct Settings {
    script: Script,
    model: String,
    upstream: String,
    rest: BTreeMap<String, String>,
}

/// A server and its only upstream.
pub(crate) struct Proxy {
    pub(crate) server: TestServer,
    pub(crate) upstream: Upstream,
}

/// A server in front of an upstream that plays this script.
pub(crate) fn before(script: Script) -> Settings {
    let settings = Settings {
        script,
        model: String::new(),
        upstream: String::new(),
        rest: BTreeMap::new(),
    };
    settings
        // One pool of connections.
        .set("server.workers", "1")
        // No heartbeat, however busy the machine is.
        .set("stream.commit_after", "'1m'")
}

/// The reply to one request, through a server of its own.
pub(crate) fn ask(script: Script, body: &str) -> Reply {
    before(script).start().ask(body)
}

impl Settings {
    /// Sets one of the model's clocks.
    pub(crate) fn clock(self, name: &str, value: &str) -> Self {
        self.model(name, &format!("'{value}'"))
    }

    /// Sets a member of the model's entry, in TOML.
    pub(crate) fn model(mut self, key: &str, value: &str) -> Self {
        self.model.push_str(&format!(", {key} = {value}"));
        self
    }

    /// Sets a member of the upstream's entry, in TOML.
    pub(crate) fn upstream(mut self, key: &str, value: &str) -> Self {
        self.upstream.push_str(&format!(", {key} = {value}"));
        self
    }

    /// Sets anything else, in TOML, in place of what was set before.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.rest.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn start(self) -> Proxy {
        let Self { script, model, .. } = self;
        let upstream = Upstream::play(script);
        let entry = format!(
            "{{ base_url = 'http://{}/v1'{} }}",
            upstream.address, self.upstream
        );
        let models = format!("[{{ name = '*', upstreams = [{entry}]{model} }}]");
        let rest = self.rest.iter();
        let mut settings: String = rest
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        settings.push_str(&format!("models = {models}\n"));
        let server = spawn(&settings).expect("valid settings");
        Proxy { server, upstream }
    }
}

impl Proxy {
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The whole reply to one request; afterwards nothing is left of it.
    pub(crate) fn ask(&self, body: &str) -> Reply {
        self.ask_with(body, &[])
    }

    pub(crate) fn ask_with(&self, body: &str, headers: &[(&str, &str)]) -> Reply {
        let reply = fetch(self.address(), &post(body, headers));
        wait_until_idle(&self.server);
        reply
    }

    /// A connection on which a request was sent.
    pub(crate) fn open(&self, body: &str) -> Connection {
        self.open_with(body, &[])
    }

    pub(crate) fn open_with(&self, body: &str, headers: &[(&str, &str)]) -> Connection {
        let mut connection = Connection::open(self.address());
        connection.send(&post(body, headers));
        connection
    }
}

/// Waits until no generation is under way and no stream is being written.
pub(crate) fn wait_until_idle(server: &TestServer) {
    wait_until("the server to be idle", || {
        server.generations() == 0 && server.streams() == 0
    });
}
