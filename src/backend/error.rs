//! Why an answer did not come, by cause. What a client is told is decided elsewhere.

use bytes::Bytes;

/// A failure of a backend.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackendError {
    /// No connection, or it broke before the answer's head.
    #[error("the upstream could not be reached: {0}")]
    Unreachable(String),
    /// No connection in the time it may take.
    #[error("the upstream took too long to accept a connection")]
    ConnectTimeout,
    /// It answered with an error status.
    #[error("the upstream answered {}", .0.status)]
    Refused(Refusal),
    /// It did not accept the key that is configured for it.
    #[error("the upstream refused the key that is configured for it")]
    Auth,
    /// It broke off.
    #[error("the upstream's answer broke off: {0}")]
    Truncated(String),
    /// What it sent is not what was asked for.
    #[error("the upstream sent something that is no chat completion: {0}")]
    Malformed(String),
    /// One event was larger than may be.
    #[error("the upstream sent an event larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// Our own fault.
    #[error("{0}")]
    Internal(String),
}

/// An upstream's own refusal, to be passed on.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Its status, 400 to 599.
    pub status: u16,
    /// Its headers that clients read.
    pub headers: Vec<(String, String)>,
    /// Its error envelope, when it sent one.
    pub envelope: Option<Bytes>,
    /// Why, when it said so in another form.
    pub reason: Option<String>,
}
