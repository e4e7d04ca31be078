//! Numbers as they are written, so that a hundredth is exactly one.

use serde_json::Number;

/// Further powers of ten do not fit.
const MAX_POWER: u32 = 36;
/// Larger numbers are as good as this one: no value is drawn near them.
const HUGE: i128 = i128::MAX / 4;

/// `digits` times ten to the power of minus `scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) digits: i128,
    pub(super) scale: u32,
}

impl Decimal {
    /// A number as it is written; none where it is too large or too fine.
    pub(super) fn read(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        match u32::try_from(scale) {
            Ok(scale) if scale <= MAX_POWER => Some(Self { digits, scale }),
            Ok(_) => None,
            Err(_) => {
                let digits = digits.checked_mul(power(scale.unsigned_abs())?)?;
                Some(Self { digits, scale: 0 })
            }
        }
    }

    /// How many units of ten to the power of minus `scale` this is, if they are whole.
    pub(super) fn units(self, scale: u32) -> Option<i128> {
        let floor = self.floor(scale);
        (floor == self.ceil(scale)).then_some(floor)
    }

    /// The units of this scale, rounded down.
    pub(super) fn floor(self, scale: u32) -> i128 {
        match scale.checked_sub(self.scale) {
            Some(up) => self.scaled(up),
            None => match power(self.scale - scale) {
                Some(divisor) => self.digits.div_euclid(divisor),
                None => -i128::from(self.digits < 0),
            },
        }
    }

    /// The units of this scale, rounded up.
    pub(super) fn ceil(self, scale: u32) -> i128 {
        let negated = Self {
            digits: -self.digits,
            scale: self.scale,
        };
        -negated.floor(scale)
    }

    /// Whether this is a whole multiple; none where it cannot be told.
    pub(super) fn is_multiple_of(self, other: Self) -> Option<bool> {
        let scale = self.scale.max(other.scale);
        let raise = |n: Self| n.digits.checked_mul(power(scale - n.scale)?);
        raise(self)?
            .checked_rem(raise(other)?)
            .map(|rest| rest == 0)
    }

    fn scaled(self, up: u32) -> i128 {
        let product = power(up).and_then(|factor| self.digits.checked_mul(factor));
        product
            .unwrap_or(self.digits.signum() * HUGE)
            .clamp(-HUGE, HUGE)
    }
}

/// Ten to this power, if it fits.
pub(super) fn power(exponent: u32) -> Option<i128> {
    (exponent <= MAX_POWER).then(|| 10_i128.pow(exponent))
}

/// The least common multiple of two positive numbers, if it fits.
pub(super) fn common_multiple(a: i128, b: i128) -> Option<i128> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a.checked_div(x)?.checked_mul(b).filter(|n| *n < HUGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Decimal> {
        Decimal::read(&serde_json::from_str(text).expect("a number"))
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        let decimal = |digits, scale| Some(Decimal { digits, scale });
        assert_eq!(read("0.01"), decimal(1, 2));
        assert_eq!(read("-12.50"), decimal(-125, 1));
        assert_eq!(read("3.0"), decimal(3, 0));
        assert_eq!(read("1e-7"), decimal(1, 7));
        assert_eq!(read("2e20"), decimal(200_000_000_000_000_000_000, 0));
        assert_eq!(read("1e300"), None);
        assert_eq!(read("1e-300"), None);
    }

    #[test]
    fn rounding_goes_the_way_it_says() {
        let number = read("-1.25").expect("a decimal");
        assert_eq!((number.floor(1), number.ceil(1)), (-13, -12));
        assert_eq!((number.floor(3), number.ceil(3)), (-1250, -1250));
        assert_eq!(number.units(1), None);
        assert_eq!(
            read("0.07").and_then(|n| n.is_multiple_of(read("0.01")?)),
            Some(true)
        );
        assert_eq!(
            read("0.07").and_then(|n| n.is_multiple_of(read("0.02")?)),
            Some(false)
        );
    }
}
