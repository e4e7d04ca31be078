//! How long things took, in little room: buckets that grow with the time they count.
//!
//! Every bucket is at most a 64th of its times wide, so a quantile is within 1 % of the true one,
//! however many times are counted.

use std::time::Duration;

/// Buckets for each doubling, as a power of two.
const BITS: u32 = 6;
const BUCKETS: usize = (64 - BITS as usize + 1) << BITS;

/// Times, counted.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            sum: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Counts one time.
    pub fn add(&mut self, nanos: u64) {
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The mean, exactly; zero of nothing.
    pub fn mean(&self) -> Duration {
        let mean = self.sum.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The time that this part (0 to 1) of all did not exceed, within 1 %; zero of nothing.
    pub fn quantile(&self, part: f64) -> Duration {
        let wanted = (self.count as f64 * part).ceil().max(1.0) as u64;
        let mut counted = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            counted += count;
            if counted >= wanted {
                let (from, to) = bounds(index);
                return Duration::from_nanos((from + (to - from) / 2).min(self.max));
            }
        }
        Duration::ZERO
    }

    /// What was counted between the ends of each bucket that is not empty, in nanoseconds.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let filled = self.buckets.iter().enumerate();
        filled
            .filter(|(_, count)| **count > 0)
            .map(|(index, count)| {
                let (from, to) = bounds(index);
                (from, to, *count)
            })
    }
}

/// Where a time is counted.
fn bucket(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(BITS + 1);
    let index = (u64::from(shift) << BITS) + (nanos >> shift);
    usize::try_from(index).unwrap_or(BUCKETS - 1)
}

/// The first time of a bucket, and the last.
fn bounds(index: usize) -> (u64, u64) {
    let index = index as u64;
    let shift = (index >> BITS).saturating_sub(1);
    let from = (index - (shift << BITS)) << shift;
    (from, from.saturating_add((1 << shift) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_hundredth_of_the_sorted_times() {
        let mut histogram = Histogram::default();
        let mut times: Vec<u64> = (1..20_000_u64).map(|n| n * n * 37 + n % 91).collect();
        times.iter().for_each(|time| histogram.add(*time));
        times.sort_unstable();
        for part in [0.01, 0.5, 0.9, 0.99, 0.999] {
            let exact = times[(times.len() as f64 * part).ceil() as usize - 1] as f64;
            let told = histogram.quantile(part).as_nanos() as f64;
            assert!((told / exact - 1.0).abs() < 0.01, "{part}: {told} {exact}");
        }
        assert_eq!(histogram.quantile(1.0), histogram.max());
        assert_eq!(histogram.count(), 19_999);
    }

    #[test]
    fn every_time_lies_in_its_bucket_and_none_lies_in_two() {
        let mut next = 0;
        for index in 0..BUCKETS - 1 {
            let (from, to) = bounds(index);
            assert_eq!(from, next, "no gap before {index}");
            assert_eq!((bucket(from), bucket(to)), (index, index));
            next = to + 1;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bounds(BUCKETS - 1).1, u64::MAX);
    }

    #[test]
    fn nothing_counted_is_zero() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        assert_eq!(histogram.mean(), Duration::ZERO);
    }
}
