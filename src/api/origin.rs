//! Which web pages may use the server, so that no page a user happens to open can spend the
//! operator's money (PROTOCOL, section 3).

use std::net::IpAddr;

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, Uri,
        header::{
            ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
            ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
        },
    },
    middleware::Next,
    web::Data,
};

use super::{ApiError, forwarded::Outside};

/// Headers that pages may read beside the few that they always may.
const EXPOSED: &str = "x-request-id, x-completion-id, x-stream-ticket, x-stream-attempts, \
    x-stream-cache, x-should-retry, retry-after, retry-after-ms, openai-model, \
    openai-processing-ms, openai-version, x-ratelimit-limit-requests, \
    x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, \
    x-ratelimit-reset-requests, x-ratelimit-reset-tokens";
/// How long a browser may remember the answer to a preflight, in seconds.
const PREFLIGHT_AGE: &str = "600";

/// Which pages and host names are let in.
#[derive(Debug, Clone)]
pub struct OriginPolicy {
    /// Every page is: it has a key to bring, or there is nothing but a mock to reach. Else
    /// those of this server, of this machine, and those that are named.
    pub is_any: bool,
    /// Origins that are named. They alone may bring cookies.
    pub origins: Vec<String>,
    /// Host names of ours, beside `localhost` and addresses; none are checked if `None`.
    pub hosts: Option<Vec<String>>,
}

impl OriginPolicy {
    fn admits_origin(&self, origin: &str, host: Option<&str>) -> bool {
        if self.is_any || self.names(origin) {
            return true;
        }
        let Ok(uri) = origin.parse::<Uri>() else {
            return false; // `null` too: a sandboxed page is nobody's
        };
        let Some(authority) = uri.authority() else {
            return false;
        };
        is_loopback(host_name(authority.as_str()))
            || host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str()))
    }

    fn names(&self, origin: &str) -> bool {
        let mut named = self.origins.iter();
        named.any(|named| named.eq_ignore_ascii_case(origin))
    }

    /// A name that is not ours may have been pointed here by a page's own DNS (rebinding);
    /// an address cannot.
    fn admits_host(&self, host: Option<&str>) -> bool {
        let Some(hosts) = &self.hosts else {
            return true;
        };
        let Some(name) = host.map(host_name) else {
            return false;
        };
        is_loopback(name)
            || name.parse::<IpAddr>().is_ok()
            || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
    }

    /// Says on a reply that the page may read it.
    fn allow(&self, origin: HeaderValue, headers: &mut HeaderMap) {
        let is_named = origin.to_str().is_ok_and(|origin| self.names(origin));
        if is_named {
            let value = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, value);
        }
        let allowed = match self.is_any && !is_named {
            true => HeaderValue::from_static("*"),
            false => origin,
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        let exposed = HeaderValue::from_static(EXPOSED);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
}

/// Refuses what the policy does not let in before anything is done for it, answers
/// preflights, and marks replies that a page may read.
pub async fn guard<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Some(policy) = request.app_data::<Data<OriginPolicy>>().cloned() else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = if let Some(refusal) = refusal(&policy, &request) {
        let refusal: HttpResponse = ApiError::Forbidden(refusal).error_response();
        return Ok(request.into_response(refusal).map_into_right_body());
    } else if is_preflight(&request) {
        let answer = preflight(request.headers());
        request.into_response(answer).map_into_right_body()
    } else {
        next.call(request).await?.map_into_left_body()
    };
    if let Some(origin) = origin {
        policy.allow(origin, response.headers_mut());
    }
    Ok(response)
}

fn refusal(policy: &OriginPolicy, request: &ServiceRequest) -> Option<String> {
    // Probes come under any name, and tell nothing.
    if matches!(request.path(), "/livez" | "/readyz") {
        return None;
    }
    let text = |name: &HeaderName| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or("(not text)"))
    };
    let host = Outside::of(request.request()).host;
    if !policy.admits_host(host) {
        return Some(format!(
            "This server does not go by the name `{}`; set `server.public_url` if it should.",
            host.unwrap_or_default()
        ));
    }
    let origin = text(&ORIGIN)?;
    if policy.admits_origin(origin, host) {
        return None;
    }
    Some(format!(
        "Pages of {origin} may not use this server; name the origin in `cors.origins`, or set API keys."
    ))
}

fn is_preflight(request: &ServiceRequest) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Any method and any header: what may be done is decided by keys, not by preflights.
fn preflight(asked: &HeaderMap) -> HttpResponse {
    let mut answer = HttpResponse::NoContent();
    let pairs = [
        (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
        (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
    ];
    for (asked_for, allowed) in pairs {
        if let Some(value) = asked.get(asked_for) {
            answer.insert_header((allowed, value.clone()));
        }
    }
    answer.insert_header((ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE));
    answer.finish()
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
        OriginPolicy {
            is_any: false,
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
        let any = OriginPolicy {
            is_any: true,
            ..local()
        };
        assert!(any.admits_origin("https://evil.example", None));
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
