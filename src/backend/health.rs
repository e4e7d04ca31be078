//! How an upstream has been doing, and whether it is asked next. Shared by all worker threads.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// So many failures in a row open the breaker.
const IN_A_ROW: u32 = 5;
/// So do half of the latest attempts, if there were so many within the window.
const ENOUGH: usize = 20;
const WINDOW: Duration = Duration::from_secs(30);
/// Attempts that are remembered.
const REMEMBERED: usize = 1_000;
/// How long an open breaker lets nothing through, at first and at most: each time that the
/// probe fails it is twice as long.
const COOLDOWN: Duration = Duration::from_secs(5);
const LONGEST_COOLDOWN: Duration = Duration::from_secs(60);
/// The most that a `Retry-After` is believed.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The state of one upstream.
#[derive(Debug, Default)]
pub struct Health {
    open: AtomicUsize,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    // When each of the latest attempts ended, and whether well.
    attempts: VecDeque<(Instant, bool)>,
    in_a_row: u32,
    breaker: Breaker,
    rests_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Breaker {
    #[default]
    Closed,
    Open {
        until: Instant,
        cooldown: Duration,
    },
    // One request finds out.
    HalfOpen {
        cooldown: Duration,
    },
}

/// Whether an upstream is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readiness {
    /// It is.
    Ready,
    /// It has asked for some time.
    Resting,
    /// It has failed too often; or somebody is finding out whether it still does.
    Broken,
}

/// One attempt at an upstream, which counts as open while this lives. An attempt that is not told
/// how it ended says nothing about the upstream.
#[derive(Debug)]
pub struct Attempt {
    health: Arc<Health>,
    is_probe: bool,
    is_told: bool,
}

impl Health {
    /// Begins an attempt.
    pub fn begin(self: &Arc<Self>) -> Attempt {
        self.open.fetch_add(1, Ordering::Relaxed);
        let mut record = self.record();
        let is_probe = match record.breaker {
            Breaker::Open { until, cooldown } if Instant::now() >= until => {
                record.breaker = Breaker::HalfOpen { cooldown };
                true
            }
            Breaker::Closed | Breaker::Open { .. } | Breaker::HalfOpen { .. } => false,
        };
        drop(record);
        Attempt {
            health: Arc::clone(self),
            is_probe,
            is_told: false,
        }
    }

    /// How many attempts are under way.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether it is asked now.
    pub fn readiness(&self) -> Readiness {
        let now = Instant::now();
        let record = self.record();
        match record.breaker {
            Breaker::Open { until, .. } if now < until => return Readiness::Broken,
            Breaker::HalfOpen { .. } => return Readiness::Broken,
            Breaker::Open { .. } | Breaker::Closed => {}
        }
        match record.rests_until {
            Some(until) if now < until => Readiness::Resting,
            Some(_) | None => Readiness::Ready,
        }
    }

    /// What part of the latest attempts failed, from 0 to 1.
    pub fn failing(&self) -> f64 {
        self.record().failing(Instant::now())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Nothing that panics runs under the lock.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn note(&mut self, now: Instant, is_good: bool) {
        self.attempts.push_back((now, is_good));
        while self.attempts.len() > REMEMBERED
            || self
                .attempts
                .front()
                .is_some_and(|(at, _)| now.duration_since(*at) > WINDOW)
        {
            self.attempts.pop_front();
        }
    }

    fn failing(&self, now: Instant) -> f64 {
        let recent = self
            .attempts
            .iter()
            .filter(|(at, _)| now.duration_since(*at) <= WINDOW);
        let (mut all, mut bad) = (0_u32, 0_u32);
        for (_, is_good) in recent {
            all += 1;
            bad += u32::from(!is_good);
        }
        if all == 0 {
            0.0
        } else {
            f64::from(bad) / f64::from(all)
        }
    }

    fn good(&mut self, now: Instant) {
        self.note(now, true);
        self.in_a_row = 0;
        self.breaker = Breaker::Closed;
    }

    fn bad(&mut self, now: Instant, is_probe: bool) {
        self.note(now, false);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let is_often = self.attempts.len() >= ENOUGH && self.failing(now) >= 0.5;
        self.breaker = match self.breaker {
            Breaker::HalfOpen { cooldown } if is_probe => {
                let cooldown = (cooldown * 2).min(LONGEST_COOLDOWN);
                open(now, cooldown)
            }
            Breaker::Closed if self.in_a_row >= IN_A_ROW || is_often => open(now, COOLDOWN),
            // Attempts from before it opened say nothing new.
            breaker @ (Breaker::Closed | Breaker::Open { .. } | Breaker::HalfOpen { .. }) => {
                breaker
            }
        };
    }
}

fn open(now: Instant, cooldown: Duration) -> Breaker {
    Breaker::Open {
        until: now + cooldown,
        cooldown,
    }
}

impl Attempt {
    /// The upstream has begun to answer.
    pub fn good(&mut self) {
        if !self.is_told {
            self.is_told = true;
            self.health.record().good(Instant::now());
        }
    }

    /// It has failed; `rest` is what it asked for in a `Retry-After`.
    pub fn bad(&mut self, rest: Option<Duration>) {
        let now = Instant::now();
        let mut record = self.health.record();
        if let Some(rest) = rest {
            record.rests_until = Some(now + rest.min(LONGEST_REST));
        }
        if !self.is_told {
            record.bad(now, self.is_probe);
        }
        drop(record);
        self.is_told = true;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.health.open.fetch_sub(1, Ordering::Relaxed);
        if self.is_probe && !self.is_told {
            // The client left before it was known: the next one finds out.
            let mut record = self.health.record();
            if let Breaker::HalfOpen { cooldown } = record.breaker {
                record.breaker = Breaker::Open {
                    until: Instant::now(),
                    cooldown,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pass(time: Duration) {
        tokio::time::advance(time).await;
    }

    fn fail(health: &Arc<Health>, times: u32) {
        for _ in 0..times {
            health.begin().bad(None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_and_one_probe_closes_it() {
        let health = Arc::new(Health::default());
        fail(&health, IN_A_ROW - 1);
        assert_eq!(health.readiness(), Readiness::Ready);
        fail(&health, 1);
        assert_eq!(health.readiness(), Readiness::Broken);
        pass(COOLDOWN).await;
        assert_eq!(health.readiness(), Readiness::Ready);
        let mut probe = health.begin();
        assert_eq!(health.readiness(), Readiness::Broken, "one finds out");
        probe.good();
        assert_eq!(health.readiness(), Readiness::Ready);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_doubles_the_time_up_to_a_bound() {
        let health = Arc::new(Health::default());
        fail(&health, IN_A_ROW);
        let mut cooldown = COOLDOWN;
        for _ in 0..8 {
            pass(cooldown - Duration::from_millis(1)).await;
            assert_eq!(health.readiness(), Readiness::Broken);
            pass(Duration::from_millis(1)).await;
            fail(&health, 1);
            cooldown = (cooldown * 2).min(LONGEST_COOLDOWN);
        }
        assert_eq!(cooldown, LONGEST_COOLDOWN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_leaves_the_question_to_the_next() {
        let health = Arc::new(Health::default());
        fail(&health, IN_A_ROW);
        pass(COOLDOWN).await;
        drop(health.begin());
        assert_eq!(health.readiness(), Readiness::Ready);
        assert_eq!(health.open(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_enough_attempts_open_it_though_not_in_a_row() {
        let health = Arc::new(Health::default());
        for _ in 0..ENOUGH / 2 {
            health.begin().good();
            fail(&health, 1);
        }
        assert_eq!(health.readiness(), Readiness::Broken);
        assert!((health.failing() - 0.5).abs() < 0.01);
        pass(WINDOW + Duration::from_secs(1)).await;
        assert!(health.failing() < 0.01);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_rest_gets_it_within_a_bound() {
        let health = Arc::new(Health::default());
        health.begin().bad(Some(Duration::from_secs(3600)));
        assert_eq!(health.readiness(), Readiness::Resting);
        pass(LONGEST_REST).await;
        assert_eq!(health.readiness(), Readiness::Ready);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_counted_while_they_last() {
        let health = Arc::new(Health::default());
        let (one, two) = (health.begin(), health.begin());
        assert_eq!(health.open(), 2);
        drop((one, two));
        assert_eq!(health.open(), 0);
    }
}
