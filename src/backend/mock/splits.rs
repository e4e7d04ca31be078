//! Texts cut into tokens, those that come again from memory.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use crate::tokens::{Piece, Tokens, TokensError};

/// What the texts that are kept may hold together, in bytes. When it is reached, all go.
const KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Longer texts are not kept: they would drive out all others.
const LONGEST: usize = 256 * 1024;

/// The tokenizer of one worker thread and what it has cut.
pub(super) struct Splits {
    tokens: Arc<Tokens>,
    kept: RefCell<HashMap<String, Rc<[Piece]>>>,
    bytes: Cell<usize>,
}

impl Splits {
    /// Over this tokenizer.
    pub(super) fn new(tokens: Arc<Tokens>) -> Self {
        Self {
            tokens,
            kept: RefCell::default(),
            bytes: Cell::new(0),
        }
    }

    /// A text's pieces.
    ///
    /// # Errors
    /// [`TokensError`] when the tokenizer is not to be had.
    pub(super) async fn split(&self, text: &str) -> Result<Rc<[Piece]>, TokensError> {
        if let Some(known) = self.kept.borrow().get(text) {
            return Ok(Rc::clone(known));
        }
        let (text, pieces) = self.tokens.split(String::from(text)).await?;
        let pieces: Rc<[Piece]> = pieces.into();
        if text.len() <= LONGEST {
            let bytes = text.len() + pieces.len() * size_of::<Piece>();
            let mut kept = self.kept.borrow_mut();
            if self.bytes.get() + bytes > KEPT_BYTES {
                kept.clear();
                self.bytes.set(0);
            }
            self.bytes.set(self.bytes.get() + bytes);
            kept.insert(text, Rc::clone(&pieces));
        }
        Ok(pieces)
    }

    /// How many tokens a text is.
    ///
    /// # Errors
    /// [`TokensError`] when the tokenizer is not to be had.
    pub(super) async fn count(&self, text: &str) -> Result<usize, TokensError> {
        let pieces = self.split(text).await?;
        Ok(pieces.iter().map(|piece| piece.tokens).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_has_a_bound_and_is_what_it_was() {
        let splits = Splits::new(Arc::default());
        let first = splits.split("hello world").await.expect("loaded");
        let again = splits.split("hello world").await.expect("loaded");
        assert!(Rc::ptr_eq(&first, &again));
        for number in 0..200 {
            let text = format!("{number} {}", "word ".repeat(10_000));
            splits.split(&text).await.expect("loaded");
            assert!(splits.bytes.get() <= KEPT_BYTES);
        }
        assert!(!splits.kept.borrow().contains_key("hello world"));
        assert_eq!(splits.count("hello world").await.expect("loaded"), 2);
    }
}
