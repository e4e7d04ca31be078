//! What people are told of each error beyond what it says itself.

use tokenfall::{
    api::{ApiError, Part},
    completion::Code,
};

pub(super) struct Advice {
    /// Whether the same request may do better later.
    pub(super) again: &'static str,
    /// When it is sent.
    pub(super) when: &'static str,
    /// What to do.
    pub(super) advice: &'static str,
    /// The `param`, where it differs from time to time.
    pub(super) param: Option<&'static str>,
}

fn advice(again: &'static str, when: &'static str, advice: &'static str) -> Advice {
    Advice {
        again,
        when,
        advice,
        param: None,
    }
}

#[expect(clippy::too_many_lines, reason = "a table, with a row for each")]
pub(super) fn of_code(code: Code) -> Advice {
    match code {
        Code::UpstreamUnreachable => advice(
            "yes",
            "no connection to any of the model's upstreams, or none that answered",
            "Look whether the model server runs and `base_url` is right.",
        ),
        Code::UpstreamTruncated => advice(
            "yes",
            "the upstream's stream ended before every choice had finished",
            "What came is not the whole answer. With `on_upstream_loss = \"continue\"` another upstream goes on ([proxy.md](proxy.md)).",
        ),
        Code::UpstreamMalformed => advice(
            "maybe",
            "the upstream sent bad JSON, or something that is no event stream",
            "Look what stands at `base_url`: often a web page, or a path without `/v1`.",
        ),
        Code::UpstreamError => advice(
            "maybe",
            "the upstream reported an error inside its stream, or refused with a status and no envelope of OpenAI's",
            "The message has what it said. An error inside a stream keeps the upstream's own `type`, `param` and `code` where it has them.",
        ),
        Code::UpstreamAuth => advice(
            "no",
            "the upstream refused the key that is configured for it; the client's own key is fine",
            "Set the right `key_env` or `key_file`.",
        ),
        Code::UpstreamLost => advice(
            "yes",
            "the node that made the answer is gone; another says so",
            "With `on_owner_loss = \"continue\"` another node goes on ([proxy.md](proxy.md)).",
        ),
        Code::UpstreamTimeout => Advice {
            param: Some("`connect`, `first_chunk`, `between` or `total`"),
            ..advice(
                "yes",
                "one of the model's clocks ran out; `param` names its setting, and the `cause` in metrics does (`first_chunk_timeout`)",
                "Raise it if the model is that slow ([configuration.md](configuration.md#models)).",
            )
        },
        Code::Overloaded => advice(
            "yes",
            "no room for another answer (`limits.streams`, `stream.budget_bytes`), or Redis cannot be reached",
            "Wait for `retry-after`. Where it happens often, raise the limits or add a node.",
        ),
        Code::ShuttingDown => advice(
            "yes",
            "the server stops: new requests get the status, what is left after `server.drain` the event",
            "Ask again; a load balancer sends you to another node.",
        ),
        Code::LogTooLarge => advice(
            "no",
            "an event above `stream.event_bytes` (4 MiB), or a stream above `stream.log_bytes` (64 MiB)",
            "Ask for less, or raise them.",
        ),
        Code::Cancelled => advice(
            "no",
            "somebody asked for the answer to stop, or everyone who read it has left",
            "The status is for whoever waits for a whole reply. To let answers go on unread there is `x-stream-on-disconnect`.",
        ),
        Code::ModelNotFound => advice(
            "no",
            "no such model is served, or not to this key",
            "`GET /v1/models` has those that are.",
        ),
        Code::NotFound => advice(
            "no",
            "no completion of this id, or it is another key's",
            "Come back with the key that asked, or with the ticket.",
        ),
        Code::StreamExpired => advice(
            "no",
            "the stream was there, and is no longer kept",
            "Ask anew; `stream.retention` says how long after its end one is kept.",
        ),
        Code::CursorMalformed => advice(
            "no",
            "what was sent is no cursor",
            "One is an event id (`1-17`), or a number of events.",
        ),
        Code::CursorInvalid => advice(
            "no",
            "the stream has no such place: beyond its end, or lost with its node",
            "Read it again from its beginning, without a cursor.",
        ),
        Code::NotStreamed => advice(
            "no",
            "the completion was not asked for as a stream",
            "`GET /v1/chat/completions/{id}` has it whole.",
        ),
        Code::NotStored => advice(
            "no",
            "no stored completion of this id, or the page begins behind no message of it",
            "Ask with `store: true`.",
        ),
        Code::IdempotencyMismatch => advice(
            "no",
            "the `Idempotency-Key` belongs to a request with another body",
            "Make a new key for each request.",
        ),
        Code::RateLimitExceeded => advice(
            "yes",
            "the key has used its requests or tokens (`tokens` as the type) per minute, or has its number of answers under way; or the request alone is larger than the limit",
            "Wait for `retry-after`. Without one the request can never fit: ask for fewer tokens.",
        ),
        Code::InsufficientQuota => advice(
            "tomorrow",
            "the key has used its tokens of the day",
            "A day begins at midnight UTC; SDKs are told not to try again before.",
        ),
        Code::InternalError => advice(
            "maybe",
            "our fault",
            "The log says more, under the `x-request-id` of the reply.",
        ),
    }
}

#[expect(clippy::too_many_lines, reason = "a table, with a row for each")]
pub(super) fn of_error(error: &ApiError) -> Advice {
    match error {
        ApiError::Failure(failure) => of_code(failure.code()),
        ApiError::Invalid(_) => Advice {
            param: Some("the field, such as `messages[0].role`"),
            ..advice(
                "no",
                "a field, header or parameter is not what it should be",
                "The message says what is allowed.",
            )
        },
        ApiError::Unauthorized { .. } => advice(
            "no",
            "no API key, or none of this server's",
            "Send one as `Authorization: Bearer KEY`.",
        ),
        ApiError::BadTicket => advice(
            "no",
            "the ticket is for another completion, or has expired",
            "Each reply has one, in `x-stream-ticket`; several nodes need the same `auth.ticket_secret`.",
        ),
        ApiError::NotAdmin | ApiError::Forbidden(_) => advice(
            "no",
            "a key that is not marked `admin`, a web page of another origin, or a host name that is not this server's",
            "Mark the key, or see `cors.origins` and `server.public_url` ([configuration.md](configuration.md#cors)).",
        ),
        ApiError::NotFound { .. } => advice(
            "no",
            "nothing is served at this path",
            "The message has what is; a `base_url` ends in `/v1`.",
        ),
        ApiError::MethodNotAllowed { .. } => advice(
            "no",
            "the path is served, by another method",
            "`allow` names it.",
        ),
        ApiError::TooLarge { part, .. } => match part {
            Part::Body => advice(
                "no",
                "the body is above `limits.body_bytes`",
                "Send less, or raise it.",
            ),
            Part::Target => advice(
                "no",
                "path and query are above `limits.target_bytes`",
                "Send less, or raise it.",
            ),
            Part::Header(_) => Advice {
                param: Some("the header"),
                ..advice(
                    "no",
                    "a header is above `limits.header_bytes`",
                    "Send less, or raise it.",
                )
            },
        },
        ApiError::BodyTimeout { .. } => advice(
            "yes",
            "the body did not arrive within `limits.body_timeout`",
            "Raise it for slow clients.",
        ),
        ApiError::BodyBroken(_) => advice(
            "maybe",
            "the body broke off, or its framing is wrong",
            "Look at what is in between.",
        ),
        ApiError::NotVerified(_) => advice(
            "no",
            "of the mock: other requests were made than `/_mock/verify` was told to expect",
            "The message has the requests that there were.",
        ),
    }
}
