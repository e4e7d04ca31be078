//! The mock's vectors: of length one, near each other where their texts share words and parts
//! of words, and the same on every machine.
//!
//! Each word, and each run of three characters, is a direction of its own: plus or minus one in
//! every dimension, by a hash. A text is the sum of its directions, in integers; what is done in
//! floating point afterwards (a square root, a division) is exact by IEEE 754. A shorter vector
//! is the beginning of the longer one, brought to length one again, as OpenAI's are.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::{
    Mock,
    unary::{internal, refusal},
};
use crate::{
    backend::BackendError,
    openai::{
        Embedding, EmbeddingList, EmbeddingParams, EmbeddingUsage, Encoding, Int, TextInput, Vector,
    },
};

/// The most tokens of one input, as OpenAI has it.
const MAX_TOKENS: usize = 8192;
/// The most tokens of all inputs together, likewise.
const MAX_TOKENS_TOGETHER: usize = 300_000;
/// The most numbers of all vectors together: 2048 of the longest model's.
const MAX_NUMBERS: usize = 2048 * 3072;

/// What a word counts, in runs of three characters.
const WORD_WEIGHT: i64 = 4;
/// What a run of three characters counts.
const RUN_WEIGHT: i64 = 1;
const RUN: usize = 3;

/// The vectors of the inputs, in order.
///
/// # Errors
/// [`BackendError::Refused`] with status 400 for more than a model takes.
pub(super) async fn embed(
    mock: &Mock,
    params: &EmbeddingParams,
) -> Result<EmbeddingList, BackendError> {
    let tokens = match &params.input {
        TextInput::Texts(texts) => {
            let counts = mock.tokens.count(texts.clone()).await;
            counts.map_err(internal)?
        }
        TextInput::Tokens(lists) => lists.iter().map(Vec::len).collect(),
    };
    let dimensions = dimensions(params);
    check(&tokens, dimensions)?;
    let seed = seed(mock.settings.seed, &params.model);
    let asked = params.encoding_format.unwrap_or_default();
    let encoding = match mock.settings.base64_embeddings {
        true => asked,
        false => Encoding::Float,
    };
    let input = params.input.clone();
    // Long inputs would hold up the streams of this thread.
    let data = spawn_blocking(move || {
        let vectors = features(&input, seed).map(|features| vector(&features, dimensions));
        let written = vectors.map(|vector| write(vector, encoding));
        let numbered = written.enumerate().map(|(index, embedding)| Embedding {
            object: "embedding",
            index,
            embedding,
        });
        numbered.collect()
    });
    let total = tokens.iter().sum();
    Ok(EmbeddingList {
        object: "list",
        data: data.await.map_err(internal)?,
        model: params.model.clone(),
        usage: EmbeddingUsage {
            prompt_tokens: total,
            total_tokens: total,
        },
    })
}

/// As long as asked for, or as OpenAI's models are.
fn dimensions(params: &EmbeddingParams) -> usize {
    let of_model = match params.model.contains("embedding-3-large") {
        true => 3072,
        false => 1536,
    };
    let asked = params.dimensions.map(Int::get);
    asked.map_or(of_model, |asked| usize::try_from(asked).unwrap_or(of_model))
}

fn check(tokens: &[usize], dimensions: usize) -> Result<(), BackendError> {
    let longest = tokens
        .iter()
        .copied()
        .enumerate()
        .max_by_key(|(_, count)| *count);
    if let Some((at, count)) = longest
        && count > MAX_TOKENS
    {
        let message = format!("input[{at}]: expected at most {MAX_TOKENS} tokens, got {count}");
        return Err(refusal("input", message));
    }
    let total: usize = tokens.iter().sum();
    if total > MAX_TOKENS_TOGETHER {
        let message =
            format!("input: expected at most {MAX_TOKENS_TOGETHER} tokens together, got {total}");
        return Err(refusal("input", message));
    }
    let numbers = tokens.len() * dimensions;
    if numbers > MAX_NUMBERS {
        let most = MAX_NUMBERS / tokens.len();
        let message = format!(
            "dimensions: expected at most {most} for {} inputs, got {dimensions}",
            tokens.len()
        );
        return Err(refusal("dimensions", message));
    }
    Ok(())
}

/// Other models, and other seeds of the mock, have other vectors.
fn seed(seed: i64, model: &str) -> u64 {
    let digest = Sha256::digest([&seed.to_be_bytes(), model.as_bytes()].concat());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

/// What an input is made of, and how much of each.
type Features = HashMap<u64, i64>;

fn features(input: &TextInput, seed: u64) -> impl Iterator<Item = Features> {
    let all: Vec<_> = match input {
        TextInput::Texts(texts) => texts.iter().map(|text| of_text(text, seed)).collect(),
        TextInput::Tokens(lists) => lists.iter().map(|ids| of_tokens(ids, seed)).collect(),
    };
    all.into_iter()
}

fn of_text(text: &str, seed: u64) -> Features {
    let mut features = Features::new();
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric());
    for word in words.filter(|word| !word.is_empty()) {
        *features.entry(hash(seed, word.bytes())).or_default() += WORD_WEIGHT;
    }
    // Spaces around it, so that a text of one character has a run too.
    let chars: Vec<char> = format!(" {text} ").chars().collect();
    for run in chars.windows(RUN) {
        let bytes = run.iter().flat_map(|c| u32::from(*c).to_be_bytes());
        *features.entry(hash(!seed, bytes)).or_default() += RUN_WEIGHT;
    }
    features
}

fn of_tokens(ids: &[u32], seed: u64) -> Features {
    let mut features = Features::new();
    for id in ids {
        *features.entry(hash(seed, id.to_be_bytes())).or_default() += WORD_WEIGHT;
    }
    for pair in ids.windows(2) {
        let bytes = pair.iter().flat_map(|id| id.to_be_bytes());
        *features.entry(hash(!seed, bytes)).or_default() += RUN_WEIGHT;
    }
    features
}

/// FNV-1a, begun at a seed: nothing here has to withstand an attack.
fn hash(seed: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(seed ^ 0xcbf2_9ce4_8422_2325, step)
}

fn vector(features: &Features, dimensions: usize) -> Vec<f32> {
    let mut sums = vec![0_i64; dimensions];
    for (feature, weight) in features {
        for (block, sums) in (0_u64..).zip(sums.chunks_mut(64)) {
            let mut signs = mix(feature ^ mix(block));
            for sum in sums {
                *sum += if signs & 1 == 0 { *weight } else { -weight };
                signs >>= 1;
            }
        }
    }
    // Directions can cancel each other out where there are few dimensions.
    if sums.iter().all(|sum| *sum == 0) {
        sums[0] = 1;
    }
    let square: i128 = sums.iter().map(|sum| i128::from(*sum).pow(2)).sum();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let length = (square as f64).sqrt();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "rounded as IEEE 754 says"
    )]
    let scale = |sum: i64| (sum as f64 / length) as f32;
    sums.into_iter().map(scale).collect()
}

/// The last step of SplitMix64, which leaves no bit where it was.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn write(vector: Vec<f32>, encoding: Encoding) -> Vector {
    match encoding {
        Encoding::Float => Vector::Float(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.into_iter().flat_map(f32::to_le_bytes).collect();
            Vector::Base64(STANDARD.encode(bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, dimensions: usize) -> Vec<f32> {
        vector(&of_text(text, 7), dimensions)
    }

    fn cosine(a: &[f32], b: &[f32]) -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    }

    #[test]
    fn every_vector_has_length_one() {
        let texts = [
            "a",
            " ",
            "!",
            "日本語",
            "A whole sentence, with words.",
            "\u{0}",
        ];
        for text in texts {
            for dimensions in [1, 2, 63, 64, 65, 1536] {
                let vector = of(text, dimensions);
                assert_eq!(vector.len(), dimensions);
                let square = cosine(&vector, &vector);
                assert!(
                    (square - 1.0).abs() < 1e-5,
                    "{text} in {dimensions}: {square}"
                );
            }
        }
    }

    #[test]
    fn the_nearer_the_texts_the_nearer_the_vectors() {
        let nearest_first = [
            "The quick brown fox jumped over the lazy dog.",
            "the quick brown fox jumps over the lazy dog",
            "A quick brown fox and a lazy dog",
            "A fox",
            "Token streams end with a sentinel.",
        ];
        let vectors = nearest_first.map(|text| of(text, 1536));
        let cosines = [1, 2, 3, 4].map(|other| cosine(&vectors[0], &vectors[other]));
        assert!(cosines.is_sorted_by(|a, b| a > b), "{cosines:?}");
        assert!(cosines[0] > 0.8 && cosines[3].abs() < 0.15, "{cosines:?}");
    }

    #[test]
    fn a_shorter_vector_is_the_beginning_of_the_longer_one() {
        let (long, short) = (of("some text", 1536), of("some text", 256));
        let length = cosine(&long[..256], &long[..256]).sqrt();
        for (long, short) in long.iter().zip(&short) {
            assert!((f64::from(*long) / length - f64::from(*short)).abs() < 1e-6);
        }
    }

    #[test]
    fn a_vector_has_the_same_bytes_on_every_machine() {
        // Worked out by another program, in another language.
        let known = [-0.040401485, 0.02424089, 0.016160594, 0.0];
        assert_eq!(of("a text", 1536)[..4], known);
    }

    #[test]
    fn token_ids_are_compared_like_words() {
        let of = |ids: &[u32]| vector(&of_tokens(ids, 7), 512);
        let (base, near, far) = (of(&[1, 2, 3, 4]), of(&[1, 2, 3, 5]), of(&[6, 7, 8, 9]));
        assert!(cosine(&base, &near) > 0.6);
        assert!(cosine(&base, &far).abs() < 0.2);
    }
}
