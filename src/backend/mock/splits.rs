//! Texts cut into tokens, those that come again from memory.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use super::template::is_plain;
use crate::tokens::{Piece, Tokens, TokensError};

/// What the texts that are kept may hold together, in bytes. When it is reached, all go.
const KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Longer texts are not kept: they would drive out all others.
const LONGEST: usize = 256 * 1024;

/// The tokenizer of one worker thread and what it has cut.
pub(super) struct Splits {
    tokens: Arc<Tokens>,
    kept: RefCell<HashMap<Rc<str>, Split>>,
    bytes: Cell<usize>,
}

/// A text and where it is cut, which all who say it share.
#[derive(Debug, Clone, Default)]
pub(super) struct Split {
    text: Rc<str>,
    pieces: Rc<[Piece]>,
    /// All of it stands in JSON as it is.
    pub(super) is_plain: bool,
}

impl Split {
    fn of(text: String, pieces: Vec<Piece>) -> Self {
        Self {
            is_plain: is_plain(&text),
            text: text.into(),
            pieces: pieces.into(),
        }
    }

    /// Its pieces, one behind the other.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The text of the piece of this number, as far as it stands before `until`; empty where
    /// there is none.
    pub(super) fn text_of(&self, number: usize, until: usize) -> &str {
        let before = number
            .checked_sub(1)
            .and_then(|number| self.pieces.get(number));
        let start = before.map_or(0, |before| before.end);
        let end = self.pieces.get(number).map_or(0, |piece| piece.end);
        self.text.get(start..end.min(until)).unwrap_or_default()
    }
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

    /// A text and its pieces.
    ///
    /// # Errors
    /// [`TokensError`] when the tokenizer is not to be had.
    pub(super) async fn split(&self, text: &str) -> Result<Split, TokensError> {
        if let Some(known) = self.kept.borrow().get(text) {
            return Ok(known.clone());
        }
        let (text, pieces) = self.tokens.split(String::from(text)).await?;
        let split = Split::of(text, pieces);
        if split.text.len() <= LONGEST {
            let bytes = split.text.len() + split.pieces.len() * size_of::<Piece>();
            let mut kept = self.kept.borrow_mut();
            if self.bytes.get() + bytes > KEPT_BYTES {
                kept.clear();
                self.bytes.set(0);
            }
            self.bytes.set(self.bytes.get() + bytes);
            kept.insert(Rc::clone(&split.text), split.clone());
        }
        Ok(split)
    }

    /// How many tokens a text is.
    ///
    /// # Errors
    /// [`TokensError`] when the tokenizer is not to be had.
    pub(super) async fn count(&self, text: &str) -> Result<usize, TokensError> {
        let split = self.split(text).await?;
        Ok(split.pieces.iter().map(|piece| piece.tokens).sum())
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
        assert!(Rc::ptr_eq(&first.pieces, &again.pieces));
        assert!(Rc::ptr_eq(&first.text, &again.text));
        assert_eq!(
            [0, 1, 2].map(|number| again.text_of(number, 8)),
            ["hello", " wo", ""]
        );
        for number in 0..200 {
            let text = format!("{number} {}", "word ".repeat(10_000));
            splits.split(&text).await.expect("loaded");
            assert!(splits.bytes.get() <= KEPT_BYTES);
        }
        assert!(!splits.kept.borrow().contains_key("hello world"));
        assert_eq!(splits.count("hello world").await.expect("loaded"), 2);
    }
}
