//! The codes that clients know failures by.

/// The stable codes of our own failures (PROTOCOL, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// No connection to the upstream.
    UpstreamUnreachable,
    /// The upstream's stream ended too early.
    UpstreamTruncated,
    /// The upstream sent bad JSON, or no event stream.
    UpstreamMalformed,
    /// The upstream reported an error of its own inside the stream.
    UpstreamError,
    /// The upstream refused our key.
    UpstreamAuth,
    /// The node that asked the upstream is gone.
    UpstreamLost,
    /// One of our clocks ran out.
    UpstreamTimeout,
    /// There is no room for another stream.
    Overloaded,
    /// The server stops.
    ShuttingDown,
    /// The stream outgrew its limits.
    LogTooLarge,
    /// Nobody wanted it any more, or somebody asked for it to stop.
    Cancelled,
    /// The model is not served here.
    ModelNotFound,
    /// No completion of this id, or not of this owner.
    NotFound,
    /// The stream was there; its retention is over.
    StreamExpired,
    /// Not the form of a cursor.
    CursorMalformed,
    /// The stream has no such place.
    CursorInvalid,
    /// The completion was not asked for as a stream.
    NotStreamed,
    /// The completion was not asked to be stored.
    NotStored,
    /// The idempotency key belongs to another request.
    IdempotencyMismatch,
    /// The key has used what it may for now.
    RateLimitExceeded,
    /// The key has used what it may today.
    InsufficientQuota,
    /// Our own fault.
    InternalError,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::UpstreamUnreachable,
        Self::UpstreamTruncated,
        Self::UpstreamMalformed,
        Self::UpstreamError,
        Self::UpstreamAuth,
        Self::UpstreamLost,
        Self::UpstreamTimeout,
        Self::Overloaded,
        Self::ShuttingDown,
        Self::LogTooLarge,
        Self::Cancelled,
        Self::ModelNotFound,
        Self::NotFound,
        Self::StreamExpired,
        Self::CursorMalformed,
        Self::CursorInvalid,
        Self::NotStreamed,
        Self::NotStored,
        Self::IdempotencyMismatch,
        Self::RateLimitExceeded,
        Self::InsufficientQuota,
        Self::InternalError,
    ];

    /// A stream can end with it.
    pub fn ends_streams(self) -> bool {
        match self {
            Self::UpstreamUnreachable
            | Self::UpstreamTruncated
            | Self::UpstreamMalformed
            | Self::UpstreamError
            | Self::UpstreamAuth
            | Self::UpstreamLost
            | Self::UpstreamTimeout
            | Self::ShuttingDown
            | Self::LogTooLarge
            | Self::Cancelled
            | Self::InternalError => true,
            Self::Overloaded
            | Self::ModelNotFound
            | Self::NotFound
            | Self::StreamExpired
            | Self::CursorMalformed
            | Self::CursorInvalid
            | Self::NotStreamed
            | Self::NotStored
            | Self::IdempotencyMismatch
            | Self::RateLimitExceeded
            | Self::InsufficientQuota => false,
        }
    }

    /// The code as clients and metrics have it.
    pub fn label(self) -> &'static str {
        match self {
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTruncated => "upstream_truncated",
            Self::UpstreamMalformed => "upstream_malformed",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamAuth => "upstream_auth",
            Self::UpstreamLost => "upstream_lost",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Overloaded => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::LogTooLarge => "log_too_large",
            Self::Cancelled => "cancelled",
            Self::ModelNotFound => "model_not_found",
            Self::NotFound => "not_found",
            Self::StreamExpired => "stream_expired",
            Self::CursorMalformed => "cursor_malformed",
            Self::CursorInvalid => "cursor_invalid",
            Self::NotStreamed => "not_streamed",
            Self::NotStored => "not_stored",
            Self::IdempotencyMismatch => "idempotency_key_mismatch",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::InsufficientQuota => "insufficient_quota",
            Self::InternalError => "internal_error",
        }
    }

    /// The `type` of its error envelope.
    pub fn kind(self) -> &'static str {
        match self {
            Self::UpstreamUnreachable
            | Self::UpstreamTruncated
            | Self::UpstreamMalformed
            | Self::UpstreamError
            | Self::UpstreamAuth
            | Self::UpstreamLost
            | Self::UpstreamTimeout => "upstream_error",
            Self::ModelNotFound
            | Self::NotFound
            | Self::StreamExpired
            | Self::CursorMalformed
            | Self::CursorInvalid
            | Self::NotStreamed
            | Self::NotStored
            | Self::IdempotencyMismatch => "invalid_request_error",
            Self::RateLimitExceeded => "requests",
            Self::InsufficientQuota => "insufficient_quota",
            Self::Overloaded
            | Self::ShuttingDown
            | Self::LogTooLarge
            | Self::Cancelled
            | Self::InternalError => "server_error",
        }
    }
}
