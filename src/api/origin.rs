//! Which web pages may use the server, so that no page a user happens to open can spend the
//! operator's money (PROTOCOL, section 3).

use std::{net::IpAddr, sync::Arc};

use actix_cors::Cors;
use actix_web::{
    Error, HttpResponse, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Uri, header},
    middleware::Next,
    web::Data,
};

use super::ApiError;

/// Headers that pages may read beside the few that they always may.
const EXPOSED: [&str; 17] = [
    "x-request-id",
    "x-completion-id",
    "x-stream-ticket",
    "x-stream-attempts",
    "x-stream-cache",
    "x-should-retry",
    "retry-after",
    "retry-after-ms",
    "openai-model",
    "openai-processing-ms",
    "openai-version",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];
/// How long a browser may remember the answer to a preflight, in seconds.
const PREFLIGHT_AGE: usize = 600;

/// Which pages and host names are let in.
#[derive(Debug, Clone)]
pub enum OriginPolicy {
    /// Every page: it has a key to bring, or there is nothing but a mock to reach.
    Any,
    /// Pages of this server, of this machine, and those that are named.
    Local {
        /// Origins that are let in beside them.
        origins: Vec<String>,
        /// Host names of ours, beside `localhost` and addresses; none are checked if `None`.
        hosts: Option<Vec<String>>,
    },
}

impl OriginPolicy {
    fn admits_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let Self::Local { origins, .. } = self else {
            return true;
        };
        let Ok(uri) = origin.parse::<Uri>() else {
            return false; // `null` too: a sandboxed page is nobody's
        };
        let Some(authority) = uri.authority() else {
            return false;
        };
        is_loopback(host_name(authority.as_str()))
            || host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str()))
            || origins.iter().any(|o| o.eq_ignore_ascii_case(origin))
    }

    /// A name that is not ours may have been pointed here by a page's own DNS (rebinding);
    /// an address cannot.
    fn admits_host(&self, host: Option<&str>) -> bool {
        let Self::Local {
            hosts: Some(hosts), ..
        } = self
        else {
            return true;
        };
        let Some(name) = host.map(host_name) else {
            return false;
        };
        is_loopback(name)
            || name.parse::<IpAddr>().is_ok()
            || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
    }
}

/// Refuses what the policy does not let in, before anything is done for it.
pub async fn guard<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let refusal = request
        .app_data::<Data<Arc<OriginPolicy>>>()
        .and_then(|policy| refusal(policy, &request));
    match refusal {
        Some(refusal) => {
            let response: HttpResponse = ApiError::Forbidden(refusal).error_response();
            Ok(request.into_response(response).map_into_right_body())
        }
        None => Ok(next.call(request).await?.map_into_left_body()),
    }
}

fn refusal(policy: &OriginPolicy, request: &ServiceRequest) -> Option<String> {
    // Probes come under any name, and tell nothing.
    if matches!(request.path(), "/livez" | "/readyz") {
        return None;
    }
    let text = |name: &header::HeaderName| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or("(not text)"))
    };
    let host = text(&header::HOST);
    if !policy.admits_host(host) {
        return Some(format!(
            "This server does not go by the name `{}`; set `server.public_url` if it should.",
            host.unwrap_or_default()
        ));
    }
    let origin = text(&header::ORIGIN)?;
    if policy.admits_origin(origin, host) {
        return None;
    }
    Some(format!(
        "Pages of {origin} may not use this server; name the origin in `cors.origins`, or set API keys."
    ))
}

/// The CORS headers of this policy.
pub fn cors(policy: &Arc<OriginPolicy>) -> Cors {
    let cors = Cors::default()
        .allow_any_method()
        .allow_any_header()
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_AGE);
    match **policy {
        OriginPolicy::Any => cors.allow_any_origin().send_wildcard(),
        OriginPolicy::Local { .. } => {
            let policy = Arc::clone(policy);
            cors.allowed_origin_fn(move |origin, head| {
                let host = head.headers().get(header::HOST);
                let host = host.and_then(|host| host.to_str().ok());
                let origin = origin.to_str();
                origin.is_ok_and(|origin| policy.admits_origin(origin, host))
            })
        }
    }
}

/// The name without the port, and without the brackets of an IPv6 address.
fn host_name(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority
        .rsplit_once(':')
        .map_or(authority, |(name, _)| name)
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> OriginPolicy {
        OriginPolicy::Local {
            origins: vec!["https://chat.example.org".to_owned()],
            hosts: Some(vec!["tokens.example.org".to_owned()]),
        }
    }

    #[test]
    fn pages_of_this_machine_this_server_and_named_ones_are_let_in() {
        let host = Some("tokens.example.org:8080");
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:5173",
            "http://tokens.example.org:8080",
            "https://chat.example.org",
        ] {
            assert!(local().admits_origin(origin, host), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://tokens.example.org",
            "null",
            "",
        ] {
            assert!(!local().admits_origin(origin, host), "{origin}");
        }
        assert!(OriginPolicy::Any.admits_origin("https://evil.example", None));
    }

    #[test]
    fn names_that_are_not_ours_are_refused_and_addresses_are_not() {
        for host in [
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:80",
            "10.0.0.7",
            "TOKENS.example.org",
        ] {
            assert!(local().admits_host(Some(host)), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8080", ""] {
            assert!(!local().admits_host(Some(host)), "{host}");
        }
        assert!(!local().admits_host(None));
    }
}
