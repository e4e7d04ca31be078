//! What the mock says, and where it stops.

use crate::{
    openai::{ChatParams, ChatRequest, Content, Role},
    tokens::Piece,
};

/// How much of the question is repeated, in characters.
const ECHO: usize = 120;

const SENTENCES: [&str; 16] = [
    "A stream of tokens is a river that knows where it ends.",
    "Each event is written once and read by everyone who asks.",
    "When the line breaks, the log remembers; the reader comes back and goes on.",
    "Nothing is repeated and nothing is lost.",
    "The first token leaves as soon as it is there.",
    "Between two tokens there is time for a heartbeat, so that no proxy falls asleep.",
    "A finish reason closes every choice, and the sentinel closes the stream.",
    "Slow readers wait for themselves alone.",
    "What the mock says today it will say tomorrow, byte for byte, if you give it a seed.",
    "Behind this address there may be a real model instead, and your client will not know the difference.",
    "Errors come with a code, and the code says whose fault it was.",
    "Bytes may be split anywhere, in the middle of a character too; a good decoder does not mind.",
    "Every buffer has an end, and someone has tested what happens there.",
    "A cursor is a promise: everything after this place, and nothing before it.",
    "You can cut the connection now and ask for the rest later.",
    "The quick brown fox streams over the lazy proxy.",
];

/// The text of one choice: a function of the digest, the index and the last question.
pub(super) fn text(params: &ChatParams, digest: &[u8; 32], index: u32) -> String {
    let mut random = SplitMix::new(digest, index);
    let mut text = match last_question(params) {
        Some(question) => format!("You said: “{question}”."),
        None => "You said nothing.".to_owned(),
    };
    let mut sentences = SENTENCES;
    let count = 3 + random.below(4);
    for taken in 0..count {
        let pick = taken + random.below(sentences.len() - taken);
        sentences.swap(taken, pick);
        text.push(' ');
        text.push_str(sentences[taken]);
    }
    text
}

fn last_question(params: &ChatParams) -> Option<String> {
    let mut messages = params.messages.iter().rev();
    let last = messages.find(|message| message.role == Role::User)?;
    let text = last.content.as_ref()?.text();
    let text = text.trim();
    let mut echo: String = text.chars().take(ECHO).collect();
    if echo.len() < text.len() {
        echo.push('…');
    }
    (!echo.is_empty()).then_some(echo)
}

/// One choice, cut into what is sent.
pub(super) struct Choice {
    /// What is said in the end.
    text: String,
    /// Where each piece of it ends, in bytes.
    pub ends: Vec<usize>,
    /// How many tokens were generated.
    pub tokens: usize,
    /// Why it ends there.
    pub finish_reason: &'static str,
}

impl Choice {
    /// Cuts a text where the request's `stop` and token limit say, whichever comes first.
    pub(super) fn cut(mut text: String, pieces: &[Piece], request: &ChatRequest) -> Self {
        let max_tokens = request.max_tokens().unwrap_or(usize::MAX);
        let stop = stop_at(&text, request);
        let mut choice = Self {
            text: String::new(),
            ends: Vec::new(),
            tokens: 0,
            finish_reason: "stop",
        };
        for piece in pieces {
            let start = choice.ends.last().copied().unwrap_or_default();
            if stop.is_some_and(|stop| start >= stop) {
                break;
            }
            if choice.tokens + piece.tokens > max_tokens {
                choice.finish_reason = "length";
                break;
            }
            choice.tokens += piece.tokens;
            choice.ends.push(piece.end.min(stop.unwrap_or(piece.end)));
        }
        text.truncate(choice.ends.last().copied().unwrap_or_default());
        choice.text = text;
        choice
    }

    /// The text of one step, while there is one.
    pub(super) fn piece(&self, step: usize) -> Option<&str> {
        let end = *self.ends.get(step)?;
        let start = step.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }
}

/// Where the first of the stop texts begins.
fn stop_at(text: &str, request: &ChatRequest) -> Option<usize> {
    let stops = request.params.stop.as_ref()?.texts();
    let stops = stops.iter().filter(|stop| !stop.is_empty());
    stops.filter_map(|stop| text.find(&stop[..])).min()
}

/// The texts of a prompt whose tokens count.
pub(super) fn prompt_texts(params: &ChatParams) -> Vec<String> {
    let mut texts = Vec::new();
    for message in &params.messages {
        texts.push(message.role.as_str().to_owned());
        let content = message.content.as_ref().map(Content::text);
        texts.push(content.unwrap_or_default().into_owned());
        texts.extend(message.name.clone());
    }
    texts
}

/// The tokens of a prompt, from the counts of its texts: three more for each message, one for
/// each name, and three that open the answer (OpenAI Cookbook, "How to count tokens").
pub(super) fn tokens_of_prompt(params: &ChatParams, counts: &[usize]) -> usize {
    let names = params.messages.iter().filter(|m| m.name.is_some()).count();
    counts.iter().sum::<usize>() + 3 * params.messages.len() + names + 3
}

/// Sebastiano Vigna's SplitMix64: small, and the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn new(digest: &[u8; 32], index: u32) -> Self {
        let mut seed = [0; 8];
        seed.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(seed) ^ u64::from(index))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is small: the bias does not matter here.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or_default()
    }
}
