//! Every error as an OpenAI envelope. The only file that knows status codes.

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{Method, StatusCode, header},
};

use super::limits::add_refusal;
use crate::{
    completion::{Code, Failure},
    openai::{ErrorEnvelope, Invalid},
};

/// How long a client is asked to wait when there is no room, in seconds.
const RETRY_AFTER: &str = "1";
const INVALID_REQUEST: &str = "invalid_request_error";

/// A part of a request that has a limit in bytes.
#[derive(Debug)]
pub enum Part {
    /// The body.
    Body,
    /// The path and the query.
    Target,
    /// The value of the header of this name.
    Header(String),
}

impl Part {
    fn refusal(&self, max_bytes: usize) -> String {
        let (what, setting) = match self {
            Self::Body => ("The body is", "limits.body_bytes"),
            Self::Target => ("The path and query are", "limits.target_bytes"),
            Self::Header(_) => ("The header is", "limits.header_bytes"),
        };
        format!("{what} larger than {max_bytes} bytes ({setting}).")
    }

    fn header(&self) -> Option<&str> {
        match self {
            Self::Body | Self::Target => None,
            Self::Header(name) => Some(name),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Body => "body_too_large",
            Self::Target => "target_too_large",
            Self::Header(_) => "header_too_large",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Target => StatusCode::URI_TOO_LONG,
            Self::Header(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }
}

/// What can go wrong between a request and its reply.
#[derive(Debug)]
pub enum ApiError {
    /// The completion failed.
    Failure(Failure),
    /// The body is not what it should be.
    Invalid(Invalid),
    /// No key, or none of ours.
    Unauthorized {
        /// Some key was given.
        is_given: bool,
    },
    /// A ticket that opens nothing here, or not any more.
    BadTicket,
    /// A key that may not see this.
    NotAdmin,
    /// A web page that may not use this server, or a host name that is not ours.
    Forbidden(String),
    /// Nothing is served at this path.
    NotFound {
        /// The path.
        path: String,
        /// What is served instead.
        served: String,
    },
    /// Other requests were made than a test expects.
    NotVerified(String),
    /// Something is, but not by this method.
    MethodNotAllowed {
        /// The method.
        method: Method,
        /// The methods that are.
        allowed: String,
    },
    /// A part of the request is larger than it may be.
    TooLarge {
        /// Which.
        part: Part,
        /// The limit in bytes.
        max_bytes: usize,
    },
    /// The body did not come in time.
    BodyTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The body broke off or its framing is wrong.
    BodyBroken(String),
}

impl ApiError {
    fn envelope(&self) -> ErrorEnvelope {
        let (message, param, code) = match self {
            Self::Failure(failure) => {
                let message = "The completion failed.".to_owned();
                return ErrorEnvelope::new(
                    failure.code().kind(),
                    message,
                    None,
                    Some(failure.code().label()),
                );
            }
            Self::Invalid(invalid) => (invalid.message.clone(), invalid.param.clone(), None),
            Self::Unauthorized { is_given } => {
                let message = match is_given {
                    true => "The API key is not one of this server's.",
                    false => {
                        "This server asks for an API key: send it as `Authorization: Bearer KEY`."
                    }
                };
                (message.to_owned(), None, Some("invalid_api_key"))
            }
            Self::BadTicket => (
                "The ticket is not for this completion, or has expired.".to_owned(),
                Some("ticket".to_owned()),
                Some("invalid_ticket"),
            ),
            Self::NotAdmin => (
                "This needs a key that is marked `admin`.".to_owned(),
                None,
                Some("forbidden"),
            ),
            Self::Forbidden(message) => (message.clone(), None, Some("forbidden")),
            Self::NotFound { path, served } => (
                format!("Nothing is served at {path}. This server has {served}."),
                None,
                Some("unknown_url"),
            ),
            Self::NotVerified(message) => (message.clone(), None, Some("not_verified")),
            Self::MethodNotAllowed { method, allowed } => (
                format!("The method {method} is not served here; {allowed} is."),
                None,
                Some("method_not_allowed"),
            ),
            Self::TooLarge { part, max_bytes } => (
                part.refusal(*max_bytes),
                part.header().map(str::to_owned),
                Some(part.code()),
            ),
            Self::BodyTimeout { limit } => (
                format!("The body did not arrive within {limit:?} (limits.body_timeout)."),
                None,
                Some("body_timeout"),
            ),
            Self::BodyBroken(reason) => (
                format!("The body could not be read: {reason}."),
                None,
                Some("body_broken"),
            ),
        };
        ErrorEnvelope::new(INVALID_REQUEST, message, param, code)
    }
}

/// A header or query parameter that is not what it should be.
pub(super) fn invalid(param: &str, why: &str) -> ApiError {
    ApiError::Invalid(Invalid::at(param, why))
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.envelope().error.message)
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Failure(failure) => failure_status(failure),
            Self::Invalid(_) | Self::BodyBroken(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } | Self::BadTicket => StatusCode::UNAUTHORIZED,
            Self::NotAdmin | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::NotVerified(_) => StatusCode::NOT_ACCEPTABLE,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { part, .. } => part.status(),
            Self::BodyTimeout { .. } => StatusCode::REQUEST_TIMEOUT,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/json");
        match self {
            Self::Failure(failure) => {
                failure_headers(failure, &mut response);
                return response.body(failure.envelope());
            }
            Self::Unauthorized { .. } => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            Self::MethodNotAllowed { allowed, .. } => {
                response.insert_header((header::ALLOW, &allowed[..]));
            }
            Self::Invalid(_)
            | Self::BadTicket
            | Self::NotAdmin
            | Self::Forbidden(_)
            | Self::NotFound { .. }
            | Self::NotVerified(_)
            | Self::TooLarge { .. }
            | Self::BodyTimeout { .. }
            | Self::BodyBroken(_) => {}
        }
        response.body(self.envelope().to_json())
    }
}

/// The statuses of PROTOCOL, section 2.
fn failure_status(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Refused(refusal) => {
            StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY)
        }
        Failure::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
        Failure::Reported(_) => StatusCode::BAD_GATEWAY,
        Failure::Coded { code, .. } | Failure::Logged { code, .. } => match code {
            Code::UpstreamUnreachable
            | Code::UpstreamTruncated
            | Code::UpstreamMalformed
            | Code::UpstreamError
            | Code::UpstreamAuth
            | Code::UpstreamLost
            | Code::LogTooLarge => StatusCode::BAD_GATEWAY,
            Code::CursorMalformed | Code::NotStreamed => StatusCode::BAD_REQUEST,
            Code::StreamExpired | Code::CursorInvalid => StatusCode::GONE,
            Code::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Code::Overloaded | Code::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Code::ModelNotFound | Code::NotFound | Code::NotStored => StatusCode::NOT_FOUND,
            Code::IdempotencyMismatch => StatusCode::CONFLICT,
            // Only a non-streaming request can still be waiting when it is cancelled.
            Code::Cancelled => StatusCode::CONFLICT,
            Code::RateLimitExceeded | Code::InsufficientQuota => StatusCode::TOO_MANY_REQUESTS,
            Code::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

fn failure_headers(failure: &Failure, response: &mut HttpResponseBuilder) {
    match failure {
        Failure::Refused(refusal) => {
            for (name, value) in &refusal.headers {
                // What a replayed body is, is not ours to say.
                if name == header::CONTENT_TYPE.as_str() {
                    response.insert_header((&name[..], &value[..]));
                } else {
                    response.append_header((&name[..], &value[..]));
                }
            }
        }
        Failure::Coded { code, .. } | Failure::Logged { code, .. } => match code {
            Code::Overloaded | Code::ShuttingDown => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
            }
            // Official SDKs obey this header (`x-should-retry`) before they look at the status.
            Code::UpstreamAuth | Code::Cancelled | Code::IdempotencyMismatch => {
                response.insert_header(("x-should-retry", "false"));
            }
            Code::UpstreamUnreachable
            | Code::UpstreamTruncated
            | Code::UpstreamMalformed
            | Code::UpstreamError
            | Code::UpstreamLost
            | Code::UpstreamTimeout
            | Code::LogTooLarge
            | Code::ModelNotFound
            | Code::NotFound
            | Code::StreamExpired
            | Code::CursorMalformed
            | Code::CursorInvalid
            | Code::NotStreamed
            | Code::NotStored
            | Code::RateLimitExceeded
            | Code::InsufficientQuota
            | Code::InternalError => {}
        },
        Failure::Limited(exceeded) => add_refusal(response, exceeded),
        Failure::Reported(_) => {}
    }
}
