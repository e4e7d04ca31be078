//! How fast the mock answers.

use std::{cell::RefCell, time::Duration};

use serde::Deserialize;

use super::random::Random;

/// The most that one gap of a plan can last.
const LONGEST: Duration = Duration::from_secs(3600);

/// The times of a model, as `[mock.profiles.NAME]` has them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// From the request to the first token, for an empty prompt.
    #[serde(with = "humantime_serde")]
    pub first_token: Duration,
    /// What each token of the prompt adds to that.
    #[serde(with = "humantime_serde")]
    pub prefill_per_token: Duration,
    /// How many tokens come in a second; 0 for all at once.
    pub tokens_per_second: f64,
    /// How the time to the first token and the gaps vary.
    pub jitter: Jitter,
    /// The standard deviation of that, as a part of each time.
    pub spread: f64,
    /// How many answers are given at once; 0 for any number.
    pub concurrency: usize,
    /// How many requests wait while so many are given; more are refused with 503.
    pub queue: usize,
    /// How much longer every gap becomes with each other answer that is given, as a part of it.
    pub slow_down: f64,
}

/// How times vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Jitter {
    /// They do not.
    #[default]
    None,
    /// About as often shorter as longer.
    Normal,
    /// Mostly a little shorter, sometimes much longer.
    Lognormal,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            first_token: Duration::ZERO,
            prefill_per_token: Duration::ZERO,
            tokens_per_second: 0.0,
            jitter: Jitter::None,
            spread: 0.2,
            concurrency: 0,
            queue: 1_000,
            slow_down: 0.0,
        }
    }
}

/// When each step of one answer is due.
#[derive(Debug)]
pub(super) struct Pace {
    first: Duration,
    gap: Duration,
    // None: every gap is the same.
    varies: Option<Box<Variation>>,
}

#[derive(Debug)]
struct Variation {
    jitter: Jitter,
    spread: f64,
    slow_down: f64,
    random: RefCell<Random>,
}

impl Profile {
    /// Nothing is waited for.
    pub(super) fn is_instant(&self) -> bool {
        self.first_token.is_zero()
            && self.prefill_per_token.is_zero()
            && self.tokens_per_second <= 0.0
    }

    /// What cannot be.
    ///
    /// # Errors
    /// The field and what is allowed.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let checks = [
            ("tokens_per_second", self.tokens_per_second, 1e6),
            ("spread", self.spread, 10.0),
            ("slow_down", self.slow_down, 1000.0),
        ];
        for (field, value, most) in checks {
            if !(0.0..=most).contains(&value) {
                return Err((field, format!("expected a number from 0 to {most}")));
            }
        }
        for (field, time) in [
            ("first_token", self.first_token),
            ("prefill_per_token", self.prefill_per_token),
        ] {
            if time > LONGEST {
                return Err((field, "expected an hour at most".to_owned()));
            }
        }
        Ok(())
    }

    /// The pace of an answer to a prompt of so many tokens, played so many times as fast.
    pub(super) fn pace(&self, prompt_tokens: usize, speed: f64, random: Random) -> Pace {
        let prompt = u32::try_from(prompt_tokens).unwrap_or(u32::MAX);
        let first = self.first_token + self.prefill_per_token.saturating_mul(prompt);
        let gap = match self.tokens_per_second > 0.0 {
            true => Duration::from_secs_f64(1.0 / self.tokens_per_second),
            false => Duration::ZERO,
        };
        let faster = |time: Duration| time.min(LONGEST).div_f64(speed).min(LONGEST);
        Pace {
            first: faster(first),
            gap: faster(gap),
            varies: (self.jitter != Jitter::None || self.slow_down > 0.0).then(|| {
                Box::new(Variation {
                    jitter: self.jitter,
                    spread: self.spread,
                    slow_down: self.slow_down,
                    random: RefCell::new(random),
                })
            }),
        }
    }
}

impl Pace {
    /// How long before the first step.
    pub(super) fn first(&self) -> Duration {
        match &self.varies {
            Some(varies) => varies.vary(self.first),
            None => self.first,
        }
    }

    /// How long before the next, while so many answers are given. They are not asked for in vain: all threads count
    /// them.
    pub(super) fn next(&self, answers: impl FnOnce() -> usize) -> Duration {
        let Some(varies) = &self.varies else {
            return self.gap;
        };
        let gap = varies.vary(self.gap);
        if gap.is_zero() || varies.slow_down <= 0.0 {
            return gap;
        }
        let others = u32::try_from(answers().saturating_sub(1)).unwrap_or(u32::MAX);
        let slower = 1.0 + varies.slow_down * f64::from(others);
        gap.mul_f64(slower).min(LONGEST)
    }
}

impl Variation {
    /// One time of those that vary about this one. Only operations whose results IEEE 754 fixes
    /// are used, so that a plan is the same on every machine.
    fn vary(&self, time: Duration) -> Duration {
        if time.is_zero() || self.jitter == Jitter::None {
            return time;
        }
        let deviation = self.spread * normal(&mut self.random.borrow_mut());
        let factor = match self.jitter {
            Jitter::None => 1.0,
            Jitter::Normal => (1.0 + deviation).max(0.0),
            // The mean stays what it was.
            Jitter::Lognormal => exp(deviation - self.spread * self.spread / 2.0),
        };
        Duration::from_secs_f64((time.as_secs_f64() * factor).min(LONGEST.as_secs_f64()))
    }
}

/// About normally distributed, with mean 0 and deviation 1: the sum of twelve (Irwin and Hall).
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

/// e to the power of x, by (1 + x/1024) to the power of 1024.
fn exp(x: f64) -> f64 {
    let mut power = (1.0 + x / 1024.0).max(0.0);
    for _ in 0..10 {
        power *= power;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(profile: &Profile, count: usize) -> Vec<f64> {
        let pace = profile.pace(0, 1.0, Random::new(&[7; 32], 0));
        (0..count).map(|_| pace.next(|| 1).as_secs_f64()).collect()
    }

    #[test]
    fn gaps_have_the_mean_and_the_spread_they_are_said_to_have() {
        for jitter in [Jitter::Normal, Jitter::Lognormal] {
            let profile = Profile {
                tokens_per_second: 100.0,
                jitter,
                spread: 0.3,
                ..Profile::default()
            };
            let gaps = gaps(&profile, 20_000);
            let count = 20_000.0;
            let mean = gaps.iter().sum::<f64>() / count;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
            assert!((mean - 0.01).abs() < 0.0002, "{jitter:?} {mean}");
            assert!(
                (variance.sqrt() - 0.003).abs() < 0.0002,
                "{jitter:?} {variance}"
            );
        }
    }

    #[test]
    fn a_plan_is_the_same_on_every_machine() {
        let profile = Profile {
            tokens_per_second: 60.0,
            jitter: Jitter::Lognormal,
            ..Profile::default()
        };
        let gaps: Vec<_> = gaps(&profile, 4)
            .iter()
            .map(|gap| (gap * 1e9).round())
            .collect();
        assert_eq!(gaps, GOLDEN);
    }
    const GOLDEN: [f64; 4] = [14_557_043.0, 23_904_134.0, 11_963_341.0, 11_828_460.0];

    #[test]
    fn prompts_speed_and_load_change_the_times() {
        let profile = Profile {
            first_token: Duration::from_millis(100),
            prefill_per_token: Duration::from_millis(1),
            tokens_per_second: 10.0,
            slow_down: 0.5,
            ..Profile::default()
        };
        let pace = profile.pace(50, 2.0, Random::new(&[0; 32], 0));
        assert_eq!(pace.first(), Duration::from_millis(75));
        assert_eq!(pace.next(|| 1), Duration::from_millis(50));
        assert_eq!(pace.next(|| 3), Duration::from_millis(100));
    }
}
