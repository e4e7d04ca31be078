//! The mock's moderations: it finds what a text names.
//!
//! A text is flagged for each category whose name stands in it, and for those that
//! [`TELLTALES`] belong to, so that every verdict can be had on demand.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Mock;
use crate::openai::{
    CATEGORIES, Category, Moderation, ModerationInput, ModerationParams, ModerationPart,
    ModerationResult, Params,
};

/// Words that flag a text, and for what: those of the example in OpenAI's documentation.
const TELLTALES: [(&str, &str); 2] = [
    ("kill", "violence"),
    ("kill them", "harassment/threatening"),
];

/// One input: what it says, and what it consists of.
struct Input {
    text: String,
    has_text: bool,
    has_image: bool,
}

/// A result for each input.
pub(super) fn moderate(mock: &Mock, params: &ModerationParams, body: &[u8]) -> Moderation {
    let digest = Sha256::digest([&mock.settings.seed.to_be_bytes(), body].concat());
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    let results = inputs(&params.input).iter().map(result).collect();
    Moderation {
        id: format!("modr-{:032x}", u128::from_be_bytes(id)),
        model: params.model().to_owned(),
        results,
    }
}

fn inputs(input: &ModerationInput) -> Vec<Input> {
    let of_text = |text: &String| Input {
        text: text.to_lowercase(),
        has_text: true,
        has_image: false,
    };
    match input {
        ModerationInput::Text(text) => vec![of_text(text)],
        ModerationInput::Texts(texts) => texts.iter().map(of_text).collect(),
        ModerationInput::Parts(parts) => {
            let texts: Vec<_> = parts.iter().filter_map(text_of).collect();
            vec![Input {
                has_text: !texts.is_empty(),
                has_image: texts.len() < parts.len(),
                text: texts.join("\n").to_lowercase(),
            }]
        }
    }
}

fn text_of(part: &ModerationPart) -> Option<&str> {
    match part {
        ModerationPart::Text { text } => Some(text),
        ModerationPart::ImageUrl { .. } => None,
    }
}

fn result(input: &Input) -> ModerationResult {
    let by_name = |category: Category| (category.name, is_named(input, category.name));
    let categories: BTreeMap<_, _> = CATEGORIES.map(by_name).into();
    ModerationResult {
        flagged: categories.values().any(|is_flagged| *is_flagged),
        category_scores: categories
            .iter()
            .map(|(name, is_flagged)| (*name, score(input, name, *is_flagged)))
            .collect(),
        category_applied_input_types: CATEGORIES.map(|c| (c.name, looked_at(input, c))).into(),
        categories,
    }
}

fn is_named(input: &Input, name: &str) -> bool {
    let is_telltale = |(word, of): &(&str, &str)| *of == name && input.text.contains(word);
    input.text.contains(name) || TELLTALES.iter().any(is_telltale)
}

/// Near 1 for what is flagged and near 0 for what is not, and never quite the same.
fn score(input: &Input, name: &str, is_flagged: bool) -> f64 {
    let digest = Sha256::digest([name.as_bytes(), b"\n", input.text.as_bytes()].concat());
    let little = f64::from(u16::from_be_bytes([digest[0], digest[1]])) / 1_000_000.0;
    if is_flagged { 1.0 - little } else { little }
}

/// In what this category was looked for.
fn looked_at(input: &Input, category: Category) -> Vec<&'static str> {
    let kinds = [
        ("text", input.has_text),
        ("image", input.has_image && category.is_of_images),
    ];
    let looked_at = kinds.into_iter().filter(|(_, is_there)| *is_there);
    looked_at.map(|(kind, _)| kind).collect()
}
