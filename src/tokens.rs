//! The tokenizer of current OpenAI models (`o200k_base`).
//!
//! It takes a tenth of a second and some 50 MB to load, so that happens on first use, and
//! never on a thread that serves connections.

use std::sync::Arc;

use tiktoken_rs::CoreBPE;
use tokio::{
    sync::{OnceCell, Semaphore},
    task::spawn_blocking,
};

/// Texts up to this size are encoded where they are; the time that takes (0.6 µs a token)
/// is below that of a thread switch and back by a factor of 10 at most.
const INLINE_BYTES: usize = 2048;

/// The time for a run of letters grows with the square of its length, so longer ones are cut before
/// they are counted. No word is as long.
const LONGEST_RUN: usize = 256;

/// How many larger texts are worked on at once. Each has a thread, which keeps a megabyte for the
/// next one, and more threads than cores gain nothing.
const AT_ONCE: usize = 4;

/// The tokenizer, loaded when it is first needed.
pub struct Tokens {
    loaded: OnceCell<Arc<CoreBPE>>,
    turns: Arc<Semaphore>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            loaded: OnceCell::new(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// One or several tokens whose bytes are whole characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where the piece ends in the text, in bytes; it starts where the one before ends.
    pub end: usize,
    /// How many tokens it is.
    pub tokens: usize,
}

/// The tokenizer could not be loaded or broke; its text says why.
#[derive(Debug, thiserror::Error)]
#[error("the tokenizer failed: {0}")]
pub struct TokensError(String);

impl Tokens {
    /// How many tokens each text is.
    ///
    /// # Errors
    /// [`TokensError`] when the tokenizer is not to be had.
    pub async fn count(&self, texts: Vec<String>) -> Result<Vec<usize>, TokensError> {
        let bytes = texts.iter().map(String::len).sum();
        self.run(bytes, move |bpe| {
            let count = |text: &String| cut(text).map(|part| bpe.encode_ordinary(part).len()).sum();
            texts.iter().map(count).collect()
        })
        .await
    }

    /// The text of token ids; where one of them is none, their numbers.
    ///
    /// # Errors
    /// [`TokensError`] when the tokenizer is not to be had.
    pub async fn decode(&self, ids: Vec<u32>) -> Result<String, TokensError> {
        self.run(ids.len(), move |bpe| match bpe.decode_bytes(&ids) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => {
                let numbers: Vec<_> = ids.iter().map(u32::to_string).collect();
                numbers.join(" ")
            }
        })
        .await
    }

    /// Splits a text into its tokens, those that share a character kept together.
    ///
    /// # Errors
    /// [`TokensError`] when the tokenizer is not to be had.
    pub async fn split(&self, text: String) -> Result<(String, Vec<Piece>), TokensError> {
        self.run(text.len(), move |bpe| {
            let pieces = split(bpe, &text);
            (text, pieces)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&CoreBPE) -> T + Send + 'static,
    ) -> Result<T, TokensError> {
        let bpe = self.loaded.get_or_try_init(load).await?;
        if bytes <= INLINE_BYTES {
            return Ok(work(bpe));
        }
        let bpe = Arc::clone(bpe);
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(failed)?;
        let work = move || {
            // Held by the work itself: who asked for it may leave before it is done.
            let _turn = turn;
            work(&bpe)
        };
        spawn_blocking(work).await.map_err(failed)
    }
}

async fn load() -> Result<Arc<CoreBPE>, TokensError> {
    let loaded = spawn_blocking(tiktoken_rs::o200k_base).await;
    loaded.map_err(failed)?.map(Arc::new).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> TokensError {
    TokensError(error.to_string())
}

/// A text in parts none of which has a longer run without white space than `LONGEST_RUN`.
fn cut(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut run = 0;
        let end = rest.char_indices().find_map(|(at, c)| {
            run = if c.is_whitespace() {
                0
            } else {
                run + c.len_utf8()
            };
            (run > LONGEST_RUN).then_some(at)
        });
        let (part, more) = rest.split_at(end.unwrap_or(rest.len()));
        rest = more;
        (!part.is_empty()).then_some(part)
    })
}

fn split(bpe: &CoreBPE, text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut end = 0;
    let mut tokens = 0;
    for token in bpe.encode_ordinary(text) {
        end += bpe.decode_bytes(&[token]).map_or(0, |bytes| bytes.len());
        tokens += 1;
        if text.is_char_boundary(end) {
            pieces.push(Piece { end, tokens });
            tokens = 0;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn no_more_large_texts_are_worked_on_than_may_be() {
        let tokens = Tokens::default();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let counts = Arc::new((now, most));
        let work = || {
            let counts = Arc::clone(&counts);
            tokens.run(INLINE_BYTES + 1, move |_| {
                let now = counts.0.fetch_add(1, Ordering::SeqCst) + 1;
                counts.1.fetch_max(now, Ordering::SeqCst);
                // Long enough for all others to begin, if they may.
                let until = std::time::SystemTime::now() + std::time::Duration::from_millis(20);
                while std::time::SystemTime::now() < until {
                    std::thread::yield_now();
                }
                counts.0.fetch_sub(1, Ordering::SeqCst);
            })
        };
        let done = futures_util::future::join_all((0..3 * AT_ONCE).map(|_| work())).await;
        assert!(done.iter().all(Result::is_ok));
        assert_eq!(counts.1.load(Ordering::SeqCst), AT_ONCE);
    }

    #[tokio::test]
    async fn pieces_are_the_text_and_their_tokens_the_count() {
        let tokens = Tokens::default();
        let text = "Hello, streams! 日本語のテキスト 🌊🧜🏽‍♀️ naïve\n".repeat(100);
        for text in [&text[..], "", "a"] {
            let (same, pieces) = tokens.split(String::from(text)).await.expect("loaded");
            assert_eq!(same, text);
            assert_eq!(pieces.last().map_or(0, |p| p.end), text.len());
            assert!(pieces.iter().all(|p| text.is_char_boundary(p.end)));
            let counted = tokens.count(vec![text.to_owned()]).await.expect("loaded");
            let total: usize = pieces.iter().map(|p| p.tokens).sum();
            assert_eq!(counted, [total]);
        }
    }

    #[tokio::test]
    async fn ids_are_their_text_or_else_their_numbers() {
        let tokens = Tokens::default();
        let of = async |ids: &[u32]| tokens.decode(ids.to_vec()).await.expect("loaded");
        assert_eq!(of(&[24912, 2375]).await, "hello world");
        assert_eq!(of(&[24912, u32::MAX]).await, "24912 4294967295");
    }

    #[tokio::test]
    async fn a_long_run_of_letters_takes_no_longer_than_a_text() {
        let start = tokio::time::Instant::now();
        let run = "x".repeat(1 << 20);
        let counts = Tokens::default().count(vec![run]).await.expect("loaded");
        assert!(counts[0] > 1024, "{counts:?}");
        let took = start.elapsed();
        assert!(took < std::time::Duration::from_secs(60), "{took:?}");
    }

    #[test]
    fn what_is_cut_is_whole() {
        for text in ["", "a b", &"é".repeat(5000), &"word ".repeat(5000)] {
            let parts: Vec<_> = cut(text).collect();
            assert_eq!(parts.concat(), text);
        }
    }

    #[tokio::test]
    async fn counts_are_those_of_o200k_base() {
        // From tiktoken's own `o200k_base`: "hello world" is [24912, 2375].
        let counts = Tokens::default()
            .count(vec!["hello world".to_owned()])
            .await;
        assert_eq!(counts.expect("loaded"), [2]);
    }
}
