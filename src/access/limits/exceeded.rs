//! Which limit a request met, in words for its sender.

use std::{fmt, time::Duration};

use super::Standing;

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Requests per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Answers under way.
    Streams,
    /// Tokens per day.
    Day,
}

/// A limit that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// Which.
    pub limit: Limit,
    /// How much it allows.
    pub size: u64,
    /// How much of it is used or held.
    pub used: u64,
    /// How much the request would take.
    pub asked: u64,
    /// When there may be room; `None` where there never is, because the request alone is too large.
    pub retry_after: Option<Duration>,
    /// What is left of the limits per minute.
    pub standing: Standing,
}

impl Limit {
    fn words(self) -> &'static str {
        match self {
            Self::Requests => "requests per minute",
            Self::Tokens => "tokens per minute",
            Self::Streams => "answers under way at once",
            Self::Day => "tokens per day",
        }
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            size, used, asked, ..
        } = self;
        let words = self.limit.words();
        let Some(wait) = self.retry_after else {
            return write!(
                f,
                "The request is too large for this key's limit on {words}: limit {size}, \
                 requested {asked}. Ask for fewer tokens, by `max_tokens` or a shorter prompt."
            );
        };
        write!(
            f,
            "This key has met its limit on {words}: limit {size}, used {used}, requested {asked}. "
        )?;
        match self.limit {
            Limit::Requests | Limit::Tokens => {
                write!(f, "Please try again in {}.", spoken(wait))
            }
            Limit::Streams => f.write_str("Please try again when one of them has ended."),
            Limit::Day => write!(f, "The next day begins in {}.", spoken(wait)),
        }
    }
}

/// A time as OpenAI writes it: `120ms`, `8.64s`, `6m0s`.
pub(super) fn spoken(time: Duration) -> String {
    let millis = time.as_millis();
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let fraction = format!("{:03}", rest % 1000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let seconds = format!("{}{point}{fraction}s", rest / 1000);
    match (minutes / 60, minutes % 60) {
        (0, 0) if millis < 1000 => format!("{millis}ms"),
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_openai_writes_them() {
        for (millis, written) in [
            (0, "0ms"),
            (6, "6ms"),
            (999, "999ms"),
            (1000, "1s"),
            (8640, "8.64s"),
            (59_999, "59.999s"),
            (60_000, "1m0s"),
            (360_010, "6m0.01s"),
            (3_600_000, "1h0m0s"),
            (86_399_000, "23h59m59s"),
        ] {
            assert_eq!(spoken(Duration::from_millis(millis)), written);
        }
    }
}
