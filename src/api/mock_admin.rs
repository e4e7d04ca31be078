//! `/_mock`: what a test asks of the mock and tells it. Everything is of one `x-mock-session`.

use std::{collections::BTreeMap, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    http::StatusCode,
    post, put,
    web::{Data, Payload},
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    ApiError, State, caller::Caller, chat::read_body, error::invalid, fallback::not_found,
};
use crate::{
    backend::mock::{
        Control,
        scenario::{Match, Scenario},
    },
    openai::{ErrorEnvelope, Invalid, object},
};

/// What is steered here.
pub type MockHandle = Arc<Control>;

/// The header that names a session; without it everyone's is meant.
const SESSION: &str = "x-mock-session";

/// Which requests are looked for, and how many there should be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    /// Conditions that a request fulfils, as a scenario has them.
    #[serde(rename = "match", default, deserialize_with = "object::required")]
    #[schema(value_type = Object, required = false)]
    matches: Match,
    /// The scenario that answered.
    #[serde(default)]
    scenario: Option<String>,
    /// How many there are exactly.
    #[serde(default)]
    count: Option<usize>,
    /// How many there are at least.
    #[serde(default)]
    at_least: Option<usize>,
    /// How many there are at most.
    #[serde(default)]
    at_most: Option<usize>,
}

/// Scenarios of one session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetScenarios {
    /// By name; those of the folder come back with `null`.
    #[schema(value_type = Option<Object>)]
    scenarios: Option<BTreeMap<String, Scenario>>,
}

/// Those who may, where there is a mock to speak of.
fn control<'a>(
    caller: &Caller,
    request: &HttpRequest,
    state: &'a State,
) -> Result<(&'a Control, String), ApiError> {
    let Some(control) = &state.mock else {
        return Err(not_found(request));
    };
    if !caller.is_admin {
        return Err(ApiError::NotAdmin);
    }
    let session = request.headers().get(SESSION);
    let session = session.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Ok((control, session.unwrap_or_default()))
}

/// List what was asked and what was sent
///
/// The requests of a session, the oldest first, each with its answer's events: when each was due
/// and when it was handed to the socket.
#[utoipa::path(
    tag = "Mock",
    operation_id = "listMockRequests",
    params(("x-mock-session" = Option<String>, Header, description = "Whose requests; everyone's if none is named.")),
    responses(
        (status = 200, description = "The requests.", body = Value),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "The key is not marked `admin`.", body = ErrorEnvelope),
        (status = 404, description = "Not everything here is a mock.", body = ErrorEnvelope),
    )
)]
#[get("/_mock/requests")]
pub(super) async fn list_requests(
    caller: Caller,
    request: HttpRequest,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (control, session) = control(&caller, &request, &state)?;
    let entries = control.journal(&session);
    let entries: Vec<Value> = entries.iter().map(|entry| entry.to_json()).collect();
    Ok(HttpResponse::Ok().json(json!({"object": "list", "data": entries})))
}

/// Forget what was asked
#[utoipa::path(
    tag = "Mock",
    operation_id = "deleteMockRequests",
    params(("x-mock-session" = Option<String>, Header, description = "Whose requests; everyone's if none is named.")),
    responses(
        (status = 204, description = "They are forgotten."),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "The key is not marked `admin`.", body = ErrorEnvelope),
        (status = 404, description = "Not everything here is a mock.", body = ErrorEnvelope),
    )
)]
#[delete("/_mock/requests")]
pub(super) async fn clear_requests(
    caller: Caller,
    request: HttpRequest,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (control, session) = control(&caller, &request, &state)?;
    control.clear_journal(&session);
    Ok(HttpResponse::NoContent().finish())
}

/// Count the requests that fulfil conditions
///
/// Where a number is expected and another was found, the answer is 406 and says both.
#[utoipa::path(
    tag = "Mock",
    operation_id = "verifyMockRequests",
    request_body = Verify,
    params(("x-mock-session" = Option<String>, Header, description = "Whose requests; everyone's if none is named.")),
    responses(
        (status = 200, description = "How many there are, as `count`.", body = Value),
        (status = 400, description = "The conditions are not valid.", body = ErrorEnvelope),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "The key is not marked `admin`.", body = ErrorEnvelope),
        (status = 404, description = "Not everything here is a mock.", body = ErrorEnvelope),
        (status = 406, description = "There are more or fewer.", body = ErrorEnvelope),
        (status = 408, description = "The body did not arrive in time.", body = ErrorEnvelope),
        (status = 413, description = "The body is too large.", body = ErrorEnvelope),
    )
)]
#[post("/_mock/verify")]
pub(super) async fn verify(
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (control, session) = control(&caller, &request, &state)?;
    let body = read_body(payload, &state.limits).await?;
    let verify: Verify = Invalid::check(&body)?;
    let entries = control.journal(&session);
    let is_wanted = |name: &Option<String>| verify.scenario.is_none() || *name == verify.scenario;
    let found = entries
        .iter()
        .filter(|entry| is_wanted(&entry.scenario) && entry.is_match(&verify.matches))
        .count();
    let expected = [
        (
            verify.count,
            verify.count.is_none_or(|count| found == count),
            "exactly",
        ),
        (
            verify.at_least,
            verify.at_least.is_none_or(|least| found >= least),
            "at least",
        ),
        (
            verify.at_most,
            verify.at_most.is_none_or(|most| found <= most),
            "at most",
        ),
    ];
    for (count, holds, words) in expected {
        if let (Some(count), false) = (count, holds) {
            let all = entries.len();
            let message = format!(
                "Expected {words} {count} requests that match, found {found} of {all}; GET \
                 /_mock/requests lists them."
            );
            return Err(ApiError::NotVerified(message));
        }
    }
    Ok(HttpResponse::Ok().json(json!({"count": found})))
}

/// List the scenarios
///
/// Those that a session's requests are matched with.
#[utoipa::path(
    tag = "Mock",
    operation_id = "listMockScenarios",
    params(("x-mock-session" = Option<String>, Header, description = "Whose scenarios; everyone's if none is named.")),
    responses(
        (status = 200, description = "Their names, descriptions and priorities.", body = Value),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "The key is not marked `admin`.", body = ErrorEnvelope),
        (status = 404, description = "Not everything here is a mock.", body = ErrorEnvelope),
    )
)]
#[get("/_mock/scenarios")]
pub(super) async fn list_scenarios(
    caller: Caller,
    request: HttpRequest,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (control, session) = control(&caller, &request, &state)?;
    let scenarios = control.scenarios(&session);
    let scenarios: Vec<Value> = scenarios
        .iter()
        .map(|(name, scenario)| {
            json!({
                "name": name,
                "description": scenario.description,
                "priority": scenario.priority,
                "example": scenario.example,
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({"object": "list", "data": scenarios})))
}

/// Give a session scenarios of its own
///
/// They take the place of the folder's for this session, until it is reset.
#[utoipa::path(
    tag = "Mock",
    operation_id = "setMockScenarios",
    request_body = SetScenarios,
    params(("x-mock-session" = String, Header, description = "Whose scenarios.", min_length = 1)),
    responses(
        (status = 200, description = "How many there are, as `count`.", body = Value),
        (status = 400, description = "A scenario is not valid, or no session is named.", body = ErrorEnvelope),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "The key is not marked `admin`.", body = ErrorEnvelope),
        (status = 404, description = "Not everything here is a mock.", body = ErrorEnvelope),
        (status = 408, description = "The body did not arrive in time.", body = ErrorEnvelope),
        (status = 413, description = "The body is too large.", body = ErrorEnvelope),
    )
)]
#[put("/_mock/scenarios")]
pub(super) async fn set_scenarios(
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (control, session) = control(&caller, &request, &state)?;
    if session.is_empty() {
        return Err(invalid(
            SESSION,
            "missing: scenarios are set for one session; everyone's are those of the folder",
        ));
    }
    let body = read_body(payload, &state.limits).await?;
    let SetScenarios { scenarios } = Invalid::check(&body)?;
    for (name, scenario) in scenarios.iter().flatten() {
        let field = format!("scenarios.{name}");
        scenario.check().map_err(|why| invalid(&field, &why))?;
    }
    let shared = scenarios.map(|scenarios| {
        let scenarios = scenarios.into_iter();
        scenarios
            .map(|(name, scenario)| (name, Arc::new(scenario)))
            .collect()
    });
    let count = control.set_scenarios(&session, shared).map_err(|(one, other)| {
        let why = format!(
            "whatever this answers, `{other}` matches too, and has the same priority; give one of \
             them a higher one"
        );
        invalid(&format!("scenarios.{one}.priority"), &why)
    })?;
    Ok(HttpResponse::build(StatusCode::OK).json(json!({"count": count})))
}

/// Forget a session
///
/// Its requests, the places of its sequences, and its scenarios.
#[utoipa::path(
    tag = "Mock",
    operation_id = "resetMock",
    params(("x-mock-session" = Option<String>, Header, description = "Which; everyone's if none is named.")),
    responses(
        (status = 204, description = "It is forgotten."),
        (status = 401, description = "No key, or none of this server's.", body = ErrorEnvelope),
        (status = 403, description = "The key is not marked `admin`.", body = ErrorEnvelope),
        (status = 404, description = "Not everything here is a mock.", body = ErrorEnvelope),
    )
)]
#[post("/_mock/reset")]
pub(super) async fn reset(
    caller: Caller,
    request: HttpRequest,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (control, session) = control(&caller, &request, &state)?;
    control.reset(&session);
    Ok(HttpResponse::NoContent().finish())
}
