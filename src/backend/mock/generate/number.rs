//! Numbers: whole ones, and others in steps of a hundredth where there is room for it.

use serde_json::{Number, Value};

use super::{
    Cause, Random, Unsatisfiable,
    compare::holds_number,
    conjunction::Conjunction,
    decimal::{Decimal, common_multiple, power},
    document::Document,
    names,
};

/// How fine numbers get, in digits after the point.
const SCALES: [u32; 9] = [2, 4, 6, 8, 10, 12, 14, 16, 18];
/// How far from its only limit a number is drawn.
const SPAN: i128 = 100;
/// A wider range is no hint at what is meant.
const WIDE: i128 = 1_000_000;
/// How often a multiple is drawn that every validator takes for one.
const TRIES: usize = 16;

/// What numbers are asked for.
struct Asked<'a> {
    low: Vec<Bound<'a>>,
    high: Vec<Bound<'a>>,
    multiples: Vec<&'a Number>,
    is_integer: bool,
    /// The range and the digits after the point that the name suggests.
    usual: Option<(i128, i128, u32)>,
}

#[derive(Clone, Copy)]
struct Bound<'a> {
    number: &'a Number,
    is_strict: bool,
}

/// A number that everything in `conjunction` allows.
pub(super) fn draw(
    conjunction: &Conjunction<'_>,
    is_integer: bool,
    (document, random): (&Document<'_>, &mut Random),
    name: &str,
) -> Result<Value, Unsatisfiable> {
    let asked = Asked::of(conjunction, is_integer, name)?;
    for scale in asked.scales() {
        for _ in 0..TRIES {
            document.spend(1)?;
            let Some(number) = asked.at_scale(scale, random) else {
                break;
            };
            let is_multiple = asked.is_multiple_in_floats(&number);
            if is_multiple && asked.is_met(conjunction, &number)? {
                return Ok(Value::Number(number));
            }
        }
    }
    // Multiples in decimals alone, then what no step fell upon.
    let mut rest: Vec<Number> = Vec::new();
    rest.extend(
        asked
            .scales()
            .iter()
            .filter_map(|scale| asked.at_scale(*scale, random)),
    );
    rest.extend(asked.edges());
    for number in rest {
        if asked.is_met(conjunction, &number)? {
            return Ok(Value::Number(number));
        }
    }
    let why = "no number lies within the limits".to_owned();
    Err(conjunction.error(Cause::Contradiction(why)))
}

impl<'a> Asked<'a> {
    fn of(
        conjunction: &Conjunction<'a>,
        is_integer: bool,
        name: &str,
    ) -> Result<Self, Unsatisfiable> {
        let mut asked = Self {
            low: Vec::new(),
            high: Vec::new(),
            multiples: Vec::new(),
            is_integer,
            usual: names::range(name),
        };
        for part in &conjunction.parts {
            for (keyword, exclusive) in [
                ("minimum", "exclusiveMinimum"),
                ("maximum", "exclusiveMaximum"),
            ] {
                let bounds = if keyword == "minimum" {
                    &mut asked.low
                } else {
                    &mut asked.high
                };
                // Draft 4 has a boolean beside the limit.
                let is_strict = part.is_set(exclusive);
                let number = part.number(keyword)?;
                bounds.extend(number.map(|number| Bound { number, is_strict }));
                let is_boolean = part.get(exclusive).is_some_and(Value::is_boolean);
                let number = if is_boolean {
                    None
                } else {
                    part.number(exclusive)?
                };
                let is_strict = true;
                bounds.extend(number.map(|number| Bound { number, is_strict }));
            }
            asked.multiples.extend(part.number("multipleOf")?);
        }
        Ok(asked)
    }

    fn is_met(
        &self,
        conjunction: &Conjunction<'_>,
        number: &Number,
    ) -> Result<bool, Unsatisfiable> {
        if self.is_integer && number.as_f64().is_none_or(|float| float.fract() != 0.0) {
            return Ok(false);
        }
        for part in &conjunction.parts {
            if !holds_number(part, number)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn scales(&self) -> Vec<u32> {
        if self.is_integer {
            return vec![0];
        }
        let multiples = self.multiples.iter().filter_map(|n| Decimal::read(n));
        match multiples.map(|multiple| multiple.scale).max() {
            Some(scale) => vec![scale],
            None => {
                let usual = self.usual.map(|(.., scale)| scale);
                usual.into_iter().chain(SCALES).collect()
            }
        }
    }

    /// A number with so many digits after its point.
    fn at_scale(&self, scale: u32, random: &mut Random) -> Option<Number> {
        let mut step = 1;
        for multiple in &self.multiples {
            let multiple = Decimal::read(multiple)?;
            // A whole number that is a multiple of 0.4 is one of 2.
            let finer = scale.max(multiple.scale);
            let units = multiple.units(finer).filter(|units| *units > 0)?;
            let whole = power(finer - scale)?;
            step = common_multiple(step, common_multiple(units, whole)? / whole)?;
        }
        let (low, high) = self.range(scale, step);
        let first = low.div_euclid(step) + i128::from(low.rem_euclid(step) != 0);
        let last = high.div_euclid(step);
        let count = u128::try_from(last.checked_sub(first)?.checked_add(1)?).ok()?;
        if count == 0 {
            return None;
        }
        let steps = i128::try_from(random.below_wide(count)).ok()?;
        number((first + steps) * step, scale)
    }

    /// The lowest and the highest number, in units of a scale. A limit that is missing is made
    /// up, and limits far apart are drawn closer, as the name suggests.
    fn range(&self, scale: u32, step: i128) -> (i128, i128) {
        let one = power(scale).unwrap_or(1);
        let low = self.low.iter().map(|bound| bound.lowest(scale)).max();
        let high = self.high.iter().map(|bound| bound.highest(scale)).min();
        let (first, last, _) = self.usual.unwrap_or(match self.is_integer {
            true => (1, 100, 0),
            false => (0, 1000, 0),
        });
        let first = (first * one).max(low.unwrap_or(i128::MIN));
        let last = (last * one).min(high.unwrap_or(i128::MAX));
        // A step from end to end has a multiple in it somewhere.
        let is_usual = last.saturating_sub(first) >= step;
        let span = SPAN.saturating_mul(one).max(step.saturating_mul(10));
        match (low, high) {
            (Some(low), Some(high)) => {
                let width = high.saturating_sub(low);
                let is_wide = self.usual.is_some() || width > WIDE.saturating_mul(one);
                if is_wide && is_usual {
                    (first, last)
                } else {
                    (low, high)
                }
            }
            (Some(_), None) | (None, Some(_)) | (None, None) if is_usual => (first, last),
            (Some(low), None) => (low, low.saturating_add(span)),
            (None, Some(high)) => (high.saturating_sub(span), high),
            (None, None) => (first, first.saturating_add(span)),
        }
    }

    /// Validators divide floats, in which 0.07 is no multiple of 0.01.
    fn is_multiple_in_floats(&self, number: &Number) -> bool {
        let quotient = |by: &&Number| Some(number.as_f64()? / by.as_f64()?);
        let quotients = self.multiples.iter().map(quotient);
        quotients
            .into_iter()
            .all(|q| q.is_some_and(|q| q.fract() == 0.0))
    }

    /// The limits themselves and their neighbours.
    fn edges(&self) -> Vec<Number> {
        let mut edges = Vec::new();
        for bound in &self.low {
            edges.push(bound.number.clone());
            let next = bound.number.as_f64().map(f64::next_up);
            edges.extend(next.and_then(Number::from_f64));
        }
        for bound in &self.high {
            edges.push(bound.number.clone());
            let next = bound.number.as_f64().map(f64::next_down);
            edges.extend(next.and_then(Number::from_f64));
        }
        edges.extend(self.multiples.iter().map(|&multiple| multiple.clone()));
        edges.push(0.into());
        edges
    }
}

impl Bound<'_> {
    fn lowest(self, scale: u32) -> i128 {
        match Decimal::read(self.number) {
            Some(decimal) if self.is_strict => decimal.floor(scale) + 1,
            Some(decimal) => decimal.ceil(scale),
            None => self.far() + 1,
        }
    }

    fn highest(self, scale: u32) -> i128 {
        match Decimal::read(self.number) {
            Some(decimal) if self.is_strict => decimal.ceil(scale) - 1,
            Some(decimal) => decimal.floor(scale),
            None => self.far() - 1,
        }
    }

    /// For a number that cannot be written out: as far away as any, or next to nothing.
    fn far(self) -> i128 {
        let float = self.number.as_f64().unwrap_or_default();
        if float.abs() < 1.0 {
            0
        } else if float > 0.0 {
            i128::MAX / 4
        } else {
            i128::MIN / 4
        }
    }
}

/// So many units of a scale as JSON has them, if it does.
fn number(units: i128, scale: u32) -> Option<Number> {
    if scale == 0 {
        return Number::from_i128(units);
    }
    // Rust parses a decimal into the nearest float on every machine.
    let float: f64 = format!("{units}e-{scale}").parse().ok()?;
    Number::from_f64(float)
}
