//! Who calls: by a key, or by the ticket of one completion.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{AUTHORIZATION, COOKIE, HeaderMap},
    web::Data,
};

use super::{ApiError, State, query::Follow};
use crate::{
    access::Key,
    completion::{Credentials, Failure, now},
    stream::Owner,
};

/// The cookie that a ticket comes in.
pub(super) const COOKIE_NAME: &str = "tokenfall_ticket";

/// Someone who may use the server.
#[derive(Debug)]
pub(super) struct Caller {
    /// To whom the caller's completions belong.
    pub(super) owner: Owner,
    /// The key that was shown, where keys are asked for.
    pub(super) key: Option<Arc<Key>>,
    /// Who has to know an upstream's key.
    pub(super) credentials: Credentials,
    /// Nobody could come back as this caller without credentials.
    pub(super) is_known: bool,
    /// The caller may see what everyone does.
    pub(super) is_admin: bool,
}

/// Someone who may read one completion, the one that the path names.
#[derive(Debug)]
pub(super) struct Holder {
    /// To whom the completion must belong.
    pub(super) owner: Owner,
    /// A ticket opened it.
    pub(super) is_by_ticket: bool,
    /// What is asked for.
    pub(super) follow: Follow,
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(state(request).and_then(|state| identify(request.headers(), state)))
    }
}

impl FromRequest for Holder {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(state(request).and_then(|state| hold(request, state)))
    }
}

fn state(request: &HttpRequest) -> Result<&State, ApiError> {
    let state = request.app_data::<Data<State>>();
    state
        .map(|state| &***state)
        .ok_or(Failure::internal().into())
}

fn identify(headers: &HeaderMap, state: &State) -> Result<Caller, ApiError> {
    let given = headers.get(AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok());
    let mut key = None;
    if !state.keyring.is_empty() {
        let known = given.and_then(bearer);
        let known = known.and_then(|key| state.keyring.identify(key));
        let is_given = given.is_some();
        key = Some(known.ok_or(ApiError::Unauthorized { is_given })?);
    }
    Ok(Caller {
        owner: Owner(state.tickets.owner(given.unwrap_or_default())),
        credentials: match state.keyring.is_empty() {
            true => Credentials::Clients(given.map(str::to_owned)),
            false => Credentials::Ours,
        },
        is_known: given.is_some(),
        is_admin: key.is_none_or(|key| key.is_admin),
        key: key.cloned(),
    })
}

/// A ticket comes first: it names its owner. One that opens nothing, such as a cookie that has
/// expired, does not stand in the way of a key.
fn hold(request: &HttpRequest, state: &State) -> Result<Holder, ApiError> {
    let id = request.match_info().get("id").unwrap_or_default();
    let follow = Follow::of(request)?;
    let cookie = cookie(request);
    let mut tickets = follow.ticket.iter().chain(&cookie);
    let admitted = tickets.find_map(|ticket| state.tickets.admit(id, ticket, now()));
    let owner = match (admitted, identify(request.headers(), state)) {
        (Some(owner), _) => Owner(owner),
        // Who shows a ticket and nothing else is told that it is bad, key or no key.
        (None, Ok(caller)) if caller.is_known || follow.ticket.is_none() => caller.owner,
        (None, Err(error)) if follow.ticket.is_none() && cookie.is_none() => return Err(error),
        (None, Ok(_) | Err(_)) => return Err(ApiError::BadTicket),
    };
    Ok(Holder {
        owner,
        is_by_ticket: admitted.is_some(),
        follow,
    })
}

fn cookie(request: &HttpRequest) -> Option<String> {
    let mut cookies = request
        .headers()
        .get_all(COOKIE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    cookies.find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE_NAME).then(|| value.to_owned())
    })
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
