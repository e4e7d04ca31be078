//! Moderations: the request, and what is found in each input.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

use super::{Invalid, object::Object, unary::Params};

/// The model of a request that names none, as OpenAI has it.
/// The most texts and images of one request: as many as embeddings take.
const MAX_INPUTS: usize = 2048;
const DEFAULT_MODEL: &str = "omni-moderation-latest";

/// Something that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Category {
    /// Its name.
    pub name: &'static str,
    /// It is looked for in images too.
    pub is_of_images: bool,
}

/// What is looked for, as OpenAI's newest model has it.
pub const CATEGORIES: [Category; 13] = [
    category("harassment", false),
    category("harassment/threatening", false),
    category("hate", false),
    category("hate/threatening", false),
    category("illicit", false),
    category("illicit/violent", false),
    category("self-harm", true),
    category("self-harm/instructions", true),
    category("self-harm/intent", true),
    category("sexual", true),
    category("sexual/minors", false),
    category("violence", true),
    category("violence/graphic", true),
];

const fn category(name: &'static str, is_of_images: bool) -> Category {
    Category { name, is_of_images }
}

/// The body of `POST /v1/moderations`. Members that are not listed are passed on to the
/// upstream as they came.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ModerationParams {
    /// The model's public name; `omni-moderation-latest` if not said.
    #[serde(default)]
    #[schema(min_length = 1, example = "omni-moderation-latest")]
    pub model: Option<String>,
    /// What is looked at: a text, several texts with a result each, or parts with one together.
    pub input: ModerationInput,
}

/// What is looked at.
#[derive(Debug, Clone)]
pub enum ModerationInput {
    /// One text.
    Text(String),
    /// Several, each on its own.
    Texts(Vec<String>),
    /// Texts and images, as one input.
    Parts(Vec<ModerationPart>),
}

/// A text or an image.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ModerationPart {
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
}

/// Where an image is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImageUrl {
    /// An address, or `data:` with the image itself.
    pub url: String,
}

/// The reply to a request for moderations.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Moderation {
    /// The reply's id.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// A result for each input.
    pub results: Vec<ModerationResult>,
}

/// What was found in one input, by category.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ModerationResult {
    /// Anything was.
    pub flagged: bool,
    /// What was.
    pub categories: BTreeMap<&'static str, bool>,
    /// How surely, from 0 to 1.
    pub category_scores: BTreeMap<&'static str, f64>,
    /// In what: `text`, `image`.
    pub category_applied_input_types: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Params for ModerationParams {
    fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(DEFAULT_MODEL)
    }

    fn validate(&self) -> Result<(), Invalid> {
        let count = match &self.input {
            ModerationInput::Text(_) => 1,
            ModerationInput::Texts(texts) => texts.len(),
            ModerationInput::Parts(parts) => parts.len(),
        };
        match count {
            0 => Err(Invalid::at(
                "input",
                "expected at least one text or image, got none",
            )),
            1..=MAX_INPUTS => Ok(()),
            _ => {
                let why = format!("expected at most {MAX_INPUTS} texts or images, got {count}");
                Err(Invalid::at("input", &why))
            }
        }
    }
}

const FORMS: &str = "a string, an array of strings, or an array of parts with a `type`";

impl<'de> Deserialize<'de> for ModerationInput {
    // By hand, because a derived untagged enum cannot say what is wrong inside.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> de::Visitor<'de> for Forms {
            type Value = ModerationInput;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORMS)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ModerationInput, E> {
                Ok(ModerationInput::Text(text.to_owned()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<ModerationInput, A::Error> {
                let (mut texts, mut parts) = (Vec::new(), Vec::new());
                while let Some(item) = seq.next_element()? {
                    match item {
                        Item::Text(text) => texts.push(text),
                        Item::Part(part) => parts.push(part),
                    }
                }
                match (texts.is_empty(), parts.is_empty()) {
                    (_, true) => Ok(ModerationInput::Texts(texts)),
                    (true, false) => Ok(ModerationInput::Parts(parts)),
                    (false, false) => {
                        let why = format!("expected {FORMS}, got a mixture of these");
                        Err(de::Error::custom(why))
                    }
                }
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

/// One item of an array of inputs.
enum Item {
    Text(String),
    Part(ModerationPart),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> de::Visitor<'de> for Forms {
            type Value = Item;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a part with a `type`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
                let part = Object::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Item::Part(part.0))
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

impl ToSchema for ModerationInput {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((
            ModerationPart::name().into_owned(),
            ModerationPart::schema(),
        ));
        ModerationPart::schemas(schemas);
    }
}

impl PartialSchema for ModerationInput {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .build();
        let array = || ArrayBuilder::new().min_items(Some(1));
        OneOfBuilder::new()
            .item(text.clone())
            .item(array().items(text))
            .item(array().items(Ref::from_schema_name(ModerationPart::name())))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_are_inputs_and_nothing_else_is() {
        let read = |json: &str| serde_json::from_str::<ModerationInput>(json);
        for json in [
            r#""a""#,
            r#"["a","b"]"#,
            r#"[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:,"}}]"#,
        ] {
            assert!(read(json).is_ok(), "{json}");
        }
        for (json, says) in [
            ("7", FORMS),
            (r#"["a",{"type":"text","text":"b"}]"#, "mixture"),
            ("[7]", "a part with a `type`"),
            (r#"[{"type":"sound"}]"#, "`text` or `image_url`"),
            (r#"[{"type":"text"}]"#, "missing field `text`"),
        ] {
            let error = read(json).expect_err(json).to_string();
            assert!(error.contains(says), "{json}: {error}");
        }
    }
}
