//! The `[stream]` section of the configuration.

use std::{fmt, str::FromStr, time::Duration};

use serde::Deserialize;

/// Limits and times of streams. `config.default.toml` has each default and its reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long a request waits for its first event before the status is sent.
    #[serde(with = "humantime_serde")]
    pub commit_after: Duration,
    /// How long nothing is written before a heartbeat is.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// What a heartbeat looks like.
    pub heartbeat_form: HeartbeatForm,
    /// What becomes of a generation whose last reader went away.
    pub on_disconnect: OnDisconnect,
    /// The least grace once a reader has shown that it can resume; for `grace` alone.
    #[serde(with = "humantime_serde")]
    pub resume_grace: Duration,
    /// The longest that a generation goes on unread under `detach`.
    #[serde(with = "humantime_serde")]
    pub max_detached: Duration,
    /// The largest event, in bytes.
    pub event_bytes: usize,
    /// The largest log, in bytes.
    pub log_bytes: usize,
    /// What all logs may hold together, in bytes.
    pub budget_bytes: usize,
    /// How long a log is kept after its end.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// How many names of expired logs are remembered, to answer 410 and not 404.
    pub max_expired: usize,
    /// How many idempotency keys are remembered.
    pub max_idempotency_keys: usize,
    /// How many answers that may be shared are known, those under way and those that have ended
    /// each.
    pub max_cached_answers: usize,
    /// How long a browser waits before it comes back.
    #[serde(with = "humantime_serde")]
    pub retry: Duration,
    /// How long a client may take nothing of what is sent to it.
    #[serde(with = "humantime_serde")]
    pub write_deadline: Duration,
}

impl Settings {
    /// How long a generation goes on unread under a policy.
    pub fn grace(&self, policy: OnDisconnect) -> Grace {
        match policy {
            OnDisconnect::Cancel => Grace(Duration::ZERO),
            OnDisconnect::Grace(wait) => Grace(wait),
            OnDisconnect::Detach => Grace(self.max_detached),
        }
    }
}

/// How long a generation goes on after its last reader left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grace(pub Duration);

/// The form of a heartbeat: a comment line, with or without a blank line after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatForm {
    /// `line` for official SDKs and where event ids are on, else `block`.
    Auto,
    /// `:` and one line end.
    Line,
    /// `:` and a blank line.
    Block,
    /// None at all.
    Off,
}

/// What becomes of a generation whose last reader went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisconnect {
    /// It is cancelled at once.
    Cancel,
    /// It is cancelled if nobody comes back in this time.
    Grace(Duration),
    /// It goes on, up to `max_detached`.
    Detach,
}

/// Not the form of a disconnect policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected `cancel`, `detach` or `grace=` and a duration such as `5s`")]
pub struct OnDisconnectError;

impl FromStr for OnDisconnect {
    type Err = OnDisconnectError;

    fn from_str(text: &str) -> Result<Self, OnDisconnectError> {
        match text {
            "cancel" => Ok(Self::Cancel),
            "detach" => Ok(Self::Detach),
            _ => {
                let duration = text.strip_prefix("grace=").ok_or(OnDisconnectError)?;
                let deserializer: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
                    serde::de::IntoDeserializer::into_deserializer(duration);
                humantime_serde::deserialize(deserializer)
                    .map(Self::Grace)
                    .map_err(|_| OnDisconnectError)
            }
        }
    }
}

impl<'de> Deserialize<'de> for OnDisconnect {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = OnDisconnect;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`cancel`, `detach` or `grace=` and a duration such as `5s`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OnDisconnect, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disconnect_policies_are_read() {
        assert_eq!("cancel".parse(), Ok(OnDisconnect::Cancel));
        assert_eq!("detach".parse(), Ok(OnDisconnect::Detach));
        assert_eq!(
            "grace=1m 500ms".parse(),
            Ok(OnDisconnect::Grace(Duration::from_millis(60_500)))
        );
        for bad in ["", "grace", "grace=", "grace=5", "Cancel"] {
            assert_eq!(bad.parse::<OnDisconnect>(), Err(OnDisconnectError), "{bad}");
        }
    }
}
