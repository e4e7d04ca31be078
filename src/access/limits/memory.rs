//! What keys use, counted by this process alone.

use std::{
    collections::HashMap,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{Held, LimitFuture, Limiter, Quota, Refused, Standing, levels::Levels};

/// The limits of a single node.
#[derive(Debug)]
pub struct MemoryLimiter {
    // One for each key with limits: as many as the configuration has.
    accounts: Mutex<HashMap<String, Levels>>,
    // A clock that never goes back, and the time of day that it began at.
    start: (Instant, Duration),
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            accounts: Mutex::default(),
            start: (Instant::now(), since.unwrap_or_default()),
        }
    }
}

impl MemoryLimiter {
    fn now(&self) -> u64 {
        let (start, since) = self.start;
        u64::try_from((since + start.elapsed()).as_millis()).unwrap_or(u64::MAX)
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Levels>> {
        // Numbers are left whole by every operation under the lock.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reserve_now(
        &self,
        quota: &Arc<Quota>,
        tokens: u64,
    ) -> Result<(Held, Standing), Refused> {
        let mut accounts = self.accounts();
        let levels = accounts.entry(quota.name.clone()).or_default();
        levels.advance(self.now(), quota);
        if let Some(limit) = levels.exceeded(quota, tokens) {
            let exceeded = levels.refusal(quota, (limit, tokens));
            return Err(Refused::Exceeded(Box::new(exceeded)));
        }
        levels.take(quota, tokens);
        let held = Held {
            quota: Arc::clone(quota),
            id: String::new(),
            tokens,
            is_own: true,
        };
        Ok((held, levels.standing(quota)))
    }
}

impl Limiter for MemoryLimiter {
    fn reserve<'a>(
        &'a self,
        quota: &'a Arc<Quota>,
        tokens: u64,
    ) -> LimitFuture<'a, Result<(Held, Standing), Refused>> {
        Box::pin(ready(self.reserve_now(quota, tokens)))
    }

    fn end(&self, held: &Held, used: u64) {
        let mut accounts = self.accounts();
        let levels = accounts.entry(held.quota.name.clone()).or_default();
        levels.advance(self.now(), &held.quota);
        levels.end(&held.quota, held.tokens, used);
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
