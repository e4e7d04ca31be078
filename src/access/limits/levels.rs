//! What a key has used, as numbers. The same arithmetic as in `scripts`.

use std::time::Duration;

use super::{Exceeded, Limit, Quota, exceeded::spoken};

/// The units of one request or token: a millisecond gives back as many as the limit per minute.
pub(super) const UNIT: u64 = 60_000;
pub(super) const DAY: u64 = 86_400_000;
/// The most tokens of one answer that count, which keeps the sums exact.
pub(super) const MOST: u64 = 1_000_000_000;

/// What a key has used at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Levels {
    /// In milliseconds since 1970.
    pub(super) now: u64,
    /// Requests that have not come back yet, in units.
    pub(super) requests: u64,
    /// Tokens that have not come back yet, in units.
    pub(super) tokens: u64,
    /// Tokens that answers under way hold.
    pub(super) held: u64,
    /// Tokens that were used today.
    pub(super) spent: u64,
    /// Answers under way.
    pub(super) open: u64,
}

/// What is left of a limit per minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// The limit.
    pub limit: u64,
    /// What is left now.
    pub remaining: u64,
    /// When all of it is there again.
    pub reset: Duration,
}

impl Meter {
    /// The reset as OpenAI writes it, such as `6m0s`.
    pub fn reset_text(&self) -> String {
        spoken(self.reset)
    }
}

/// What is left of the limits per minute, those that there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Of requests.
    pub requests: Option<Meter>,
    /// Of tokens.
    pub tokens: Option<Meter>,
}

impl Levels {
    /// Lets time pass: what was taken comes back, and a day may begin.
    pub(super) fn advance(&mut self, now: u64, quota: &Quota) {
        let now = now.max(self.now);
        let passed = now - self.now;
        let back = |limit: Option<u64>| passed.saturating_mul(limit.unwrap_or(u64::MAX));
        self.requests = self.requests.saturating_sub(back(quota.rpm));
        self.tokens = self.tokens.saturating_sub(back(quota.tpm));
        if now / DAY != self.now / DAY {
            self.spent = 0;
        }
        self.now = now;
    }

    /// The limit that one more request with these tokens would exceed. The budget comes first:
    /// no wait of minutes helps then.
    pub(super) fn exceeded(&self, quota: &Quota, tokens: u64) -> Option<Limit> {
        let held = self.held.saturating_add(tokens);
        let is_over = |limit: Option<u64>, used: u64| limit.is_some_and(|limit| used > limit);
        if is_over(quota.tokens_per_day, self.spent.saturating_add(held)) {
            return Some(Limit::Day);
        }
        let units = |limit: Option<u64>| limit.map(|limit| limit * UNIT);
        if is_over(units(quota.rpm), self.requests + UNIT) {
            return Some(Limit::Requests);
        }
        let held = held.saturating_mul(UNIT);
        if is_over(units(quota.tpm), self.tokens.saturating_add(held)) {
            return Some(Limit::Tokens);
        }
        is_over(quota.streams, self.open + 1).then_some(Limit::Streams)
    }

    /// Takes a request, a stream and a hold on these tokens.
    pub(super) fn take(&mut self, quota: &Quota, tokens: u64) {
        if quota.rpm.is_some() {
            self.requests += UNIT;
        }
        self.held += tokens;
        self.open += 1;
    }

    /// An answer has ended that held these tokens and used those.
    pub(super) fn end(&mut self, quota: &Quota, held: u64, used: u64) {
        let used = used.min(MOST);
        self.held = self.held.saturating_sub(held);
        self.open = self.open.saturating_sub(1);
        self.spent = self.spent.saturating_add(used);
        if quota.tpm.is_some() {
            // The most that is owed: ten times the largest limit.
            self.tokens = (self.tokens + used * UNIT).min(MOST * 10 * UNIT);
        }
    }

    /// What is left.
    pub(super) fn standing(&self, quota: &Quota) -> Standing {
        let meter = |limit: Option<u64>, owed: u64, held: u64| {
            let limit = limit?;
            let taken = owed.saturating_add(held.saturating_mul(UNIT));
            Some(Meter {
                limit,
                remaining: (limit * UNIT).saturating_sub(taken) / UNIT,
                reset: Duration::from_millis(owed.div_ceil(limit)),
            })
        };
        Standing {
            requests: meter(quota.rpm, self.requests, 0),
            tokens: meter(quota.tpm, self.tokens, self.held),
        }
    }

    /// What is told of a limit that a request with these tokens met.
    pub(super) fn refusal(&self, quota: &Quota, (limit, tokens): (Limit, u64)) -> Exceeded {
        let standing = self.standing(quota);
        let size = |limit: Option<u64>| limit.unwrap_or_default();
        let wait = |units: u64, limit: u64| {
            let over = units.saturating_sub(limit * UNIT);
            Duration::from_millis(over.div_ceil(limit.max(1)))
        };
        let (size, used, asked, retry_after) = match limit {
            Limit::Requests => {
                let size = size(quota.rpm);
                let wait = wait(self.requests + UNIT, size);
                (size, self.requests.div_ceil(UNIT), 1, wait)
            }
            Limit::Tokens => {
                let size = size(quota.tpm);
                let held = self.held.saturating_mul(UNIT);
                let used = self.tokens.saturating_add(held);
                let wait = wait(used.saturating_add(tokens.saturating_mul(UNIT)), size);
                (size, used.div_ceil(UNIT), tokens, wait)
            }
            // When one ends is not known.
            Limit::Streams => (size(quota.streams), self.open, 1, Duration::from_secs(1)),
            Limit::Day => {
                let size = size(quota.tokens_per_day);
                let wait = Duration::from_millis(DAY - self.now % DAY);
                (size, self.spent.saturating_add(self.held), tokens, wait)
            }
        };
        Exceeded {
            limit,
            size,
            used,
            asked,
            retry_after: (asked <= size).then_some(retry_after),
            standing,
        }
    }
}
