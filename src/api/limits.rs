//! The headers that tell of limits, as OpenAI has them.

use actix_web::{
    HttpResponseBuilder,
    http::header::{CONTENT_TYPE, RETRY_AFTER},
};

use crate::access::{Exceeded, Limit, Standing};

const PREFIX: &str = "x-ratelimit-";

/// A backend's headers, and what is left of the key's limits. Where it has any of ours, an
/// upstream's are about the operator's key, which is not the client's.
pub(super) fn add_limits(
    response: &mut HttpResponseBuilder,
    standing: Option<Standing>,
    headers: &[(String, String)],
) {
    for (name, value) in headers {
        let is_replaced = standing.is_some() && name.starts_with(PREFIX);
        // The body's form is for who writes it to say.
        if !is_replaced && name != CONTENT_TYPE.as_str() {
            response.append_header((&name[..], &value[..]));
        }
    }
    if let Some(standing) = standing {
        add_standing(response, standing);
    }
}

/// What goes with a 429.
pub(super) fn add_refusal(response: &mut HttpResponseBuilder, exceeded: &Exceeded) {
    add_standing(response, exceeded.standing);
    if let Some(wait) = exceeded.retry_after {
        // Whole seconds that are long enough; what knows the other header is told exactly.
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        response.insert_header((RETRY_AFTER, seconds.to_string()));
        response.insert_header(("retry-after-ms", wait.as_millis().max(1).to_string()));
    }
    // Official SDKs obey this header before they look at the status: no wait of theirs is long
    // enough for another day, and a request that is too large stays so.
    if exceeded.limit == Limit::Day || exceeded.retry_after.is_none() {
        response.insert_header(("x-should-retry", "false"));
    }
}

fn add_standing(response: &mut HttpResponseBuilder, standing: Standing) {
    for (what, meter) in [("requests", standing.requests), ("tokens", standing.tokens)] {
        if let Some(meter) = meter {
            let mut add = |part: &str, value: String| {
                response.insert_header((format!("{PREFIX}{part}-{what}"), value));
            };
            add("limit", meter.limit.to_string());
            add("remaining", meter.remaining.to_string());
            add("reset", meter.reset_text());
        }
    }
}
