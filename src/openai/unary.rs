//! A request that is answered in one piece: typed where it is read, untouched bytes otherwise.

use bytes::Bytes;
use serde::Deserialize;

use super::{
    Destination, Invalid,
    edit::{self, Edits},
};

/// What a body must say of itself.
pub trait Params: for<'de> Deserialize<'de> {
    /// The model's public name.
    fn model(&self) -> &str;

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`Invalid`] says which field is wrong, why, and what is allowed.
    fn validate(&self) -> Result<(), Invalid>;
}

/// A valid request and the bytes it came in.
#[derive(Debug, Clone)]
pub struct UnaryRequest<T> {
    /// What is read of it.
    pub params: T,
    body: Bytes,
}

impl<T: Params> UnaryRequest<T> {
    /// Reads and validates a body.
    ///
    /// # Errors
    /// [`Invalid`] says which field is wrong, why, and what is allowed.
    pub fn parse(body: Bytes) -> Result<Self, Invalid> {
        let params: T = Invalid::check(&body)?;
        Invalid::unless_named(params.model())?;
        params.validate()?;
        Ok(Self { params, body })
    }

    /// The bytes of the body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body for an upstream: as it came, with the model's name there and the members that are
    /// set.
    pub fn upstream_body(&self, to: &Destination<'_>) -> Bytes {
        let edits = Edits {
            model: to.model,
            fields: to.fields,
            ..Edits::default()
        };
        // A body that was parsed is an object.
        edit::upstream_body(&self.body, edits).unwrap_or_else(|_| self.body.clone())
    }
}
