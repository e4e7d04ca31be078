//! Who calls, and what of the request goes on to an upstream.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{AUTHORIZATION, HeaderMap},
    web::Data,
};

use super::{ApiError, State};
use crate::{access, stream::Owner};

/// Someone who may use the server.
#[derive(Debug)]
pub(super) struct Caller {
    /// To whom the caller's completions belong.
    pub owner: Owner,
    /// The caller's own `Authorization`, where we hold no keys.
    pub authorization: Option<String>,
    /// The caller's headers that go upstream.
    pub headers: Vec<(String, String)>,
    /// The caller is an official OpenAI SDK.
    pub is_official_sdk: bool,
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(state) = request.app_data::<Data<State>>() else {
            return ready(Err(crate::completion::Failure::internal().into()));
        };
        ready(identify(request.headers(), state))
    }
}

fn identify(headers: &HeaderMap, state: &State) -> Result<Caller, ApiError> {
    let given = headers.get(AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok());
    let keyring = &state.keyring;
    if !keyring.is_empty() {
        let known = given.and_then(bearer).and_then(|key| keyring.identify(key));
        if known.is_none() {
            let is_given = given.is_some();
            return Err(ApiError::Unauthorized { is_given });
        }
    }
    Ok(Caller {
        owner: Owner(access::digest(given.unwrap_or_default())),
        authorization: given.filter(|_| keyring.is_empty()).map(str::to_owned),
        headers: forwarded(headers, &state.forward_headers),
        is_official_sdk: headers.contains_key("x-stainless-lang"),
    })
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// `openai-*`, `traceparent`, `user-agent` and what the operator names.
fn forwarded(headers: &HeaderMap, more: &[String]) -> Vec<(String, String)> {
    let is_forwarded = |name: &str| {
        name.starts_with("openai-")
            || matches!(name, "traceparent" | "user-agent")
            || more.iter().any(|more| more == name)
    };
    headers
        .iter()
        .filter(|(name, _)| is_forwarded(name.as_str()))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}
