//! The mock's random numbers: a function of a digest, the same on every machine.

/// Sebastiano Vigna's SplitMix64: small, and only integer arithmetic.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// The numbers of one stream of a digest, such as one choice of an answer.
    pub(super) fn new(digest: &[u8; 32], stream: u32) -> Self {
        let mut seed = [0; 8];
        seed.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(seed) ^ u64::from(stream))
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is small: the bias does not matter here.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or_default()
    }

    /// A number from `low` to `high`, both included; `low` where there is none.
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A number below `limit`, however large.
    pub(super) fn below_wide(&mut self, limit: u128) -> u128 {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        bits % limit.max(1)
    }

    /// One of several, if there are any.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// A number from 0 to 1, 1 excluded, of which each of the 2^53 is as probable.
    pub(super) fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let bits = (self.next() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// Heads or tails.
    pub(super) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// Puts a list into an order of chance.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for taken in 0..list.len() {
            let pick = taken + self.below(list.len() - taken);
            list.swap(taken, pick);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        // The first values of Vigna's own program for the seed 0.
        let mut random = Random::new(&[0; 32], 0);
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn limits_hold_at_their_edges() {
        let mut random = Random::new(&[7; 32], 1);
        for _ in 0..100 {
            assert_eq!(random.below(0), 0);
            assert_eq!(random.between(3, 3), 3);
            assert!((2..=4).contains(&random.between(2, 4)));
            assert!(random.below_wide(1 << 70) < 1 << 70);
        }
        assert_eq!(random.pick::<u8>(&[]), None);
    }
}
