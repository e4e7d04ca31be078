//! Living with a server: its settings, certificates and sockets while it runs.

mod binary;
mod forwarded;
mod reload;
mod signals;
mod tls;
mod unix;
mod workers;

use std::{fs, net::SocketAddr, path::PathBuf};

use crate::{
    gate::wait_until,
    http::{fetch, request},
};

/// A file of a test's own.
pub(crate) struct File(pub(crate) PathBuf);

impl File {
    pub(crate) fn new(name: &str, content: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let file = Self(path);
        file.write(content);
        file
    }

    /// Replaces the whole of it at once, as careful tools do.
    pub(crate) fn write(&self, content: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, content).expect("written");
        fs::rename(&new, &self.0).expect("renamed");
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("a path of ours")
    }
}

/// The status of the list of what is stored with this key.
fn status(address: SocketAddr, key: &str) -> u16 {
    let key = format!("Bearer {key}");
    let asked = request("GET", "/v1/chat/completions", &[("authorization", &key)]);
    fetch(address, &asked).head.status
}

/// Waits until this key is let in.
fn wait_for_key(address: SocketAddr, key: &str) {
    wait_until("the key to be let in", || status(address, key) == 200);
}
