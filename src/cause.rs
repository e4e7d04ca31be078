//! What an error is about in the end.

use std::error::Error;

/// The innermost cause. The outer ones name addresses and libraries, which few need to know.
pub fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}
