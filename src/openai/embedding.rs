//! Embeddings: the request, and the vectors as they are written.

use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    Int, Invalid, TextInput,
    text_input::{self, Least},
    unary::Params,
};

/// The most inputs of one request, as OpenAI has it.
const MAX_INPUTS: usize = 2048;
/// More than any model gives.
const MAX_DIMENSIONS: i64 = 8192;

/// The body of `POST /v1/embeddings`. Members that are not listed are passed on to the
/// upstream as they came.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct EmbeddingParams {
    /// The model's public name.
    #[schema(min_length = 1, example = "text-embedding-3-small")]
    pub model: String,
    /// What is embedded.
    #[schema(schema_with = input)]
    pub input: TextInput,
    /// The length of each vector; the model's own if not said.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 8192)]
    pub dimensions: Option<Int<1, MAX_DIMENSIONS>>,
    /// How the numbers are written; `float` if not said.
    #[serde(default)]
    pub encoding_format: Option<Encoding>,
}

/// How a vector is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As an array of numbers.
    #[default]
    Float,
    /// As the base64 of 32-bit floats, the lowest byte first.
    Base64,
}

/// The reply to a request for embeddings.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EmbeddingList {
    /// Always `list`.
    #[schema(pattern = "^list$")]
    pub object: &'static str,
    /// A vector for each input, in order.
    pub data: Vec<Embedding>,
    /// The model that answered.
    pub model: String,
    /// The count of tokens.
    pub usage: EmbeddingUsage,
}

/// One input's vector.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Embedding {
    /// Always `embedding`.
    #[schema(pattern = "^embedding$")]
    pub object: &'static str,
    /// Which input.
    pub index: usize,
    /// The vector.
    pub embedding: Vector,
}

/// A vector, in one of its encodings.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Vector {
    /// Numbers.
    Float(Vec<f32>),
    /// The base64 of 32-bit floats, the lowest byte first.
    Base64(String),
}

/// The count of tokens of a request that generates none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens of the request.
    pub prompt_tokens: usize,
    /// The same.
    pub total_tokens: usize,
}

impl Params for EmbeddingParams {
    fn model(&self) -> &str {
        &self.model
    }

    fn validate(&self) -> Result<(), Invalid> {
        match self.input.count() {
            0 => Err(Invalid::at("input", "expected at least one text, got none")),
            1..=MAX_INPUTS if self.input.has_empty() => Err(Invalid::at(
                "input",
                "expected texts or lists of token ids with something in them, got an empty one",
            )),
            1..=MAX_INPUTS => Ok(()),
            count => {
                let why = format!("expected at most {MAX_INPUTS} texts, got {count}");
                Err(Invalid::at("input", &why))
            }
        }
    }
}

fn input() -> RefOr<Schema> {
    text_input::schema(Least::One, MAX_INPUTS)
}
