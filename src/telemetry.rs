//! Logs: for people on a terminal, one JSON object a line otherwise. To standard error.

use std::{
    any::Any,
    io::{IsTerminal, stderr},
    panic::{self, PanicHookInfo},
};

use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected a level (error, warn, info, debug, trace) or `target=level` pairs with commas between: {0}"
)]
pub struct FilterError(#[from] tracing_subscriber::filter::ParseError);

/// Checks a filter such as `info` or `warn,tokenfall=debug`.
///
/// # Errors
/// [`FilterError`] says what is allowed.
pub fn check(filter: &str) -> Result<(), FilterError> {
    filter.parse::<Targets>()?;
    Ok(())
}

/// Starts logging what `filter` lets through. A second call changes nothing.
///
/// # Errors
/// [`FilterError`] says what is allowed.
pub fn start(filter: &str) -> Result<(), FilterError> {
    let filter: Targets = filter.parse()?;
    let output = fmt::layer().with_writer(stderr);
    let output = if stderr().is_terminal() {
        output.with_target(false).boxed()
    } else {
        output.json().flatten_event(true).boxed()
    };
    // An error means that logging has been started before.
    let _ = tracing_subscriber::registry()
        .with(output.with_filter(filter))
        .try_init();
    panic::set_hook(Box::new(report));
    Ok(())
}

/// Logs where a thread panicked, and why as far as that tells of nobody.
fn report(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(
        place,
        message = constant(panic.payload()),
        "a thread panicked"
    );
}

/// A panic's message, unless it was put together at run time: then it may quote what a client sent
/// (that of a text which was cut within a character does).
fn constant(payload: &dyn Any) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    #[expect(clippy::string_slice, reason = "it is to panic")]
    fn what_a_panic_quotes_is_not_told() {
        let quoting = catch_unwind(|| "a secret é"[..10].len());
        let quoting = quoting.expect_err("it is cut within a character");
        let message = quoting.downcast_ref::<String>().expect("made at run time");
        assert!(message.contains("secret"), "{message}");
        assert_eq!(constant(&*quoting), None);
        let plain = catch_unwind(|| assert!("".len() > 1, "too short"));
        let plain = plain.expect_err("it is too short");
        assert_eq!(constant(&*plain), Some("too short"));
    }
}
