//! Plans as they are written in headers and scenarios.

use std::{fmt, str::FromStr, time::Duration};

use super::{At, Eol, Fault, FaultKind, Framing, Split};

/// What a fault may be.
const FAULTS: &str = "status=400 to 599, stall, drip, cut, reset, error, truncated, malformed, \
     no_finish, no_done, done_twice, duplicate, reorder, oversized, content_type";
/// What a framing may be.
const FRAMINGS: &str = "event, coalesce=k, bytes=k, utf8, crlf, newlines, sweep, gap=…, \
     eol=lf|crlf|cr, bom, comments";
/// The longest wait that can be planned.
const LONGEST: Duration = super::ENDLESS;
/// The most bytes or events that can be held to be written together.
const MOST: usize = 1_000_000;

/// A plan that cannot be; its text says what is wrong and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(String);

fn wrong<T>(message: impl fmt::Display) -> Result<T, PlanError> {
    Err(PlanError(message.to_string()))
}

/// `kind[@event=N|@byte=N][,for=2s][,p=0.1]`
impl FromStr for Fault {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut parts = text.split(',').map(str::trim);
        let first = parts.next().unwrap_or_default();
        let (kind, at) = match first.split_once('@') {
            Some((kind, at)) => (kind, Some(place(at)?)),
            None => (first, None),
        };
        let mut fault = Self {
            kind: kind.parse()?,
            at,
            lasts: None,
            probability: 1.0,
        };
        for part in parts {
            match part.split_once('=') {
                Some(("for", time)) => fault.lasts = Some(duration(time)?),
                Some(("p", p)) => fault.probability = probability(p)?,
                Some(_) | None => {
                    return wrong(format_args!(
                        "expected `for=2s` or `p=0.1` after the fault's kind, got `{part}`"
                    ));
                }
            }
        }
        fault.check()?;
        Ok(fault)
    }
}

impl Fault {
    /// Several faults, with semicolons between them.
    ///
    /// # Errors
    /// [`PlanError`] for the first that cannot be.
    pub fn list(text: &str) -> Result<Vec<Self>, PlanError> {
        let faults = text.split(';').map(str::trim);
        faults
            .filter(|fault| !fault.is_empty())
            .map(str::parse)
            .collect()
    }

    fn check(&self) -> Result<(), PlanError> {
        let name = self.kind.name();
        match self.at {
            Some(_) if !self.kind.has_place() => wrong(format_args!(
                "`{name}` is of the whole reply and has no place"
            )),
            Some(At::Byte(_)) if !self.kind.can_be_at_byte() => wrong(format_args!(
                "`{name}` is of an event: expected `@event=N`, not a byte"
            )),
            Some(_) | None if self.lasts.is_some() && !self.kind.has_duration() => wrong(
                format_args!("`{name}` takes no time: `for` is for stall, drip and status"),
            ),
            Some(_) | None => Ok(()),
        }
    }
}

impl FromStr for FaultKind {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        if let Some(status) = text.strip_prefix("status=") {
            return match status.parse() {
                Ok(status @ 400..=599) => Ok(Self::Status(status)),
                Ok(_) | Err(_) => wrong(format_args!(
                    "expected a status from 400 to 599, got `{status}`"
                )),
            };
        }
        Ok(match text {
            "stall" => Self::Stall,
            "drip" => Self::Drip,
            "cut" => Self::Cut,
            "reset" => Self::Reset,
            "error" => Self::Error,
            "truncated" => Self::Truncated,
            "malformed" => Self::Malformed,
            "no_finish" => Self::NoFinish,
            "no_done" => Self::NoDone,
            "done_twice" => Self::DoneTwice,
            "duplicate" => Self::Duplicate,
            "reorder" => Self::Reorder,
            "oversized" => Self::Oversized,
            "content_type" => Self::ContentType,
            _ => return wrong(format_args!("unknown fault `{text}`; there are {FAULTS}")),
        })
    }
}

fn place(text: &str) -> Result<At, PlanError> {
    let counted = text.split_once('=').and_then(|(unit, count)| {
        let count = count.parse().ok().filter(|count| *count > 0)?;
        match unit {
            "event" => Some(At::Event(count)),
            "byte" => Some(At::Byte(count)),
            _ => None,
        }
    });
    match counted {
        Some(at) => Ok(at),
        None => wrong(format_args!(
            "expected a place such as `@event=5` or `@byte=100`, counted from 1, got `@{text}`"
        )),
    }
}

/// A time such as `250ms`, an hour at most.
fn duration(text: &str) -> Result<Duration, PlanError> {
    match humantime_serde::re::humantime::parse_duration(text) {
        Ok(time) if time <= LONGEST => Ok(time),
        Ok(_) => wrong(format_args!(
            "expected a time of an hour at most, got `{text}`"
        )),
        Err(error) => wrong(format_args!(
            "expected a time such as `250ms`, got `{text}`: {error}"
        )),
    }
}

fn probability(text: &str) -> Result<f64, PlanError> {
    match text.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        Ok(_) | Err(_) => wrong(format_args!(
            "expected a probability from 0 to 1 in `p`, got `{text}`"
        )),
    }
}

/// `bytes=3,gap=1ms,eol=crlf`
impl FromStr for Framing {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut framing = Self {
            split: Split::Event,
            ..Self::default()
        };
        let mut eol = None;
        for part in text.split(',').map(str::trim) {
            match part.split_once('=').unwrap_or((part, "")) {
                ("event", "") => framing.split = Split::Event,
                ("coalesce", count) => framing.split = Split::Coalesce(size(part, count)?),
                ("bytes", count) => framing.split = Split::Bytes(size(part, count)?),
                ("utf8", "") => framing.split = Split::Utf8,
                ("crlf", "") => framing.split = Split::Crlf,
                ("newlines", "") => framing.split = Split::Newlines,
                ("sweep", "") => framing.split = Split::Sweep,
                ("gap", time) => framing.gap = duration(time)?,
                ("eol", "lf") => eol = Some(Eol::Lf),
                ("eol", "crlf") => eol = Some(Eol::Crlf),
                ("eol", "cr") => eol = Some(Eol::Cr),
                ("bom", "") => framing.has_bom = true,
                ("comments", "") => framing.has_comments = true,
                _ => {
                    return wrong(format_args!(
                        "unknown framing `{part}`; there are {FRAMINGS}"
                    ));
                }
            }
        }
        framing.eol = match (eol, framing.split) {
            (None, Split::Crlf) => Eol::Crlf,
            (Some(Eol::Lf | Eol::Cr), Split::Crlf) => {
                return wrong(
                    "`crlf` splits between the bytes of CRLF: expected `eol=crlf` or none",
                );
            }
            (eol, _) => eol.unwrap_or_default(),
        };
        Ok(framing)
    }
}

fn size(part: &str, count: &str) -> Result<usize, PlanError> {
    match count.parse() {
        Ok(count @ 1..=MOST) => Ok(count),
        Ok(_) | Err(_) => wrong(format_args!(
            "expected a count from 1 to {MOST}, got `{part}`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        let fault: Fault = "stall@byte=100,for=2s,p=0.25".parse().expect("a fault");
        let expected = Fault {
            kind: FaultKind::Stall,
            at: Some(At::Byte(100)),
            lasts: Some(Duration::from_secs(2)),
            probability: 0.25,
        };
        assert_eq!(fault, expected);
        let fault: Fault = "status=429,for=2s".parse().expect("a fault");
        assert_eq!(fault.kind, FaultKind::Status(429));
        let two = Fault::list("duplicate@event=3; no_done").expect("two faults");
        assert_eq!(two.len(), 2);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_is_allowed() {
        let cases = [
            ("explode", "unknown fault `explode`; there are status="),
            ("", "unknown fault ``"),
            ("status=200", "from 400 to 599, got `200`"),
            ("cut@event=0", "counted from 1, got `@event=0`"),
            ("cut@line=3", "got `@line=3`"),
            ("cut@event=-1", "got `@event=-1`"),
            ("no_done@event=1", "`no_done` is of the whole reply"),
            ("duplicate@byte=1", "expected `@event=N`, not a byte"),
            ("cut,for=2s", "`cut` takes no time"),
            ("stall,for=2", "got `2`"),
            ("stall,for=2h", "an hour at most"),
            ("cut,p=1.5", "from 0 to 1 in `p`, got `1.5`"),
            ("cut,p=NaN", "from 0 to 1"),
            ("cut,q=1", "got `q=1`"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Fault>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn framings_are_read_as_they_are_written() {
        let framing: Framing = "bytes=3,gap=1ms,eol=cr,bom".parse().expect("a framing");
        assert_eq!(framing.split, Split::Bytes(3));
        assert_eq!((framing.eol, framing.has_bom), (Eol::Cr, true));
        let framing: Framing = "crlf".parse().expect("a framing");
        assert_eq!(framing.eol, Eol::Crlf);
        for wrong in [
            "bytes=0",
            "bytes",
            "event=1",
            "gap=x",
            "eol=x",
            "crlf,eol=lf",
            "zig",
        ] {
            assert!(wrong.parse::<Framing>().is_err(), "{wrong}");
        }
    }
}
