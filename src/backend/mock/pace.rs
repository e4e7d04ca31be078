//! How fast the mock answers.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

/// A named pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// No waiting at all.
    Instant,
    /// A hosted model: 300 ms to the first token, then 60 tokens a second.
    Hosted,
    /// A model on one's own machine: 800 ms to the first token, then 15 tokens a second.
    Local,
}

/// When each step of an answer is due.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    first_token: Duration,
    gap: Duration,
}

impl Profile {
    /// The times of this profile.
    pub fn pace(self) -> Pace {
        let (first_token, per_second) = match self {
            Self::Instant => (0, 0),
            Self::Hosted => (300, 60),
            Self::Local => (800, 15),
        };
        Pace {
            first_token: Duration::from_millis(first_token),
            gap: Duration::from_secs(1)
                .checked_div(per_second)
                .unwrap_or_default(),
        }
    }
}

impl Pace {
    /// Waits until a step is due. Times count from the start, so that lateness does not add up.
    pub async fn until(self, start: Instant, step: usize) {
        let step = u32::try_from(step).unwrap_or(u32::MAX);
        let due = self.first_token + self.gap.saturating_mul(step);
        if !due.is_zero() {
            sleep_until(start + due).await;
        }
    }
}
