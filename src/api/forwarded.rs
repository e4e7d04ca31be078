//! How a request came here: what a proxy that is trusted says of its client, else what the
//! connection shows.

use std::net::{IpAddr, SocketAddr};

use actix_web::{
    HttpRequest,
    http::{header::HOST, uri::Authority},
    web::Data,
};
use ipnet::IpNet;
use serde::Deserialize;

use super::{State, line::Line};

/// The proxies whose `X-Forwarded-*` headers count.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    has_unix: bool,
}

/// An entry that names nobody.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected an address such as `10.0.0.7`, a network such as `10.0.0.0/8`, or `unix`: not `{0}`"
)]
pub struct TrustedProxyError(String);

impl TryFrom<Vec<String>> for TrustedProxies {
    type Error = TrustedProxyError;

    fn try_from(entries: Vec<String>) -> Result<Self, Self::Error> {
        let mut trusted = Self::default();
        for entry in entries {
            let address = entry.parse::<IpAddr>().map(IpNet::from);
            match address.or_else(|_| entry.parse::<IpNet>()) {
                Ok(network) => trusted.networks.push(network),
                Err(_) if entry == "unix" => trusted.has_unix = true,
                Err(_) => return Err(TrustedProxyError(entry)),
            }
        }
        Ok(trusted)
    }
}

impl TrustedProxies {
    /// Whoever connects to the Unix socket is trusted.
    pub fn has_unix(&self) -> bool {
        self.has_unix
    }

    /// Whether this peer is trusted; without an address it is one of the Unix socket.
    fn trusts(&self, peer: Option<IpAddr>) -> bool {
        let Some(peer) = peer else {
            return self.has_unix;
        };
        // A socket for both families shows IPv4 as a part of IPv6.
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&peer))
    }

    /// The last address before those that are trusted: what lies further left anybody may have
    /// written. The peer itself where there is none.
    fn client(&self, peer: Option<IpAddr>, forwarded_for: &[&str]) -> Option<IpAddr> {
        let mut client = peer;
        for hop in forwarded_for.iter().rev() {
            if !self.trusts(client) {
                break;
            }
            let Some(address) = address(hop) else { break };
            client = Some(address);
        }
        client.map(|client| client.to_canonical())
    }
}

/// How the client reaches this server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outside<'a> {
    /// Over TLS.
    pub(super) is_secure: bool,
    /// By this name, and port where it has one.
    pub(super) host: Option<&'a str>,
    /// From there, if that is known.
    pub(super) client: Option<IpAddr>,
}

impl<'a> Outside<'a> {
    /// What is known of a request's.
    pub(super) fn of(request: &'a HttpRequest) -> Self {
        let peer = request.peer_addr().map(|peer| peer.ip());
        let host = request.headers().get(HOST);
        // HTTP/2 has the name in the target instead of a header.
        let host = match host {
            Some(host) => Some(host.to_str().unwrap_or("(not text)")),
            None => request.uri().authority().map(Authority::as_str),
        };
        let shown = Self {
            is_secure: Line::of(request).is_some_and(|line| line.is_secure()),
            host,
            client: peer.map(|peer| peer.to_canonical()),
        };
        let state = request.app_data::<Data<State>>();
        match state.map(|state| &state.trusted_proxies) {
            Some(trusted) if trusted.trusts(peer) => shown.told(request, (trusted, peer)),
            Some(_) | None => shown,
        }
    }

    fn told(
        self,
        request: &'a HttpRequest,
        (trusted, peer): (&TrustedProxies, Option<IpAddr>),
    ) -> Self {
        // What the trusted peer itself has added stands last.
        let host = values(request, "x-forwarded-host").pop();
        let host = host.filter(|host| is_host(host));
        let is_secure = match values(request, "x-forwarded-proto").pop() {
            Some(proto) if proto.eq_ignore_ascii_case("https") => true,
            Some(proto) if proto.eq_ignore_ascii_case("http") => false,
            Some(_) | None => self.is_secure,
        };
        Self {
            is_secure,
            host: host.or(self.host),
            client: trusted.client(peer, &values(request, "x-forwarded-for")),
        }
    }

    /// The URL of this server as the client has it, without a slash at the end.
    pub(super) fn base_url(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}", self.host.unwrap_or("localhost"))
    }
}

/// The members of all headers of this name, which are lists.
fn values<'a>(request: &'a HttpRequest, name: &str) -> Vec<&'a str> {
    let headers = request.headers().get_all(name);
    let values = headers.filter_map(|value| value.to_str().ok());
    let members = values.flat_map(|value| value.split(','));
    members
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .collect()
}

/// It can stand in a URL, and is nothing but a name and a port.
fn is_host(text: &str) -> bool {
    !text.contains('@') && text.parse::<Authority>().is_ok()
}

/// An address as proxies write it: some add the port, some put IPv6 in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().map(|socket| socket.ip());
    bare.parse().ok().or_else(|| with_port().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(entries: &[&str]) -> TrustedProxies {
        let entries: Vec<_> = entries.iter().map(|&entry| entry.to_owned()).collect();
        entries.try_into().expect("valid entries")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn addresses_networks_and_the_unix_socket_are_trusted_where_they_are_named() {
        let some = trusted(&["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);
        for peer in ["127.0.0.1", "10.9.8.7", "fd12::1", "::ffff:10.0.0.1"] {
            assert!(some.trusts(Some(ip(peer))), "{peer}");
        }
        for peer in ["127.0.0.2", "11.0.0.1", "::1", "::ffff:11.0.0.1"] {
            assert!(!some.trusts(Some(ip(peer))), "{peer}");
        }
        assert!(!some.trusts(None));
        assert!(trusted(&["unix"]).trusts(None));
        for bad in ["", "localhost", "10.0.0.0/33", "10.0.0", "Unix"] {
            assert!(
                TrustedProxies::try_from(vec![bad.to_owned()]).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_not_trusted() {
        let some = trusted(&["10.0.0.0/8"]);
        let client = |hops: &[&str]| some.client(Some(ip("10.0.0.1")), hops);
        assert_eq!(client(&[]), Some(ip("10.0.0.1")));
        assert_eq!(client(&["1.2.3.4"]), Some(ip("1.2.3.4")));
        assert_eq!(
            client(&["9.9.9.9", "1.2.3.4:99", "10.0.0.2"]),
            Some(ip("1.2.3.4"))
        );
        assert_eq!(client(&["[2001:db8::1]:443"]), Some(ip("2001:db8::1")));
        assert_eq!(client(&["1.2.3.4", "unknown"]), Some(ip("10.0.0.1")));
    }
}
