//! The values of `format`: texts of each, and whether a text is one.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Random, Unsatisfiable, document::Document, pattern::Pattern, words};

/// What it costs to see whether a text is a pattern, in steps.
const REGEX_COST: usize = 5_000;

/// A format that texts can be written in. Others are remarks, as JSON Schema has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Date,
    Time,
    DateTime,
    Duration,
    Email,
    Hostname,
    Ipv4,
    Ipv6,
    Uuid,
    Uri,
    UriReference,
    JsonPointer,
    RelativeJsonPointer,
    Regex,
}

impl Format {
    /// The format of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "date" => Self::Date,
            "time" => Self::Time,
            "date-time" => Self::DateTime,
            "duration" => Self::Duration,
            "email" | "idn-email" => Self::Email,
            "hostname" | "idn-hostname" => Self::Hostname,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "uuid" => Self::Uuid,
            "uri" | "iri" | "url" => Self::Uri,
            "uri-reference" | "iri-reference" | "uri-template" => Self::UriReference,
            "json-pointer" => Self::JsonPointer,
            "relative-json-pointer" => Self::RelativeJsonPointer,
            "regex" => Self::Regex,
            _ => return None,
        })
    }

    /// A text in this format.
    pub(super) fn write(self, random: &mut Random) -> String {
        match self {
            Self::Date => date(random),
            Self::Time => time(random),
            Self::DateTime => format!("{}T{}", date(random), time(random)),
            Self::Duration => duration(random),
            Self::Email => words::email(random),
            Self::Hostname => format!("{}.example.com", words::word(random)),
            // The blocks set aside for documents (RFC 5737, RFC 3849).
            Self::Ipv4 => format!("192.0.2.{}", random.between(1, 254)),
            Self::Ipv6 => format!("2001:db8::{:x}", random.between(1, 0xffff)),
            Self::Uuid => uuid(random),
            Self::Uri => words::url(random),
            Self::UriReference => format!("/{}/{}", words::word(random), words::word(random)),
            Self::JsonPointer => format!("/{}", words::word(random)),
            Self::RelativeJsonPointer => format!("1/{}", words::word(random)),
            Self::Regex => format!("^{}$", words::word(random)),
        }
    }

    /// Whether a text is in this format, as far as texts drawn here are concerned.
    pub(super) fn holds(self, text: &str, document: &Document<'_>) -> Result<bool, Unsatisfiable> {
        let pattern = match self {
            Self::Date => {
                r"^[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))$"
            }
            Self::Time => {
                r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
            }
            Self::DateTime => {
                let Some((date, time)) = text.split_once(['T', 't']) else {
                    return Ok(false);
                };
                return Ok(Self::Date.holds(date, document)? && Self::Time.holds(time, document)?);
            }
            Self::Duration => {
                r"^P(?:[0-9]+W|(?=[0-9T])(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?)$"
            }
            Self::Email => {
                r"^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$"
            }
            Self::Hostname => {
                r"^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$"
            }
            Self::Ipv4 => return Ok(text.parse::<Ipv4Addr>().is_ok()),
            Self::Ipv6 => return Ok(text.parse::<Ipv6Addr>().is_ok()),
            Self::Uuid => r"^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$",
            Self::Uri => r"^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]+$",
            Self::UriReference => r"^[A-Za-z0-9._~/?@!$&'()*+,;=-]*$",
            Self::JsonPointer => r"^(?:/[A-Za-z0-9_.-]*)*$",
            Self::RelativeJsonPointer => r"^(?:0|[1-9][0-9]*)(?:#|(?:/[A-Za-z0-9_.-]*)*)$",
            Self::Regex => {
                document.spend(REGEX_COST)?;
                return Ok(Pattern::parse(text).is_ok());
            }
        };
        // Our own patterns parse; a test sees to it.
        match document.cached_pattern(pattern)? {
            Ok(pattern) => document.is_match(&pattern, text),
            Err(_) => Ok(false),
        }
    }
}

/// A day that every month has.
pub(super) fn date(random: &mut Random) -> String {
    let (month, day) = (random.between(1, 12), random.between(1, 28));
    format!("{}-{month:02}-{day:02}", random.between(2020, 2029))
}

/// A time of day, in UTC.
pub(super) fn time(random: &mut Random) -> String {
    let (hour, minute) = (random.below(24), random.below(60));
    format!("{hour:02}:{minute:02}:{:02}Z", random.below(60))
}

fn duration(random: &mut Random) -> String {
    let number = random.between(1, 23);
    match random.below(3) {
        0 => format!("P{number}D"),
        1 => format!("P1DT{number}H"),
        _ => format!("PT{number}M"),
    }
}

/// Version 4, variant 1 (RFC 9562).
fn uuid(random: &mut Random) -> String {
    let (high, low) = (random.next(), random.next());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        8 + (low >> 62),
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff,
    )
}
