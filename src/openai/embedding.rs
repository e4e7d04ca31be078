//! Embeddings: the request, and the vectors as they are written.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, OneOfBuilder, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

use super::{Int, Invalid, unary::Params};

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
    pub input: EmbeddingInput,
    /// The length of each vector; the model's own if not said.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 8192)]
    pub dimensions: Option<Int<1, MAX_DIMENSIONS>>,
    /// How the numbers are written; `float` if not said.
    #[serde(default)]
    pub encoding_format: Option<Encoding>,
}

/// What is embedded: each text, or each list of a tokenizer's ids, gets one vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingInput {
    /// Texts; `"input": "…"` is one.
    Texts(Vec<String>),
    /// Lists of token ids; `"input": [1, 2]` is one.
    Tokens(Vec<Vec<u32>>),
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

impl EmbeddingInput {
    fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Tokens(lists) => lists.len(),
        }
    }

    fn has_empty(&self) -> bool {
        match self {
            Self::Texts(texts) => texts.iter().any(String::is_empty),
            Self::Tokens(lists) => lists.iter().any(Vec::is_empty),
        }
    }
}

impl Params for EmbeddingParams {
    fn model(&self) -> &str {
        &self.model
    }

    fn validate(&self) -> Result<(), Invalid> {
        match self.input.len() {
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

const FORMS: &str = "a string, an array of strings, an array of token ids, or an array of such";
type TokenId = Int<0, { u32::MAX as i64 }>;

impl<'de> Deserialize<'de> for EmbeddingInput {
    // By hand, because a derived untagged enum cannot say what is wrong inside.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> de::Visitor<'de> for Forms {
            type Value = EmbeddingInput;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORMS)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<EmbeddingInput, E> {
                Ok(EmbeddingInput::Texts(vec![text.to_owned()]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<EmbeddingInput, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                gather(items).ok_or_else(|| {
                    de::Error::custom(format!("expected {FORMS}, got a mixture of these"))
                })
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

/// One item of an array of inputs.
enum Item {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> de::Visitor<'de> for Forms {
            type Value = Item;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a token id, or an array of token ids")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Item, E> {
                let wrong = || E::invalid_value(de::Unexpected::Unsigned(number), &self);
                u32::try_from(number).map(Item::Token).map_err(|_| wrong())
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Item, A::Error> {
                let mut ids = Vec::new();
                while let Some(id) = seq.next_element::<TokenId>()? {
                    ids.push(u32::try_from(id.get()).unwrap_or_default());
                }
                Ok(Item::Tokens(ids))
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

/// The items as one kind of input; `None` where they are of several.
fn gather(items: Vec<Item>) -> Option<EmbeddingInput> {
    let (mut texts, mut ids, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Text(text) => texts.push(text),
            Item::Token(id) => ids.push(id),
            Item::Tokens(list) => lists.push(list),
        }
    }
    match (texts.is_empty(), ids.is_empty(), lists.is_empty()) {
        (_, true, true) => Some(EmbeddingInput::Texts(texts)),
        (true, false, true) => Some(EmbeddingInput::Tokens(vec![ids])),
        (true, true, false) => Some(EmbeddingInput::Tokens(lists)),
        (_, _, _) => None,
    }
}

impl ToSchema for EmbeddingInput {}

impl PartialSchema for EmbeddingInput {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .min_length(Some(1))
            .build();
        let id = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Integer))
            .minimum(Some(0))
            .maximum(Some(u32::MAX));
        let ids = ArrayBuilder::new().items(id).min_items(Some(1)).build();
        let array = || {
            ArrayBuilder::new()
                .min_items(Some(1))
                .max_items(Some(MAX_INPUTS))
        };
        OneOfBuilder::new()
            .item(text.clone())
            .item(array().items(text))
            .item(ids.clone())
            .item(array().items(RefOr::T(Schema::from(ids))))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(json: &str) -> Result<EmbeddingInput, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn all_four_forms_are_inputs() {
        let texts = |texts: &[&str]| {
            Ok(EmbeddingInput::Texts(
                texts.iter().map(|text| (*text).to_owned()).collect(),
            ))
        };
        let tokens = |lists: &[&[u32]]| {
            Ok(EmbeddingInput::Tokens(
                lists.iter().map(|list| list.to_vec()).collect(),
            ))
        };
        assert_eq!(input(r#""a""#), texts(&["a"]));
        assert_eq!(input(r#"["a","b"]"#), texts(&["a", "b"]));
        assert_eq!(input("[1,2]"), tokens(&[&[1, 2]]));
        assert_eq!(input("[[1],[2,3]]"), tokens(&[&[1], &[2, 3]]));
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        for (json, says) in [
            ("7", FORMS),
            ("{}", FORMS),
            ("null", FORMS),
            (r#"["a",1]"#, "mixture"),
            (r#"[1,[2]]"#, "mixture"),
            ("[null]", "a token id"),
            ("[-1]", "a token id"),
            ("[4294967296]", "a token id"),
            ("[[1.5]]", "an integer from 0"),
        ] {
            let error = input(json).expect_err(json);
            assert!(error.contains(says), "{json}: {error}");
        }
    }
}
