//! Logs: for people on a terminal, one JSON object a line otherwise. To standard error.

use std::{
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

/// Logs where a thread panicked. A message that was put together at run time is left out: it may
/// quote what a client sent (a text that was cut within a character does).
fn report(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let message = panic.payload().downcast_ref::<&'static str>();
    tracing::error!(place, message, "a thread panicked");
}
