//! What a request asks of the mock in its `x-mock-*` headers.

use std::{fmt, str::FromStr};

use super::{dialect::Dialect, refusal};
use crate::{
    backend::{BackendError, Headers},
    wire::{Fault, Framing},
};

/// The longest name of a scenario or a session.
const MAX_NAME: usize = 128;
/// The slowest and the fastest that a plan can be played.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.001..=1_000_000.0;

/// The headers, read. What is not given is `None`.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// `x-mock-scenario`: this one, whatever it matches.
    pub(super) scenario: Option<String>,
    /// `x-mock-seed`
    pub(super) seed: Option<i64>,
    /// `x-mock-session`: whose scenarios, counters and journal; empty for everyone's.
    pub(super) session: String,
    /// `x-mock-profile`
    pub(super) profile: Option<String>,
    /// `x-mock-dialect`
    pub(super) dialect: Option<Dialect>,
    /// `x-mock-speed`: how many times as fast.
    pub(super) speed: Option<f64>,
    /// `x-mock-fault`: several with semicolons between them.
    pub(super) faults: Option<Vec<Fault>>,
    /// `x-mock-wire`
    pub(super) framing: Option<Framing>,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// [`BackendError::Refused`] with status 400, which names the header and what is allowed.
    pub(super) fn of(headers: &Headers) -> Result<Self, BackendError> {
        let mut options = Self::default();
        for (name, value) in headers {
            let refuse = |why: &dyn fmt::Display| refusal::invalid(name, &format!("{name}: {why}"));
            match &name[..] {
                "x-mock-scenario" => options.scenario = Some(short(name, value)?),
                "x-mock-session" => options.session = short(name, value)?,
                "x-mock-profile" => options.profile = Some(short(name, value)?),
                "x-mock-seed" => options.seed = Some(number(value).map_err(|e| refuse(&e))?),
                "x-mock-speed" => {
                    let speed = number(value).map_err(|error| refuse(&error))?;
                    options.speed = Some(check_speed(speed).map_err(|error| refuse(&error))?);
                }
                "x-mock-dialect" => {
                    options.dialect = Some(value.parse().map_err(|error| refuse(&error))?);
                }
                "x-mock-fault" => {
                    options.faults = Some(Fault::list(value).map_err(|error| refuse(&error))?);
                }
                "x-mock-wire" => {
                    options.framing = Some(value.parse().map_err(|error| refuse(&error))?);
                }
                _ if name.starts_with("x-mock-") => {
                    return Err(refuse(
                        &"unknown; there are x-mock-scenario, -seed, -session, -profile, \
                          -dialect, -speed, -fault and -wire",
                    ));
                }
                _ => {}
            }
        }
        Ok(options)
    }
}

/// Whether a speed can be played.
///
/// # Errors
/// What is allowed.
pub fn check_speed(speed: f64) -> Result<f64, String> {
    if SPEEDS.contains(&speed) {
        return Ok(speed);
    }
    Err(format!(
        "expected a factor from 0.001 to 1000000, got {speed}"
    ))
}

fn number<T: FromStr>(value: &str) -> Result<T, String> {
    let number = value.trim().parse();
    number.map_err(|_| format!("expected a number, got `{value}`"))
}

fn short(name: &str, value: &str) -> Result<String, BackendError> {
    if (1..=MAX_NAME).contains(&value.len()) {
        return Ok(value.to_owned());
    }
    let message = format!(
        "{name}: expected 1 to {MAX_NAME} characters, got {}",
        value.len()
    );
    Err(refusal::invalid(name, &message))
}
